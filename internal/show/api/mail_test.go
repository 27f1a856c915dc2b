package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// heldNames are the names of each tenant's held messages; hold sees that they are.
var heldNames = map[tenant.ID][3]string{
	"ash":       {"b3a10e41de9661c3", "f82c4b12caf9d5e6", "b37c8f00643b1973"},
	"birchwood": {"81c59e7365597ac2", "ba6fce0f8b2b3e22", "01e046d869a47900"},
}

// held is a real quarantine, with a mail server that notes what it is asked.
type held struct {
	desk *quarantine.Desk
	mu   sync.Mutex
	log  []string
	fail error
}

func (h *held) note(what string, id tenant.ID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail == nil {
		h.log = append(h.log, what+" "+string(id))
	}
	return h.fail
}

func (h *held) moves() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.log, ", ")
}

func (h *held) Release(_ context.Context, it quarantine.Item, _ []byte) error {
	return h.note("release", it.Tenant)
}

func (h *held) Delete(_ context.Context, it quarantine.Item) error {
	return h.note("delete", it.Tenant)
}

// hold fills a quarantine with three messages of each of two tenants.
func hold(t *testing.T) *held {
	t.Helper()
	s, err := quarantine.Open(t.TempDir(), 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	h := &held{}
	h.desk = quarantine.NewDesk(s, quarantine.Movers{MTA: h}, quarantine.DeskOptions{Learn: func(id tenant.ID, _ quarantine.Item, _ string, _ []byte) { _ = h.note("learn", id) }})
	for _, id := range []tenant.ID{"ash", "birchwood"} {
		b, err := s.Box(id)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			raw := fmt.Sprintf("From: Eve <eve@%[1]s.example>\r\nSubject: Invoice %[2]d\x1b[2J for %[1]s overdue\r\nContent-Type: text/html\r\n\r\n<p>Pay <a href=\"https://evil.example/%[1]s\">here</a>\u202e now</p><script>alert(1)</script>", id, i)
			name, err := b.Keep(quarantine.Item{Time: monday.Add(time.Duration(i) * time.Minute), Place: quarantine.PlaceMTA, QueueID: fmt.Sprintf("4Xabc%d", i), EnvelopeFrom: "eve@" + string(id) + ".example",
				Recipients: []string{"jo@" + string(id) + ".example"}, From: "eve@" + string(id) + ".example", FromName: "Eve", Subject: fmt.Sprintf("Invoice %d for %s overdue", i, id), BodyHash: "b",
				Hosts: []string{"evil.example"}, Verdict: &ocsf.MailVerdict{Verdict: "phish", Score: 0.97, Threshold: 0.5, Reasons: []ocsf.MailReason{{Name: "link-shows-other", Weight: 2, Text: "a link shows one host and leads to another"}}}}, []byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			if name != heldNames[id][i] {
				t.Fatalf("message %d of %s is called %s, the tests say %s", i, id, name, heldNames[id][i])
			}
		}
	}
	return h
}

func TestHeldMailIsListedAndShown(t *testing.T) {
	f := start(t)
	var list struct {
		Messages []HeldMail
		Total    int
		Next     string
	}
	get := func(path, token string, into any) {
		t.Helper()
		res, body := f.ask(t, "GET", prefix+path, token, "")
		if res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d %s", path, res.StatusCode, body)
		}
		if err := json.Unmarshal([]byte(body), into); err != nil {
			t.Fatal(err)
		}
	}
	get("/quarantine?limit=2", "viewer:ash", &list)
	if list.Total != 3 || len(list.Messages) != 2 || list.Messages[0].Name != heldNames["ash"][2] || list.Messages[0].Reasons[0].Weight != 2 || list.Next == "" {
		t.Errorf("listed %+v", list)
	}
	next := url.QueryEscape(list.Next)
	list.Messages, list.Next = nil, ""
	get("/quarantine?limit=2&cursor="+next, "viewer:ash", &list)
	if len(list.Messages) != 1 || list.Messages[0].Name != heldNames["ash"][0] || list.Next != "" {
		t.Errorf("the second part is %+v", list)
	}
	for query, want := range map[string]int{"state=released": 0, "state=held": 3, "from=EVE%40ash": 3, "text=invoice+1": 1, "text=jo%40": 3, "since=2026-03-02T08:01:00Z": 2, "since=2026-03-02": 3,
		"since=1h": 0, "tenant=ash": 3, "tenant=birchwood": 0} {
		list.Messages, list.Total = nil, 0
		get("/quarantine?"+query, "viewer:ash", &list)
		if list.Total != want || len(list.Messages) != want {
			t.Errorf("%s lists %d of %d, want %d", query, len(list.Messages), list.Total, want)
		}
	}
	for _, query := range []string{"state=gone", "since=soon", "since=-1h", "limit=0", "limit=1001", "cursor=x", "text=" + strings.Repeat("a", 300)} {
		if res, body := f.ask(t, "GET", prefix+"/quarantine?"+query, "viewer:ash", ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, res.StatusCode, body)
		}
	}
	var shown HeldText
	get("/quarantine/"+heldNames["ash"][0][:6], "analyst:ash", &shown)
	if !shown.Kept || !strings.Contains(shown.Text, "Pay here") || strings.ContainsAny(shown.Text, "<\u202e") || strings.Contains(shown.Text, "alert") ||
		len(shown.Links) != 1 || shown.Links[0].Host != "evil.example" || shown.Headers[1].Value != "Invoice 0\uFFFD[2J for ash overdue" {
		t.Errorf("shown %+v", shown)
	}
	var audit struct{ Audit []quarantine.Entry }
	get("/quarantine-audit?name="+heldNames["ash"][0], "analyst:ash", &audit)
	if n := len(audit.Audit); n != 2 || audit.Audit[1].Act != "shown" || audit.Audit[1].By != "t-analyst" {
		t.Errorf("audit %+v", audit)
	}
	var similar struct{ Similar []HeldSimilar }
	get("/quarantine/"+heldNames["ash"][0]+"/similar", "viewer:ash", &similar)
	if len(similar.Similar) != 2 {
		t.Errorf("similar to a caller of one tenant: %+v", similar)
	}
	get("/quarantine/"+heldNames["ash"][0]+"/similar", "viewer:*", &similar)
	if len(similar.Similar) != 5 || len(similar.Similar[0].Why) == 0 {
		t.Errorf("similar to a caller of all: %+v", similar)
	}
}

func TestHeldMailIsActedOn(t *testing.T) {
	f := start(t)
	name := heldNames["ash"][0]
	f.held.fail = errors.New("running postsuper -H 4Xabc0: exit status 1; it said: \x1b[31mlocked")
	res, body := f.ask(t, "POST", prefix+"/quarantine/"+name+"/release", "analyst:ash", "")
	if res.StatusCode != http.StatusBadGateway || !strings.Contains(body, "locked") || strings.Contains(body, `\u001b`) {
		t.Errorf("a release that the mail server refuses: %d %s", res.StatusCode, body)
	}
	f.held.fail = nil
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/quarantine/" + name + "/release", "", 200, `"state":"released"`},
		{"/quarantine/" + name + "/release", "", 409, "is released"},
		{"/quarantine/" + name + "/delete", "", 409, "is released"},
		{"/quarantine/" + name + "/report", `{"feedback":"false-alarm"}`, 200, `"feedback":"false-alarm"`},
		{"/quarantine/" + name + "/report", `{"feedback":"nice"}`, 400, "feedback"},
		{"/quarantine/" + heldNames["ash"][1] + "/delete", "", 200, `"by":"t-analyst"`},
		{"/quarantine/" + strings.Repeat("a", 65) + "/delete", "", 404, "no such thing"},
	} {
		if res, body := f.ask(t, "POST", prefix+c.path, "analyst:ash", c.body); res.StatusCode != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: %d %s, want %d and %s", c.path, res.StatusCode, body, c.status, c.want)
		}
	}
	if got := f.held.moves(); got != "release ash, learn ash, delete ash" {
		t.Errorf("moves: %s", got)
	}
	res, body = f.ask(t, "GET", prefix+"/quarantine/"+heldNames["ash"][1], "analyst:ash", "")
	if res.StatusCode != http.StatusOK || !strings.Contains(body, `"kept":false`) || strings.Contains(body, "Pay") {
		t.Errorf("a deleted message shows %d %s", res.StatusCode, body)
	}
}

// TestIsolationOfHeldMailPages: a page and its forms answer for another tenant's message as for one that never was.
func TestIsolationOfHeldMailPages(t *testing.T) {
	f := start(t)
	foreign, unknown := heldNames["birchwood"][0], "0123456789abcdef"
	for _, r := range []string{"GET /quarantine/%s", "POST /quarantine/%s/release", "POST /quarantine/%s/delete", "POST /quarantine/%s/false-alarm", "POST /quarantine/%s/missed"} {
		method, path, _ := strings.Cut(r, " ")
		a, abody := f.form(t, method, fmt.Sprintf(path, foreign), "analyst:ash", nil, "")
		b, bbody := f.form(t, method, fmt.Sprintf(path, unknown), "analyst:ash", nil, "")
		if a.StatusCode != http.StatusNotFound || b.StatusCode != http.StatusNotFound || abody != bbody {
			t.Errorf("%s: another's %d %s, an unknown %d %s", r, a.StatusCode, abody, b.StatusCode, bbody)
		}
	}
	if res, body := f.form(t, "POST", "/quarantine", "analyst:ash", url.Values{"act": {"release"}, "name": {foreign}}, ""); res.StatusCode != http.StatusConflict || strings.Contains(body, "birch") {
		t.Errorf("several at once: %d %s", res.StatusCode, body)
	}
	if _, body := f.form(t, "GET", "/quarantine?state=all&tenant=birchwood", "analyst:ash", nil, ""); !strings.Contains(body, ": [], 0, ") || strings.Contains(body, "Birch") {
		t.Errorf("the list names another tenant: %s", body)
	}
	if got := f.held.moves(); got != "" {
		t.Errorf("moves: %s", got)
	}
}

// form sends a form as a page of ours does, with the cookie of a login.
func (f *fixture) form(t *testing.T, method, path, session string, values url.Values, origin string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.srv.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	if session != "" {
		req.AddCookie(&http.Cookie{Name: "breakwater", Value: session})
	}
	return f.send(t, req)
}

func TestHeldMailForms(t *testing.T) {
	f := start(t)
	name := heldNames["ash"][0]
	for _, c := range []struct {
		method, path, session, origin string
		values                        url.Values
		status                        int
		location                      string
	}{
		{"GET", "/quarantine", "", "", nil, 303, "/login?next=%2Fquarantine"},
		{"GET", "/quarantine/" + name + "?state=all", "", "", nil, 303, "/login?next=%2Fquarantine%2F" + name + "%3Fstate%3Dall"},
		{"POST", "/quarantine/" + name + "/release", "", "", nil, 303, "/login?next=%2Fquarantine"},
		{"GET", "/quarantine", "sensor:ash", "", nil, 403, ""},
		{"GET", "/quarantine", "viewer:ash", "", nil, 200, ""},
		{"GET", "/quarantine/" + name, "viewer:ash", "", nil, 200, ""},
		{"GET", "/quarantine?since=soon", "viewer:ash", "", nil, 400, ""},
		{"POST", "/quarantine/" + name + "/release", "viewer:ash", "", nil, 403, ""},
		{"POST", "/quarantine", "viewer:ash", "", url.Values{"act": {"release"}, "name": {name}}, 403, ""},
		{"POST", "/quarantine/" + name + "/release", "analyst:ash", "https://evil.example", nil, 403, ""},
		{"POST", "/quarantine", "analyst:ash", "https://evil.example", url.Values{"act": {"release"}, "name": {name}}, 403, ""},
		{"GET", "/quarantine/" + name + "/release", "analyst:ash", "", nil, 405, ""},
		{"POST", "/quarantine/" + name + "/eat", "analyst:ash", "", nil, 404, ""},
		{"POST", "/quarantine", "analyst:ash", "", url.Values{"act": {"eat"}, "name": {name}}, 400, ""},
		{"POST", "/quarantine", "analyst:ash", "", url.Values{"act": {"release"}}, 400, ""},
		{"POST", "/quarantine/" + name + "/release?state=all&done=x&next=evil", "analyst:ash", f.srv.URL, url.Values{"false-alarm": {"1"}}, 303, "/quarantine/" + name + "?done=released&state=all"},
		{"POST", "/quarantine/" + name + "/release", "analyst:ash", "", nil, 409, ""},
		{"POST", "/quarantine?from=eve", "analyst:ash", "", url.Values{"act": {"delete"}, "name": {heldNames["ash"][1], heldNames["ash"][2]}}, 303, "/quarantine?count=2&done=deleted&from=eve"},
	} {
		res, body := f.form(t, c.method, c.path, c.session, c.values, c.origin)
		if res.StatusCode != c.status || res.Header.Get("Location") != c.location {
			t.Errorf("%s %s by %q: %d to %q, want %d to %q\n%s", c.method, c.path, c.session, res.StatusCode, res.Header.Get("Location"), c.status, c.location, body)
		}
	}
	if got := f.held.moves(); got != "release ash, learn ash, delete ash, delete ash" {
		t.Errorf("moves: %s", got)
	}
	if _, body := f.form(t, "GET", "/quarantine/"+name, "viewer:ash", nil, ""); !strings.Contains(body, "kept false") {
		t.Errorf("a viewer is shown the text: %s", body)
	}
}

func TestWithoutAQuarantineNothingIsThere(t *testing.T) {
	f := start(t)
	f.h.opt.Quarantine = nil
	for _, rt := range table() {
		if !strings.HasPrefix(rt.Path, "/quarantine") {
			continue
		}
		path, body := rt.request(heldNames["ash"][0])
		if res, got := f.ask(t, rt.Method, path, "admin:*", body); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", rt.Method, rt.Path, res.StatusCode, got)
		}
	}
	g := New(Options{Live: f.pipeline, Authz: f.people, Pages: drawn{}})
	defer g.Close()
	f.srv.Config.Handler = g
	if res, body := f.form(t, "GET", "/quarantine", "admin:*", nil, ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("the page without a quarantine: %d %s", res.StatusCode, body)
	}
}

func TestOurPathLeadsNowhereElse(t *testing.T) {
	for next, want := range map[string]string{
		"/quarantine": "/quarantine", "/quarantine?state=all": "/quarantine?state=all", "/quarantine/0123456789abcdef?x=1": "/quarantine/0123456789abcdef?x=1",
		"/quarantine/../x": "/", "/quarantine//evil.example": "/", "//evil.example/quarantine": "/", "https://evil.example/quarantine": "/", `/quarantine\evil`: "/", "/logout": "/",
	} {
		if got := ourPath(next); got != want {
			t.Errorf("%s leads to %s, want %s", next, got, want)
		}
	}
}
