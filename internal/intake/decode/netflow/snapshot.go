package netflow

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
)

// snapshot is what is kept of a Translator over a restart: templates, sampling factors and boot times, so that nobody
// waits for an exporter to tell them again (every 20 minutes is usual).
type snapshot struct {
	Version   int            `json:"version"`
	Exporters []snapExporter `json:"exporters"`
}

type snapExporter struct {
	Addr    netip.Addr   `json:"addr"`
	Used    int64        `json:"used"`
	Domains []snapDomain `json:"domains"`
}

type snapDomain struct {
	Version   uint8                `json:"version"`
	ID        uint32               `json:"id"`
	Boot      int64                `json:"boot,omitempty"`
	Templates map[uint16]*template `json:"templates,omitempty"`
	Samplers  map[uint64]uint32    `json:"samplers,omitempty"`
}

const snapshotVersion = 1

// Changes counts the changes of what Snapshot keeps, so that it is written only when it differs.
func (t *Translator) Changes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes
}

// Snapshot returns the templates, sampling factors and boot times of all exporters, for Restore. Records that wait are
// not in it.
func (t *Translator) Snapshot() ([]byte, error) {
	t.mu.Lock()
	s := snapshot{Version: snapshotVersion}
	for _, e := range t.exporters {
		x := snapExporter{Addr: e.addr, Used: e.used}
		for id, d := range e.domains {
			if len(d.templates)+len(d.samplers) == 0 && d.boot == 0 {
				continue
			}
			k := snapDomain{Version: id.version, ID: id.id, Boot: d.boot, Templates: map[uint16]*template{}, Samplers: map[uint64]uint32{}}
			for n, y := range d.templates {
				k.Templates[n] = y // never changed, only replaced
			}
			for n, y := range d.samplers {
				k.Samplers[n] = y
			}
			x.Domains = append(x.Domains, k)
		}
		if len(x.Domains) > 0 {
			slices.SortFunc(x.Domains, func(a, b snapDomain) int { return compareDomains(&a, &b) })
			s.Exporters = append(s.Exporters, x)
		}
	}
	t.mu.Unlock()
	slices.SortFunc(s.Exporters, func(a, b snapExporter) int { return a.Addr.Compare(b.Addr) })
	data, err := json.Marshal(&s)
	if err != nil {
		return nil, fmt.Errorf("writing the exporters' templates down: %w", err)
	}
	return data, nil
}

func compareDomains(a, b *snapDomain) int {
	if a.Version != b.Version {
		return int(a.Version) - int(b.Version)
	}
	if a.ID < b.ID {
		return -1
	}
	return 1
}

// Restore takes what Snapshot returned; call it before the first datagram. What is beyond the limits, or makes no
// sense, is an error, and the Translator stays as it was: exporters tell their templates again.
func (t *Translator) Restore(data []byte) error {
	var s snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("reading the exporters' templates: %w", err)
	}
	if s.Version != snapshotVersion || len(s.Exporters) > MaxExporters {
		return fmt.Errorf("reading the exporters' templates: version %d with %d exporters", s.Version, len(s.Exporters))
	}
	all := map[netip.Addr]*exporter{}
	for i := range s.Exporters {
		e, err := s.Exporters[i].exporter()
		if err != nil {
			return fmt.Errorf("reading the templates of exporter %s: %w", s.Exporters[i].Addr, err)
		}
		all[e.addr] = e
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exporters, t.recent = all, nil
	return nil
}

func (x *snapExporter) exporter() (*exporter, error) {
	e := &exporter{addr: x.Addr, used: x.Used, domains: map[domainID]*domain{}}
	if len(x.Domains) > MaxDomains {
		return nil, fmt.Errorf("%d observation domains", len(x.Domains))
	}
	for i := range x.Domains {
		k := &x.Domains[i]
		d := e.domain(domainID{k.Version, k.ID})
		d.boot = k.Boot
		for n, f := range k.Samplers {
			d.samplers[n] = f
		}
		for n, y := range k.Templates {
			if y == nil || n < 256 || len(y.Fields) > MaxFields {
				return nil, fmt.Errorf("template %d makes no sense", n)
			}
			if y.measure(); y.least == 0 {
				return nil, fmt.Errorf("template %d has no length", n)
			}
			d.templates[n] = y
			e.templates++
		}
		if e.templates > MaxTemplates || len(d.samplers) > MaxSamplers {
			return nil, fmt.Errorf("more than %d templates or %d sampling factors", MaxTemplates, MaxSamplers)
		}
	}
	return e, nil
}
