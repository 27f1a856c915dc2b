package app

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// pupil is a mailgate.Detector that writes down what it is taught.
type pupil struct{ taught *[]string }

func (pupil) Judge(*ocsf.Event) ocsf.MailVerdict {
	return ocsf.MailVerdict{Verdict: "suspicious", Score: 0.4, Points: 30, Rule: "r", Reasons: []ocsf.MailReason{{Name: "link", Apex: "evil.example"}}}
}

func (p pupil) Learn(e *ocsf.Event, v ocsf.MailVerdict) {
	*p.taught = append(*p.taught, strings.Join([]string{string(e.Tenant), e.Mail.Subject, v.Verdict, e.Mail.DMARC, apexes(v)}, " "))
}
func (pupil) Advance(time.Time, detect.Emit) {}
func (pupil) Snapshot() ([]byte, error)      { return nil, nil }
func (pupil) Restore([]byte) error           { return nil }

func apexes(v ocsf.MailVerdict) (out string) {
	for _, r := range v.Reasons {
		out += r.Apex
	}
	return out
}

type noProof struct{}

func (noProof) Header(string) string { return "" }
func (noProof) Apply(m *ocsf.Mail)   { m.DMARC = "none" }

// TestWhatPeopleReportIsLearnt: a false alarm teaches as clean, and what was missed as phishing; what a message claims of
// its own proof is not believed.
func TestWhatPeopleReportIsLearnt(t *testing.T) {
	var taught []string
	s, err := mailgate.NewScorer(&tenant.Model{}, "", func(*tenant.Model) (mailgate.Detector, error) { return pupil{&taught}, nil }, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	l := learner{scorer: s, log: slog.New(slog.DiscardHandler), prove: func(_ context.Context, s mailgate.Sender, _ []byte) mailgate.Proof {
		asked = append(asked, s.MailFrom)
		return noProof{}
	}}
	raw := []byte("Authentication-Results: mx; dmarc=pass header.from=partner.example\r\nFrom: a@partner.example\r\nSubject: hi\r\nDate: Mon, 4 May 2026 09:59:00 +0000\r\n\r\nhello\r\n")
	it := quarantine.Item{EnvelopeFrom: "a@partner.example"}
	l.learn("acme", it, quarantine.FalseAlarm, raw)
	l.learn("borg", it, quarantine.Missed, raw)
	l.learn("borg", it, quarantine.Missed, nil)
	if want := []string{"acme hi clean none ", "borg hi phish none evil.example"}; !slices.Equal(taught, want) {
		t.Errorf("taught %q, want %q", taught, want)
	}
	if !slices.Equal(asked, []string{"a@partner.example", "a@partner.example"}) {
		t.Errorf("proof was asked for %q", asked)
	}
}

func TestMoversFollowTheConfiguration(t *testing.T) {
	s := config.DefaultMailGate()
	log := slog.New(slog.DiscardHandler)
	m := (&mailGate{}).moversOf(s, log)
	if c, ok := m.MTA.(*quarantine.Commands); !ok || !slices.Equal(c.ReleaseBy, []string{"postsuper", "-H", "{id}"}) || !slices.Equal(c.DeleteBy, []string{"postsuper", "-d", "{id}"}) {
		t.Errorf("the mail server's queue is moved by %+v", m.MTA)
	}
	if m.Store != nil { // a typed nil would be taken for somebody
		t.Errorf("without hold.reinject %v gives mail back", m.Store)
	}
	s.Hold.Reinject = "127.0.0.1:10025"
	if m = (&mailGate{}).moversOf(s, log); m.Store == nil {
		t.Error("with hold.reinject nobody gives mail back")
	}
	if (&watch{}).heldMail() != nil {
		t.Error("without a gateway there is a quarantine")
	}
}

func TestOpenQuarantineNeedsAFolderOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	if _, _, err := OpenQuarantine(t.Context(), dir, "", log, func(string) {}); err == nil || !strings.Contains(err.Error(), "holds no mail") {
		t.Errorf("an empty folder: %v", err)
	}
	s, err := quarantine.Open(filepath.Join(dir, quarantineDir), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenQuarantine(t.Context(), dir, "", log, func(string) {}); err == nil || !strings.Contains(err.Error(), "no configuration was ever applied") {
		t.Errorf("without a configuration: %v", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenQuarantine(t.Context(), dir, "", log, func(string) {}); err == nil || !strings.Contains(err.Error(), "--server") {
		t.Errorf("while a server is at work: %v", err)
	}
	if err := errors.Join(lock.Close()); err != nil {
		t.Fatal(err)
	}
}
