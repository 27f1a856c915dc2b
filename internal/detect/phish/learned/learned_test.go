package learned

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// examples are made mail of two vocabularies, day by day.
func examples(n int) []Example {
	var out []Example
	for i := range n {
		ham := fmt.Sprintf("the meeting about project %d moves to room number nine with colleague and agenda", i%7)
		lure := fmt.Sprintf("verify mailbox password now or account %d closes today click button below", i%5)
		for k, text := range []string{ham, lure} {
			e := &ocsf.Event{Mail: &ocsf.Mail{From: "a@b.example", Subject: text[:10]}}
			out = append(out, Example{Vector: Features(e, text, nil, nil), Prior: Prior{Odds: float64(2 * k)}, Phish: k == 1, Time: time.Unix(int64(i)*86400, 0)})
		}
	}
	return out
}

func train(t testing.TB) (*Model, *Report) {
	t.Helper()
	m, r, err := Train(context.Background(), examples(60), Options{FPR: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	return m, r
}

func encoded(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTrainingTellsTheClassesApart(t *testing.T) {
	m, r := train(t)
	if r.Recall < 0.95 || r.FPR > 0.01 || r.Ham != 60 || r.Spam != 60 || r.HeldOut != 120 {
		t.Errorf("%+v", *r)
	}
	list := examples(1)
	if h, p := m.Odds(list[0].Vector, Prior{}), m.Odds(list[1].Vector, Prior{Odds: 2}); h >= p || p < 0 || h > -1 {
		t.Errorf("legitimate %.2f, phishing %.2f", h, p)
	}
	if m.Threshold <= 0 || m.StrictThreshold < m.Threshold || m.StrictThreshold >= 1 {
		t.Errorf("thresholds %g and %g", m.Threshold, m.StrictThreshold)
	}
}

func TestEqualExamplesGiveAnEqualModel(t *testing.T) {
	a, _ := train(t)
	b, _ := train(t)
	if !bytes.Equal(encoded(t, a), encoded(t, b)) {
		t.Error("two trainings differ")
	}
}

func TestUnknownWordsGetLittleOfWhatWasLearned(t *testing.T) {
	m, _ := train(t)
	e := &ocsf.Event{Mail: &ocsf.Mail{From: "a@b.example"}}
	strange := Features(e, "zzyzx quux frobnicate xyzzy plugh wibble wobble", nil, nil)
	if k := m.known(strange); k != 0 {
		t.Errorf("%.2f of the words are known", k)
	}
	if d := m.damped(strange); math.Abs(d) > 0.1 {
		t.Errorf("training says %.2f of words it never saw", d)
	}
	if limit := math.Log1p(60); m.damped(examples(1)[1].Vector) > limit {
		t.Errorf("more than %.2f from 60 messages", limit)
	}
}

func TestAModelIsReadAsItWasWritten(t *testing.T) {
	m, _ := train(t)
	raw := encoded(t, m)
	got, err := Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	v := examples(1)[1].Vector
	if got.Odds(v, Prior{Odds: 1}) != m.Odds(v, Prior{Odds: 1}) || got.Threshold != m.Threshold || got.Ham != m.Ham || !bytes.Equal(encoded(t, got), raw) {
		t.Error("the model changed on its way")
	}
}

func TestADamagedModelIsRefused(t *testing.T) {
	m, _ := train(t)
	raw := encoded(t, m)
	tests := map[string][]byte{"empty": nil, "cut": raw[:len(raw)-40], "another kind": []byte("From a@b"), "grown": append(bytes.Clone(raw), 0)}
	for _, at := range []int{0, len(magic), len(magic) + headSize + 2, len(raw) - 1} {
		b := bytes.Clone(raw)
		b[at] ^= 0x40
		tests[fmt.Sprintf("byte %d changed", at)] = b
	}
	for name, b := range tests {
		if _, err := Read(bytes.NewReader(b)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLearningMovesTheOdds(t *testing.T) {
	m, _ := train(t)
	v := Features(&ocsf.Event{Mail: &ocsf.Mail{}}, "quarterly figures of the harbour crane are in the folder", nil, nil)
	before := m.Odds(v, Prior{})
	for range 20 {
		m.Learn(v, true, 1)
	}
	if after := m.Odds(v, Prior{}); after <= before || m.Spam != 80 {
		t.Errorf("%.2f after %.2f, %d phishing", after, before, m.Spam)
	}
}

func TestTooFewMessagesAreRefused(t *testing.T) {
	if _, _, err := Train(context.Background(), examples(10), Options{FPR: 0.01}); !errors.Is(err, ErrTooFew) {
		t.Errorf("%v", err)
	}
	if _, _, err := Train(context.Background(), examples(60), Options{FPR: 0.7}); err == nil {
		t.Error("a false positive rate of 0.7 is taken")
	}
}

func TestWhatTheReceiverWritesIsNoFeature(t *testing.T) {
	plain := &ocsf.Event{Mail: &ocsf.Mail{From: "a@b.example", To: []string{"x@y.example"}}}
	other := &ocsf.Event{Mail: &ocsf.Mail{From: "a@b.example", To: []string{"trap@honey.example"}, SPF: "pass", Bulk: true},
		Fields: ocsf.Fields{{Name: "header.authentication-results", Value: "mx; spf=pass"}, {Name: "header.list-id", Value: "<l.example>"}, {Name: "header.received", Value: "x"}}}
	a, b := Features(plain, "hello", nil, nil), Features(other, "hello", nil, nil)
	if fmt.Sprint(a.index) != fmt.Sprint(b.index) {
		t.Error("a receiver's header changes the features")
	}
}

func FuzzRead(f *testing.F) {
	m := New()
	m.Learn(examples(1)[0].Vector, false, 1)
	raw := encoded(f, m)
	f.Add(raw)
	f.Add(raw[:100])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Read(bytes.NewReader(raw))
		if (m == nil) == (err == nil) {
			t.Fatalf("model %v, error %v", m != nil, err)
		}
	})
}

func FuzzFeatures(f *testing.F) {
	f.Add("Hello | see https://a.example/x 12345", "Re: Hi!", "a@b.example", "https://a.example/x?y#z")
	f.Add("\xff\xfe é ", "", "@", "://")
	f.Fuzz(func(t *testing.T, text, subject, from, url string) {
		v := Features(&ocsf.Event{Mail: &ocsf.Mail{From: from, Subject: subject, MessageID: from}}, text, []Link{{URL: url, Host: url, TLD: from, Text: text}}, []string{subject})
		if len(v.index) != len(v.value) || v.words > len(v.index) {
			t.Fatalf("%d features, %d values, %d words", len(v.index), len(v.value), v.words)
		}
	})
}
