package vpn

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isGlobalProtect wants the header of the export: the columns it must have, in any order.
func isGlobalProtect(_ string, head []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), []byte("\n"))
	if bytes.Count(line, []byte(",")) < 3 {
		return false // carried lines are asked one by one, and reading CSV is costly
	}
	cols, err := columns(string(line))
	return err == nil && cols.complete()
}

// header maps the names of columns to their places.
type header struct {
	names []string
	at    map[string]int
}

// columns reads a header line. Names are compared without case, spaces and punctuation: exports differ in them.
func columns(line string) (*header, error) {
	names, err := cells(line)
	if err != nil {
		return nil, err
	}
	h := &header{names: names, at: make(map[string]int, len(names))}
	for i, n := range names {
		if k := plain(n); k != "" {
			if _, twice := h.at[k]; !twice {
				h.at[k] = i
			}
		}
	}
	return h, nil
}

func (h *header) complete() bool {
	for _, n := range [...]string{"eventid", "sourceuser", "publicip", "privateip"} {
		if _, ok := h.at[n]; !ok {
			return false
		}
	}
	return true
}

func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, s)
}

// cells reads one line of CSV. Records of this export never span lines.
func cells(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	r.LazyQuotes, r.FieldsPerRecord = true, -1
	out, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("not CSV: %w", err)
	}
	return out, nil
}

type globalProtect struct {
	sink  decode.Sink
	head  *header
	dates calendar
}

func readGlobalProtect(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	d := &globalProtect{sink: sink}
	return decode.Lines(ctx, r, sink, d.line)
}

func (d *globalProtect) line(n int64, raw []byte) error {
	line := strings.ToValidUTF8(string(bytes.TrimPrefix(bytes.TrimRight(raw, "\r\n"), []byte("\xef\xbb\xbf"))), "\uFFFD")
	if line == "" {
		return nil
	}
	if d.head == nil {
		h, err := columns(line)
		if err != nil {
			return err
		}
		if !h.complete() {
			return errors.New("the first line is no header with Event ID, Source User, Public IP and Private IP")
		}
		d.head = h
		return nil
	}
	row, err := cells(line)
	if err != nil {
		return err
	}
	if len(row) > 0 && len(d.head.names) > 0 && row[0] == d.head.names[0] {
		return nil // the header again: exports put together
	}
	return d.row(n, raw, row)
}

func (d *globalProtect) row(n int64, raw []byte, row []string) error {
	get := func(names ...string) string {
		for _, name := range names {
			if i, ok := d.head.at[name]; ok && i < len(row) && row[i] != "" {
				return row[i]
			}
		}
		return ""
	}
	at, err := d.when(get("generatetime", "timegenerated", "generatedtime"), get("receivetime"))
	if err != nil {
		return err
	}
	id := strings.ToLower(get("eventid"))
	if id == "" {
		return errors.New("no Event ID")
	}
	e := newEvent("globalprotect", at)
	for i, v := range row {
		if i < len(d.head.names) && v != "" {
			e.Fields = append(e.Fields, ocsf.Field{Name: d.head.names[i], Value: v})
		}
	}
	e.Fields.Sort()
	e.User = account(get("sourceuser"))
	e.Src.IP = addr(get("publicip"))
	if !e.Src.IP.IsValid() {
		e.Src.IP = addr(get("publicipv6"))
	}
	e.Src.Host = strings.ToLower(get("machinename"))
	if seq := get("sequencenumber"); seq != "" && seq != "0" {
		e.SourceID = "globalprotect|" + get("serial", "serialnumber") + "|" + seq + "|" + at.Format(time.RFC3339)
	}
	switch strings.ToLower(get("status")) {
	case "success":
		e.Status = ocsf.StatusSuccess
	case "failure", "failed":
		e.Status = ocsf.StatusFailure
	}
	inner := addr(get("privateip"))
	if !inner.IsValid() {
		inner = addr(get("privateipv6"))
	}
	meaning(e, id, inner)
	d.sink.Event(e, n, raw)
	return nil
}

// when reads the time the gateway made the record, else the time it was received.
func (d *globalProtect) when(texts ...string) (time.Time, error) {
	for _, s := range texts {
		if t, err := time.Parse("2006/01/02 15:04:05", s); err == nil {
			return d.dates.date(stamp{t: t.UTC()})
		}
		if t, ok := decode.ParseTime(s); ok {
			return t, nil
		}
	}
	return time.Time{}, errors.New("neither Generate Time nor Receive Time holds a time")
}

func meaning(e *ocsf.Event, id string, inner netip.Addr) {
	l := &ocsf.Lease{Kind: "vpn", ID: sessionID(e.User.Name, e.Src.IP), Addr: inner, Public: e.Src.IP, Holder: e.User, Device: e.Src.Host}
	switch {
	case strings.HasSuffix(id, "-auth") || id == "portal-login" || id == "gateway-login":
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
	case id == "gateway-connected" && e.Status != ocsf.StatusFailure:
		opened(e, l)
	case id == "gateway-logout":
		closed(e, l)
	}
}
