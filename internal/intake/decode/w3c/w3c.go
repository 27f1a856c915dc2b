// Package w3c reads the access logs of web servers: the W3C extended log format, as IIS and others write it (W3C
// Working Draft WD-logfile-960323, "Extended Log File Format"), and the common and combined log formats of Apache httpd
// and nginx (Apache HTTP Server 2.4, mod_log_config). Out come events of source web/access.
//
// A W3C file says by a #Fields line what its columns are, and may say it anew at any place; its times are UTC (section
// "Date"; IIS keeps to it unless it is told otherwise). The columns stay in Fields under their own names, without the
// brackets of header fields: cs(User-Agent) is c-useragent, and cs(Referer) c-referer, as rules of the category
// webserver name them. Lines of the other two formats get the same names.
//
// Limits: a line is at most decode.MaxRecord bytes and 256 columns. A line that cannot be read is counted with its
// reason; lines before the first #Fields are bad.
package w3c

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Source is what the events are called.
const Source = "web/access"

const maxColumns = 256

// Streams returns both formats, that with a header first.
func Streams() []decode.Stream {
	return []decode.Stream{
		{Name: "w3c", Recognise: isExtended, Read: readExtended},
		{Name: "weblog", Recognise: isCombined, Read: readCombined},
	}
}

// isExtended reports whether a #Fields line stands within the comments at the beginning and names a web server's
// columns: other programs write extended logs of things that are no requests.
func isExtended(_ string, head []byte) bool {
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for len(head) > 0 && head[0] == '#' {
		line, rest, _ := bytes.Cut(head, []byte("\n"))
		if names, ok := bytes.CutPrefix(line, []byte("#Fields:")); ok {
			return bytes.Contains(names, []byte("cs-uri")) && bytes.Contains(names, []byte("c-ip"))
		}
		head = rest
	}
	return false
}

func readExtended(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	var columns []string
	day := "" // of a #Date line, for columns without a date
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimSpace(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"))
		switch {
		case line == "":
			return nil
		case line[0] == '#':
			if names, ok := strings.CutPrefix(line, "#Fields:"); ok {
				columns = strings.Fields(names)
				if len(columns) > maxColumns {
					columns = nil
					return fmt.Errorf("the #Fields line names more than %d columns", maxColumns)
				}
			} else if d, ok := strings.CutPrefix(line, "#Date:"); ok {
				day, _, _ = strings.Cut(strings.TrimSpace(d), " ")
			}
			return nil
		case columns == nil:
			return errors.New("a line before #Fields: nothing says what its columns are")
		}
		values := strings.Fields(line)
		if len(values) != len(columns) {
			return fmt.Errorf("%d values for %d columns", len(values), len(columns))
		}
		e, err := extended(columns, values, day)
		if err != nil {
			return err
		}
		sink.Event(e, n, raw)
		return nil
	})
}

func extended(columns, values []string, day string) (*ocsf.Event, error) {
	e := newEvent()
	clock := ""
	for i, name := range columns {
		v := values[i]
		if v == "-" {
			continue
		}
		switch name = fieldName(name); name {
		case "date":
			day = v
		case "time":
			clock = v
		case "c-useragent", "c-referer", "cs-cookie":
			v = strings.ReplaceAll(v, "+", " ") // IIS writes spaces so
		}
		e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: v})
	}
	at, err := time.Parse("2006-01-02 15:04:05", day+" "+clock)
	if err != nil {
		return nil, errors.New("no date and time that can be read: log the columns date and time")
	}
	return finish(e, at)
}

// fieldName is the column's name as rules of the category webserver write it.
func fieldName(name string) string {
	switch lower := strings.ToLower(name); lower {
	case "cs(user-agent)":
		return "c-useragent"
	case "cs(referer)", "cs(referrer)":
		return "c-referer"
	case "cs(cookie)":
		return "cs-cookie"
	case "cs(host)":
		return "cs-host"
	default:
		return lower
	}
}

func newEvent() *ocsf.Event {
	return &ocsf.Event{Source: Source, Layer: tenant.LayerAccess, Class: ocsf.ClassHTTPActivity, Activity: "request"}
}

// finish fills the event from its fields, which it sorts.
func finish(e *ocsf.Event, at time.Time) (*ocsf.Event, error) {
	if at.Year() < 1971 || at.Year() >= 2100 {
		return nil, errors.New("the clock was never set: the year is before 1971 or after 2099")
	}
	e.Time = at.UTC()
	e.Fields.Sort()
	e.Src.IP = address(e.Fields.Value("c-ip"))
	e.Dst.IP = address(e.Fields.Value("s-ip"))
	if !e.Src.IP.IsValid() {
		e.Src.Host = e.Fields.Value("c-ip") // a server may look names up
	}
	if p, err := strconv.ParseUint(e.Fields.Value("s-port"), 10, 16); err == nil {
		e.Dst.Port = uint16(p)
	}
	e.Dst.Domain = strings.ToLower(e.Fields.Value("cs-host"))
	e.Device = e.Fields.Value("s-computername")
	e.User.Name = e.Fields.Value("cs-username")
	e.URL = e.Fields.Value("cs-uri-stem")
	if q := e.Fields.Value("cs-uri-query"); q != "" {
		e.URL += "?" + q
	}
	if code, err := strconv.Atoi(e.Fields.Value("sc-status")); err == nil {
		e.Status = ocsf.StatusSuccess
		if code >= 400 {
			e.Status = ocsf.StatusFailure
		}
	}
	return e, nil
}

func address(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
