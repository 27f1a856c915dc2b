package vpn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var asaTag = regexp.MustCompile(`%(?:ASA|FTD)-(?:[a-z]+-)?([0-7])-(\d{6}):? ?`)

// isASA wants most lines to be ASA messages.
func isASA(_ string, head []byte) bool {
	is, total := 0, 0
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if total++; total > 60 {
			break
		}
		if at := asaTag.FindIndex(line[:min(len(line), 400)]); at != nil && at[0] <= 200 {
			is++
		}
	}
	return is > 0 && is*2 > total
}

// maxUndated bounds how many lines without a year wait for the first line that has one.
const maxUndated = 4096

type asa struct {
	sink   decode.Sink
	dates  calendar
	table  *sessions
	queued []asaLine // dated without a year, before any line that has one
}

// asaLine is one message cut into its parts.
type asaLine struct {
	n    int64
	raw  []byte
	when stamp
	host string
	sev  string
	id   string
	text string
}

func readASA(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	d := &asa{sink: sink, table: newSessions()}
	if err := decode.Lines(ctx, r, sink, d.line); err != nil {
		return err
	}
	d.flush(time.Time{})
	return nil
}

func (d *asa) line(n int64, raw []byte) error {
	line := strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD"))
	if line == "" {
		return nil
	}
	at := asaTag.FindStringSubmatchIndex(line)
	if at == nil {
		return errors.New("no ASA message in the line")
	}
	l := asaLine{n: n, sev: line[at[2]:at[3]], id: line[at[4]:at[5]], text: line[at[1]:]}
	var ok bool
	if l.when, l.host, ok = asaHeader(line[:at[0]]); !ok {
		return errors.New("no date before the message")
	}
	if l.when.noYear && !d.dates.known() {
		if len(d.queued) >= maxUndated {
			return errNoYear
		}
		l.raw = bytes.Clone(raw)
		d.queued = append(d.queued, l)
		return nil
	}
	if len(d.queued) > 0 {
		d.flush(l.when.t)
	}
	l.raw = raw
	return d.message(l)
}

// flush decodes the lines that waited; the date of the line that ended the wait gives their year. Without one
// they are bad.
func (d *asa) flush(first time.Time) {
	for _, l := range d.queued {
		if first.IsZero() {
			d.sink.Bad(l.n, errNoYear.Error(), l.raw)
			continue
		}
		if d.dates.last.IsZero() {
			d.dates.last = first
		}
		if err := d.message(l); err != nil {
			d.sink.Bad(l.n, err.Error(), l.raw)
		}
	}
	d.queued = nil
}

// asaHeader reads priority, dates and host before the message. A relay may have put its own date before the
// firewall's: the last date with a year wins, else the last.
func asaHeader(head string) (when stamp, host string, ok bool) {
	head = strings.TrimSpace(head)
	if strings.HasPrefix(head, "<") {
		if i := strings.IndexByte(head, '>'); i > 0 && i < 6 {
			head = head[i+1:]
		}
	}
	head = strings.TrimLeft(strings.TrimPrefix(head, "1 "), ": ") // RFC 5424's version
	for range 64 {
		if head == "" {
			break
		}
		if st, rest, found := parseStamp(head); found {
			if !ok || !st.noYear || when.noYear {
				when, ok = st, true
			}
			head = strings.TrimLeft(rest, ": ")
			continue
		}
		var word string
		word, head, _ = strings.Cut(head, " ")
		if word = strings.Trim(word, ":"); host == "" && word != "" && word != "-" && !zoneName(word) {
			host = word
		}
		head = strings.TrimLeft(head, ": ")
	}
	return when, host, ok
}

func zoneName(s string) bool {
	return (len(s) == 3 || len(s) == 4) && strings.ToUpper(s) == s && (strings.HasSuffix(s, "T") || s == "UTC")
}

func (d *asa) message(l asaLine) error {
	at, err := d.dates.date(l.when)
	if err != nil {
		return err
	}
	e := newEvent("cisco/asa", at)
	e.Device = strings.ToLower(l.host)
	e.Fields = ocsf.Fields{{Name: "MessageID", Value: l.id}, {Name: "Severity", Value: l.sev}, {Name: "message", Value: l.text}}
	p := asaParts(l.text)
	for _, f := range [...]ocsf.Field{{Name: "group", Value: p.group}, {Name: "user", Value: p.user.Name}, {Name: "reason", Value: p.reason}} {
		if f.Value != "" {
			e.Fields = append(e.Fields, f)
		}
	}
	e.User, e.Src.IP = p.user, p.public
	d.meaning(e, l.id, p, l.text)
	e.Fields.Sort()
	d.sink.Event(e, l.n, l.raw)
	return nil
}

// meaning sets what the message means; the ids are those of Cisco's "ASA Series Syslog Messages".
func (d *asa) meaning(e *ocsf.Event, id string, p asaFacts, text string) {
	auth := func(s ocsf.Status) { e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", s }
	key := strings.ToLower(p.user.Name) + "|" + p.public.String()
	switch id {
	case "113004", "113012", "109005", "611101", "605005":
		auth(ocsf.StatusSuccess)
	case "113005", "113015", "113006", "113014", "113021", "109006", "611102", "605004":
		auth(ocsf.StatusFailure)
	case "722051", "713228":
		d.assigned(e, key, p)
	case "716001":
		s := d.table.get(key)
		s.holder, s.public = p.user, p.public
		d.name(s, e)
		e.Activity, e.Status = "open", ocsf.StatusSuccess
		joined(e, s)
	case "113019":
		d.end(e, key, p)
	case "716002":
		if s := d.table.byKey[key]; s != nil && !s.open { // a clientless session: 113019 need not follow
			d.end(e, key, p)
		}
	case "113039", "722022", "734001", "722055", "113009", "113008":
		e.Status = ocsf.StatusSuccess
	case "302013", "302015", "302014", "302016", "106001", "106006", "106023", "106100", "106015":
		connection(e, id, text)
	case "111008", "111010":
		e.Class, e.Activity, e.Status = ocsf.ClassAPIActivity, "update", ocsf.StatusSuccess
	default:
		if !strings.HasPrefix(id, "722") && !strings.HasPrefix(id, "716") && !strings.HasPrefix(id, "113") && !strings.HasPrefix(id, "713") {
			e.Class = ocsf.ClassBase
		}
	}
}

func (d *asa) name(s *session, e *ocsf.Event) {
	if s.id == "" {
		s.begun = e.Time
		s.id = sessionID(s.holder.Name, s.public.String(), e.Time)
	}
}

// assigned opens a session: the gateway gave it its inner address.
func (d *asa) assigned(e *ocsf.Event, key string, p asaFacts) {
	if old := d.table.byKey[key]; old != nil && old.open && old.addr != p.inner {
		d.table.end(key) // a second session of the same person from the same place
	}
	s := d.table.get(key)
	if s.open {
		return
	}
	s.holder, s.public, s.addr = p.user, p.public, p.inner
	d.name(s, e)
	opened(e, s)
}

func (d *asa) end(e *ocsf.Event, key string, p asaFacts) {
	s := d.table.end(key)
	if s == nil {
		s = &session{holder: p.user, public: p.public}
		if p.duration > 0 {
			s.begun = e.Time.Add(-p.duration)
			s.id = sessionID(s.holder.Name, s.public.String(), s.begun)
		}
	}
	e.Flow = &ocsf.Flow{Duration: p.duration, OrigBytes: p.received, RespBytes: p.sent}
	closed(e, s)
}
