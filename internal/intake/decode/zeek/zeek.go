// Package zeek reads the logs of the Zeek network monitor: its tab-separated files with #fields headers (Stream)
// and its JSON records (Objects). Both come out as the same events: the log's own columns stay in Event.Fields
// under Zeek's names, and what the other stages need is filled in beside them. Unset columns are left out;
// sets and vectors are joined with a comma and a space in both forms, and truth values are true and false.
//
// A record that cannot be read is counted with its reason and the file goes on. Header lines may come again in
// the middle of a file; records before the first #fields line are bad, since nothing says what they mean.
package zeek

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Stream returns the format of Zeek's tab-separated logs.
func Stream() decode.Stream {
	return decode.Stream{Name: "zeek", Recognise: recognise, Read: read}
}

// Objects returns the format of Zeek's JSON logs, with or without the _path field.
func Objects() []decode.Object {
	return []decode.Object{{Name: "zeek", Match: matchJSON, Decode: decodeJSON}}
}

// recognise takes a file by its header lines. A log that lost them is taken by its name and the shape of its
// first line, so that it is reported as headless and not as unknown.
func recognise(name string, head []byte) bool {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	if bytes.HasPrefix(head, []byte("#separator ")) || bytes.HasPrefix(head, []byte("#fields\t")) ||
		bytes.Contains(head, []byte("\n#fields\t")) {
		return true
	}
	line, _, _ := bytes.Cut(head, []byte("\n"))
	cols := bytes.SplitN(line, []byte("\t"), 6)
	if len(cols) < 6 || !strings.Contains(name, ".log") || len(cols[1]) < 8 || cols[1][0] != 'C' {
		return false
	}
	_, ok := parseTime(string(cols[0]))
	return ok && bytes.IndexByte(cols[0], '.') > 0
}

func read(ctx context.Context, name string, r io.Reader, sink decode.Sink) error {
	return newReader(name, r, sink).run(ctx)
}

func matchJSON(o *decode.JSON) bool {
	r := jsonRecord{o}
	if !r.has(colTS) {
		return false
	}
	if r.has(colOrigH) || r.has(colFUID) || r.has(colUIDs) || strings.HasPrefix(r.get(colUID), "C") {
		return true
	}
	if r.has(colLog) {
		return true
	}
	for _, names := range pathless {
		if o.Has(names[0]) && o.Has(names[1]) {
			return true
		}
	}
	return false
}

// pathless tell the logs whose records name neither their log nor a connection.
var pathless = [...][2]string{{"note", "suppress_for"}, {"note", "actions"}, {"software_type", "name"}, {"port_num", "port_proto"},
	{"port_num", "issuer_subject"}, {"certificate.serial", "certificate.subject"}, {"mac", "dhcp_host_name"}}

func decodeJSON(o *decode.JSON, e *ocsf.Event) error {
	r := jsonRecord{o}
	if path, _ := o.Column(jsonColumns, int(colLog)); path != "" {
		return fill(r, cleanPath(path), e)
	}
	if r.has(colConnState) { // the first that infer looks for, and by far the most
		return fill(r, "conn", e)
	}
	return fill(r, infer(o.Has), e)
}

// jsonRecord is a record whose columns are the fields of a JSON object.
type jsonRecord struct{ o *decode.JSON }

var jsonColumns = decode.NewColumns(columnNames[:]...)

func (r jsonRecord) get(c column) string {
	v, _ := r.o.Column(jsonColumns, int(c))
	if v == "-" || v == "(empty)" {
		return ""
	}
	return v
}

func (r jsonRecord) has(c column) bool {
	_, there := r.o.Column(jsonColumns, int(c))
	return there || r.o.Has(columnNames[c])
}

// list takes the elements as they are: a TXT record may hold a comma and a space.
func (r jsonRecord) list(c column) []string {
	var out []string
	for _, x := range r.o.Array(columnNames[c]) {
		if b, err := x.StringBytes(); err == nil {
			out = append(out, string(b))
		}
	}
	if out == nil {
		return split(r.get(c), ", ") // a relay joined them, or the log writes one plain value
	}
	return out
}

// cleanPath keeps a log's name to what a source may be called: letters, digits, _ and -, at most 64.
func cleanPath(p string) string {
	p = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return -1
	}, p)
	if p == "" {
		return "unknown"
	}
	return p[:min(len(p), 64)]
}

func split(s, sep string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, sep)
}
