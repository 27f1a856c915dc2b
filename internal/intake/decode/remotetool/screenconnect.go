package remotetool

import (
	"net/url"
	"strings"
)

// Limits on the names and lines that look-ups take; longer ones belong to no product.
const (
	maxName = 4 << 10
	maxLine = 32 << 10
)

const screenConnect = "screenconnect"

// ScreenConnectArgs is what the command line of a ScreenConnect client says: which instance it belongs to, which
// relay it calls, and under which session the server knows the host.
type ScreenConnectArgs struct {
	Instance string   // 16 hexadecimal digits, from the folder
	Relay    string   // h=, lower case
	Port     string   // p=
	Session  string   // s=, a GUID in lower case
	Kind     string   // e=: Access, Support, Meeting
	Role     string   // y=: Guest, Host
	Fields   []string // c=, in order: usually company, site, department, device type
}

// Company returns the first of the custom fields, which most installations use for the client's name.
func (a ScreenConnectArgs) Company() string {
	if len(a.Fields) == 0 {
		return ""
	}
	return a.Fields[0]
}

// ParseScreenConnectArgs reads the launch arguments of a ScreenConnect client
// (?e=Access&y=Guest&h=relay&p=443&s=guid&k=key&c=company) out of a command line or service path. It reports
// false where the line holds no relay and no instance. The key is not kept.
func ParseScreenConnectArgs(line string) (a ScreenConnectArgs, ok bool) {
	if len(line) > maxLine {
		return a, false
	}
	a.Instance = ScreenConnectInstance(line)
	query := line
	if i := strings.Index(query, "?e="); i >= 0 {
		query = query[i+1:]
	} else if i := strings.Index(query, "&h="); i >= 0 {
		query = query[i+1:]
	} else {
		return a, a.Instance != ""
	}
	if i := strings.IndexAny(query, "\"' \t"); i >= 0 {
		query = query[:i]
	}
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if v, err := url.QueryUnescape(value); err == nil {
			value = v
		}
		switch key {
		case "h":
			a.Relay = strings.ToLower(value)
		case "p":
			a.Port = value
		case "s":
			a.Session = strings.ToLower(value)
		case "e":
			a.Kind = value
		case "y":
			a.Role = value
		case "c":
			if len(a.Fields) < 8 {
				a.Fields = append(a.Fields, value)
			}
		}
	}
	if a.Relay == "" && a.Instance == "" {
		return ScreenConnectArgs{}, false
	}
	return a, true
}

// ScreenConnectInstance returns the instance id in a name or path that holds "ScreenConnect Client (<16 hex>)",
// in lower case, or "".
func ScreenConnectInstance(s string) string {
	const mark = "screenconnect client ("
	for i := 0; i+len(mark)+17 <= len(s); i++ {
		if s[i]|0x20 != 's' || !strings.EqualFold(s[i:i+len(mark)], mark) {
			continue
		}
		id := s[i+len(mark):]
		if isHex(id[:16]) && id[16] == ')' {
			return strings.ToLower(id[:16])
		}
	}
	return ""
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return s != ""
}
