package learned

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// The model file: the magic with its version; a fixed head of little-endian numbers; one record of 22 bytes for each
// feature that was seen, by rising index; SHA-256 of all before it.
const (
	magic      = "breakwater mail model 3\n"
	recordSize = 4 + 4*4 + 1 + 1
	headSize   = 3*8 + 2*8 + 8 + 2*8 + cells*8 + 8
	// MaxBytes is the largest model file that is read.
	MaxBytes = int64(len(magic) + headSize + size*recordSize + sha256.Size)
)

// ErrDamaged is returned for a file that is no model, or one that was cut or changed.
var ErrDamaged = errors.New("not an intact mail model; make it anew with `breakwater mail train`")

// Write writes the model. Equal models give equal bytes.
func (m *Model) Write(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString(magic)
	le := binary.LittleEndian
	num := func(f float64) { b.Write(le.AppendUint64(nil, math.Float64bits(f))) }
	num(m.Threshold)
	num(m.StrictThreshold)
	num(m.WantedFPR)
	b.Write(le.AppendUint64(nil, uint64(m.Ham)))
	b.Write(le.AppendUint64(nil, uint64(m.Spam)))
	b.Write(le.AppendUint64(nil, uint64(btoi(m.Wordless))))
	num(m.slope)
	num(m.limit)
	for _, s := range m.seats {
		b.Write(le.AppendUint64(nil, s))
	}
	count := uint64(0)
	for i := range m.df {
		if m.df[i] > 0 {
			count++
		}
	}
	b.Write(le.AppendUint64(nil, count))
	rec := make([]byte, 0, recordSize)
	for i := range m.df {
		if m.df[i] == 0 {
			continue
		}
		rec = le.AppendUint32(rec[:0], uint32(i))
		for _, f := range [...]float32{m.plain.z[i], m.plain.n[i], m.robust.z[i], m.robust.n[i]} {
			rec = le.AppendUint32(rec, math.Float32bits(f))
		}
		b.Write(append(rec, m.df[i], byte(btoi(m.barred[i]))))
	}
	sum := sha256.Sum256(b.Bytes())
	b.Write(sum[:])
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing the mail model: %w", err)
	}
	return nil
}

// Read reads a model that Write wrote. At most MaxBytes are read; whatever is not exactly a model is ErrDamaged.
func Read(r io.Reader) (*Model, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the mail model: %w", err)
	}
	bad := func(what string) error { return fmt.Errorf("reading the mail model: %s: %w", what, ErrDamaged) }
	if int64(len(raw)) > MaxBytes {
		return nil, bad("too large")
	}
	if len(raw) < len(magic)+headSize+sha256.Size || string(raw[:len(magic)]) != magic {
		return nil, bad("another kind of file, or another version")
	}
	body, sum := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, bad("the check sum does not fit")
	}
	le := binary.LittleEndian
	body = body[len(magic):]
	next := func() uint64 {
		v := le.Uint64(body)
		body = body[8:]
		return v
	}
	m := New()
	for _, f := range []*float64{&m.Threshold, &m.StrictThreshold, &m.WantedFPR} {
		if *f = math.Float64frombits(next()); !(*f >= 0 && *f <= 1) {
			return nil, bad("a threshold outside 0 to 1")
		}
	}
	ham, spam := next(), next()
	if ham > math.MaxInt32 || spam > math.MaxInt32 {
		return nil, bad("more messages than there can be")
	}
	m.Ham, m.Spam = int(ham), int(spam)
	wordless := next()
	if wordless > 1 {
		return nil, bad("an option that is none")
	}
	m.Wordless = wordless == 1
	if m.slope, m.limit = math.Float64frombits(next()), math.Float64frombits(next()); !(m.slope > 0 && m.slope <= 1e3 && math.Abs(m.limit) <= 1e3) {
		return nil, bad("a calibration out of bounds")
	}
	for i := range m.seats {
		m.seats[i] = next()
	}
	if count := next(); count > size || uint64(len(body)) != count*recordSize {
		return nil, bad("cut")
	}
	last := int64(-1)
	for ; len(body) > 0; body = body[recordSize:] {
		i := le.Uint32(body)
		if int64(i) <= last || i >= size || body[20] == 0 || body[21] > 1 {
			return nil, bad("a feature out of bounds")
		}
		last = int64(i)
		for k, w := range []*weights{&m.plain, &m.robust} {
			z, n := math.Float32frombits(le.Uint32(body[4+8*k:])), math.Float32frombits(le.Uint32(body[8+8*k:]))
			if !(math.Abs(float64(z)) <= 1e9) || !(n >= 0 && n <= 1e12) {
				return nil, bad("a weight out of bounds")
			}
			w.z[i], w.n[i] = z, n
			w.set(i)
		}
		m.df[i], m.barred[i] = body[20], body[21] == 1
	}
	return m, nil
}
