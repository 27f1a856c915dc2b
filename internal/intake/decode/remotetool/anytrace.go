package remotetool

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// traceLine is a line of ad.trace or ad_svc.trace: level, date in UTC, process, numbers, module, text.
var traceLine = regexp.MustCompile(`^\s*(info|warning|error|debug|fatal)\s+(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?)\s+(\S+)\s+((?:\d+\s+){1,4})(?:[0-9a-f]+\s+)?\s*([\w.]+) - (.*)$`)

func isTrace(_ string, head []byte) bool {
	return mostLines(head, func(line string) bool { return traceLine.MatchString(line) || strings.HasPrefix(line, "* * *") })
}

var (
	loggedIn  = regexp.MustCompile(`Logged in from (\[[0-9a-fA-F:]+\]:\d+|[0-9a-fA-F.:]+?(?::\d+)?)(?: on relay ([0-9a-fA-F]+))?\.?$`)
	accepting = regexp.MustCompile(`(?:Accept request from|Incoming session request:|Client-ID:|Accepting connection from) (.*?)\s*\(?(\d{9,10})?\)?(?: \(FPR: .*\))?\.?$`)
)

// tracer follows the sessions of one trace: what is said of the other side stands on several lines.
type tracer struct {
	sink     decode.Sink
	peer     string
	operator string
	from     string
	started  time.Time // of the session that is open; zero where none is
}

// readTrace reads AnyDesk's program trace. Lines that tell nothing of sessions are counted and passed by: a
// trace holds thousands of them a day.
func readTrace(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	t := &tracer{sink: sink}
	return decode.Lines(ctx, r, sink, t.line)
}

func (t *tracer) line(n int64, raw []byte) error {
	line := strings.TrimRight(strings.ToValidUTF8(string(raw), "\uFFFD"), "\r\n ")
	if line == "" || strings.HasPrefix(line, "* * *") {
		return nil
	}
	m := traceLine.FindStringSubmatch(line)
	if m == nil {
		return errors.New("no trace line (level, date, process, module - text)")
	}
	at, err := time.Parse("2006-01-02 15:04:05.999999", m[2])
	if err != nil || !plausible(at) {
		return errors.New("no date in the line")
	}
	r := &ocsf.RemoteSession{Tool: "anydesk"}
	e := newEvent("anydesk/trace", at, r)
	e.Fields = ocsf.Fields{{Name: "level", Value: m[1]}, {Name: "process", Value: m[3]}, {Name: "module", Value: m[5]}, {Name: "message", Value: m[6]}}
	if !t.meaning(e, m[5], m[6]) {
		e.Remote, e.Class = nil, ocsf.ClassBase
		e.Fields.Sort()
		t.sink.Event(e, n, raw)
		return nil
	}
	r.PeerID, r.Operator = t.peer, t.operator
	e.Actor.Name = t.operator
	e.Src.IP, e.Src.Port = addr(t.from)
	finish(e)
	t.sink.Event(e, n, raw)
	return nil
}

// meaning reads what the line says of a session and reports whether it says something.
func (t *tracer) meaning(e *ocsf.Event, module, text string) bool {
	r := e.Remote
	switch {
	case accepting.MatchString(text) && !strings.Contains(text, "Logged in"):
		m := accepting.FindStringSubmatch(text)
		t.operator, t.peer = strings.TrimSpace(m[1]), m[2]
		if t.peer == "" && strings.Trim(t.operator, "0123456789") == "" {
			t.operator, t.peer = "", t.operator
		}
	case strings.HasPrefix(text, "Logged in from"):
		m := loggedIn.FindStringSubmatch(text)
		if m == nil {
			return false
		}
		t.from = m[1]
		if m[2] != "" {
			r.Relay = "relay-" + strings.ToLower(m[2]) + ".net.anydesk.com"
		}
	case strings.HasPrefix(text, "Authenticated "):
		act(e, "connect")
		e.Status = ocsf.StatusSuccess
		t.started = e.Time
	case strings.Contains(text, "request was rejected") || strings.HasPrefix(text, "Authentication failed") || strings.HasPrefix(text, "Wrong password"):
		act(e, "connect")
		e.Status = ocsf.StatusFailure
	case module == "app.prepare_task" || strings.HasPrefix(module, "app.local_file_transfer") || strings.HasPrefix(module, "app.ft_src_session"):
		act(e, "file")
		e.Status = ocsf.StatusSuccess
	case strings.HasPrefix(text, "Session closed") || strings.HasPrefix(text, "Session stopped") || strings.HasPrefix(text, "Session has been closed"):
		if t.started.IsZero() {
			return false
		}
		act(e, "disconnect")
		e.Flow = &ocsf.Flow{Duration: e.Time.Sub(t.started)}
		t.started = time.Time{}
	case strings.HasPrefix(text, "External address"):
	default:
		return false
	}
	return true
}
