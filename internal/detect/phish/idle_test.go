package phish

import (
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// TestAMessageThatAsksForNothingIsNotPhish: faults of the headers and of the encoding are no deceit where there is nothing
// to follow, to open or to answer. What cannot be read stays suspicious.
func TestAMessageThatAsksForNothingIsNotPhish(t *testing.T) {
	faults := []string{"odd: no address in From", "broken: base64 with many foreign characters"}
	for _, c := range []struct {
		name string
		mail ocsf.Mail
		idle bool
	}{
		{"nothing in it", ocsf.Mail{Text: "abc", ParseProblems: faults}, true},
		{"a link", ocsf.Mail{Text: "abc", ParseProblems: faults, Links: []ocsf.Link{{URL: "https://a.example/", Host: "a.example"}}}, false},
		{"a file", ocsf.Mail{Text: "abc", ParseProblems: faults, Attachments: []ocsf.Attachment{{Name: "a.bin"}}}, false},
		{"an address to write to", ocsf.Mail{Text: "write to me@a.example", ParseProblems: faults}, false},
		{"a number to call", ocsf.Mail{Text: "call +1 202 555 0147 now", ParseProblems: faults}, false},
	} {
		d := New(detect.Context{})
		e := &ocsf.Event{Mail: &c.mail}
		if prior, _ := d.Prior(e); prior.Idle != c.idle {
			t.Errorf("%s: idle is %v", c.name, prior.Idle)
		}
		v := d.Judge(e)
		if c.idle && v.Verdict != Suspicious || v.Verdict == Clean {
			t.Errorf("%s: %s with %.2f", c.name, v.Verdict, v.Score)
		}
	}
}
