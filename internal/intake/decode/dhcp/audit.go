package dhcp

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// auditHeader begins the header of the records of %windir%\system32\dhcp\DhcpSrvLog-*.log.
const auditHeader = "ID,Date,Time,Description,IP Address,Host Name,MAC Address"

// isAudit wants the header that stands behind the explanations of the file, or records alone.
func isAudit(_ string, head []byte) bool {
	return bytes.Contains(head[:min(len(head), 8<<10)], []byte(auditHeader))
}

// maxColumns is how many columns a record may have; Windows Server 2022 writes 19.
const maxColumns = 64

// readAudit reads the audit log. What stands before the header explains the ids and is no record.
func readAudit(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	var names []string
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimSpace(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"))
		if strings.HasPrefix(line, "ID,Date,Time,") {
			names = strings.Split(line, ",")
			for i := range names {
				names[i] = strings.TrimSpace(names[i])
			}
			if len(names) > maxColumns {
				names = nil
				return fmt.Errorf("the header names more than %d columns", maxColumns)
			}
			return nil
		}
		if line == "" || names == nil {
			return nil
		}
		e, err := auditRecord(names, line)
		if err != nil {
			return err
		}
		e.Fields.Sort()
		sink.Event(e, n, raw)
		return nil
	})
}

func auditRecord(names []string, line string) (*ocsf.Event, error) {
	c := csv.NewReader(strings.NewReader(line))
	c.LazyQuotes, c.FieldsPerRecord = true, -1
	row, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("not CSV: %w", err)
	}
	if len(row) < 7 || len(row) > maxColumns {
		return nil, fmt.Errorf("the record has %d columns, and 7 to %d were expected", len(row), maxColumns)
	}
	at, err := time.Parse("01/02/06 15:04:05", row[1]+" "+row[2])
	if err != nil {
		return nil, errors.New("date and time are not as in 09/24/26,07:30:00")
	}
	if at.Year() < 1971 {
		return nil, errors.New("the clock was never set: the year is before 1971 or after 2099")
	}
	e := newEvent("windows/dhcp", at.UTC())
	for i, v := range row {
		if v != "" && i < len(names) {
			field(e, names[i], v)
		}
	}
	what, known := auditActs[row[0]]
	if known {
		lease(e, what, row[4], hardware(row[6]), row[5], 0)
	}
	return e, nil
}

// auditActs are the ids of records about leases.
var auditActs = map[string]act{"10": assigned, "11": assigned, "20": assigned, "21": assigned,
	"12": ended, "16": ended, "17": ended, "18": ended, "15": refused}

// hardware writes 001122334455 with colons.
func hardware(s string) string {
	if len(s) != 12 || strings.Trim(strings.ToLower(s), "0123456789abcdef") != "" {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i += 2 {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(s[i : i+2])
	}
	return b.String()
}
