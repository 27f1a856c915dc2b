package syslog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/auditd"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/intake/decode/generic"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
)

// Lines of a file as rsyslog writes it by default: no date has a year. 1789992000 is 2026-09-21T12:00:00Z.
const (
	auditLine     = `Sep 21 14:00:00 web1 audispd: type=SYSCALL msg=audit(1789992000.200:502): arch=c000003e syscall=59 success=yes exit=0 ppid=901 pid=902 auid=1000 uid=0 comm="chmod" exe="/usr/bin/chmod" key=(null)`
	executionLine = `Sep 21 14:00:00 web1 audispd: type=EXECVE msg=audit(1789992000.200:502): argc=2 a0="chmod" a1="777"`
	endLine       = `Sep 21 14:00:00 web1 audispd: type=EOE msg=audit(1789992000.200:502):`
	applianceOwn  = `Sep 21 12:00:00 bt1 BG[7]: 1234:01:01:site=support.example.com;when=1789992000;who=John Smith(jsmith);who_ip=192.0.2.1;event=login;status=success`
	objectLine    = `Sep 21 12:00:01 web1 app[1]: {"time":"2026-09-21T12:00:01Z","src_ip":"10.0.0.1"}`
	plainLine     = `Sep 22 08:00:00 web1 sshd[12]: hello`
)

func richInner() []decode.Stream {
	all := []decode.Stream{decode.Objects([]decode.Object{generic.Object()}), auditd.Stream()}
	return append(all, remotetool.Streams(remotetool.BuiltInSchemas())...)
}

func readFile(t testing.TB, lines ...string) *decodetest.Collect {
	t.Helper()
	k := &decodetest.Collect{}
	if err := Files(richInner).Read(context.Background(), "messages", strings.NewReader(strings.Join(lines, "\n")+"\n"), k); err != nil {
		t.Fatal(err)
	}
	for _, e := range k.Events {
		decodetest.Check(t, e)
	}
	return k
}

func told(k *decodetest.Collect) (out []string) {
	for i, e := range k.Events {
		out = append(out, fmt.Sprintf("%d %s %s %s", k.Records[i], e.Time.Format(time.RFC3339Nano), e.Source, e.Device))
	}
	slices.Sort(out)
	return out
}

func TestMessagesWithTheirOwnTimeNeedNoYear(t *testing.T) {
	for _, c := range []struct {
		name  string
		lines []string
		want  []string
		bad   int
	}{
		{"an audit record", []string{auditLine}, []string{"1 2026-09-21T12:00:00.2Z auditd/process_creation web1"}, 0},
		{"an appliance's message", []string{applianceOwn}, []string{"1 2026-09-21T12:00:00Z beyondtrust/audit bt1"}, 0},
		{"an object", []string{objectLine}, []string{"1 2026-09-21T12:00:01Z json web1"}, 0},
		{"they give the year to the lines around them", []string{plainLine, objectLine},
			[]string{"1 2026-09-22T08:00:00Z syslog/sshd web1", "2 2026-09-21T12:00:01Z json web1"}, 0},
		{"a message far from its header's date gives no year", []string{plainLine, strings.Replace(objectLine, "Sep 21", "Mar  2", 1)},
			[]string{"2 2026-09-21T12:00:01Z json web1"}, 1},
		{"text tells no time", []string{plainLine, "Sep 22 08:00:00 web1 su: 2026"}, nil, 2},
		{"a clock that was never set", []string{strings.Replace(objectLine, "Sep 21 12:00:01", "1970-01-01T00:00:09Z", 1)}, []string{"1 2026-09-21T12:00:01Z json web1"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := readFile(t, c.lines...)
			if d := cmp.Diff(c.want, told(k)); d != "" || len(k.Reasons) != c.bad {
				t.Errorf("bad %q, (-want +got):\n%s", k.Reasons, d)
			}
			for _, r := range k.Reasons {
				if !strings.Contains(r, "no year") {
					t.Errorf("reason %q doesn't tell what is missing", r)
				}
			}
		})
	}
}

// The same lines give the same events, whether a line with a year stands among them or not.
func TestAYearFoundInMessagesGivesWhatAWrittenOneGives(t *testing.T) {
	lines := []string{auditLine, executionLine, endLine, applianceOwn, objectLine, plainLine}
	own := readFile(t, lines...)
	written := readFile(t, append(slices.Clone(lines), "2026-09-21T12:00:00Z web1 app: x")...)
	want := slices.DeleteFunc(told(written), func(s string) bool { return strings.HasPrefix(s, "7 ") })
	if d := cmp.Diff(want, told(own)); d != "" || len(own.Reasons) > 0 {
		t.Errorf("bad %q, (-written +own):\n%s", own.Reasons, d)
	}
}

// A file larger than what may wait is read by the messages' own times too.
func TestAFileThatIsTooLargeToWaitKeepsItsOwnTimes(t *testing.T) {
	pad := strings.Repeat("x", 4096)
	var lines []string
	n := maxWaiting/len(pad) + 64
	for i := range n {
		lines = append(lines, fmt.Sprintf(`Sep 21 12:00:01 web1 app[1]: {"time":"2026-09-21T12:00:01Z","n":%d,"pad":"%s"}`, i, pad))
	}
	k := readFile(t, append(lines, plainLine)...)
	if len(k.Events) != n+1 || len(k.Reasons) != 0 {
		t.Errorf("%d events of %d, bad %.200q", len(k.Events), n+1, k.Reasons)
	}
}
