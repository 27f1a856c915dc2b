// Serveload sends telemetry to `breakwater serve` as many senders do, and says what became of it. It is bounded in
// memory, waits where it is told to, and sends every request that got no answer again with the same key.
//
//	serveload world DIR                     write the configuration of the organisations that send
//	serveload feed DIR                      write what they send to files, for benchmarks of the pipeline alone
//	serveload send -url URL -tokens FILE …  send, and print what was counted as JSON
//	serveload ready URL                     wait until a server takes telemetry in; print how long in milliseconds
//	serveload value KEY.KEY FILE            print one value of what send printed
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

type options struct {
	url, tokens, manifest, samples     string
	rate                               float64
	seconds, drain, settle, probe, cut time.Duration
	connections, batch, size           int
	gzip, verify                       bool
	noisy                              string
	factor                             float64
	run                                uint64
	reader                             string // token of one who may see everything
}

// tenants is how many organisations there are.
const tenants = 10

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "serveload:", err)
		os.Exit(1)
	}
}

func command(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "world":
		return writeConfiguration(args[1], world(tenants))
	case len(args) == 2 && args[0] == "feed":
		return writeFeed(args[1], world(tenants))
	case len(args) == 2 && args[0] == "ready":
		return awaitReady(args[1])
	case len(args) == 3 && args[0] == "value":
		return value(args[1], args[2])
	case len(args) > 0 && args[0] == "send":
		return send(args[1:])
	}
	return errors.New("usage: serveload world DIR | feed DIR | send FLAGS | ready URL | value KEY FILE")
}

func flags(args []string) (*options, error) {
	o := &options{run: rand.Uint64()}
	f := flag.NewFlagSet("send", flag.ContinueOnError)
	f.StringVar(&o.url, "url", "http://127.0.0.1:8460", "the server")
	f.StringVar(&o.tokens, "tokens", "", "file of tokens, an object a line as `breakwater token create -o json` prints them; one of them a reader's")
	f.StringVar(&o.manifest, "manifest", "", "file to write what was acknowledged of each sensor to")
	f.StringVar(&o.samples, "samples", "", "file to write the server's memory and goroutines to, every five seconds")
	f.Float64Var(&o.rate, "rate", 0, "events a second, of all tenants; 0: as fast as they are accepted")
	f.DurationVar(&o.seconds, "for", 10*time.Second, "how long to send")
	f.DurationVar(&o.drain, "drain", time.Minute, "how long to try to have the last requests acknowledged")
	f.DurationVar(&o.settle, "settle", 20*time.Second, "with -check: how long nothing may change before something counts as lost")
	f.DurationVar(&o.probe, "probe", 0, "how often to send a marker that must become a finding; 0: never")
	f.DurationVar(&o.cut, "cut", 0, "how often each connection is broken within a request; 0: never")
	f.IntVar(&o.connections, "connections", 2, "connections of each tenant")
	f.IntVar(&o.batch, "batch", 250, "events of a request")
	f.IntVar(&o.size, "size", 1024, "bytes that an event is padded to")
	f.BoolVar(&o.gzip, "gzip", false, "compress requests")
	f.BoolVar(&o.verify, "check", false, "compare what was acknowledged with what the server counts")
	f.StringVar(&o.noisy, "noisy", "", "tenant that sends more than its share")
	f.Float64Var(&o.factor, "factor", 50, "how many times its share the noisy tenant sends")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 || o.url == "" || o.tokens == "" || o.batch < 1 || o.connections < 1 {
		return nil, errors.New("send needs -tokens, a batch and connections of 1 or more, and no arguments")
	}
	return o, nil
}

// readTokens reads the sensors' tokens by tenant, and a reader's.
func (o *options) readTokens() (map[string]map[string]string, error) {
	f, err := os.Open(o.tokens)
	if err != nil {
		return nil, fmt.Errorf("reading tokens: %w", err)
	}
	defer f.Close()
	out := map[string]map[string]string{}
	for d := json.NewDecoder(bufio.NewReader(f)); d.More(); {
		var a access
		if err := d.Decode(&a); err != nil {
			return nil, fmt.Errorf("reading tokens of %s: %w", o.tokens, err)
		}
		if a.Role != "sensor" {
			o.reader = a.Token
			continue
		}
		if out[a.Tenant] == nil {
			out[a.Tenant] = map[string]string{}
		}
		out[a.Tenant][a.Sensor] = a.Token
	}
	return out, nil
}

func send(args []string) error {
	o, err := flags(args)
	if err != nil {
		return err
	}
	tokens, err := o.readTokens()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	writing, stopWriting := context.WithTimeout(ctx, o.seconds)
	defer stopWriting()
	finishing, stopFinishing := context.WithTimeout(context.Background(), o.seconds+o.drain)
	defer stopFinishing()

	var before map[sensorKey]counted
	if o.verify {
		if before, err = o.coverage(finishing); err != nil {
			return err
		}
	}
	t, p := newTally(), &probe{o: o}
	var group sync.WaitGroup
	errs := make(chan error, 1+tenants*o.connections*8)
	start := func(f func() error) {
		group.Go(func() {
			if err := f(); err != nil {
				errs <- err
				stopWriting()
			}
		})
	}
	senders, markers, err := o.senders(t, tokens)
	if err != nil {
		return err
	}
	for _, s := range senders {
		start(func() error { return s.run(writing, finishing) })
	}
	if o.probe > 0 {
		start(func() error { return p.run(writing, finishing, markers) })
	}
	sampled := make(chan error, 1)
	sampling, stopSampling := context.WithCancel(finishing)
	go func() { sampled <- o.sample(sampling) }()
	group.Wait()
	stopSampling()
	close(errs)
	for e := range errs {
		err = errors.Join(err, e)
	}
	err = errors.Join(err, <-sampled)
	r := o.result(t, p)
	if o.verify && err == nil {
		settling, stopSettling := context.WithTimeout(context.Background(), 10*time.Minute)
		defer stopSettling()
		r.Check, err = o.check(settling, t, before)
	}
	if err == nil && o.manifest != "" {
		err = writeManifest(o.manifest, t)
	}
	text, _ := json.MarshalIndent(r, "", "  ") // plain values always encode
	fmt.Println(string(text))
	if r.Check != nil && (r.Check.Lost > 0 || r.Check.Twice > 0 || r.Check.Unparsed > 0) {
		err = errors.Join(err, fmt.Errorf("%d events are lost, %d are counted twice, %d could not be read", r.Check.Lost, r.Check.Twice, r.Check.Unparsed))
	}
	return err
}

// senders makes the connections of every organisation, and one each for markers.
func (o *options) senders(t *tally, tokens map[string]map[string]string) (list, markers []*sender, err error) {
	orgs := world(tenants)
	share := o.rate / tenants
	conn := uint64(0)
	add := func(x *org) *sender {
		conn++
		return newSender(o, t, x, tokens[x.id], conn)
	}
	for _, x := range orgs {
		for _, sensor := range sensors {
			if tokens[x.id][sensor.name] == "" {
				return nil, nil, fmt.Errorf("%s has no token for %s/%s", o.tokens, x.id, sensor.name)
			}
		}
		rate, connections := share, o.connections
		if x.id == o.noisy {
			rate, connections = share*o.factor, connections*4
		}
		for range connections {
			s := add(x)
			s.rate, s.noisy = rate/float64(connections), x.id == o.noisy
			list = append(list, s)
		}
		markers = append(markers, add(x))
	}
	return list, markers, nil
}

// result is what a run prints.
type result struct {
	Seconds      float64          `json:"seconds"`
	Offered      float64          `json:"offered_per_second,omitempty"`
	Sent         int64            `json:"sent"`
	Acknowledged int64            `json:"acknowledged"`
	Missed       int64            `json:"missed"`
	Rate         float64          `json:"acknowledged_per_second"`
	Bytes        float64          `json:"bytes_per_event"`
	Requests     int64            `json:"requests"`
	Resent       int64            `json:"resent"`
	Cut          int64            `json:"cut"`
	Refused      map[string]int64 `json:"refused"`
	Refusals     int64            `json:"refusals"`
	Noisy        *spread          `json:"noisy,omitempty"`
	Others       *spread          `json:"others"`
	Markers      int              `json:"markers"`
	Findings     *spread          `json:"findings,omitempty"`
	Campaigns    *spread          `json:"campaigns,omitempty"`
	CPU          float64          `json:"generator_cpu_seconds"`
	Check        *verdict         `json:"check,omitempty"`
}

func (o *options) result(t *tally, p *probe) *result {
	took := t.lastAcknowledged.Sub(t.firstSent).Seconds()
	r := &result{Seconds: took, Offered: o.rate, Sent: t.sent, Acknowledged: t.acknowledged, Missed: t.missed, Requests: t.requests, Resent: t.resent, Cut: t.cut,
		Refused: map[string]int64{}, Others: t.others.spread(), Markers: len(p.list)}
	if took > 0 {
		r.Rate, r.Bytes = float64(t.acknowledged)/took, float64(t.bytes)/float64(max(1, t.sent))
	}
	for status, n := range t.refused {
		r.Refused[fmt.Sprint(status)] = n
		r.Refusals += n
	}
	if o.noisy != "" {
		r.Noisy = t.noisy.spread()
	}
	if o.probe > 0 {
		r.Findings, r.Campaigns = p.findings.spread(), p.campaigns.spread()
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) == nil {
		r.CPU = float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	return r
}

func writeManifest(name string, t *tally) error {
	var b strings.Builder
	for k, n := range t.bySensor {
		line, _ := json.Marshal(map[string]any{"tenant": k.tenant, "sensor": k.sensor, "acknowledged": n})
		b.Write(append(line, '\n'))
	}
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	return nil
}

// sample writes the server's memory and goroutines, every five seconds.
func (o *options) sample(ctx context.Context) error {
	if o.samples == "" {
		return nil
	}
	f, err := os.OpenFile(o.samples, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing samples: %w", err)
	}
	defer f.Close()
	for pause(ctx, 5*time.Second) {
		text, err := o.get(ctx, "/metrics")
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		v := map[string]string{}
		for line := range strings.Lines(string(text)) {
			if name, x, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				v[name] = x
			}
		}
		if _, err := fmt.Fprintf(f, "%d %s %s %s\n", time.Now().Unix(), live(v["go_memstats_next_gc_bytes"]), v["go_goroutines"], v["process_resident_memory_bytes"]); err != nil {
			return fmt.Errorf("writing samples: %w", err)
		}
	}
	return nil
}

// awaitReady asks until the server takes telemetry in.
func awaitReady(url string) error {
	began := time.Now()
	for time.Since(began) < time.Minute {
		if answer, err := http.Get(url + "/readyz"); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				fmt.Println(time.Since(began).Milliseconds())
				return nil
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("%s is not ready after a minute", url)
}

// value prints one value of a JSON file.
func value(path, name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("reading a result: %w", err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	for key := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok || m[key] == nil {
			return fmt.Errorf("%s has no %s", name, path)
		}
		v = m[key]
	}
	if f, ok := v.(float64); ok {
		fmt.Println(strconv.FormatFloat(f, 'f', -1, 64))
		return nil
	}
	fmt.Println(v)
	return nil
}

// live is what was in use after the last collection: the next one is due at twice that (GOGC 100). What lies between
// is garbage, and tells how busy the server was rather than what it keeps.
func live(nextGC string) string {
	n, err := strconv.ParseFloat(nextGC, 64)
	if err != nil {
		return "0"
	}
	return strconv.FormatInt(int64(n/2), 10)
}
