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

// The lines of lists of packages. Names are as Debian Policy 5.6.7 and RPM have them.
var (
	dpkgListed  = regexp.MustCompile(`^([uihrp])([ncHUFWti])([R ]?)\s+(\S+)\s+(\S+)(?:\s+(\S+))?`)
	dpkgQueried = regexp.MustCompile(`^([a-z0-9][a-z0-9+.\-]+)(:[a-z0-9]+)?[\t ]+(\d\S*)$`)
	rpmListed   = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9+._\-]*)-([^-\s]+)-([^-\s]+)\.(x86_64|noarch|i[3-6]86|aarch64|ppc64le|s390x|armv7hl|src|\(none\))$`)
)

// mostly reports whether most of a head's lines are of a form.
func mostly(head []byte, is func(string) bool) bool {
	lines := headLines(head, tellTale)
	if len(lines) == 0 {
		return false
	}
	hit := 0
	for _, l := range lines {
		if is(strings.TrimSpace(l)) {
			hit++
		}
	}
	return hit*4 >= len(lines)*3
}

// packageLines reads a list of packages line by line.
func (k Knowledge) packageLines(ctx context.Context, in evidence.Input, sink evidence.Sink, parse func(string) (p program, skip, ok bool)) error {
	r := k.report(&in, sink)
	l := newLines(in.Reader)
	err := every(ctx, func() (bool, error) {
		line, n, tooLong, err := l.next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			r.cut = true
			r.bad(n, "reading breaks off: "+err.Error())
			return false, nil
		}
		line = strings.TrimSpace(line)
		if line == "" && !tooLong {
			return true, nil
		}
		p, skip, ok := parse(line)
		switch {
		case tooLong || !ok:
			r.bad(n, "not a line of a list of packages: "+clip(line[:min(len(line), 60)]))
		case !skip:
			p.pkg, p.platform, p.line = p.name, product.PlatformLinux, n
			return true, r.program(&p)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return r.done()
}

func (k Knowledge) dpkgList() evidence.Format {
	return evidence.Format{
		Name:  "dpkg-list",
		About: "what dpkg -l prints",
		Recognise: func(_ string, head []byte) bool {
			lines := headLines(head, tellTale)
			for _, l := range lines {
				if strings.HasPrefix(l, "||/ ") || strings.HasPrefix(l, "| Status=") {
					return true
				}
			}
			return mostly(head, func(l string) bool { return strings.HasPrefix(l, "ii  ") && dpkgListed.MatchString(l) })
		},
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			return k.packageLines(ctx, in, sink, func(line string) (p program, skip, ok bool) {
				if line[0] == '|' || strings.HasPrefix(line, "+++-") || strings.Contains(line, "=") && strings.Contains(line, "/") && !dpkgListed.MatchString(line) {
					return p, true, true // the head of the table, in any language
				}
				m := dpkgListed.FindStringSubmatch(line)
				if m == nil {
					return p, false, false
				}
				return program{name: m[4], version: m[5]}, m[2] != "i", true // rc: removed, its configuration is left
			})
		},
	}
}

func (k Knowledge) dpkgQuery() evidence.Format {
	return evidence.Format{
		Name:      "dpkg-query",
		About:     "what dpkg-query -W prints: a package and its version a line",
		Recognise: func(_ string, head []byte) bool { return mostly(head, dpkgQueried.MatchString) },
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			return k.packageLines(ctx, in, sink, func(line string) (p program, skip, ok bool) {
				m := dpkgQueried.FindStringSubmatch(line)
				if m == nil {
					// A package that isn't installed has no version.
					return p, true, dpkgName.MatchString(line)
				}
				return program{name: m[1], version: m[3]}, false, true
			})
		},
	}
}

var dpkgName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.\-]+(:[a-z0-9]+)?$`)

func (k Knowledge) rpmList() evidence.Format {
	return evidence.Format{
		Name:      "rpm-list",
		About:     "what rpm -qa prints: name-version-release.architecture a line",
		Recognise: func(_ string, head []byte) bool { return mostly(head, rpmListed.MatchString) },
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			return k.packageLines(ctx, in, sink, func(line string) (p program, skip, ok bool) {
				m := rpmListed.FindStringSubmatch(line)
				if m == nil {
					return p, true, strings.HasPrefix(line, "gpg-pubkey-")
				}
				return program{name: m[1], version: m[2] + "-" + m[3]}, false, true
			})
		},
	}
}
