package remotetool

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isAuditCSV wants the header of a ScreenConnect report or audit export: event type, time and session.
func isAuditCSV(_ string, head []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), []byte("\n"))
	if bytes.Count(line, []byte(",")) < 2 {
		return false // carried lines are asked one by one, and reading CSV is costly
	}
	names, err := csvCells(string(bytes.TrimRight(line, "\r")))
	if err != nil {
		return false
	}
	at := places(names)
	_, kind := at["eventtype"]
	_, when := at["time"]
	_, session := at["sessionid"]
	return kind && when && session
}

// places maps the names of columns, without case, spaces and the prefixes of the report's joins, to their places.
func places(names []string) map[string]int {
	at := make(map[string]int, len(names))
	for i, n := range names {
		k := letters(n)
		switch k {
		case "eventtime", "timestamp", "date":
			k = "time"
		case "name", "sessionname":
			k = "sessionname"
		case "connectionparticipantname", "sessionconnectionparticipantname", "host":
			k = "participantname"
		case "connectionnetworkaddress", "sessionconnectionnetworkaddress":
			k = "networkaddress"
		case "connectionprocesstype", "sessionconnectionprocesstype":
			k = "processtype"
		case "customproperty1", "sessioncustomproperty1":
			k = "company"
		}
		if _, twice := at[k]; !twice {
			at[k] = i
		}
	}
	return at
}

func csvCells(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.LazyQuotes, r.FieldsPerRecord = true, -1
	out, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("not CSV: %w", err)
	}
	return out, nil
}

// readAuditCSV reads the export; every record stands on one line.
func readAuditCSV(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	var names []string
	var at map[string]int
	var dates slashDates
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.ToValidUTF8(string(bytes.TrimPrefix(bytes.TrimRight(raw, "\r\n"), []byte("\xef\xbb\xbf"))), "\uFFFD")
		if strings.TrimSpace(line) == "" {
			return nil
		}
		row, err := csvCells(line)
		if err != nil {
			return err
		}
		if names == nil {
			names, at = row, places(row)
			return nil
		}
		e, err := auditRow(names, at, row, &dates)
		if err != nil {
			return err
		}
		sink.Event(e, n, raw)
		return nil
	})
}

func auditRow(names []string, at map[string]int, row []string, dates *slashDates) (*ocsf.Event, error) {
	get := func(name string) string {
		if i, ok := at[name]; ok && i < len(row) {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	t, ok := decode.ParseTime(get("time"))
	if !ok {
		var err error
		if t, err = dates.parse(get("time")); err != nil {
			return nil, err
		}
	}
	r := &ocsf.RemoteSession{Tool: screenConnect, SessionID: strings.ToLower(get("sessionid")), Company: get("company"),
		Target: shortHost(get("sessionname")), Operator: get("participantname")}
	e := newEvent("screenconnect/audit", t, r)
	for i, v := range row {
		if i < len(names) && v != "" {
			e.Fields = append(e.Fields, ocsf.Field{Name: names[i], Value: v})
		}
	}
	e.Device = r.Target
	e.Status = ocsf.StatusSuccess
	e.Src.IP, e.Src.Port = addr(get("networkaddress"))
	if a := sessionActs[strings.ToLower(get("eventtype"))]; a != "" && !strings.EqualFold(get("processtype"), "Guest") {
		act(e, a)
	}
	switch r.Act {
	case "command":
		r.CommandLine = get("data")
	case "file":
		e.File = &ocsf.File{Path: get("data")}
	}
	e.Actor.Name = r.Operator
	finish(e)
	return e, nil
}

// slashDates reads 9/21/2026 and 21/9/2026. Which number is the day is never guessed from one line: it is known
// once a line of the file has a number over 12.
type slashDates struct{ order byte } // 'd' day first, 'm' month first, 0 not known yet

func (d *slashDates) parse(s string) (time.Time, error) {
	first, rest, _ := strings.Cut(s, "/")
	second, _, ok := strings.Cut(rest, "/")
	if !ok {
		return time.Time{}, errors.New("the time column holds no time")
	}
	if d.order == 0 {
		switch over12(first) + 2*over12(second) {
		case 1:
			d.order = 'd'
		case 2:
			d.order = 'm'
		default:
			return time.Time{}, errors.New("ambiguous date: no line before it tells whether the day or the month stands first")
		}
	}
	day := "1/2/2006"
	if d.order == 'd' {
		day = "2/1/2006"
	}
	for _, clock := range [...]string{" 3:04:05 PM", " 15:04:05", " 3:04 PM", " 15:04"} {
		if t, err := time.Parse(day+clock, s); err == nil && plausible(t) {
			return t, nil
		}
	}
	return time.Time{}, errors.New("the time column holds no time")
}

func over12(s string) int {
	if n, err := strconv.Atoi(s); err == nil && n > 12 {
		return 1
	}
	return 0
}
