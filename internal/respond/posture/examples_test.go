package posture

import "testing"

// TestEveryControlShippedKeepsItsExamples loads the controls that ship and runs the examples beside them.
func TestEveryControlShippedKeepsItsExamples(t *testing.T) {
	l, problems, err := Load(Shipped())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%v", p)
	}
	if len(l.Controls()) == 0 {
		t.Fatal("no control ships")
	}
	tests, err := l.Test(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tests {
		if !x.Passed() {
			t.Errorf("%s:%d: %s, example %q: want %s, got %s (%s)", x.File, x.Line, x.Control, x.Example, x.Want, x.Got, x.Reason)
		}
	}
}
