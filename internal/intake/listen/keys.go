package listen

import (
	"container/list"
	"errors"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// ErrKeyReused is returned by Submit where a sensor uses a request key again for other data. Such data would be
// taken for a repetition and lost.
var ErrKeyReused = errors.New("this idempotency key was used for other data; use a new one for each request")

// keyID names a request: a key means nothing without the sensor that gave it.
type keyID struct{ sensor, key string }

// request is the frames of one key in a submission.
type request struct {
	id    keyID
	sum   uint64
	state requestState
}

type requestState int

const (
	unknown requestState = iota
	underWay
	acknowledged
)

// requestsOf lists the keys of frames with a sum of the data of each.
func requestsOf(frames []bus.Frame) []request {
	var out []request
	var sums []*xxh3.Hasher
next:
	for i := range frames {
		f := &frames[i]
		if f.Key == "" {
			continue
		}
		id := keyID{f.Sensor, f.Key}
		for j := range out {
			if out[j].id == id {
				_, _ = sums[j].Write(f.Data)
				continue next
			}
		}
		h := xxh3.New()
		_, _ = h.Write(f.Data)
		out, sums = append(out, request{id: id}), append(sums, h)
	}
	for i := range out {
		out[i].sum = sums[i].Sum64()
	}
	return out
}

// recognise returns the frames that are new, and the submissions under way that carry the others.
func (g *Gate) recognise(frames []bus.Frame, requests []request) (fresh []bus.Frame, follow []*submission, err error) {
	known := 0
	for i := range requests {
		r := &requests[i]
		e := g.keys.find(r.id)
		if e == nil {
			continue
		}
		if e.sum != r.sum {
			return nil, nil, ErrKeyReused
		}
		known++
		r.state = acknowledged
		if e.by != nil {
			r.state = underWay
			follow = append(follow, e.by)
		}
	}
	if known == 0 {
		return frames, nil, nil
	}
	for i := range frames {
		f := &frames[i]
		state := unknown
		for j := range requests {
			if requests[j].id == (keyID{f.Sensor, f.Key}) {
				state = requests[j].state
			}
		}
		if state == unknown {
			fresh = append(fresh, *f)
			continue
		}
		g.repeated += uint64(f.Records)
	}
	return fresh, follow, nil
}

// keyring remembers the keys under way, and the last acknowledged ones.
type keyring struct {
	most    int
	entries map[keyID]*keyEntry
	recent  *list.List // of *keyEntry that are acknowledged, the latest asked for in front
}

type keyEntry struct {
	id  keyID
	sum uint64
	by  *submission // nil once acknowledged
	at  *list.Element
}

func newKeyring(most int) keyring {
	return keyring{most: most, entries: map[keyID]*keyEntry{}, recent: list.New()}
}

func (k *keyring) find(id keyID) *keyEntry {
	e := k.entries[id]
	if e != nil && e.at != nil {
		k.recent.MoveToFront(e.at)
	}
	return e
}

// begin notes that a submission carries the requests that were unknown.
func (k *keyring) begin(requests []request, s *submission) {
	for _, r := range requests {
		if r.state == unknown {
			k.entries[r.id] = &keyEntry{id: r.id, sum: r.sum, by: s}
			s.keys = append(s.keys, r.id)
		}
	}
}

// end keeps the keys of a submission that was acknowledged, and forgets those of one that was not.
func (k *keyring) end(s *submission) {
	for _, id := range s.keys {
		e := k.entries[id]
		if s.err != nil {
			delete(k.entries, id)
			continue
		}
		e.by = nil
		e.at = k.recent.PushFront(e)
	}
	for k.recent.Len() > k.most {
		e := k.recent.Remove(k.recent.Back()).(*keyEntry)
		delete(k.entries, e.id)
	}
}
