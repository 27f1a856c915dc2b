// Package sysmonlinux decodes the events of Sysmon for Linux: XML of Windows' event schema with the provider
// Linux-Sysmon and the channel Linux-Sysmon/Operational, an event a line as it stands behind the header of syslog, or
// over several lines as viewers export it.
//
// Out comes an ocsf.Event of source linux/sysmon whose fields have the names that Sysmon for Windows gives them
// (Image, CommandLine, ParentImage, TargetFilename, DestinationIp …) and those of the System part: Channel, EventID,
// Provider_Name, Computer, EventRecordID. Times are UTC. An event without a time or an id, of another provider, that
// does not end or is longer than 1 MiB, goes to the sink with its reason.
//
// Sources: Sysinternals "Sysmon for Linux" (event schema 4.81 and its own sysmonLogView), Microsoft "Event Schema".
package sysmonlinux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// provider is the name by which Sysmon for Linux signs its events.
const provider = "Linux-Sysmon"

// Stream returns the format as intake sees it. It is recognised by its content alone.
func Stream() decode.Stream {
	return decode.Stream{Name: "linux/sysmon", Recognise: recognise, Read: read}
}

func recognise(_ string, head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if bytes.HasPrefix(head, []byte("<?xml")) {
		_, head, _ = bytes.Cut(head, []byte("?>"))
		head = bytes.TrimLeft(head, " \t\r\n")
	}
	return begins(head) && bytes.Contains(head, []byte(provider))
}

// begins tells <Event>, <Event xmlns=…> and the list <Events>.
func begins(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte("<Event"))
	if !ok {
		return false
	}
	rest = bytes.TrimPrefix(rest, []byte("s"))
	return len(rest) > 0 && (rest[0] == '>' || rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r' || rest[0] == '\n')
}

var (
	endMark   = []byte("</Event>")
	errNoEnd  = errors.New("an event begins and does not end (</Event>)")
	errNoBody = errors.New("no event of Sysmon for Linux in the line (<Event>…</Event>)")
)

func read(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	x := &reader{sink: sink}
	lines := bounded.NewLineReader(r, decode.MaxRecord)
	for {
		line, n, tooLong, err := lines.Next()
		if err != nil {
			x.end()
			if err == io.EOF {
				return nil
			}
			return err
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if tooLong {
			sink.Bad(n, fmt.Sprintf("line is longer than %d bytes", decode.MaxRecord), line[:min(len(line), 200)])
			continue
		}
		x.line(n, line)
	}
}

// reader cuts events out of lines.
type reader struct {
	sink  decode.Sink
	held  []byte // an event that has not ended
	begun int64  // its first line
}

func (x *reader) line(n int64, line []byte) {
	if len(x.held) > 0 {
		switch {
		case begins(bytes.TrimLeft(line, " \t")): // the one before was cut short
			x.end()
		case len(x.held)+len(line) >= decode.MaxRecord:
			x.sink.Bad(x.begun, fmt.Sprintf("event is longer than %d bytes", decode.MaxRecord), x.held[:min(len(x.held), 200)])
			x.held = x.held[:0]
			return
		case !bytes.Contains(line, endMark):
			x.held = append(append(x.held, '\n'), line...)
			return
		default:
			line, n = append(append(x.held, '\n'), line...), x.begun
		}
	}
	for i := bytes.Index(line, endMark); i >= 0; i = bytes.Index(line, endMark) {
		x.event(n, line[:i+len(endMark)])
		line = line[i+len(endMark):]
	}
	rest := bytes.TrimSpace(line)
	if isList(rest) {
		rest = bytes.TrimSpace(rest[bytes.IndexByte(rest, '>')+1:])
	}
	switch {
	case len(rest) == 0, bytes.HasPrefix(rest, []byte("<?xml")), bytes.HasPrefix(rest, []byte("</Events>")):
		x.held = x.held[:0]
	case begins(rest):
		x.held, x.begun = append(x.held[:0:0], rest...), n
	default:
		x.held = x.held[:0]
		x.sink.Bad(n, errNoBody.Error(), rest[:min(len(rest), 200)])
	}
}

func isList(b []byte) bool {
	return bytes.HasPrefix(b, []byte("<Events")) && bytes.IndexByte(b, '>') > 0
}

// end gives up an event that has not ended.
func (x *reader) end() {
	if len(x.held) > 0 {
		x.sink.Bad(x.begun, errNoEnd.Error(), x.held[:min(len(x.held), 200)])
		x.held = x.held[:0]
	}
}

func (x *reader) event(n int64, raw []byte) {
	begin := bytes.LastIndex(raw, []byte("<Event>"))
	if i := bytes.LastIndex(raw, []byte("<Event ")); i > begin {
		begin = i
	}
	if begin < 0 {
		x.sink.Bad(n, errNoBody.Error(), raw[:min(len(raw), 200)])
		return
	}
	raw = raw[begin:]
	e, err := decodeEvent(strings.ToValidUTF8(string(raw), "\uFFFD"))
	if err != nil {
		x.sink.Bad(n, err.Error(), raw)
		return
	}
	x.sink.Event(e, n, raw)
}
