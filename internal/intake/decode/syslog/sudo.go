package syslog

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// maxSudo is how many parts of sudo's line are looked at.
const maxSudo = 16

// sudo reads what sudo says of a command (sudoers(5), "Log format": user : reason ; TTY=… ; PWD=… ; USER=… ;
// COMMAND=…): who asked for it, and the named parts, which rules speak of. The command comes last and takes the rest.
func sudo(message string) (by string, named ocsf.Fields) {
	by, rest, ok := strings.Cut(message, " : ")
	if by = strings.TrimSpace(by); !ok || by == "" || strings.ContainsAny(by, " \t=;") {
		return "", nil
	}
	for range maxSudo {
		part, after, more := strings.Cut(rest, " ; ")
		name, value, is := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if is = is && name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""; is && name == "COMMAND" {
			_, value, _ = strings.Cut(rest, "=")
			more = false
		}
		if _, have := named.Get(name); is && !have {
			named = append(named, ocsf.Field{Name: name, Value: strings.TrimSpace(value)})
			named.Sort()
		}
		if !more {
			break
		}
		rest = after
	}
	if len(named) == 0 {
		return "", nil
	}
	return by, named
}
