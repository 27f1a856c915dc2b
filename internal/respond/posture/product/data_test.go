package product

import (
	"os"
	"path/filepath"
	"testing"
)

// dataFile returns a file of third-party data, or skips.
func dataFile(t testing.TB, path ...string) string {
	t.Helper()
	dir := os.Getenv("BREAKWATER_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no data at %s; set BREAKWATER_DATA to the data folder", dir)
	}
	name := filepath.Join(append([]string{dir}, path...)...)
	if _, err := os.Stat(name); err != nil {
		t.Fatalf("cases 0: the data folder has no %s", filepath.Join(path...))
	}
	return name
}
