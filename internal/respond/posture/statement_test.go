package posture

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/signing"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

var testKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

const month = 30 * 24 * time.Hour

// stated judges facts of a provider, states that and signs it.
func stated(t testing.TB, l *Library, p *Policy, facts ...evidence.Item) (*Statement, []byte) {
	t.Helper()
	msp := tenant.Tenant{ID: "msp", Name: "North MSP", Role: tenant.RoleProvider}
	for i := range facts {
		facts[i].Tenant = "msp"
	}
	rep, err := l.For(msp, p).Check(t.Context(), facts, noon)
	if err != nil {
		t.Fatal(err)
	}
	s, err := rep.State("", "Acme", noon, month)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := s.Sign(testKey)
	if err != nil {
		t.Fatal(err)
	}
	return s, doc
}

func TestAStatementIsVerifiedAsItWasSigned(t *testing.T) {
	s, doc := stated(t, libraryOf(t, "require: item.values.ok"), nil, fact("a", 3, ok(true)))
	v, err := VerifyStatement(doc)
	if err != nil {
		t.Fatal(err)
	}
	c := v.Claims[0]
	if v.Issuer != "North MSP" || v.For != "Acme" || !v.Expires.Equal(noon.Add(month)) || v.Signer != signing.Fingerprint(testKey.Public().(ed25519.PublicKey)) ||
		c.Control != "test-control" || c.Status != Pass || c.Facts != 1 || !c.Newest.Equal(noon.Add(-72*time.Hour)) || c.Judged != s.Claims[0].Judged {
		t.Errorf("got %+v", v)
	}
}

// TestAStatementHoldsNothingInternal looks for everything that was in the evidence.
func TestAStatementHoldsNothingInternal(t *testing.T) {
	l := libraryOf(t, "require: item.values.ok\nsays: '\"secret-words \" + item.subject'")
	var facts []evidence.Item
	for i, good := range []bool{true, false} {
		f := fact("secret-host-"+string(rune('a'+i)), 3, map[string]any{"ok": good, "owner": "secret-person", "address": "192.0.2.77", "sha256": strings.Repeat("ab", 32)})
		f.Partner, f.Trust, f.From = "secret-partner", "secret-trust", evidence.Origin{File: "secret-dir/secret-file.csv", Line: 4711, SHA256: strings.Repeat("0f", 32)}
		facts = append(facts, f)
	}
	p := &Policy{all: rules{exceptions: []Exception{{Control: "test-control", Subject: "secret-host-b", Owner: "secret-owner", Reason: "secret-reason", Expires: noon.Add(48 * time.Hour)}}}}
	s, doc := stated(t, l, p, facts...)
	v, err := VerifyStatement(doc)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"secret", "192.0.2.77", "4711"} {
		if bytes.Contains(plain, []byte(word)) {
			t.Errorf("%q is in the statement: %s", word, plain)
		}
	}
	c := s.Claims[0]
	if c.Status != Excepted || c.Until == nil || c.Files != 2 || len(c.Evidence) != 2 {
		t.Errorf("the claim is %+v", c)
	}
}

func TestAClaimAges(t *testing.T) {
	until := noon.Add(5 * 24 * time.Hour)
	newest := noon.Add(-30 * 24 * time.Hour)
	s := &Statement{Expires: noon.Add(month)}
	for _, c := range []struct {
		name  string
		claim Claim
		days  int
		want  Status
	}{
		{"still fresh", Claim{Status: Pass, Newest: &newest, Hours: 35 * 24}, 5, Pass},
		{"aged meanwhile", Claim{Status: Pass, Newest: &newest, Hours: 35 * 24}, 6, Stale},
		{"the statement has expired", Claim{Status: Pass, Newest: &newest, Hours: 90 * 24}, 30, Stale},
		{"of no age", Claim{Status: Pass, Hours: 35 * 24}, 1, Unknown},
		{"excepted still", Claim{Status: Excepted, Until: &until}, 4, Excepted},
		{"excepted no longer", Claim{Status: Excepted, Until: &until}, 5, Fail},
		{"failing stays failing", Claim{Status: Fail}, 90, Fail},
	} {
		if got, why := s.StandingAt(&c.claim, noon.Add(time.Duration(c.days)*24*time.Hour)); got != c.want {
			t.Errorf("%s: got %s (%s), want %s", c.name, got, why, c.want)
		}
	}
}

func TestAFalseStatementIsRefused(t *testing.T) {
	s, doc := stated(t, libraryOf(t, "require: item.values.ok"), nil, fact("a", 3, ok(true)))
	forged := func(change func(*Statement)) []byte {
		x := *s
		x.Claims = append([]Claim{}, s.Claims...)
		change(&x)
		payload, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		out, err := signing.Seal(testKey, KindStatement, payload, MaxStatement)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	another, err := signing.Seal(testKey, "breakwater/trace-answer/1", []byte("{}"), MaxStatement)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][]byte{
		"cut":                     doc[:len(doc)/2],
		"another kind":            another,
		"no claims":               forged(func(s *Statement) { s.Claims = nil }),
		"a claim twice":           forged(func(s *Statement) { s.Claims = append(s.Claims, s.Claims[0]) }),
		"holds for ever":          forged(func(s *Statement) { s.Expires = s.Issued.Add(2 * maxLife) }),
		"expires before it began": forged(func(s *Statement) { s.Expires = s.Issued.Add(-time.Hour) }),
		"a status of its own":     forged(func(s *Statement) { s.Claims[0].Status = "great" }),
		"a terminal's title":      forged(func(s *Statement) { s.Claims[0].Title = "a\x1b]0;b" }),
		"an issuer of two lines":  forged(func(s *Statement) { s.Issuer = "a\nb" }),
		"a hash that is none":     forged(func(s *Statement) { s.Claims[0].Evidence, s.Claims[0].Files = []string{"x"}, 1 }),
		"never ages":              forged(func(s *Statement) { s.Claims[0].Hours = 1 << 40 }),
	} {
		if v, err := VerifyStatement(c); err == nil {
			t.Errorf("%s: taken: %+v", name, v.Statement)
		}
	}
	if _, err := VerifyStatement(forged(func(*Statement) {})); err != nil {
		t.Errorf("unchanged: %v", err)
	}
}

func TestAClaimIsHeldAgainstWhatWasSeen(t *testing.T) {
	l := libraryOf(t, "contradicted_by: [remotetool, T1133, lateral/rdp-chain]\nrequire: item.values.ok")
	_, doc := stated(t, l, nil, fact("a", 3, ok(true)))
	v, err := VerifyStatement(doc)
	if err != nil {
		t.Fatal(err)
	}
	now := noon.Add(48 * time.Hour)
	seen := func(change func(*Sighting)) []Sighting {
		s := Sighting{ID: "f1", Tenant: "acme", Partner: "msp", Time: noon, End: noon, Detector: "remotetool", Rule: "foreign", Title: "a foreign instance", Severity: ocsf.SeverityHigh}
		change(&s)
		return []Sighting{s}
	}
	ours := fact("ours", 0, ok(false))
	ours.Partner = "msp"
	others := ours
	others.Partner = "somebody"
	for _, c := range []struct {
		name  string
		seen  []Sighting
		facts []evidence.Item
		want  int
	}{
		{"nothing was seen", nil, nil, 0},
		{"its detector", seen(func(*Sighting) {}), nil, 1},
		{"its technique, or one below", seen(func(s *Sighting) { s.Detector, s.Technique = "sigma", "T1133.001" }), nil, 1},
		{"another technique that begins alike", seen(func(s *Sighting) { s.Detector, s.Technique = "sigma", "T11331" }), nil, 0},
		{"its rule of a detector", seen(func(s *Sighting) { s.Detector, s.Rule = "lateral", "rdp-chain" }), nil, 1},
		{"another rule of it", seen(func(s *Sighting) { s.Detector, s.Rule = "lateral", "service" }), nil, 0},
		{"another detector", seen(func(s *Sighting) { s.Detector = "beacon" }), nil, 0},
		{"another partner", seen(func(s *Sighting) { s.Partner = "somebody" }), nil, 0},
		{"of nobody", seen(func(s *Sighting) { s.Partner = "" }), nil, 0},
		{"another tenant's telemetry", seen(func(s *Sighting) { s.Tenant = "borealis" }), nil, 0},
		{"approved", seen(func(s *Sighting) { s.Suppressed = json.RawMessage(`{"by":"approval"}`) }), nil, 0},
		{"mere information", seen(func(s *Sighting) { s.Severity = ocsf.SeverityInformational }), nil, 0},
		{"before the evidence, and over", seen(func(s *Sighting) { s.Time, s.End = noon.Add(-month), noon.Add(-4*24*time.Hour) }), nil, 0},
		{"begun before, and going on", seen(func(s *Sighting) { s.Time = noon.Add(-month) }), nil, 1},
		{"our own facts about the partner", nil, []evidence.Item{ours}, 1},
		{"our own facts about another", nil, []evidence.Item{others}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := l.For(acme, nil).Against(t.Context(), v, "msp", c.seen, c.facts, now)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != c.want {
				t.Fatalf("%d contradictions, want %d", len(got), c.want)
			}
			for i := range got {
				f := got[i].Finding(v, "msp", "snap")
				if f.Tenant != "acme" || f.Partner != "msp" || f.ID == "" || f.Severity != ocsf.SeverityHigh || f.Count != 1 || f.Time.IsZero() || !strings.Contains(f.Reason, v.Signer) {
					t.Errorf("the finding is %+v", f)
				}
			}
		})
	}
	if _, err := l.For(acme, nil).Against(t.Context(), v, "", nil, nil, now); err == nil {
		t.Error("held against telemetry without a partner")
	}
	if known, by, passing := l.Holdable(&v.Statement); known != 1 || by != 1 || passing != 1 {
		t.Errorf("holdable %d, %d of %d", known, by, passing)
	}
}

func TestFindingsOfAScanAreRead(t *testing.T) {
	f := &ocsf.Finding{ID: "f1", Tenant: "acme", Partner: "msp", Time: noon, End: noon.Add(time.Hour), Detector: "remotetool", Rule: "r", Severity: ocsf.SeverityHigh, Technique: "T1219"}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	if !AreFindings(text) || AreFindings([]byte(line)) || AreFindings(nil) {
		t.Error("findings are not told from facts")
	}
	var bad []string
	got, err := ReadSightings(t.Context(), bytes.NewReader(append(append(text, "\n{broken\n\n{}\n"...), text...)), func(_ int64, reason string) { bad = append(bad, reason) })
	if err != nil || len(got) != 2 || len(bad) != 2 {
		t.Fatalf("%d findings, %v left out, %v", len(got), bad, err)
	}
	want := SightingOf(f)
	if g := got[1]; g.ID != want.ID || g.Partner != want.Partner || g.Severity != want.Severity || !g.End.Equal(want.End) || len(g.Suppressed) != 0 {
		t.Errorf("got %+v, want %+v", g, want)
	}
}

func FuzzStatement(f *testing.F) {
	s, _ := stated(f, libraryOf(f, "require: item.values.ok"), nil, fact("a", 3, ok(true)))
	payload, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add([]byte(`{"issuer":"a","at":"2026-06-01T12:00:00Z","issued":"2026-06-01T12:00:00Z","expires":"2026-07-01T12:00:00Z","claims":[{}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		doc, err := signing.Seal(testKey, KindStatement, payload, MaxStatement)
		if err != nil {
			return
		}
		v, err := VerifyStatement(doc)
		if err != nil {
			return
		}
		for i := range v.Claims {
			if got, _ := v.StandingAt(&v.Claims[i], v.Expires); got == Pass {
				t.Fatalf("passes after its end: %+v", v.Claims[i])
			}
		}
		if _, err := v.Sign(testKey); err != nil {
			t.Fatalf("what was verified cannot be signed again: %v", err)
		}
	})
}

func FuzzSightings(f *testing.F) {
	f.Add([]byte(`{"id":"f","tenant":"a","time":"2026-06-01T12:00:00Z","detector":"d","severity":"high"}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ReadSightings(t.Context(), bytes.NewReader(data), func(int64, string) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list {
			if s.Tenant == "" || s.Detector == "" || s.End.Before(s.Time) {
				t.Fatalf("taken: %+v", s)
			}
		}
	})
}
