package bus

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A message on disk is the mark, a mask's seed, and the compressed batch under the mask.
const (
	mark     = "\x00bw\x01" // begins with a byte that no subject has; the last byte is the version
	seedLen  = aes.BlockSize
	sealHead = len(mark) + seedLen
)

// sealer turns batches into messages and back. It may be used by several goroutines.
type sealer struct {
	enc   *zstd.Encoder
	dec   *zstd.Decoder
	plain sync.Pool // *[]byte, what was encoded last
	room  sync.Pool // *[]byte, what was compressed last
}

func newSealer() (*sealer, error) {
	workers := runtime.GOMAXPROCS(0)
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(workers),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("preparing compression for the bus: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(workers), zstd.WithDecoderMaxMemory(maxPlain),
		zstd.WithDecoderMaxWindow(maxPlain))
	if err != nil {
		return nil, fmt.Errorf("preparing decompression for the bus: %w", err)
	}
	return &sealer{enc: enc, dec: dec}, nil
}

func take(p *sync.Pool) []byte {
	if b, ok := p.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return nil
}

// give keeps a buffer for the next batch, unless it is one that only an unusual batch needs.
func give(p *sync.Pool, b []byte) {
	if cap(b) <= 4*MaxBytes {
		p.Put(&b)
	}
}

// seal gives the message of a batch in a buffer that is to be given back with release.
func (s *sealer) seal(b *Batch) ([]byte, error) {
	plain, err := appendBatch(take(&s.plain), b)
	if err != nil {
		return nil, err
	}
	defer give(&s.plain, plain)
	msg := append(take(&s.room), mark...)
	msg = append(msg, make([]byte, seedLen)...)
	if _, err := rand.Read(msg[len(mark):sealHead]); err != nil {
		return nil, fmt.Errorf("drawing a mask: %w", err)
	}
	msg = s.enc.EncodeAll(plain, msg)
	if len(msg) > MaxPayload {
		n := len(msg)
		s.release(msg)
		return nil, fmt.Errorf("%d bytes compressed, at most %d are allowed: %w", n, MaxPayload, ErrTooLarge)
	}
	return msg, masked(msg)
}

func (s *sealer) release(msg []byte) { give(&s.room, msg) }

// masked puts the mask on a message, or takes it off. The mask is no secret: it keeps senders from choosing which
// bytes are written, as in RFC 6455 10.3. Otherwise a record forged inside a batch could be taken for a record of
// the store when a damaged block is searched for what is left.
func masked(msg []byte) error {
	block, err := aes.NewCipher(msg[len(mark):sealHead])
	if err != nil {
		return fmt.Errorf("masking a message: %w", err)
	}
	var zero [aes.BlockSize]byte
	cipher.NewCTR(block, zero[:]).XORKeyStream(msg[sealHead:], msg[sealHead:])
	return nil
}

// open reads a message; msg is used up. The batch's bytes are its own.
func (s *sealer) open(msg []byte) (Batch, error) {
	if len(msg) < sealHead || string(msg[:len(mark)]) != mark {
		return Batch{}, fmt.Errorf("%w: it does not begin as this version's messages do", errBatch)
	}
	if err := masked(msg); err != nil {
		return Batch{}, err
	}
	plain, err := s.dec.DecodeAll(msg[sealHead:], nil)
	if err != nil {
		return Batch{}, fmt.Errorf("%w: decompressing: %w", errBatch, err)
	}
	return parseBatch(plain)
}

func (s *sealer) close() {
	s.dec.Close()
	_ = s.enc.Close() // it has no writer that could fail
}
