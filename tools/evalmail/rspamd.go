package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Where rspamd listens; loopback alone.
const (
	rspamdScan    = "127.0.0.1:28470"
	rspamdControl = "127.0.0.1:28471"
	rspamdDNS     = "127.0.0.1:28472"
)

// withoutNetwork are the modules that are switched off, since what they ask is not in reach: block lists, proofs of the
// sender, fuzzy hashes, feeds, and what needs a history of deliveries.
var withoutNetwork = strings.Fields(`antivirus arc asn aws_s3 bimi clickhouse dcc dkim dkim_signing dmarc elastic external_services
fuzzy_check greylist history_redis metadata_exporter metric_exporter milter_headers mx_check neural p0f ratelimit rbl
replies reputation rspamd_update spf surbl url_redirector`)

// rspamd is a server of its own on loopback, with a Redis of its own for what it learns.
type rspamd struct {
	system  string
	kept    *kept
	dir     string
	learned []string // hashes of what it knows now, in order
	worker  int      // process that scans
	refused int      // messages that it would not learn

	closers []func()
}

var running []func()

func closeAll() {
	for _, f := range slices.Backward(running) {
		f()
	}
	running = nil
}

func startRspamd(o options) (*rspamd, error) {
	out, err := exec.Command("rspamd", "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("asking rspamd's version: %w: apt-get install rspamd redis-server", err)
	}
	k, err := openKept(filepath.Join(o.work, "rspamd-scores.tsv"))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rspamd") // short, since sockets lie in it
	if err != nil {
		return nil, fmt.Errorf("making rspamd's folder: %w", err)
	}
	running = append(running, func() { os.RemoveAll(dir) })
	r := &rspamd{system: strings.TrimSpace(strings.TrimPrefix(string(out), "Rspamd daemon version ")), kept: k, dir: dir}
	if err := r.configure(); err != nil {
		return nil, err
	}
	if err := r.answerDNS(); err != nil {
		return nil, err
	}
	if err := r.spawn("redis-server", "--port", "0", "--unixsocket", dir+"/redis.sock", "--save", "", "--dir", dir); err != nil {
		return nil, err
	}
	args := []string{"-f", "-c", dir + "/rspamd.conf", "--var=LOCAL_CONFDIR=" + dir, "--var=RUNDIR=" + dir + "/run", "--var=DBDIR=" + dir + "/db", "--var=LOGDIR=" + dir + "/log"}
	if os.Geteuid() == 0 {
		args = append(args, "-i", "-u", "root", "-g", "root")
	}
	if err := r.spawn("rspamd", args...); err != nil {
		return nil, err
	}
	return r, r.ready()
}

func (r *rspamd) configure() error {
	files := map[string]string{
		"override.d/redis.conf":    `servers = "` + r.dir + `/redis.sock";`,
		"override.d/phishing.conf": "openphish_enabled = false; phishtank_enabled = false; generic_service_enabled = false;",
		"rspamd.conf": `.include "$CONFDIR/common.conf"
options {
  pidfile = "$RUNDIR/rspamd.pid";
  .include "$CONFDIR/options.inc"
  dns { nameserver = ["` + rspamdDNS + `"]; timeout = 0.5s; retransmits = 1; }
  map_watch_interval = 1d;
}
logging { type = "file"; filename = "$LOGDIR/rspamd.log"; level = "warning"; }
worker "normal" { bind_socket = "` + rspamdScan + `"; count = 1; .include "$CONFDIR/worker-normal.inc" }
worker "controller" { bind_socket = "` + rspamdControl + `"; .include "$CONFDIR/worker-controller.inc" }
`,
	}
	for _, m := range withoutNetwork {
		files["override.d/"+m+".conf"] = "enabled = false;\n"
	}
	for _, sub := range []string{"override.d", "local.d", "run", "db", "log"} {
		if err := os.MkdirAll(filepath.Join(r.dir, sub), 0o755); err != nil {
			return fmt.Errorf("configuring rspamd: %w", err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("configuring rspamd: %w", err)
		}
	}
	return nil
}

// answerDNS answers every question at once with SERVFAIL: nothing is asked of the world, and nothing waits.
func (r *rspamd) answerDNS() error {
	c, err := net.ListenPacket("udp", rspamdDNS)
	if err != nil {
		return fmt.Errorf("opening a resolver for rspamd: %w", err)
	}
	running = append(running, func() { c.Close() })
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if a := servfail(b[:n]); a != nil {
				_, _ = c.WriteTo(a, from) // whoever does not get it asks again
			}
		}
	}()
	return nil
}

// servfail answers a query of one question (RFC 1035 4.1): the question alone goes back, without the query's EDNS.
func servfail(query []byte) []byte {
	const head = 12
	end := head
	for end < len(query) && query[end] != 0 {
		end += int(query[end]) + 1
	}
	if end += 5; len(query) < head || end > len(query) { // the root label, type and class
		return nil
	}
	answer := slices.Clone(query[:end])
	answer[2] |= 0x80 // an answer
	answer[3] = 0x82  // recursion available; SERVFAIL
	copy(answer[4:head], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	return answer
}

func (r *rspamd) spawn(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	log, err := os.Create(filepath.Join(r.dir, filepath.Base(name)+".out"))
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w: apt-get install rspamd redis-server", name, err)
	}
	running = append(running, func() {
		_ = cmd.Process.Signal(os.Interrupt)
		time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
	})
	return nil
}

// ready waits until rspamd scans, and finds its worker's process.
func (r *rspamd) ready() error {
	deadline := time.Now().Add(90 * time.Second)
	for {
		if _, err := r.scan([]byte("From: a@b.example\nSubject: hello\n\nhello\n")); err == nil {
			break
		} else if time.Now().After(deadline) {
			return fmt.Errorf("waiting for rspamd: %w", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	out, err := exec.Command("ps", "-eo", "pid,args").Output()
	if err != nil {
		return fmt.Errorf("listing processes: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if pid, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.Contains(name, "rspamd: normal process ("+rspamdScan) {
			r.worker, err = strconv.Atoi(pid)
			return err
		}
	}
	return errors.New("rspamd has no process that scans")
}

// forget empties what was learned.
func (r *rspamd) forget() error {
	c, err := net.Dial("unix", r.dir+"/redis.sock")
	if err != nil {
		return fmt.Errorf("emptying rspamd's memory: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("FLUSHALL\r\n")); err != nil {
		return fmt.Errorf("emptying rspamd's memory: %w", err)
	}
	b := make([]byte, 16)
	if n, err := c.Read(b); err != nil || !bytes.HasPrefix(b[:n], []byte("+OK")) {
		return fmt.Errorf("emptying rspamd's memory: %q, %w", b, err)
	}
	r.learned = nil
	return nil
}

// score scores messages after learning the sets, one after the other; it goes on from what it knows where it can.
func (r *rspamd) score(list []*message, learned ...[]*message) (map[string]result, error) {
	hash := setHash(slices.Concat(learned...))
	missing := r.kept.missing(list, r.system, hash)
	if len(missing) > 0 {
		if err := r.learn(learned); err != nil {
			return nil, err
		}
		say("rspamd scores %d messages", len(missing))
		err := parallel(missing, func(m *message) error {
			raw, err := os.ReadFile(m.path)
			if err != nil {
				return fmt.Errorf("reading a message: %w", err)
			}
			x, err := r.scan(raw)
			if err != nil {
				return fmt.Errorf("scoring %s with rspamd: %w", m.path, err)
			}
			return r.kept.put(key(r.system, hash, m.hash), x)
		})
		if err != nil {
			return nil, err
		}
	}
	return r.kept.all(list, r.system, hash)
}

func (r *rspamd) learn(learned [][]*message) error {
	var want []string
	for _, set := range learned {
		want = append(want, setHash(set))
	}
	if len(r.learned) > len(want) || !slices.Equal(r.learned, want[:min(len(want), len(r.learned))]) || len(r.learned) == 0 {
		if err := r.forget(); err != nil {
			return err
		}
	}
	for i := len(r.learned); i < len(learned); i++ {
		say("rspamd learns %d messages", len(learned[i]))
		err := parallel(learned[i], func(m *message) error {
			raw, err := os.ReadFile(m.path)
			if err != nil {
				return fmt.Errorf("reading a message: %w", err)
			}
			what := "/learnham"
			if m.phish {
				what = "/learnspam"
			}
			status, answer, err := post("http://"+rspamdControl+what, raw, map[string]string{"Learn-Type": "bulk", "Password": "q1"})
			if err != nil {
				return fmt.Errorf("teaching rspamd: %w", err)
			}
			if status != http.StatusOK && status != http.StatusAlreadyReported {
				countMu.Lock()
				defer countMu.Unlock()
				if r.refused++; r.refused <= 3 {
					say("rspamd would not learn %s: %d %.200s", m.path, status, answer)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.learned = append(r.learned, want[i])
	}
	return nil
}

var countMu sync.Mutex

// parallel runs fn over the messages, four at a time, and returns the first error.
func parallel(list []*message, fn func(*message) error) error {
	work := make(chan *message)
	errs := make(chan error, 4)
	for range 4 {
		go func() {
			var first error
			for m := range work {
				if first == nil {
					first = fn(m)
				}
			}
			errs <- first
		}()
	}
	for _, m := range list {
		work <- m
	}
	close(work)
	return errors.Join(<-errs, <-errs, <-errs, <-errs)
}

func post(url string, body []byte, header map[string]string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	for k, v := range header {
		q.Header.Set(k, v)
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	out, err := io.ReadAll(io.LimitReader(a.Body, 8<<20))
	return a.StatusCode, out, err
}

var (
	receivedFrom = regexp.MustCompile(`(?i)^Received: from (\S+) \((\S+) \[([0-9A-Fa-f.:]+)\]\)`)
	fromAddress  = regexp.MustCompile(`(?mi)^From:[^\n]*?([\w.+=-]+@[\w.-]+)`)
)

// scan asks rspamd for one message, with the envelope that a mail server would give along.
func (r *rspamd) scan(raw []byte) (result, error) {
	head := map[string]string{"Rcpt": "user@client.example"}
	if m := receivedFrom.FindSubmatch(raw); m != nil {
		head["Helo"], head["Hostname"], head["IP"] = string(m[1]), string(m[2]), string(m[3])
	}
	if m := fromAddress.FindSubmatch(raw[:min(len(raw), 64<<10)]); m != nil {
		head["From"] = string(m[1])
	}
	status, body, err := post("http://"+rspamdScan+"/checkv2", raw, head)
	if err != nil {
		return result{}, err
	}
	var answer struct {
		Score   float64
		Symbols map[string]struct{ Score float64 }
		Error   string
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		return result{}, fmt.Errorf("answered %d: %s %w", status, answer.Error, err)
	}
	x := result{score: answer.Score, alone: answer.Score}
	for name, s := range answer.Symbols {
		if strings.HasPrefix(name, "BAYES_") {
			x.alone -= s.Score
		}
		if s.Score != 0 {
			x.reasons = append(x.reasons, fmt.Sprintf("%s=%.2f", name, s.Score))
		}
	}
	slices.Sort(x.reasons)
	return x, nil
}

// artefact says whether a symbol of rspamd comes from there being no DNS, or from the mail's age.
func artefact(symbol string) bool {
	return strings.HasPrefix(symbol, "HFILTER_") || strings.HasPrefix(symbol, "RDNS_") || symbol == "DATE_IN_PAST" || symbol == "ONCE_RECEIVED"
}

// corrected is the score without the artefacts, with or without what was learned.
func corrected(r result, learned bool) float64 {
	s := r.alone
	if learned {
		s = r.score
	}
	for _, x := range r.reasons {
		if name, w, ok := strings.Cut(x, "="); ok && artefact(name) {
			if f, err := strconv.ParseFloat(w, 64); err == nil {
				s -= f
			}
		}
	}
	return s
}
