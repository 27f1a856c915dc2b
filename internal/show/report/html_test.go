package report

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// renderPage writes the page of a fixture.
func renderPage(t testing.TB, name string) []byte {
	t.Helper()
	res, m := fixtures[name]()
	var b bytes.Buffer
	if err := HTML(&b, res, m, Options{Title: "Scan of the March telemetry", Version: "0.1.0", Made: time.Date(2026, 4, 24, 9, 0, 0, 0, time.UTC)}); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("REPORT_OUT"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".html"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestHTMLRenders(t *testing.T) {
	for name := range fixtures {
		t.Logf("%s: %d bytes", name, len(renderPage(t, name)))
	}
}
