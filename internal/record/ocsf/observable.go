package ocsf

import "strings"

// Observable is a typed value in an event that an indicator may name.
type Observable struct {
	Type  EntityType
	Value string // domains, mailboxes and hashes in lower case
}

// Observables calls yield for each observable of the event until it returns false. The same value may come
// more than once.
func (e *Event) Observables(yield func(Observable) bool) {
	ok := true
	put := func(t EntityType, v string) {
		if ok && v != "" && v != "-" {
			ok = yield(Observable{t, v})
		}
	}
	lower := func(t EntityType, v string) { put(t, strings.ToLower(v)) }
	for _, p := range [...]*Endpoint{&e.Src, &e.Dst} {
		if p.IP.IsValid() {
			put(EntityIP, p.IP.String())
		}
		lower(EntityDomain, p.Domain)
		lower(EntityHost, p.Host)
	}
	put(EntityURL, e.URL)
	for _, a := range e.Answers {
		if strings.ContainsAny(a, ":") || (a != "" && a[len(a)-1] >= '0' && a[len(a)-1] <= '9') {
			put(EntityIP, a)
		} else {
			lower(EntityDomain, a)
		}
	}
	lower(EntityUser, e.User.Name)
	lower(EntityUser, e.Actor.Name)
	if e.Process != nil {
		hashes(e.Process.Hashes, lower)
	}
	if e.File != nil {
		hashes(e.File.Hashes, lower)
	}
	if m := e.Mail; m != nil {
		lower(EntityMailbox, m.From)
		lower(EntityMailbox, m.EnvelopeFrom)
		lower(EntityMailbox, m.ReplyTo)
		lower(EntityDomain, m.SendingHost)
		if m.SendingIP.IsValid() {
			put(EntityIP, m.SendingIP.String())
		}
		for _, l := range m.Links {
			put(EntityURL, l.URL)
			lower(EntityDomain, l.Host)
			if to, host, rewritten := l.Target(); rewritten { // a gateway's own address hides no indicator
				put(EntityURL, to)
				lower(EntityDomain, host)
			}
		}
		for _, a := range m.Attachments {
			lower(EntityHash, a.SHA256)
		}
	}
	if r := e.Remote; r != nil {
		lower(EntityRMM, r.Instance)
		lower(EntityDomain, r.Relay)
	}
	if e.Lease != nil && e.Lease.Public.IsValid() {
		put(EntityIP, e.Lease.Public.String())
	}
}

func hashes(list []string, put func(EntityType, string)) {
	for _, h := range list {
		if _, v, ok := strings.Cut(h, "="); ok {
			h = v
		}
		put(EntityHash, h)
	}
}
