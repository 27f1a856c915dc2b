package remotetool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Lines of TeamViewer<nn>_Logfile.log: local date and time, process, thread, level, text. The head of each run says
// the zone: "Start: 2026/09/21 10:00:00.123 (UTC+2:00)".
var (
	logLine     = regexp.MustCompile(`^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d[.,]\d{3})\s+(\d+)\s+(\d+)\s+([A-Z]\S{0,2})\s+(.*)$`)
	logZone     = regexp.MustCompile(`^Start:\s+\d{4}/\d\d/\d\d .*\(UTC([+-]\d{1,2}:\d\d)\)`)
	participant = regexp.MustCompile(`(Add|Remove)Participant: \[(-?\d+),(-?\d+)\](?: type=(\d+) name=(.*))?$`)
	punched     = regexp.MustCompile(`punch received a=([0-9a-fA-F.:]+):(\d+):?`)
	incoming    = regexp.MustCompile(`Connection incoming, sessionID = (-?\d+)`)
	movedFile   = regexp.MustCompile(`\b(Write|Send|Download from|Upload to) file:? (.*)$`)
	denied      = regexp.MustCompile(`(?i)AuthenticationBlocker::Allocate|password was denied|authentication (?:failed|was denied)|Login denied`)
)

func isTeamViewerLog(_ string, head []byte) bool {
	text := utf8Text(head)
	return mostLines(text, func(line string) bool { return logLine.MatchString(line) }) && teamViewerWords.Match(text)
}

// teamViewerWords are names that its programs alone log under.
var teamViewerWords = regexp.MustCompile(`TeamViewer|DyngateID|CParticipantManager|CPersistentParticipantManager|SessionManagerDesktop|CommandHandlerRouting`)

// maxLogHead is how much of what stands before the first line of a log is kept to find its zone.
const maxLogHead = 200

// teamViewerReader follows the sessions of one log.
type teamViewerReader struct {
	sink    decode.Sink
	zone    *time.Location
	stated  bool // the log said its zone
	session string
	from    string
	other   string // participant of type 6, who operates
	since   time.Time
	name    string
}

func teamViewerLog(zone *time.Location) func(context.Context, string, io.Reader, decode.Sink) error {
	return func(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
		t := &teamViewerReader{sink: sink, zone: zone}
		if zone == nil {
			t.zone = time.UTC
		}
		return decode.Lines(ctx, r, sink, t.line)
	}
}

func (t *teamViewerReader) line(n int64, raw []byte) error {
	line := strings.TrimRight(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"), "\r\n ")
	m := logLine.FindStringSubmatch(line)
	if m == nil {
		if z := logZone.FindStringSubmatch(line[:min(len(line), maxLogHead)]); z != nil {
			t.zoned(z[1])
		}
		return nil // the head of a run, and texts of several lines
	}
	at, err := time.ParseInLocation("2006/01/02 15:04:05.000", strings.Replace(m[1], ",", ".", 1), t.zone)
	if err != nil || !plausible(at) {
		return errors.New("no date in the line")
	}
	r := &ocsf.RemoteSession{Tool: "teamviewer"}
	e := newEvent("teamviewer/log", at, r)
	zone := "assumed " + t.zone.String()
	if t.stated {
		zone = "stated " + t.zone.String()
	}
	e.Fields = ocsf.Fields{{Name: "pid", Value: m[2]}, {Name: "tid", Value: m[3]}, {Name: "level", Value: m[4]}, {Name: "message", Value: m[5]}, {Name: "zone", Value: zone}}
	if !t.meaning(e, m[5]) {
		e.Remote, e.Class = nil, ocsf.ClassBase
		e.Fields.Sort()
		t.sink.Event(e, n, raw)
		return nil
	}
	r.SessionID, r.Operator, r.PeerID = t.session, t.name, t.other
	e.Actor.Name = t.name
	e.Src.IP, e.Src.Port = addr(t.from)
	finish(e)
	if r.Act == "disconnect" {
		t.session, t.from, t.other, t.name, t.since = "", "", "", "", time.Time{}
	}
	t.sink.Event(e, n, raw)
	return nil
}

// zoned takes the zone that the log states.
func (t *teamViewerReader) zoned(offset string) {
	sign, rest := offset[:1], offset[1:]
	hours, minutes, _ := strings.Cut(rest, ":")
	h, _ := strconv.Atoi(hours)
	m, _ := strconv.Atoi(minutes)
	if h > 14 || m > 59 {
		return
	}
	seconds := (h*60 + m) * 60
	if sign == "-" {
		seconds = -seconds
	}
	t.zone, t.stated = time.FixedZone("UTC"+offset, seconds), true
}

// meaning reads what the line says of a session and reports whether it says something.
func (t *teamViewerReader) meaning(e *ocsf.Event, text string) bool {
	if m := participant.FindStringSubmatch(text); m != nil && strings.Contains(text, "ParticipantManager") {
		switch {
		case m[1] == "Add" && m[4] == "6": // type 3 is the host itself
			t.other, t.name, t.since = m[2], m[5], e.Time
			if t.session == "" {
				t.session = m[3]
			}
			act(e, "connect")
			e.Status = ocsf.StatusSuccess
			return true
		case m[1] == "Remove" && m[2] == t.other && t.other != "":
			act(e, "disconnect")
			if !t.since.IsZero() && e.Time.After(t.since) {
				e.Flow = &ocsf.Flow{Duration: e.Time.Sub(t.since)}
			}
			return true
		}
		return false
	}
	if m := incoming.FindStringSubmatch(text); m != nil {
		t.session = m[1]
		return true
	}
	if m := punched.FindStringSubmatch(text); m != nil {
		t.from = m[1]
		if strings.Contains(m[1], ":") {
			t.from = "[" + m[1] + "]"
		}
		t.from += ":" + m[2]
		return true
	}
	if m := movedFile.FindStringSubmatch(text); m != nil {
		act(e, "file")
		e.Status = ocsf.StatusSuccess
		e.File = &ocsf.File{Path: strings.TrimSpace(m[2])}
		return true
	}
	if denied.MatchString(text) {
		if strings.Contains(text, "allocate ok") {
			return false
		}
		act(e, "connect")
		e.Status = ocsf.StatusFailure
		return true
	}
	return false
}
