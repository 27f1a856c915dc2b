package cli

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

// freePort is a port of loopback that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// sender finds a real sender, or skips with how to get it.
func sender(t *testing.T, name string, needs ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path = "/usr/sbin/" + name
	}
	for _, f := range append(needs, path) {
		if _, err := os.Stat(f); err != nil {
			t.Skipf("%s is missing: apt-get install curl rsyslog rsyslog-elasticsearch syslog-ng-core", f)
		}
	}
	return path
}

// counted waits until a sensor has so many events, and sees that there are no more.
func (s *served) counted(sensor string, n int64) {
	s.t.Helper()
	var got int64
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%d events of %s, %d were sent; dead letters: %.2000s", got, sensor, n, fmt.Sprint(s.deadletters()))
		}
	}()
	eventually(s.t, fmt.Sprintf("%s has sent %d events", sensor, n), patience, func() bool {
		got = events(s.rows(), func(r api.Row) bool { return r.Sensor == sensor })
		return got >= n
	})
	s.quiet()
	if got = events(s.rows(), func(r api.Row) bool { return r.Sensor == sensor }); got != n {
		s.t.Errorf("%d events of %s, %d were sent", got, sensor, n)
	}
}

// TestRealSendersAreCountedExactly lets curl, rsyslog and syslog-ng send to a serve that is configured as the pages
// say.
func TestRealSendersAreCountedExactly(t *testing.T) {
	t.Parallel()
	data, tcp := t.TempDir()+"/data", freePort(t)
	must(t, "apply", "--data", data, configFile(t, oneTenant+`serve:
  syslog:
    - {tcp: "127.0.0.1:`+tcp+`", bindings: [{source: 127.0.0.0/8, sensor: tcp, tenant: acme}]}
`))
	s := begin(t, data, false)
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	const messages = 300
	var lines strings.Builder
	for i := range messages {
		fmt.Fprintf(&lines, "2026-03-02T01:02:03Z host app: message <%d> with \"quotes\" and \\ and ü\n", i)
	}
	start := func(t *testing.T, name string, args ...string) {
		t.Helper()
		log := &written{}
		cmd := exec.Command(name, args...)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
			if t.Failed() {
				t.Log(log)
			}
		})
	}
	t.Run("curl", func(t *testing.T) {
		curl := sender(t, "curl")
		token, _ := tokenFor(t, data, "sensor", "--sensor", "curl", "--tenant", "acme")
		file, bulk := filepath.Join(t.TempDir(), "a.ndjson"), filepath.Join(t.TempDir(), "b.ndjson")
		var a, b strings.Builder
		for i := range messages {
			fmt.Fprintf(&a, "{\"@timestamp\":\"2026-03-02T01:02:03Z\",\"n\":%d}\n", i)
			fmt.Fprintf(&b, "{\"create\":{\"_index\":\"logs-x\"}}\n{\"@timestamp\":\"2026-03-02T01:02:03Z\",\"bulk\":%d}\n", i)
		}
		rewriteWith(t, file, a.String())
		rewriteWith(t, bulk, b.String())
		for _, args := range [][]string{
			{"-H", "Authorization: Bearer " + token, "--data-binary", "@" + file, s.url + "/ingest/ndjson"},
			{"-u", "x:" + token, "-H", "Content-Type: application/x-ndjson", "--data-binary", "@" + bulk, s.url + "/_bulk"},
			{"-u", "x:" + token, "--data-binary", "@" + file, s.url + "/ingest/ndjson"}, // again: a retry
		} {
			if out, err := exec.Command(curl, append([]string{"-sSf", "--max-time", "30"}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("curl: %v: %s", err, out)
			}
		}
		s.counted("curl", 2*messages)
	})
	t.Run("rsyslog omelasticsearch", func(t *testing.T) {
		rsyslogd := sender(t, "rsyslogd", "/usr/lib/x86_64-linux-gnu/rsyslog/omelasticsearch.so")
		token, _ := tokenFor(t, data, "sensor", "--sensor", "rsyslog-es", "--tenant", "acme")
		dir := t.TempDir()
		rewriteWith(t, filepath.Join(dir, "in.log"), lines.String())
		rewriteWith(t, filepath.Join(dir, "rsyslog.conf"), fmt.Sprintf(`
global(workDirectory=%[1]q)
module(load="imfile" mode="polling" pollingInterval="1")
module(load="omelasticsearch")
template(name="doc" type="list" option.json="on") {
  constant(value="{\"message\":\"") property(name="msg")
  constant(value="\",\"@timestamp\":\"") property(name="timereported" dateFormat="rfc3339") constant(value="\"}")
}
input(type="imfile" file="%[1]s/in.log" tag="x:" ruleset="out")
ruleset(name="out") {
  action(type="omelasticsearch" server=%[2]q serverport=%[3]q searchIndex="logs-rsyslog" searchType="" bulkmode="on"
         template="doc" uid="rsyslog" pwd=%[4]q action.resumeRetryCount="-1" action.resumeInterval="1")
}
`, dir, u.Hostname(), u.Port(), token))
		start(t, rsyslogd, "-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "pid"))
		s.counted("rsyslog-es", messages)
	})
	t.Run("rsyslog omfwd", func(t *testing.T) {
		rsyslogd := sender(t, "rsyslogd")
		dir := t.TempDir()
		rewriteWith(t, filepath.Join(dir, "in.log"), lines.String())
		rewriteWith(t, filepath.Join(dir, "rsyslog.conf"), fmt.Sprintf(`
global(workDirectory=%[1]q)
module(load="imfile" mode="polling" pollingInterval="1")
input(type="imfile" file="%[1]s/in.log" tag="x:" ruleset="out")
ruleset(name="out") {
  action(type="omfwd" target="127.0.0.1" port=%[2]q protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format" action.resumeRetryCount="-1")
}
`, dir, tcp))
		start(t, rsyslogd, "-n", "-f", filepath.Join(dir, "rsyslog.conf"), "-i", filepath.Join(dir, "pid"))
		s.counted("tcp", messages)
	})
	t.Run("syslog-ng", func(t *testing.T) {
		ng := sender(t, "syslog-ng")
		before := events(s.rows(), func(r api.Row) bool { return r.Sensor == "tcp" })
		dir := t.TempDir()
		rewriteWith(t, filepath.Join(dir, "in.log"), strings.ReplaceAll(lines.String(), "app:", "ng:"))
		rewriteWith(t, filepath.Join(dir, "ng.conf"), fmt.Sprintf(`@version: 3.38
source s { file("%[1]s/in.log" follow-freq(1) flags(no-parse)); };
destination d { network("127.0.0.1" port(%[2]s) transport("tcp")); };
log { source(s); destination(d); };
`, dir, tcp))
		start(t, ng, "-F", "-f", filepath.Join(dir, "ng.conf"), "-R", filepath.Join(dir, "persist"), "-p", filepath.Join(dir, "pid"), "-c", filepath.Join(dir, "ctl"))
		s.counted("tcp", before+messages)
	})
}
