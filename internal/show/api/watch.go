package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a watch: how much is written at once, how long a reader may take for it, and how often changes are told.
const (
	watchBatch = 256
	watchSlow  = 10 * time.Second
	watchPace  = 200 * time.Millisecond
	watchRows  = 2 * time.Second // how often coverage and levels are looked at
)

// watchKinds are what a watch may be restricted to.
var watchKinds = []string{"campaign", "incident", "finding", "coverage", "level", "status"}

// watch follows what the caller may see as server-sent events (WHATWG HTML 9.2). The first event is ready. Where
// changes were missed, because a reader was away or too slow for too long, reset says that everything should be read
// anew. A reader that does not take what is written within 10 s is dropped.
func (h *Handler) watch(c *call) error {
	only, err := kindsOf(c.URL.Query().Get("only"))
	if err != nil {
		return err
	}
	if !h.enter() {
		return &Problem{Status: http.StatusServiceUnavailable, Says: "too many watches are open; try again", Retry: 30 * time.Second}
	}
	defer h.leave()
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	defer context.AfterFunc(h.done, cancel)()

	v := h.sights.of(c.who.Scope)
	h.sights.hold(v, 1)
	defer h.sights.hold(v, -1)
	s := &stream{h: h, v: v, out: http.NewResponseController(c.w), w: c.w, only: only, brief: c.URL.Query().Has("brief")}
	now, seq := v.watch()
	if _, err := v.look(ctx, watchRows); err != nil {
		return err
	}
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.Header().Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	if last := lastEvent(c.Request); last != "" {
		if from, ok := v.place(last); ok {
			seq = from
		} else {
			s.event("reset", seq, struct{}{})
		}
	}
	s.event("ready", seq, map[string]any{"version": now.Version})
	if err := s.flush(); err != nil {
		return nil
	}
	if err := s.follow(ctx, c, seq); err != nil && ctx.Err() == nil {
		h.opt.Log.Debug("a watch ends", "by", c.who.ID, "error", err)
	}
	return nil // the answer has begun; there is nobody to tell
}

func kindsOf(s string) ([]string, error) {
	if s == "" {
		return watchKinds, nil
	}
	list := strings.Split(s, ",")
	for _, k := range list {
		if !slices.Contains(watchKinds, k) {
			return nil, misuse("only: use " + strings.Join(watchKinds, ", "))
		}
	}
	return list, nil
}

func (h *Handler) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers >= MaxWatchers || h.done.Err() != nil {
		return false
	}
	h.watchers++
	return true
}

func (h *Handler) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers--
}

// lastEvent is the id of the last event that the caller had, from before it was cut off.
func lastEvent(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	return r.URL.Query().Get("after")
}

// place reads an event's id; false where it is of another run, or too long ago.
func (v *sight) place(id string) (uint64, bool) {
	boot, n, ok := strings.Cut(id, "-")
	seq, err := strconv.ParseUint(n, 10, 64)
	if !ok || err != nil || boot != v.boot {
		return 0, false
	}
	_, _, _, known := v.since(seq, 0)
	return seq, known
}

// stream writes events to one reader.
type stream struct {
	h    *Handler
	v    *sight
	out  *http.ResponseController
	w    http.ResponseWriter
	only []string

	brief bool // ids alone
	buf   bytes.Buffer
}

// event adds an event to what is written next.
func (s *stream) event(kind string, seq uint64, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		s.h.opt.Log.Error("an event cannot be written", "kind", kind, "error", err)
		return
	}
	fmt.Fprintf(&s.buf, "event: %s\nid: %s-%d\ndata: %s\n\n", kind, s.v.boot, seq, data)
}

// flush writes what was added, for at most watchSlow.
func (s *stream) flush() error {
	defer s.buf.Reset()
	if err := s.out.SetWriteDeadline(time.Now().Add(s.h.slow)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return err
	}
	return s.out.Flush()
}

// follow writes changes as they come, and a status when nothing did for a heartbeat.
func (s *stream) follow(ctx context.Context, c *call, seq uint64) error {
	wrote, stated := time.Now(), time.Time{}
	var told Status
	for {
		version := s.v.current().Version
		wait, cancel := context.WithTimeout(ctx, min(s.h.opt.Heartbeat, watchRows))
		_, err := s.h.opt.Live.Wait(wait, version)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		s.v.current()
		rate, err := s.v.look(ctx, watchRows)
		if err != nil {
			return err
		}
		for {
			list, to, now, known := s.v.since(seq, watchBatch)
			if !known {
				s.event("reset", to, struct{}{})
			}
			for _, ch := range list {
				if v := now.find(ch.kind, ch.id); v != nil && slices.Contains(s.only, ch.kind) {
					if s.brief {
						v = map[string]string{"id": ch.id}
					}
					s.event(ch.kind, ch.seq, v)
				}
			}
			seq = to
			if s.buf.Len() > 0 {
				if err := s.flush(); err != nil {
					return err
				}
				wrote = time.Now()
			}
			if len(list) < watchBatch {
				break
			}
		}
		st := s.h.statusFor(c.who.Scope)
		fresh := (st.Ready != told.Ready || !sameTime(st.LastEvent, told.LastEvent)) && time.Since(stated) >= time.Second
		if slices.Contains(s.only, "status") && fresh || time.Since(wrote) >= s.h.opt.Heartbeat {
			if who, err := s.h.principal(c.Request); err != nil || !who.May("viewer") { // a token may have been taken back
				return err
			}
			told, stated = st, time.Now()
			if slices.Contains(s.only, "status") {
				s.event("status", seq, liveStatus{st, rate})
			} else {
				s.buf.WriteString(": alive\n\n")
			}
			if err := s.flush(); err != nil {
				return err
			}
			wrote = time.Now()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(watchPace, s.h.opt.Heartbeat)):
		}
	}
}

// liveStatus is the status with how much comes in of what the caller may see.
type liveStatus struct {
	Status
	Rate float64 `json:"events_per_second"`
}

func sameTime(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}
