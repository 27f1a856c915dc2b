package backup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func copied(t testing.TB, text string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "dump"), filepath.Join(dir, "out")
	if err := os.WriteFile(from, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	err := plainDump(context.Background(), from, to)
	out, rerr := os.ReadFile(to)
	if rerr != nil {
		t.Fatal(rerr)
	}
	return string(out), err
}

func TestPlainDump(t *testing.T) {
	for _, tt := range []struct{ name, in, out, err string }{
		{"statements as they are", "SET a = on;\nCREATE TABLE t (a text);\n", "SET a = on;\nCREATE TABLE t (a text);\n", ""},
		{"what pg_dump writes of psql's own", "\\restrict abcDEF123\n\\connect shop\nSELECT 1;\n\\unrestrict abcDEF123\n", "\n\nSELECT 1;\n\n", ""},
		{"a backslash in a text", `SELECT 'C:\temp', "a\b", $$\! x$$, $tag$ \! $ $ta$ x $tag$;` + "\n", `SELECT 'C:\temp', "a\b", $$\! x$$, $tag$ \! $ $ta$ x $tag$;` + "\n", ""},
		{"an escaped quote", `SELECT E'it\'s \\', 'it''s';`, `SELECT E'it\'s \\', 'it''s';`, ""},
		{"comments", "-- \\! x\n/* \\! /* nested */ \\! */ SELECT 1;", "-- \\! x\n/* \\! /* nested */ \\! */ SELECT 1;", ""},
		{"rows", "COPY public.t (a, b) FROM stdin;\n\\N\tx\\ty\nC:\\\\x\t'\n\\.\n\nSELECT 1;\n", "COPY public.t (a, b) FROM stdin;\n\\N\tx\\ty\nC:\\\\x\t'\n\\.\n\nSELECT 1;\n", ""},
		{"a program", "SELECT 1;\n\\! touch /tmp/x\n", "SELECT 1;\n", "line 2 of the dump holds a command of psql's own (\\! touch /tmp/x)"},
		{"in the middle of a line", `SELECT 1 \g |sh` + "\n", "SELECT 1 ", "line 1"},
		{"behind an identifier that ends in e", `SELECT 1 AS namE'\' \! x ;`, `SELECT 1 AS namE'\' `, "line 1"},
		{"a connection elsewhere", "\\connect host=evil.example user=x\n", "", "line 1"},
		{"output to a file", "\\o /etc/passwd\n", "", "line 1"},
		{"behind the rows", "COPY t FROM stdin;\na\n\\.\n\\copy t to '/tmp/x'\n", "COPY t FROM stdin;\na\n\\.\n", "line 4"},
		{"cut off in the rows", "COPY t FROM stdin;\na\nb", "COPY t FROM stdin;\na\nb", "cut off"},
		{"cut off in a text", "SELECT 'a", "SELECT 'a", "cut off"},
		{"a dollar in a name", "SELECT a$b$ FROM t$x;", "SELECT a$b$ FROM t$x;", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := copied(t, tt.in)
			if out != tt.out {
				t.Errorf("copied %q, want %q", out, tt.out)
			}
			switch {
			case tt.err == "" && err != nil:
				t.Error(err)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func FuzzPlainDump(f *testing.F) {
	for _, s := range []string{"SELECT 'a';", "COPY t FROM stdin;\n\\N\n\\.\n", "$a$ \\! $a$", "/* /* */ */ \\! x", `E'\'' "a""b" \connect x`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, err := copied(t, s)
		if err == nil && !strings.Contains(s, `\`) && out != s {
			t.Fatalf("%q became %q", s, out)
		}
	})
}
