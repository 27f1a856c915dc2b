package remotetool

import (
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

// applianceLine is a message of BeyondTrust Remote Support and Privileged Remote Access: whatever syslog wrote before
// it, the site's id, the segment's number, how many there are, and field=value;… ("Syslog Message Reference Guide",
// Message Format).
var applianceLine = regexp.MustCompile(`^(?:(.{0,120}?)\s?BG(?:\[\d+\])?: ?)?(\d{1,10}):(\d{1,3}):(\d{1,3}):((?:when|site|who|who_ip|event|target|status)=.*|.+)$`)

// leads tells whether a message that comes without BG: is one all the same: the first segment begins with a field
// that all messages have, and others are of a site's number, which has four digits.
var leads = regexp.MustCompile(`^\d{4}:01:\d\d:(?:[^;=]{1,40}=[^;]*;)*(?:site|who|event|when)=|^\d{4}:(?:0[2-9]|[1-9]\d):\d\d:`)

func isAppliance(_ string, head []byte) bool {
	return mostLines(head, func(line string) bool {
		m := applianceLine.FindStringSubmatchIndex(line)
		return m != nil && (m[2] >= 0 || leads.MatchString(line))
	})
}

// segments holds the parts of messages that were cut; the number of a site's message is not told, so that the parts
// of one must follow each other.
type segments struct {
	text string
	next int
}

// maxSegments bounds the sites whose messages are open, and maxSegmented the bytes of one message.
const (
	maxSegments  = 256
	maxSegmented = 256 << 10
)

// readAppliance reads the appliance's messages. Their time is when=, in seconds since 1970; else that of the syslog
// line that carried it.
func readAppliance(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	open := map[string]*segments{}
	received, _ := decode.Received(ctx)
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimRight(strings.ToValidUTF8(string(raw), "\uFFFD"), "\r\n ")
		if line == "" {
			return nil
		}
		m := applianceLine.FindStringSubmatch(line)
		if m == nil {
			return errors.New("no message of the appliance (site id:segment:segments:field=value;…)")
		}
		site, text := m[2], m[5]
		number, _ := strconv.Atoi(m[3])
		of, _ := strconv.Atoi(m[4])
		if of > 1 {
			s := open[site]
			switch {
			case number == 1 && len(open) < maxSegments:
				open[site] = &segments{text, 2}
				return nil
			case s == nil || number != s.next || len(s.text)+len(text) > maxSegmented:
				delete(open, site)
				return errors.New("a segment without the one before it")
			}
			s.text, s.next = s.text+text, s.next+1
			if number < of {
				return nil
			}
			text = s.text
			delete(open, site)
		}
		e, err := applianceEvent(site, text, m[1], received)
		if err != nil {
			return err
		}
		sink.Event(e, n, raw)
		return nil
	})
}

// pairs cuts field=value;…, in which a backslash stands before a mark that is part of a value.
func pairs(text string) ocsf.Fields {
	var out ocsf.Fields
	var key, value strings.Builder
	at := &key
	end := func() {
		if name := strings.TrimSpace(key.String()); name != "" && at == &value && len(out) < decode.MaxFields {
			out = append(out, ocsf.Field{Name: name, Value: strings.TrimSpace(value.String())})
		}
		key.Reset()
		value.Reset()
		at = &key
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			at.WriteByte(text[i])
		case c == ';':
			end()
		case c == '=' && at == &key:
			at = &value
		default:
			at.WriteByte(c)
		}
	}
	end()
	out.Sort()
	return out
}

func applianceEvent(site, text, before string, received time.Time) (*ocsf.Event, error) {
	fields := pairs(text)
	name := fields.Value("event")
	if name == "" {
		return nil, errors.New("no event in the message")
	}
	at, ok := decode.ParseTime(fields.Value("when"))
	if !ok {
		stamp, _, _ := strings.Cut(before, " ")
		if at, ok = decode.ParseTime(stamp); !ok {
			if at, ok = received, !received.IsZero(); !ok {
				return nil, errors.New("no time: the message has no when=, its line no date with a year, and nobody knows when it was received")
			}
		}
	}
	who, _, _ := strings.Cut(fields.Value("who"), " using ")
	r := &ocsf.RemoteSession{Tool: "beyondtrust", Instance: strings.ToLower(fields.Value("site")), SessionID: strings.ToLower(first(fields, "lsid", "session:lsid", "session_id")),
		Operator: who, Target: shortHost(first(fields, "computer_name", "hostname", "jump_client:name")), Company: first(fields, "company", "jump_group")}
	if r.Instance == "" {
		r.Instance = site
	}
	e := newEvent("beyondtrust/audit", at, r)
	e.Fields = append(fields, ocsf.Field{Name: "site_id", Value: site})
	e.Device, e.Actor.Name = r.Target, who
	e.Src.IP, e.Src.Port = addr(fields.Value("who_ip"))
	switch {
	case name == "login" || name == "logout":
		act(e, name)
		e.User.Name = who
	case strings.Contains(name, "session") && strings.HasSuffix(name, "_start"):
		act(e, "connect")
	case strings.Contains(name, "session") && strings.HasSuffix(name, "_end"):
		act(e, "disconnect")
	case strings.HasSuffix(name, "_added"), strings.HasSuffix(name, "_changed"), strings.HasSuffix(name, "_removed"), strings.HasSuffix(name, "_reset"),
		strings.HasSuffix(name, "_restored"), strings.HasSuffix(name, "_created"), strings.HasSuffix(name, "_factory_default"):
		act(e, "settings")
	}
	switch strings.ToLower(fields.Value("status")) {
	case "failure", "failed":
		e.Status = ocsf.StatusFailure
	case "success":
		e.Status = ocsf.StatusSuccess
	}
	finish(e)
	return e, nil
}

func first(fields ocsf.Fields, names ...string) string {
	for _, n := range names {
		if v := fields.Value(n); v != "" {
			return v
		}
	}
	return ""
}
