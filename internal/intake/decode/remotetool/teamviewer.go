package remotetool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

const teamViewerTime = "02-01-2006 15:04:05"

// isTeamViewer wants lines of Connections_incoming.txt: seven columns between tabs, the first a TeamViewer id,
// the third and fourth dates.
func isTeamViewer(_ string, head []byte) bool {
	good, total := 0, 0
	for line := range bytes.SplitSeq(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if total++; total > 20 {
			break
		}
		if row, err := teamViewerRow(string(line)); err == nil && len(row) >= 6 {
			good++
		}
	}
	return good > 0 && good*2 > total
}

// teamViewerRow cuts a line into its columns and checks the two that are unlike anything else.
func teamViewerRow(line string) ([]string, error) {
	row := strings.Split(line, "\t")
	for i := range row {
		row[i] = strings.TrimSpace(row[i])
	}
	if len(row) < 6 {
		return nil, fmt.Errorf("%d columns where 7 were expected", len(row))
	}
	if n := len(row[0]); n < 7 || n > 12 || strings.Trim(row[0], "0123456789") != "" {
		return nil, errors.New("the first column is no TeamViewer id")
	}
	if _, err := time.Parse(teamViewerTime, row[2]); err != nil {
		return nil, errors.New("the third column is no date (DD-MM-YYYY HH:MM:SS)")
	}
	if _, err := time.Parse(teamViewerTime, row[1]); err == nil {
		return nil, errors.New("a line of the outgoing list: a date where the name of the other side is expected")
	}
	return row, nil
}

// readTeamViewer reads Connections_incoming.txt. A line tells a whole session, so that it makes two events: its
// start and its end. Its times are UTC.
func readTeamViewer(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.Trim(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"), "\r\n ")
		if strings.TrimSpace(line) == "" {
			return nil
		}
		row, err := teamViewerRow(line)
		if err != nil {
			return err
		}
		begun, _ := time.Parse(teamViewerTime, row[2])
		ended, err := time.Parse(teamViewerTime, row[3])
		if !plausible(begun) || err == nil && !plausible(ended) {
			return errors.New("the clock was never set: the year is before 1971 or after 2099")
		}
		sink.Event(teamViewerEvent(row, begun, "connect"), n, raw)
		if err == nil {
			sink.Event(teamViewerEvent(row, ended, "disconnect"), n, raw)
		}
		return nil
	})
}

var teamViewerColumns = [...]string{"incoming_id", "display_name", "start", "end", "user", "type", "session_id"}

func teamViewerEvent(row []string, t time.Time, a string) *ocsf.Event {
	e := newEvent("teamviewer/incoming", t, &ocsf.RemoteSession{Tool: "teamviewer", PeerID: row[0], Operator: row[1]})
	for i, v := range row {
		if i < len(teamViewerColumns) && v != "" {
			e.Fields = append(e.Fields, ocsf.Field{Name: teamViewerColumns[i], Value: v})
		}
	}
	act(e, a)
	e.Status = ocsf.StatusSuccess
	e.Actor.Name = row[1]
	e.User.Name = row[4]
	if domain, name, ok := strings.Cut(row[4], `\`); ok {
		e.User = ocsf.User{Name: name, Domain: domain}
	}
	if strings.EqualFold(row[5], "FileTransfer") && a == "connect" {
		act(e, "file")
	}
	if len(row) > 6 {
		e.Remote.SessionID = strings.ToLower(strings.Trim(row[6], "{}"))
	}
	e.SourceID = strings.Join([]string{"teamviewer", row[0], row[2], e.Remote.SessionID, a}, "|")
	finish(e)
	return e
}

var outgoingColumns = [...]string{"outgoing_id", "start", "end", "user", "type", "session_id"}

// isTeamViewerOutgoing wants lines of connections.txt: six columns between tabs, the first a TeamViewer id, the second
// and third dates.
func isTeamViewerOutgoing(_ string, head []byte) bool {
	return mostLines(utf8Text(head), func(line string) bool {
		_, err := outgoingRow(line)
		return err == nil
	})
}

func outgoingRow(line string) ([]string, error) {
	row := strings.Split(line, "\t")
	for i := range row {
		row[i] = strings.TrimSpace(row[i])
	}
	if len(row) < 5 {
		return nil, fmt.Errorf("%d columns where 6 were expected", len(row))
	}
	if n := len(row[0]); n < 7 || n > 12 || strings.Trim(row[0], "0123456789") != "" {
		return nil, errors.New("the first column is no TeamViewer id")
	}
	if _, err := time.Parse(teamViewerTime, row[1]); err != nil {
		return nil, errors.New("the second column is no date (DD-MM-YYYY HH:MM:SS)")
	}
	return row, nil
}

// readTeamViewerOutgoing reads connections.txt, which lies on the operator's machine: a line tells a session to
// another machine, which is the target. Its times are UTC.
func readTeamViewerOutgoing(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.Trim(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"), "\r\n ")
		if strings.TrimSpace(line) == "" {
			return nil
		}
		row, err := outgoingRow(line)
		if err != nil {
			return err
		}
		begun, _ := time.Parse(teamViewerTime, row[1])
		ended, endErr := time.Parse(teamViewerTime, row[2])
		if !plausible(begun) || endErr == nil && !plausible(ended) {
			return errors.New("the clock was never set: the year is before 1971 or after 2099")
		}
		for _, side := range [...]struct {
			act string
			at  time.Time
			ok  bool
		}{{"connect", begun, true}, {"disconnect", ended, endErr == nil}} {
			if !side.ok {
				continue
			}
			e := newEvent("teamviewer/outgoing", side.at, &ocsf.RemoteSession{Tool: "teamviewer", PeerID: row[0], Target: row[0], Operator: row[3]})
			for i, v := range row {
				if i < len(outgoingColumns) && v != "" {
					e.Fields = append(e.Fields, ocsf.Field{Name: outgoingColumns[i], Value: v})
				}
			}
			act(e, side.act)
			e.Status, e.Direction, e.Actor.Name = ocsf.StatusSuccess, ocsf.DirectionOut, row[3]
			if len(row) > 5 {
				e.Remote.SessionID = strings.ToLower(strings.Trim(row[5], "{}"))
			}
			e.SourceID = strings.Join([]string{"teamviewer-out", row[0], row[1], e.Remote.SessionID, side.act}, "|")
			finish(e)
			sink.Event(e, n, raw)
		}
		return nil
	})
}
