package inventory

import (
	"context"
	"errors"
	"io"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// softwareCSV reads inventories as tables: exports of remote-management products and asset registers, PowerShell's
// Export-Csv of Windows' uninstall keys, osquery's csv.
func (k Knowledge) softwareCSV() evidence.Format {
	knows := func(h *header) bool { _, ok := softwareIn(h); return ok && !isAccountTable(h, k.Columns) }
	return evidence.Format{
		Name:      "software-csv",
		About:     "a table of installed software with columns for its name and version, such as an export of a remote-management product or of Windows' uninstall keys (CSV with commas, semicolons or tabs)",
		Recognise: func(_ string, head []byte) bool { return findHeader(head, knows) },
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			r := k.report(&in, sink)
			t, err := openTable(in.Reader, knows, r.bad)
			if err != nil {
				return err
			}
			if t == nil {
				return evidence.ErrNotThis
			}
			c, _ := softwareIn(t.h)
			windows := t.h.find("displayname") >= 0 && t.h.find("displayversion") >= 0
			err = every(ctx, func() (bool, error) {
				row, n, err := t.row()
				if errors.Is(err, io.EOF) {
					return false, nil
				}
				if err != nil {
					r.cut = true
					r.bad(0, "reading breaks off: "+err.Error())
					return false, nil
				}
				get := func(i int) string {
					if i < 0 {
						return ""
					}
					return row[i]
				}
				p := program{name: get(c.name), version: get(c.version), publisher: get(c.publisher), pkg: get(c.pkg), host: get(c.host), path: get(c.path), line: n, platform: systemOf(get(c.system))}
				if p.name == "" {
					return true, nil // uninstall keys of updates have no name
				}
				if windows && p.platform == "" {
					p.platform = product.PlatformWindows
				}
				var known bool
				if p.at, known = seen(get(c.seen), in.At); !known {
					return true, r.undated(&p)
				}
				return true, r.program(&p)
			})
			if err != nil {
				return err
			}
			r.cut = r.cut || t.cut
			return r.done()
		},
	}
}

// undated gives a row whose own time can't be read: what it shows is known, when it was so isn't.
func (r *report) undated(p *program) error {
	keep := r.in.At
	r.in.At = p.at // zero
	defer func() { r.in.At = keep }()
	return r.program(p)
}
