package quarantine

import (
	"strings"
	"testing"
)

func TestLookShowsTextAndNoMarkup(t *testing.T) {
	raw := "From: Eve <eve@x.example>\r\nSubject: a\x1b[31mred\r\n folded\r\nDate: Mon, 1 Jun 2026 12:00:00 +0000\r\nContent-Type: text/html\r\n\r\n" +
		`<p>Please <a href="https://evil.example/x">sign in</a><script>alert(1)</script><img src="https://track.example/p.png"></p>`
	v := Look([]byte(raw))
	if len(v.Headers) != 4 || v.Headers[1][1] != "a\uFFFD[31mred folded" {
		t.Errorf("headers %q", v.Headers)
	}
	if !strings.Contains(v.Text, "Please sign in") || strings.Contains(v.Text, "<") || strings.Contains(v.Text, "alert") {
		t.Errorf("text %q", v.Text)
	}
	if len(v.Links) == 0 || v.Links[0].Host != "evil.example" {
		t.Errorf("links %v", v.Links)
	}
}

func TestLookNeedsNoDate(t *testing.T) {
	v := Look([]byte("From: Eve <eve@x.example>\r\nSubject: x\r\n\r\nHello evil\x1b[2J\r\nsecond line\r\n"))
	if v.Text != "Hello evil\uFFFD[2J\nsecond line" || len(v.Headers) != 2 || len(v.Problems) != 1 || !strings.Contains(v.Problems[0], "date") {
		t.Errorf("shown %q, %q, %q", v.Text, v.Headers, v.Problems)
	}
}

func TestLookIsBounded(t *testing.T) {
	v := Look([]byte(strings.Repeat("X: y\n", 100_000) + "\nbody"))
	if len(v.Headers) != maxHeaders || !v.More {
		t.Errorf("%d headers, more %v", len(v.Headers), v.More)
	}
}

func FuzzLook(f *testing.F) {
	for _, s := range []string{"", "\n", "a: b\n\nc", "a: b\r\n c\r\n\r\nd", "a\x00: \xff\n", ": \n \n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		v := Look(raw)
		if len(v.Headers) > maxHeaders {
			t.Errorf("%d headers", len(v.Headers))
		}
		for _, h := range v.Headers {
			if strings.ContainsAny(h[0]+h[1], "\x1b\x00\r\n") {
				t.Errorf("control characters are shown: %q", h)
			}
		}
		if strings.ContainsAny(v.Text, "\x1b\x00\r\u202e") {
			t.Errorf("control characters are shown: %q", v.Text)
		}
		for _, l := range v.Links {
			if strings.ContainsAny(l.URL+l.Host+l.Text, "\x1b\x00\r\n\u202e") {
				t.Errorf("control characters are shown: %q", l)
			}
		}
	})
}
