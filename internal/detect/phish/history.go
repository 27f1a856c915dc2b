package phish

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of the learned state, per tenant and organisation. The oldest entries go first.
const (
	maxSites   = 4_000
	maxPairs   = 20_000
	maxSenders = 5_000
	maxSmall   = 500 // bank accounts, telephone numbers, file kinds
	maxHabits  = 32  // programs and networks of one sender
)

// Warm-up: an organisation's habits count as known after so many of its mails, or after some days with a few.
const (
	warmMails     = 20
	warmDays      = 3
	warmDaysMails = 5
)

// rememberFor is how long what was seen in mail is remembered.
const rememberFor = 180 * 24 * time.Hour

// memory is a bounded set of strings with the time each was last seen, in seconds since 1970.
type memory map[string]int64

// touch remembers a value; above the bound the oldest eighth is forgotten.
func (m memory) touch(v string, t time.Time, bound int) {
	if v == "" {
		return
	}
	m[v] = max(m[v], t.Unix())
	if len(m) <= bound {
		return
	}
	type entry struct {
		v string
		t int64
	}
	all := make([]entry, 0, len(m))
	for k, at := range m {
		all = append(all, entry{k, at})
	}
	slices.SortFunc(all, func(a, b entry) int {
		if a.t != b.t {
			return int(max(-1, min(1, a.t-b.t)))
		}
		return strings.Compare(a.v, b.v)
	})
	for _, e := range all[:len(all)/8+1] {
		delete(m, e.v)
	}
}

func (m memory) forget(before int64) {
	maps.DeleteFunc(m, func(_ string, last int64) bool { return last < before })
}

func (m memory) has(v string) bool { _, ok := m[v]; return ok }

// sender is the habit of one mailbox.
type sender struct {
	Count   int
	Last    int64
	Mailers memory
	Nets    memory
	Files   memory
}

// habit is what a tenant has learned of one organisation's mail.
type habit struct {
	Count   int
	First   time.Time
	Sites   memory
	Pairs   memory
	Senders map[string]*sender
	IBANs   memory
	Phones  memory
	Files   memory
	Replies memory // Reply-To domains
	Named   memory // bank accounts that were new, and when they were first named
	Hidden  memory // senders that write to undisclosed recipients
}

func newHabit() *habit {
	return &habit{Sites: memory{}, Pairs: memory{}, Senders: map[string]*sender{}, IBANs: memory{}, Phones: memory{}, Files: memory{}, Replies: memory{}, Hidden: memory{}, Named: memory{}}
}

// warm reports whether enough mail is known to call something new.
func (h *habit) warm(now time.Time) bool {
	return h != nil && (h.Count >= warmMails || h.Count >= warmDaysMails && now.Sub(h.First) >= warmDays*24*time.Hour)
}

// provenAfter is how long an account that was new is not taken as usual: who changes where money goes reminds of it
// within days, and who is defrauded notices within weeks.
const provenAfter = 30 * 24 * time.Hour

// usesAccount reports whether the organisation has named the bank account for long.
func (h *habit) usesAccount(iban string, now time.Time) bool {
	if !h.IBANs.has(iban) {
		return false
	}
	first, fresh := h.Named[iban]
	return !fresh || now.Unix()-first > int64(provenAfter/time.Second)
}

// place is how often a site was linked in a tenant's mail.
type place struct {
	Count int
	First int64
	Last  int64
}

// mailState is what the detector knows of one tenant's mail.
type mailState struct {
	Orgs    map[string]*habit
	Sites   map[string]*place
	People  map[string]string // display name → organisation's key
	Known   memory            // display names, and when they were last seen
	Lures   memory            // hosts and apexes that high findings of the last days lead to
	Flagged memory            // apexes of earlier findings, not learned for a while
	Domains map[string]*place // sender domains
}

// nothingKnown is the state of a tenant of whose mail nothing was seen. It is only read.
var nothingKnown = newMailState()

func newMailState() *mailState {
	return &mailState{Orgs: map[string]*habit{}, Sites: map[string]*place{}, People: map[string]string{}, Lures: memory{}, Flagged: memory{}, Domains: map[string]*place{}, Known: memory{}}
}

func (s *mailState) org(key string) *habit {
	h := s.Orgs[key]
	if h == nil {
		h = newHabit()
		s.Orgs[key] = h
	}
	return h
}

const (
	maxPlaces    = 20_000
	maxPeople    = 10_000
	flaggedBound = 2_000
	flaggedFor   = 14 * 24 * time.Hour
)

func seen(m map[string]*place, v string, t time.Time) {
	p := m[v]
	if p == nil {
		if len(m) >= maxPlaces {
			forgetPlaces(m)
		}
		p = &place{First: t.Unix()}
		m[v] = p
	}
	p.Count++
	p.Last = max(p.Last, t.Unix())
}

func forgetPlaces(m map[string]*place) {
	type entry struct {
		v string
		p *place
	}
	all := make([]entry, 0, len(m))
	for k, p := range m {
		all = append(all, entry{k, p})
	}
	slices.SortFunc(all, func(a, b entry) int {
		if a.p.Last != b.p.Last {
			return int(max(-1, min(1, a.p.Last-b.p.Last)))
		}
		return strings.Compare(a.v, b.v)
	})
	for _, e := range all[:len(all)/8+1] {
		delete(m, e.v)
	}
}

// common reports whether a site was linked often enough, for long enough, to be part of the tenant's mail.
func common(m map[string]*place, v string, t time.Time) bool {
	p := m[v]
	return p != nil && p.Count >= 3 && t.Unix()-p.First >= 24*3600
}

// learn takes a message into the habits. What a finding was about is not learned: a lure must not make the next
// one ordinary.
func (d *Detector) learn(s *mailState, x *message, v *verdict) {
	m, t := x.e.Mail, x.e.Time
	flagged := v.severity >= ocsf.SeverityMedium || v.called == Phish || v.called == Suspicious
	if flagged {
		for _, r := range v.reasons {
			s.Flagged.touch(r.apex, t, flaggedBound)
			if (v.severity >= ocsf.SeverityHigh || m.Verdict != nil && v.called == Phish) && !d.names.declared(r.apex) && !commonSites[r.apex] && !shorteners[r.apex] {
				s.Lures.touch(r.apex, t, flaggedBound)
			}
		}
	}
	for _, l := range x.links {
		if !flagged && !s.recentlyFlagged(l.apex, t) {
			seen(s.Sites, l.site, t)
		}
	}
	if x.fromDomain != "" && !flagged {
		seen(s.Domains, siteOf(x.fromDomain), t)
	}
	if x.from == nil || !x.authentic {
		return
	}
	h := s.org(x.from.key)
	h.Count++
	if h.First.IsZero() || t.Before(h.First) {
		h.First = t
	}
	if flagged {
		return
	}
	for _, l := range x.links {
		if !s.recentlyFlagged(l.apex, t) {
			h.Sites.touch(l.site, t, maxSites)
		}
	}
	for _, to := range m.To {
		h.Pairs.touch(m.From+" "+to, t, maxPairs)
		if o := d.names.owner(domainOf(to)); o != nil && o != x.from && s.Orgs[o.key] != nil { // an answer makes the other way known
			s.Orgs[o.key].Pairs.touch(to+" "+m.From, t, maxPairs)
			for _, l := range x.links {
				s.Orgs[o.key].Sites.touch(l.site, t, maxSites)
			}
		}
	}
	for _, n := range x.ibans {
		if !h.IBANs.has(n) && h.warm(t) {
			h.Named.touch(n, t, maxSmall)
		}
		h.IBANs.touch(n, t, maxSmall)
	}
	for _, n := range x.phones {
		h.Phones.touch(n, t, maxSmall)
	}
	for i := range m.Attachments {
		h.Files.touch(extension(m.Attachments[i].Name), t, maxSmall)
	}
	if m.ReplyTo != "" {
		h.Replies.touch(domainOf(m.ReplyTo), t, maxSmall)
	}
	if x.undisclosed {
		h.Hidden.touch(m.From, t, maxSmall)
	}
	w := h.Senders[m.From]
	if w == nil {
		if len(h.Senders) >= maxSenders {
			forgetSenders(h.Senders)
		}
		w = &sender{Mailers: memory{}, Nets: memory{}, Files: memory{}}
		h.Senders[m.From] = w
	}
	w.Count++
	w.Last = max(w.Last, t.Unix())
	w.Mailers.touch(x.mailer, t, maxHabits)
	w.Nets.touch(x.net, t, maxHabits)
	for i := range m.Attachments {
		w.Files.touch(extension(m.Attachments[i].Name), t, maxHabits)
	}
	if n := foldName(m.FromName); strings.Contains(n, " ") {
		s.knows(n, x.from.key, t)
	}
}

// knows learns whose people bear a display name; where there is no room those unseen longest go.
func (s *mailState) knows(name, key string, t time.Time) {
	if len(s.Known) >= maxPeople && !s.Known.has(name) {
		s.Known.touch(name, t, maxPeople)
		maps.DeleteFunc(s.People, func(n, _ string) bool { return !s.Known.has(n) })
	}
	s.Known.touch(name, t, maxPeople)
	s.People[name] = key
}

// forget drops what was last seen before the time, in seconds since 1970.
func (s *mailState) forget(before int64) {
	for _, h := range s.Orgs {
		for _, m := range [...]memory{h.Sites, h.Pairs, h.IBANs, h.Phones, h.Files, h.Replies, h.Hidden} {
			m.forget(before)
		}
		maps.DeleteFunc(h.Senders, func(_ string, w *sender) bool { return w.Last < before })
		for _, w := range h.Senders {
			for _, m := range [...]memory{w.Mailers, w.Nets, w.Files} {
				m.forget(before)
			}
		}
	}
	for _, m := range [...]map[string]*place{s.Sites, s.Domains} {
		maps.DeleteFunc(m, func(_ string, p *place) bool { return p.Last < before })
	}
	for _, m := range [...]memory{s.Lures, s.Flagged, s.Known} {
		m.forget(before)
	}
	maps.DeleteFunc(s.People, func(n, _ string) bool { return !s.Known.has(n) })
}

func forgetSenders(m map[string]*sender) {
	mem := make(memory, len(m))
	for k, w := range m {
		mem[k] = w.Last
	}
	mem.touch(slices.Min(keysOf(m)), time.Unix(0, 0), len(m)-1)
	for k := range m {
		if !mem.has(k) {
			delete(m, k)
		}
	}
}

func keysOf[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

// recentlyFlagged reports whether a finding named the apex within the last days.
func (s *mailState) recentlyFlagged(apex string, t time.Time) bool {
	at, ok := s.Flagged[apex]
	return ok && t.Unix()-at < int64(flaggedFor/time.Second)
}

func domainOf(addr string) string {
	_, d, _ := strings.Cut(addr, "@")
	return d
}

// extension returns the last extension of a file name, in lower case.
func extension(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || len(name)-i > 12 {
		return ""
	}
	return strings.ToLower(name[i+1:])
}

// tenantState returns the state of a tenant's mail.
func (d *Detector) tenantState(id tenant.ID) *mailState {
	s := d.state.Mail[id]
	if s == nil {
		s = newMailState()
		d.state.Mail[id] = s
	}
	return s
}
