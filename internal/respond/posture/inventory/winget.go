package inventory

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/valyala/fastjson"
	"golang.org/x/text/width"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// wingetExport reads `winget export`: a JSON file of sources with packages, which have versions with
// --include-versions alone.
func (k Knowledge) wingetExport() evidence.Format {
	return evidence.Format{
		Name:  "winget-export",
		About: "what winget export --include-versions writes (JSON)",
		Recognise: func(_ string, head []byte) bool {
			text := headText(head)
			return strings.Contains(text, `"PackageIdentifier"`) && strings.Contains(text, `"Packages"`) && strings.HasPrefix(strings.TrimSpace(text), "{")
		},
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			r := k.report(&in, sink)
			whole, err := eachRecord(ctx, in.Reader, false, r.bad, func(v *fastjson.Value, line int64) error {
				for _, p := range v.GetArray("Packages") {
					id := textOf(p.Get("PackageIdentifier"))
					if id == "" {
						r.bad(line, "a package without PackageIdentifier")
						continue
					}
					_, name, _ := strings.Cut(id, ".")
					if err := r.program(&program{name: name, pkg: id, version: textOf(p.Get("Version")), platform: product.PlatformWindows, line: line}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			r.cut = !whole
			return r.done()
		},
	}
}

// wingetColumns is where the columns of winget's table begin, counted in cells of a terminal.
type wingetColumns struct{ id, version, after int }

// wingetHeader reads the line above the dashes. Its words are translated, save for Id.
func wingetHeader(line string) (c wingetColumns, ok bool) {
	type word struct {
		text string
		at   int
	}
	var words []word
	at, begin := 0, -1
	var b strings.Builder
	flush := func() {
		if begin >= 0 {
			words = append(words, word{b.String(), begin})
		}
		b.Reset()
		begin = -1
	}
	for _, r := range line {
		if r == ' ' {
			flush()
		} else {
			if begin < 0 {
				begin = at
			}
			b.WriteRune(r)
		}
		at += cellsOfRune(r)
	}
	flush()
	if len(words) < 3 || !strings.EqualFold(words[1].text, "id") {
		return c, false
	}
	c = wingetColumns{id: words[1].at, version: words[2].at, after: -1}
	if len(words) > 3 {
		c.after = words[3].at
	}
	return c, true
}

func cellsOfRune(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// part cuts a line at the columns.
func (c wingetColumns) part(line string) (name, id, version string) {
	cut := func(from, to int) string {
		var b strings.Builder
		at := 0
		for _, r := range line {
			if at >= from && (to < 0 || at < to) {
				b.WriteRune(r)
			}
			at += cellsOfRune(r)
		}
		return strings.TrimSpace(b.String())
	}
	return cut(0, c.id), cut(c.id, c.version), cut(c.version, c.after)
}

// lastOverprint returns what stands on a line of a terminal in the end: winget draws its progress over it.
func lastOverprint(line string) string {
	line = strings.TrimRight(line, "\r")
	return line[strings.LastIndexByte(line, '\r')+1:]
}

func isDashes(line string) bool { return len(line) >= 20 && strings.Trim(line, "-─") == "" }

// wingetList reads the table that `winget list` prints.
func (k Knowledge) wingetList() evidence.Format {
	return evidence.Format{
		Name:  "winget-list",
		About: "what winget list prints, kept in a file",
		Recognise: func(_ string, head []byte) bool {
			var before string
			for _, line := range headLines(head, maxPreface) {
				line = lastOverprint(line)
				if isDashes(line) {
					_, ok := wingetHeader(before)
					return ok
				}
				before = line
			}
			return false
		},
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			r := k.report(&in, sink)
			l := newLines(in.Reader)
			var c wingetColumns
			var before string
			inside, started := false, false
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
				if tooLong {
					r.bad(n, "a line that is too long")
					return true, nil
				}
				line = lastOverprint(line)
				switch {
				case isDashes(line):
					if got, ok := wingetHeader(before); ok {
						c, inside, started = got, true, true
					}
				case inside && strings.TrimSpace(line) == "":
					inside = false // what follows is a remark or a further table
				case inside:
					name, id, version := c.part(line)
					if id == "" || version == "" {
						break // "3 upgrades available." and the like
					}
					return true, r.program(&program{name: strings.TrimRight(name, "…"), pkg: id, version: version, path: id, platform: product.PlatformWindows, line: n})
				}
				before = line
				return true, nil
			})
			if err != nil {
				return err
			}
			if !started {
				return evidence.ErrNotThis
			}
			return r.done()
		},
	}
}
