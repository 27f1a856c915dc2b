package netflow

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// pendingSet is a set of records whose template hasn't come.
type pendingSet struct {
	domain   domainID
	template uint16
	clock    clock
	received int64 // nanoseconds since 1970
	since    int64 // on the clock of the hold
	datagram int64
	body     []byte
}

// header of NetFlow v9, RFC 3954 5.1.
func (t *Translator) version9(e *exporter, received int64, p []byte) error {
	if len(p) < 20 {
		return errors.New("shorter than a header")
	}
	c := clock{uptime: binary.BigEndian.Uint32(p[4:]), export: int64(binary.BigEndian.Uint32(p[8:])) * 1e9}
	if isSet(c.export) {
		c.at = c.export
	}
	id := domainID{version9, binary.BigEndian.Uint32(p[16:])}
	t.stats.Lost += e.domain(id).lost(binary.BigEndian.Uint32(p[12:]), 1)
	_, err := t.sets(e, id, c, received, p[20:])
	return err
}

// header of IPFIX, RFC 7011 3.1.
func (t *Translator) version10(e *exporter, received int64, p []byte) error {
	if len(p) < 16 {
		return errors.New("shorter than a header")
	}
	n := int(binary.BigEndian.Uint16(p[2:]))
	if n < 16 || n > len(p) {
		return fmt.Errorf("a message of %d bytes in a datagram of %d", n, len(p))
	}
	c := clock{export: int64(binary.BigEndian.Uint32(p[4:])) * 1e9}
	id := domainID{version10, binary.BigEndian.Uint32(p[12:])}
	d := e.domain(id)
	c.since(d.boot)
	before := t.optional
	records, err := t.sets(e, id, c, received, p[16:n])
	t.stats.Lost += e.domain(id).lostRecords(binary.BigEndian.Uint32(p[8:]), uint32(records), uint32(t.optional-before))
	return err
}

// sets reads the sets behind a header, and returns how many data records they held. A set that can't be read doesn't
// keep those behind it from being read, as long as its length can be believed.
func (t *Translator) sets(e *exporter, id domainID, c clock, received int64, p []byte) (records int, first error) {
	for len(p) >= 4 {
		set, n := binary.BigEndian.Uint16(p), int(binary.BigEndian.Uint16(p[2:]))
		if n < 4 || n > len(p) {
			if first == nil {
				first = fmt.Errorf("a set of %d bytes where %d are left", n, len(p))
			}
			return records, first
		}
		k, err := t.set(e, id, &c, received, set, p[4:n])
		records += k
		if err != nil && first == nil {
			first = fmt.Errorf("set %d: %w", set, err)
		}
		p = p[n:]
	}
	return records, first
}

func (t *Translator) set(e *exporter, id domainID, c *clock, received int64, set uint16, body []byte) (int, error) {
	templates := id.version == version9 && set <= 1 || id.version == version10 && (set == 2 || set == 3)
	switch {
	case templates && e.withdrawn(id, set, body):
		t.changes++
		return 0, nil
	case templates:
		e.domain(id)
		return 0, t.templateSet(e, id, set, body)
	case set < 256:
		return 0, errors.New("a number that means nothing")
	}
	d := e.domain(id)
	x := d.templates[set]
	if x == nil {
		t.wait(e, pendingSet{domain: id, template: set, clock: *c, received: received, since: t.now, datagram: t.stats.Datagrams, body: body})
		return 0, nil
	}
	return t.records(e, d, id, x, c, received, body)
}

// records reads the records of a set by its template.
func (t *Translator) records(e *exporter, d *domain, id domainID, x *template, c *clock, received int64, p []byte) (int, error) {
	n := 0
	f := &t.scratch
	for len(p) >= x.least {
		*f = fields{}
		rest, ok := f.read(x, p)
		if !ok {
			if len(p) < 4 { // RFC 7011 3.3.1: padding is shorter than a record
				return n, nil
			}
			return n, errors.New("a record is cut short")
		}
		p = rest
		n++
		if x.Options {
			t.optional++
			t.options(d, id, f, c)
			continue
		}
		f.exporter, f.domain, f.record.version = e.addr, id.id, id.version
		r, ok := f.finish(c, received)
		if !ok {
			t.stats.Skipped++
			continue
		}
		if r.sampling = f.factor(); r.sampling == 0 {
			if r.sampling = d.samplers[f.sampler]; r.sampling == 0 {
				r.sampling = d.samplers[0]
			}
		}
		t.take(r)
	}
	return n, nil
}

// read takes the values of one record and returns what is behind it.
func (f *fields) read(x *template, p []byte) (rest []byte, ok bool) {
	for i := range x.Fields {
		el := &x.Fields[i]
		n := int(el.Length)
		if el.Length == variable { // RFC 7011 7
			if len(p) < 1 {
				return nil, false
			}
			n, p = int(p[0]), p[1:]
			if n == 255 {
				if len(p) < 2 {
					return nil, false
				}
				n, p = int(binary.BigEndian.Uint16(p)), p[2:]
			}
		}
		if n > len(p) {
			return nil, false
		}
		switch {
		case el.Foreign || n == 0:
		case el.Reverse:
			f.setReverse(el.ID, p[:n])
		default:
			f.set(el.ID, p[:n])
		}
		p = p[n:]
	}
	return p, true
}

// options takes what an exporter tells of itself: how it samples, and when it was booted.
func (t *Translator) options(d *domain, id domainID, f *fields, c *clock) {
	if n := f.factor(); n != 0 && d.samplers[f.sampler] != n {
		if len(d.samplers) >= MaxSamplers {
			clear(d.samplers)
		}
		d.samplers[f.sampler] = n
		t.changes++
	}
	if f.systemInit != 0 && d.boot != f.systemInit {
		d.boot = f.systemInit
		t.changes++
	}
	if id.version == version10 {
		c.since(d.boot)
	}
}

// since sets the uptime of an export: IPFIX's header has none, but it follows from the boot's time.
func (c *clock) since(boot int64) {
	if boot != 0 && isSet(c.export) {
		up := (c.export - boot) / 1e6
		c.uptime, c.at = uint32(up), boot+up*1e6
	}
}

// wait keeps a set until its template comes.
func (t *Translator) wait(e *exporter, s pendingSet) {
	if e.bytes+len(s.body) > MaxPendingOne || t.pending+len(s.body) > MaxPending {
		t.stats.NoRoom++
		t.give(noRoom, s.body)
		return
	}
	s.body = append([]byte(nil), s.body...)
	e.pending = append(e.pending, s)
	e.bytes += len(s.body)
	t.pending += len(s.body)
}

const (
	noRoom     = "records whose template has not come: too many wait already"
	noTemplate = "records whose template did not come"
)

// ripen reads what waited for a template.
func (t *Translator) ripen(e *exporter, id domainID, template uint16) {
	if len(e.pending) == 0 {
		return
	}
	d := e.domain(id)
	var ripe []pendingSet
	kept := e.pending[:0]
	for _, s := range e.pending {
		if s.domain == id && s.template == template {
			ripe = append(ripe, s)
			e.bytes -= len(s.body)
			t.pending -= len(s.body)
		} else {
			kept = append(kept, s)
		}
	}
	clear(e.pending[len(kept):])
	e.pending = kept
	current := t.stats.Datagrams
	for i := range ripe {
		s := &ripe[i]
		t.stats.Datagrams = s.datagram // its records stand where they came
		if _, err := t.records(e, d, id, d.templates[template], &s.clock, s.received, s.body); err != nil {
			t.stats.Bad++
			t.give(err.Error(), s.body)
		}
	}
	t.stats.Datagrams = current
}

// expire drops sets whose template did not come in time; all of them where until is 0.
func (t *Translator) expire(e *exporter, all bool) {
	kept := e.pending[:0]
	for _, s := range e.pending {
		if !all && t.now-s.since < int64(PendingFor) {
			kept = append(kept, s)
			continue
		}
		e.bytes -= len(s.body)
		t.pending -= len(s.body)
		t.stats.NoTemplate++
		t.give(fmt.Sprintf("%s: template %d of observation domain %d", noTemplate, s.template, s.domain.id), s.body)
	}
	clear(e.pending[len(kept):])
	e.pending = kept
}

// give hands what is given up to whoever asked for it.
func (t *Translator) give(reason string, raw []byte) {
	if t.opt.refuse != nil {
		t.opt.refuse(reason, raw)
	}
}
