package httpin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// program finds a real sender, or skips with how to get it.
func program(t *testing.T, name string, files ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
	}
	for _, f := range append(files, path) {
		if _, err := os.Stat(f); err != nil {
			t.Skipf("%s is missing: apt-get install curl rsyslog rsyslog-elasticsearch", f)
		}
	}
	return path
}

func TestCurlSends(t *testing.T) {
	curl := program(t, "curl")
	dir := t.TempDir()
	file := filepath.Join(dir, "events.ndjson")
	body := strings.Repeat("{\"a\":1}\n", 1000)
	packed := filepath.Join(dir, "events.ndjson.gz")
	for name, text := range map[string]string{file: body, packed: gzipped(body)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		path string
		args []string
		want string
		kept string
	}{
		{"lines", "/ingest/ndjson", []string{"-H", "Authorization: Bearer " + token, "--data-binary", "@" + file}, `{"accepted":1000}`, body},
		{"lines with a user", "/ingest/ndjson", []string{"-u", "x:" + token, "--data-binary", "@" + file}, `{"accepted":1000}`, body},
		{"lines in chunks", "/ingest/ndjson", []string{"-u", token + ":", "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + file}, `{"accepted":1000}`, body},
		{"lines in gzip", "/ingest/ndjson", []string{"-u", "x:" + token, "-H", "Content-Encoding: gzip", "--data-binary", "@" + packed}, `{"accepted":1000}`, body},
		{"a file", "/ingest/file?name=events.ndjson.gz", []string{"-u", "x:" + token, "-T", packed}, `{"accepted":1}`, body},
		{"a form by mistake", "/ingest/ndjson", []string{"-u", "x:" + token, "-F", "f=@" + file}, `{"error":"forms are not taken: send the data itself as the body (curl --data-binary @FILE)"}`, ""},
		{"_bulk", "/es/_bulk?filter_path=errors", []string{"-H", "Authorization: ApiKey " + token, "-H", "Content-Type: application/x-ndjson", "--data-binary", "{\"create\":{}}\n{\"a\":1}\n"}, `{"errors":false}`, "{\"a\":1}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store{}
			server := httptest.NewServer(handler(s, nil))
			defer server.Close()
			out, err := exec.CommandContext(t.Context(), curl, append([]string{"-sS", "--max-time", "20", server.URL + c.path}, c.args...)...).CombinedOutput()
			if err != nil || strings.TrimSpace(string(out)) != c.want || s.data() != c.kept {
				t.Errorf("%v: %s; %d bytes kept", err, out, len(s.data()))
			}
		})
	}
}

func TestRsyslogSendsAndLosesNothingWhenToldToWait(t *testing.T) {
	rsyslogd := program(t, "rsyslogd", "/usr/lib/x86_64-linux-gnu/rsyslog/omelasticsearch.so")
	const messages = 500
	for _, c := range []struct {
		name string
		err  error
	}{
		{"at once", nil},
		{"after being told to wait", &listen.Busy{Reason: "over its share", Retry: time.Second}},
		{"after the disk was full", &listen.Busy{Reason: "no room", Retry: time.Second, Full: true}},
		{"after the bus failed", errors.New("broken")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store{err: c.err}
			server := httptest.NewServer(handler(s, nil))
			defer server.Close()
			dir := t.TempDir()
			u, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			var lines strings.Builder
			for i := range messages {
				_, _ = fmt.Fprintf(&lines, "2026-03-02T01:02:03Z host app: message <%d> with \"quotes\"\n", i)
			}
			if err := os.WriteFile(filepath.Join(dir, "in.log"), []byte(lines.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			conf := fmt.Sprintf(`
global(workDirectory=%[1]q)
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omelasticsearch")
template(name="doc" type="list" option.json="on") {
  constant(value="{\"message\":\"") property(name="msg") constant(value="\"}")
}
input(type="imfile" file="%[1]s/in.log" tag="x:" ruleset="out")
ruleset(name="out") {
  action(type="omelasticsearch" server=%[2]q serverport=%[3]q searchIndex="logs-rsyslog" searchType="" bulkmode="on"
         template="doc" uid="rsyslog" pwd=%[4]q errorfile="%[1]s/errors"
         action.resumeRetryCount="-1" action.resumeInterval="1")
}
`, dir, u.Hostname(), u.Port(), token)
			file := filepath.Join(dir, "rsyslog.conf")
			if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var log bytes.Buffer
			cmd := exec.CommandContext(ctx, rsyslogd, "-n", "-f", file, "-i", filepath.Join(dir, "pid"))
			cmd.Stdout, cmd.Stderr = &log, &log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { stop(); _ = cmd.Wait() }()

			until := func(what string, ok func() bool) {
				t.Helper()
				for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
					if time.Now().After(deadline) {
						stop()
						_ = cmd.Wait()
						errs, _ := os.ReadFile(filepath.Join(dir, "errors"))
						t.Fatalf("%s: %d bytes kept, %d requests\n%s\n%.2000s", what, len(s.data()), s.asked(), log.String(), errs)
					}
				}
			}
			if c.err != nil {
				until("it asks", func() bool { return s.asked() >= 2 })
				s.set(nil)
			}
			until("all messages arrive", func() bool {
				got := s.data()
				for i := range messages {
					if !strings.Contains(got, fmt.Sprintf("<%d>", i)) {
						return false
					}
				}
				return true
			})
		})
	}
}

func (s *store) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func TestToASenderThatLosesWhatIsRefusedTheConnectionBreaks(t *testing.T) {
	for _, c := range []struct {
		name, agent, token, body string
		err                      error
		status                   int // 0: no whole answer
	}{
		{"must wait", "", token, "{\"index\":{}}\n{}\n", &listen.Busy{Retry: time.Second}, 0},
		{"its token is not known", "", "x", "{\"index\":{}}\n{}\n", nil, 0},
		{"will never pass", "", token, "hello\n", nil, 400},
		{"another sender must wait", "Filebeat", token, "{\"index\":{}}\n{}\n", &listen.Busy{Retry: time.Second}, 429},
		{"another sender's token is not known", "Filebeat", "x", "{\"index\":{}}\n{}\n", nil, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(handler(&store{err: c.err}, nil))
			defer server.Close()
			r := request("POST", server.URL+"/_bulk", strings.NewReader(c.body), "User-Agent", c.agent, "Authorization", "Bearer "+c.token)
			r.RequestURI = ""
			resp, err := http.DefaultClient.Do(r)
			status := 0
			if err == nil {
				if _, err = io.ReadAll(resp.Body); err == nil {
					status = resp.StatusCode
				}
				_ = resp.Body.Close()
			}
			if status != c.status {
				t.Errorf("%d (%v), want %d", status, err, c.status)
			}
		})
	}
}
