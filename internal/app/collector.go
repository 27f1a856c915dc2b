package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	flowdecode "github.com/breakwater-project/breakwater/internal/intake/decode/netflow"
	"github.com/breakwater-project/breakwater/internal/intake/listen/netflow"
	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// templatesEvery is how often what exporters told of their templates is kept, where it changed.
const templatesEvery = 5 * time.Second

// maxTemplatesFile bounds what is read of such a file.
const maxTemplatesFile = 256 << 20

// collector is a listener for flow exports with its translator, whose templates are kept in a file.
type collector struct {
	listener   *netflow.Listener
	translator *flowdecode.Translator
	file       string
	keeping    sync.Mutex
	kept       uint64 // the changes that the file has; under keeping
	log        *slog.Logger
}

// collect starts a collector of flow exports.
func (w *watch) collect(s *config.NetFlow) (*collector, error) {
	var sources sourceBindings
	for i := range s.Bindings {
		if err := sources.add(&s.Bindings[i]); err != nil {
			return nil, fmt.Errorf("a netflow binding: %w", err)
		}
	}
	c := &collector{file: filepath.Join(w.opt.Data, "netflow", templatesName(s.Address)), log: w.log}
	var err error
	c.listener, err = netflow.Listen(netflow.Config{Name: "udp " + s.Address, Address: s.Address, BySource: sources.find, Log: w.log,
		Refused: flowdecode.Refused,
		Translator: func(emit func(netip.Addr, []byte)) netflow.Translator {
			c.translator = flowdecode.New(flowdecode.Options{Emit: emit})
			c.restore()
			return c.translator
		}}, w.gate)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// templatesName is the file's name for a collector's address; a port is enough to tell two apart, and the rest shows
// whose it is.
func templatesName(address string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, address) + ".templates.json"
}

// restore takes the templates that were kept. Without them the exporters' next ones are waited for.
func (c *collector) restore() {
	st, err := os.Stat(c.file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var data []byte
	if err == nil && st.Size() > maxTemplatesFile {
		err = fmt.Errorf("%d bytes are more than %d", st.Size(), maxTemplatesFile)
	}
	if err == nil {
		data, err = os.ReadFile(c.file)
	}
	if err == nil {
		err = c.translator.Restore(data)
	}
	if err != nil {
		c.log.Warn("templates of flow exporters could not be read; flows wait until exporters send them again", "file", c.file, "err", err)
	}
	c.kept = c.translator.Changes()
}

// keepTemplates keeps them while the collector runs.
func (c *collector) keepTemplates(ctx context.Context) {
	clock := time.NewTicker(templatesEvery)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
			c.keep()
		}
	}
}

// keep writes the templates where they changed, in a new file that takes the place of the old one once it is whole.
func (c *collector) keep() {
	c.keeping.Lock() // the stop may come while the clock has just struck
	defer c.keeping.Unlock()
	changes := c.translator.Changes()
	if changes == c.kept {
		return
	}
	data, err := c.translator.Snapshot()
	if err == nil {
		err = replaceFile(c.file, data)
	}
	if err != nil {
		c.log.Error("templates of flow exporters could not be kept; a restart waits for exporters to send them again", "file", c.file, "err", err)
		return
	}
	c.kept = changes
}

// replaceFile writes a file anew, on disk before it takes the old one's place.
func replaceFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return fmt.Errorf("making its folder: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("making a new file beside it: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing a new file beside it: %w", err)
	}
	return os.Rename(f.Name(), name)
}

// close stops the listener, which hands on what it holds, and keeps the templates a last time.
func (c *collector) close(ctx context.Context) {
	_ = c.listener.Close(ctx) // it tells what it dropped in its counters
	c.keep()
}

// expose writes the counters of the listener and of its translator.
func (c *collector) expose(m *exposition) {
	of := []string{"listener", c.listener.Addr().String(), "what"}
	l, t := c.listener.Stats(), c.translator.Stats()
	for _, x := range []struct {
		what string
		n    int64
	}{{"taken", l.Datagrams}, {"bad", l.Bad}, {"unbound", l.Unbound}, {"kernel_dropped", l.KernelDropped}, {"lost", t.Lost}} {
		m.write("netflow_datagrams_total", "counter", "datagrams of flow exports; lost: missing by the exporters' sequence numbers", x.n, append(of, x.what)...)
	}
	for _, x := range []struct {
		what string
		n    int64
	}{{"exported", t.Records}, {"repeated", t.Repeated}, {"skipped", t.Skipped}, {"early", t.Early}, {"undated", t.Untimed}} {
		m.write("netflow_records_total", "counter", "exported records, and those that gave no flow of their own or could not wait for their opposite direction", x.n, append(of, x.what)...)
	}
	for _, x := range []struct {
		what string
		n    int64
	}{{"given", t.Flows}, {"half", t.Halves}, {"kept", l.Flows}, {"dropped", l.Dropped}} {
		m.write("netflow_flows_total", "counter", "flows: given by the translator, of one direction alone, on disk, and dropped for want of room", x.n, append(of, x.what)...)
	}
	for _, x := range []struct {
		what string
		n    int64
	}{{"never_came", t.NoTemplate}, {"no_room", t.NoRoom}, {"refused", t.TooMany}} {
		m.write("netflow_templates_missing_total", "counter", "sets of records dropped for want of their template, and templates refused", x.n, append(of, x.what)...)
	}
	m.write("netflow_exporters", "gauge", "flow exporters that are known", t.Exporters, of[:2]...)
	m.write("netflow_templates", "gauge", "templates that are known", t.Templates, of[:2]...)
	m.write("netflow_waiting_bytes", "gauge", "records that wait for their template", t.Waiting, of[:2]...)
}
