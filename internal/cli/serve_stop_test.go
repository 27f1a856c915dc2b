package cli

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAnOrderlyStopUnderLoadLosesNothing sends to serve until it stops on SIGTERM, and expects every acknowledged
// event after the restart, once.
func TestAnOrderlyStopUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	data := t.TempDir() + "/data"
	token, _ := tokenFor(t, data, "sensor", "--sensor", "fw", "--tenant", "acme")
	s := begin(t, data, true)
	var acknowledged, unanswered, n atomic.Int64
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for {
				var b strings.Builder
				for range 100 {
					fmt.Fprintf(&b, "{\"@timestamp\":%q,\"n\":%d}\n", time.Now().UTC().Format(time.RFC3339Nano), n.Add(1))
				}
				a, err := s.ask("POST", "/ingest/ndjson", token, b.String())
				if err != nil {
					unanswered.Add(100) // it may be there all the same
					return
				}
				if a.status == http.StatusOK {
					acknowledged.Add(100)
				}
			}
		})
	}
	watching, err := http.NewRequest("GET", s.url+"/api/v1/watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	watching.Header.Set("Authorization", "Bearer "+s.admin)
	stream, err := (&http.Client{Transport: &http.Transport{}}).Do(watching) // one who never leaves must not hold the stop up
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	eventually(t, "some of it is acknowledged", patience, func() bool { return acknowledged.Load() > 5000 })
	began := time.Now()
	if code := s.stop(); code != exitDone {
		t.Errorf("exit code %d:\n%s", code, s.log)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("the stop took %s", took)
	}
	group.Wait()
	if log := s.log.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "refused") {
		t.Errorf("the stop was not in order:\n%s", log)
	}
	s = begin(t, data, false)
	s.quiet()
	if got := s.everyEvent(); got < acknowledged.Load() || got > acknowledged.Load()+unanswered.Load() {
		t.Errorf("%d events after the restart; %d were acknowledged and %d not answered", got, acknowledged.Load(), unanswered.Load())
	}
}

// TestServeLeavesNoGoroutineBehind runs serve with all of its parts in this process and compares the goroutines of
// our own packages before and after.
func TestServeLeavesNoGoroutineBehind(t *testing.T) {
	drop := t.TempDir()
	data := t.TempDir() + "/data"
	must(t, "apply", "--data", data, configFile(t, oneTenant+`serve:
  drop: {folder: `+drop+`}
  tail: [{paths: [`+drop+`/nothing*.log], sensor: tail, tenant: acme}]
  syslog:
    - {udp: "127.0.0.1:`+freePort(t)+`", bindings: [{source: 127.0.0.0/8, sensor: net, tenant: acme}]}
    - {tcp: "127.0.0.1:`+freePort(t)+`", bindings: [{source: 127.0.0.0/8, sensor: net, tenant: acme}]}
`))
	token, _ := tokenFor(t, data, "sensor", "--sensor", "fw", "--tenant", "acme")
	s := begin(t, data, false)
	s.send("/ingest/ndjson", token, "{\"@timestamp\":\"2026-03-02T10:00:00Z\"}\n")
	s.settled()
	if n := len(ours()); n < 5 {
		t.Fatalf("only %d goroutines of serve are seen while it runs: the test looks for the wrong ones", n)
	}
	if code := s.stop(); code != exitDone {
		t.Fatalf("exit code %d:\n%s", code, s.log)
	}
	var left []string
	defer func() {
		if t.Failed() {
			t.Log(strings.Join(left, "\n\n"))
		}
	}()
	eventually(t, "all goroutines of serve end", 10*time.Second, func() bool { left = ours(); return len(left) == 0 })
}

// ours are the stacks in which serve's own packages, or the embedded queue, are at work.
func ours() (list []string) {
	buf := make([]byte, 4<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		for _, p := range []string{"/internal/app", "/internal/intake", "/internal/show", "/internal/platform", "/internal/respond", "nats-server"} {
			if strings.Contains(stack, p) {
				list = append(list, stack)
				break
			}
		}
	}
	return list
}
