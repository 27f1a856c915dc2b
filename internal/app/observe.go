package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"runtime"

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
	var b bytes.Buffer
	gauge := func(name string, v any) { fmt.Fprintf(&b, "breakwater_%s %v\n", name, v) }
	s := &w.live.stats
	for name, n := range map[string]int64{"records_total": s.records.Load(), "events_total": s.events.Load(), "repeats_total": s.repeats.Load(),
		"rebuilds_total": s.rebuilds.Load(), "out_of_order_written_off_total": s.writtenOff.Load(), "checkpoints_total": s.checkpoints.Load(),
		"answers_total": s.draws.Load(), "settling_events": s.waiting.Load(), "out_of_order_events": s.debt.Load()} {
		gauge(name, n)
	}
	gauge("answer_seconds", float64(s.drawMicros.Load())/1e6)
	gauge("checkpoint_seconds", float64(s.snapMicros.Load())/1e6)
	_, last := w.bus.Span()
	gauge("bus_bytes", w.bus.Bytes())
	gauge("bus_messages_waiting", max(0, int64(last)-s.seq.Load()))
	gauge("lag_seconds", w.live.lag(last).Seconds())
	gauge("goroutines", runtime.NumGoroutine())
	w.damage.mu.Lock()
	gauge("damages_total", w.damage.count)
	w.damage.mu.Unlock()
	g := w.gate.Stats()
	for lane, x := range g.Lanes {
		label := fmt.Sprintf("{lane=%q}", lane)
		fmt.Fprintf(&b, "breakwater_accepted_records_total%s %d\n", label, x.Records)
		fmt.Fprintf(&b, "breakwater_accepted_bytes_total%s %d\n", label, x.Bytes)
		for _, why := range listen.Reasons() {
			if n := x.Refused[why]; n > 0 {
				fmt.Fprintf(&b, "breakwater_refused_records_total{lane=%q,reason=%q} %d\n", lane, why, n)
			}
		}
	}
	for _, l := range w.intakes.syslog {
		x := l.Stats()
		for name, n := range map[string]int64{"messages": x.Messages, "cut": x.Cut, "dropped": x.Dropped, "kernel_dropped": x.KernelDropped, "unbound": x.Unbound, "refused": x.Refused} {
			fmt.Fprintf(&b, "breakwater_syslog_%s_total{listener=%q} %d\n", name, l.Addr().String(), n)
		}
	}
	if a, _ := w.board.read(); a != nil {
		for _, row := range a.Coverage {
			label := fmt.Sprintf("{tenant=%q,layer=%q,sensor=%q}", row.Tenant, row.Layer, row.Sensor)
			fmt.Fprintf(&b, "breakwater_sensor_events_total%s %d\n", label, row.Events)
			fmt.Fprintf(&b, "breakwater_sensor_late_total%s %d\n", label, row.Late)
			fmt.Fprintf(&b, "breakwater_sensor_unparsed_total%s %d\n", label, row.Unparsed)
		}
		gauge("campaigns", len(a.Result.Campaigns))
		gauge("incidents", len(a.Result.Incidents))
		gauge("findings", len(a.Result.List))
	}
	metrics.WriteProcessMetrics(&b)
	rw.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = rw.Write(b.Bytes())
}

// quietLog hands what net/http says on, below what anybody looks at: most of it is what scanners do.
func quietLog(l *slog.Logger) *log.Logger { return slog.NewLogLogger(l.Handler(), slog.LevelDebug) }
