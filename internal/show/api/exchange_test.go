package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// desk is the server as Exchanger: of each tenant a request of that name, r-ash and so on, waits.
type desk struct {
	p      *pipeline
	mu     sync.Mutex
	heard  []any // what came through
	refuse error
}

func (d *desk) hear(x any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = append(d.heard, x)
}

func (d *desk) find(scope tenant.Scope, id string) (TraceRequest, error) {
	of := tenant.ID(strings.TrimPrefix(id, "r-"))
	if d.p.model.Tenant(of) == nil || !scope.Sees(of) {
		return TraceRequest{}, ErrNotFound
	}
	return TraceRequest{ID: id, State: "waiting", Tenant: of, Reply: &TraceReply{Outcome: "origin", Hops: []TraceReplyHop{}}}, d.refuse
}

func (d *desk) Ask(_ context.Context, scope tenant.Scope, _ *authz.Principal, r *campaign.Result, q TraceQuery, tlp string) (TraceAsk, error) {
	for _, f := range r.List {
		if f.ID == q.Subject && scope.Sees(f.Tenant) {
			d.hear([]any{q, tlp})
			return TraceAsk{Organisation: "msp", Document: json.RawMessage(`{}`)}, nil
		}
	}
	return TraceAsk{}, ErrNotFound
}

func (d *desk) Take(_ context.Context, scope tenant.Scope, _ *authz.Principal, doc []byte) (string, error) {
	r, err := d.Receive(context.Background(), scope, nil, doc)
	return r.ID, err
}

func (d *desk) Receive(_ context.Context, scope tenant.Scope, _ *authz.Principal, doc []byte) (TraceRequest, error) {
	d.hear(string(doc))
	var in struct{ ID string }
	if err := json.Unmarshal(doc, &in); err != nil {
		return TraceRequest{}, err
	}
	return d.find(scope, in.ID)
}

// Requests forgets the scope: the operation must not.
func (d *desk) Requests(context.Context, tenant.Scope) ([]TraceRequest, error) {
	var out []TraceRequest
	for i := range d.p.model.Tenants {
		r, err := d.find(tenant.ScopeAll(), "r-"+string(d.p.model.Tenants[i].ID))
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// Request forgets the scope, too.
func (d *desk) Request(_ context.Context, _ tenant.Scope, id string) (TraceRequest, error) {
	return d.find(tenant.ScopeAll(), id)
}

func (d *desk) Decide(_ context.Context, scope tenant.Scope, by *authz.Principal, id string, say Decision) (TraceRequest, error) {
	d.hear([]any{by.ID, id, say})
	return d.find(scope, id)
}

func TestTraceRequestsReachTheDeskAsTheyCame(t *testing.T) {
	f := start(t)
	doc := `{"id":"r-ash","signature":"c2ln"}`
	for _, c := range [][3]string{
		{"/trace/asks", `{"subject":"f-ash-1","at":"2h","tenant":"ash","user":"Jo","tlp":"TLP:RED"}`, `"organisation":"msp"`},
		{"/trace/asks", `{"subject":"f-ash-1"}`, `"organisation":"msp"`},
		{"/trace/requests", `{"document":` + doc + `}`, `"id":"r-ash"`},
		{"/trace/answers", `{"document":` + doc + `}`, `"says":"r-ash"`},
		{"/trace/requests/r-ash/approve", `{"by":" Jo Doe ","reason":"incident 17"}`, `"id":"r-ash"`},
		{"/trace/requests/r-ash/decline", `{"reason":"not ours"}`, `"id":"r-ash"`},
	} {
		if res, body := f.ask(t, "POST", prefix+c[0], "analyst:ash", c[1]); res.StatusCode != http.StatusOK || !strings.Contains(body, c[2]) {
			t.Errorf("%s: %d %s", c[0], res.StatusCode, body)
		}
	}
	want := []any{
		[]any{TraceQuery{Subject: "f-ash-1", Tenant: "ash", At: "2h", User: "Jo"}, "TLP:RED"}, []any{TraceQuery{Subject: "f-ash-1"}, "TLP:AMBER"}, doc, doc,
		[]any{"t-analyst", "r-ash", Decision{Answer: true, By: "Jo Doe", Reason: "incident 17"}}, []any{"t-analyst", "r-ash", Decision{Reason: "not ours"}}}
	if d := cmp.Diff(want, f.desk.heard); d != "" {
		t.Error(d)
	}
	if res, body := f.ask(t, "GET", prefix+"/trace/requests/r-ash", "viewer:ash", ""); res.StatusCode != http.StatusOK || !strings.Contains(body, `"outcome":"origin"`) {
		t.Errorf("one is shown as %d %s", res.StatusCode, body)
	}
	if res, body := f.ask(t, "GET", prefix+"/trace/requests", "viewer:ash", ""); res.StatusCode != http.StatusOK || strings.Contains(body, "outcome") || strings.Count(body, `"id"`) != 1 {
		t.Errorf("the list is %d %s", res.StatusCode, body)
	}
}

func TestTraceRequestsThatNobodyMeansAreRefused(t *testing.T) {
	f := start(t)
	long := strings.Repeat("a", MaxSubject+1)
	for _, c := range []struct {
		path, body, says string
		status           int
	}{
		{"/trace/asks", `{}`, "subject: name", 400},
		{"/trace/asks", `{"subject":"` + long + `"}`, "256 bytes", 400},
		{"/trace/asks", `{"subject":"x","tlp":"TLP:PINK"}`, "tlp: use TLP:RED", 400},
		{"/trace/asks", `{"subject":"x","whatever":1}`, "unknown field", 400},
		{"/trace/requests", `{}`, "document: send", 400},
		{"/trace/requests", `{"document":"x"}`, "document: send", 400},
		{"/trace/requests", `{"document":{"id":"` + strings.Repeat("x", MaxBody) + `"}}`, "is over 65536 bytes", 413},
		{"/trace/answers", `{"document":[]}`, "document: send", 400},
		{"/trace/requests/r-ash/approve", `{"by":"Jo"}`, "reason: say why", 400},
		{"/trace/requests/r-ash/decline", `{"reason":"  "}`, "reason: say why", 400},
		{"/trace/requests/r-ash/decline", `{"reason":"x","by":"` + long + `"}`, "in at most 256", 400},
	} {
		if res, body := f.ask(t, "POST", prefix+c.path, "analyst:*", c.body); res.StatusCode != c.status || !strings.Contains(body, c.says) {
			t.Errorf("%s %.40s: %d %s", c.path, c.body, res.StatusCode, body)
		}
	}
	if len(f.desk.heard) > 0 {
		t.Errorf("the desk heard %v", f.desk.heard)
	}
	f.desk.refuse = &Problem{Status: http.StatusUnprocessableEntity, Says: "refused (replayed): it was answered"}
	if res, body := f.ask(t, "POST", prefix+"/trace/requests", "analyst:*", `{"document":{"id":"r-ash"}}`); res.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(body, "refused (replayed)") {
		t.Errorf("a refusal is %d %s", res.StatusCode, body)
	}
}

func TestWithoutADeskNoTraceRequestIsTaken(t *testing.T) {
	f := start(t)
	f.h.opt.Exchanger = nil
	for _, rt := range table() {
		if !strings.HasPrefix(rt.Path, "/trace/") {
			continue
		}
		path, body := rt.request("r-ash")
		if res, got := f.ask(t, rt.Method, path, "admin:*", body); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", rt.Method, rt.Path, res.StatusCode, got)
		}
	}
}
