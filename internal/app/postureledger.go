package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Bounds of what is kept of one tenant's posture.
const (
	keptDays     = 400                 // statuses by day
	keptFindings = 2_000               // the newest
	findingLife  = 90 * 24 * time.Hour // of a fall that is over
	maxLedger    = 64 << 20            // bytes of the file
	maxControls  = 5_000
)

// postureLedger is what is kept of one tenant from one judgement to the next, over restarts too: how each control stood
// day by day, which falls were told, and what telemetry showed. One file holds it, that of one tenant.
type postureLedger struct {
	Tenant   tenant.ID                 `json:"tenant"`
	Controls map[string]*controlLedger `json:"controls"`
	Found    []keptFinding             `json:"findings,omitempty"`
	Exposed  []posture.Fact            `json:"exposed,omitempty"`
}

// controlLedger is how one control stood.
type controlLedger struct {
	Status posture.Status `json:"status"`
	Since  time.Time      `json:"since"` // when it came to that status
	Judged time.Time      `json:"judged"`
	First  string         `json:"first"` // the day of the first letter of Days
	// Days has a letter for each day, the first of its status: f, s, u, e, p; - where it was not judged. The last
	// judgement of a day counts.
	Days string `json:"days"`
	// Held is set once it passed, and until it falls: what never held can't go stale.
	Held bool `json:"held,omitempty"`
	// Failed and Stale say that such a fall was told and is not over.
	Failed bool `json:"failed,omitempty"`
	Stale  bool `json:"stale,omitempty"`
}

// keptFinding is a finding as it is kept.
type keptFinding struct {
	Control string `json:"control"`
	Body    []byte `json:"body"`

	f *ocsf.Finding
}

// letters of statuses in Days.
var dayLetters = map[posture.Status]byte{posture.Fail: 'f', posture.Stale: 's', posture.Unknown: 'u', posture.Excepted: 'e', posture.Pass: 'p'}

func statusOf(letter byte) posture.Status {
	for s, l := range dayLetters {
		if l == letter {
			return s
		}
	}
	return ""
}

// ledgerFile is where a tenant's ledger lies. Tenants that senders were given may be called anything.
func ledgerFile(dir string, id tenant.ID) string {
	return filepath.Join(dir, "t-"+url.PathEscape(string(id))+".json")
}

// openLedger reads a tenant's ledger, or begins one. One that can't be read is put aside, told, and begun anew.
func openLedger(dir string, id tenant.ID, damaged func(string)) *postureLedger {
	name := ledgerFile(dir, id)
	l := &postureLedger{Tenant: id, Controls: map[string]*controlLedger{}}
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return l
	}
	var data []byte
	if err == nil {
		data, err = bounded.ReadAll(f, maxLedger)
		f.Close()
	}
	if err == nil {
		err = l.decode(data)
	}
	if err == nil {
		return l
	}
	damaged(fmt.Sprintf("what was kept of the posture of %s can't be read and is begun anew (%s.damaged): %v", id, name, err))
	_ = os.Rename(name, name+".damaged") // where that fails it is written over
	return &postureLedger{Tenant: id, Controls: map[string]*controlLedger{}}
}

func (l *postureLedger) decode(data []byte) error {
	whose := l.Tenant
	l.Tenant = ""
	if err := json.Unmarshal(data, l); err != nil {
		return err
	}
	if l.Tenant != whose {
		return errors.New("it is another tenant's")
	}
	if l.Controls == nil || len(l.Controls) > maxControls || len(l.Found) > keptFindings {
		return errors.New("it is not as it was written")
	}
	for id, c := range l.Controls {
		if c == nil || len(c.Days) > keptDays {
			return fmt.Errorf("its control %q is not as it was written", id)
		}
		if _, err := time.Parse(time.DateOnly, c.First); err != nil {
			return fmt.Errorf("its control %q: %w", id, err)
		}
	}
	for i := range l.Found {
		k := &l.Found[i]
		k.f = &ocsf.Finding{}
		if err := k.f.UnmarshalBinary(k.Body); err != nil {
			return fmt.Errorf("its finding %d: %w", i+1, err)
		}
		if k.f.Tenant != l.Tenant {
			return errors.New("a finding in it is another tenant's")
		}
	}
	return nil
}

// write keeps the ledger, whole or not at all.
func (l *postureLedger) write(dir string) error {
	for i := range l.Found {
		body, err := l.Found[i].f.MarshalBinary()
		if err != nil {
			return fmt.Errorf("encoding a finding of the posture of %s: %w", l.Tenant, err)
		}
		l.Found[i].Body = body
	}
	data, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encoding the posture of %s: %w", l.Tenant, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of postures: %w", err)
	}
	if err := writeWhole(ledgerFile(dir, l.Tenant), data); err != nil {
		return fmt.Errorf("keeping the posture of %s: %w", l.Tenant, err)
	}
	return nil
}

// findings returns what was found of the tenant, oldest first.
func (l *postureLedger) findings() []*ocsf.Finding {
	out := make([]*ocsf.Finding, len(l.Found))
	for i := range l.Found {
		out[i] = l.Found[i].f
	}
	return out
}

// exposed returns what telemetry showed before.
func (l *postureLedger) exposed() []evidence.Item {
	var out []evidence.Item
	for _, f := range l.Exposed {
		line, err := json.Marshal(f)
		if err != nil {
			continue
		}
		if it, err := posture.ParseFact(line); err == nil && it.Tenant == l.Tenant {
			out = append(out, it)
		}
	}
	return out
}

func (l *postureLedger) keepExposed(list []evidence.Item) {
	l.Exposed = make([]posture.Fact, 0, len(list))
	for _, it := range list {
		l.Exposed = append(l.Exposed, posture.Fact{Kind: it.Kind, Tenant: it.Tenant, Subject: it.Subject, At: it.At, Values: it.Values})
	}
}

// fall is a control that fell.
type fall struct {
	result *posture.Result
	before posture.Status // what it was; empty: it is judged for the first time
	since  time.Time      // since when it was that
}

// judged takes one judgement in and returns the controls that fell: those that fail and did not, and those that held
// and went stale. Each is told once, until it holds again or somebody answers for it. Not knowing is neither a fall nor
// the end of one.
func (l *postureLedger) judged(r *posture.Report) []fall {
	var out []fall
	for _, x := range r.Results {
		c := l.Controls[x.Control.ID]
		if c == nil {
			if len(l.Controls) >= maxControls {
				continue
			}
			c = &controlLedger{Since: r.At, First: r.At.Format(time.DateOnly)}
			l.Controls[x.Control.ID] = c
		}
		before := fall{x, c.Status, c.Since}
		switch x.Status {
		case posture.Pass:
			c.Held, c.Failed, c.Stale = true, false, false
		case posture.Excepted:
			c.Failed, c.Stale = false, false
		case posture.Fail:
			if !c.Failed {
				out = append(out, before)
			}
			c.Held, c.Failed = false, true
		case posture.Stale:
			if c.Held && !c.Stale && !c.Failed {
				out = append(out, before)
				c.Stale = true
			}
		}
		if c.Status != x.Status {
			c.Status, c.Since = x.Status, r.At
		}
		c.Judged = r.At
		c.day(r.At, dayLetters[x.Status])
	}
	return out
}

// day notes how it stands on the day of a time. A day before the newest, by a clock that was set back, changes nothing.
func (c *controlLedger) day(at time.Time, letter byte) {
	first, err := time.Parse(time.DateOnly, c.First)
	if err != nil || c.Days == "" {
		c.First, c.Days = at.UTC().Format(time.DateOnly), string(letter)
		return
	}
	n := int(at.UTC().Truncate(24*time.Hour).Sub(first) / (24 * time.Hour))
	switch gap := n - len(c.Days); {
	case n < len(c.Days)-1:
		return
	case gap < 0:
		c.Days = c.Days[:n] + string(letter)
	case gap >= keptDays:
		c.First, c.Days = at.UTC().Format(time.DateOnly), string(letter)
		return
	default:
		c.Days += strings.Repeat("-", gap) + string(letter)
	}
	if drop := len(c.Days) - keptDays; drop > 0 {
		c.Days = c.Days[drop:]
		c.First = first.AddDate(0, 0, drop).Format(time.DateOnly)
	}
}

// on returns how it stood on the day so many before that of a time; empty where that is not known.
func (c *controlLedger) on(at time.Time, before int) posture.Status {
	first, err := time.Parse(time.DateOnly, c.First)
	if err != nil {
		return ""
	}
	i := int(at.UTC().Truncate(24*time.Hour).Sub(first)/(24*time.Hour)) - before
	if i < 0 || i >= len(c.Days) {
		return ""
	}
	return statusOf(c.Days[i])
}

// found adds findings; one that is there already is written anew. It reports whether anything changed.
func (l *postureLedger) found(list []*ocsf.Finding) bool {
	changed := false
	for _, f := range list {
		i := slices.IndexFunc(l.Found, func(k keptFinding) bool { return k.f.ID == f.ID })
		switch {
		case i < 0:
			l.Found = append(l.Found, keptFinding{Control: f.Rule, f: f})
		case l.Found[i].f.Reason == f.Reason && l.Found[i].f.Count == f.Count:
			l.Found[i].f = f // it goes on
			continue
		default:
			l.Found[i].f = f
		}
		changed = true
	}
	return changed
}

// forget drops findings that are over and old, and controls that nobody has judged for as long as days are kept. It
// reports whether a finding went.
func (l *postureLedger) forget(now time.Time) bool {
	n := len(l.Found)
	l.Found = slices.DeleteFunc(l.Found, func(k keptFinding) bool {
		c := l.Controls[k.Control]
		return now.Sub(k.f.End) > findingLife && (c == nil || !c.Failed && !c.Stale)
	})
	slices.SortStableFunc(l.Found, func(a, b keptFinding) int { return a.f.Time.Compare(b.f.Time) })
	if over := len(l.Found) - keptFindings; over > 0 {
		l.Found = slices.Delete(l.Found, 0, over)
	}
	for id, c := range l.Controls {
		if now.Sub(c.Judged) > keptDays*24*time.Hour {
			delete(l.Controls, id)
		}
	}
	return len(l.Found) != n
}

// copyControls copies how all controls stood, for those who read it beside the next judgement.
func (l *postureLedger) copyControls() map[string]*controlLedger {
	out := make(map[string]*controlLedger, len(l.Controls))
	for id, c := range l.Controls {
		x := *c
		out[id] = &x
	}
	return out
}
