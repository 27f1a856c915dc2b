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

type asa struct {
	sink  decode.Sink
	dates calendar
}

// asaLine is one message cut into its parts.
type asaLine struct {
	when stamp
	host string
	sev  string
	id   string
	text string
}

func readASA(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	d := &asa{sink: sink}
	return d.dates.lines(ctx, r, sink, d.line)
}

func (d *asa) line(n int64, raw []byte) error {
	line := strings.TrimSpace(strings.ToValidUTF8(string(raw), "\uFFFD"))
	if line == "" {
		return nil
	}
	tag := asaTag.FindStringSubmatchIndex(line)
	if tag == nil {
		return errors.New("no ASA message in the line")
	}
	l := asaLine{sev: line[tag[2]:tag[3]], id: line[tag[4]:tag[5]], text: line[tag[1]:]}
	var ok bool
	if l.when, l.host, ok = asaHeader(line[:tag[0]]); !ok {
		return errors.New("no date before the message")
	}
	at, err := d.dates.date(l.when)
	if err != nil {
		return err
	}
	d.sink.Event(l.event(at), n, raw)
	return nil
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

func (l *asaLine) event(at time.Time) *ocsf.Event {
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
	l.meaning(e, p)
	e.Fields.Sort()
	return e
}

// meaning sets what the message means; the ids are those of Cisco's "ASA Series Syslog Messages".
func (l *asaLine) meaning(e *ocsf.Event, p asaFacts) {
	auth := func(s ocsf.Status) { e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", s }
	id := l.id
	if isConnection(id) {
		connection(e, id, l.text)
		return
	}
	switch id {
	case "113004", "113012", "109005", "611101", "605005":
		auth(ocsf.StatusSuccess)
	case "113005", "113015", "113006", "113014", "113021", "109006", "611102", "605004":
		auth(ocsf.StatusFailure)
	case "722051", "713228":
		opened(e, p.lease())
	case "746012", "746013":
		e.User = mappedUser(l.text)
		mapping(e, l.text, id == "746012")
	case "716001": // clientless, or before the client has its address: nobody holds one by it
		e.Activity, e.Status = "open", ocsf.StatusSuccess
	case "716002":
		e.Activity = "close"
	case "113019":
		e.Flow = &ocsf.Flow{Duration: p.duration, OrigBytes: p.received, RespBytes: p.sent}
		closed(e, p.lease())
	case "113039", "722022", "734001", "722055", "113009", "113008":
		e.Status = ocsf.StatusSuccess
	case "111008", "111010":
		e.Class, e.Activity, e.Status = ocsf.ClassAPIActivity, "update", ocsf.StatusSuccess
	default:
		if !strings.HasPrefix(id, "722") && !strings.HasPrefix(id, "716") && !strings.HasPrefix(id, "113") && !strings.HasPrefix(id, "713") {
			e.Class = ocsf.ClassBase
		}
	}
}

// userMapping is "Add IP-User mapping 10.1.1.1 - LOCAL\user1 Succeeded - VPN user".
var userMapping = regexp.MustCompile(`IP-User mapping (\S+) - (\S+) (Succeeded|Failed)(?: - (.{0,120}))?`)

func mappedUser(text string) (u ocsf.User) {
	if m := userMapping.FindStringSubmatch(text); m != nil {
		u = account(m[2])
	}
	return u
}

// mapping reads whom the identity firewall knows by an address. Of those that come by VPN it is the session's holder;
// others it learned from a directory, and such a mapping begins and ends when the directory says so.
func mapping(e *ocsf.Event, text string, begins bool) {
	m := userMapping.FindStringSubmatch(text)
	if m == nil || m[3] != "Succeeded" || !strings.Contains(strings.ToLower(m[4]), "vpn") {
		return
	}
	l := &ocsf.Lease{Kind: "vpn", Addr: addr(m[1]), Holder: e.User}
	switch {
	case !l.Addr.IsValid() || l.Holder.Name == "":
	case begins:
		opened(e, l)
	default:
		closed(e, l)
	}
}

// lease is what the message says of a session.
func (p *asaFacts) lease() *ocsf.Lease {
	return &ocsf.Lease{Kind: "vpn", ID: sessionID(p.user.Name, p.public), Addr: p.inner, Public: p.public, Holder: p.user}
}
