package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/pprof"
	"runtime"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metrics"

	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// healthz says that the process runs.
func (w *watch) healthz(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(rw, "ok")
}

// readyz says whether telemetry is taken in. Reads go on when it is not.
func (w *watch) readyz(rw http.ResponseWriter) {
	rw.Header().Set("Content-Type", "application/json")
	out := map[string]any{"ready": true}
	if full := w.bus.Full(); full != nil {
		rw.WriteHeader(http.StatusServiceUnavailable)
		out = map[string]any{"ready": false, "reason": full.Error()}
	}
	_ = json.NewEncoder(rw).Encode(out)
}

// metrics writes the counters in the text format of Prometheus.
func (w *watch) metrics(rw http.ResponseWriter, r *http.Request) {
	if !w.observer(rw, r) {
		return
	}
	m := &exposition{}
	s := &w.live.stats
	for _, x := range []struct {
		name, help string
		n          int64
	}{
		{"records_total", "records taken from the bus", s.records.Load()},
		{"events_total", "events of these, repeats not counted", s.events.Load()},
		{"repeats_total", "events that were delivered again", s.repeats.Load()},
		{"checkpoints_total", "checkpoints written since the start", s.checkpoints.Load()},
		{"answers_total", "answers drawn since the start", s.draws.Load()},
		{"rebuilds_total", "times that events were put into order anew", s.rebuilds.Load()},
		{"out_of_order_written_off_total", "events that stay as they were taken", s.writtenOff.Load()},
	} {
		m.write(x.name, "counter", x.help, x.n)
	}
	_, last := w.bus.Span()
	m.write("out_of_order_events", "gauge", "events that a rebuild is yet to put into order", s.debt.Load())
	m.write("settling_events", "gauge", "events that wait for earlier ones", s.waiting.Load())
	m.write("bus_bytes", "gauge", "size of the bus on disk", w.bus.Bytes())
	m.write("bus_messages_waiting", "gauge", "messages accepted and not yet taken", max(0, int64(last)-s.seq.Load()))
	m.write("lag_seconds", "gauge", "how far the pipeline is behind what was accepted", w.live.lag(last).Seconds())
	m.write("answer_seconds", "gauge", "time that the last answer took to draw", float64(s.drawMicros.Load())/1e6)
	m.write("checkpoint_seconds", "gauge", "time that the last checkpoint held the pipeline up", float64(s.snapMicros.Load())/1e6)
	m.write("trace_copy_seconds", "gauge", "time that the last copy of the hop graph, made for a trace or blast, held the pipeline up", float64(s.copyMicros.Load())/1e6)
	m.write("goroutines", "gauge", "goroutines", runtime.NumGoroutine())
	w.damage.mu.Lock()
	m.write("damages_total", "counter", "damages found and mended since the start", w.damage.count)
	w.damage.mu.Unlock()
	g := w.gate.Stats()
	for _, lane := range slices.Sorted(maps.Keys(g.Lanes)) {
		x := g.Lanes[lane]
		m.write("accepted_records_total", "counter", "records acknowledged", x.Records, "lane", lane)
		m.write("accepted_bytes_total", "counter", "bytes acknowledged", x.Bytes, "lane", lane)
		for _, why := range listen.Reasons() {
			if n := x.Refused[why]; n > 0 {
				m.write("refused_records_total", "counter", "records that had to wait or were refused", n, "lane", lane, "reason", why.String())
			}
		}
	}
	for _, l := range w.intakes.syslog {
		x := l.Stats()
		for _, c := range []struct {
			what string
			n    int64
		}{{"taken", x.Messages}, {"cut", x.Cut}, {"dropped", x.Dropped}, {"kernel_dropped", x.KernelDropped}, {"unbound", x.Unbound}, {"refused", x.Refused}} {
			m.write("syslog_messages_total", "counter", "syslog messages, and senders that were turned away", c.n, "listener", l.Addr().String(), "what", c.what)
		}
	}
	for _, c := range w.intakes.collectors {
		c.expose(m)
	}
	w.mail.expose(m)
	w.exposeHeld(m)
	if a, _ := w.board.read(); a != nil {
		for _, row := range a.Coverage {
			of := []string{"tenant", string(row.Tenant), "layer", string(row.Layer), "sensor", row.Sensor}
			m.write("sensor_events_total", "counter", "events of a sensor", row.Events, of...)
			m.write("sensor_late_total", "counter", "events of a sensor that came late", row.Late, of...)
			m.write("sensor_unparsed_total", "counter", "records of a sensor that could not be read", row.Unparsed, of...)
		}
		m.write("campaigns", "gauge", "campaigns", len(a.Result.Campaigns))
		m.write("incidents", "gauge", "incidents", len(a.Result.Incidents))
		m.write("findings", "gauge", "findings", len(a.Result.List))
	}
	var b bytes.Buffer
	m.print(&b)
	metrics.WriteProcessMetrics(&b)
	rw.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = rw.Write(b.Bytes())
}

// profile serves Go's profiles to who may see metrics, for questions about memory and time.
func (w *watch) profile(rw http.ResponseWriter, r *http.Request) {
	if !w.observer(rw, r) {
		return
	}
	switch name := strings.TrimPrefix(r.URL.Path, "/debug/pprof/"); name {
	case "profile":
		pprof.Profile(rw, r)
	case "heap", "goroutine", "allocs", "mutex", "block":
		pprof.Handler(name).ServeHTTP(rw, r)
	default:
		http.NotFound(rw, r)
	}
}

// exposition collects metrics by name, so that each name's lines stand together.
type exposition struct {
	names []string
	lines map[string][]string
	heads map[string]string
}

// write adds a value with its labels, as name and value in turn.
func (x *exposition) write(name, kind, help string, v any, labels ...string) {
	name = "breakwater_" + name
	if x.lines == nil {
		x.lines, x.heads = map[string][]string{}, map[string]string{}
	}
	if _, ok := x.heads[name]; !ok {
		x.names = append(x.names, name)
		x.heads[name] = fmt.Sprintf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	var of string
	for i := 0; i+1 < len(labels); i += 2 {
		of += fmt.Sprintf(",%s=%q", labels[i], strings.ToValidUTF8(labels[i+1], "?"))
	}
	if of != "" {
		of = "{" + of[1:] + "}"
	}
	x.lines[name] = append(x.lines[name], fmt.Sprintf("%s%s %v\n", name, of, v))
}

func (x *exposition) print(b *bytes.Buffer) {
	for _, name := range x.names {
		b.WriteString(x.heads[name])
		for _, line := range x.lines[name] {
			b.WriteString(line)
		}
	}
}

// quietLog hands what net/http says on, below what anybody looks at: most of it is what scanners do.
func quietLog(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }
