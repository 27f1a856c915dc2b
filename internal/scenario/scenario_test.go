package scenario

import (
	"context"
	"os"
	"testing"
)

func TestWriteRuns(t *testing.T) {
	dir := t.TempDir()
	if d := os.Getenv("SCN"); d != "" {
		dir = d
	}
	tr, err := Write(context.Background(), Options{Seed: 1}, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", tr)
}
