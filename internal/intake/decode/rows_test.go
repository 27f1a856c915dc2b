package decode

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

func readRows(t *testing.T, text string) (rows, bad []string) {
	t.Helper()
	r, err := NewRows(strings.NewReader(text), func(line int64, reason string) { bad = append(bad, fmt.Sprintf("%d: %s", line, reason)) })
	if err != nil {
		t.Fatal(err)
	}
	for {
		cells, line, err := r.Next()
		if err == io.EOF {
			return rows, bad
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, fmt.Sprintf("%d: %s", line, strings.Join(cells, "|")))
	}
}

func TestRows(t *testing.T) {
	wide := func(s string) string {
		b := []byte{0xFF, 0xFE}
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	tests := []struct {
		name, text string
		rows, bad  []string
	}{
		{"commas", "name,team\nAnn,Support\n", []string{"2: Ann|Support"}, nil},
		{"semicolons with a mark", "\uFEFFname;team\r\n Ann ;Support\r\n", []string{"2: Ann|Support"}, nil},
		{"tabs in UTF-16", wide("name\tteam\r\nJörg\tLager\r\n"), []string{"2: Jörg|Lager"}, nil},
		{"Windows-1252", "name;team\nJ\xf6rg;Lager\n", []string{"2: Jörg|Lager"}, nil},
		{"a spreadsheet's first line", "sep=;\nname;team\nAnn;x\n", []string{"3: Ann|x"}, nil},
		{"a line end in a cell", "name,note\n\"Ann\",\"two\nlines\"\nBen,x\n", []string{"2: Ann|two\nlines", "4: Ben|x"}, nil},
		{"a quote that never closes", "name,note\n\"Ann,x\nBen,y\n", []string{"3: Ben|y"}, []string{"2: a quote opens and does not close"}},
		{"too few and too many cells", "a,b\n1\n1,2,3\n1,2,,\n", []string{"2: 1|", "4: 1|2"}, []string{"3: a row of 3 cells under a header of 2"}},
		{"a header again", "a,b\n1,2\na,b\n3,4\n", []string{"2: 1|2", "4: 3|4"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rows, bad := readRows(t, tt.text)
			if d := cmp.Diff(tt.rows, rows); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.bad, bad); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestRowsWithoutAHeader(t *testing.T) {
	for _, text := range []string{"", "\n\n", "only one column\nx\n", "\"open,quote\n"} {
		if _, err := NewRows(strings.NewReader(text), func(int64, string) {}); !errors.Is(err, ErrNoHeader) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if h := HeaderOf([]byte("Mail,Team\nx")); !h.Has("mail", "team") {
		t.Errorf("header %v", h)
	}
}

func TestRowsColumn(t *testing.T) {
	r, err := NewRows(strings.NewReader("E-Mail;Team;team\n"), func(int64, string) {})
	if err != nil {
		t.Fatal(err)
	}
	if got := [...]int{r.Column("mail", "e-mail"), r.Column("TEAM"), r.Column("absent")}; got != [...]int{0, 1, -1} {
		t.Errorf("columns %v", got)
	}
}

func FuzzRows(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "a;b\n\"x\ny\";z\n", "\xff\xfea\x00,\x00b\x00", "a\tb\n\"\n\n\"\"\t"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewRows(strings.NewReader(string(data)), func(int64, string) {})
		if err != nil {
			return
		}
		for {
			cells, _, err := r.Next()
			if err != nil {
				return
			}
			if len(cells) != len(r.Header()) {
				t.Fatalf("%d cells under a header of %d", len(cells), len(r.Header()))
			}
		}
	})
}
