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

// endpointLine is a line of KaseyaEndpoint-<date>.log: level, time in UTC with a needless offset, process, thread,
// part of the program, text.
var (
	endpointLine   = regexp.MustCompile(`^\[([A-Z]) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ([+-]\d\d:\d\d)\s+([0-9a-fA-F]+)\s+([0-9a-fA-F]+)\] \[([\w.]+)\] (.*)$`)
	sessionGUID    = regexp.MustCompile(`(?i)(?:sessionId |Instance #|Session_)([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`)
	kaseyaInstance = regexp.MustCompile(`Instance_([A-Z0-9]{6,40})`)
)

func isKaseyaEndpoint(_ string, head []byte) bool {
	return mostLines(head, endpointLine.MatchString)
}

// readKaseyaEndpoint reads the endpoint agent's log. A session's beginning and end stand on two lines each, of which
// the one with the session's id makes the event; who operates it is never said.
func readKaseyaEndpoint(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	instance := ""
	started := map[string]time.Time{}
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimRight(strings.ToValidUTF8(string(raw), "\uFFFD"), "\r\n ")
		if line == "" {
			return nil
		}
		m := endpointLine.FindStringSubmatch(line)
		if m == nil {
			return errors.New("no line of the Kaseya endpoint ([level time offset process thread] [part] text)")
		}
		at, err := time.Parse(time.RFC3339Nano, m[2])
		if err != nil || !plausible(at) {
			return errors.New("no date in the line")
		}
		text := m[7]
		if i := kaseyaInstance.FindStringSubmatch(text); i != nil {
			instance = strings.ToLower(i[1])
		}
		s := &ocsf.RemoteSession{Tool: "kaseya", Instance: instance}
		e := newEvent("kaseya/endpoint", at, s)
		e.Fields = ocsf.Fields{{Name: "level", Value: m[1]}, {Name: "pid", Value: m[4]}, {Name: "tid", Value: m[5]}, {Name: "part", Value: m[6]}, {Name: "message", Value: text}}
		if g := sessionGUID.FindStringSubmatch(text); g != nil {
			s.SessionID = strings.ToLower(g[1])
		}
		switch {
		case s.SessionID != "" && strings.HasPrefix(text, "Launching remote control host"):
			act(e, "connect")
			e.Status = ocsf.StatusSuccess
			if len(started) < maxSessions {
				started[s.SessionID] = at
			}
		case s.SessionID != "" && strings.HasPrefix(text, "Shutting down Remote Control Instance"):
			act(e, "disconnect")
			if begun, ok := started[s.SessionID]; ok && at.After(begun) {
				e.Flow = &ocsf.Flow{Duration: at.Sub(begun)}
			}
			delete(started, s.SessionID)
		case strings.Contains(text, "Session Jwt") && !strings.Contains(text, "is valid"):
			act(e, "connect")
			e.Status = ocsf.StatusFailure
		default:
			if m[6] != "AgentRemoteControlSession" && s.SessionID == "" {
				e.Remote, e.Class = nil, ocsf.ClassBase
				e.Fields.Sort()
				sink.Event(e, n, raw)
				return nil
			}
		}
		finish(e)
		sink.Event(e, n, raw)
		return nil
	})
}

// maxSessions bounds the sessions of one log that are open at once, as far as their length is kept.
const maxSessions = 4096
