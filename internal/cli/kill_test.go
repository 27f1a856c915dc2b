package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKilledServeLosesNothing kills the real program at random moments under load, and starts it on the same data,
// while senders send every request again that got no answer. In the end everything acknowledged is counted once,
// each marker is one finding, and nobody was told anything twice but around a kill.
func TestKilledServeLosesNothing(t *testing.T) {
	kills, tenants := 12, 8
	if os.Getenv("BREAKWATER_LONG") != "" {
		kills, tenants = 200, 40
	}
	hooks := &hookReceiver{}
	receiver := httptest.NewServer(hooks)
	defer receiver.Close()
	s := newKilled(t, tenants, receiver.URL)
	load := &killLoad{s: s, stop: make(chan struct{})}
	var group sync.WaitGroup
	for n := range 3 {
		group.Go(func() { load.run(t, n) })
	}
	for n := range kills {
		if n%4 != 3 { // a quarter of the kills falls into the start
			s.awaitReady(t)
		}
		m := n % (2 * tenants)
		group.Go(func() { load.mark(t, m, fmt.Sprintf("KILL-%04d", n)) })
		<-time.After(time.Duration(rand.IntN(400)) * time.Millisecond) // the moment is what is tried
		s.kill(t)
		hooks.killed()
		s.start(t)
	}
	close(load.stop)
	group.Wait()
	if t.Failed() {
		return
	}
	if got := load.resent.Load(); got == 0 {
		t.Error("no request was sent again: no kill fell into one")
	}
	checkCoverage(t, s, load)
	checkMarkers(t, s, kills)
	s.terminate(t)
	hooks.check(t, tenants)
	var sum int64
	for _, n := range load.acknowledged {
		sum += n
	}
	t.Logf("%d kills, %d events acknowledged, %d requests sent again, %d messages told", kills, sum, load.resent.Load(), len(hooks.seen))
}

// killed is a serve that is killed and started again on the same data.
type killed struct {
	dir, address, reader string
	tokens               []string // by tenant
	command              *exec.Cmd
	log                  *os.File
}

func killTenant(n int) string { return fmt.Sprintf("org%02d", n) }

func newKilled(t *testing.T, tenants int, hook string) *killed {
	t.Helper()
	s := &killed{dir: t.TempDir()}
	var b strings.Builder
	b.WriteString("tenants:\n")
	for n := range tenants {
		fmt.Fprintf(&b, "  - {id: %[1]s, name: %[1]s, role: client, domains: [%[1]s.example], networks: [10.%[2]d.0.0/16]}\n", killTenant(n), n+1)
	}
	b.WriteString("partners: [{id: prov, name: prov}]\ntrusts:\n")
	for n := range tenants {
		fmt.Fprintf(&b, "  - {id: prov-%[1]s, partner: prov, tenant: %[1]s, owner: it@%[1]s.example, accounts: ['prov-*'], networks: [203.0.113.0/28], valid_from: 2024-01-01T00:00:00Z}\n", killTenant(n))
	}
	fmt.Fprintf(&b, "serve:\n  notify:\n    per_hour: 10000\n    webhooks: [{name: soc, url: %q, secret_file: hook.secret, tenants: all, allow_private: true}]\n", hook)
	for name, text := range map[string]string{"breakwater.yaml": b.String(), "hook.secret": "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" + "\n"} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	l.Close()
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.log.Close() })
	for n := range tenants {
		s.tokens = append(s.tokens, s.token(t, "--role", "sensor", "--sensor", "edge", "--tenant", killTenant(n)))
	}
	s.reader = s.token(t, "--role", "viewer")
	t.Cleanup(func() {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		if text, err := os.ReadFile(s.log.Name()); err == nil && t.Failed() {
			t.Logf("the program said, last:\n%s", text[max(0, len(text)-8000):])
		}
	})
	s.start(t)
	return s
}

func (s *killed) token(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := command(t, append([]string{"token", "create", "--data", filepath.Join(s.dir, "data"), "-o", "json"}, args...)...)
	var got struct{ Token string }
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != exitDone {
		t.Fatalf("making a token: exit %d, %v: %s", code, err, errs)
	}
	return got.Token
}

// start starts this test's own binary as breakwater.
func (s *killed) start(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.command = &exec.Cmd{Path: self, Args: []string{"breakwater", "serve", "--data", filepath.Join(s.dir, "data"), "--config", filepath.Join(s.dir, "breakwater.yaml"), "--listen", s.address},
		Env: append(os.Environ(), "GORACE=atexit_sleep_ms=0"), Stderr: s.log}
	if err := s.command.Start(); err != nil {
		t.Fatal(err)
	}
}

func (s *killed) kill(t *testing.T) {
	t.Helper()
	if err := s.command.Process.Kill(); err != nil {
		t.Fatalf("it had ended by itself: %v", err)
	}
	_ = s.command.Wait() // it was killed
	if s.command.ProcessState.Exited() {
		t.Fatalf("it had ended by itself: %s", s.command.ProcessState)
	}
}

// terminate stops it in order.
func (s *killed) terminate(t *testing.T) {
	t.Helper()
	if err := s.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.command.Wait(); err != nil {
		t.Errorf("the last stop: %v", err)
	}
}

func (s *killed) awaitReady(t *testing.T) {
	t.Helper()
	waitUntil(t, "it is ready", func() bool {
		answer, err := http.Get("http://" + s.address + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// waitUntil asks until something holds, for at most two minutes.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within two minutes", what)
		}
	}
}

// read asks the API.
func (s *killed) read(t *testing.T, path string, into any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+s.address+"/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.reader)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("reading %s: status %d, %v", path, answer.StatusCode, err)
	}
}

// killLoad are the senders.
type killLoad struct {
	s            *killed
	stop         chan struct{}
	resent       atomic.Int64
	mu           sync.Mutex
	acknowledged map[string]int64 // by tenant
}

// run sends requests of twenty unique events, of several formats, until it is told to stop.
func (l *killLoad) run(t *testing.T, conn int) {
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		var b bytes.Buffer
		now := time.Now().UTC()
		for i := range 20 {
			switch at := now.Add(time.Duration(i) * time.Microsecond); i % 4 {
			case 0: // no id of its own
				fmt.Fprintf(&b, `{"timereported":%q,"fromhost":"lx-1","fromhost-ip":"10.0.0.9","syslogtag":"sshd[99]:","programname":"sshd","message":"Accepted publickey for mira from 10.0.0.7 port 50000 ssh2"}`+"\n", at.Format(time.RFC3339Nano))
			case 1:
				fmt.Fprintf(&b, `{"createdDateTime":%q,"id":"%08x-0000-4000-8000-%012x","appDisplayName":"Teams","ipAddress":"198.51.100.7","userPrincipalName":"mira@example.org","status":{"errorCode":0},"resourceTenantId":"t","homeTenantId":"t","crossTenantAccessType":"none"}`+"\n", at.Format(time.RFC3339Nano), conn, n*20+i)
			default:
				fmt.Fprintf(&b, `{"_path":"conn","ts":%d.%06d,"uid":"C%04x%012x","id.orig_h":"10.0.0.7","id.orig_p":50000,"id.resp_h":"198.51.100.9","id.resp_p":443,"proto":"tcp","conn_state":"SF"}`+"\n", at.Unix(), at.Nanosecond()/1000, conn, n*20+i)
			}
		}
		l.deliver(t, client, (conn*7+n)%len(l.s.tokens), fmt.Sprintf("%d-%d", conn, n), b.Bytes(), 20)
	}
}

// mark sends a record that is a finding on a host of its own: in every other tenant by an account of the partner.
func (l *killLoad) mark(t *testing.T, n int, host string) {
	user := "mira"
	if n%2 == 0 {
		user = "prov-1"
	}
	at := time.Now().UTC()
	body := fmt.Appendf(nil, `{"@timestamp":%q,"event":{"code":"1","provider":"Microsoft-Windows-Sysmon"},"winlog":{"channel":"Microsoft-Windows-Sysmon/Operational","event_id":"1","provider_name":"Microsoft-Windows-Sysmon","computer_name":"%s.example","record_id":%d,"event_data":{"UtcTime":%q,"ProcessId":"77","Image":"C:\\ProgramData\\rund1132.exe","OriginalFileName":"tcping.exe","CommandLine":"rund1132.exe 10.1.2.3 445","User":"CORP\\%s","ParentImage":"C:\\Windows\\System32\\cmd.exe"}}}`+"\n",
		at.Format("2006-01-02T15:04:05.000Z"), host, n+1, at.Format("2006-01-02 15:04:05.000"), user)
	client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	l.deliver(t, client, n%len(l.s.tokens), host, body, 1)
}

// deliver sends a request until it is acknowledged.
func (l *killLoad) deliver(t *testing.T, client *http.Client, of int, key string, body []byte, events int64) {
	end := time.Now().Add(3 * time.Minute)
	for first := true; ; first = false {
		if time.Now().After(end) {
			t.Errorf("request %s was not acknowledged within three minutes", key)
			return
		}
		if !first {
			l.resent.Add(1)
			time.Sleep(20 * time.Millisecond)
		}
		r, err := http.NewRequest(http.MethodPost, "http://"+l.s.address+"/ingest/ndjson", bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Authorization", "Bearer "+l.s.tokens[of])
		r.Header.Set("Idempotency-Key", key)
		answer, err := client.Do(r)
		if err != nil {
			continue
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable {
			continue
		}
		var got struct{ Accepted int64 }
		if err := json.Unmarshal(text, &got); err != nil || answer.StatusCode != http.StatusOK || got.Accepted != events {
			t.Errorf("request %s of %d events: status %d, %s", key, events, answer.StatusCode, text)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.acknowledged == nil {
			l.acknowledged = map[string]int64{}
		}
		l.acknowledged[killTenant(of)] += events
		return
	}
}

// checkCoverage waits until everything is counted, and then that nothing is counted beyond it.
func checkCoverage(t *testing.T, s *killed, load *killLoad) {
	t.Helper()
	s.awaitReady(t)
	count := func() map[string]int64 {
		var got struct {
			Coverage []struct {
				Tenant           string
				Events, Unparsed int64
			}
		}
		s.read(t, "/coverage", &got)
		out := map[string]int64{}
		for _, row := range got.Coverage {
			out[row.Tenant] += row.Events
			if row.Unparsed > 0 {
				t.Fatalf("%d records of %s could not be read", row.Unparsed, row.Tenant)
			}
		}
		return out
	}
	less := func(got map[string]int64) bool {
		for id, n := range load.acknowledged {
			if got[id] < n {
				return true
			}
		}
		return false
	}
	var got map[string]int64
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if got = count(); !less(got) || time.Now().After(end) {
			break
		}
	}
	s.awaitSettled(t)
	got = count()
	if !maps.Equal(got, load.acknowledged) {
		for id, n := range load.acknowledged {
			if got[id] != n {
				t.Errorf("%s: %d events were acknowledged, %d are counted", id, n, got[id])
			}
		}
	}
}

// awaitSettled waits until the answer has not changed for two seconds.
func (s *killed) awaitSettled(t *testing.T) {
	t.Helper()
	var version uint64
	since := time.Now()
	waitUntil(t, "the answer settles", func() bool {
		var got struct{ Version uint64 }
		s.read(t, "/campaigns", &got)
		if got.Version != version {
			version, since = got.Version, time.Now()
		}
		return time.Since(since) > 2*time.Second
	})
}

// checkMarkers checks that each marker became one finding that counts one event.
func checkMarkers(t *testing.T, s *killed, kills int) {
	t.Helper()
	found, ids := map[string]int{}, map[string]bool{}
	for cursor := ""; ; {
		var got struct {
			Findings []struct {
				ID, Title string
				Count     int
				Entities  []struct{ Type, Value string }
			}
			Next string
		}
		s.read(t, "/findings?limit=1000&cursor="+url.QueryEscape(cursor), &got)
		for _, f := range got.Findings {
			if ids[f.ID] {
				t.Errorf("the finding %s is listed twice", f.ID)
			}
			ids[f.ID] = true
			for _, e := range f.Entities {
				if host := strings.ToUpper(e.Value); strings.HasPrefix(host, "KILL-") && f.Title == "Foreign Tool Imitates Name of Windows Binary" {
					found[host]++
					if f.Count != 1 {
						t.Errorf("the finding of %s counts %d events, want 1", host, f.Count)
					}
				}
			}
		}
		if cursor = got.Next; cursor == "" {
			break
		}
	}
	for n := range kills {
		if host := fmt.Sprintf("KILL-%04d", n); found[host] != 1 {
			t.Errorf("the marker on %s is %d findings, want 1", host, found[host])
		}
	}
}

// hookReceiver takes notifications, and remembers when.
type hookReceiver struct {
	mu    sync.Mutex
	seen  map[string][]time.Time // deliveries by webhook-id
	news  map[string]string      // id of the message that told a matter as new
	bad   []string
	kills []time.Time
}

func (h *hookReceiver) killed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kills = append(h.kills, time.Now())
}

// ServeHTTP implements http.Handler.
func (h *hookReceiver) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut off by a kill: it comes again
	}
	var b struct {
		ID, Kind, Step, Subject string
		Findings                []string
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := json.Unmarshal(text, &b); err != nil || b.ID != r.Header.Get("webhook-id") {
		h.bad = append(h.bad, fmt.Sprintf("a message with id %q and body %s", r.Header.Get("webhook-id"), text))
		return
	}
	if h.seen == nil {
		h.seen, h.news = map[string][]time.Time{}, map[string]string{}
	}
	h.seen[b.ID] = append(h.seen[b.ID], time.Now())
	if b.Step != "new" {
		return
	}
	for _, matter := range append(b.Findings, b.Subject) {
		matter = b.Kind + " " + matter
		if other, ok := h.news[matter]; ok && other != b.ID {
			h.bad = append(h.bad, fmt.Sprintf("%s was told as new by the messages %s and %s", matter, other, b.ID))
		}
		h.news[matter] = b.ID
	}
}

// check checks that no message came twice without a kill between.
func (h *hookReceiver) check(t *testing.T, least int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.bad {
		t.Error(s)
	}
	for id, at := range h.seen {
		for i := 1; i < len(at); i++ {
			between := func(kill time.Time) bool { return kill.After(at[i-1]) && kill.Before(at[i]) }
			if !slices.ContainsFunc(h.kills, between) {
				t.Errorf("message %s was delivered at %s and again at %s, with no kill between", id, at[i-1].Format(time.TimeOnly), at[i].Format(time.TimeOnly))
			}
		}
	}
	if len(h.seen) < least/2 {
		t.Errorf("%d messages were told, want %d at least", len(h.seen), least/2)
	}
}
