package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxLines is where a file is cut in two; tests and tables of data may be longer.
const maxLines = 600

func TestNamesSayWhatIsInside(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "manager", "types", "misc", "base", "core", "shared"}
	for _, p := range packages(t) {
		name, _ := room(p.ImportPath)
		if last := name[strings.LastIndexByte(name, '/')+1:]; slices.Contains(vague, last) || slices.Contains(vague, p.Name) {
			t.Errorf("%s: %q says nothing of what is inside; name the thing that it does", name, last)
		}
	}
}

func TestFilesFitTheReader(t *testing.T) {
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			data, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(data, []byte("\n")); n > maxLines && !ast.IsGenerated(mustParse(t, filepath.Join(p.Dir, f), data)) {
				t.Errorf("%s has %d lines: cut it by its parts, at most %d", filepath.Join(p.Dir, f), n, maxLines)
			}
		}
	}
}

func TestNothingIsLeftForLater(t *testing.T) {
	for _, p := range packages(t) {
		files, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, group := range mustParse(t, f, data).Comments {
				for _, word := range []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"} {
					if containsWord(group.Text(), word) {
						t.Errorf("%s: a comment says %s: do it, or open an issue", f, word)
					}
				}
			}
		}
	}
}

func containsWord(text, word string) bool {
	return slices.Contains(strings.FieldsFunc(text, func(r rune) bool { return r < 'A' || r > 'z' }), word)
}

func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	for _, p := range packages(t) {
		docs := 0
		for _, f := range parsed(t, p) {
			if f.Doc == nil {
				continue
			}
			docs++
			text := f.Doc.Text()
			if want := "Package " + p.Name + " "; p.Name != "main" && !strings.HasPrefix(text, want) {
				t.Errorf("%s: the package comment begins with %q, not %q", p.ImportPath, firstLine(text), want)
			}
		}
		if docs == 0 {
			t.Errorf("%s has no package comment: say what comes in, what goes out, and what it promises on failure", p.ImportPath)
		}
		if docs > 1 {
			t.Errorf("%s has %d package comments; one is enough", p.ImportPath, docs)
		}
	}
}

func TestEveryExportedNameIsExplained(t *testing.T) {
	for _, p := range packages(t) {
		for name, f := range parsed(t, p) {
			for _, decl := range f.Decls {
				switch d := decl.(type) {
				case *ast.FuncDecl:
					if exportedFunc(d) {
						explained(t, filepath.Join(p.Dir, name), d.Name.Name, d.Doc)
					}
				case *ast.GenDecl:
					explainedGroup(t, filepath.Join(p.Dir, name), d)
				}
			}
		}
	}
}

// usual are methods whose meaning the standard library's interfaces fix.
var usual = []string{"Error", "Unwrap", "String", "Len", "Less", "Swap", "Push", "Pop", "MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText"}

func exportedFunc(d *ast.FuncDecl) bool {
	if !d.Name.IsExported() {
		return false
	}
	if d.Recv == nil {
		return true
	}
	return !slices.Contains(usual, d.Name.Name) && ast.IsExported(receiver(d.Recv.List[0].Type))
}

func receiver(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.IndexListExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

func explained(t *testing.T, file, name string, doc *ast.CommentGroup) {
	t.Helper()
	if doc == nil {
		t.Errorf("%s: %s is exported and not explained", file, name)
		return
	}
	text := doc.Text()
	for _, article := range []string{"A ", "An ", "The "} {
		text = strings.TrimPrefix(text, article)
	}
	if !strings.HasPrefix(text, name) {
		t.Errorf("%s: the comment of %s begins with %q: begin with the name", file, name, firstLine(doc.Text()))
	}
}

// explainedGroup takes a comment on the group, above the name or beside it.
func explainedGroup(t *testing.T, file string, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			doc := s.Doc
			if doc == nil {
				doc = d.Doc
			}
			if s.Name.IsExported() {
				explained(t, file, s.Name.Name, doc)
			}
		case *ast.ValueSpec:
			for _, n := range s.Names {
				if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					t.Errorf("%s: %s is exported and not explained", file, n.Name)
				}
			}
		}
	}
}

func parsed(t *testing.T, p pkg) map[string]*ast.File {
	t.Helper()
	out := map[string]*ast.File{}
	for _, f := range slices.Concat(p.GoFiles, p.CgoFiles) {
		data, err := os.ReadFile(filepath.Join(p.Dir, f))
		if err != nil {
			t.Fatal(err)
		}
		out[f] = mustParse(t, f, data)
	}
	return out
}

func mustParse(t *testing.T, name string, data []byte) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, data, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
