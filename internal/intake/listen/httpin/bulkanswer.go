package httpin

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"strconv"
	"time"
)

// bulkAnswer writes the answer to a _bulk request in Elasticsearch's shape, items in the order of the request.
type bulkAnswer struct {
	filter filterPath
	want   map[string]itemFields // by action
	ids    idMaker
	buf    []byte
}

// itemFields is which fields of an item are wanted.
type itemFields struct {
	index, id, version, result, shards, seq, term, status, error bool
	any                                                          bool // whether one of an item without error is
}

func newBulkAnswer(filter filterPath) *bulkAnswer {
	a := &bulkAnswer{filter: filter, want: map[string]itemFields{}, ids: newIDMaker()}
	for action := range sources {
		w := func(field string) bool { return filter.wants("items", action, field) }
		f := itemFields{
			index: w("_index"), id: w("_id"), version: w("_version"), result: w("result"), shards: w("_shards"),
			seq: w("_seq_no"), term: w("_primary_term"), status: w("status"), error: w("error"),
		}
		f.any = f.index || f.id || f.version || f.result || f.shards || f.seq || f.term || f.status
		a.want[action] = f
	}
	return a
}

func (a *bulkAnswer) write(out io.Writer, b *bulk, took time.Duration) error {
	w := bufio.NewWriterSize(out, 32<<10)
	sep := "{"
	if a.filter.wants("took") {
		a.buf = append(a.buf[:0], `{"took":`...)
		a.buf = strconv.AppendInt(a.buf, took.Milliseconds(), 10)
		_, _ = w.Write(a.buf)
		sep = ","
	}
	if a.filter.wants("errors") {
		_, _ = w.WriteString(sep + `"errors":` + strconv.FormatBool(b.failed))
		sep = ","
	}
	items := 0
	for i := range b.items {
		if !a.item(&b.items[i], int64(i)) {
			continue
		}
		if items++; items == 1 {
			_, _ = w.WriteString(sep + `"items":[`)
		} else {
			_ = w.WriteByte(',')
		}
		_, _ = w.Write(a.buf)
	}
	switch {
	case items > 0:
		_ = w.WriteByte(']')
	case len(b.items) == 0 && a.filter.wants("items"):
		_, _ = w.WriteString(sep + `"items":[]`)
		sep = ","
	}
	if items == 0 && sep == "{" {
		_ = w.WriteByte('{')
	}
	_, _ = w.WriteString("}\n")
	return w.Flush()
}

// item puts an item into buf and reports whether anything of it is wanted.
func (a *bulkAnswer) item(it *item, n int64) bool {
	want := a.want[it.action]
	if !want.any && (it.reason == "" || !want.error) {
		return false
	}
	b := append(a.buf[:0], `{"`...)
	b = append(b, it.action...)
	b = append(b, `":{`...)
	begin := len(b)
	field := func(name string) {
		if len(b) > begin {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":`...)
	}
	number := func(want bool, name string, v int64) {
		if want {
			field(name)
			b = strconv.AppendInt(b, v, 10)
		}
	}
	if want.index {
		field("_index")
		b = appendString(b, it.index)
	}
	if want.id {
		field("_id")
		if it.id != "" {
			b = appendString(b, it.id)
		} else {
			b = a.ids.append(b, n)
		}
	}
	if it.reason == "" {
		number(want.version, "_version", 1)
		if want.result {
			field("result")
			b = append(b, `"created"`...)
		}
		if want.shards {
			field("_shards")
			b = append(b, `{"total":1,"successful":1,"failed":0}`...)
		}
		number(want.seq, "_seq_no", n)
		number(want.term, "_primary_term", 1)
	}
	number(want.status, "status", int64(it.status))
	if it.reason != "" && want.error {
		field("error")
		b = append(b, `{"type":"illegal_argument_exception","reason":`...)
		b = appendString(b, it.reason)
		b = append(b, '}')
	}
	a.buf = append(b, `}}`...)
	return true
}

func appendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string can be marshalled always
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// idMaker makes ids as Elasticsearch does for documents that come without one: 20 characters, each but once.
type idMaker [15]byte

func newIDMaker() idMaker {
	var m idMaker
	_, _ = rand.Read(m[:]) // never fails
	return m
}

func (m *idMaker) append(b []byte, n int64) []byte {
	binary.BigEndian.PutUint32(m[11:], uint32(n)) // at most DefaultMaxItems or so of one request
	b = append(b, '"')
	b = base64.RawURLEncoding.AppendEncode(b, m[:])
	return append(b, '"')
}
