package phish

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/detect/phish/learned"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// What ships. A message at Threshold or above is called phish; one less than SuspiciousBand below it, and one that
// cannot be parsed, is suspicious.
const (
	BaseOdds       = learned.Base // log odds of phishing before anything is known: one mail in 55
	Threshold      = 0.5
	SuspiciousBand = 0.2 // log odds
)

// Verdicts, as MailVerdict.Verdict has them.
const (
	Clean      = "clean"
	Suspicious = "suspicious"
	Phish      = "phish"
)

// fade is what the first, second and further reasons of one group count: they are mostly consequences of one
// another, so that adding them in full, as if independent, would be far too sure (the calibration of naive Bayes;
// Zadrozny and Elkan 2001).
var fade = [...]float64{1, 0.6, 0.4, 0.25, 0.15, 0.1}

// provenShare is what reasons that fit anybody's mail count in proven mail of a declared organisation: its people
// are known, and its own habit tells more.
const provenShare = 0.35

// persuasion are reasons that honest advertising gives as well as phishing does. Without any other, which is to say
// without deceit about the sender, the target or the purpose, they stay below the threshold however many there are.
var persuasion = set("lure-offer", "lure-miracle", "lure-prize", "lure-crypto", "lure-romance", "lure-renewal", "text-money", "subject-emoji", "subject-capitals", "subject-exclaims", "subject-code", "from-emoji", "html-only", "form-in-body",
	"link-one-foreign", "link-token", "link-button", "link-unencrypted", "link-odd-tld", "link-redirects", "id-foreign", "id-odd", "reply-elsewhere", "bait-subject", "urgency", "short-with-link", "from-random-name", "greeting-nobody", "date-off", "link-broken-into", "text-hidden", "hidden-text", "lure-refund", "malformed", "link-odd-port", "subject-false-reply", "unproven-sender", "link-shows-other-known", "text-fancy", "body-script", "link-qr-unread")

// The most that persuasion comes to: alone, and beside something else.
const (
	persuasionCap    = 3.3
	persuasionBeside = 2.8
)

// odds returns the log odds of the reasons drawn by hand, without the base rate and without what was learned.
func (v *verdict) odds() learned.Prior {
	sum, soft, firm := 0.0, 0.0, 0.0
	var groups [16]struct {
		name string
		n    int
	}
	deceit := false
	for i := range v.reasons { // strongest first
		r := &v.reasons[i]
		deceit = deceit || !persuasion[r.name]
		p := priorsByName[r.name]
		if p == nil || p.group == "learned" {
			continue
		}
		w := r.weight
		if v.authentic && r.points == 0 {
			if persuasion[r.name] {
				continue
			}
			w *= provenShare
		}
		if p.group == "known" || p.group == "partner" || p.group == "parse" || v.authentic && r.points > 0 {
			sum += w
			if p.group != "parse" {
				firm += w
			}
			continue
		}
		for g := range groups {
			if groups[g].name == "" {
				groups[g].name = p.group
			}
			if groups[g].name == p.group {
				w *= fade[min(groups[g].n, len(fade)-1)]
				groups[g].n++
				if persuasion[r.name] && !v.authentic {
					soft += w
				} else {
					sum += w
				}
				break
			}
		}
	}
	limit := persuasionCap
	if deceit {
		limit = persuasionBeside
	}
	soft = min(soft, limit)
	return learned.Prior{Odds: sum + soft, Soft: soft, Firm: firm}
}

// learnedOdds returns what the model adds to the log odds of the reasons. To proven mail of a declared organisation it
// adds nothing that speaks for it, and a third of what speaks against it where training alone calls it phishing: a
// partner's mail looks honest by its words even when an intruder writes it, and what is new about it, the reasons tell.
func (d *Detector) learnedOdds(x *message, v *verdict, prior learned.Prior) float64 {
	if d.learned == nil {
		return 0
	}
	if v.authentic {
		return max(0, min(d.learned.Odds(x.vector(v), learned.Prior{}), 3)) / 3
	}
	return d.learned.Odds(x.vector(v), prior) - (BaseOdds + prior.Odds)
}

func (x *message) vector(v *verdict) *learned.Vector {
	marks := make([]string, 0, len(v.reasons))
	for i := range v.reasons {
		marks = append(marks, v.reasons[i].name)
	}
	return learned.Features(x.e, x.text, x.ends(), marks)
}

// idle reports whether the message asks for nothing, leads nowhere and holds nothing to open: no link, file or address,
// and no reason that says otherwise. A lure needs a way to its target. What speaks against such a message is what its
// headers or its encoding lack: faults, of which training on other mail knows nothing, and no deceit.
func (x *message) idle(v *verdict) bool {
	m := x.e.Mail
	if len(m.Links) > 0 || len(m.Attachments) > 0 || len(x.phones) > 0 || strings.Contains(m.Text, "@") {
		return false
	}
	return !slices.ContainsFunc(v.reasons, func(r reason) bool {
		switch groupOf(r.name) {
		case "words", "known", "partner", "file", "links":
			return true
		}
		return r.name == "reply-elsewhere"
	})
}

// prior is what the reasons come to, as training takes it.
func (x *message) prior(v *verdict) learned.Prior {
	p := v.odds()
	if p.Idle = x.idle(v); p.Idle {
		p.Odds = min(p.Odds, persuasionCap)
	}
	return p
}

// ends are the links as they end, for the learned features.
func (x *message) ends() []learned.Link {
	out := make([]learned.Link, 0, len(x.links))
	for i := range x.links {
		l := &x.links[i]
		_, tld := splitApex(l.apex)
		out = append(out, learned.Link{URL: l.raw, Host: l.host, TLD: tld, Text: l.text, Own: l.site == x.fromSite, Free: onFreeHost(l.host), Common: commonSites[l.apex]})
	}
	return out
}

// judge brings the reasons of a message to a verdict.
func (d *Detector) judge(x *message, v *verdict) ocsf.MailVerdict {
	z := x.prior(v)
	total := BaseOdds + z.Odds
	if add := d.learnedOdds(x, v, z); add != 0 {
		total += add
		v.learned = add
	}
	out := ocsf.MailVerdict{Score: 1 / (1 + math.Exp(-total)), Threshold: d.threshold, Points: v.points, Rule: v.rule.id, Verdict: Clean}
	unread := slices.ContainsFunc(v.reasons, func(r reason) bool { return r.kind == kindUnparsable })
	switch {
	case out.Score >= d.threshold:
		out.Verdict = Phish
	case out.Score >= d.suspiciousFrom() || unread:
		out.Verdict = Suspicious
	}
	for i := range v.reasons {
		r := &v.reasons[i]
		out.Reasons = append(out.Reasons, ocsf.MailReason{Name: r.name, Weight: math.Round(r.weight*100) / 100, Text: r.text, Apex: r.apex})
	}
	if v.learned != 0 {
		text := "training on this site's mail speaks against it"
		if v.learned < 0 {
			text = "training on this site's mail speaks for it"
		}
		out.Reasons = append(out.Reasons, ocsf.MailReason{Name: "learned", Weight: math.Round(v.learned*100) / 100, Text: text})
		slices.SortStableFunc(out.Reasons, func(a, b ocsf.MailReason) int { return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)) })
	}
	return out
}

// Judge says what a message is: clean, suspicious or phish, with a calibrated probability and the reasons, strongest
// first. It reads what was learned and changes nothing. Rule and Points name the finding that Process makes of it.
func (d *Detector) Judge(e *ocsf.Event) ocsf.MailVerdict {
	if e == nil || e.Mail == nil {
		return ocsf.MailVerdict{Verdict: Clean, Threshold: d.threshold}
	}
	s := d.state.Mail[e.Tenant]
	if s == nil {
		s = nothingKnown
	}
	x := d.read(e)
	return d.judge(x, d.score(x, s))
}

// Learn takes a judged message into the habits of its tenant. What was called phish or suspicious is counted and not
// learned, so that one lure does not make the next ordinary.
func (d *Detector) Learn(e *ocsf.Event, verdict ocsf.MailVerdict) {
	if e == nil || e.Mail == nil {
		return
	}
	x := d.read(e)
	d.learn(d.tenantState(e.Tenant), x, given(&verdict))
}

// Prior returns the log odds that the reasons drawn by hand come to, and the features that training learns from.
func (d *Detector) Prior(e *ocsf.Event) (odds learned.Prior, features *learned.Vector) {
	if e == nil || e.Mail == nil {
		return learned.Prior{}, &learned.Vector{}
	}
	s := d.state.Mail[e.Tenant]
	if s == nil {
		s = nothingKnown
	}
	x := d.read(e)
	v := d.score(x, s)
	return x.prior(v), x.vector(v)
}

// UseModel makes the detector add what a model learned, and takes the model's threshold; nil takes both away.
func (d *Detector) UseModel(m *learned.Model) {
	d.learned, d.threshold = m, Threshold
	if m != nil && m.Threshold > 0 && m.Threshold < 1 {
		d.threshold = m.Threshold
	}
}

// SetThreshold sets from which probability on, above 0 and below 1, a message is called phish.
func (d *Detector) SetThreshold(p float64) {
	if p > 0 && p < 1 {
		d.threshold = p
	}
}

// given turns a verdict that a gateway made into the form that findings are made of.
func given(m *ocsf.MailVerdict) *verdict {
	v := &verdict{points: m.Points, severity: severityOf(m.Points), called: m.Verdict}
	top := kindCommodity
	for k, r := range rules {
		if r.id == m.Rule {
			top = k
		}
	}
	v.rule = rules[top]
	for _, r := range m.Reasons {
		kind := kindContext
		if p := priorsByName[r.Name]; p != nil && (p.group == "known" || p.group == "partner") {
			kind = top
		}
		v.reasons = append(v.reasons, reason{name: r.Name, weight: r.Weight, points: max(0, int(math.Round(r.Weight*pointsPerUnit))), text: r.Text, apex: r.Apex, kind: kind})
		v.form = v.form || r.Name == "sign-in-elsewhere" || r.Name == "sign-in-unproven" || r.Name == "partner-sign-in"
		v.attached = v.attached || groupOf(r.Name) == "file"
	}
	v.atLeastLow()
	return v
}

// groupOf returns the group of a reason, or "".
func groupOf(name string) string {
	if p := priorsByName[name]; p != nil {
		return p.group
	}
	return ""
}

// atLeastLow tells a message that is called phish, whatever its points.
func (v *verdict) atLeastLow() {
	if v.called == Phish && v.severity < ocsf.SeverityLow {
		v.severity = ocsf.SeverityLow
	}
}

// suspiciousFrom is the probability from which a message is suspicious.
func (d *Detector) suspiciousFrom() float64 {
	return 1 / (1 + (1-d.threshold)/d.threshold*math.Exp(SuspiciousBand))
}

// Unread turns what Judge said of a message into the verdict on one that could not be read as it should be: it is
// suspicious at least.
func (d *Detector) Unread(v ocsf.MailVerdict, why string) ocsf.MailVerdict {
	if v.Verdict != Phish {
		v.Verdict = Suspicious
	}
	v.Threshold = d.threshold
	v.Score = max(v.Score, d.suspiciousFrom())
	v.Reasons = slices.Insert(slices.Clone(v.Reasons), 0, ocsf.MailReason{Name: "unparsable", Weight: prior("unparsable"), Text: "it cannot be read as it should be: " + why})
	return v
}
