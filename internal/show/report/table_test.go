package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("%s differs (-want +got); run with -update and read the diff:\n%s", name, d)
	}
}

func TestTableIsTheAnswer(t *testing.T) {
	for name, f := range fixtures {
		t.Run(name, func(t *testing.T) {
			res, m := f()
			var plainText, colored bytes.Buffer
			if err := Table(&plainText, res, m, false); err != nil {
				t.Fatal(err)
			}
			golden(t, "table-"+name+".txt", plainText.Bytes())
			for i, l := range strings.Split(plainText.String(), "\n") {
				if width(l) > tableWidth {
					t.Errorf("line %d is %d columns wide: %q", i+1, width(l), l)
				}
			}
			if i := bytes.IndexFunc(plainText.Bytes(), hidden); i >= 0 {
				t.Errorf("hidden rune at %d: %q", i, plainText.Bytes()[i:i+8])
			}
			if err := Table(&colored, res, m, true); err != nil {
				t.Fatal(err)
			}
			bare := colored.String()
			for _, code := range []string{"0", bold, dim, red, yellow, blue, green} {
				bare = strings.ReplaceAll(bare, "\x1b["+code+"m", "")
			}
			if d := cmp.Diff(plainText.String(), bare); d != "" {
				t.Errorf("colour changes the text:\n%s", d)
			}
		})
	}
}
