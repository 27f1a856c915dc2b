package httpin

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// A body that grows by more than maxRatio, once ratioFrom is reached, is a bomb: logs reach 60.
const (
	maxRatio   = 200
	ratioFrom  = 1 << 20
	zstdWindow = 8 << 20 // RFC 8878 3.1.1.1.2: what every decoder should support, and no more
)

// budget is the memory that all requests share.
type budget struct {
	mu   sync.Mutex
	left int64
}

// lease is a request's part of the budget.
type lease struct {
	of   *budget
	held int64
}

// grow takes more of the budget, or says that there is no more.
func (l *lease) grow(n int64) error {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if n > l.of.left {
		return &listen.Busy{Reason: "too many large requests at the same time", Retry: time.Second}
	}
	l.of.left -= n
	l.held += n
	return nil
}

func (l *lease) shrink(n int64) {
	l.of.mu.Lock()
	l.of.left += n
	l.held -= n
	l.of.mu.Unlock()
}

func (l *lease) release() { l.shrink(l.held) }

// body reads a request: decompressed, within its limits, and not slower than allowed.
type body struct {
	in      *paced
	out     io.Reader
	lease   *lease
	charged int64 // for the decompressor
	close   func()
	limit   int64
	read    int64
}

// open prepares to read a request's body. The caller closes it.
func (h *Handler) open(w http.ResponseWriter, r *http.Request, l *lease) (*body, error) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return nil, refuse(http.StatusUnsupportedMediaType, "media_type_header_exception", "forms are not taken: send the data itself as the body (curl --data-binary @FILE)")
	}
	if r.ContentLength > h.opt.MaxBody {
		return nil, tooLarge(h.opt.MaxBody)
	}
	in := &paced{
		src: r.Body, control: http.NewResponseController(w), window: h.opt.Grace,
		least: int64(float64(h.opt.MinRate) * h.opt.Grace.Seconds()),
	}
	b := &body{in: in, lease: l, limit: h.opt.MaxBody, close: func() {}}
	return b, b.decode(r.Header.Get("Content-Encoding"), in)
}

func tooLarge(limit int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the request is larger than %d bytes; send it in parts", limit)
}

// decode sets up the decompressor that the encoding names.
func (b *body) decode(encoding string, src io.Reader) error {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		b.out = src
		return nil
	case "gzip", "x-gzip":
		return b.gzip(src)
	case "zstd":
		return b.zstd(src)
	case "deflate":
		return b.deflate(src)
	}
	return refuse(http.StatusUnsupportedMediaType, "media_type_header_exception", "Content-Encoding %.40q is not taken; gzip, zstd and deflate are", encoding)
}

// charge takes what a decompressor needs from the budget, until the body is closed.
func (b *body) charge(n int64) error {
	if err := b.lease.grow(n); err != nil {
		return err
	}
	b.charged += n
	return nil
}

var gzipReaders, zstdReaders sync.Pool

func (b *body) gzip(src io.Reader) error {
	if err := b.charge(64 << 10); err != nil {
		return err
	}
	z, _ := gzipReaders.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	if err := z.Reset(src); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // nothing at all is no gzip
		}
		return broken(err)
	}
	b.out, b.close = z, func() { gzipReaders.Put(z) }
	return nil
}

func (b *body) zstd(src io.Reader) error {
	if err := b.charge(zstdWindow + 1<<20); err != nil {
		return err
	}
	z, _ := zstdReaders.Get().(*zstd.Decoder)
	if z == nil {
		var err error
		z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindow))
		if err != nil {
			return broken(err)
		}
	}
	if err := z.Reset(src); err != nil {
		return broken(err)
	}
	b.out, b.close = z, func() {
		if z.Reset(nil) == nil {
			zstdReaders.Put(z)
		}
	}
	return nil
}

// deflate takes what RFC 9110 8.4.1.2 asks for, a zlib stream, and the bare stream that some senders make of it.
func (b *body) deflate(src io.Reader) error {
	if err := b.charge(64 << 10); err != nil {
		return err
	}
	in := bufio.NewReader(src)
	head, _ := in.Peek(2)
	if len(head) == 2 && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		z, err := zlib.NewReader(in)
		if err != nil {
			return broken(err)
		}
		b.out = z
		return nil
	}
	b.out = flate.NewReader(in)
	return nil
}

// unwrap decompresses a file that is compressed in itself, as its first bytes say.
func (b *body) unwrap(encoding string) error {
	if encoding != "" {
		return nil
	}
	in := bufio.NewReader(b.out)
	head, _ := in.Peek(4)
	b.out = in
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return b.gzip(in)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return b.zstd(in)
	}
	return nil
}

func broken(err error) error {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the body needs a zstd window over %d bytes; compress it without --long", zstdWindow)
	}
	return refuse(http.StatusBadRequest, "parse_exception", "the body can't be decompressed, or ends too early: %s", err)
}

// Read implements io.Reader. Every error but io.EOF is an answer.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.out.Read(p)
	b.read += int64(n)
	switch {
	case b.read > b.limit:
		return 0, tooLarge(b.limit)
	case b.charged > 0 && b.read > ratioFrom && b.read > maxRatio*b.in.read:
		return 0, refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "the body grows more than %d times when it is decompressed", maxRatio)
	case err == io.EOF:
		b.end()
		return n, err
	case err == nil:
		return n, nil
	}
	return n, broken(err)
}

// end reads what stands behind a compressed stream up to the end of the body, for the connection to be used again.
func (b *body) end() {
	var rest [512]byte
	if n, err := b.in.Read(rest[:]); n == 0 && err == nil {
		_, _ = b.in.Read(rest[:])
	}
}

// Close gives the decompressor back.
func (b *body) Close() {
	b.close()
	b.close = func() {}
	b.lease.shrink(b.charged)
	b.charged = 0
}

// paced reads a connection and gives up on one that brings fewer than a least number of bytes within any window,
// so that nobody holds memory by sending slowly.
type paced struct {
	src     io.Reader
	control *http.ResponseController
	window  time.Duration
	least   int64
	read    int64
	since   time.Time // when the window began
	got     int64     // bytes in it
}

func (p *paced) Read(b []byte) (int, error) {
	now := time.Now()
	if p.since.IsZero() || p.got >= p.least && now.Sub(p.since) > p.window/10 {
		p.since, p.got = now, 0
		_ = p.control.SetReadDeadline(now.Add(p.window)) // not every connection can; the server's timeouts hold then
	}
	n, err := p.src.Read(b)
	p.read += int64(n)
	p.got += int64(n)
	var tooMuch *http.MaxBytesError
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		p.done()
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, refuse(http.StatusRequestTimeout, "timeout_exception", "the body came too slowly: less than %d bytes in %s", p.least, p.window)
	case errors.As(err, &tooMuch):
		return n, tooLarge(tooMuch.Limit)
	}
	return n, refuse(http.StatusBadRequest, "parse_exception", "the body ends too early")
}

// done lifts the deadline at the end of a body: from there on the server reads to notice a sender who leaves. Where
// the end was not reached the deadline stays, so that the server does not wait for the rest before it answers.
func (p *paced) done() { _ = p.control.SetReadDeadline(time.Time{}) }
