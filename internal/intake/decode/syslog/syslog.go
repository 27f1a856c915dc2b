// Package syslog decodes syslog lines: RFC 5424, RFC 3164, and what devices send in their place (no priority, no
// host, the year first, Cisco's counters, Meraki's seconds). The header is taken off; the message goes to the
// formats that know it (a JSON object, a VPN gateway's line), and their events get the header's fields beside their
// own. A message that none of them knows is an event of class 0 and source syslog/<app>, so that nothing is lost.
//
// Header fields are facility, severity, hostname, appname, procid, msgid, <sd-id>.<param> and message, and
// syslog.hostname, which no message can set. What sudo says of a command stands under its own names too (TTY, PWD, USER,
// COMMAND), and whoever asked for it is the actor. A date without a year takes it from when the line was received, or in
// a file from the nearest date that has one; never from this machine's clock. A date without a zone is UTC. A line
// that can't be dated goes to the sink with that reason.
package syslog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Lines returns the format of lines that begin with a priority, as they come over the network. It comes before the
// formats of single products: those see the message through inner.
func Lines(inner func() []decode.Stream) decode.Stream {
	return decode.Stream{Name: "syslog", Recognise: beginsWithPriority, Read: reader(inner)}
}

// Files returns the format of lines without a priority, as syslog daemons write them to files: a date, a host and
// a program. It comes after the formats of single products, which know more of the same lines.
func Files(inner func() []decode.Stream) decode.Stream {
	return decode.Stream{Name: "syslog/file", Recognise: looksLikeFile, Read: reader(inner)}
}

// CutMark is how the listener ends a message that was longer than its limit.
const CutMark = " [cut by breakwater]"

// lookAt is how many lines of a file are looked at to recognise it.
const lookAt = 60

// mostly reports whether more than half of the lines that are not empty are as asked.
func mostly(head []byte, is func(line []byte) bool) bool {
	yes, total := 0, 0
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		if line = bytes.Trim(line, " \t\r\x00"); len(line) == 0 {
			continue
		}
		if total++; total > lookAt {
			break
		}
		if is(line) {
			yes++
		}
	}
	return yes*2 > total
}

func beginsWithPriority(_ string, head []byte) bool {
	return mostly(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), func(line []byte) bool {
		_, rest, ok := priority(string(line[:min(len(line), 6)]))
		return ok && (rest != "" || len(line) > 5)
	})
}

func looksLikeFile(_ string, head []byte) bool {
	return mostly(head, func(line []byte) bool {
		h := parse(string(line[:min(len(line), 400)]))
		return h.pri < 0 && !h.modern && h.dated && h.host != "" && h.app != ""
	})
}

func reader(inner func() []decode.Stream) func(context.Context, string, io.Reader, decode.Sink) error {
	return func(ctx context.Context, name string, r io.Reader, sink decode.Sink) error {
		d := &decoder{sink: sink, nest: decode.NewNest(ctx, inner(), sink)}
		if d.years.received, d.live = decode.Received(ctx); !d.live {
			d.own = newOwnTimes(ctx, inner(), d)
		}
		err := decode.Lines(ctx, r, sink, d.line)
		if err == nil {
			err = d.undated()
		}
		if flushErr := d.nest.Flush(); err == nil {
			err = flushErr
		}
		return err
	}
}

type decoder struct {
	sink  decode.Sink
	nest  *decode.Nest
	live  bool // it is known when the lines were received
	years years
	own   *ownTimes // nil where live
}

func (d *decoder) line(n int64, raw []byte) error {
	line := trimmed(raw)
	if line == "" {
		return nil
	}
	h := parse(line)
	at, err := d.when(&h)
	if err == errNoYear && d.years.keep(n, raw) {
		return nil
	}
	if err != nil {
		if d.own == nil {
			return err
		}
		return d.own.add(&h, n, raw)
	}
	return d.nest.Add(carried(&h, at, n, raw))
}

func trimmed(raw []byte) string {
	return strings.Trim(strings.ToValidUTF8(string(raw), "\uFFFD"), " \t\r\x00")
}

// undated reads the lines that waited for the year of those around them, and then those that only their messages
// could date.
func (d *decoder) undated() error {
	for _, w := range d.years.close() {
		if err := d.line(w.n, w.raw); err != nil {
			d.sink.Bad(w.n, err.Error(), w.raw)
		}
	}
	if d.own == nil {
		return nil
	}
	return d.own.close()
}

var errNoDate = errors.New("no date in the line, and nobody knows when it was received")

func (d *decoder) when(h *header) (time.Time, error) {
	switch {
	case !h.dated && d.live:
		return d.years.received.UTC(), nil
	case !h.dated:
		return time.Time{}, errNoDate
	case h.noYear:
		return d.years.place(h.at)
	case h.at.Year() < 1971 || h.at.Year() >= 2100:
		if d.live {
			return d.years.received.UTC(), nil
		}
		return time.Time{}, errors.New("the clock was never set: the year is before 1971 or after 2099")
	}
	d.years.seen(h.at)
	return h.at, nil
}

// carried is the message for the inner formats, with the date and host before it that they ask for. Where nobody
// knows the date, at is zero.
func carried(h *header, at time.Time, n int64, raw []byte) decode.Carried {
	c := decode.Carried{Outer: event(h, at), Number: n, Raw: raw, Field: "message", Prefix: "syslog."}
	body := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(h.message), "@cee:"))
	if strings.HasPrefix(body, "{") {
		c.Line = body
		return c
	}
	if c.Line = body; strings.HasPrefix(body, "%") && !at.IsZero() { // Cisco's formats look for date and host before the message
		c.Line = strings.TrimRight(at.Format(time.RFC3339Nano)+" "+h.host, " ") + " : " + body
	}
	c.Program, c.Undated = h.app, true
	return c
}

// event is what the header says, with the message as it is.
func event(h *header, at time.Time) *ocsf.Event {
	e := &ocsf.Event{Time: at, Class: ocsf.ClassBase, Layer: tenant.LayerEndpoint, Source: "syslog", Device: strings.ToLower(h.host)}
	if name := tame(h.app); name != "" {
		e.Source += "/" + name
	}
	add := func(name, value string) {
		if value != "" {
			e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
		}
	}
	if h.pri >= 0 {
		add("facility", facilities[h.pri>>3])
		add("severity", severities[h.pri&7])
	}
	add("hostname", h.host)
	add("syslog.hostname", h.host)
	add("appname", h.app)
	add("procid", h.proc)
	add("msgid", h.msgID)
	message, cut := strings.CutSuffix(h.message, CutMark)
	if cut {
		add("syslog.cut", "true")
	}
	add("message", unescape(message))
	if _, err := strconv.ParseUint(h.proc, 10, 32); err == nil && h.app != "" {
		e.Process = &ocsf.Process{Image: h.app, PID: h.proc}
	}
	e.Fields = append(e.Fields, h.data...)
	if e.Source == "syslog/sudo" {
		by, named := sudo(message)
		e.Actor = ocsf.User{Name: by}
		e.User = e.Actor
		e.Fields = append(e.Fields, named...)
	}
	e.Fields.Sort()
	return e
}

// unescape gives back the line breaks that the listener, or a relay, wrote as #012.
func unescape(s string) string {
	if !strings.Contains(s, "#0") {
		return s
	}
	return strings.NewReplacer("#012", "\n", "#015", "\r", "#011", "\t").Replace(s)
}

// tame keeps a program's name to what a source may be called.
func tame(app string) string {
	if i := strings.LastIndexByte(app, '/'); i >= 0 { // postfix/smtpd stays; paths lose their folders
		if strings.HasPrefix(app, "/") {
			app = app[i+1:]
		}
	}
	app = strings.Map(func(r rune) rune {
		switch {
		case r == '_' || r == '-' || r == '.' || r == '/' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, app)
	return strings.Trim(app[:min(len(app), 48)], "/.")
}

// The words of RFC 5424 6.2.1, tables 1 and 2, as syslog.conf spells them.
var (
	severities = [8]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
	facilities = [24]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}
)
