package syslog

import (
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// header is a line cut into its parts. Parts that the line lacks are empty.
type header struct {
	pri     int  // -1: none
	modern  bool // RFC 5424
	dated   bool
	noYear  bool // at is in the year 2000 then
	at      time.Time
	host    string
	app     string
	proc    string
	msgID   string
	data    ocsf.Fields // structured data
	message string
}

// parse reads any line: what is not understood is message.
func parse(line string) header {
	line = strings.TrimPrefix(line, "\ufeff")
	h := header{pri: -1}
	if pri, rest, ok := priority(line); ok {
		h.pri, line = pri, rest
	}
	if rest, ok := strings.CutPrefix(line, "1 "); ok {
		if h.parseModern(rest) {
			return h
		}
		h = header{pri: h.pri}
	}
	h.parseOld(line)
	return h
}

// priority reads <0> to <191>.
func priority(s string) (pri int, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, "<")
	if !ok {
		return 0, s, false
	}
	n := 0
	for n < len(s) && n < 3 && s[n] >= '0' && s[n] <= '9' {
		pri = pri*10 + int(s[n]-'0')
		n++
	}
	if n == 0 || n == len(s) || s[n] != '>' || pri > 191 {
		return 0, s, false
	}
	return pri, s[n+1:], true
}

func nilled(s string) string {
	if s == "-" {
		return ""
	}
	return s
}

// parseModern reads RFC 5424 6 behind the version. It returns false where the date is none, and the line is
// something else then. Structured data that breaks off is message.
func (h *header) parseModern(s string) bool {
	word := func() (w string) {
		w, s, _ = strings.Cut(s, " ")
		return w
	}
	date := word()
	if date != "-" {
		at, noYear, rest, ok := stamp(date)
		if !ok || noYear || rest != "" {
			return h.parseSeconds(date, s)
		}
		h.at, h.dated = at, true
	}
	h.modern = true
	h.host, h.app, h.proc, h.msgID = nilled(word()), nilled(word()), nilled(word()), nilled(word())
	if rest, ok := strings.CutPrefix(s, "-"); ok && (rest == "" || rest[0] == ' ') {
		s = rest
	} else if data, rest, ok := structured(s); ok {
		h.data, s = data, rest
	}
	h.message = strings.TrimPrefix(strings.TrimPrefix(s, " "), "\ufeff")
	return true
}

// parseSeconds reads what Meraki sends: the version, seconds since 1970, the host, the message.
func (h *header) parseSeconds(date, rest string) bool {
	sec, frac, _ := strings.Cut(date, ".")
	if len(sec) < 9 || len(sec) > 10 || strings.Trim(sec+frac, "0123456789") != "" {
		return false
	}
	at, ok := epoch(sec, frac)
	if !ok {
		return false
	}
	h.at, h.dated = at, true
	h.host, h.message, _ = strings.Cut(rest, " ")
	return true
}

// structured reads STRUCTURED-DATA (RFC 5424 6.3) into fields <sd-id>.<param>.
func structured(s string) (data ocsf.Fields, rest string, ok bool) {
	for strings.HasPrefix(s, "[") {
		end := strings.IndexAny(s, " ]")
		if end < 2 {
			return nil, "", false
		}
		id := s[1:end]
		s = s[end:]
		for strings.HasPrefix(s, " ") {
			name, value, after, ok := param(s[1:])
			if !ok || len(data) >= maxParams {
				return nil, "", false
			}
			data = append(data, ocsf.Field{Name: id + "." + name, Value: value})
			s = after
		}
		if !strings.HasPrefix(s, "]") {
			return nil, "", false
		}
		s = s[1:]
		ok = true
	}
	return data, s, ok && (s == "" || s[0] == ' ')
}

// maxParams is how many parameters of structured data one message may have.
const maxParams = 1024

// param reads name="value" with \", \\ and \] escaped.
func param(s string) (name, value, rest string, ok bool) {
	name, s, ok = strings.Cut(s, `="`)
	if !ok || name == "" || strings.ContainsAny(name, ` ]"`) {
		return "", "", "", false
	}
	escaped := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			value = s[:i]
			if escaped {
				value = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\]`, `]`).Replace(value)
			}
			return name, value, s[i+1:], true
		}
	}
	return "", "", "", false
}

// parseOld reads RFC 3164 4.1 and its relatives: [counters] date [host] [program[pid]:] message, each of which may
// be missing.
func (h *header) parseOld(s string) {
	s = strings.TrimLeft(s, " ")
	from, rest := origin(s)
	at, noYear, after, ok := stamp(strings.TrimLeft(rest, "*. "))
	if !ok && from == "" && rest == s {
		h.program(s)
		return
	}
	if !ok {
		h.host = from
		h.program(strings.TrimLeft(rest, " "))
		return
	}
	h.at, h.noYear, h.dated = at, noYear, true
	s = zone(after)
	if rest, colon := strings.CutPrefix(s, ":"); colon { // Cisco ends its date so, and names no host behind it
		h.host = from
		h.program(strings.TrimLeft(rest, " "))
		return
	}
	s = strings.TrimLeft(s, " ")
	h.host = from
	if word, rest, _ := strings.Cut(s, " "); from == "" && isHost(word) {
		h.host = strings.Trim(word, "[]")
		s = strings.TrimLeft(rest, " ")
		if rest, ok := strings.CutPrefix(s, ": "); ok { // "fw1 : %ASA-6-…"
			s = strings.TrimLeft(rest, " ")
		}
	}
	h.program(s)
}

// origin reads Cisco's counters and origin id before the date: "237: 000485: router1: ". It takes nothing where no
// date follows.
func origin(s string) (host, rest string) {
	at := s
	for range 3 {
		word, after, ok := strings.Cut(at, ": ")
		if !ok || len(word) > 64 || strings.ContainsAny(word, " [%<") || len(after) == 0 {
			break
		}
		if strings.Trim(word, "0123456789") != "" {
			host = word
		}
		at = strings.TrimLeft(after, " ")
		if _, _, _, ok := stamp(strings.TrimLeft(at, "*.")); ok || strings.HasPrefix(at, "%") && host == "" {
			return host, at
		}
	}
	if after, ok := strings.CutPrefix(s, ": "); ok { // the counter is switched off
		return "", after
	}
	return "", s
}

// isHost tells a host's name from a program's tag and from text.
func isHost(word string) bool {
	if word == "" || len(word) > 255 {
		return false
	}
	if strings.HasPrefix(word, "[") { // [10.0.0.1], as some relays write it
		return strings.HasSuffix(word, "]") && strings.Trim(word, "[]0123456789.:abcdefABCDEF") == ""
	}
	for i, r := range word {
		switch {
		case r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '_' || r > 0x7f:
		case r == '-' && i > 0:
		case r == ':' && i < len(word)-1 && strings.Count(word, ":") > 1: // IPv6
		default:
			return false
		}
	}
	return true
}

// program reads the tag at the beginning of the message (RFC 3164 4.1.3): sshd[123]:, postfix/smtpd[1]:, su:.
func (h *header) program(s string) {
	h.message = s
	if strings.HasPrefix(s, "%") { // %SYS-5-CONFIG_I: is Cisco's, and its readers want it in the message
		tag, _, ok := strings.Cut(s, ":")
		if parts := strings.Split(tag[1:], "-"); ok && len(tag) <= 80 && len(parts) >= 3 && !strings.Contains(tag, " ") {
			h.app, h.msgID = parts[0], tag[1:]
		}
		return
	}
	end := strings.IndexAny(s, ":[ {\"=,;<(")
	if end <= 0 || end > 64 {
		return
	}
	app, rest := s[:end], s[end:]
	switch rest[0] {
	case ':':
		if len(rest) > 1 && rest[1] != ' ' { // 10:30 or a::b is text
			return
		}
	case '[':
		i := strings.IndexByte(rest, ']')
		if i < 1 || i > 64 {
			return
		}
		h.proc, rest = rest[1:i], rest[i+1:]
		if !strings.HasPrefix(rest, ":") && !strings.HasPrefix(rest, " ") {
			h.proc = ""
			return
		}
	default:
		return
	}
	h.app = app
	h.message = strings.TrimPrefix(strings.TrimPrefix(rest, ":"), " ")
}
