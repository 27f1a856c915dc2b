package httpin

import (
	"fmt"
	"io"
	"net/http"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

const (
	maxActionLine = 64 << 10
	maxDocID      = 512 // Elasticsearch's own limit on _id
	maxIndexName  = 255
	itemCost      = 256 // bytes that an item is reckoned at, its answer included
)

// item is one action of a _bulk request, and what becomes of it.
type item struct {
	action string
	index  string
	id     string
	status int
	reason string // where it is refused
}

// bulk is a _bulk request, read and not yet submitted.
type bulk struct {
	frames frames
	items  []item
	failed bool // some item is refused
}

// bulkReader reads the body of a _bulk request: an action a line, each followed by a source line where it has one.
type bulkReader struct {
	bulk
	lines  *lines
	lease  *lease
	index  string // of the URL, for actions that name none
	most   int    // items
	last   string // the index of the item before, which is most often this one's
	parser fastjson.Parser
}

// sources tells which actions are followed by a source line; others are no actions.
var sources = map[string]bool{"index": true, "create": true, "update": true, "delete": false}

func readBulk(src io.Reader, l *lease, stamp bus.Frame, index string, opt *Options, length int64) (*bulk, error) {
	b := &bulkReader{lines: newLines(src, l, opt.MaxLine, length), lease: l, index: index, most: opt.MaxItems}
	b.frames = frames{stamp: stamp, most: opt.MaxRecords, lines: b.lines}
	for {
		action, err := b.lines.next()
		if err == io.EOF {
			return &b.bulk, nil
		}
		if err != nil {
			return nil, err
		}
		if !action.long && isBlank(action.data) {
			continue
		}
		if err := b.action(action); err != nil {
			return nil, err
		}
	}
}

// action reads one action and its source.
func (b *bulkReader) action(l line) error {
	it, err := b.parse(l)
	if err != nil {
		return err
	}
	if len(b.items) >= b.most {
		return refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the request has more than %d items; send it in parts", b.most)
	}
	if err := b.lease.grow(int64(itemCost + len(it.id))); err != nil {
		return err
	}
	if sources[it.action] {
		source, err := b.lines.next()
		if err == io.EOF {
			return malformed("the action in line %d has no source line behind it", l.number)
		}
		if err != nil {
			return err
		}
		if err := b.source(&it, source); err != nil {
			return err
		}
	} else {
		it.status, it.reason = http.StatusBadRequest, "what was sent is kept: there is no delete, only index and create"
	}
	b.failed = b.failed || it.reason != ""
	b.items = append(b.items, it)
	return nil
}

// source decides on an item by its source line, and keeps it where it is one.
func (b *bulkReader) source(it *item, l line) error {
	switch {
	case it.action == "update":
		it.status, it.reason = http.StatusBadRequest, "what was sent is kept: there is no update, only index and create"
		return nil
	case !l.long && isBlank(l.data):
		it.status, it.reason = http.StatusBadRequest, "the source is empty"
		return nil
	case l.long:
		it.status, it.reason = http.StatusBadRequest, fmt.Sprintf("the source is longer than %d bytes: its beginning is kept as a dead letter", b.lines.max)
	default:
		it.status = http.StatusCreated
	}
	return b.frames.add(l, int64(b.frames.records)+1)
}

// parse reads an action line: {"create":{"_index":"x","_id":"1"}}.
func (b *bulkReader) parse(l line) (item, error) {
	if l.long || len(l.data) > maxActionLine {
		return item{}, malformed("the action in line %d is longer than %d bytes", l.number, maxActionLine)
	}
	v, err := b.parser.ParseBytes(l.data)
	if err != nil {
		return item{}, malformed("Malformed action/metadata line [%d]: it is not JSON", l.number)
	}
	o, err := v.Object()
	if err != nil || o.Len() != 1 {
		return item{}, malformed("Malformed action/metadata line [%d], expected one action", l.number)
	}
	it := item{index: b.index}
	o.Visit(func(name []byte, v *fastjson.Value) {
		for known := range sources {
			if string(name) == known && v.Type() == fastjson.TypeObject {
				it.action = known
			}
		}
		if index := v.GetStringBytes("_index"); len(index) > 0 {
			if string(index) != b.last {
				b.last = string(index)
			}
			it.index = b.last
		}
		it.id = string(v.GetStringBytes("_id"))
	})
	switch {
	case it.action == "":
		return item{}, malformed("Malformed action/metadata line [%d], expected one of create, index, update and delete, each an object", l.number)
	case len(it.id) > maxDocID:
		return item{}, malformed("the _id in line %d is longer than %d bytes", l.number, maxDocID)
	case len(it.index) > maxIndexName:
		return item{}, malformed("the _index in line %d is longer than %d bytes", l.number, maxIndexName)
	}
	if it.index == "" {
		it.index = "breakwater"
	}
	return it, nil
}

func malformed(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "illegal_argument_exception", format, args...)
}
