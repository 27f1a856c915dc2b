package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/scenario"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// long is set where the longer variants of a test are wanted.
var long = os.Getenv("BREAKWATER_LONG") != ""

// patience is how long a test waits for what must happen; the machine may be busy with other tests.
const patience = 60 * time.Second

// eventually polls until a condition holds, or fails with what was waited for.
func eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	clock := time.NewTicker(20 * time.Millisecond)
	defer clock.Stop()
	for end := time.Now().Add(within); !ok(); <-clock.C {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", within, what)
		}
	}
}

// written is a log that is read while it is written.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// served is a `breakwater serve` under test, in this process or in one of its own.
type served struct {
	t     *testing.T
	data  string
	url   string
	admin string
	log   *written
	http  *http.Client
	cmd   *exec.Cmd // nil where it runs in this process
	end   context.CancelFunc
	ended chan struct{}
	code  int // of its exit, once ended is closed
}

// perform runs one command of the program in this process.
func perform(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &console{strings.NewReader(""), &out, &errs})
	return out.String(), errs.String(), code
}

// must is perform for one that has to work.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := perform(t, args...)
	if code != exitDone {
		t.Fatalf("breakwater %s: exit %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// tokenFor makes a token in a data folder.
func tokenFor(t *testing.T, data, role string, args ...string) (secret, id string) {
	t.Helper()
	var made struct{ Token, ID string }
	if err := json.Unmarshal([]byte(must(t, append([]string{"token", "create", "--data", data, "--role", role, "-o", "json"}, args...)...)), &made); err != nil || made.Token == "" {
		t.Fatalf("token create: %v, %+v", err, made)
	}
	return made.Token, made.ID
}

// begin starts serve on a data folder, which it gives an administrator's token, and waits until it is ready.
func begin(t *testing.T, data string, own bool, args ...string) *served {
	t.Helper()
	s := launch(t, data, own, args...)
	ready := regexp.MustCompile(`msg"?[=:]"?ready"?[ ,]"?url"?[=:]"?([^" ]+)`)
	eventually(t, "serve is ready: "+data, patience, func() bool {
		select {
		case <-s.ended:
			t.Fatalf("serve ended with %d before it was ready:\n%s", s.code, s.log)
		default:
		}
		m := ready.FindStringSubmatch(s.log.String())
		if m != nil {
			s.url = m[1]
		}
		return m != nil
	})
	return s
}

// launch starts serve and doesn't wait.
func launch(t *testing.T, data string, own bool, args ...string) *served {
	t.Helper()
	s := &served{t: t, data: data, log: &written{}, ended: make(chan struct{}), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	keep := filepath.Join(filepath.Dir(data), filepath.Base(data)+".admin")
	if b, err := os.ReadFile(keep); err == nil {
		s.admin = string(b)
	} else {
		s.admin, _ = tokenFor(t, data, "admin")
		if err := os.WriteFile(keep, []byte(s.admin), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Contains(args, "--listen") {
		args = append([]string{"--listen", "127.0.0.1:0"}, args...)
	}
	args = append([]string{"serve", "--data", data}, args...)
	if own {
		s.cmd = exec.Command("breakwater", args...)
		s.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
		s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
		if err := s.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		s.end = func() { _ = s.cmd.Process.Signal(syscall.SIGTERM) }
		go func() {
			_ = s.cmd.Wait()
			s.code = s.cmd.ProcessState.ExitCode()
			close(s.ended)
		}()
	} else {
		var ctx context.Context
		ctx, s.end = context.WithCancel(context.Background())
		go func() {
			s.code = run(ctx, args, &console{strings.NewReader(""), s.log, s.log})
			close(s.ended)
		}()
	}
	t.Cleanup(func() { s.stop() })
	return s
}

// stop ends serve in order and returns its exit code; more than the time an orderly stop may take is a failure.
func (s *served) stop() int {
	s.t.Helper()
	s.end()
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.t.Errorf("serve did not stop within 30 s:\n%s", s.log)
		if s.cmd != nil {
			_ = s.cmd.Process.Kill()
		}
		return -1
	}
	s.http.CloseIdleConnections()
	return s.code
}

// kill ends serve's process as a power cut would.
func (s *served) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	<-s.ended
	s.http.CloseIdleConnections()
}

// answered is what came back for a request.
type answered struct {
	status int
	header http.Header
	body   string
}

// ask sends a request with a token; header names and values alternate.
func (s *served) ask(method, path, token, body string, headers ...string) (answered, error) {
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		return answered{}, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := s.http.Do(r)
	if err != nil {
		return answered{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answered{resp.StatusCode, resp.Header, string(b)}, err
}

// get reads a path of the API as the administrator into v.
func (s *served) get(path string, v any) {
	s.t.Helper()
	a, err := s.ask("GET", "/api/v1"+path, s.admin, "")
	if err != nil {
		s.t.Fatalf("GET %s: %v\n%s", path, err, s.log)
	}
	if a.status != http.StatusOK {
		s.t.Fatalf("GET %s: %d %s\n%s", path, a.status, a.body, s.log)
	}
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		s.t.Fatalf("GET %s: %v in %.200s", path, err, a.body)
	}
}

// push sends telemetry and sends it again until it is acknowledged, as senders do.
func (s *served) push(path, token, body string, headers ...string) error {
	for end := time.Now().Add(patience); ; {
		a, err := s.ask("POST", path, token, body, headers...)
		switch {
		case err == nil && a.status == http.StatusOK:
			return nil
		case err == nil && a.status != http.StatusTooManyRequests && a.status != http.StatusServiceUnavailable:
			return fmt.Errorf("POST %s: %d %s", path, a.status, a.body)
		case err != nil:
			return err
		case time.Now().After(end):
			return fmt.Errorf("POST %s: still %d %s", path, a.status, a.body)
		}
	}
}

// send is push for a test that has to get it through.
func (s *served) send(path, token, body string, headers ...string) {
	s.t.Helper()
	if err := s.push(path, token, body, headers...); err != nil {
		s.t.Fatalf("%v\n%s", err, s.log)
	}
}

// counters returns those of the status.
func (s *served) counters() map[string]int64 {
	s.t.Helper()
	var v struct{ Counters map[string]int64 }
	s.get("/status", &v)
	return v.Counters
}

// settled waits until nothing that was acknowledged is unanswered, and sees that all of it is in order.
func (s *served) settled() {
	s.t.Helper()
	s.quiet()
	if n := s.counters(); n["written_off"] > 0 {
		s.t.Fatalf("%d events stay out of order: %v\n%s", n["written_off"], n, s.log)
	}
}

// quiet waits until nothing that was acknowledged is unanswered.
func (s *served) quiet() {
	s.t.Helper()
	var n map[string]int64
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%v\n%s", n, s.log)
		}
	}()
	eventually(s.t, "everything is settled", patience, func() bool {
		n = s.counters()
		return n["settled"] == 1
	})
}

// rows returns the coverage.
func (s *served) rows() []api.Row {
	s.t.Helper()
	var v struct{ Coverage []api.Row }
	s.get("/coverage", &v)
	return v.Coverage
}

// events adds up the events of the rows for which a condition holds.
func events(rows []api.Row, of func(api.Row) bool) (n int64) {
	for _, r := range rows {
		if of(r) {
			n += r.Events
		}
	}
	return n
}

// everyEvent counts what all sensors sent.
func (s *served) everyEvent() int64 {
	s.t.Helper()
	return events(s.rows(), func(api.Row) bool { return true })
}

// deadletters lists at most a thousand.
func (s *served) deadletters() []api.Deadletter {
	s.t.Helper()
	var v struct{ Deadletters []api.Deadletter }
	s.get("/deadletters?limit=1000", &v)
	return v.Deadletters
}

// concluded returns findings, incidents and campaigns without the places of their evidence, as JSON gives them.
func (s *served) concluded() map[string]any {
	s.t.Helper()
	out := map[string]any{}
	var result map[string]any
	s.get("/result", &result)
	var list []any
	for cursor := ""; ; {
		var page struct {
			Findings []any
			Next     string
		}
		s.get("/findings?limit=1000&cursor="+url.QueryEscape(cursor), &page)
		list = append(list, page.Findings...)
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	out["findings"], out["incidents"], out["campaigns"], out["coverage"] = list, result["incidents"], result["campaigns"], result["coverage"]
	out["matrix"] = result["matrix"]
	out["events"] = result["input"].(map[string]any)["events"]
	withoutPlaces(out)
	return out
}

// withoutPlaces drops where evidence was read, and when it was received.
func withoutPlaces(v map[string]any) { forget(v, "file", "record", "seen", "sensor", "drawn") }

// scanAnswer is what a scan of a folder concludes, in the form of concluded.
func scanAnswer(t *testing.T, dir string) map[string]any {
	t.Helper()
	s, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := app.Scan(t.Context(), s, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]any{"findings": r.List, "incidents": r.Incidents, "campaigns": r.Campaigns, "coverage": r.Coverage, "matrix": r.Matrix, "events": r.Input.Events})
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	withoutPlaces(out)
	return out
}

// story writes a small scenario and returns its folder.
func story(t *testing.T, kind string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), kind)
	if _, err := scenario.Write(t.Context(), scenario.Options{Kind: kind, Clients: 3, Days: 3, Seed: 3}, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// applied makes a data folder in which a scenario's configuration holds, with more beside it, and a token for each
// of its sensors.
func applied(t *testing.T, dir, more string) (data string, tokens map[string]string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "data")
	text, err := os.ReadFile(filepath.Join(dir, app.ConfigName))
	if err != nil {
		t.Fatal(err)
	}
	must(t, "apply", "--data", data, configFile(t, string(text)+"\n"+more))
	s, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	tokens = map[string]string{}
	for _, x := range s.Config.Sensors {
		tokens[x.Name], _ = tokenFor(t, data, "sensor", "--sensor", x.Name, "--tenant", string(x.Tenant))
	}
	return data, tokens
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), app.ConfigName)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// parcel is one request of telemetry.
type parcel struct{ path, sensor, body string }

// parcels cuts a feed into requests: lines of JSON as lines, what has header lines or none as files.
func parcels(feed []app.Fed) []parcel {
	var out []parcel
	for _, f := range app.Join(feed) {
		p := parcel{"/ingest/ndjson", f.Sensor, string(f.Data)}
		if filepath.Ext(f.Name) != ".jsonl" {
			p.path, p.body = "/ingest/file?name="+url.QueryEscape(filepath.Base(f.Name)), string(f.Head)+p.body
		}
		out = append(out, p)
	}
	return out
}

// feedOf reads a scenario's records in the order in which they happened.
func feedOf(t *testing.T, dir string) []app.Fed {
	t.Helper()
	s, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	feed, err := app.ReadFeed(t.Context(), s, dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(feed) == 0 {
		t.Fatal("the scenario has no record")
	}
	return feed
}

// deliver sends parcels, several at a time, and returns those that were not acknowledged.
func (s *served) deliver(list []parcel, tokens map[string]string) (left []parcel, err error) {
	var mu sync.Mutex
	var group sync.WaitGroup
	next := make(chan parcel)
	for range 8 {
		group.Go(func() {
			for p := range next {
				if perr := s.push(p.path, tokens[p.sensor], p.body); perr != nil {
					mu.Lock()
					left, err = append(left, p), cmp.Or(err, perr)
					mu.Unlock()
				}
			}
		})
	}
	for _, p := range list {
		next <- p
	}
	close(next)
	group.Wait()
	return left, err
}

// deliverAll is deliver for a test in which nothing may be refused.
func (s *served) deliverAll(list []parcel, tokens map[string]string) {
	s.t.Helper()
	if left, err := s.deliver(list, tokens); err != nil {
		s.t.Fatalf("%d requests were not acknowledged: %v\n%s", len(left), err, s.log)
	}
}

// cut reports whether a connection ended before an answer, as it does when a process is killed.
func cut(err error) bool {
	var u *url.Error
	return errors.As(err, &u)
}
