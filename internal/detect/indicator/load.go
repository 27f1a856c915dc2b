package indicator

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Limits of one list.
const (
	MaxList   = 1 << 30 // bytes
	maxLine   = 64 << 10
	maxErrors = 1000 // kept; the last of them says how many more there were
)

// LoadError is a record of a list that was not loaded, and why.
type LoadError struct {
	Name   string // of the list
	Record int64  // line, row or object, from 1
	Reason string
}

// Error returns list, record and reason in one line.
func (e LoadError) Error() string {
	return fmt.Sprintf("%s: record %d: %s", e.Name, e.Record, e.Reason)
}

// loader reads one list.
type loader struct {
	name   string
	build  *builder
	record int64
	errs   []LoadError
	more   int64
	full   bool
}

// Load reads a list of indicators: a STIX 2.1 bundle, CSV with a header, or one value a line. Name is the list's
// name and stands as the source where the list names none. Records that are not loaded come back with their
// reason; what can be read is always in the set.
func Load(r io.Reader, name string) (Set, []LoadError) {
	l := &loader{name: name, build: newBuilder()}
	limited := &io.LimitedReader{R: r, N: MaxList + 1}
	br := bufio.NewReaderSize(limited, maxLine)
	head, err := br.Peek(maxLine)
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		l.bad("reading: " + err.Error())
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		br.Discard(3)
		head = head[3:]
	}
	switch trimmed := bytes.TrimLeft(head, " \t\r\n"); {
	case len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[' && !bytes.HasPrefix(trimmed, []byte("[."))):
		l.loadSTIX(br)
	default:
		if h := csvHeader(head); h != nil {
			l.loadCSV(br, *h)
		} else {
			l.loadPlain(br)
		}
	}
	if limited.N <= 0 {
		l.bad(fmt.Sprintf("the list is longer than %d bytes; the rest was not read", MaxList))
	}
	if l.more > 0 {
		l.errs[len(l.errs)-1] = LoadError{name, l.record, fmt.Sprintf("%d more records were not loaded", l.more+1)}
	}
	return l.build.build(), l.errs
}

func (l *loader) bad(reason string) {
	if len(l.errs) >= maxErrors {
		l.more++
		return
	}
	l.errs = append(l.errs, LoadError{l.name, l.record, reason})
}

func (l *loader) add(in Indicator) {
	if !l.build.add(in) && !l.full {
		l.full = true
		l.bad(fmt.Sprintf("more than %d indicators; the rest was not loaded", maxIndicators))
	}
}

// loadPlain reads one value a line; # and // begin a comment, a word after the value is one too.
func (l *loader) loadPlain(br *bufio.Reader) {
	for {
		line, err := br.ReadSlice('\n')
		l.record++
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = br.ReadSlice('\n')
		}
		if long {
			l.bad(fmt.Sprintf("line longer than %d bytes", maxLine))
		} else if v := plainValue(string(line)); v != "" {
			l.value("", v, Indicator{Source: l.name})
		}
		if err != nil {
			if err != io.EOF {
				l.bad("reading: " + err.Error())
			}
			return
		}
	}
}

func plainValue(line string) string {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "//") || strings.HasPrefix(line, ";") {
		return ""
	}
	fields := strings.Fields(line)
	if len(fields) > 1 && (fields[0] == "0.0.0.0" || fields[0] == "127.0.0.1") {
		return fields[1] // a hosts file
	}
	return strings.Trim(fields[0], `",`)
}

func (l *loader) value(typeName, value string, in Indicator) {
	t, err := typeOf(typeName)
	if err == nil {
		in.Type, in.Value, err = normalise(t, value)
	}
	if err != nil {
		l.bad(err.Error())
		return
	}
	l.add(in)
}

// header tells where a CSV list has what; -1 is nowhere.
type header struct {
	comma                                                    rune
	kind, value, confidence, tlp, from, until, source, about int
}

var headerNames = map[string]func(*header) *int{
	"type": kindOf, "indicator_type": kindOf, "ioc_type": kindOf, "observable_type": kindOf,
	"value": valueOf, "indicator": valueOf, "ioc": valueOf, "ioc_value": valueOf, "indicator_value": valueOf, "observable": valueOf,
	"observable_value": valueOf, "ip": valueOf, "domain": valueOf, "url": valueOf, "hash": valueOf, "email": valueOf,
	"confidence": func(h *header) *int { return &h.confidence }, "confidence_level": func(h *header) *int { return &h.confidence },
	"tlp": func(h *header) *int { return &h.tlp }, "marking": func(h *header) *int { return &h.tlp },
	"valid_from": func(h *header) *int { return &h.from }, "first_seen": func(h *header) *int { return &h.from },
	"valid_until": untilOf, "expires": untilOf, "expiration": untilOf, "expiration_date": untilOf,
	"source": sourceOf, "feed": sourceOf, "reference": sourceOf,
	"description": aboutOf, "context": aboutOf, "comment": aboutOf, "name": aboutOf,
}

func kindOf(h *header) *int   { return &h.kind }
func valueOf(h *header) *int  { return &h.value }
func untilOf(h *header) *int  { return &h.until }
func sourceOf(h *header) *int { return &h.source }
func aboutOf(h *header) *int  { return &h.about }

// csvHeader reads the first line that is no comment as a header; nil where it is none.
func csvHeader(head []byte) *header {
	for line := range strings.SplitSeq(string(head), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		h := header{',', -1, -1, -1, -1, -1, -1, -1, -1}
		if !strings.Contains(line, ",") {
			for _, c := range ";\t" {
				if strings.ContainsRune(line, c) {
					h.comma = c
				}
			}
		}
		for i, name := range strings.Split(line, string(h.comma)) {
			name = strings.ToLower(strings.Trim(strings.TrimSpace(name), `"`))
			if at, ok := headerNames[strings.ReplaceAll(name, " ", "_")]; ok && *at(&h) < 0 {
				*at(&h) = i
			}
		}
		if h.value < 0 {
			return nil
		}
		return &h
	}
	return nil
}

func (l *loader) loadCSV(br *bufio.Reader, h header) {
	cr := csv.NewReader(br)
	cr.Comma, cr.Comment, cr.LazyQuotes, cr.FieldsPerRecord, cr.ReuseRecord = h.comma, '#', true, -1, true
	for {
		row, err := cr.Read()
		if err == io.EOF {
			return
		}
		l.record++
		if l.record == 1 && err == nil {
			continue // the header
		}
		var syntax *csv.ParseError
		if errors.As(err, &syntax) {
			l.bad(syntax.Err.Error())
			continue
		}
		if err != nil {
			l.bad("reading: " + err.Error())
			return
		}
		l.row(row, h)
	}
}

func (l *loader) row(row []string, h header) {
	col := func(i int) string {
		if i < 0 || i >= len(row) {
			return ""
		}
		return strings.TrimSpace(row[i])
	}
	in := Indicator{Source: clip(either(col(h.source), l.name), maxDescribed), Description: col(h.about), Confidence: confidence(col(h.confidence))}
	in.TLP = tlp(col(h.tlp))
	var err error
	if in.ValidFrom, err = day(col(h.from)); err != nil {
		l.bad(err.Error())
		return
	}
	if in.ValidUntil, err = day(col(h.until)); err != nil {
		l.bad(err.Error())
		return
	}
	l.value(col(h.kind), col(h.value), in)
}

// confidence reads a number up to 100 or a word of the low-medium-high scale (STIX 2.1, appendix A); other
// words state nothing.
func confidence(v string) int {
	switch strings.ToLower(v) {
	case "low":
		return 15
	case "medium", "med", "moderate":
		return 50
	case "high":
		return 85
	}
	n, err := strconv.Atoi(strings.TrimSuffix(v, "%"))
	if err != nil || n < 0 || n > 100 {
		return 0
	}
	return n
}

func tlp(v string) string {
	v = strings.TrimPrefix(strings.ToLower(v), "tlp:")
	switch v {
	case "white":
		return "clear"
	case "clear", "green", "amber", "amber+strict", "red":
		return v
	}
	return ""
}

func day(v string) (time.Time, error) {
	if v == "" {
		return time.Time{}, nil
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", clip(v, 40))
}
