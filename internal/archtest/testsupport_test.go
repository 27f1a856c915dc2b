package archtest

import "testing"

// TestTestSupportIsNotInTheProgram: the labelled mail is for tests; no code that ships may import it.
func TestTestSupportIsNotInTheProgram(t *testing.T) {
	seen := false
	for _, p := range packages(t) {
		from, _ := room(p.ImportPath)
		for _, imported := range p.Imports {
			to, ours := room(imported)
			if !ours || to != "mailcorpus" {
				continue
			}
			if seen = true; from != "mailcorpus/write" {
				t.Errorf("%s imports mailcorpus outside its tests: the program must not know what it is measured on", from)
			}
		}
	}
	if !seen {
		t.Error("nobody imports mailcorpus, not even mailcorpus/write: the test does not see the module")
	}
}
