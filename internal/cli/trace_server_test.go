package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/scenario"
)

// withoutRecords drops where a session was read: a server knows senders, and no files.
func withoutRecords(list []app.Traced) []app.Traced {
	for i := range list {
		for k := range list[i].Paths {
			for n := range list[i].Paths[k].Hops {
				list[i].Paths[k].Hops[n].File, list[i].Paths[k].Hops[n].Record = "", 0
			}
		}
	}
	return list
}

func withoutHosts(b *app.BlastAnswer) *app.BlastAnswer {
	for i := range b.Tenants {
		for k := range b.Tenants[i].Hosts {
			b.Tenants[i].Hosts[k].File, b.Tenants[i].Hosts[k].Record = "", 0
		}
	}
	return b
}

// readJSON runs a command with -o json and reads what it prints.
func readJSON[T any](t *testing.T, args ...string) (out T) {
	t.Helper()
	text := must(t, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// twoHops writes a story in which an intruder comes over two trusts, and returns its folder.
func twoHops(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "two-hops")
	if _, err := scenario.Write(t.Context(), scenario.Options{Kind: "two-hops", Clients: 4, Days: 3, Seed: 3}, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestAServerTracesAsFilesDo asks a server and the files for every finding of a story, and for the reach of everybody
// in it: the answers are the same. A viewer of one tenant is told nothing of others.
func TestAServerTracesAsFilesDo(t *testing.T) {
	t.Parallel()
	dir := twoHops(t)
	setup, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := app.Investigate(t.Context(), setup, []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, tokens := applied(t, dir, "")
	s := begin(t, data, false)
	s.deliverAll(parcels(feedOf(t, dir)), tokens)
	s.settled()
	server := []string{"--server", s.url, "--token", s.admin}

	traced, hops, crossing := 0, 0, map[tenant.ID]bool{}
	var sample string
	for _, f := range files.Result.List {
		want, err := files.Trace(app.TraceOptions{Subject: f.ID, Most: 3})
		if err != nil {
			continue // it names no source
		}
		var live app.LiveTraces
		s.get("/trace?subject="+f.ID, &live)
		got := live.Traces
		if d := cmp.Diff(withoutRecords(want), withoutRecords(got)); d != "" {
			t.Errorf("finding %s, from files (-) and from the server (+): %s", f.ID, d)
		}
		traced++
		for _, x := range got {
			hops += len(x.Paths[0].Hops)
			for _, h := range x.Paths[0].Hops {
				if h.From.Tenant != "" && h.From.Tenant != f.Tenant {
					crossing[f.Tenant], sample = true, f.ID
				}
			}
		}
	}
	if traced < 3 || hops == 0 || len(crossing) == 0 {
		t.Fatalf("%d findings were traced over %d sessions, into %v: there is nothing to compare", traced, hops, crossing)
	}
	for _, p := range setup.Model.Partners {
		want, err := files.Blast(app.BlastOptions{Subject: string(p.ID)})
		if err != nil {
			t.Fatal(err)
		}
		var live app.LiveBlast
		s.get("/blast?subject="+string(p.ID), &live)
		if d := cmp.Diff(withoutHosts(want), withoutHosts(live.Blast)); d != "" {
			t.Errorf("the reach of %s, from files (-) and from the server (+): %s", p.ID, d)
		}
	}
	want, err := files.Trace(app.TraceOptions{Subject: sample, Most: 3})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(withoutRecords(want), withoutRecords(readJSON[[]app.Traced](t, append([]string{"trace", sample}, server...)...))); d != "" {
		t.Errorf("by command, from files (-) and from the server (+): %s", d)
	}
	if out := must(t, append([]string{"trace", sample[:8]}, server...)...); !strings.Contains(out, "ends: ") {
		t.Errorf("the table is %s", out)
	}
	if out := must(t, append([]string{"blast", string(setup.Model.Partners[0].ID), "-o", "csv"}, server...)...); !strings.HasPrefix(out, "tenant,reach,host") {
		t.Errorf("CSV is %s", out)
	}

	// Each tenant alone.
	answered := 0
	for _, x := range setup.Model.Tenants {
		viewer, _ := tokenFor(t, data, "viewer", "--tenant", string(x.ID))
		partners := map[tenant.PartnerID]bool{}
		for _, tr := range setup.Model.TrustsInto(x.ID) {
			partners[tr.Partner] = true
		}
		for _, f := range files.Result.List {
			a, err := s.ask("GET", "/api/v1/trace?subject="+f.ID, viewer, "")
			if err != nil {
				t.Fatal(err)
			}
			if f.Tenant != x.ID {
				if a.status != http.StatusNotFound || !strings.Contains(a.body, "no finding that you may see") {
					t.Errorf("%s asks for a finding of %s: %d %s", x.ID, f.Tenant, a.status, a.body)
				}
				continue
			}
			if a.status == http.StatusBadRequest {
				continue // it names no source that x may see
			}
			if a.status != http.StatusOK {
				t.Errorf("%s asks for its own finding %s: %d %s", x.ID, f.ID, a.status, a.body)
			}
			out := a.body
			answered++
			for _, o := range setup.Model.Tenants {
				home := slices.ContainsFunc(setup.Model.Partners, func(p tenant.Partner) bool {
					return p.Tenant == o.ID && (partners[p.ID] || string(p.ID) == string(o.ID))
				})
				if o.ID != x.ID && !home && (strings.Contains(out, `"`+string(o.ID)+`"`) || strings.Contains(out, o.Name)) {
					t.Errorf("%s is told of %s: %s", x.ID, o.ID, out)
				}
				if o.ID != x.ID && strings.Contains(out, `"tenant":"`+string(o.ID)+`"`) {
					t.Errorf("%s is told of a place within %s: %s", x.ID, o.ID, out)
				}
			}
		}
	}
	if answered < 3 {
		t.Errorf("only %d questions within a scope were answered", answered)
	}
}

// TestTraceOverAServerSaysWhatIsWrong holds the words for what can't be answered.
func TestTraceOverAServerSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := twoHops(t)
	data, tokens := applied(t, dir, "")
	s := begin(t, data, false)
	s.deliverAll(parcels(feedOf(t, dir)), tokens)
	s.settled()
	setup, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	id := string(setup.Model.Tenants[0].ID)
	server := []string{"--server", s.url, "--token", s.admin}
	logs := filepath.Join(dir, "telemetry")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"an unknown finding":       {append([]string{"trace", "0123456789abcdef01234567"}, server...), exitError, "no finding that you may see has that id"},
		"no time":                  {append([]string{"trace", "10.1.2.3"}, server...), exitUsage, "--at is needed"},
		"a time that is not held":  {append([]string{"trace", "10.1.2.3", "--tenant", id, "--at", "2001-01-01T00:00:00Z"}, server...), exitError, "is held from"},
		"a blast since a far day":  {append([]string{"blast", "10.1.2.3", "--since", "2101-01-01"}, server...), exitError, "is held from"},
		"an unknown kind":          {append([]string{"blast", "x", "--as", "person"}, server...), exitUsage, "--as person"},
		"files and a server":       {append([]string{"trace", "10.1.2.3", "--at", "1h", logs}, server...), exitUsage, "not both"},
		"files and a server, too":  {append([]string{"blast", "x", logs}, server...), exitUsage, "not both"},
		"what is for files":        {append([]string{"trace", "10.1.2.3", "--at", "1h", "--rules", dir}, server...), exitUsage, "--rules is for files"},
		"an answer that isn't one": {append([]string{"trace", "10.1.2.3", "--at", "1h", "--answer", filepath.Join(dir, app.ConfigName)}, server...), exitError, "is no trace document"},
		"a request without a key":  {append([]string{"trace", "10.1.2.3", "--at", "1h", "--config", filepath.Join(dir, app.ConfigName), "--request", "r.json"}, server...), exitUsage, "whose key"},
		"a request without trusts": {append([]string{"trace", "10.1.2.3", "--at", "1h", "--data", dir, "--request", "r.json"}, server...), exitUsage, "needs --config"},
		"another answers, no file": {append([]string{"trace", "answer", "ask.json"}, server...), exitUsage, "-o is needed"},
		"a request by no id":       {append([]string{"trace", "request", "show", "../x"}, server...), exitUsage, "32 hexadecimal digits"},
		"an unknown request":       {append([]string{"trace", "request", "show", strings.Repeat("0", 32)}, server...), exitError, "not yours to see"},
		"approved for no reason":   {append([]string{"trace", "request", "approve", strings.Repeat("0", 32)}, server...), exitUsage, "--reason is needed"},
		"neither":                  {[]string{"trace", "10.1.2.3"}, exitUsage, "Name files or folders, or a server"},
		"nothing":                  {[]string{"blast"}, exitUsage, "or --server"},
	} {
		if out, errs, code := perform(t, c.args...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%s: exit %d, want %d: %s%s", name, code, c.code, out, errs)
		}
	}
	sensor := ""
	for _, token := range tokens {
		sensor = token
	}
	for _, path := range []string{"/trace?subject=10.1.2.3&at=1h", "/blast?subject=10.1.2.3"} {
		for who, token := range map[string]string{"nobody": "", "a sender": sensor} {
			if a, err := s.ask("GET", "/api/v1"+path, token, ""); err != nil || a.status != http.StatusUnauthorized && a.status != http.StatusForbidden {
				t.Errorf("%s as %s: %v %d %s", path, who, err, a.status, a.body)
			}
		}
	}
}

// TestARequestIsSignedOverAServersAnswer writes a trace request from what a viewer of the victim alone is answered.
func TestARequestIsSignedOverAServersAnswer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key := filepath.Join(dir, "keys")
	peer := strings.TrimSpace(must(t, "trace", "key", "create", "--data", key))
	own := filepath.Join(dir, "own")
	must(t, "trace", "key", "create", "--data", own)
	conf := configFile(t, strings.ReplaceAll(`
tenants: [{id: acme, name: Acme, role: client, networks: [10.20.0.0/16]}]
partners: [{id: nw, name: Northwind IT}]
trusts: [{id: nw-acme, partner: nw, tenant: acme, owner: it@acme.example, valid_from: "2024-01-01", networks: [10.5.0.0/16], trace: {peer: "PEER"}}]
sensors: [{name: fw, match: {exporter: fw}, tenant: acme}]
`, "PEER", peer))
	data := filepath.Join(dir, "data")
	must(t, "apply", "--data", data, conf)
	fw, _ := tokenFor(t, data, "sensor", "--sensor", "fw", "--tenant", "acme")
	viewer, _ := tokenFor(t, data, "viewer", "--tenant", "acme")
	s := begin(t, data, false)
	s.send("/ingest/ndjson", fw, `{"_path":"conn","ts":1772442000.0,"uid":"C1","id.orig_h":"10.5.0.51","id.orig_p":50002,"id.resp_h":"10.20.1.5","id.resp_p":22,"proto":"tcp","service":"ssh","duration":3600.0,"conn_state":"SF","orig_pkts":900,"resp_pkts":800}`+"\n")
	s.settled()
	request := filepath.Join(dir, "ask.json")
	at := time.Unix(1772442060, 0).UTC().Format(time.RFC3339)
	out := must(t, "trace", "10.20.1.5", "--at", at, "--server", s.url, "--token", viewer, "--config", conf, "--data", own, "--request", request)
	if !strings.Contains(out, "ask nw: who was behind 10.5.0.51") {
		t.Errorf("the trace is %s", out)
	}
	if _, err := os.Stat(request); err != nil {
		t.Fatal(err)
	}
	if out := must(t, "trace", "verify", "--config", conf, request); !strings.Contains(out, "10.5.0.51") {
		t.Errorf("the request is %s", out)
	}
}
