package tracing

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func mark(n byte) string { return Fingerprint(testKey(n).Public().(ed25519.PublicKey)) }

// Key 1 asks for acme, key 2 answers for northwind, whose trust into acme pins key 1; key 3 is nobody's.
func model() *tenant.Model {
	return &tenant.Model{
		Tenants: []tenant.Tenant{{ID: "acme", Networks: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")}}, {ID: "northwind", Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
			{ID: "borg", Networks: []netip.Prefix{netip.MustParsePrefix("10.3.0.0/16")}}},
		Partners: []tenant.Partner{{ID: "nw", Tenant: "northwind"}, {ID: "other"}},
		Trusts: []tenant.Trust{
			{ID: "nw-acme", Partner: "nw", Tenant: "acme", Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.8/29")}, Trace: tenant.TraceTerms{Peer: mark(1), Account: true}},
			{ID: "nw-borg", Partner: "nw", Tenant: "borg", Trace: tenant.TraceTerms{Peer: mark(4), Auto: true}},
			{ID: "ended", Partner: "nw", Tenant: "acme", ValidUntil: now.Add(-time.Hour), Trace: tenant.TraceTerms{Peer: mark(5)}}}}
}

func request() Request {
	return Request{ID: "r1", Asker: "acme", Asked: "nw", Peer: mark(2), Address: "203.0.113.9", At: now.Add(-2 * time.Hour), From: now.Add(-3 * time.Hour), To: now.Add(-time.Hour),
		Nonce: strings.Repeat("ab", 16), Issued: now.Add(-time.Minute), Expires: now.Add(time.Hour), TLP: "TLP:AMBER"}
}

func sign(t testing.TB, key byte, what any) []byte {
	t.Helper()
	doc, err := Sign(testKey(key), what)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// judge reads and judges a document as the answering side does.
func judge(doc []byte) (Terms, error) {
	s, err := Read(doc)
	if err != nil {
		return Terms{}, err
	}
	return Judge(model(), nil, mark(2), s, now)
}

func TestARequestIsJudged(t *testing.T) {
	for name, c := range map[string]struct {
		key    byte
		change func(*Request)
		want   Code
	}{
		"as it should be":                      {1, func(*Request) {}, ""},
		"an address of the partner's own":      {1, func(r *Request) { r.Address = "10.1.7.7" }, ""},
		"an account alone":                     {1, func(r *Request) { r.Address, r.Account = "", "nw-admin" }, ""},
		"a key that nobody pinned":             {3, func(*Request) {}, CodeUnknownPeer},
		"the key of a trust that ended":        {5, func(*Request) {}, CodeUnknownPeer},
		"meant for somebody else":              {1, func(r *Request) { r.Peer = mark(3) }, CodeNotForUs},
		"issued tomorrow":                      {1, func(r *Request) { r.Issued, r.Expires = now.Add(24*time.Hour), now.Add(25*time.Hour) }, CodeNotYetValid},
		"issued within the slack of clocks":    {1, func(r *Request) { r.Issued = now.Add(4 * time.Minute) }, ""},
		"expired":                              {1, func(r *Request) { r.Issued, r.Expires = now.Add(-2*time.Hour), now }, CodeExpired},
		"without an end":                       {1, func(r *Request) { r.Expires = now.Add(30 * 24 * time.Hour) }, CodeBadDocument},
		"about two days":                       {1, func(r *Request) { r.From = r.To.Add(-48 * time.Hour) }, CodeOverBroad},
		"about a network":                      {1, func(r *Request) { r.Address = "203.0.113.0/24" }, CodeOverBroad},
		"about everything":                     {1, func(r *Request) { r.Address = "" }, CodeOverBroad},
		"about any address":                    {1, func(r *Request) { r.Address = "0.0.0.0" }, CodeOverBroad},
		"about all accounts":                   {1, func(r *Request) { r.Account = "*" }, CodeOverBroad},
		"a target that is a network":           {1, func(r *Request) { r.Target = "10.2.0.0/16" }, CodeOverBroad},
		"about another client of the provider": {1, func(r *Request) { r.Address = "10.3.0.5" }, CodeOutOfScope},
		"about the Internet":                   {1, func(r *Request) { r.Address = "8.8.8.8" }, CodeOutOfScope},
		"another client about the first's":     {4, func(r *Request) { r.Address = "10.2.0.5" }, CodeOutOfScope},
		"no address":                           {1, func(r *Request) { r.Address = "acme" }, CodeBadDocument},
		"a short nonce":                        {1, func(r *Request) { r.Nonce = "ab" }, CodeBadDocument},
		"times that contradict":                {1, func(r *Request) { r.At = r.To.Add(time.Second) }, CodeBadDocument},
		"a name that drives the terminal":      {1, func(r *Request) { r.Asker = "a\x1b[2J" }, CodeBadDocument},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			c.change(&r)
			terms, err := judge(sign(t, c.key, r))
			if CodeOf(err) != c.want || (err == nil) != (c.want == "") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if err == nil && (terms.Tenant != "northwind" || terms.Trust != "nw-acme" || terms.Auto || !terms.Account) {
				t.Errorf("terms %+v", terms)
			}
			if err != nil && err.Error() == "" {
				t.Error("a refusal without a reason")
			}
		})
	}
}

// envelope is a document as it travels, for whoever forges one.
type envelope struct {
	Breakwater string `json:"breakwater"`
	Key        []byte `json:"key"`
	Payload    []byte `json:"payload"`
	Signature  []byte `json:"signature"`
}

func signed(kind string, payload []byte) []byte { return append([]byte(kind+"\x00"), payload...) }

// TestAForgedDocumentIsRefused changes each part of a signed document.
func TestAForgedDocumentIsRefused(t *testing.T) {
	doc := sign(t, 1, request())
	change := func(do func(*envelope)) []byte {
		var e envelope
		if err := json.Unmarshal(doc, &e); err != nil {
			t.Fatal(err)
		}
		do(&e)
		out, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, c := range map[string]struct {
		doc  []byte
		want Code
	}{
		"another payload": {change(func(e *envelope) { e.Payload = bytes.Replace(e.Payload, []byte("113.9"), []byte("113.8"), 1) }), CodeBadSignature},
		"another key":     {change(func(e *envelope) { e.Key = testKey(3).Public().(ed25519.PublicKey) }), CodeBadSignature},
		"signed anew by a key that nobody pinned": {change(func(e *envelope) {
			e.Key, e.Signature = testKey(3).Public().(ed25519.PublicKey), ed25519.Sign(testKey(3), signed(e.Breakwater, e.Payload))
		}), CodeUnknownPeer},
		"a request passed off as an answer": {change(func(e *envelope) { e.Breakwater = KindAnswer }), CodeBadSignature},
		"half a signature":                  {change(func(e *envelope) { e.Signature = e.Signature[:32] }), CodeBadDocument},
		"of another version":                {change(func(e *envelope) { e.Breakwater = "breakwater/trace-request/9" }), CodeBadDocument},
		"something behind it":               {append(bytes.Clone(doc), "{}"...), CodeBadDocument},
		"too long":                          {append(bytes.Clone(doc), bytes.Repeat([]byte(" "), MaxDocument)...), CodeBadDocument},
		"nothing":                           {nil, CodeBadDocument},
		"an unknown member":                 {bytes.Replace(doc, []byte(`"key"`), []byte(`"more": 1, "key"`), 1), CodeBadDocument},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := judge(c.doc); CodeOf(err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestAReplayIsRefusedByALaterProcessToo(t *testing.T) {
	dir := t.TempDir()
	s, err := Read(sign(t, 1, request()))
	if err != nil {
		t.Fatal(err)
	}
	with := func(do func(*Ledger)) {
		t.Helper()
		l, err := OpenLedger(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		do(l)
	}
	with(func(l *Ledger) {
		if err := l.Admit(s, now); err != nil {
			t.Errorf("the first time: %v", err)
		}
		if err := l.Answered(s, now); err != nil {
			t.Error(err)
		}
	})
	with(func(l *Ledger) {
		if err := l.Admit(s, now.Add(time.Minute)); CodeOf(err) != CodeReplayed {
			t.Errorf("again: %v", err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, answeredName), []byte(`[{"peer":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLedger(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a ledger that can't be read is taken for an empty one: %v", err)
	}
}

func TestAPeerGetsSoManyAnswersAnHour(t *testing.T) {
	l, err := OpenLedger(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range MaxAnswers + 1 {
		r := request()
		r.Nonce = NewNonce()
		s, err := Read(sign(t, 1, r))
		if err != nil {
			t.Fatal(err)
		}
		at := now.Add(time.Duration(i) * time.Second)
		switch err := l.Admit(s, at); {
		case i == MaxAnswers && CodeOf(err) != CodeRateLimited:
			t.Errorf("the answer after the limit: %v", err)
		case i < MaxAnswers && err != nil:
			t.Fatal(err)
		case i == MaxAnswers:
			if err := l.Admit(s, at.Add(RateWindow)); err != nil {
				t.Errorf("an hour later: %v", err)
			}
			if s.Signer = mark(4); CodeOf(l.Admit(s, at)) == CodeRateLimited {
				t.Error("one peer's rate counts for another")
			}
			continue
		}
		if err := l.Answered(s, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheAuditFileIsAChain(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 { // each by a process of its own
		l, err := OpenLedger(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Note(Entry{Time: now.Add(time.Duration(i) * time.Second), What: "refused", Code: CodeExpired, Subject: "203.0.113.9 <b>"}); err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	data, err := os.ReadFile(filepath.Join(dir, auditName))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := VerifyAudit(bytes.NewReader(data)); n != 3 || err != nil {
		t.Fatalf("%d lines: %v", n, err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	for name, bad := range map[string][]byte{
		"a line changed":   bytes.Replace(data, []byte("expired"), []byte("replayed"), 1),
		"a line taken out": append(bytes.Clone(lines[0]), lines[2]...),
		"lines swapped":    bytes.Join([][]byte{lines[1], lines[0], lines[2]}, nil),
		"half a line":      data[:len(data)-20],
	} {
		if _, err := VerifyAudit(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s: nothing is said", name)
		}
	}
}

func TestAnAnswerIsHeldAgainstItsRequest(t *testing.T) {
	asked := sign(t, 1, request())
	s, err := Read(asked)
	if err != nil {
		t.Fatal(err)
	}
	good := Answer{ID: "a", Answerer: "northwind", Request: s.Hash, Asked: asked, Outcome: OutcomeHop, Reason: "one", Issued: now, TLP: "TLP:AMBER",
		Hops: []Hop{{From: "10.1.0.5", Kind: "ssh", Start: now.Add(-3 * time.Hour), End: now.Add(-time.Hour), Confidence: 90}}}
	for name, c := range map[string]struct {
		key    byte
		own    byte
		change func(*Answer)
		want   Code
	}{
		"as it should be":                {2, 1, func(*Answer) {}, ""},
		"from somebody who wasn't asked": {3, 1, func(*Answer) {}, CodeUnknownPeer},
		"to a request of another's":      {2, 4, func(*Answer) {}, CodeNotForUs},
		"that names another request":     {2, 1, func(a *Answer) { a.Request = strings.Repeat("0", 64) }, CodeBadDocument},
		"that holds no request":          {2, 1, func(a *Answer) { a.Asked = []byte("{}") }, CodeBadDocument},
		"with a hop and no hop":          {2, 1, func(a *Answer) { a.Outcome = OutcomeOrigin }, CodeBadDocument},
		"more sure than sure":            {2, 1, func(a *Answer) { a.Hops = []Hop{{From: "x", Kind: "ssh", Start: now, End: now, Confidence: 101}} }, CodeBadDocument},
		"with more hops than one choice": {2, 1, func(a *Answer) { a.Hops = append(a.Hops, a.Hops[0], a.Hops[0], a.Hops[0], a.Hops[0]) }, CodeBadDocument},
	} {
		t.Run(name, func(t *testing.T) {
			a := good
			c.change(&a)
			d, err := Read(sign(t, c.key, a))
			if err == nil {
				_, err = Accept(mark(c.own), d)
			}
			if CodeOf(err) != c.want || (err == nil) != (c.want == "") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Accept(mark(1), s); CodeOf(err) != CodeBadDocument {
		t.Errorf("a request taken for an answer: %v", err)
	}
}

// TestIsolationWhatAnAnswerMayName: the two sides of a trust and nobody else that is declared.
func TestIsolationWhatAnAnswerMayName(t *testing.T) {
	m := model()
	for _, c := range []struct {
		id      tenant.ID
		partner tenant.PartnerID
		want    bool
	}{{"northwind", "", true}, {"acme", "", true}, {"borg", "", false}, {"", "", true}, {"", "nw", true}, {"", "other", false}} {
		if got := Visible(m, "nw-acme", c.id, c.partner); got != c.want {
			t.Errorf("tenant %q, partner %q: %t", c.id, c.partner, got)
		}
	}
}

func TestKeys(t *testing.T) {
	name := filepath.Join(t.TempDir(), "trace", "key.pem")
	if _, err := ReadKey(name); err == nil || !strings.Contains(err.Error(), "trace key create") {
		t.Errorf("no key: %v", err)
	}
	key, err := CreateKey(name)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ReadKey(name)
	if err != nil || !key.Equal(again) {
		t.Errorf("read back: %v", err)
	}
	if _, err := CreateKey(name); err == nil {
		t.Error("a key was replaced")
	}
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(name); err == nil || !strings.Contains(err.Error(), "others can read") {
		t.Errorf("a key that others can read: %v", err)
	}
	if f := mark(1); len(f) != len("SHA256:")+43 || f == mark(2) {
		t.Errorf("fingerprint %s", f)
	}
	var no *Refusal
	if errors.As(err, &no) {
		t.Error("a key that can't be read is no refusal")
	}
}

func FuzzRead(f *testing.F) {
	doc := sign(f, 1, request())
	f.Add(doc)
	f.Add(sign(f, 2, Answer{ID: "a", Request: "x", Asked: doc, Outcome: OutcomeOrigin, Issued: now}))
	f.Add([]byte(`{"breakwater":"breakwater/trace-request/1","key":"","payload":"e30=","signature":""}`))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Read(data)
		if err != nil {
			if CodeOf(err) == "" {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if (s.Request == nil) == (s.Answer == nil) {
			t.Fatal("neither or both")
		}
		if s.Request != nil && s.Request.To.Sub(s.Request.From) > MaxSpan {
			t.Fatal("a request that is too broad was read")
		}
		_, _ = Judge(model(), nil, mark(2), s, now)
		_, _ = Accept(mark(1), s)
	})
}

// FuzzForm reads payloads that are signed, as an asker that means ill can write them.
func FuzzForm(f *testing.F) {
	good, err := json.Marshal(request())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, true)
	f.Add([]byte(`{"id":"r","from":"0001-01-01T00:00:00Z","to":"9999-12-31T23:59:59Z"}`), true)
	f.Add([]byte(`{"outcome":"hop","hops":[{"from":"x"}]}`), false)
	f.Fuzz(func(t *testing.T, payload []byte, ask bool) {
		e := envelope{Breakwater: KindAnswer, Key: testKey(1).Public().(ed25519.PublicKey), Payload: payload}
		if ask {
			e.Breakwater = KindRequest
		}
		e.Signature = ed25519.Sign(testKey(1), signed(e.Breakwater, payload))
		doc, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Read(doc)
		if err != nil {
			return
		}
		if terms, err := Judge(model(), nil, mark(2), s, now); err == nil && terms.Tenant != "northwind" && terms.Tenant != "acme" {
			t.Fatalf("the peer of one trust is answered for %s", terms.Tenant)
		}
	})
}
