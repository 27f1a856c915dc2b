package netflow

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

// versions of the wire formats.
const (
	version5  = 5
	version9  = 9
	version10 = 10
)

// element is one field of a template.
type element struct {
	ID      uint16 `json:"i"`
	Length  uint16 `json:"l"`           // bytes; variable: told by each record
	Reverse bool   `json:"r,omitempty"` // counts for the opposite direction
	Foreign bool   `json:"f,omitempty"` // of an enterprise whose elements we don't know
}

const variable = 0xffff

// template says what a set's records hold.
type template struct {
	Fields  []element `json:"fields"`
	Options bool      `json:"options,omitempty"` // records tell of the exporter, not of flows
	least   int       // bytes of its shortest record
}

// domain is what is known of one observation domain (v9: source id) of an exporter.
type domain struct {
	templates map[uint16]*template
	samplers  map[uint64]uint32 // sampling factor by selector; 0 is the one without
	boot      int64             // systemInitTimeMilliseconds, in nanoseconds; 0 not told
	next      uint32            // the sequence number that must come; of IPFIX the last one
	records   uint32            // of IPFIX: of the last message
	options   uint32            // of these, those that tell of the exporter
	counted   bool              // next is set
}

type domainID struct {
	version uint8
	id      uint32
}

// exporter is what is known of one sender.
type exporter struct {
	addr      netip.Addr
	used      int64
	domains   map[domainID]*domain
	templates int
	pending   []pendingSet
	bytes     int // of pending
	lastID    domainID
	last      *domain
}

func (e *exporter) domain(id domainID) *domain {
	if e.last != nil && e.lastID == id {
		return e.last
	}
	d := e.domains[id]
	if d == nil {
		if len(e.domains) >= MaxDomains { // nobody has so many; somebody invents them
			e.domains, e.templates = map[domainID]*domain{}, 0
		}
		d = &domain{templates: map[uint16]*template{}, samplers: map[uint64]uint32{}}
		e.domains[id] = d
	}
	e.lastID, e.last = id, d
	return d
}

// lost follows a sequence number: it takes that of a datagram and how far the next will be, and returns how many are
// missing before it.
func (d *domain) lost(sequence, step uint32) int64 {
	gap := sequence - d.next
	counted := d.counted
	d.next, d.counted = sequence+step, true
	if !counted || gap == 0 || gap > maxGap {
		return 0
	}
	return int64(gap)
}

// lostRecords is lost for IPFIX, whose number counts the data records before a message (RFC 7011 3.1). Some exporters
// count those of the message itself too, or leave out those that tell of themselves: what fits one way is no loss.
func (d *domain) lostRecords(sequence, records, options uint32) int64 {
	least := int64(maxGap) + 1
	for _, step := range [...]uint32{d.records, d.records - d.options, records, records - options} {
		least = min(least, int64(sequence-d.next-step))
	}
	counted := d.counted
	d.next, d.records, d.options, d.counted = sequence, records, options, true
	if !counted || least > maxGap {
		return 0
	}
	return least
}

// maxGap is the largest gap that is counted as loss; beyond, the exporter began anew or datagrams overtook each other.
const maxGap = 1 << 20

// templateSet takes the templates of one set.
func (t *Translator) templateSet(e *exporter, id domainID, set uint16, body []byte) error {
	if err := fits(id.version, set, body); err != nil {
		return err
	}
	d := e.domain(id)
	switch {
	case id.version == version9 && set == 1:
		list, err := netflow.DecodeNFv9OptionsTemplateSet(bytes.NewBuffer(body))
		if err != nil {
			return fmt.Errorf("options templates: %w", err)
		}
		for i := range list {
			t.define(e, d, list[i].TemplateId, true, list[i].Scopes, list[i].Options)
		}
	case set == 3:
		list, err := netflow.DecodeIPFIXOptionsTemplateSet(bytes.NewBuffer(body))
		if err != nil {
			return fmt.Errorf("options templates: %w", err)
		}
		for i := range list {
			t.define(e, d, list[i].TemplateId, true, list[i].Scopes, list[i].Options)
		}
	default:
		list, err := netflow.DecodeTemplateSet(uint16(id.version), bytes.NewBuffer(body))
		if err != nil {
			return fmt.Errorf("templates: %w", err)
		}
		for i := range list {
			t.define(e, d, list[i].TemplateId, false, nil, list[i].Fields)
		}
	}
	return nil
}

// fits walks the templates of a set and reports counts beyond what it holds, for which goflow2 would allocate, and
// cuts nothing: what is left at the end is padding.
func fits(version uint8, set uint16, body []byte) error {
	for len(body) >= 4 {
		if binary.BigEndian.Uint16(body) < 256 {
			return fmt.Errorf("a template with the number %d, which is a set's", binary.BigEndian.Uint16(body))
		}
		count := int(binary.BigEndian.Uint16(body[2:]))
		switch {
		case version == version9 && set == 1:
			if len(body) < 6 {
				return nil
			}
			count = (count + int(binary.BigEndian.Uint16(body[4:]))) / 4
			body = body[6:]
		case set == 3:
			if len(body) < 6 {
				return errors.New("an options template is cut short")
			}
			if scope := int(binary.BigEndian.Uint16(body[4:])); scope > count {
				return fmt.Errorf("an options template with %d scope fields of %d", scope, count)
			}
			body = body[6:]
		default:
			body = body[4:]
		}
		for ; count > 0; count-- {
			size := 4
			if version == version10 && len(body) > 0 && body[0]&0x80 != 0 {
				size = 8
			}
			if len(body) < size {
				return errors.New("a template is cut short")
			}
			body = body[size:]
		}
	}
	return nil
}

// withdrawn takes an IPFIX set that withdraws templates (RFC 7011 8.1), and reports whether it was one.
func (e *exporter) withdrawn(id domainID, set uint16, body []byte) bool {
	if id.version != version10 || len(body) < 4 || binary.BigEndian.Uint16(body[2:]) != 0 {
		return false
	}
	d := e.domain(id)
	for ; len(body) >= 4 && binary.BigEndian.Uint16(body[2:]) == 0; body = body[4:] {
		switch n := binary.BigEndian.Uint16(body); {
		case n == 2 || n == 3:
			for k, x := range d.templates {
				if x.Options == (n == 3) {
					delete(d.templates, k)
					e.templates--
				}
			}
		case d.templates[n] != nil && d.templates[n].Options == (set == 3):
			delete(d.templates, n)
			e.templates--
		}
	}
	return true
}

// define keeps a template, and reads what waited for it.
func (t *Translator) define(e *exporter, d *domain, id uint16, options bool, lists ...[]netflow.Field) {
	n := 0
	for _, l := range lists {
		n += len(l)
	}
	old := d.templates[id]
	if n > MaxFields || old == nil && e.templates >= MaxTemplates {
		t.stats.TooMany++
		return
	}
	x := &template{Options: options, Fields: make([]element, 0, n)}
	scopes := options && e.lastID.version == version9
	for i, l := range lists {
		for _, f := range l {
			el := element{ID: f.Type & 0x7fff, Length: f.Length}
			switch {
			case f.PenProvided && f.Pen == reverse:
				el.Reverse = true
			case f.PenProvided, scopes && i == 0: // v9's scopes have numbers of their own
				el.Foreign = true
			case e.lastID.version == version9:
				el.ID = f.Type
			}
			x.Fields = append(x.Fields, el)
		}
	}
	x.measure()
	if x.least == 0 {
		return // its records would have no length; nothing can be read by it
	}
	if old == nil {
		e.templates++
	}
	if old == nil || !old.equal(x) {
		t.changes++
	}
	d.templates[id] = x
	t.ripen(e, e.lastID, id)
}

func (x *template) equal(y *template) bool {
	if x.Options != y.Options || len(x.Fields) != len(y.Fields) {
		return false
	}
	for i := range x.Fields {
		if x.Fields[i] != y.Fields[i] {
			return false
		}
	}
	return true
}

// measure sets the length of the shortest record.
func (x *template) measure() {
	x.least = 0
	for _, f := range x.Fields {
		if f.Length == variable {
			x.least++
		} else {
			x.least += int(f.Length)
		}
	}
}
