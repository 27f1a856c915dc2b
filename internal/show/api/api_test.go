package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// soon puts a time to come where a test's body has the year 2099.
func soon(body string) string {
	return strings.ReplaceAll(body, "2099-01-01T00:00:00Z", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

func parse[T any](t *testing.T, body string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return v
}

func TestAnswersAreThoseOfScan(t *testing.T) {
	f := start(t)
	want, err := json.Marshal(f.result.Complete())
	if err != nil {
		t.Fatal(err)
	}
	_, got := f.ask(t, "GET", prefix+"/result", "viewer:*", "")
	if strings.TrimSpace(got) != string(want) {
		t.Errorf("result is\n%s\nwant\n%s", got, want)
	}
	whole := parse[struct{ Campaigns, Incidents []json.RawMessage }](t, got)
	_, got = f.ask(t, "GET", prefix+"/campaigns", "viewer:*", "")
	list := parse[struct{ Campaigns []json.RawMessage }](t, got).Campaigns
	_, one := f.ask(t, "GET", prefix+"/campaigns/c-1", "viewer:*", "")
	if len(list) != 2 || string(list[0]) != string(whole.Campaigns[0]) || strings.TrimSpace(one) != string(list[0]) {
		t.Errorf("the campaign is %s in its list, %s by itself and %s in the result", list[0], one, whole.Campaigns[0])
	}
	_, one = f.ask(t, "GET", prefix+"/incidents/i-ash", "viewer:*", "")
	if strings.TrimSpace(one) != string(whole.Incidents[0]) {
		t.Errorf("the incident is %s by itself and %s in the result", one, whole.Incidents[0])
	}
	finding, err := json.Marshal(f.result.List[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, one = f.ask(t, "GET", prefix+"/findings/f-ash-0", "viewer:*", ""); strings.TrimSpace(one) != string(finding) {
		t.Errorf("the finding is %s, want %s", one, finding)
	}
}

type findingsPage struct {
	Findings []struct{ ID string }
	Total    int
	Next     string
}

func TestFindingsAreFilteredAndPaged(t *testing.T) {
	f := start(t)
	for query, want := range map[string]int{"": 10, "tenant=ash": 5, "severity=high": 4, "severity=critical&tenant=ash": 1, "layer=mail": 2, "partner=msp": 10, "partner=other": 0,
		"tenant=nobody": 0, "since=" + monday.Add(40*time.Minute).Format(time.RFC3339): 2, "since=1h": 0} {
		_, body := f.ask(t, "GET", prefix+"/findings?"+query, "viewer:*", "")
		if got := parse[findingsPage](t, body); len(got.Findings) != want || got.Total != want {
			t.Errorf("%s: %d of %d, want %d", query, len(got.Findings), got.Total, want)
		}
	}
	for _, query := range []string{"severity=loud", "layer=air", "since=yesterday", "since=-1h", "limit=0", "limit=1001", "limit=x", "cursor=%21", "cursor=YWJj", "order=up"} {
		if res, body := f.ask(t, "GET", prefix+"/findings?"+query, "viewer:*", ""); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d %s", query, res.StatusCode, body)
		}
	}
	for _, order := range []string{"asc", "desc"} {
		var all []string
		next := ""
		for range 20 {
			_, body := f.ask(t, "GET", prefix+"/findings?limit=3&order="+order+"&cursor="+url.QueryEscape(next), "viewer:*", "")
			p := parse[findingsPage](t, body)
			for _, x := range p.Findings {
				all = append(all, x.ID)
			}
			if next = p.Next; next == "" {
				break
			}
			if len(all) == 3 { // what comes in between neither repeats nor hides the rest
				f.change(func(r *campaign.Result) {
					g := *r.List[0]
					g.ID, g.Time = "f-early-"+order, monday.Add(-time.Hour)
					r.List = append([]*ocsf.Finding{&g}, r.List...)
				})
			}
		}
		seen := map[string]bool{}
		for _, id := range all {
			if seen[id] {
				t.Errorf("%s: %s came twice", order, id)
			}
			seen[id] = true
		}
		if len(seen) < 10 {
			t.Errorf("%s: only %v came", order, all)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	f := start(t)
	path := prefix + "/replays"
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"large":          {`{"ids":["` + strings.Repeat("x", MaxBody) + `"]}`, 413},
		"an unknown key": {`{"ids":["d-ash"],"tenant":"birchwood"}`, 400},
		"no ids":         {`{"ids":[]}`, 400},
		"two objects":    {`{"ids":["d-ash"]}{"ids":["d-ash"]}`, 400},
		"no object":      {`[]`, 400},
		"broken":         {`{"ids":`, 400},
	} {
		if res, body := f.ask(t, "POST", path, "admin:ash", c.body); res.StatusCode != c.want {
			t.Errorf("%s: %d %s, want %d", name, res.StatusCode, body, c.want)
		}
	}
	if len(f.replays) != 0 {
		t.Errorf("replayed were %v", f.replays)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", f.srv.URL+path, strings.NewReader(`{"ids":["d-ash"]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer admin:ash")
	req.Header.Set("Content-Type", "text/plain")
	res, err := f.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form's body: %d", res.StatusCode)
	}
}

func TestLevelsNeedAReasonAndAnEnd(t *testing.T) {
	f := start(t)
	for body, want := range map[string]int{
		`{"level":"elevated","reason":"phish at the partner","until":"2099-01-01T00:00:00Z"}`: 200,
		`{"level":"normal","reason":"x","until":"2099-01-01T00:00:00Z"}`:                      400,
		`{"level":"elevated","reason":" ","until":"2099-01-01T00:00:00Z"}`:                    400,
		`{"level":"elevated","reason":"x"}`:                                                   400,
		`{"level":"elevated","reason":"x","until":"2020-01-01T00:00:00Z"}`:                    400,
		`{"level":"elevated","reason":"x","until":"2150-01-01T00:00:00Z"}`:                    400,
	} {
		if res, got := f.ask(t, "PUT", prefix+"/levels/ash", "analyst:ash", soon(body)); res.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", body, res.StatusCode, got, want)
		}
	}
	if l := f.level["ash"]; l.Level != "elevated" || l.By != "t-analyst" || l.Until == nil {
		t.Errorf("the level is %+v", l)
	}
	if res, _ := f.ask(t, "DELETE", prefix+"/levels/ash", "analyst:ash", ""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("an end without a reason: %d", res.StatusCode)
	}
	if res, _ := f.ask(t, "DELETE", prefix+"/levels/ash?reason=over", "analyst:ash", ""); res.StatusCode != http.StatusOK || len(f.level) != 0 {
		t.Errorf("the level has not ended: %d %v", res.StatusCode, f.level)
	}
}

func TestStatusTellsCountersToTheOperatorAlone(t *testing.T) {
	f := start(t)
	if _, body := f.ask(t, "GET", prefix+"/status", "viewer:*", ""); !strings.Contains(body, `"counters":{"events":40}`) || !strings.Contains(body, `"lag_seconds":1.5`) {
		t.Errorf("the operator gets %s", body)
	}
	if _, body := f.ask(t, "GET", prefix+"/status", "viewer:ash", ""); strings.Contains(body, "counters") || strings.Contains(body, `"waiting":7`) || !strings.Contains(body, `"last_event":"2026-03-02T09:00:00Z"`) {
		t.Errorf("a tenant gets %s", body)
	}
}

func TestOpenAPINamesEveryRoute(t *testing.T) {
	f := start(t)
	res, body := f.ask(t, "GET", prefix+"/openapi.json", "", "")
	doc := parse[struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Parameters  []struct{ Name, In string }
			Responses   map[string]struct {
				Content map[string]struct{ Schema map[string]string }
			}
		}
		Components struct{ Schemas map[string]any }
	}](t, body)
	if res.StatusCode != http.StatusOK || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%d, OpenAPI %q", res.StatusCode, doc.OpenAPI)
	}
	n, ids := 0, map[string]bool{}
	for _, rt := range table() {
		op, ok := doc.Paths[rt.Path][strings.ToLower(rt.Method)]
		if !ok {
			t.Errorf("%s %s is not described", rt.Method, rt.Path)
			continue
		}
		n++
		if ids[op.OperationID] || op.OperationID == "" {
			t.Errorf("%s %s: the operation id %q is not its own", rt.Method, rt.Path, op.OperationID)
		}
		ids[op.OperationID] = true
		if strings.Count(rt.Path, "{")+len(rt.Query) != len(op.Parameters) {
			t.Errorf("%s %s: described are %v", rt.Method, rt.Path, op.Parameters)
		}
		for _, c := range op.Responses["200"].Content {
			name := strings.TrimPrefix(c.Schema["$ref"], "#/components/schemas/")
			if doc.Components.Schemas[name] == nil {
				t.Errorf("%s %s gives %q, which is not described", rt.Method, rt.Path, name)
			}
		}
	}
	described := 0
	for _, p := range doc.Paths {
		described += len(p)
	}
	if described != n {
		t.Errorf("%d operations are described, %d are served", described, n)
	}
}

func TestOtherMethodsAndPathsAreToldApart(t *testing.T) {
	f := start(t)
	res, body := f.ask(t, "PATCH", prefix+"/levels/ash", "admin:ash", "")
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "DELETE, PUT" || !strings.Contains(body, "use DELETE or PUT") {
		t.Errorf("PATCH: %d, Allow %q, %s", res.StatusCode, res.Header.Get("Allow"), body)
	}
	if res, body := f.ask(t, "GET", prefix+"/nowhere", "admin:ash", ""); res.StatusCode != http.StatusNotFound || !strings.HasPrefix(body, `{"error":`) {
		t.Errorf("an unknown path: %d %s", res.StatusCode, body)
	}
}

func TestNothingConcludedYetIsSaid(t *testing.T) {
	f := start(t)
	f.mu.Lock()
	f.result = nil
	f.mu.Unlock()
	if res, body := f.ask(t, "GET", prefix+"/campaigns", "viewer:*", ""); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestLoginGivesACookieForThisSiteAlone(t *testing.T) {
	f := start(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	post := func(form url.Values) (*http.Response, string) {
		res, err := client.PostForm(f.srv.URL+"/login", form)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(body)
	}
	if res, _ := f.ask(t, "GET", "/?q=x", "", ""); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/login?next=%2F%3Fq%3Dx" {
		t.Errorf("a stranger is sent to %d %q", res.StatusCode, res.Header.Get("Location"))
	}
	if res, _ := f.ask(t, "GET", "/?fragment", "", ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a fragment for a stranger: %d", res.StatusCode)
	}
	res, body := post(url.Values{"name": {"jo"}, "password": {"wrong"}, "next": {"/?q=x"}})
	if res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) != 0 || !strings.Contains(body, "not valid.|jo|/?q=x") || strings.Contains(body, "wrong") {
		t.Errorf("a wrong password: %d %s", res.StatusCode, body)
	}
	for next, want := range map[string]string{"/?q=x": "/?q=x", "https://evil.example/": "/", "//evil.example/": "/", `/\evil.example`: "/", "/api/v1/result": "/", "": "/", "javascript:alert(1)": "/"} {
		res, _ = post(url.Values{"name": {"jo"}, "password": {"correct horse"}, "next": {next}})
		if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != want {
			t.Errorf("next %q leads to %d %q, want %q", next, res.StatusCode, res.Header.Get("Location"), want)
		}
	}
	if len(res.Cookies()) != 1 {
		t.Fatalf("the cookies are %v", res.Cookies())
	}
	c := res.Cookies()[0]
	if c.Name != "breakwater" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure || c.Domain != "" {
		t.Errorf("the cookie is %+v", c)
	}
	req, err := http.NewRequestWithContext(t.Context(), "GET", f.srv.URL+"/?fragment=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(c)
	res, err = client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || string(b) != "page of t-admin, version 1, fragment true, 2 campaigns, 3 tenants" {
		t.Errorf("the page is %q (%v)", b, err)
	}
	f.h.opt.Secure = true
	res, _ = post(url.Values{"token": {" viewer:ash "}})
	if c := res.Cookies(); len(c) != 1 || c[0].Name != "__Host-breakwater" || !c[0].Secure || res.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("behind TLS the cookies are %v", c)
	}
	res, _ = f.ask(t, "POST", "/logout", "", "")
	if c := res.Cookies(); len(c) != 1 || c[0].MaxAge != -1 || res.Header.Get("Location") != "/login" {
		t.Errorf("a logout gives %v", c)
	}
}

func TestLargeAnswersAreCompressed(t *testing.T) {
	f := start(t)
	for header, want := range map[string]bool{"gzip, br": true, "br": false, "gzip;q=0": false} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", f.srv.URL+prefix+"/result", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer viewer:*")
		req.Header.Set("Accept-Encoding", header)
		res, err := f.srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%s: compressed %v", header, got)
		}
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "YWJj", position{monday, "f-1"}.String(), "!"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePosition(s)
		if err != nil {
			return
		}
		again, err := parsePosition(p.String())
		if err != nil || again.id != p.id || !again.at.Equal(p.at) {
			t.Errorf("%q is %v, and %v when written anew (%v)", s, p, again, err)
		}
	})
}

func BenchmarkFindingsPage(b *testing.B) {
	p := newPipeline()
	for i := range 100_000 {
		g := *p.result.List[0]
		g.ID, g.Time = fmt.Sprintf("g-%06d", i), monday.Add(time.Duration(i)*time.Second)
		p.result.List = append(p.result.List, &g)
	}
	q := findingFilter{tenant: "ash", limit: 100, down: true}
	for b.Loop() {
		if list, _, _ := q.apply(p.result.List); len(list) != 100 {
			b.Fatal(len(list))
		}
	}
}
