package inventory

import (
	"context"
	"errors"
	"io"
	"regexp"
	"strings"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

var uninstallKey = regexp.MustCompile(`(?i)^\[(-?)HKEY_[A-Z_]+\\.*\\CurrentVersion\\Uninstall\\([^\\\]]+)\]\s*$`)

// uninstallRegistry reads what regedit and reg export write of Windows' uninstall keys (REGEDIT4 and version 5.00).
func (k Knowledge) uninstallRegistry() evidence.Format {
	return evidence.Format{
		Name:  "windows-uninstall-reg",
		About: `an export of HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall by regedit or reg export (.reg)`,
		Recognise: func(_ string, head []byte) bool {
			first := headLines(head, 1)
			return len(first) == 1 && (strings.HasPrefix(first[0], "Windows Registry Editor Version") || strings.HasPrefix(first[0], "REGEDIT4")) &&
				strings.Contains(strings.ToLower(headText(head)), `\currentversion\uninstall`)
		},
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			g := &registry{r: k.report(&in, sink), l: newLines(in.Reader)}
			if err := every(ctx, g.line); err != nil {
				return err
			}
			if err := g.end(); err != nil {
				return err
			}
			return g.r.done()
		},
	}
}

// registry reads one export, key by key.
type registry struct {
	r   *report
	l   *lines
	key *program // that is open; nil: none of a program
}

func (g *registry) line() (bool, error) {
	line, n, tooLong, err := g.l.next()
	switch {
	case errors.Is(err, io.EOF):
		return false, nil
	case err != nil:
		g.r.cut = true
		g.r.bad(n, "reading breaks off: "+err.Error())
		return false, nil
	case tooLong:
		g.r.bad(n, "a line that is too long")
		return true, nil
	}
	line = strings.TrimRight(line, " \t")
	if strings.HasPrefix(line, "[") {
		if err := g.end(); err != nil {
			return false, err
		}
		if m := uninstallKey.FindStringSubmatch(line); m != nil && m[1] == "" {
			g.key = &program{line: n, platform: product.PlatformWindows, path: m[2]}
		} else if !strings.HasSuffix(line, "]") {
			g.r.bad(n, "a key's name without its end")
		}
		return true, nil
	}
	if g.key == nil || !strings.HasPrefix(line, `"`) {
		return true, nil // @=, continuations of hex values, comments
	}
	name, value, ok := registryValue(line)
	if !ok {
		g.r.bad(n, "a value without its end")
		return true, nil
	}
	switch strings.ToLower(name) {
	case "displayname":
		g.key.name = value
	case "displayversion":
		g.key.version = value
	case "publisher":
		g.key.publisher = value
	case "imagepath", "uninstallstring", "installlocation":
		if len(g.key.path)+len(value) < 8<<10 {
			g.key.path += " " + value
		}
	}
	return true, nil
}

// end looks at the key that was open. A key without a name belongs to an update or is a remainder.
func (g *registry) end() error {
	p := g.key
	g.key = nil
	if p == nil || p.name == "" {
		return nil
	}
	return g.r.program(p)
}

// registryValue reads "name"="text". Other types than text (dword:, hex:) have the value "".
func registryValue(line string) (name, value string, ok bool) {
	name, rest, ok := registryText(line)
	if !ok || !strings.HasPrefix(rest, "=") {
		return "", "", false
	}
	rest = strings.TrimLeft(rest[1:], " ")
	if !strings.HasPrefix(rest, `"`) {
		return name, "", true
	}
	value, _, ok = registryText(rest)
	return name, value, ok
}

// registryText reads a quoted text with \" and \\ in it.
func registryText(s string) (text, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(c)
		}
	}
	return "", "", false
}
