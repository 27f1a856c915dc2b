// Package alertlevel says how watchful to be with each tenant: normal, elevated or heightened, always with a reason
// and an end. A campaign raises the tenants into which its partner has a trust, and a person may raise any; the
// highest that runs holds, and what has ended falls back by itself.
//
// A level moves the threshold from which findings are told (see Threshold), and nothing else: what is found, joined
// and concluded is the same at every level, so that live results stay those of a scan.
//
// A Book is plain data in the hands of one goroutine; its caller keeps the entries. Entries made from a campaign have
// an id from campaign and tenant alone, so that a restart or a replay raises nothing twice. Nothing here reads a clock.
package alertlevel

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Level is how watchful to be.
type Level string

// The levels, least first.
const (
	Normal     Level = "normal"
	Elevated   Level = "elevated"
	Heightened Level = "heightened"
)

// rank orders levels; an unknown one is below normal.
func rank(l Level) int { return slices.Index([]Level{Normal, Elevated, Heightened}, l) }

// Parse reads a level by name.
func Parse(name string) (Level, error) {
	if l := Level(name); rank(l) >= 0 {
		return l, nil
	}
	return "", fmt.Errorf("unknown alert level %q: use normal, elevated or heightened", name)
}

// Threshold is the least severity that is told at a level: high, medium, low.
func Threshold(l Level) ocsf.Severity {
	switch l {
	case Heightened:
		return ocsf.SeverityLow
	case Elevated:
		return ocsf.SeverityMedium
	}
	return ocsf.SeverityHigh
}

// ByCampaign stands as By in entries that a campaign made.
const ByCampaign = "campaign"

// MaxRaise is the longest that a person may raise a level for at once.
const MaxRaise = 90 * 24 * time.Hour

// Entry is one raise of one tenant's level: from From on, until Until or until it is ended.
type Entry struct {
	ID       string           `json:"id"`
	Tenant   tenant.ID        `json:"tenant"`
	Level    Level            `json:"level"`
	Reason   string           `json:"reason"` // names no other tenant
	By       string           `json:"by"`     // who raised it: a principal's id, or ByCampaign
	Campaign string           `json:"campaign,omitempty"`
	Partner  tenant.PartnerID `json:"partner,omitempty"`
	From     time.Time        `json:"from"`
	Until    time.Time        `json:"until"` // exclusive
	Ended    time.Time        `json:"ended,omitzero"`
	EndedBy  string           `json:"ended_by,omitempty"`
}

// Runs reports whether the entry holds at time t.
func (e *Entry) Runs(t time.Time) bool {
	return !t.Before(e.From) && t.Before(e.Until) && (e.Ended.IsZero() || t.Before(e.Ended))
}

// Book holds the entries of all tenants. The zero value is empty and ready.
type Book struct {
	entries []Entry // by id
}

// NewBook returns a Book of entries that Entries gave.
func NewBook(entries []Entry) *Book {
	b := &Book{}
	for _, e := range entries {
		b.put(e)
	}
	return b
}

// Entries returns all entries, by id, for keeping.
func (b *Book) Entries() []Entry { return slices.Clone(b.entries) }

func (b *Book) find(id string) (int, bool) {
	return slices.BinarySearchFunc(b.entries, id, func(e Entry, id string) int { return strings.Compare(e.ID, id) })
}

func (b *Book) put(e Entry) {
	i, ok := b.find(e.ID)
	if ok {
		b.entries[i] = e
		return
	}
	b.entries = slices.Insert(b.entries, i, e)
}

// Raise raises a tenant's level by hand. A reason, a name and an end are needed. The same call again gives the same
// entry.
func (b *Book) Raise(id tenant.ID, level Level, reason, by string, from, until time.Time) (Entry, error) {
	reason, by = strings.TrimSpace(reason), strings.TrimSpace(by)
	var wrong error
	switch {
	case id == "":
		wrong = errors.New("no tenant is named")
	case rank(level) <= rank(Normal):
		wrong = fmt.Errorf("%q is no raised level: use elevated or heightened, or end the entry that raises it", level)
	case reason == "" || len(reason) > 1000:
		wrong = errors.New("a reason of at most 1000 bytes is needed, so that others know why")
	case by == "" || by == ByCampaign:
		wrong = errors.New("who raises it is needed")
	case !until.After(from):
		wrong = errors.New("an end after the beginning is needed")
	case until.Sub(from) > MaxRaise:
		wrong = fmt.Errorf("the end lies more than %d days ahead: raise it again when it is due", int(MaxRaise.Hours()/24))
	}
	if wrong != nil {
		return Entry{}, fmt.Errorf("raising the alert level of %q: %w", id, wrong)
	}
	e := Entry{Tenant: id, Level: level, Reason: reason, By: by, From: from.UTC(), Until: until.UTC()}
	e.ID = hash("hand", string(id), string(level), by, reason, e.From.Format(time.RFC3339Nano), e.Until.Format(time.RFC3339Nano))
	if i, ok := b.find(e.ID); ok {
		return b.entries[i], nil
	}
	b.put(e)
	return e, nil
}

// End ends an entry before its time, and reports whether there was one to end within the scope.
func (b *Book) End(scope tenant.Scope, entry, by string, at time.Time) (Entry, bool) {
	i, ok := b.find(entry)
	if !ok || !scope.Sees(b.entries[i].Tenant) || !b.entries[i].Ended.IsZero() || !at.Before(b.entries[i].Until) {
		return Entry{}, false
	}
	b.entries[i].Ended, b.entries[i].EndedBy = at.UTC(), by
	return b.entries[i], true
}

// At returns the level that holds for a tenant at time t: the highest that runs, else normal.
func (b *Book) At(id tenant.ID, t time.Time) Level {
	level, _ := b.Why(id, t)
	return level
}

// Why returns the level that holds for a tenant at time t, and the entry that makes it so: of the highest that run,
// the one that runs longest. The entry is empty where the level is normal.
func (b *Book) Why(id tenant.ID, t time.Time) (Level, Entry) {
	best := Entry{Level: Normal}
	for i := range b.entries {
		e := &b.entries[i]
		if e.Tenant != id || !e.Runs(t) {
			continue
		}
		if c := cmp.Compare(rank(e.Level), rank(best.Level)); c > 0 || c == 0 && e.Until.After(best.Until) {
			best = *e
		}
	}
	if best.Level == Normal {
		return Normal, Entry{}
	}
	return best.Level, best
}

// List returns the entries of the tenants that the scope sees, those too that have ended, the newest first.
func (b *Book) List(scope tenant.Scope) []Entry {
	out := []Entry{}
	for _, e := range b.entries {
		if scope.Sees(e.Tenant) {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return cmp.Or(b.From.Compare(a.From), strings.Compare(a.ID, b.ID)) })
	return out
}

// Forget drops entries that were over before a time, so that the Book doesn't grow for ever, and returns their ids.
func (b *Book) Forget(before time.Time) (ids []string) {
	b.entries = slices.DeleteFunc(b.entries, func(e Entry) bool {
		over := e.Until.Before(before) || !e.Ended.IsZero() && e.Ended.Before(before)
		if over {
			ids = append(ids, e.ID)
		}
		return over
	})
	return ids
}

func hash(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(h[:8])
}
