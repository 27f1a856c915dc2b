package scenario

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// fill makes up all the mail: conversations, what machines send, honest messages that look like lures, and lures.
func (x *exchange) fill(withLures bool) {
	for x.count(false) < historyMails-honestHistory-6*historyWeeks {
		x.converse(x.start, x.end)
	}
	for x.count(true) < cleanMails-honestJudged-6*judgedWeeks {
		x.converse(x.cut, x.end)
	}
	for week := range historyWeeks + judgedWeeks {
		from := x.start.AddDate(0, 0, 7*week)
		for range 6 {
			lang := pick(x.r, []string{"en", "en", "de", "fr"})
			t := x.office(from, from.AddDate(0, 0, 5))
			x.keep(&letterOut{message: x.compose(&machineMails[lang][x.r.IntN(len(machineMails[lang]))], lang, t)})
		}
	}
	x.honestMail(honestHistory, x.start.AddDate(0, 0, 10), x.cut)
	judged := x.honestMail(honestJudged, x.cut, x.end)
	x.thin(cleanMails, judged)
	if withLures {
		x.lureMail()
	}
	slices.SortStableFunc(x.mails, func(a, b *letterOut) int { return a.t.Compare(b.t) })
}

// count counts what lies before the cut, or after it from the partner.
func (x *exchange) count(after bool) int {
	n := 0
	for _, l := range x.mails {
		if l.t.Before(x.end) && after == !l.t.Before(x.cut) && (!after || l.from.house == x.partner && !l.lure) {
			n++
		}
	}
	return n
}

type spoken struct {
	*script
	lang string
}

// drawn draws n scripts of all languages, each at most once, and each kind at least once where n allows.
func drawn(r *rng, from map[string][]script, n int) []spoken {
	var all []spoken
	for _, lang := range languages {
		for i := range from[lang] {
			all = append(all, spoken{&from[lang][i], lang})
		}
	}
	seen := map[string]bool{}
	var first, rest []spoken
	for _, i := range r.Perm(len(all)) {
		if sc := all[i]; !seen[sc.kind] {
			seen[sc.kind] = true
			first = append(first, sc)
		} else {
			rest = append(rest, sc)
		}
	}
	all = append(first, rest...)
	return all[:min(n, len(all))]
}

func (x *exchange) honestMail(n int, from, to time.Time) map[*letterOut]bool {
	out := map[*letterOut]bool{}
	for _, sc := range drawn(x.r, honest, n) {
		m := x.compose(sc.script, sc.lang, x.office(from, to))
		l := &letterOut{message: m}
		if m.origin != nil {
			l.odd, l.note = true, "sent from home or mobile"
		}
		if sc.kind == "travel" || x.r.chance(0.06) {
			m.t = m.t.Truncate(24 * time.Hour).Add(x.r.span(18*time.Hour, 21*time.Hour))
			if m.origin == nil {
				m.origin = &origin{ip: x.n.public(), name: "unknown", helo: "[172.20.10." + fmt.Sprint(x.r.between(2, 14)) + "]"}
			}
			l.odd, l.note = true, "header: evening, from a new address"
		}
		x.keep(l)
		out[l] = true
	}
	return out
}

// thin drops ordinary clean mail after the cut until n remain.
func (x *exchange) thin(n int, except map[*letterOut]bool) {
	for _, i := range x.r.Perm(len(x.mails)) {
		if x.count(true) <= n {
			break
		}
		if l := x.mails[i]; !l.t.Before(x.cut) && l.from.house == x.partner && !except[l] {
			l.t = x.end // dropped below
		}
	}
	x.mails = slices.DeleteFunc(x.mails, func(l *letterOut) bool { return !l.t.Before(x.end) })
}

// lureMail writes the intruder's mail: most of it in nothing else unlike the owner's.
func (x *exchange) lureMail() {
	for _, sc := range drawn(x.r, lures, lureMails) {
		m := x.compose(sc.script, sc.lang, x.office(x.cut.AddDate(0, 0, 1), x.end))
		l := &letterOut{message: m, lure: true}
		l.odd, l.note = x.oddities(m, sc.script)
		x.keep(l)
	}
}

// oddities gives about two of five lures a trait that the sender's mail did not have.
func (x *exchange) oddities(m *message, sc *script) (bool, string) {
	if m.from.robot || !x.r.chance(0.42) {
		return false, ""
	}
	switch x.r.IntN(4) {
	case 0:
		m.t = m.t.Truncate(24 * time.Hour).Add(x.r.span(18*time.Hour, 23*time.Hour))
		return true, "header: hour"
	case 1:
		ip := x.n.public()
		m.origin = &origin{ip: ip, name: "vps" + x.r.hex(3) + ".host-lane.example", helo: "[" + ip.String() + "]"}
		return true, "header: hosting address"
	case 2:
		ip := x.n.public()
		m.origin = &origin{ip: ip, name: "unknown", helo: "[" + ip.String() + "]", agent: pick(x.r, []string{"Roundcube Webmail/1.6.5", "PHPMailer 6.8.0", "Mailspring", "eM Client/9.2"})}
		m.prog = progMachine
		m.identify(x.r)
		return true, "header: other program and address"
	}
	if slices.Contains([]string{"bank-change", "invoice-redirect", "payroll-change", "gift-card"}, sc.kind) {
		name, _, _ := strings.Cut(m.from.addr, "@")
		m.replyTo = name + "@" + pick(x.r, []string{strings.Replace(x.partner.domain, ".", "-", 1) + ".com", "mail-" + lower(x.names.stem()) + ".com"})
		return true, "header: Reply-To at another domain"
	}
	m.origin = &origin{ip: m.from.home, name: "p" + x.r.hex(2) + ".dip.access-net.example", helo: "[192.168.1." + fmt.Sprint(x.r.between(2, 60)) + "]"}
	return true, "header: the sender's home"
}

// writePartnerMail writes history/, clean/ and lure/, a message a file, with breakwater.yaml and labels.tsv.
func writePartnerMail(ctx context.Context, o Options, dir string) (*Truth, error) {
	x := newExchange(o)
	x.fill(!o.WithoutAttack)
	for _, sub := range []string{"history", "clean", "lure"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	truth := &Truth{Kind: PartnerMail, Seed: o.Seed, Rename: o.Rename, WithoutAttack: o.WithoutAttack}
	numbers, rows := map[string]int{}, []string{}
	for i, l := range x.mails {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		folder, label, kind := "history", "clean", l.kind
		switch {
		case l.lure:
			folder, label = "lure", "lure"
		case !l.t.Before(x.cut):
			folder = "clean"
		}
		if l.from.house == x.tenant {
			if folder == "clean" { // nobody judges what the tenant itself sends
				continue
			}
			kind += "-tenant-reply"
		}
		numbers[folder]++
		name := fmt.Sprintf("%s/%04d.eml", folder, numbers[folder])
		raw := l.write(newRNG(o.Seed, "partner mail written", i))
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), raw, 0o644); err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		rows = append(rows, strings.Join([]string{name, label, kind, l.lang, map[bool]string{true: "yes", false: "no"}[l.odd], cmp.Or(l.note, "-")}, "\t"))
		truth.Mail = append(truth.Mail, MailTruth{File: name, Label: label, Kind: kind, Language: l.lang})
	}
	slices.Sort(rows)
	rows = append([]string{"file\tlabel\tkind\tlanguage\theader_anomaly\tnote"}, rows...)
	if err := os.WriteFile(filepath.Join(dir, "labels.tsv"), []byte(strings.Join(rows, "\n")+"\n"), 0o644); err != nil {
		return nil, err
	}
	return truth, os.WriteFile(filepath.Join(dir, "breakwater.yaml"), x.config(), 0o644)
}

// config declares the tenant, the partner and what the trust between them allows.
func (x *exchange) config() []byte {
	var b bytes.Buffer
	row := func(section string, v any) { fmt.Fprintf(&b, "%s:\n  - %s\n", section, jsonOf(v)) }
	b.WriteString("# The mail of one partner to one tenant, generated.\n")
	client, partner := lower(x.tenant.short), lower(x.partner.short)
	row("tenants", tenantConf{ID: client, Name: x.tenant.name, Aliases: []string{x.tenant.short}, Role: "client", Domains: []string{x.tenant.domain},
		Networks: []string{fmt.Sprintf("10.%d.0.0/16", x.tenant.innerIP.As4()[1]), x.tenant.outIP.String() + "/32"}})
	row("partners", partnerConf{ID: partner, Name: x.partner.name})
	row("trusts", trustConf{ID: partner + "-" + client, Partner: partner, Tenant: client, Owner: x.ours[0].addr, Networks: []string{x.partner.outIP.String() + "/32"},
		MailDomains: []string{x.partner.domain}, RemoteTools: []toolConf{{"screenconnect", x.instance, []string{x.tool}}}, ValidFrom: stamp(x.start.AddDate(-2, 0, 0))})
	return b.Bytes()
}
