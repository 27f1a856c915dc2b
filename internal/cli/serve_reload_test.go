package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// rewriteWith replaces a file whole, as editors and deployments do.
func rewriteWith(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

// said waits until the log holds so many lines with a text.
func (s *served) said(text string, times int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("the log says %q %d times", text, times), patience, func() bool {
		select {
		case <-s.ended:
			s.t.Fatalf("serve ended:\n%s", s.log)
		default:
		}
		return strings.Count(s.log.String(), text) >= times
	})
}

const taken, notTaken = "taken what changed", "is not taken"

// TestAppliedWhileItRunsHoldsForWhatComes starts with a scenario's tenants alone, applies its trusts and approvals
// beside the running serve, and expects of what is sent then what a scan with the whole configuration says. A sender
// that sends all the while loses nothing.
func TestAppliedWhileItRunsHoldsForWhatComes(t *testing.T) {
	t.Parallel()
	dir := story(t, "island-hop")
	text, err := os.ReadFile(filepath.Join(dir, app.ConfigName))
	if err != nil {
		t.Fatal(err)
	}
	whole, bare := string(text), "trusts: []\n"
	var section string
	tenants := 0
	for line := range strings.Lines(whole) {
		if line[0] != ' ' && line[0] != '#' {
			section, _, _ = strings.Cut(line, ":")
		}
		if section == "tenants" && strings.HasPrefix(line, "  - ") {
			if tenants++; tenants > 1 {
				continue
			}
		}
		if section == "tenants" {
			bare += line
		}
	}
	data, file := filepath.Join(t.TempDir(), "data"), configFile(t, bare)
	pulse, _ := tokenFor(t, data, "sensor", "--sensor", "pulse", "--tenant", "heart")
	s := begin(t, data, false, "--config", file)

	stop, beats := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { beats <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.push("/ingest/ndjson", pulse, fmt.Sprintf("{\"@timestamp\":%q,\"n\":%d}\n", time.Now().UTC().Format(time.RFC3339Nano), n)); err != nil {
				t.Error(err)
				return
			}
			n++
		}
	}()
	for i, broken := range []string{whole + "\nnonsense: 1\n", "tenants: [", strings.Replace(whole, `"tenant":"`, `"tenant":"no-such-`, 1), ""} {
		rewriteWith(t, file, broken)
		if broken != "" { // an empty file declares nothing, and may say so
			s.said(notTaken, i+1)
		}
	}
	rewriteWith(t, file, whole)
	eventually(t, "the new tenants are known", patience, func() bool {
		var v struct{ Levels []api.Level }
		s.get("/levels", &v)
		return len(v.Levels) >= 4
	})
	s.said(taken, 1)
	setup, err := app.NewSetup(app.Options{ConfigPath: file})
	if err != nil {
		t.Fatal(err)
	}
	s.said("snapshot="+setup.Model.Version, 1)
	tokens := map[string]string{}
	for _, x := range setup.Config.Sensors {
		tokens[x.Name], _ = tokenFor(t, data, "sensor", "--sensor", x.Name, "--tenant", string(x.Tenant))
	}
	s.deliverAll(parcels(feedOf(t, dir)), tokens)
	close(stop)
	n := <-beats
	s.settled()
	want, got := scanAnswer(t, dir), s.concluded()
	for _, part := range []string{"findings", "incidents", "campaigns"} {
		for _, v := range []any{want[part], got[part]} {
			forget(v, "snapshot", "tenants", "summary") // the tenant of the pulse is in them
		}
		if diff := cmp.Diff(want[part], got[part]); diff != "" {
			t.Errorf("%s after the configuration was applied (+) are not those of a scan (-):\n%.3000s", part, diff)
		}
	}
	rows := s.rows()
	if got := events(rows, func(r api.Row) bool { return r.Sensor == "pulse" }); got != int64(n) || n == 0 {
		t.Errorf("%d events of the pulse, %d were acknowledged", got, n)
	}
	if got := events(rows, func(r api.Row) bool { return r.Sensor != "pulse" }); float64(got) != want["events"] {
		t.Errorf("%d events, the scan has %v", got, want["events"])
	}
}

const ownRule = `
title: %s
id: %s
status: test
logsource: {category: process_creation, product: windows}
detection: {selection: {Image|endswith: '\%s'}, condition: selection}
level: high
`

// TestRulesAndIndicatorsAreTakenWhileItRuns adds rules and indicators to watched files, breaks them, and mends them.
func TestRulesAndIndicatorsAreTakenWhileItRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data, rules, list := filepath.Join(dir, "data"), filepath.Join(dir, "rules"), filepath.Join(dir, "bad.txt")
	if err := os.Mkdir(rules, 0o700); err != nil {
		t.Fatal(err)
	}
	rewriteWith(t, list, "first.example\n")
	rewriteWith(t, filepath.Join(rules, "one.yml"), fmt.Sprintf(ownRule, "One", "11111111-1111-4111-8111-111111111111", "one.exe"))
	token, _ := tokenFor(t, data, "sensor", "--sensor", "fw", "--tenant", "acme")
	s := begin(t, data, false, "--rules", rules, "--indicators", list)
	sent := 0
	see := func(program, domain string) {
		sent += 2
		at := time.Now().UTC().Format(time.RFC3339Nano)
		s.send("/ingest/ndjson", token, fmt.Sprintf(`{"@timestamp":%q,"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","provider_name":"Microsoft-Windows-Sysmon","event_id":1,"record_id":%d,"computer_name":"h1","event_data":{"UtcTime":%q,"Image":"C:\\x\\%s","CommandLine":"x","ProcessId":"%d","User":"A\\b"}}}`+"\n", at, sent, time.Now().UTC().Format("2006-01-02 15:04:05.000"), program, sent)+
			fmt.Sprintf(`{"_path":"dns","ts":%d.%06d,"uid":"C%d","id.orig_h":"10.0.0.5","id.orig_p":5000,"id.resp_h":"10.0.0.1","id.resp_p":53,"proto":"udp","query":%q,"qtype_name":"A"}`+"\n", time.Now().Unix(), sent, sent, domain))
	}
	found := func(text string) {
		t.Helper()
		eventually(t, "a finding tells of "+text, patience, func() bool {
			var v struct {
				Findings []struct{ Title, Rule, Reason string }
			}
			s.get("/findings?limit=1000", &v)
			for _, f := range v.Findings {
				if strings.Contains(f.Title+f.Rule+f.Reason, text) {
					return true
				}
			}
			return false
		})
	}
	see("one.exe", "first.example")
	found("11111111-1111-4111-8111-111111111111")
	found("first.example")
	rewriteWith(t, filepath.Join(rules, "two.yml"), fmt.Sprintf(ownRule, "Two", "22222222-2222-4222-8222-222222222222", "two.exe"))
	s.said(taken, 1)
	rewriteWith(t, list, "first.example\nsecond.example\n")
	s.said(taken, 2)
	see("two.exe", "second.example")
	found("22222222-2222-4222-8222-222222222222")
	found("second.example")
	// A broken rule is left out alone; the others hold.
	rewriteWith(t, filepath.Join(rules, "two.yml"), "title: [")
	s.said(taken, 3)
	see("one.exe", "first.example")
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	s.said(notTaken, 1)
	see("x.exe", "third.example")
	rewriteWith(t, list, "third.example\n")
	s.said(taken, 4)
	see("y.exe", "third.example")
	found("third.example")
	s.settled()
	if n := s.everyEvent(); n != int64(sent) {
		t.Errorf("%d events of %d; dead letters: %+v", n, sent, s.deadletters())
	}
}

// TestAStartThatCantBeSaysWhy starts serve with what can't work.
func TestAStartThatCantBeSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plain := filepath.Join(dir, "file")
	rewriteWith(t, plain, "x")
	data := filepath.Join(dir, "data")
	other := begin(t, filepath.Join(dir, "other"), false)
	for _, c := range []struct {
		name string
		code int
		says string
		args []string
	}{
		{"no data folder", exitUsage, "--data", []string{}},
		{"an unknown flag", exitUsage, "unknown flag", []string{"--data", data, "--nonsense"}},
		{"an argument", exitUsage, "unknown command", []string{"--data", data, "more"}},
		{"a log format that is none", exitUsage, "text or json", []string{"--data", data, "--log-format", "xml"}},
		{"a configuration that is not there", exitError, "absent.yaml", []string{"--data", data, "--config", filepath.Join(dir, "absent.yaml")}},
		{"a broken configuration", exitError, ":2: nonsense", []string{"--data", data, "--config", configFile(t, "tenants: []\nnonsense: 1\n")}},
		{"rules that are not there", exitError, "absent", []string{"--data", data, "--rules", filepath.Join(dir, "absent")}},
		{"indicators that are not there", exitError, "absent", []string{"--data", data, "--indicators", filepath.Join(dir, "absent")}},
		{"a file as data folder", exitError, plain, []string{"--data", plain}},
		{"data that another serve has", exitError, "another serve", []string{"--data", other.data}},
		{"a port that is taken", exitError, "in use", []string{"--data", data, "--listen", strings.TrimPrefix(other.url, "http://")}},
		{"an address that is none", exitError, "nonsense", []string{"--data", data, "--listen", "nonsense"}},
		{"every address without TLS", exitError, "without TLS", []string{"--data", data, "--listen", "0.0.0.0:0"}},
		{"every address, unsaid, without TLS", exitError, "without TLS", []string{"--data", data, "--listen", ":0"}},
		{"every IPv6 address without TLS", exitError, "without TLS", []string{"--data", data, "--listen", "[::]:0"}},
		{"another machine's address in the configuration without TLS", exitError, "tls", []string{"--data", data, "--config", configFile(t, "tenants: [{id: a, name: A, role: client}]\nserve: {listen: \"10.0.0.1:8460\"}\n")}},
		{"a certificate that is not there", exitError, "absent.pem", []string{"--data", data, "--config", configFile(t, "tenants: [{id: a, name: A, role: client}]\nserve: {tls: {cert: absent.pem, key: absent.pem}}\n")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"serve"}, c.args...)
			if !strings.Contains(strings.Join(args, " "), "--listen") && !strings.Contains(c.name, "another machine") {
				args = append(args, "--listen", "127.0.0.1:0")
			}
			out, errs, code := perform(t, args...)
			if code != c.code || !strings.Contains(errs, c.says) || out != "" {
				t.Errorf("exit %d, want %d with %q; it says %s%s", code, c.code, c.says, errs, out)
			}
			if strings.Contains(errs, "goroutine") || strings.Contains(errs, "panic") {
				t.Errorf("a stack: %s", errs)
			}
		})
	}
	if a, err := other.ask("GET", "/healthz", "", ""); err != nil || a.status != 200 {
		t.Errorf("the serve that ran suffered: %v %+v", err, a)
	}
}
