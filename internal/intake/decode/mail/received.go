package mail

import (
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// hop is one Received field (RFC 5321 4.4).
type hop struct {
	from  string     // name the sender gave or was looked up by
	ip    netip.Addr // the sender's address
	by    string
	id    string // queue id
	rcpt  string // "for"
	time  time.Time
	index int // position in the header
}

// parseReceived reads one Received field; what is missing stays empty.
func parseReceived(v string) hop {
	var h hop
	if i := strings.LastIndexByte(v, ';'); i >= 0 {
		h.time, _ = parseDate(v[i+1:])
		v = v[:i]
	}
	if len(v) > 4096 {
		v = v[:4096]
	}
	var word string // the clause we are in
	depth := 0
	for i := 0; i < len(v); {
		c := v[i]
		if c == ' ' || c == '\t' {
			i++
			continue
		}
		if c == '(' {
			end := closing(v, i)
			if word == "from" && depth == 0 {
				fromComment(&h, v[i+1:max(i+1, end)])
			}
			i = end + 1
			continue
		}
		j := i
		for j < len(v) && v[j] != ' ' && v[j] != '\t' && v[j] != '(' {
			j++
		}
		tok := v[i:j]
		i = j
		switch l := strings.ToLower(tok); l {
		case "from", "by", "with", "id", "for", "via":
			word = l
			continue
		default:
			clause(&h, word, tok)
		}
	}
	return h
}

func clause(h *hop, word, tok string) {
	switch {
	case word == "from" && h.from == "":
		if ip, ok := literal(tok); ok {
			h.ip = ip
		} else {
			h.from = host(tok)
		}
	case word == "by" && h.by == "":
		h.by = host(tok)
	case word == "id" && h.id == "":
		h.id = strings.Trim(tok, "<>;")
	case word == "for" && h.rcpt == "":
		h.rcpt = normAddress(tok)
	}
}

// fromComment reads what the receiver itself learned of the sender: (name [address]) or (address).
func fromComment(h *hop, c string) {
	for _, w := range strings.FieldsFunc(c, func(r rune) bool { return r == ' ' || r == '\t' || r == '(' || r == ')' }) {
		if ip, ok := literal(w); ok {
			if !h.ip.IsValid() || !strings.HasPrefix(w, "[") {
				h.ip = ip
			}
		} else if n := host(w); strings.Contains(n, ".") && !strings.ContainsAny(n, "=@") && n != "unknown" && word1(c) == w {
			h.from = n // the looked-up name is worth more than the one given in HELO
		}
	}
}

func word1(c string) string {
	w, _, _ := strings.Cut(strings.TrimSpace(c), " ")
	return w
}

// literal reads an address with or without brackets and the IPv6: tag.
func literal(s string) (netip.Addr, bool) {
	s = strings.Trim(s, "[]();,")
	if len(s) < 3 || len(s) > 60 {
		return netip.Addr{}, false
	}
	if len(s) > 5 && strings.EqualFold(s[:5], "ipv6:") {
		s = s[5:]
	}
	if c := s[0]; c != ':' && (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap().WithZone(""), err == nil
}

func host(s string) string {
	return strings.TrimSuffix(strings.ToLower(strings.Trim(s, "[]<>();,")), ".")
}

func closing(s string, open int) int {
	depth := 0
	for i := open; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(s) - 1
}

// hops reads the Received fields, top-most first, at most 50.
func hops(h header) []hop {
	var out []hop
	for i := range h {
		if h[i].name == "received" && len(out) < 50 {
			x := parseReceived(h[i].value)
			x.index = i
			out = append(out, x)
		}
	}
	return out
}

// border returns the position of the hop by which the message entered the receiving organisation: the top-most
// one whose sender is not of the organisation that received it. Deliveries inside (to a mailbox store, between
// a cloud's own machines) lie above it. Where all are inside, it is the top-most; without hops it is -1.
func border(list []hop) int {
	for i := range list {
		if list[i].from == "" && !list[i].ip.IsValid() {
			continue
		}
		if !sameOrg(list[i].from, list[i].by) && !list[i].ip.IsLoopback() {
			return i
		}
	}
	if len(list) == 0 {
		return -1
	}
	return 0
}

// sameOrg reports whether both names belong to one registered domain.
func sameOrg(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a == b {
		return true
	}
	ra, err1 := publicsuffix.EffectiveTLDPlusOne(a)
	rb, err2 := publicsuffix.EffectiveTLDPlusOne(b)
	return err1 == nil && err2 == nil && ra == rb
}
