package w3c

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isCombined reports whether most of the first lines are requests in the common or combined log format.
func isCombined(_ string, head []byte) bool {
	good, bad := 0, 0
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	for len(head) > 0 && good+bad < 20 {
		line, rest, more := bytes.Cut(head, []byte("\n"))
		if !more && good+bad > 0 {
			break // it may be cut off
		}
		if head = rest; len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if _, err := combined(string(line)); err == nil {
			good++
		} else {
			bad++
		}
	}
	return good > bad
}

func readCombined(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimSpace(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"))
		if line == "" {
			return nil
		}
		e, err := combined(line)
		if err != nil {
			return err
		}
		sink.Event(e, n, raw)
		return nil
	})
}

var errForm = errors.New(`not of the form: host ident user [time] "request" status bytes`)

// combined reads a line of the common log format, with or without the two headers that the combined one adds.
func combined(line string) (*ocsf.Event, error) {
	host, rest, ok := strings.Cut(line, " ")
	before, rest, bracket := strings.Cut(rest, " [")
	stamp, rest, close := strings.Cut(rest, "] ")
	if !ok || !bracket || !close || host == "" {
		return nil, errForm
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", stamp)
	if err != nil {
		return nil, errForm
	}
	request, rest, ok := quoted(rest)
	if !ok {
		return nil, errForm
	}
	status, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	size, rest, _ := strings.Cut(rest, " ")
	if len(status) != 3 || strings.Trim(status, "0123456789") != "" {
		return nil, errForm
	}
	e := newEvent()
	add := func(name, value string) {
		if value != "" && value != "-" {
			e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
		}
	}
	add("c-ip", host)
	if _, user, ok := strings.Cut(before, " "); ok {
		add("cs-username", user)
	}
	method, uri, _ := strings.Cut(request, " ")
	uri, version, _ := strings.Cut(uri, " ")
	stem, query, _ := strings.Cut(uri, "?")
	add("cs-method", method)
	add("cs-version", version)
	add("cs-uri-stem", stem)
	add("cs-uri-query", query)
	add("sc-status", status)
	add("sc-bytes", size)
	if referer, rest, ok := quoted(rest); ok {
		add("c-referer", referer)
		if agent, _, ok := quoted(rest); ok {
			add("c-useragent", agent)
		}
	}
	return finish(e, at)
}

// quoted takes a text in quotation marks from the beginning, in which a backslash escapes (mod_log_config, "Some
// Notes"), and returns it without them, and what follows.
func quoted(s string) (text, rest string, ok bool) {
	s = strings.TrimLeft(s, " ")
	if s == "" || s[0] != '"' {
		return "", s, false
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return strings.ReplaceAll(s[1:i], `\"`, `"`), s[i+1:], true
		}
	}
	return "", s, false
}
