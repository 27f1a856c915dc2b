package api

import (
	"net/http"
	"strings"
	"testing"
)

// a body that each changing route takes, with %ID% for what the path or body names.
var bodies = map[string]string{
	"POST /replays":        `{"ids":["%ID%"]}`,
	"PUT /levels/{tenant}": `{"level":"elevated","reason":"a test","until":"2099-01-01T00:00:00Z"}`,

	"POST /trace/asks":                  `{"subject":"%ID%"}`,
	"POST /trace/answers":               `{"document":{"id":"%ID%"}}`,
	"POST /trace/requests":              `{"document":{"id":"%ID%"}}`,
	"POST /trace/requests/{id}/approve": `{"reason":"a test"}`,
	"POST /trace/requests/{id}/decline": `{"reason":"a test"}`,

	"POST /quarantine/{id}/report": `{"feedback":"false-alarm"}`,

	"POST /posture/{tenant}/evidence": `{"kind":"logging.retention","subject":"firewall","at":"2026-03-01T00:00:00Z","values":{"days":365}}`,
}

// queries are what a route needs in its query, likewise.
var queries = map[string]string{
	"DELETE /levels/{tenant}": "?reason=a+test",
	"GET /trace":              "?subject=%ID%",
	"GET /blast":              "?subject=%ID%",
}

// ids names for each route with an id an object of ash's, one of birchwood's and one that nobody has.
var ids = map[string][3]string{
	"GET /campaigns/{id}":     {"c-1", "c-birchwood", "c-none"},
	"GET /incidents/{id}":     {"i-ash", "i-birchwood", "i-none"},
	"GET /findings/{id}":      {"f-ash-1", "f-birchwood-1", "f-none"},
	"GET /trace":              {"f-ash-1", "f-birchwood-1", "f-none"},
	"GET /blast":              {"msp-ash", "msp-birchwood", "msp-none"},
	"GET /deadletters/{id}":   {"d-ash", "d-birchwood", "d-none"},
	"POST /replays":           {"d-ash", "d-birchwood", "d-none"},
	"PUT /levels/{tenant}":    {"ash", "birchwood", "nobody"},
	"DELETE /levels/{tenant}": {"ash", "birchwood", "nobody"},

	"POST /trace/asks":                  {"f-ash-1", "f-birchwood-1", "f-none"},
	"POST /trace/answers":               {"r-ash", "r-birchwood", "r-none"},
	"POST /trace/requests":              {"r-ash", "r-birchwood", "r-none"},
	"GET /trace/requests/{id}":          {"r-ash", "r-birchwood", "r-none"},
	"POST /trace/requests/{id}/approve": {"r-ash", "r-birchwood", "r-none"},
	"POST /trace/requests/{id}/decline": {"r-ash", "r-birchwood", "r-none"},

	"GET /posture/{tenant}":           {"ash", "birchwood", "nobody"},
	"POST /posture/{tenant}/evidence": {"ash", "birchwood", "nobody"},
	"GET /posture/{tenant}/statement": {"ash", "birchwood", "nobody"},

	"GET /quarantine/{id}":          {heldNames["ash"][0], heldNames["birchwood"][0], "0123456789abcdef"},
	"GET /quarantine/{id}/similar":  {heldNames["ash"][0], heldNames["birchwood"][0], "0123456789abcdef"},
	"POST /quarantine/{id}/release": {heldNames["ash"][0], heldNames["birchwood"][0], "0123456789abcdef"},
	"POST /quarantine/{id}/delete":  {heldNames["ash"][1], heldNames["birchwood"][1], "0123456789abcdef"},
	"POST /quarantine/{id}/report":  {heldNames["ash"][2], heldNames["birchwood"][2], "0123456789abcdef"},
}

func (rt route) request(id string) (path, body string) {
	path = pathParam.ReplaceAllString(prefix+rt.Path, id) + strings.ReplaceAll(queries[rt.Method+" "+rt.Path], "%ID%", id)
	return path, strings.ReplaceAll(bodies[rt.Method+" "+rt.Path], "%ID%", id)
}

func TestIsolationOfEveryRouteAndId(t *testing.T) {
	f := start(t)
	for _, rt := range table() {
		name := rt.Method + " " + rt.Path
		of, named := ids[name]
		if !named {
			if strings.Contains(rt.Path, "{") || rt.Body != nil {
				t.Errorf("%s takes an id, and this test has none for it", name)
			}
			continue
		}
		path, body := rt.request(of[0])
		if res, got := f.ask(t, rt.Method, path, "admin:ash", soon(body)); res.StatusCode != http.StatusOK {
			t.Errorf("%s of one's own: %d %s", name, res.StatusCode, got)
		}
		path, body = rt.request(of[1])
		if res, got := f.ask(t, rt.Method, path, "admin:birchwood", soon(body)); res.StatusCode != http.StatusOK {
			t.Errorf("%s by its owner: %d %s", name, res.StatusCode, got)
		}
		foreign, foreignBody := f.ask(t, rt.Method, path, "admin:ash", soon(body))
		path, body = rt.request(of[2])
		unknown, unknownBody := f.ask(t, rt.Method, path, "admin:ash", soon(body))
		if foreign.StatusCode != http.StatusNotFound || unknown.StatusCode != http.StatusNotFound || foreignBody != unknownBody {
			t.Errorf("%s: another's answers %d %q, an unknown one %d %q", name, foreign.StatusCode, foreignBody, unknown.StatusCode, unknownBody)
		}
		for k := range foreign.Header {
			if k != "Date" && strings.Join(foreign.Header[k], ",") != strings.Join(unknown.Header[k], ",") {
				t.Errorf("%s: the header %s tells them apart", name, k)
			}
		}
	}
	if len(f.replays) != 2 {
		t.Errorf("replayed were %v: only owners may", f.replays)
	}
	if got := f.held.moves(); got != "release ash, release birchwood, delete ash, delete birchwood, learn ash, learn birchwood" {
		t.Errorf("of held mail %s: only owners may", got)
	}
}

func TestIsolationListsHoldNoOthers(t *testing.T) {
	f := start(t)
	n := 0
	for _, rt := range table() {
		if strings.Contains(rt.Path, "{") || rt.Method != "GET" || rt.Long || queries[rt.Method+" "+rt.Path] != "" {
			continue
		}
		n++
		for _, query := range []string{"", "?tenant=birchwood", "?limit=1000"} {
			if _, body := f.ask(t, "GET", prefix+rt.Path+query, "admin:ash", ""); strings.Contains(strings.ToLower(body), "birch") {
				t.Errorf("%s%s names another tenant: %s", rt.Path, query, body)
			}
			if res, body := f.ask(t, "GET", prefix+rt.Path+query, "admin:*", ""); res.StatusCode != http.StatusOK || rt.Path != "/status" && !strings.Contains(body, "birch") {
				t.Errorf("%s%s does not show the operator all: %d %s", rt.Path, query, res.StatusCode, body)
			}
			if _, body := f.ask(t, "GET", prefix+rt.Path+query, "admin:nobody", ""); strings.Contains(body, "birch") || strings.Contains(body, `"ash"`) {
				t.Errorf("%s%s shows something to a scope of nobody: %s", rt.Path, query, body)
			}
		}
	}
	if n < 9 {
		t.Errorf("only %d lists were tried", n)
	}
	if _, body := f.ask(t, "GET", prefix+"/deadletters", "analyst:ash", ""); strings.Contains(body, "d-nobody") || !strings.Contains(body, "d-ash") {
		t.Errorf("a record that nobody knows the owner of is the operator's: %s", body)
	}
}

func TestRolesSeeAndDoWhatTheyMay(t *testing.T) {
	f := start(t)
	for _, rt := range table() {
		if rt.Long {
			continue
		}
		name := rt.Method + " " + rt.Path
		path, body := rt.request(ids[name][0])
		for token, want := range map[string]int{"": 401, "nonsense": 401, "sensor:ash": 403, "owner:ash": 403} {
			if res, got := f.ask(t, rt.Method, path, token, soon(body)); res.StatusCode != want || strings.Contains(got, "Ash") || !strings.HasPrefix(got, `{"error":`) {
				t.Errorf("%s with the token %q: %d %s, want %d", name, token, res.StatusCode, got, want)
			}
		}
		res, got := f.ask(t, rt.Method, path, "viewer:ash", soon(body))
		if want := map[bool]int{true: 200, false: 403}[rt.Least == "viewer"]; res.StatusCode != want {
			t.Errorf("%s by a viewer: %d %s, want %d", name, res.StatusCode, got, want)
		}
		if rt.Method != "GET" && rt.Least == "viewer" {
			t.Errorf("%s changes something, and a viewer may", name)
		}
	}
	if res, _ := f.ask(t, "GET", prefix+"/watch", "sensor:ash", ""); res.StatusCode != http.StatusForbidden {
		t.Errorf("a sensor's token may watch: %d", res.StatusCode)
	}
	if res, _ := f.ask(t, "GET", "/", "sensor:ash", ""); res.StatusCode != http.StatusForbidden {
		t.Errorf("a sensor's token may see the page: %d", res.StatusCode)
	}
}

func TestEveryAnswerBearsTheHeaders(t *testing.T) {
	f := start(t)
	for _, path := range []string{"/", "/login", "/nowhere", prefix + "/campaigns", prefix + "/nowhere", prefix + "/openapi.json", prefix + "/findings/x"} {
		for _, token := range []string{"", "viewer:ash"} {
			res, _ := f.ask(t, "GET", path, token, "")
			for k, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Content-Security-Policy": "frame-ancestors 'none'"} {
				if !strings.Contains(res.Header.Get(k), want) {
					t.Errorf("%s as %q: %s is %q", path, token, k, res.Header.Get(k))
				}
			}
		}
	}
}

func TestChangesFromOtherSitesAreRefused(t *testing.T) {
	f := start(t)
	for _, c := range []struct {
		header, value string
		want          int
	}{
		{"Sec-Fetch-Site", "cross-site", 403}, {"Sec-Fetch-Site", "same-site", 403}, {"Origin", "https://evil.example", 403},
		{"Sec-Fetch-Site", "same-origin", 200}, {"Origin", f.srv.URL, 200}, {"X-None", "1", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", f.srv.URL+prefix+"/replays", strings.NewReader(`{"ids":["d-ash"]}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(c.header, c.value)
		req.AddCookie(&http.Cookie{Name: "breakwater", Value: "admin:ash"})
		res, err := f.srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: %s: %d, want %d", c.header, c.value, res.StatusCode, c.want)
		}
	}
}
