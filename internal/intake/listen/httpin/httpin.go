// Package httpin takes telemetry over HTTP: lines (POST /ingest/ndjson), files (POST /ingest/file) and what
// senders to Elasticsearch say (_bulk, with the handshake they ask for). Requests come in; frames go to the gate;
// the answer goes out once they are on disk.
//
// A request is taken whole or not at all: it is read to its end, within limits, before any of it is submitted, so
// that a sender who is told to wait can send the same again. Nothing is parsed but what separates records.
package httpin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// The values that hold where a field of Options is zero.
const (
	DefaultMaxBody    = 64 << 20  // bytes of a request, decompressed
	DefaultMaxLine    = 1 << 20   // bytes of a line
	DefaultMaxRecords = 1_000_000 // lines of a request
	DefaultMaxItems   = 100_000   // items of a _bulk request, each of which is answered
	DefaultMaxMemory  = 256 << 20 // bytes of all requests under way
	DefaultMinRate    = 1 << 10   // bytes a second that a body must bring …
	DefaultGrace      = 10 * time.Second
)

// keptOfLongLine is how much of a line over the limit is kept, for people to see whose it was.
const keptOfLongLine = 64 << 10

// ErrUnknown and ErrNotSender are what Options.Authenticate returns for a token that nobody has, and for one that
// may do other things but send.
var (
	ErrUnknown   = errors.New("this token is not known")
	ErrNotSender = errors.New("this token is not a sender's")
)

// Options are what a Handler needs, and its limits; a zero limit takes the default.
type Options struct {
	Submit listen.Submitter
	// Authenticate says whose token it is: ErrUnknown, ErrNotSender, or another error where it can't tell now.
	Authenticate func(ctx context.Context, token string) (*listen.Binding, error)
	Log          *slog.Logger // nil: slog.Default

	MaxBody    int64
	MaxLine    int
	MaxRecords int
	MaxItems   int
	MaxMemory  int64
	MinRate    int64         // bytes a second, over each Grace
	Grace      time.Duration // how long a body may bring nothing
}

// Handler serves senders. It is an http.Handler for the paths that Wants names.
type Handler struct {
	opt    Options
	memory *budget
}

// New returns a handler.
func New(opt Options) *Handler {
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	opt.MaxBody = or(opt.MaxBody, DefaultMaxBody)
	opt.MaxLine = or(opt.MaxLine, DefaultMaxLine)
	opt.MaxRecords = or(opt.MaxRecords, DefaultMaxRecords)
	opt.MaxItems = or(opt.MaxItems, DefaultMaxItems)
	opt.MaxMemory = or(opt.MaxMemory, DefaultMaxMemory)
	opt.MinRate = or(opt.MinRate, DefaultMinRate)
	opt.Grace = or(opt.Grace, DefaultGrace)
	return &Handler{opt: opt, memory: &budget{left: opt.MaxMemory}}
}

func or[T ~int | ~int64](v, instead T) T {
	if v <= 0 {
		return instead
	}
	return v
}

// Wants reports whether a request is a sender's: by its path, and at / by carrying credentials as senders to
// Elasticsearch do and browsers don't. A mux can't tell, since /{index}/_bulk overlaps any folder.
func Wants(r *http.Request) bool {
	p := r.URL.Path
	if p == "/" {
		return r.Header.Get("Authorization") != "" && !strings.Contains(r.Header.Get("Accept"), "text/html") &&
			(r.Method == http.MethodGet || r.Method == http.MethodHead)
	}
	if p == "/ingest/ndjson" || p == "/ingest/file" || p == "/es" || strings.HasPrefix(p, "/es/") || strings.HasPrefix(p, "/_") {
		return true
	}
	index, rest, _ := strings.Cut(p[min(1, len(p)):], "/")
	return index != "" && (rest == "_bulk" || rest == "_doc" || strings.HasPrefix(rest, "_doc/") || strings.HasPrefix(rest, "_create/"))
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 { // a body that nobody reads must not hold the answer up either
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.opt.Grace))
	}
	switch r.URL.Path {
	case "/ingest/ndjson":
		h.NDJSON(w, r)
	case "/ingest/file":
		h.File(w, r)
	default:
		h.Elastic(w, r)
	}
}

// problem is an answer that is no success.
type problem struct {
	status int
	reason string
	kind   string        // Elasticsearch's name for it
	retry  time.Duration // when to try again; zero: not as it is
}

func (p *problem) Error() string { return p.reason }

func refuse(status int, kind, format string, args ...any) *problem {
	return &problem{status: status, kind: kind, reason: fmt.Sprintf(format, args...)}
}

// problemOf says what an error means to the sender.
func (h *Handler) problemOf(ctx context.Context, err error) *problem {
	var p *problem
	var busy *listen.Busy
	var large *listen.TooLarge
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &busy):
		p = refuse(http.StatusTooManyRequests, "es_rejected_execution_exception", "%s", busy.Reason)
		if busy.Full {
			p = refuse(http.StatusServiceUnavailable, "cluster_block_exception", "%s", busy.Reason)
		}
		p.retry = max(busy.Retry, time.Millisecond)
		return p
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, "illegal_argument_exception", "%s", err)
	case errors.Is(err, listen.ErrKeyReused):
		return refuse(http.StatusUnprocessableEntity, "illegal_argument_exception", "%s", err)
	case ctx.Err() != nil: // nobody reads the answer
		return refuse(http.StatusServiceUnavailable, "timeout_exception", "the request was given up")
	}
	h.opt.Log.Error("a request could not be taken", "error", err)
	p = refuse(http.StatusServiceUnavailable, "unavailable_shards_exception", "nothing was acknowledged; send the request again")
	p.retry = time.Second
	return p
}

// fail answers with a problem as JSON.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := h.problemOf(r.Context(), err)
	answer := struct {
		Error string `json:"error"`
		Retry int64  `json:"retry_after_ms,omitempty"`
	}{p.reason, p.retry.Milliseconds()}
	p.header(w)
	reply(w, p.status, answer)
}

func (p *problem) header(w http.ResponseWriter) {
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retry.Seconds()))))
	}
	switch p.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer, Basic realm="breakwater", ApiKey`)
	case http.StatusUnsupportedMediaType:
		w.Header().Set("Accept-Encoding", "gzip, zstd, deflate") // RFC 9110 12.5.3
	}
}

func reply(w http.ResponseWriter, status int, answer any) {
	b, err := json.Marshal(answer)
	if err != nil {
		status, b = http.StatusInternalServerError, []byte(`{"error":"the answer could not be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

// method refuses other methods than those named.
func method(w http.ResponseWriter, r *http.Request, allowed ...string) error {
	for _, m := range allowed {
		if r.Method == m {
			return nil
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return refuse(http.StatusMethodNotAllowed, "method_not_allowed", "%s is not taken here; use %s", r.Method, allowed[0])
}

// stamped checks the method and the sender of a request, and returns what all its frames have in common.
func (h *Handler) stamped(w http.ResponseWriter, r *http.Request, methods ...string) (bus.Frame, error) {
	if err := method(w, r, methods...); err != nil {
		return bus.Frame{}, err
	}
	binding, err := h.sender(r)
	if err != nil {
		return bus.Frame{}, err
	}
	return stamp(binding, r)
}

// stamp is what all frames of a request have in common.
func stamp(b *listen.Binding, r *http.Request) (bus.Frame, error) {
	key := r.Header.Get("Idempotency-Key")
	if len(key) > 256 || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		return bus.Frame{}, refuse(http.StatusBadRequest, "illegal_argument_exception", "Idempotency-Key must be at most 256 printable ASCII characters")
	}
	return bus.Frame{
		Sensor: b.Sensor, Tenant: b.Tenant, Layer: b.Layer, Authenticated: b.Authenticated,
		Received: time.Now().UTC(), Peer: r.RemoteAddr, Key: key,
	}, nil
}
