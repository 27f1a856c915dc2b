package learned

import (
	"math"
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func TestMainLabelIsWhatTheOwnerChose(t *testing.T) {
	for host, want := range map[string]string{
		"": "", "localhost": "localhost", "acme.example": "acme", "mail.acme.example": "acme", "news.acme.co.uk": "acme", "co.uk": "co",
		"a-b.example": "ab", "ACME.Example": "acme", ".": "", "..": "",
	} {
		if got := mainLabel(host); got != want {
			t.Errorf("%q: %q, not %q", host, got, want)
		}
	}
}

func TestADisplayNameNamesItsDomain(t *testing.T) {
	for _, c := range []struct{ display, label, want string }{
		{"Harbour Crane", "harbourcrane", "yes"}, {"Harbour Crane News", "harbourcrane", "yes"}, {"Harbour", "harbourcrane", "yes"},
		{"News of the harbour", "harbourcrane", "word"}, {"Your Bank", "harbourcrane", "no"}, {"", "harbourcrane", "empty"},
	} {
		if got := namedBy(c.display, c.label); got != c.want {
			t.Errorf("%q of %s: %s, not %s", c.display, c.label, got, c.want)
		}
	}
}

func TestReasonsAreFeatures(t *testing.T) {
	e := &ocsf.Event{Mail: &ocsf.Mail{From: "a@b.example"}}
	without, with := Features(e, "hello", nil, nil), Features(e, "hello", nil, []string{"html-only"})
	if len(with.index) != len(without.index)+1 || len(with.value) != len(with.index) {
		t.Errorf("%d features with a reason, %d without", len(with.index), len(without.index))
	}
}

func TestMoreIsAskedOfALoneMake(t *testing.T) {
	m, _ := train(t)
	v := *examples(1)[1].Vector
	prior := Prior{Odds: 2}
	seen := m.Odds(&v, prior)
	v.cell = (4+2)*cellsEach + 15 // an answer in HTML alone, long and full of links: training shows none
	if m.lone(&v) != 1 {
		t.Fatalf("%.2f lone, where training saw nothing made alike", m.lone(&v))
	}
	if lone := m.Odds(&v, prior); lone >= seen {
		t.Errorf("%.2f where nothing made alike was seen, %.2f where it was", lone, seen)
	}
}

// TestWhatShipsIsNotLostForWantOfTraining: where training shows nothing made like the message, the reasons alone decide at
// least, and what rests on declarations counts in full beside any training.
func TestWhatShipsIsNotLostForWantOfTraining(t *testing.T) {
	m, _ := train(t)
	v := *examples(1)[0].Vector // words of legitimate mail
	v.cell = (4+2)*cellsEach + 15
	if got, want := m.Odds(&v, Prior{Odds: 8}), Base+8; got < want {
		t.Errorf("%.2f, and the reasons alone come to %.2f", got, want)
	}
	known := examples(1)[0].Vector
	if gain := m.Odds(known, Prior{Odds: 8, Firm: 8}) - m.Odds(known, Prior{}); math.Abs(gain-8) > 1e-6 {
		t.Errorf("what rests on declarations adds %.2f of 8", gain)
	}
}

func TestAnIdleMessageIsJudgedByReasonsAlone(t *testing.T) {
	m, _ := train(t)
	for _, e := range examples(1) {
		if got := m.Odds(e.Vector, Prior{Odds: 1, Idle: true}); got != Base+1 {
			t.Errorf("%.2f, not %.2f", got, Base+1)
		}
	}
}
