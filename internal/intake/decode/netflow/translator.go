package netflow

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/netsampler/goflow2/v2/decoders/netflowlegacy"
)

// Translator makes flows of the export datagrams of any number of exporters. Its methods may be called by several
// goroutines; Emit is called with its lock held.
type Translator struct {
	mu        sync.Mutex
	opt       Options
	now       int64 // the latest time of receipt, nanoseconds since 1970: the clock of the hold
	exporters map[netip.Addr]*exporter
	recent    *exporter
	pending   int // bytes that wait for templates, of all exporters
	expired   int64
	pairs     pairs
	parts     parts
	stats     Stats
	optional  int    // records read that tell of exporters
	changes   uint64 // of what Snapshot keeps
	scratch   fields
	legacy    netflowlegacy.PacketNetFlowV5
	line      []byte
	current   int64 // the datagram of the flow that is being given
}

// New returns a Translator that knows no exporter.
func New(o Options) *Translator {
	if o.Hold <= 0 {
		o.Hold = DefaultHold
	}
	if o.Held <= 0 {
		o.Held = DefaultHeld
	}
	return &Translator{opt: o, exporters: map[netip.Addr]*exporter{},
		pairs: pairs{hold: int64(o.Hold), most: o.Held, groups: map[key]*waiting{}}}
}

// Datagram takes one export datagram and who sent it, when it was received. The flows that come of it are given to
// Emit, at once or when they have waited for their opposite direction. An error says why the datagram, or the rest of
// it, can't be read; what was read before stays. The datagram isn't kept.
func (t *Translator) Datagram(from netip.Addr, received time.Time, p []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	nanos := received.UnixNano()
	t.advance(nanos)
	return t.datagram(from, nanos, p)
}

func (t *Translator) datagram(from netip.Addr, received int64, p []byte) (err error) {
	t.stats.Datagrams++
	defer func() {
		if x := recover(); x != nil { // whoever sends it must not stop the collector
			err = fmt.Errorf("our decoder failed on it, which is a bug: %v", x)
		}
		if err != nil {
			t.stats.Bad++
		}
	}()
	if len(p) > MaxDatagram {
		return fmt.Errorf("a datagram of %d bytes; at most %d", len(p), MaxDatagram)
	}
	if len(p) < 2 {
		return errors.New("no flow export: shorter than a header")
	}
	e := t.exporter(from.Unmap().WithZone(""))
	v := binary.BigEndian.Uint16(p)
	switch {
	case v == version9:
		err = t.version9(e, received, p)
	case v == version10:
		err = t.version10(e, received, p)
	case v == version5:
		err = t.version5(e, received, p)
	case v == 0 && isSFlow(p):
		if err = t.sflow5(e, received, p); err != nil {
			err = fmt.Errorf("sFlow: %w", err)
		}
		return err
	default:
		return fmt.Errorf("no flow export: neither NetFlow v5 or v9 nor IPFIX nor sFlow v5 begins with % x", p[:min(len(p), 4)])
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", map[uint16]string{version5: "NetFlow v5", version9: "NetFlow v9", version10: "IPFIX"}[v], err)
	}
	return err
}

// exporter returns what is known of a sender. Where too many are known the one silent longest is forgotten.
func (t *Translator) exporter(addr netip.Addr) *exporter {
	if t.recent != nil && t.recent.addr == addr {
		t.recent.used = t.now
		return t.recent
	}
	e := t.exporters[addr]
	if e == nil {
		if len(t.exporters) >= MaxExporters {
			t.forgetOne()
		}
		e = &exporter{addr: addr, domains: map[domainID]*domain{}}
		t.exporters[addr] = e
	}
	e.used, t.recent = t.now, e
	return e
}

func (t *Translator) forgetOne() {
	var oldest *exporter
	for _, e := range t.exporters {
		if oldest == nil || e.used < oldest.used || e.used == oldest.used && e.addr.Compare(oldest.addr) < 0 {
			oldest = e
		}
	}
	t.expire(oldest, true)
	delete(t.exporters, oldest.addr)
	t.changes++
}

// Advance gives what has waited long enough by then, and drops records whose template hasn't come in time. A
// listener calls it now and then, so that the last flows don't wait for the next datagram.
func (t *Translator) Advance(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.advance(now.UnixNano())
}

func (t *Translator) advance(now int64) {
	if now < t.now-int64(time.Second) { // the clock was set back; nobody must wait for it to come round again
		t.flush()
		t.expired = now
	}
	t.now = now
	t.due()
	if t.now-t.expired >= int64(10*time.Second) {
		t.expired = t.now
		if t.pending > 0 {
			for _, e := range t.exporters {
				t.expire(e, false)
			}
		}
	}
}

// Flush gives everything that waits for its opposite direction, at an orderly stop.
func (t *Translator) Flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flush()
}

func (t *Translator) flush() {
	for t.pairs.head < len(t.pairs.queue) {
		t.resolve(t.pairs.next(), true)
	}
}

// Stats returns the counts as they stand.
func (t *Translator) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.stats
	s.Waiting, s.Exporters = int64(t.pending), int64(len(t.exporters))
	for _, e := range t.exporters {
		s.Templates += int64(e.templates)
	}
	return s
}

// Refused returns a line that the decoder of our lines refuses with the reason, so that a datagram that can't be read
// reaches the dead letters with its bytes (at most 1 KiB of them, in base64).
func Refused(from netip.Addr, reason error, p []byte) []byte {
	b := append([]byte(nil), `{"source":"`+source+`"`...)
	b = appendAddr(b, `,"exporter":"`, from)
	b = append(b, `,"refused":`...)
	text, err := json.Marshal(reason.Error())
	if err != nil { // a string always has a form in JSON
		text = []byte(`""`)
	}
	b = append(b, text...)
	b = append(b, `,"datagram":"`...)
	b = base64.StdEncoding.AppendEncode(b, p[:min(len(p), 1<<10)])
	return append(b, `"}`...)
}
