package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// relayed declares a relay that speaks for acme and borg, and every other way in which a record can be crown's.
const relayed = `
tenants:
  - {id: acme, name: Acme, role: client}
  - {id: borg, name: Borg, role: client}
  - {id: crown, name: Crown, role: client, aliases: [krone], domains: [crown.example], networks: [10.9.0.0/16]}
  - {id: dune, name: Dune, role: provider}
partners: [{id: dune-msp, name: Dune, tenant: dune}]
trusts: [{id: dune-crown, partner: dune-msp, tenant: crown, owner: it@crown.example, valid_from: "2024-01-01"}]
sensors:
  - {name: relay, match: {exporter: relay}, tenant_by: {field: org, map: {a: acme, b: borg}}}
  - {name: crown-files, match: {path: "crown/**"}, tenant: crown}
  - {name: crown-names, match: {path: "crown*"}, tenant: crown}
  - {name: crown-host, match: {exporter: 127.0.0.1}, tenant: crown}
  - {name: crown-field, match: {field: {owner: crown}}, tenant: crown}
  - {name: dune-map, match: {exporter: hub}, tenant_by: {field: unit, map: {x: dune, a: dune}}}
`

// TestIsolationASenderChoosesOnlyAmongItsMap lets the relay's token claim every other tenant in every place that a
// request has. All of it must be acme's or borg's, or a dead letter.
func TestIsolationASenderChoosesOnlyAmongItsMap(t *testing.T) {
	t.Parallel()
	data := t.TempDir() + "/data"
	must(t, "apply", "--data", data, configFile(t, relayed))
	relay, _ := tokenFor(t, data, "sensor", "--sensor", "relay")
	alone, _ := tokenFor(t, data, "sensor", "--sensor", "acme-fw", "--tenant", "acme")
	s := begin(t, data, false)

	fields := strings.Fields(`tenant tenant_id tenantId Tenant TENANT _tenant tenant.id org_id organization organization.id
		customer client account owner sensor Sensor _index index labels.org fields.org event.org host host.name hostname computer Computer
		observer.name agent.name exporter peer name path file log.file.path source unit layer trust partner Head Lane lane domain ORG Org orG`)
	n := 0
	record := func(pairs ...string) string { // raw JSON values, so that a key can be given twice
		n++
		out := fmt.Sprintf(`{"@timestamp":"2026-03-02T10:00:%02d.%03dZ","n":%d`, n/1000%60, n%1000, n)
		for i := 0; i+1 < len(pairs); i += 2 {
			out += fmt.Sprintf(",%q:%s", pairs[i], pairs[i+1])
		}
		return out + "}"
	}
	var mapped, strangers int // how many must become events of the map, and dead letters
	var lines strings.Builder
	for _, claimed := range []string{"crown", "Crown", "krone", "crown.example", "dune", "dune-msp", "local", "*", "acme,crown", "a,crown", "x", "../crown", `a\u0000crown`, "none"} {
		value := `"` + claimed + `"`
		for _, f := range fields {
			fmt.Fprintln(&lines, record(f, value, "org", `"a"`)) // beside an honest choice: the last org counts, or none
			fmt.Fprintln(&lines, record("org", `"a"`, f, value))
			fmt.Fprintln(&lines, record(f, value))
		}
		fmt.Fprintln(&lines, record("org", value))
		fmt.Fprintln(&lines, record("org", `[`+value+`]`))
		fmt.Fprintln(&lines, record("org", `{"id":`+value+`}`))
		fmt.Fprintln(&lines, record("org", `["a",`+value+`]`))
		fmt.Fprintln(&lines, record("org", `"a "`, "message", `"{\"org\":\"crown\",\"tenant\":\"crown\"}"`))
	}
	body := lines.String()
	sent := strings.Count(body, "\n")
	s.send("/ingest/ndjson", relay, body)

	honest := func() string { mapped++; return record("org", `"b"`) + "\n" }
	foreign := func() string { strangers++; return record("org", `"crown"`) + "\n" }
	for _, path := range []string{"/ingest/ndjson", "/ingest/file"} {
		for _, q := range []string{"?tenant=crown", "?sensor=crown-files", "?org=crown", "?name=crown/x.jsonl", "?name=crown.jsonl", "?name=..%2fcrown%2fx.jsonl", "?name=crown%5Cx.jsonl",
			"?layer=mail&tenant_id=crown", "?name=/crown/x.jsonl", "?name=crown.zip!crown/x.jsonl"} {
			s.send(path+q, relay, honest())
			s.send(path+q, relay, foreign())
		}
		for _, h := range []string{"X-Scope-OrgID", "X-Tenant", "X-Tenant-ID", "X-Breakwater-Tenant", "X-Breakwater-Sensor", "X-Org", "Org", "Tenant", "X-Forwarded-For", "Forwarded", "X-Real-IP", "Host", "User-Agent", "Origin-Tenant", "Idempotency-Key"} {
			s.send(path, relay, honest(), h, fmt.Sprint("crown", n))
			s.send(path, relay, foreign(), h, fmt.Sprint("crown", n))
		}
	}
	for _, index := range []string{"crown", "logs-crown", "crown.example", "borg"} {
		s.send("/"+index+"/_bulk", relay, `{"create":{"_index":"`+index+`"}}`+"\n"+honest()+`{"index":{"_index":"crown","_id":"crown`+index+`"}}`+"\n"+foreign())
		s.send("/_bulk?pipeline=crown&routing=crown", relay, `{"index":{"_index":"`+index+`","routing":"crown","pipeline":"crown"}}`+"\n"+honest())
		if a, err := s.ask("POST", "/"+index+"/_doc/crown", relay, foreign()); err != nil || a.status != http.StatusCreated {
			t.Errorf("_doc: %v %+v", err, a)
		}
	}
	// A sender of one tenant has nothing to choose at all.
	var owned int
	for _, f := range fields {
		s.send("/ingest/ndjson?tenant=crown", alone, record(f, `"crown"`, "org", `"b"`)+"\n", "X-Scope-OrgID", "crown")
		owned++
	}
	s.settled()

	var known int64
	for _, row := range s.rows() {
		switch {
		case row.Tenant == "acme" || row.Tenant == "borg":
			known += row.Events
		case row.Events > 0:
			t.Errorf("%d events of sensor %s were taken for %s", row.Events, row.Sensor, row.Tenant)
		}
	}
	var dead int64
	eventually(t, "bad records are kept", patience, func() bool {
		dead = 0
		for cursor := ""; ; {
			var page struct {
				Deadletters []api.Deadletter
				Next        string
			}
			s.get("/deadletters?limit=1000&cursor="+url.QueryEscape(cursor), &page)
			for _, d := range page.Deadletters {
				if d.Tenant != "" {
					t.Errorf("a dead letter of the relay is shown to %s: %+v", d.Tenant, d)
				}
			}
			dead += int64(len(page.Deadletters))
			if cursor = page.Next; cursor == "" {
				return known+dead == int64(sent+mapped+strangers+owned)
			}
		}
	})
	if rows := s.rows(); events(rows, func(r api.Row) bool { return r.Tenant == "acme" && r.Sensor == "acme-fw" }) != int64(owned) ||
		events(rows, func(r api.Row) bool { return r.Tenant == "borg" }) != int64(mapped) {
		t.Errorf("acme's own sender has %d events and borg %d: %+v", owned, mapped, rows)
	}
	if dead < int64(strangers) || known < int64(mapped+owned+sent/3) {
		t.Errorf("%d dead letters and %d events of %d honest and %d foreign ones beside %d claims", dead, known, mapped, strangers, sent)
	}
}

// TestIsolationAReaderSeesItsTenantAlone compares what a viewer of one client is shown with what there is.
func TestIsolationAReaderSeesItsTenantAlone(t *testing.T) {
	t.Parallel()
	dir := story(t, "island-hop")
	data, tokens := applied(t, dir, "")
	setup, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	// Whose: a client whom the intruder reached, so that there is something to see.
	s := begin(t, data, false)
	list := parcels(feedOf(t, dir))
	s.deliverAll(list[:len(list)/2], tokens)
	s.settled()
	var all struct {
		Findings []struct{ ID, Tenant string }
	}
	s.get("/findings?limit=1000", &all)
	mine := tenant.ID("")
	for _, x := range setup.Model.Tenants {
		if slices.ContainsFunc(all.Findings, func(f struct{ ID, Tenant string }) bool { return f.Tenant == string(x.ID) }) && x.Role == tenant.RoleClient {
			mine = x.ID
		}
	}
	if mine == "" {
		t.Fatal("no client has a finding")
	}
	var hidden []string // tenants that are neither the viewer's nor partners of it
	partners := map[tenant.PartnerID]bool{}
	for i := range setup.Model.Trusts {
		if x := &setup.Model.Trusts[i]; x.Tenant == mine {
			partners[x.Partner] = true
		}
	}
	for _, x := range setup.Model.Tenants {
		if x.ID != mine && !partners[tenant.PartnerID(x.ID)] {
			hidden = append(hidden, string(x.ID))
		}
	}
	if len(hidden) == 0 {
		t.Fatalf("%s has trusts with everybody: there is nothing to hide", mine)
	}
	viewer, _ := tokenFor(t, data, "viewer", "--tenant", string(mine))
	analyst, _ := tokenFor(t, data, "analyst", "--tenant", string(mine))

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stream, reading := watchStream(t, ctx, s, viewer)
	s.deliverAll(list[len(list)/2:], tokens)
	bad, _ := tokenFor(t, data, "sensor", "--sensor", "broken", "--tenant", hidden[0])
	s.send("/ingest/ndjson", bad, "{\"truncated\n{\"also\n")
	s.settled()
	eventually(t, "the stream tells of findings", patience, func() bool { return strings.Contains(stream.String(), "event: finding") })
	eventually(t, "dead letters are kept", patience, func() bool { return len(s.deadletters()) >= 1 })

	shows := func(what, body string) {
		t.Helper()
		for _, id := range hidden {
			if strings.Contains(body, `"`+id+`"`) || strings.Contains(body, `"`+id+`-`) || strings.Contains(body, ">"+id+"<") {
				at := strings.Index(body, id)
				t.Errorf("%s shows %s to %s: …%s…", what, id, mine, body[max(0, at-200):min(len(body), at+100)])
			}
		}
	}
	for _, path := range []string{"/campaigns", "/incidents", "/findings?limit=1000", "/result", "/coverage", "/status", "/levels", "/deadletters?limit=1000", "/openapi.json"} {
		a, err := s.ask("GET", "/api/v1"+path, analyst, "")
		if err != nil || a.status != http.StatusOK {
			t.Errorf("GET %s: %v %d %s", path, err, a.status, a.body)
		}
		shows(path, a.body)
	}
	for _, path := range []string{"/", "/?fragment"} {
		a, err := s.ask("GET", path, viewer, "", "Accept", "text/html")
		if err != nil || a.status != http.StatusOK || !strings.Contains(a.body, string(mine)) {
			t.Errorf("GET %s: %v %d, %d bytes", path, err, a.status, len(a.body))
		}
		shows(path, a.body)
	}
	stop()
	<-reading
	shows("the stream", stream.String())

	// What is another's is answered as what does not exist.
	s.get("/findings?limit=1000", &all)
	absent, err := s.ask("GET", "/api/v1/findings/0123456789abcdef", viewer, "")
	if err != nil || absent.status != http.StatusNotFound {
		t.Fatalf("a finding that does not exist: %v %+v", err, absent)
	}
	var incidents struct{ Incidents []struct{ ID, Tenant string } }
	s.get("/incidents", &incidents)
	var others []string
	for _, f := range all.Findings {
		if f.Tenant != string(mine) {
			others = append(others, "/findings/"+f.ID)
		}
	}
	for _, i := range incidents.Incidents {
		if i.Tenant != string(mine) {
			others = append(others, "/incidents/"+i.ID)
		}
	}
	for _, d := range s.deadletters() {
		others = append(others, "/deadletters/"+d.ID)
	}
	if len(others) < 10 {
		t.Errorf("only %d things of others to look for", len(others))
	}
	for _, path := range others {
		if a, err := s.ask("GET", "/api/v1"+path, analyst, ""); err != nil || a.status != http.StatusNotFound || a.body != absent.body {
			t.Errorf("GET %s: %v %d %s; one that does not exist gives %s", path, err, a.status, a.body, absent.body)
		}
	}
	for _, id := range hidden {
		for _, x := range []struct{ method, path, body string }{
			{"PUT", "/levels/" + id, `{"level":"elevated","reason":"x","until":"2099-01-01T00:00:00Z"}`}, {"DELETE", "/levels/" + id + "?reason=x", ""},
			{"POST", "/replays", fmt.Sprintf(`{"ids":[%q]}`, s.deadletters()[0].ID)},
		} {
			if a, err := s.ask(x.method, "/api/v1"+x.path, analyst, x.body, "Content-Type", "application/json"); err != nil || a.status != http.StatusNotFound {
				t.Errorf("%s %s: %v %d %s", x.method, x.path, err, a.status, a.body)
			}
		}
		for _, path := range []string{"/findings?tenant=" + id, "/deadletters?tenant=" + id} {
			a, err := s.ask("GET", "/api/v1"+path, analyst, "")
			var got struct{ Findings, Deadletters []any }
			if err != nil || json.Unmarshal([]byte(a.body), &got) != nil || len(got.Findings)+len(got.Deadletters) > 0 {
				t.Errorf("GET %s: %v %d %s", path, err, a.status, a.body)
			}
		}
	}
}

// watchStream reads what a watch sends until the context ends.
func watchStream(t *testing.T, ctx context.Context, s *served, token string) (*written, <-chan struct{}) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/api/v1/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("watch: %v %v", err, resp)
	}
	out, done := &written{}, make(chan struct{})
	go func() {
		defer close(done)
		defer resp.Body.Close()
		_, _ = io.Copy(out, resp.Body) // it ends with the context
	}()
	return out, done
}

// TestTokensOpenOnlyTheirOwnDoors tries senders at what is read, readers at what is sent, and revoked tokens at all.
func TestTokensOpenOnlyTheirOwnDoors(t *testing.T) {
	t.Parallel()
	data := t.TempDir() + "/data"
	must(t, "apply", "--data", data, configFile(t, relayed))
	sensor, sensorID := tokenFor(t, data, "sensor", "--sensor", "acme-fw", "--tenant", "acme") // before the first start
	viewer, viewerID := tokenFor(t, data, "viewer")
	analyst, _ := tokenFor(t, data, "analyst")
	s := begin(t, data, false)
	s.send("/ingest/ndjson", sensor, `{"@timestamp":"2026-03-02T10:00:00Z"}`+"\n")
	for _, path := range []string{"/api/v1/campaigns", "/api/v1/campaigns/x", "/api/v1/incidents", "/api/v1/incidents/x", "/api/v1/findings", "/api/v1/findings/x", "/api/v1/result", "/api/v1/coverage",
		"/api/v1/status", "/api/v1/watch", "/api/v1/deadletters", "/api/v1/deadletters/1-0", "/api/v1/levels", "/metrics", "/?fragment"} {
		for who, token := range map[string]string{"a sender": sensor, "nobody": "", "a made up token": "bw_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
			if a, err := s.ask("GET", path, token, "", "Accept", "text/html"); err != nil || a.status != http.StatusForbidden && a.status != http.StatusUnauthorized {
				t.Errorf("%s: GET %s: %v %d %.100s", who, path, err, a.status, a.body)
			}
		}
	}
	for _, path := range []string{"/ingest/ndjson", "/ingest/file", "/_bulk", "/x/_doc"} {
		for who, token := range map[string]string{"a viewer": viewer, "an analyst": analyst, "an administrator": s.admin} {
			if a, err := s.ask("POST", path, token, "{\"create\":{}}\n{}\n"); err != nil || a.status != http.StatusForbidden {
				t.Errorf("%s: POST %s: %v %d %.100s", who, path, err, a.status, a.body)
			}
		}
	}
	if a, err := s.ask("GET", "/metrics", s.admin, ""); err != nil || a.status != http.StatusOK || !strings.Contains(a.body, `breakwater_accepted_records_total{lane="acme"} 1`) {
		t.Errorf("metrics for the administrator: %v %d %.300s", err, a.status, a.body)
	}
	page := func(token string) int {
		a, err := s.ask("GET", "/api/v1/coverage", token, "")
		if err != nil {
			t.Fatal(err)
		}
		return a.status
	}
	if page(viewer) != http.StatusOK {
		t.Fatal("the viewer can't read")
	}
	for id, still := range map[string]func() bool{
		viewerID: func() bool { return page(viewer) == http.StatusOK },
		sensorID: func() bool {
			a, err := s.ask("POST", "/ingest/ndjson", sensor, "{}\n")
			return err == nil && a.status == http.StatusOK
		},
	} {
		if !still() {
			t.Fatalf("token %s does not work", id)
		}
		must(t, "token", "revoke", id, "--data", data)
		begun := time.Now()
		eventually(t, "a revoked token is refused", patience, func() bool { return !still() })
		if took := time.Since(begun); took > 3*time.Second { // it is 2 s; the machine may be busy
			t.Errorf("a revoked token worked for %s", took)
		}
	}
}
