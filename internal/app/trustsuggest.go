package app

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds and limits of what is suggested for approval.
const (
	maxRhythms   = 50_000 // source and service pairs watched
	maxContacts  = 256    // times kept of one
	maxRhythmTo  = 1_000  // destinations counted of one
	leastRounds  = 6      // contacts of one pair before it is called regular
	leastSpan    = 30 * time.Minute
	regularWithn = 0.15     // the middle half of the gaps lies within this part of their median
	backupBytes  = 50 << 20 // of one connection
)

// Suggestion is something benign that a person may want to approve. It is never applied by itself.
type Suggestion struct {
	Kind   string         `json:"kind"` // known-failing-pair, scan-window, monitoring, backup, patch
	Trust  tenant.TrustID `json:"trust"`
	Source string         `json:"source"`
	Target string         `json:"target,omitempty"`
	Why    string         `json:"why"`
	YAML   string         `json:"yaml"` // an entry of approvals, with owner, until and reason left to fill
}

// rhythm is a source that comes to a service of a tenant again and again.
type rhythm struct {
	trust tenant.TrustID
	src   netip.Addr
	port  uint16
}

type beats struct {
	to    map[netip.Addr]*beat
	bytes int64
	most  int64 // of one connection
	full  bool
}

type beat struct {
	times []int64 // seconds since 1970
	count int
}

// suggestions collects what recurs.
type suggestions struct {
	rhythms map[rhythm]*beats
}

func newSuggestions() suggestions { return suggestions{rhythms: map[rhythm]*beats{}} }

// take counts a connection that came through a trust.
func (s *suggestions) take(e *ocsf.Event) {
	if e.Flow == nil || e.Trust == "" || e.Direction == ocsf.DirectionOut || !e.Src.IP.IsValid() || !e.Dst.IP.IsValid() || e.Dst.Port == 0 {
		return
	}
	k := rhythm{e.Trust, e.Src.IP.Unmap(), e.Dst.Port}
	b := s.rhythms[k]
	if b == nil {
		if len(s.rhythms) >= maxRhythms {
			return
		}
		b = &beats{to: map[netip.Addr]*beat{}}
		k.trust = tenant.TrustID(strings.Clone(string(k.trust)))
		s.rhythms[k] = b
	}
	n := e.Flow.OrigBytes + e.Flow.RespBytes
	b.bytes += n
	b.most = max(b.most, n)
	to := b.to[e.Dst.IP.Unmap()]
	if to == nil {
		if len(b.to) >= maxRhythmTo {
			b.full = true
			return
		}
		to = &beat{}
		b.to[e.Dst.IP.Unmap()] = to
	}
	if to.count++; len(to.times) < maxContacts {
		to.times = append(to.times, e.Time.Unix())
	}
}

// regular returns the median gap between contacts, where they keep to it.
func (b *beat) regular() (time.Duration, bool) {
	if len(b.times) < leastRounds || b.times[len(b.times)-1]-b.times[0] < int64(leastSpan/time.Second) {
		return 0, false
	}
	gaps := make([]int64, 0, len(b.times))
	for i := 1; i < len(b.times); i++ {
		gaps = append(gaps, b.times[i]-b.times[i-1])
	}
	slices.Sort(gaps)
	n := len(gaps)
	median := gaps[n/2]
	return time.Duration(median) * time.Second, median > 0 && float64(gaps[n*3/4]-gaps[n/4]) <= regularWithn*float64(median)
}

// Suggest returns what could be approved, from what was seen and found, sorted by trust, source and kind.
func (u *Uses) Suggest(c *Case) []Suggestion {
	var out []Suggestion
	out = append(out, u.failing(c)...)
	out = append(out, u.scanWindows(c)...)
	out = append(out, u.regular()...)
	slices.SortFunc(out, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(a.Trust, b.Trust), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Target, b.Target))
	})
	return out
}

func entities(f *ocsf.Finding, role string) (out []string) {
	for _, e := range f.Entities {
		if a, err := netip.ParseAddr(e.Value); err == nil && e.Role == role && e.Type == ocsf.EntityIP {
			out = append(out, a.Unmap().String())
		}
	}
	return out
}

// failing lists pollers that ask the same dead targets again and again, as the scan detector found them.
func (u *Uses) failing(c *Case) []Suggestion {
	var out []Suggestion
	for _, f := range c.Result.List {
		if f.Rule != "recon/known-failing" || f.Trust == "" || f.Suppressed != nil {
			continue
		}
		for _, src := range entities(f, ocsf.RoleSource) {
			targets := entities(f, ocsf.RoleTarget)
			s := Suggestion{Kind: "known-failing-pair", Trust: f.Trust, Source: src, Target: strings.Join(targets, ", "), Why: "known failing pair? " + f.Reason}
			if len(targets) == 0 {
				targets = []string{""}
			}
			for _, dst := range targets {
				s.YAML += approvalYAML(f.Trust, src, dst, f.Time)
			}
			out = append(out, s)
		}
	}
	return out
}

// scanWindows lists sources whose scans came at the same time of the week or day, twice or more, on different days.
func (u *Uses) scanWindows(c *Case) []Suggestion {
	type key struct {
		trust tenant.TrustID
		src   string
	}
	starts := map[key][]*ocsf.Finding{}
	for _, f := range c.Result.List {
		if f.Detector != "recon" || f.Trust == "" || f.Rule == "recon/known-failing" || f.Suppressed != nil {
			continue
		}
		for _, src := range entities(f, ocsf.RoleSource) {
			starts[key{f.Trust, src}] = append(starts[key{f.Trust, src}], f)
		}
	}
	var out []Suggestion
	for k, list := range starts {
		slices.SortFunc(list, func(a, b *ocsf.Finding) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID)) })
		days := map[string]bool{}
		first, last := 24*60, 0
		for _, f := range list {
			t := f.Time.UTC()
			days[t.Format(time.DateOnly)] = true
			first, last = min(first, t.Hour()*60+t.Minute()), max(last, t.Hour()*60+t.Minute())
		}
		if len(days) < 2 || last-first > 90 {
			continue
		}
		out = append(out, Suggestion{Kind: "scan-window", Trust: k.trust, Source: k.src, YAML: approvalYAML(k.trust, k.src, "", list[0].Time),
			Why: fmt.Sprintf("it scanned on %d days, always between %02d:%02d and %02d:%02d UTC: is that an agreed scan? If nobody knows it, it is what it looks like", len(days), first/60, first%60, last/60, last%60)})
	}
	return out
}

// regular lists sources that come to the same services in a steady rhythm.
func (u *Uses) regular() []Suggestion {
	var out []Suggestion
	for k, b := range u.rhythms {
		steady, contacts := 0, 0
		var gaps []time.Duration
		var first int64
		for _, to := range b.to {
			gap, ok := to.regular()
			contacts += to.count
			if ok {
				steady++
				gaps = append(gaps, gap)
			}
			if first == 0 || to.times[0] < first {
				first = to.times[0]
			}
		}
		if steady == 0 || steady*2 < len(b.to) || b.full {
			continue
		}
		slices.Sort(gaps)
		kind, what := "monitoring", "a monitoring poller?"
		switch {
		case k.port == 8530 || k.port == 8531:
			kind, what = "patch", "a patch server?"
		case b.most >= backupBytes:
			kind, what = "backup", "a backup?"
		}
		target := fmt.Sprintf("%d destinations", len(b.to))
		dst := ""
		if len(b.to) == 1 {
			dst = slices.Collect(maps.Keys(b.to))[0].String()
			target = dst
		}
		out = append(out, Suggestion{Kind: kind, Trust: k.trust, Source: k.src.String(), Target: fmt.Sprintf("%s port %d", target, k.port),
			Why:  fmt.Sprintf("%s %d connections to %s on port %d, about every %s, %.1f MB at most in one", what, contacts, target, k.port, gaps[len(gaps)/2], float64(b.most)/1e6),
			YAML: approvalYAML(k.trust, k.src.String(), dst, time.Unix(first, 0))})
	}
	return out
}

// approvalYAML is an entry of approvals that will not load before a person has filled it in.
func approvalYAML(trust tenant.TrustID, src, dst string, from time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- trust: %s\n  src: %s\n", trust, src)
	if dst != "" {
		fmt.Fprintf(&b, "  dst: %s\n", dst)
	}
	fmt.Fprintf(&b, "  kind: scan\n  from: %s\n  until:   # fill in: when is it looked at again?\n  owner:   # fill in: who agrees?\n  reason:  # fill in: what is it?\n", from.UTC().Format("2006-01-02T15:04:05Z"))
	return b.String()
}
