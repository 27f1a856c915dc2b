package config

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// mailKeys are the keys of the mail section.
var mailKeys = []string{"id", "trusted_ids", "milter", "budget", "unscanned", "clamd", "model", "mode", "policies", "several", "hold", "mailboxes", "journal", "poll", "thanks", "sweep"}

// mailGate reads the mail section; nil where the file has none.
func (d *declared) mailGate(r *reader, root *object) *MailGate {
	if !root.has("mail") {
		return nil
	}
	o, ok := r.object(root.fields["mail"], "mail", mailKeys...)
	if !ok {
		return nil
	}
	m := DefaultMailGate()
	if it := o.text("id"); it.text != "" {
		m.ID, _ = it.host()
	}
	m.TrustedIDs = o.values("trusted_ids", item.host)
	if slices.Contains(m.TrustedIDs, m.ID) {
		o.fail("trusted_ids", fmt.Sprintf("holds our own id %s, whose results are removed from mail that comes in", printable(m.ID)), "take it out")
	}
	for _, l := range r.objects(o, "milter", "listen", "outbound") {
		m.Milter = append(m.Milter, Milter{Listen: l.door("listen", "write 127.0.0.1:8463, or unix:/path/of/socket"), Outbound: l.yes("outbound")})
	}
	o.mailBudget(&m.Budget)
	m.Mode = o.mailMode("mode", m.Mode)
	if m.Mode == MailEnforce {
		m.Unscanned = MailTempFail
	}
	switch it := o.text("unscanned"); it.text {
	case "":
	case "tempfail":
		m.Unscanned = MailTempFail
	case "accept":
		m.Unscanned = MailPass
	default:
		if !it.bad {
			it.fail(fmt.Sprintf("%q is no way to treat mail that could not be judged", printable(it.text)), "write tempfail (the sender comes again) or accept (it is delivered with a header, and listed for a sweep)")
		}
	}
	if o.has("clamd") {
		m.Clamd = o.door("clamd", "write unix:/run/clamav/clamd.ctl, or host:port")
	}
	m.Model = o.text("model").file()
	switch it := o.text("several"); MailSeveral(it.text) {
	case "", MailStrictest:
	case MailSplit:
		m.Several = MailSplit
	default:
		if !it.bad {
			it.fail(fmt.Sprintf("%q is no way to treat several policies", printable(it.text)), "write strictest or split")
		}
	}
	o.mailHold(&m.Hold)
	for _, p := range r.objects(o, "policies", "tenant", "recipients", "mode", "suspicious", "phish", "threshold", "suspicious_threshold", "heightened") {
		m.Policies = append(m.Policies, d.mailPolicy(p, m))
	}
	d.checkDoors(o, m)
	m.Mailboxes, m.Journal = d.mailboxes(o), d.mailJournal(o)
	o.mailFollow(m)
	return m
}

// door reads where to listen or connect: host:port, or unix: and an absolute path.
func (o *object) door(key, todo string) string {
	it := o.need(key, todo)
	if it.text == "" {
		return ""
	}
	if path, ok := strings.CutPrefix(it.text, "unix:"); ok {
		if !filepath.IsAbs(path) || len(path) > 100 {
			it.fail(fmt.Sprintf("%q is no path of a socket", printable(path)), "write unix: and an absolute path of at most 100 bytes")
		}
		return it.text
	}
	host, ok := it.hostPort()
	if ok && key == "listen" && !loopback(host) {
		it.warn(fmt.Sprintf("%s is reached from other machines, and the milter protocol neither encrypts nor asks who speaks", printable(it.text)), "listen on 127.0.0.1 or unix:/path, or let only the mail servers reach it")
	}
	return it.text
}

// mailBudget reads a duration for the whole, or a mapping of parts.
func (o *object) mailBudget(b *MailBudget) {
	if !o.has("budget") {
		return
	}
	const least, most = 100 * time.Millisecond, 2 * time.Minute
	if o.fields["budget"].Kind != yaml.MappingNode {
		o.duration("budget", &b.Whole, least, most)
	} else if sub, ok := o.section("budget", "whole", "dns", "clamd"); ok {
		sub.duration("whole", &b.Whole, least, most)
		sub.duration("dns", &b.DNS, least, most)
		sub.duration("clamd", &b.Clamd, least, most)
		if b.DNS > b.Whole && sub.has("dns") {
			sub.fail("dns", "is more than the whole", "write less than "+b.Whole.String())
		}
		if b.Clamd > b.Whole && sub.has("clamd") {
			sub.fail("clamd", "is more than the whole", "write less than "+b.Whole.String())
		}
	}
	b.DNS, b.Clamd = min(b.DNS, b.Whole/2), min(b.Clamd, b.Whole/2)
}

func (o *object) mailMode(key string, otherwise MailMode) MailMode {
	it := o.text(key)
	switch m := MailMode(it.text); m {
	case "":
	case MailObserve, MailEnforce:
		return m
	default:
		it.fail(fmt.Sprintf("%q is no mode", printable(it.text)), "write observe (score and report) or enforce (act)")
	}
	return otherwise
}

func (o *object) mailAction(key string, otherwise MailAction) MailAction {
	it := o.text(key)
	a := MailAction(it.text)
	switch {
	case it.text == "":
		return otherwise
	case !slices.Contains(MailActions, a):
		it.fail(fmt.Sprintf("%q is no action", printable(it.text)), "write one of "+join(MailActions, ", "))
	}
	return a
}

// share reads a number between 0 and 1, both left out; 0 where the key is missing.
func (o *object) share(key string) float64 {
	it := o.text(key)
	if it.text == "" {
		return 0
	}
	f, err := strconv.ParseFloat(it.text, 64)
	if err != nil || math.IsNaN(f) || f <= 0 || f >= 1 {
		it.fail(fmt.Sprintf("%q is no probability", printable(it.text)), "write a number between 0 and 1, such as 0.9")
		return 0
	}
	return f
}

func (d *declared) mailPolicy(o *object, m *MailGate) MailPolicy {
	p := m.DefaultPolicy(tenant.ID(o.need("tenant", "name the tenant whose mail it is").text))
	known := slices.IndexFunc(d.model.Tenants, func(t tenant.Tenant) bool { return t.ID == p.Tenant })
	switch {
	case p.Tenant == "":
	case known < 0:
		o.fail("tenant", fmt.Sprintf("%q is not declared under tenants", printable(string(p.Tenant))), "declare it under tenants or correct the name")
	case len(d.model.Tenants[known].Domains) == 0:
		o.fail("tenant", fmt.Sprintf("%q declares no domains, so that no recipient is its", printable(string(p.Tenant))), "give the tenant domains: [its mail domains]")
	}
	for _, it := range o.texts("recipients") {
		s := strings.ToLower(it.text)
		if strings.ContainsAny(s, "?[]{}, \t<>") || !strings.ContainsAny(s, "@*") {
			it.fail(fmt.Sprintf("%q is no pattern of recipients", printable(it.text)), "write an address; * stands for any characters: accounts@acme.example, *@acme.example")
			continue
		}
		p.Recipients = append(p.Recipients, s)
	}
	p.Mode = o.mailMode("mode", m.Mode)
	p.Suspicious = o.mailAction("suspicious", p.Suspicious)
	p.Phish = o.mailAction("phish", p.Phish)
	p.Heightened = o.mailAction("heightened", p.Heightened)
	p.Threshold, p.SuspiciousThreshold = o.share("threshold"), o.share("suspicious_threshold")
	if p.Threshold > 0 && p.SuspiciousThreshold > p.Threshold {
		o.fail("suspicious_threshold", "lies above threshold, so that nothing is ever suspicious", "write a smaller number")
	}
	for _, earlier := range m.Policies {
		if earlier.Tenant == p.Tenant && len(earlier.Recipients) == 0 {
			o.r.warn(o.line, o.path, fmt.Sprintf("is never reached: a policy before it holds for all of %s", printable(string(p.Tenant))), "put the one without recipients last")
			break
		}
	}
	return p
}

func (o *object) mailHold(h *MailHold) {
	sub, ok := o.section("hold", "in", "release", "delete", "reinject", "retention")
	if !ok {
		return
	}
	switch it := sub.text("in"); it.text {
	case "", HoldMTA:
	case HoldStore:
		h.In = HoldStore
	default:
		if !it.bad {
			it.fail(fmt.Sprintf("%q is no place for held mail", printable(it.text)), "write mta (the mail server's hold queue) or store (here)")
		}
	}
	h.Release = sub.program("release", h.Release)
	h.Delete = sub.program("delete", h.Delete)
	if it := sub.text("reinject"); it.text != "" {
		host, ok := it.hostPort()
		if ok && !loopback(host) {
			it.fail(fmt.Sprintf("%s is not this machine, and the mail would go there unencrypted", printable(it.text)), "name a port of the mail server on 127.0.0.1 that takes mail without the milter")
		}
		h.Reinject = it.text
	}
	if h.In == HoldStore && h.Reinject == "" {
		sub.fail("reinject", "missing, and held mail could never be released", "name a port of the mail server that takes mail without the milter, such as 127.0.0.1:10025")
	}
	sub.duration("retention", &h.Retention, 24*time.Hour, 3650*24*time.Hour)
}

// program reads a program with its arguments, one of which is {id}.
func (o *object) program(key string, otherwise []string) []string {
	if !o.has(key) {
		return otherwise
	}
	var out []string
	for _, it := range o.texts(key) {
		out = append(out, it.text)
	}
	if len(out) == 0 || !slices.Contains(out[1:], "{id}") {
		o.fail(key, "names no program with {id} among its arguments", "write [postsuper, -H, \"{id}\"]")
		return otherwise
	}
	return out
}

// checkDoors reports two listeners at one place.
func (d *declared) checkDoors(o *object, m *MailGate) {
	lines := map[string]bool{}
	for i, l := range m.Milter {
		if lines[l.Listen] && l.Listen != "" {
			o.r.fail(o.list("milter")[i].Line, fmt.Sprintf("mail.milter[%d].listen", i), fmt.Sprintf("%s is listened on already", printable(l.Listen)), "choose another port or path")
		}
		lines[l.Listen] = true
	}
}
