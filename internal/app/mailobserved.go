package app

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate"
)

// Bounds of what observe mode writes down.
const (
	maxObservedFile = 64 << 20 // bytes of the list; then it begins anew, and the one before it is kept
	maxObservedWait = 16 << 20 // bytes that wait to be written; beyond, messages are counted alone
	observedDays    = 90       // for which numbers are kept
)

// observedMail keeps what mail in observe mode would have come to: a list of messages that are worth a look, and the
// numbers of all, by tenant and day. Both are written each minute, so that no message waits for a disk.
type observedMail struct {
	dir   string
	mu    sync.Mutex
	lines bytes.Buffer
	lost  int64
	days  []observedDay
}

// observedDay is what one tenant's mail of one direction would have come to on one day (UTC).
type observedDay struct {
	Day       string           `json:"day"` // 2026-06-01
	Tenant    tenant.ID        `json:"tenant"`
	Direction string           `json:"direction"`
	Messages  int64            `json:"messages"`
	Would     map[string]int64 `json:"would"` // by action
}

const (
	observedList = "observed.jsonl"
	observedSums = "observed-days.json"
)

func openObserved(dir string, damaged func(string)) (*observedMail, error) {
	o := &observedMail{dir: dir}
	raw, err := os.ReadFile(filepath.Join(dir, observedSums))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return o, nil
	case err != nil:
		return nil, fmt.Errorf("reading what was observed: %w", err)
	}
	if err := json.Unmarshal(raw, &o.days); err != nil {
		name := filepath.Join(dir, observedSums)
		damaged("the numbers of observed mail were damaged and begin anew: " + name + ".damaged")
		if err := os.Rename(name, name+".damaged"); err != nil {
			return nil, fmt.Errorf("putting damaged numbers of observed mail aside: %w", err)
		}
		o.days = nil
	}
	return o, nil
}

// take notes a message. It is the gate's Options.Observed.
func (o *observedMail) take(m mailgate.Observed, near bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	day := m.Time.UTC().Format(time.DateOnly)
	i := slices.IndexFunc(o.days, func(d observedDay) bool { return d.Day == day && d.Tenant == m.Tenant && d.Direction == m.Direction })
	if i < 0 {
		o.days = append(o.days, observedDay{Day: day, Tenant: m.Tenant, Direction: m.Direction, Would: map[string]int64{}})
		i = len(o.days) - 1
		oldest := m.Time.UTC().AddDate(0, 0, -observedDays).Format(time.DateOnly)
		if o.days[0].Day < oldest {
			o.days = slices.DeleteFunc(o.days, func(d observedDay) bool { return d.Day < oldest })
			i = len(o.days) - 1
		}
	}
	o.days[i].Messages++
	o.days[i].Would[m.Would]++
	if !near {
		return
	}
	line, err := json.Marshal(m)
	if err != nil || o.lines.Len()+len(line) > maxObservedWait {
		o.lost++
		return
	}
	o.lines.Write(append(line, '\n'))
}

// save writes what came since the last time.
func (o *observedMail) save() error {
	o.mu.Lock()
	lines := bytes.Clone(o.lines.Bytes())
	o.lines.Reset()
	sums, err := json.Marshal(o.days)
	empty := len(o.days) == 0
	o.mu.Unlock()
	if err != nil || empty {
		return err
	}
	name := filepath.Join(o.dir, observedList)
	if st, err := os.Stat(name); err == nil && st.Size() > maxObservedFile {
		if err := os.Rename(name, name+".1"); err != nil {
			return fmt.Errorf("putting the list of observed mail aside: %w", err)
		}
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.Write(lines)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("writing the list of observed mail: %w", err)
	}
	tmp := filepath.Join(o.dir, observedSums+".partial")
	if err := os.WriteFile(tmp, sums, 0o600); err != nil {
		return fmt.Errorf("writing the numbers of observed mail: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(o.dir, observedSums)); err != nil {
		return fmt.Errorf("writing the numbers of observed mail: %w", err)
	}
	return nil
}

// ObservedSum is what the mail of one tenant and direction would have come to.
type ObservedSum struct {
	Tenant    tenant.ID        `json:"tenant"`
	Direction string           `json:"direction"`
	From      string           `json:"from"` // first and last day, UTC
	To        string           `json:"to"`
	Messages  int64            `json:"messages"`
	Would     map[string]int64 `json:"would"`     // messages by what would have been done
	AtOrAbove map[string]int64 `json:"threshold"` // listed messages whose score is at or above: "0.50" and others
}

// Observations are what observe mode saw.
type Observations struct {
	Sums     []ObservedSum       `json:"sums"`
	Messages []mailgate.Observed `json:"messages"` // newest first; those that something would have been done with, and those near it
	Unread   int                 `json:"unread,omitempty"`
}

// observedThresholds are those for which messages are counted.
var observedThresholds = []float64{0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99}

// ReadObserved reads what observe mode wrote down in a data folder, since a time, of one tenant or (empty) of all.
func ReadObserved(data string, id tenant.ID, since time.Time, most int) (*Observations, error) {
	dir := filepath.Join(data, "mail")
	out := &Observations{Messages: []mailgate.Observed{}, Sums: []ObservedSum{}}
	raw, err := os.ReadFile(filepath.Join(dir, observedSums))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no observed mail: give the data folder of a serve whose configuration has a mail section in mode observe", data)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the numbers of observed mail: %w", err)
	}
	var days []observedDay
	if err := json.Unmarshal(raw, &days); err != nil {
		return nil, fmt.Errorf("reading the numbers of observed mail: %w", err)
	}
	first := since.UTC().Format(time.DateOnly)
	sums := map[[2]string]*ObservedSum{}
	for _, d := range days {
		if id != "" && d.Tenant != id || !since.IsZero() && d.Day < first {
			continue
		}
		k := [2]string{string(d.Tenant), d.Direction}
		s := sums[k]
		if s == nil {
			s = &ObservedSum{Tenant: d.Tenant, Direction: d.Direction, From: d.Day, To: d.Day, Would: map[string]int64{}, AtOrAbove: map[string]int64{}}
			sums[k] = s
		}
		s.From, s.To = min(s.From, d.Day), max(s.To, d.Day)
		s.Messages += d.Messages
		for a, n := range d.Would {
			s.Would[a] += n
		}
	}
	for _, name := range []string{observedList + ".1", observedList} {
		if err := out.read(filepath.Join(dir, name), id, since, sums); err != nil {
			return nil, err
		}
	}
	for _, s := range sums {
		out.Sums = append(out.Sums, *s)
	}
	slices.SortFunc(out.Sums, func(a, b ObservedSum) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Direction, b.Direction))
	})
	slices.SortStableFunc(out.Messages, func(a, b mailgate.Observed) int { return b.Time.Compare(a.Time) })
	out.Messages = out.Messages[:min(len(out.Messages), most)]
	return out, nil
}

func (o *Observations) read(name string, id tenant.ID, since time.Time, sums map[[2]string]*ObservedSum) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the list of observed mail: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var m mailgate.Observed
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			o.Unread++ // the end of a line that was being written
			continue
		}
		if id != "" && m.Tenant != id || m.Time.Before(since) {
			continue
		}
		if s := sums[[2]string{string(m.Tenant), m.Direction}]; s != nil {
			for _, t := range observedThresholds {
				if m.Score >= t {
					s.AtOrAbove[fmt.Sprintf("%.2f", t)]++
				}
			}
		}
		o.Messages = append(o.Messages, m)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the list of observed mail: %w", err)
	}
	return nil
}
