package remotetool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// connection is a line of connection_trace.txt: direction, date and minute, how it was allowed, alias, id.
var connection = regexp.MustCompile(`^(Incoming|Outgoing)\s+(\d{4}-\d\d-\d\d), (\d\d:\d\d)\s+(\S+)\s+(\S+)\s+(\S+)\s*$`)

func isConnectionTrace(_ string, head []byte) bool {
	return mostLines(utf8Text(head), func(line string) bool { return connection.MatchString(line) })
}

// utf8Text returns text as UTF-8: AnyDesk writes its connection trace in UTF-16 on some versions.
func utf8Text(b []byte) []byte {
	if !bytes.HasPrefix(b, []byte("\xff\xfe")) {
		return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	}
	b = b[2:]
	out := make([]byte, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		out = append(out, string(rune(uint16(b[i])|uint16(b[i+1])<<8))...)
	}
	return out
}

// mostLines reports whether more than half of the first lines are of the format.
func mostLines(head []byte, is func(string) bool) bool {
	good, total := 0, 0
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		if line = bytes.TrimRight(line, "\r\n "); len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if total++; total > 40 {
			break
		}
		if is(string(line[:min(len(line), 1000)])) {
			good++
		}
	}
	return good > 0 && good*2 > total
}

// maxUTF16 bounds a connection trace that has to be turned into UTF-8 first.
const maxUTF16 = 16 << 20

// readConnectionTrace reads connection_trace.txt. Its times are UTC and tell the minute only.
func readConnectionTrace(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	mark := make([]byte, 2)
	n, err := io.ReadFull(r, mark)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return err
	}
	r = io.MultiReader(bytes.NewReader(mark[:n]), r)
	if string(mark[:n]) == "\xff\xfe" {
		b, err := io.ReadAll(io.LimitReader(r, maxUTF16))
		if err != nil {
			return err
		}
		r = bytes.NewReader(utf8Text(b))
	}
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimRight(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"), "\r\n ")
		if line == "" {
			return nil
		}
		m := connection.FindStringSubmatch(line)
		if m == nil {
			return errors.New("no connection in the line (Incoming  YYYY-MM-DD, HH:MM  how  alias  id)")
		}
		t, err := time.Parse("2006-01-02 15:04", m[2]+" "+m[3])
		if err != nil || !plausible(t) {
			return errors.New("no date in the line")
		}
		e := newEvent("anydesk/connection", t, &ocsf.RemoteSession{Tool: "anydesk", PeerID: m[6], Operator: m[5]})
		e.Fields = ocsf.Fields{{Name: "direction", Value: m[1]}, {Name: "allowed_by", Value: m[4]}, {Name: "alias", Value: m[5]}, {Name: "id", Value: m[6]}}
		act(e, "connect")
		if e.Status = ocsf.StatusSuccess; strings.EqualFold(m[4], "REJECTED") {
			e.Status = ocsf.StatusFailure
		}
		if e.Actor.Name = m[5]; m[1] == "Outgoing" {
			e.Direction = ocsf.DirectionOut
			e.Actor.Name = ""
			e.Remote.Operator, e.Remote.Target = "", m[5]
		}
		finish(e)
		sink.Event(e, n, raw)
		return nil
	})
}
