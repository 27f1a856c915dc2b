package tracing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// docket opens a ledger in a folder for the length of a test.
func docket(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := OpenLedger(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// handed is a request of its own nonce that a key's owner handed in.
func handed(t *testing.T, key byte, at time.Time) Asked {
	t.Helper()
	r := request()
	r.Nonce, r.Issued, r.Expires = NewNonce(), at, at.Add(time.Hour)
	doc := sign(t, key, r)
	s, err := Read(doc)
	if err != nil {
		t.Fatal(err)
	}
	return Asked{ID: RequestID(s), Tenant: "northwind", Trust: "nw-acme", Peer: s.Signer, Received: at, By: "t-1", Document: doc}
}

func TestARequestWaitsOverARestart(t *testing.T) {
	dir := t.TempDir()
	l := docket(t, dir)
	a, b := handed(t, 1, now), handed(t, 1, now.Add(time.Minute))
	for _, x := range []Asked{b, a, a} {
		if got, err := l.Wait(x, now); err != nil || got.State != StateWaiting {
			t.Fatalf("%v: %+v", err, got)
		}
	}
	again := a
	again.Received = now.Add(time.Hour)
	if got, err := l.Wait(again, now); err != nil || !got.Received.Equal(now) {
		t.Errorf("one that waits is handed in again: %v, received %s", err, got.Received)
	}
	list, err := Requests(dir)
	if err != nil || len(list) != 2 || list[0].ID != a.ID || list[1].ID != b.ID || !bytes.Equal(list[0].Document, a.Document) {
		t.Fatalf("%v: %+v", err, list)
	}
	a.State, a.Decided, a.DecidedBy, a.Reason = StateDeclined, now, "jo", "not ours"
	if err := l.Keep(a, now); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Wait(a, now); CodeOf(err) != CodeDeclined || !strings.Contains(err.Error(), "jo said no to it at 2026-03-02T12:00:00Z: not ours") {
		t.Errorf("what was declined: %v", err)
	}
	if list, err := Requests(dir); err != nil || list[0].ID != b.ID || list[1].State != StateDeclined {
		t.Errorf("those that wait are not first: %v %+v", err, list)
	}
}

func TestOnlySoManyRequestsWait(t *testing.T) {
	l := docket(t, t.TempDir())
	for i := range MaxWaitingPeer + 1 {
		_, err := l.Wait(handed(t, 1, now), now)
		if full := i == MaxWaitingPeer; full != (CodeOf(err) == CodeRateLimited) || !full && err != nil {
			t.Fatalf("request %d of a peer: %v", i, err)
		}
	}
	if _, err := l.Wait(handed(t, 1, now.Add(2*time.Hour)), now.Add(2*time.Hour)); err != nil {
		t.Errorf("after those have expired: %v", err)
	}
	n := MaxWaitingPeer + 1
	for key := byte(2); ; key++ {
		if _, err := l.Wait(handed(t, key, now), now); err != nil {
			if CodeOf(err) != CodeRateLimited || n != MaxWaiting {
				t.Errorf("after %d: %v", n, err)
			}
			break
		}
		if n++; n > MaxWaiting {
			t.Fatalf("%d wait", n)
		}
	}
}

// TestWhatIsKeptStaysBounded decides more requests than are kept, and lets time pass.
func TestWhatIsKeptStaysBounded(t *testing.T) {
	dir := t.TempDir()
	l := docket(t, dir)
	if err := os.MkdirAll(filepath.Join(dir, requestsName), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range MaxKept { // written beside the docket, which would read all of them for each
		a := handed(t, 1, now.Add(time.Duration(i)*time.Second))
		a.State, a.Decided = StateAnswered, a.Received
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, requestsName, a.ID+".json"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	waits := handed(t, 1, now.Add(-time.Minute)) // the oldest of all
	if _, err := l.Wait(waits, now); err != nil {
		t.Fatal(err)
	}
	list, err := Requests(dir)
	if err != nil || len(list) != MaxKept || list[0].ID != waits.ID || !list[1].Received.Equal(now.Add(time.Second)) {
		t.Fatalf("%v: %d are kept, the first of those that were answered came at %s", err, len(list), list[1].Received)
	}
	late := now.Add(MaxLife + KeepDecided + time.Hour)
	next := handed(t, 1, late)
	if _, err := l.Wait(next, late); err != nil {
		t.Fatal(err)
	}
	if list, err := Requests(dir); err != nil || len(list) != 1 || list[0].ID != next.ID {
		t.Errorf("%v: %d are kept for ever", err, len(list))
	}
}

func TestADamagedRequestIsToldAndTheOthersAreRead(t *testing.T) {
	dir := t.TempDir()
	l := docket(t, dir)
	good := handed(t, 1, now)
	if _, err := l.Wait(good, now); err != nil {
		t.Fatal(err)
	}
	bad := strings.Repeat("0", 32)
	for name, text := range map[string]string{bad + ".json": `{"id":`, "notes.txt": "x", strings.Repeat("1", 32) + ".json.new": "half"} {
		if err := os.WriteFile(filepath.Join(dir, requestsName, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := Requests(dir)
	if len(list) != 1 || list[0].ID != good.ID || err == nil || !strings.Contains(err.Error(), bad) {
		t.Errorf("%d are read: %v", len(list), err)
	}
	if _, err := l.Wait(handed(t, 1, now), now); err != nil {
		t.Errorf("a damaged file stops others: %v", err)
	}
	if list, err := Requests(t.TempDir()); err != nil || len(list) != 0 || list == nil {
		t.Errorf("of a new folder: %v, %v", list, err)
	}
}

func TestAnswersAreKeptByWhenTheyWereGiven(t *testing.T) {
	dir := t.TempDir()
	l := docket(t, dir)
	give := func(at time.Time) *Signed {
		r := request()
		r.Nonce = NewNonce()
		asked := sign(t, 1, r)
		q, err := Read(asked)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Read(sign(t, 2, Answer{ID: "a", Answerer: "northwind", Request: q.Hash, Asked: asked, Outcome: OutcomeOrigin, Reason: "one", Issued: at, TLP: "TLP:AMBER"}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	second, first, old := give(now), give(now.Add(-time.Hour)), give(now.Add(-KeepAnswers-time.Hour))
	for _, s := range []*Signed{old, second, first, second} {
		if err := l.KeepAnswer(s, now); err != nil {
			t.Fatal(err)
		}
	}
	list, err := Answers(dir)
	if err != nil || len(list) != 2 || list[0].Hash != first.Hash || list[1].Hash != second.Hash {
		t.Fatalf("%v: %d are kept", err, len(list))
	}
	if r, err := Accept(mark(1), list[0]); err != nil || r.Asker != "acme" {
		t.Errorf("what is kept is no longer an answer: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, acceptedName, strings.Repeat("0", 32)+".json"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list, err := Answers(dir); len(list) != 2 || err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("beside a damaged one: %d, %v", len(list), err)
	}
}

func TestWaitingForTheLedgerEndsWithTheContext(t *testing.T) {
	dir := t.TempDir()
	l := docket(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenLedger(ctx, dir); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "held by another command") {
		t.Errorf("a held ledger: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		l, err := OpenLedger(context.Background(), dir)
		if err == nil {
			err = l.Close()
		}
		got <- err
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Errorf("after it was let go: %v", err)
	}
}

func TestIsolationAJudgeSeesTheTrustsOfItsScopeAlone(t *testing.T) {
	for name, c := range map[string]struct {
		sees    []tenant.ID
		address string
		want    Code
		of      tenant.ID
	}{
		"the partner's own tenant":                {[]tenant.ID{"northwind"}, "203.0.113.9", "", "northwind"},
		"the client's side about the client":      {[]tenant.ID{"acme"}, "10.2.0.5", "", "acme"},
		"the client's side about the partner":     {[]tenant.ID{"acme"}, "10.1.7.7", CodeOutOfScope, ""},
		"the partner's own about the client":      {[]tenant.ID{"northwind"}, "10.2.0.5", CodeOutOfScope, ""},
		"another client knows nothing of the key": {[]tenant.ID{"borg"}, "203.0.113.9", CodeUnknownPeer, ""},
		"nobody": {nil, "203.0.113.9", CodeUnknownPeer, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			r.Address = c.address
			s, err := Read(sign(t, 1, r))
			if err != nil {
				t.Fatal(err)
			}
			scope := tenant.ScopeOf(c.sees...)
			terms, err := Judge(model(), scope.Sees, mark(2), s, now)
			if CodeOf(err) != c.want || terms.Tenant != c.of {
				t.Errorf("%v, %+v", err, terms)
			}
			for _, other := range []string{"borg", "northwind", "nw-acme"} {
				if err != nil && strings.Contains(err.Error(), other) {
					t.Errorf("the refusal names %s: %v", other, err)
				}
			}
		})
	}
}

func TestARequestThatNoAnswerCouldHoldIsRefused(t *testing.T) {
	doc := sign(t, 1, request())
	if _, err := Read(doc); err != nil {
		t.Fatal(err)
	}
	long := append(bytes.Clone(doc), bytes.Repeat([]byte("\n"), MaxRequest)...)
	if _, err := Read(long); CodeOf(err) != CodeBadDocument || !strings.Contains(err.Error(), fmt.Sprint(MaxRequest)) {
		t.Errorf("%d bytes: %v", len(long), err)
	}
}

// FuzzKept reads what stands in a file of the docket.
func FuzzKept(f *testing.F) {
	good, err := json.Marshal(Asked{ID: strings.Repeat("0", 32), State: StateWaiting, Received: now, Document: []byte("{}")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"id":"00000000000000000000000000000000","decided":"x"}`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := writeWhole(filepath.Join(dir, requestsName), strings.Repeat("0", 32), data); err != nil {
			t.Fatal(err)
		}
		list, err := Requests(dir)
		if len(list) == 0 && err == nil {
			t.Fatal("a file is passed over in silence")
		}
		for i := range list {
			_, _ = list[i].over(now), list[i].expired(now)
		}
		l, err := OpenLedger(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if _, err := l.Wait(Asked{ID: strings.Repeat("1", 32), Received: now}, now); err != nil {
			t.Fatalf("what is kept stops what comes: %v", err)
		}
	})
}
