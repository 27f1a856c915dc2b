package vpn

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// asaFacts is what an ASA message says of a session, whichever way it words it.
type asaFacts struct {
	group    string
	user     ocsf.User
	public   netip.Addr
	inner    netip.Addr
	reason   string
	duration time.Duration
	sent     int64 // to the client
	received int64
}

// asaParts reads both wordings: "Group <g> User <u> IP <i>" and "Group = g, Username = u, IP = i", and the
// "user = u : user IP = i" of AAA messages.
func asaParts(text string) (p asaFacts) {
	p.group = firstOf(angle(text, "Group"), equals(text, "Group"), equals(text, "group policy"))
	p.user = account(firstOf(angle(text, "User"), equals(text, "Username"), equals(text, "user"), equals(text, "User")))
	p.public = addr(firstOf(angle(text, "IP"), equals(text, "user IP"), equals(text, "IP")))
	if !p.public.IsValid() {
		if v := equals(text, "Addr"); v != "" { // 734001: DAP: User u, Addr a, Connection c
			p.public = addr(v)
		}
	}
	if strings.HasPrefix(text, "DAP: User ") {
		u, rest, _ := strings.Cut(text[len("DAP: User "):], ", Addr ")
		a, _, _ := strings.Cut(rest, ",")
		p.user, p.public = account(u), addr(a)
	}
	p.inner = addr(firstOf(angle(text, "IPv4 Address"), angle(text, "Address")))
	if !p.inner.IsValid() {
		p.inner = addr(angle(text, "IPv6 address"))
	}
	if _, rest, ok := strings.Cut(text, "Assigned private IP address "); ok {
		a, _, _ := strings.Cut(rest, " ")
		p.inner = addr(a)
	}
	p.reason = firstOf(equals(text, "reason"), colon(text, "Reason"))
	p.duration = asaDuration(colon(text, "Duration"))
	p.sent, _ = strconv.ParseInt(colon(text, "Bytes xmt"), 10, 64)
	p.received, _ = strconv.ParseInt(colon(text, "Bytes rcv"), 10, 64)
	return p
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// angle returns v of "name <v>".
func angle(text, name string) string {
	_, rest, ok := cutWord(text, name+" <")
	if !ok {
		return ""
	}
	v, _, ok := strings.Cut(rest, ">")
	if !ok {
		return ""
	}
	return v
}

// equals returns v of "name = v", which ends at a comma, at " : " or at the end.
func equals(text, name string) string {
	_, rest, ok := cutWord(text, name+" = ")
	if !ok {
		return ""
	}
	if i := strings.Index(rest, " : "); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.Index(rest, ", "); i >= 0 {
		rest = rest[:i]
	}
	return strings.TrimSpace(rest)
}

// colon returns v of "name: v", which ends at a comma or at the end.
func colon(text, name string) string {
	_, rest, ok := cutWord(text, name+": ")
	if !ok {
		return ""
	}
	v, _, _ := strings.Cut(rest, ",")
	return strings.TrimSpace(v)
}

// cutWord cuts at mark where it begins a word, so that "IP = " is not found in "user IP = ".
func cutWord(text, mark string) (before, after string, ok bool) {
	for from := 0; ; {
		i := strings.Index(text[from:], mark)
		if i < 0 {
			return text, "", false
		}
		if i += from; i == 0 || strings.HasSuffix(text[:i], ", ") || strings.HasSuffix(text[:i], ": ") || strings.HasSuffix(text[:i], "> ") ||
			strings.HasSuffix(text[:i], " ") && !strings.HasSuffix(text[:i], "user ") {
			return text[:i], text[i+len(mark):], true
		}
		from = i + len(mark)
	}
}

var durationParts = regexp.MustCompile(`^(?:(\d{1,6})d ?)?(\d{1,6})h:(\d{1,2})m:(\d{1,2})s$`)

// asaDuration reads 2h:30m:00s and 3d 2h:30m:00s.
func asaDuration(s string) time.Duration {
	m := durationParts.FindStringSubmatch(s)
	if m == nil {
		return 0
	}
	n := func(i int) time.Duration { v, _ := strconv.Atoi(m[i]); return time.Duration(v) }
	return n(1)*24*time.Hour + n(2)*time.Hour + n(3)*time.Minute + n(4)*time.Second
}
