package config

import "testing"

func TestInit_passesParse(t *testing.T) {
	f, err := Parse("breakwater.yaml", Init())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range f.Warnings() {
		t.Errorf("warning in the starter file: %s", w)
	}
}
