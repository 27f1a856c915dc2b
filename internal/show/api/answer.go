package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Problem is an error that says what HTTP status answers it. Its text is shown to the caller.
type Problem struct {
	Status int
	Says   string
	Retry  time.Duration // when to ask again; 0: not said
}

// Error is what the caller is told.
func (p *Problem) Error() string { return p.Says }

func misuse(says string) error { return &Problem{Status: http.StatusBadRequest, Says: says} }

// problem turns an error of what stands behind the API into an answer. What it does not know stays inside.
func problem(err error) *Problem {
	var p *Problem
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, ErrNotFound):
		return &Problem{Status: http.StatusNotFound, Says: ErrNotFound.Error()}
	case errors.Is(err, ErrRefused):
		return &Problem{Status: http.StatusUnauthorized, Says: ErrRefused.Error()}
	case errors.As(err, &big):
		return &Problem{Status: http.StatusRequestEntityTooLarge, Says: "the body is over " + strconv.FormatInt(big.Limit, 10) + " bytes"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Problem{Status: http.StatusServiceUnavailable, Says: "this took too long; try again", Retry: 5 * time.Second}
	}
	return nil
}

// fail answers with an error as JSON. An error that nobody foresaw is logged, and the caller told only that there is one.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem(err)
	if p == nil {
		h.opt.Log.Error("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		p = &Problem{Status: http.StatusInternalServerError, Says: "something went wrong here; the log says what"}
	}
	if p.Retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((p.Retry+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="breakwater"`)
	}
	body, err := json.Marshal(map[string]string{"error": p.Says})
	if err != nil {
		body = []byte(`{"error":"unknown"}`)
	}
	h.send(w, r, p.Status, "application/json", append(body, '\n'))
}

// reply answers with a value as JSON.
func (h *Handler) reply(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.send(w, r, status, "application/json", append(body, '\n'))
}

// minGzip is from where on a body is worth compressing.
const minGzip = 2 << 10

// send writes a body, compressed where the caller takes that. Nothing secret of ours stands in a body beside what a
// caller chose, so that its length tells nothing (BREACH).
func (h *Handler) send(w http.ResponseWriter, r *http.Request, status int, kind string, body []byte) {
	head := w.Header()
	head.Set("Content-Type", kind)
	head.Add("Vary", "Accept-Encoding")
	if len(body) >= minGzip && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		var small bytes.Buffer
		z, err := gzip.NewWriterLevel(&small, gzip.BestSpeed)
		if err == nil {
			if _, err = z.Write(body); err == nil {
				err = z.Close()
			}
		}
		if err == nil {
			head.Set("Content-Encoding", "gzip")
			body = small.Bytes()
		}
	}
	head.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		if _, err := w.Write(body); err != nil {
			h.opt.Log.Debug("a caller went away", "path", r.URL.Path, "error", err)
		}
	}
}

func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.ReplaceAll(params, " ", "") != "q=0"
		}
	}
	return false
}

// decode reads a body of one JSON object without unknown keys.
func decode(r *http.Request, v any) error {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(kind) != "application/json" {
		return &Problem{Status: http.StatusUnsupportedMediaType, Says: "send a JSON object with Content-Type: application/json"}
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return err
		}
		return misuse("the body is no JSON object as it should be: " + err.Error())
	}
	if d.More() {
		return misuse("the body holds more than one JSON object")
	}
	return nil
}

func seconds(d time.Duration) []byte {
	return strconv.AppendFloat(nil, float64(d.Milliseconds())/1000, 'f', -1, 64)
}
