package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/respond/tracing"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// house is an organisation with its own Breakwater.
type house struct {
	*served
	data, analyst string
}

// at runs a command against the house's server, as its analyst.
func (h *house) at(args ...string) []string {
	return append(args, "--server", h.url, "--token", h.analyst)
}

// houses starts the servers of a client and of its provider, each with its own half of a story: somebody on the
// provider's 10.5.0.77 came over its 10.5.0.51 and a shared address into acme's server. The terms are the provider's.
func houses(t *testing.T, terms string) (acme, nw *house, at string) {
	t.Helper()
	dir := t.TempDir()
	pin := map[string]string{}
	for _, name := range []string{"acme", "nw"} {
		pin[name] = strings.TrimSpace(must(t, "trace", "key", "create", "--data", filepath.Join(dir, name)))
	}
	began := time.Now().Add(-2 * time.Hour).Truncate(time.Second)
	start := func(name, tenant, conf string, sessions ...string) *house {
		h := &house{data: filepath.Join(dir, name)}
		must(t, "apply", "--data", h.data, configFile(t, conf))
		sensor, _ := tokenFor(t, h.data, "sensor", "--sensor", "fw", "--tenant", tenant)
		h.analyst, _ = tokenFor(t, h.data, "analyst")
		h.served = begin(t, h.data, false)
		h.send("/ingest/ndjson", sensor, strings.Join(sessions, ""))
		h.settled()
		return h
	}
	session := func(uid, from, to, service string, port, after, packets int) string {
		line, err := json.Marshal(map[string]any{"_path": "conn", "ts": began.Add(time.Duration(after) * time.Second).Unix(), "uid": uid, "id.orig_h": from, "id.orig_p": 51002, "id.resp_h": to,
			"id.resp_p": port, "proto": "tcp", "service": service, "duration": 1200, "conn_state": "SF", "orig_pkts": packets, "resp_pkts": packets})
		if err != nil {
			t.Fatal(err)
		}
		return string(line) + "\n"
	}
	acme = start("acme", "acme", strings.ReplaceAll(`
tenants: [{id: acme, name: Acme, role: client, networks: [10.20.0.0/16]}]
partners: [{id: northwind, name: Northwind}]
trusts: [{id: northwind-acme, partner: northwind, tenant: acme, owner: it@acme.example, valid_from: "2024-01-01", networks: [203.0.113.0/28], trace: {peer: "PEER"}}]
sensors: [{name: fw, match: {exporter: fw}, tenant: acme}]
`, "PEER", pin["nw"]),
		session("CA0", "10.20.1.9", "10.20.1.5", "ssl", 443, 0, 9), session("CA1", "203.0.113.4", "10.20.1.5", "rdp", 3389, 120, 900), session("CA2", "10.20.1.9", "10.20.1.5", "ssl", 443, 3600, 9))
	nw = start("nw", "northwind", strings.NewReplacer("PEER", pin["acme"], "TERMS", terms).Replace(`
tenants:
  - {id: northwind, name: Northwind, role: provider, networks: [10.5.0.0/16]}
  - {id: acme, name: Acme, role: client, networks: [10.20.0.0/16]}
  - {id: borg, name: Borg Dairies, role: client, networks: [10.30.0.0/16]}
partners: [{id: nw, name: Northwind, tenant: northwind}]
trusts: [{id: northwind-acme, partner: nw, tenant: acme, owner: it@acme.example, valid_from: "2024-01-01", networks: [203.0.113.0/28], trace: {peer: "PEER", answer: TERMS}}]
sensors: [{name: fw, match: {exporter: fw}, tenant: northwind}]
`),
		session("CB1", "10.5.0.77", "10.5.0.51", "ssh", 22, 60, 1000), session("CB2", "10.5.0.51", "10.20.1.5", "rdp", 3389, 120, 900), session("CB3", "10.30.0.9", "10.5.0.9", "ssl", 443, 100, 9), session("CB4", "10.5.0.77", "10.5.0.9", "ssl", 443, 3600, 9))
	return acme, nw, began.Add(10 * time.Minute).UTC().Format(time.RFC3339)
}

// fails runs a command that must end with exit code 1 and say why.
func fails(t *testing.T, says string, args ...string) {
	t.Helper()
	if out, errs, code := perform(t, args...); code != exitError || !strings.Contains(errs, says) {
		t.Errorf("%v: exit %d, want %d with %q: %s%s", args[:2], code, exitError, says, out, errs)
	}
}

// TestTwoServersTraceFromHouseToHouse takes a trace from the victim's server over two signed requests to its origin at
// the provider: each waits there for a person, is answered once, and leads the victim's server on. What is forged,
// replayed, a stranger's or somebody else's is refused; all of it is in the audit.
func TestTwoServersTraceFromHouseToHouse(t *testing.T) {
	t.Parallel()
	acme, nw, at := houses(t, "approve")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	trace := func(more ...string) []string {
		return acme.at(append([]string{"trace", "10.20.1.5", "--at", at}, more...)...)
	}

	// Acme's server asks with its own key.
	if out := must(t, trace("--request", file("ask.json"))...); !strings.Contains(out, "ask northwind: who was behind 203.0.113.4, which reached 10.20.1.5 on port 3389") {
		t.Errorf("the trace is %s", out)
	}
	// It waits at the provider's, who sees what would go out before it does.
	out, errs, code := perform(t, nw.at("trace", "answer", file("ask.json"), "-o", file("answer.json"))...)
	id := regexp.MustCompile(`[0-9a-f]{32}`).FindString(errs)
	if code != exitDone || id == "" || !strings.Contains(errs, "waits for a person") {
		t.Fatalf("handing in: exit %d: %s%s", code, out, errs)
	}
	if _, err := os.Stat(file("answer.json")); err == nil {
		t.Fatal("it was answered without a person")
	}
	if out := must(t, nw.at("trace", "request", "list")...); !strings.Contains(out, id) || !strings.Contains(out, "waiting") || !strings.Contains(out, "203.0.113.4") {
		t.Errorf("the list is %s", out)
	}
	if out := must(t, nw.at("trace", "request", "show", id)...); !strings.Contains(out, "As things stand:") || !strings.Contains(out, "from 10.5.0.51 by nat") {
		t.Errorf("what waits is %s", out)
	}
	fails(t, "so there is no answer to save", nw.at("trace", "request", "show", id, "--save", file("none.json"))...)
	must(t, nw.at("trace", "request", "approve", id, "--by", "Jo Doe", "--reason", "incident 17", "--save", file("answer.json"))...)
	must(t, nw.at("trace", "request", "show", id, "--save", file("copy.json"))...)
	if a, b := sealed(t, file("answer.json")), sealed(t, file("copy.json")); a.Hash != b.Hash || a.Answer.Outcome != tracing.OutcomeHop || len(a.Answer.Hops) != 1 {
		t.Errorf("answers %+v and %+v", a.Answer, b.Answer)
	}

	// What is not to be answered is refused, with the reason.
	fails(t, "refused (replayed): it was answered at ", nw.at("trace", "answer", file("ask.json"), "--reason", "again", "-o", file("again.json"))...)
	fails(t, "has answered it already", nw.at("trace", "request", "approve", id, "--reason", "again")...)
	fails(t, "has answered it already", nw.at("trace", "request", "decline", id, "--reason", "again")...)
	fails(t, "refused (bad-document)", nw.at("trace", "answer", file("answer.json"), "--reason", "x", "-o", file("again.json"))...)
	raw, err := os.ReadFile(file("ask.json"))
	if err != nil {
		t.Fatal(err)
	}
	forged := strings.Replace(string(raw), "eyJpZCI6", "eyJpZCI7", 1)
	if forged == string(raw) {
		t.Fatal("nothing was forged")
	}
	if err := os.WriteFile(file("forged.json"), []byte(forged), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, "refused (bad-signature)", nw.at("trace", "answer", file("forged.json"), "--reason", "x", "-o", file("again.json"))...)
	fails(t, "refused (unknown-peer)", acme.at("trace", "answer", file("ask.json"), "--reason", "x", "-o", file("again.json"))...)

	// Who may see others of the provider's tenants alone is told nothing of it, and answers nothing.
	borg, _ := tokenFor(t, nw.data, "analyst", "--tenant", "borg")
	stranger := []string{"--server", nw.url, "--token", borg}
	if out := must(t, append([]string{"trace", "request", "list", "-o", "json"}, stranger...)...); strings.TrimSpace(out) != "[]" {
		t.Errorf("borg is shown %s", out)
	}
	fails(t, "not yours to see", append([]string{"trace", "request", "show", id}, stranger...)...)
	fails(t, "not yours to see", append([]string{"trace", "request", "approve", id, "--reason", "x"}, stranger...)...)
	fails(t, "refused (unknown-peer)", append([]string{"trace", "answer", file("ask.json"), "--reason", "x", "-o", file("again.json")}, stranger...)...)
	viewer, _ := tokenFor(t, nw.data, "viewer")
	fails(t, "needs the role analyst", "trace", "request", "approve", id, "--reason", "x", "--server", nw.url, "--token", viewer)

	// Acme's trace goes on from there, for everybody who may see acme, to the next question and its answer.
	out = must(t, trace("--answer", file("answer.json"), "--request", file("ask2.json"))...)
	for _, want := range []string{"answer: northwind answered for 203.0.113.4", "1. from northwind/10.5.0.51, 2 sessions", "northwind answered so from its own telemetry", "ask northwind: who was behind 10.5.0.51"} {
		if !strings.Contains(out, want) {
			t.Errorf("the trace says nothing of %q: %s", want, out)
		}
	}
	acmes, _ := tokenFor(t, acme.data, "viewer", "--tenant", "acme")
	if out := must(t, "trace", "10.20.1.5", "--at", at, "--server", acme.url, "--token", acmes); !strings.Contains(out, "1. from northwind/10.5.0.51, 2 sessions") {
		t.Errorf("acme's own viewer is told %s", out)
	}
	must(t, nw.at("trace", "answer", file("ask2.json"), "--approve", "Jo Doe", "--reason", "incident 17", "-o", file("answer2.json"))...)
	if a := sealed(t, file("answer2.json")).Answer; a.Outcome != tracing.OutcomeHop || a.Hops[0].From != "10.5.0.77" || a.Hops[0].Kind != "ssh" || a.Hops[0].Account != "" {
		t.Errorf("the second answer is %+v", a)
	}
	must(t, trace("--answer", file("answer2.json"), "--request", file("ask3.json"))...)
	must(t, nw.at("trace", "answer", file("ask3.json"), "--reason", "incident 17", "-o", file("answer3.json"))...)
	if out := must(t, trace("--answer", file("answer3.json"))...); !strings.Contains(out, "1. from northwind/10.5.0.77, 3 sessions") || !strings.Contains(out, "ends: northwind answered for 10.5.0.77: origin") {
		t.Errorf("the whole trace is %s", out)
	}
	fails(t, "there is nobody to ask", trace("--request", file("ask4.json"))...)
	fails(t, "refused (not-for-us)", nw.at("trace", "10.5.0.51", "--at", at, "--tenant", "northwind", "--answer", file("answer.json"))...)

	// A restart keeps what was answered.
	if code := acme.stop(); code != exitDone {
		t.Fatalf("the server ended with %d", code)
	}
	again := begin(t, acme.data, false)
	again.settled()
	acme.served = again
	if out := must(t, trace()...); !strings.Contains(out, "1. from northwind/10.5.0.77, 3 sessions") {
		t.Errorf("after a restart the trace is %s", out)
	}

	audit := filepath.Join(app.ExchangeDir(nw.data), "audit.jsonl")
	if out := must(t, "trace", "verify", audit); !strings.Contains(out, "each follows") {
		t.Errorf("the audit is %s", out)
	}
	said, err := os.ReadFile(audit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"what":"waiting"`, `"by":"Jo Doe, by `, `"reason":"incident 17"`, `"code":"replayed"`, `"code":"bad-signature"`, `"code":"unknown-peer"`} {
		if !strings.Contains(string(said), want) {
			t.Errorf("the audit holds no %s: %s", want, said)
		}
	}
}

// sealed reads a signed document.
func sealed(t *testing.T, name string) *tracing.Signed {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := tracing.Read(raw)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAServerAnswersByItselfWhereTheTrustSaysSo: no person is asked, over-frequent requests are refused, and what a
// person declined stays so.
func TestAServerAnswersByItselfWhereTheTrustSaysSo(t *testing.T) {
	t.Parallel()
	acme, nw, at := houses(t, "auto")
	dir := t.TempDir()
	for i := range tracing.MaxAnswers + 1 {
		ask, answer := filepath.Join(dir, "ask"+string(rune('a'+i))), filepath.Join(dir, "answer"+string(rune('a'+i)))
		must(t, acme.at("trace", "10.20.1.5", "--at", at, "--request", ask)...)
		args := nw.at("trace", "answer", ask, "-o", answer)
		if i == tracing.MaxAnswers {
			fails(t, "refused (rate-limited): that peer got 20 answers", args...)
			break
		}
		must(t, args...)
		if a := sealed(t, answer).Answer; a.Outcome != tracing.OutcomeHop || a.Hops[0].From != "10.5.0.51" {
			t.Fatalf("answer %d is %+v", i, a)
		}
	}
	var got struct{ Requests []api.TraceRequest }
	nw.get("/trace/requests", &got)
	if len(got.Requests) != tracing.MaxAnswers || got.Requests[0].State != tracing.StateAnswered || got.Requests[0].Reason != "the trust says answer: auto" {
		t.Errorf("%d requests are kept, the first %+v", len(got.Requests), got.Requests[0])
	}
}

// TestADeclinedRequestStaysDeclined hands a request in again after a person said no.
func TestADeclinedRequestStaysDeclined(t *testing.T) {
	t.Parallel()
	acme, nw, at := houses(t, "approve")
	ask, answer := filepath.Join(t.TempDir(), "ask.json"), filepath.Join(t.TempDir(), "answer.json")
	must(t, acme.at("trace", "10.20.1.5", "--at", at, "--request", ask)...)
	_, errs, _ := perform(t, nw.at("trace", "answer", ask, "-o", answer)...)
	id := regexp.MustCompile(`[0-9a-f]{32}`).FindString(errs)
	must(t, nw.at("trace", "request", "decline", id, "--by", "Jo Doe", "--reason", "not our incident")...)
	fails(t, "refused (declined): Jo Doe, by ", nw.at("trace", "answer", ask, "--reason", "yes", "-o", answer)...)
	fails(t, "has declined it already", nw.at("trace", "request", "approve", id, "--reason", "yes")...)
	if out := must(t, nw.at("trace", "request", "show", id)...); !strings.Contains(out, "not our incident") {
		t.Errorf("it is shown as %s", out)
	}
}

// TestAServerWithoutAKeySaysSo: neither side of an exchange begins by itself.
func TestAServerWithoutAKeySaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	must(t, "apply", "--data", data, configFile(t, "tenants: [{id: acme, name: Acme, role: client}]\n"))
	s := begin(t, data, false)
	ask := filepath.Join(dir, "ask.json")
	if err := os.WriteFile(ask, []byte(`{"breakwater":"x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	server := []string{"--server", s.url, "--token", s.admin}
	fails(t, "this server has no key for trace requests", append([]string{"trace", "answer", ask, "-o", filepath.Join(dir, "answer.json")}, server...)...)
	if out := must(t, append([]string{"trace", "request", "list", "-o", "jsonl"}, server...)...); out != "" {
		t.Errorf("the list is %s", out)
	}
}
