package api

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

type told struct{ Kind, ID, Data string }

// listen opens a watch and gives its events; closing the body ends it.
func (f *fixture) listen(t *testing.T, token, query, last string) (<-chan told, func()) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.srv.URL+prefix+"/watch"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the watch is %d, %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	out := make(chan told, 1000)
	go func() {
		defer close(out)
		var e told
		for s := bufio.NewScanner(res.Body); s.Scan(); {
			key, value, _ := strings.Cut(s.Text(), ": ")
			switch key {
			case "event":
				e.Kind = value
			case "id":
				e.ID = value
			case "data":
				e.Data = value
			case "":
				if e.Kind != "" {
					out <- e
				}
				e = told{}
			}
		}
	}()
	end := func() { res.Body.Close() }
	t.Cleanup(end)
	return out, end
}

// next returns the next event of one of the kinds.
func next(t *testing.T, from <-chan told, kinds ...string) told {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case e, ok := <-from:
			if !ok {
				t.Fatalf("the watch ended; awaited was %v", kinds)
			}
			for _, k := range kinds {
				if e.Kind == k {
					return e
				}
			}
		case <-deadline:
			t.Fatalf("no %v came", kinds)
		}
	}
}

func (f *fixture) grow(id string) {
	f.change(func(r *campaign.Result) {
		for i, x := range r.List {
			if x.ID == id {
				g := *x
				g.Count++
				r.List[i] = &g
			}
		}
	})
}

func TestWatchTellsWhatChanges(t *testing.T) {
	f := start(t)
	events, _ := f.listen(t, "viewer:*", "", "")
	if e := next(t, events, "ready", "finding"); e.Kind != "ready" || e.ID == "" {
		t.Fatalf("first comes %+v", e)
	}
	f.grow("f-ash-2")
	e := next(t, events, "finding")
	if g := parse[struct {
		ID    string
		Count int
	}](t, e.Data); g.ID != "f-ash-2" || g.Count != 2 {
		t.Errorf("the finding is %s", e.Data)
	}
	want, err := json.Marshal(f.result.List[4])
	if err != nil || e.Data != string(want) {
		t.Errorf("its data is %s, want %s (%v)", e.Data, want, err)
	}
	f.change(func(r *campaign.Result) {
		r.Campaigns[0].Summary = "more"
		r.Campaigns = r.Campaigns[:1]
		r.Incidents[0].Title = "Another"
	})
	for range 3 {
		switch e := next(t, events, "campaign", "incident"); {
		case e.Kind == "incident" && strings.Contains(e.Data, "Another"), strings.Contains(e.Data, `"summary":"more"`), e.Data == `{"id":"c-birchwood","removed":true}`:
		default:
			t.Errorf("unexpected %+v", e)
		}
	}
	if res, body := f.ask(t, "PUT", prefix+"/levels/ash", "analyst:ash", soon(`{"level":"heightened","reason":"x","until":"2099-01-01T00:00:00Z"}`)); res.StatusCode != 200 {
		t.Fatal(body)
	}
	f.mu.Lock()
	f.rows[0].Events = 90
	f.mu.Unlock()
	for seen := map[string]bool{}; len(seen) < 2; {
		e := next(t, events, "level", "coverage")
		seen[e.Kind] = true
		if !strings.Contains(e.Data, `"heightened"`) && !strings.Contains(e.Data, `"events":90`) {
			t.Errorf("unexpected %+v", e)
		}
	}
	if e := next(t, events, "status"); !strings.Contains(e.Data, `"events_per_second":`) {
		t.Errorf("the status is %s", e.Data)
	}
}

func TestIsolationOfWatches(t *testing.T) {
	f := start(t)
	ash, _ := f.listen(t, "viewer:ash", "?only=finding,campaign,incident,level,coverage", "")
	next(t, ash, "ready")
	f.grow("f-birchwood-2")
	f.change(func(r *campaign.Result) { r.Campaigns[1].Summary = "birchwood alone" })
	f.grow("f-ash-3")
	if e := next(t, ash, "finding", "campaign", "incident", "coverage", "level"); e.Kind != "finding" || !strings.Contains(e.Data, "f-ash-3") {
		t.Errorf("ash is told %+v", e)
	}
}

func TestWatchGoesOnWhereItWasCutOff(t *testing.T) {
	f := start(t)
	events, end := f.listen(t, "viewer:ash", "", "")
	last := next(t, events, "ready")
	end()
	f.grow("f-ash-0")
	f.grow("f-ash-1")
	events, end = f.listen(t, "viewer:ash", "?only=finding", last.ID)
	if e := next(t, events, "ready", "reset"); e.Kind != "ready" {
		t.Errorf("what was missed is known, and yet: %+v", e)
	}
	first := next(t, events, "finding")
	if e := next(t, events, "finding"); first.Data == e.Data || !strings.Contains(first.Data+e.Data, "f-ash-0") || !strings.Contains(first.Data+e.Data, "f-ash-1") {
		t.Errorf("missed were %s and %s", first.Data, e.Data)
	}
	end()
	events, end = f.listen(t, "viewer:ash", "?only=finding&after="+first.ID, "")
	next(t, events, "ready")
	if e := next(t, events, "finding"); e.Data == first.Data {
		t.Errorf("the one that was had came again: %+v", e)
	}
	end()
	for _, id := range []string{"other-1", "x", "-", first.ID + "999999"} {
		events, end = f.listen(t, "viewer:ash", "", id)
		if e := next(t, events, "ready", "reset"); e.Kind != "reset" {
			t.Errorf("after %q: %+v, want a reset", id, e)
		}
		end()
	}
}

func TestChangesAreBounded(t *testing.T) {
	v := newSights(newPipeline(), nil).of(tenant.ScopeAll())
	v.watch()
	for range maxChanges + 10 {
		v.add("finding", "x")
	}
	if len(v.changes) > maxChanges {
		t.Errorf("%d changes are kept", len(v.changes))
	}
	if _, _, _, known := v.since(1, 10); known {
		t.Error("a place that was let go is taken for known")
	}
	list, to, _, known := v.since(v.seq-5, 3)
	if !known || len(list) != 3 || to != v.seq-2 {
		t.Errorf("the last are %v up to %d of %d", list, to, v.seq)
	}
}

func TestWatchEndsWithItsToken(t *testing.T) {
	f := start(t)
	events, _ := f.listen(t, "viewer:ash", "", "")
	next(t, events, "ready")
	f.people.mu.Lock()
	f.people.revoked = true
	f.people.mu.Unlock()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case _, open := <-events:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("a token that was taken back goes on watching")
		}
	}
}

func TestWatchesEndWithTheServer(t *testing.T) {
	f := start(t)
	events, _ := f.listen(t, "viewer:ash", "", "")
	next(t, events, "ready")
	f.h.Close()
	for range events { // ends when the server closes it
	}
	if res, _ := f.ask(t, "GET", prefix+"/watch", "viewer:ash", ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a watch after the end: %d", res.StatusCode)
	}
}

func TestWatchesAreCounted(t *testing.T) {
	f := start(t)
	f.h.mu.Lock()
	f.h.watchers = MaxWatchers
	f.h.mu.Unlock()
	if res, _ := f.ask(t, "GET", prefix+"/watch", "viewer:ash", ""); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("one watch too many: %d", res.StatusCode)
	}
	if res, _ := f.ask(t, "GET", prefix+"/watch?only=everything", "viewer:ash", ""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("an unknown kind: %d", res.StatusCode)
	}
}

// TestSlowReadersAreDropped opens a watch and never reads; the socket's buffers fill, and the server gives up.
func TestSlowReadersAreDropped(t *testing.T) {
	f := start(t)
	f.h.slow = 200 * time.Millisecond
	conn, err := net.Dial("tcp", f.srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("GET " + prefix + "/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer viewer:*\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 1<<20)
	count := func() int {
		f.h.mu.Lock()
		defer f.h.mu.Unlock()
		return f.h.watchers
	}
	began := false
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); {
		f.change(func(r *campaign.Result) {
			for i := range r.List {
				g := *r.List[i]
				g.Count++
				g.Reason = big
				r.List[i] = &g
			}
		})
		began = began || count() > 0
		if began && count() == 0 {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Error("a reader that takes nothing is kept for a minute")
}

func TestEveryChangeOfAFindingIsSeen(t *testing.T) {
	f := ocsf.Finding{Count: 1, Title: "x"}
	was := digestFinding(&f)
	for name, with := range map[string]func(*ocsf.Finding){
		"count": func(f *ocsf.Finding) { f.Count++ }, "severity": func(f *ocsf.Finding) { f.Severity++ }, "outcome": func(f *ocsf.Finding) { f.Outcome = "succeeded" },
		"end": func(f *ocsf.Finding) { f.End = monday }, "approval": func(f *ocsf.Finding) { f.Suppressed = &ocsf.Suppression{} }, "trust": func(f *ocsf.Finding) { f.Trust = "t" },
	} {
		g := f
		with(&g)
		if digestFinding(&g) == was {
			t.Errorf("another %s goes unnoticed", name)
		}
	}
}
