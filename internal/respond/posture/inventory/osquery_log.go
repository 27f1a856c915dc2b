package inventory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// maxHeld is how many remote tools of a results log are held; beyond, further ones are named as unreadable.
const maxHeld = 500_000

// osqueryLog reads osquery's results log: lines of added and removed rows (event format), batches of them, and
// snapshots. What counts is what was there at the end of the log.
func (k Knowledge) osqueryLog() evidence.Format {
	return evidence.Format{
		Name:  "osquery-log",
		About: "osqueryd's results log (osqueryd.results.log, osqueryd.snapshots.log) with queries of programs, deb_packages, rpm_packages or apps",
		Recognise: func(_ string, head []byte) bool {
			v := firstObject(head, true)
			return v != nil && v.Exists("hostIdentifier") && (v.Exists("columns") || v.Exists("snapshot") || v.Exists("diffResults"))
		},
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			l := &resultsLog{r: k.report(&in, sink), there: map[rowID]program{}, last: map[string]time.Time{}}
			whole, err := eachRecord(ctx, in.Reader, true, l.r.bad, l.record)
			if err != nil {
				return err
			}
			l.r.cut = !whole
			return l.give()
		},
	}
}

// rowID is one row of one query's answer on one host.
type rowID struct{ host, query, row string }

type resultsLog struct {
	r     *report
	there map[rowID]program    // remote tools that are there, by what the log said last
	last  map[string]time.Time // of each host
}

func (l *resultsLog) record(v *fastjson.Value, line int64) error {
	host, query := strings.ToLower(textOf(v.Get("hostIdentifier"))), textOf(v.Get("name"))
	if h := textOf(v.Get("decorations", "hostname")); h != "" {
		host = strings.ToLower(h)
	}
	at, ok := decode.ParseTime(textOf(v.Get("unixTime")))
	if host == "" || !ok {
		l.r.bad(line, "no hostIdentifier, or no unixTime")
		return nil
	}
	if at.After(l.last[host]) && (l.last[host] != (time.Time{}) || len(l.last) < maxHosts) {
		l.last[host] = at
	}
	switch {
	case v.Exists("columns"):
		l.row(v.Get("columns"), host, query, line, textOf(v.Get("action")) != "removed")
	case v.Exists("diffResults"):
		for _, row := range v.GetArray("diffResults", "removed") {
			l.row(row, host, query, line, false)
		}
		for _, row := range v.GetArray("diffResults", "added") {
			l.row(row, host, query, line, true)
		}
	case v.Exists("snapshot"):
		maps.DeleteFunc(l.there, func(id rowID, _ program) bool { return id.host == host && id.query == query })
		for _, row := range v.GetArray("snapshot") {
			l.row(row, host, query, line, true)
		}
	}
	return nil
}

func (l *resultsLog) row(v *fastjson.Value, host, query string, line int64, added bool) {
	o := objectOf(v)
	if o.text(nameColumns...) == "" || !anyOf(o, versionColumns) {
		return // a row of another query
	}
	l.r.rows++
	l.r.countHost(host)
	p := programOf(o)
	if p.name == "" || l.r.match(&p) == nil {
		return
	}
	p.host, p.line = host, line
	id := rowID{host, query, p.name + "\x00" + p.version + "\x00" + p.path}
	if !added {
		delete(l.there, id)
		return
	}
	if len(l.there) >= maxHeld {
		if _, held := l.there[id]; !held {
			l.r.bad(line, fmt.Sprintf("more than %d remote tools in one log", maxHeld))
			return
		}
	}
	l.there[id] = p
}

// give gives what is there at the end, as of when its host was last heard of.
func (l *resultsLog) give() error {
	ids := slices.SortedFunc(maps.Keys(l.there), func(a, b rowID) int {
		return strings.Compare(a.host+"\x00"+a.query+"\x00"+a.row, b.host+"\x00"+b.query+"\x00"+b.row)
	})
	for _, t := range l.last {
		if t.After(l.r.newest) {
			l.r.newest = t
		}
	}
	for _, id := range ids {
		p := l.there[id]
		p.at = l.last[p.host]
		found := l.r.match(&p)
		if found == nil {
			continue
		}
		l.r.found++
		if err := l.r.sink.Item(l.r.software(&p, found)); err != nil {
			return err
		}
	}
	return l.r.done()
}
