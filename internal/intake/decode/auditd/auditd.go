// Package auditd decodes the log of Linux's audit daemon, raw and enriched, as it lies in /var/log/audit and as
// audisp's plug-ins and the kernel hand it to syslog (audit: type=1400 audit(…)). One act of the kernel is several
// records of one serial number; they may come in any order and among those of other serials.
//
// Out of them comes one joined event: an execution has its arguments joined (CommandLine), the working folder, program
// and account of its SYSCALL record, and the program of its parent where this log held it; a connection has its
// address. Sigma's rules for auditd ask for one record at a time (type: PATH, name: …), so each further record that a
// rule can ask for is an event of class 0 beside it, with the fields of its own and those of the SYSCALL record that it
// lacks. Values in hexadecimal are decoded; SYSCALL is named where the log was not enriched (x86_64, aarch64, i386's
// execve).
//
// Times are UTC. The device is the record's node=, which auditd writes where name_format is set; else the carrier's.
// Records wait for the others of their serial until 512 newer serials or 4 MiB have come, or the input ends: memory is
// bounded whatever comes. What is no record goes to the sink with its reason. Written from "audit.rules(7)",
// "auditd.conf(5)" and the audit project's "Audit Event Fields" and lib/ (type and field names, escaped fields).
package auditd

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
)

// Limits on what waits for the rest of its serial.
const (
	maxOpen    = 512     // serials
	maxWaiting = 4 << 20 // bytes of their records
	maxRecords = 1024    // of one serial
	maxParents = 1 << 16 // processes whose programs are remembered for their children
)

// Stream returns the format as intake sees it. It is recognised by its records alone.
func Stream() decode.Stream {
	return decode.Stream{Name: "auditd/records", Recognise: recognise, Read: read}
}

func recognise(_ string, head []byte) bool {
	good, total := 0, 0
	for line := range bytes.SplitSeq(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 || bytes.Equal(line, separator) {
			continue
		}
		if total++; total > 40 {
			break
		}
		if _, _, ok := header(string(line[:min(len(line), 400)])); ok {
			good++
		}
	}
	return good > 0 && good*2 > total
}

// separator is what ausearch writes between events.
var separator = []byte("----")

func read(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	_, carried := decode.Received(ctx)
	j := &joiner{sink: sink, open: map[string]*group{}, parents: parents{mixed: carried}}
	err := decode.Lines(ctx, r, sink, j.line)
	j.close()
	return err
}

// joiner holds the records that wait for others of their serial.
type joiner struct {
	sink    decode.Sink
	open    map[string]*group
	order   []*group // as their first records came
	waiting int      // bytes
	parents parents
}

// group is the records of one serial.
type group struct {
	key     string
	records []*record
	bytes   int
}

func (j *joiner) line(n int64, raw []byte) error {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || bytes.Equal(trimmed, separator) {
		return nil
	}
	line := strings.TrimRight(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"), "\r\n ")
	rec, err := parse(line)
	if err != nil {
		return err
	}
	rec.n = n
	if rec.typ == "EOE" {
		return nil
	}
	g := j.open[rec.key]
	if g == nil {
		g = &group{key: rec.key}
		j.open[rec.key] = g
		j.order = append(j.order, g)
	}
	g.records = append(g.records, rec)
	g.bytes += len(line)
	j.waiting += len(line)
	if len(g.records) >= maxRecords {
		j.finish(g)
	}
	for len(j.open) > maxOpen || j.waiting > maxWaiting {
		j.oldest()
	}
	return nil
}

// oldest gives the events of the serial that waits longest.
func (j *joiner) oldest() {
	g := j.order[0]
	j.order = j.order[1:]
	if j.open[g.key] == g {
		j.finish(g)
	}
}

func (j *joiner) finish(g *group) {
	delete(j.open, g.key)
	j.waiting -= g.bytes
	(&assembly{group: g, sink: j.sink, parents: &j.parents}).emit()
	g.records = nil
}

func (j *joiner) close() {
	for len(j.order) > 0 {
		j.oldest()
	}
}
