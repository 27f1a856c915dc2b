package order

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Identify sets the id of an event from its tenant and the source's own id, or from the raw record where the
// source has none. The hash is a cryptographic one, since who writes the log may be who wants a record dropped.
func Identify(e *ocsf.Event, raw []byte) {
	var room [1024]byte // most records fit: then nothing is allocated
	b := append(room[:0], e.Tenant...)
	b = append(b, 0)
	if e.SourceID != "" {
		b = append(b, e.Source...)
		b = append(b, 1)
		b = append(b, e.SourceID...)
	} else {
		b = append(b, 2)
		b = strconv.AppendInt(b, e.Time.UnixMilli(), 10)
		b = append(b, 0)
		b = append(b, raw...)
	}
	h := sha256.Sum256(b)
	e.ID = ocsf.EventID(h[:16])
}

// IdentifyIn is Identify for a record of a request that carried an idempotency key: a record without an id of its
// own is then told from an equal one of another request, and from an equal one of the same. The first half of the
// id stays that of the content, so that events of one moment keep the order that they have without a key.
func IdentifyIn(e *ocsf.Event, raw []byte, sensor, key string, record int64) {
	Identify(e, raw)
	if key == "" || e.SourceID != "" {
		return
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%s\x03%s\x00%s\x00%d\x00", e.Tenant, e.Source, sensor, key, record)
	h.Write(e.ID[:])
	copy(e.ID[8:], h.Sum(nil)[:8])
}

// Again gives the second and further ones of equal records of a file, or of a request, ids of their own: a line that
// really stands twice counts twice. The first, ordinal 0, keeps its id.
func Again(e *ocsf.Event, ordinal int) {
	if ordinal > 0 {
		h := sha256.Sum256(binary.AppendUvarint(slices.Clone(e.ID[:]), uint64(ordinal)))
		e.ID = ocsf.EventID(h[:16])
	}
}
