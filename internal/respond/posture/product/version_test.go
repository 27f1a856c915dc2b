package product

import (
	"testing"
)

func TestVersionsAreReadAsTheyAreSpelled(t *testing.T) {
	for text, want := range map[string]string{
		"23.9.7.8804": "23.9.7.8804", " 25.2.3 ": "25.2.3", "v15.62.4": "15.62.4", "V 1.2": "1.2", "Version 9.0.1": "9.0.1",
		"7.0.14 (1234)": "7.0.14", "24.1 HF2": "24.1", "2020.2.1 HF 2": "2020.2.1", "2022 SU5": "2022", "14.12.0000": "14.12.0000",
		"10.0 build 10012": "10.0", "1:6.3.0-1": "6.3.0", "15, 62, 4, 0": "15.62.4.0", "2025.3.1.9": "2025.3.1.9",
		"3.6.2.0\x00": "3.6.2.0", "1.2.3+4567": "1.2.3", "1.2.3+git.abc": "1.2.3", "5.5.8-beta2": "5.5.8-beta.2", "11302": "11302",
		"9.5.7 x64": "9.5.7", "6.11.0 (64-bit)": "6.11.0", "R9.5": "9.5", "24.1 HF2 (77)": "24.1", "0.9.21.1-1~deb11u1": "0.9.21.1",
		"n/a": "", "": "", "-": "", "unknown": "", "latest": "", "<25.2.3": "", "25.2.3 and earlier": "", "25.x": "", "1.2.3a": "",
		"0.0.0.0": "", "11.3.2400.08.W": "", "2022-Dec-2 11:42:16.000-0800": "", "9.0.1;": "", "99999999999999999999.1": "", "1..2": "",
	} {
		v, ok := ParseVersion(text)
		if ok != (want != "") {
			t.Errorf("%q: read %v", text, ok)
			continue
		}
		if ok && v.main.Original() != want {
			t.Errorf("%q: %s, want %s", text, v.main.Original(), want)
		}
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"23.9.7.8804", "23.9.8", -1},
		{"23.9.10", "23.9.8", 1}, // not as text
		{"25.2.3", "25.2.4", -1},
		{"2025.3.1.9", "2025.3.1", 1},
		{"2025.3", "2025.3.0.0", 0},
		{"24.1 HF2", "24.1", 1},
		{"24.1 HF2", "24.1 HF10", -1},
		{"24.1 HF2", "24.1.1", -1},
		{"7.0.14 (1234)", "7.0.14 (1233)", 1},
		{"7.0.14 (1234)", "7.0.14", 0},
		{"2022 SU5", "2022 SU6", -1},
		{"5.5.8-beta2", "5.5.8", -1},
		{"5.5.8-beta2", "5.5.8-beta10", -1},
		{"14.12.0000", "14.12", 0},
		{"1:6.3.0-1", "6.3.0", 0},
	} {
		a, ok1 := ParseVersion(c.a)
		b, ok2 := ParseVersion(c.b)
		if !ok1 || !ok2 || a.Compare(b) != c.want || b.Compare(a) != -c.want {
			t.Errorf("%s to %s: %d and %d, want %d", c.a, c.b, a.Compare(b), b.Compare(a), c.want)
		}
	}
}

func TestBoundsAreReadFromProse(t *testing.T) {
	for _, c := range []struct{ bound, version, want string }{
		{"<25.2.3", "25.2.2", "yes"}, {"<25.2.3", "25.2.3", "no"}, {"<25.2.3", "25.2.3.9999", "no"},
		{"25.2.3 and earlier", "25.2.3", "yes"}, {"25.2.3 and earlier versions", "25.2.4", "no"},
		{"<=23.9.7", "23.9.7.8804", "yes"}, {"<= 5.5.7", "5.5.8", "no"}, {"through 14.7.1965", "14.7.48799", "no"},
		{"before 2025.3.1", "2025.3.1.9", "no"}, {"All versions prior to 2025.9", "2025.8", "yes"},
		{"Versions up to and including 12.1.0.89", "12.1.0.34", "yes"}, {"<2019.4 HF6", "2019.4 HF5", "yes"}, {"<2019.4 HF6", "2019.4", "yes"},
		{"<=2022 SU5", "2022 SU6", "no"}, {"<=2022 SU5", "2021.1 SU9", "yes"}, {"<=8.1.0", "8.1.0.1", "yes"},
		// Too few numbers to tell.
		{"<15.62", "15", "unknown"}, {"<=5.5.7", "5.5", "unknown"}, {"<23.9.8", "23.9", "unknown"}, {"<1.4.0", "1.4", "no"}, {"<23.9.8", "23.8", "yes"}, {"<15.62", "14", "yes"},
		{"n/a", "", "none"}, {"25.2.3", "", "none"}, {"", "", "none"}, {"<n/a", "", "none"}, {"before the update", "", "none"},
	} {
		b, ok := ParseBound(c.bound)
		if !ok {
			if c.want != "none" {
				t.Errorf("%q is not read", c.bound)
			}
			continue
		}
		v, _ := ParseVersion(c.version)
		affected, known := b.Holds(v)
		got := map[bool]string{true: "yes", false: "no"}[affected]
		if !known {
			got = "unknown"
		}
		if got != c.want {
			t.Errorf("%q and %s: %s, want %s", c.bound, c.version, got, c.want)
		}
	}
}

func FuzzVersion(f *testing.F) {
	for _, s := range []string{"23.9.7.8804", "7.0.14 (1234)", "24.1 HF2", "<25.2.3", "25.2.3 and earlier", "n/a ", "1:6.3.0-1", "15, 62, 4, 0", "2022 SU5", "v1", "10.0 build 10012", "((((", "1 ( (2)"} {
		f.Add(s, "23.9.8")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		v, ok := ParseVersion(a)
		w, ok2 := ParseVersion(b)
		if ok && ok2 {
			if v.Compare(v) != 0 || v.Compare(w) != -w.Compare(v) {
				t.Errorf("%q and %q are not ordered", a, b)
			}
			before := Bound{Version: w}
			if affected, known := before.Holds(v); known && affected != (v.Compare(w) < 0) {
				t.Errorf("%q before %q: %v", a, b, affected)
			}
		}
		if bound, ok := ParseBound(a); ok {
			if _, known := bound.Holds(v); known && v.IsZero() {
				t.Errorf("%q is judged without a version", a)
			}
		}
	})
}
