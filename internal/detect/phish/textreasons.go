package phish

import (
	"fmt"
	"slices"
	"strings"
)

// wordReasons: what the text asks for, as far as there is a way to do it.
func wordReasons(v *verdict, x *message, s *mailState) {
	m := x.e.Mail
	var foreign, near *link // rare link to elsewhere, rare link to the sender's own site
	for i := range x.links {
		if l := &x.links[i]; x.rare(l, s) {
			if l.site != x.fromSite {
				foreign = l
				break
			} else if near == nil {
				near = l
			}
		}
	}
	if c := x.ask.credential; c != "" {
		share := x.lengthShare()
		if near != nil || x.linksSender() {
			share /= 2 // services count clicks elsewhere, and link their own pages beside; a lure has one target
		}
		if x.report() {
			share /= 2
		}
		switch {
		case foreign != nil:
			v.form = true
			v.add(reason{name: "sign-in-elsewhere", class: "sign-in", kind: kindCommodity, points: half(25, m.Bulk), weight: x.words("sign-in-elsewhere", share), apex: foreign.apex, text: fmt.Sprintf("it asks for a sign-in or confirmation (“%s”) with a link to %s", c, foreign.host)})
		case near != nil && !x.authentic:
			v.form = true
			share *= 2 // a link to the sender is what is said here
			if !x.looked() {
				share /= 2
			}
			v.add(reason{name: "sign-in-unproven", class: "sign-in", kind: kindCommodity, points: half(25, m.Bulk), weight: x.words("sign-in-unproven", share), apex: near.apex, text: fmt.Sprintf("it asks for a sign-in or confirmation (“%s”) with a link to %s, its unproven sender", c, near.host)})
		case near != nil:
			v.add(reason{name: "sign-in-sender", class: "sign-in", kind: kindCommodity, points: half(12, m.Bulk), weight: x.words("sign-in-sender", 2*share), apex: near.apex, text: fmt.Sprintf("it asks for a sign-in or confirmation (“%s”) with a link to its sender %s", c, near.host)})
		}
	}
	if (foreign != nil || near != nil) && x.ask.urgency != "" {
		v.add(reason{name: "urgency", class: "urgency", points: half(8, m.Bulk), text: "it presses for time (“" + x.ask.urgency + "”)"})
	}
	if b := x.ask.bait; b != "" && !x.bounce() && (foreign != nil || near != nil && !x.authentic) {
		weight := prior("bait-subject")
		if !strings.Contains(strings.ToLower(m.Subject), b) {
			weight /= 3 // in the text it is anybody's
		}
		v.add(reason{name: "bait-subject", kind: kindCommodity, points: half(15, m.Bulk), weight: weight, text: "its subject is one that phishing uses daily (“" + b + "”)"})
	}
	if x.ask.secrecy != "" && (freemail[x.fromDomain] || freemail[domainOf(m.ReplyTo)]) && x.from == nil {
		v.add(reason{name: "favour-personal-mailbox", points: 10, text: "it asks for secrecy or a favour from a personal mailbox"})
	}
	if len(m.Text) < 60 && x.e.Fields.Value("body.images") != "" && foreign != nil {
		v.add(reason{name: "picture-for-text", class: "picture", points: 15, text: "it shows a picture instead of text"})
	}
	if n := x.e.Fields.Value("body.hidden"); len(n) > 3 && !m.Bulk {
		v.add(reason{name: "hidden-text", class: "hidden", points: 8, text: "it holds " + n + " bytes of hidden text"})
	}
}

// parseReasons: what could not be read is suspicious, not clean.
func parseReasons(v *verdict, x *message) {
	odd := 0
	for _, p := range x.e.Mail.ParseProblems {
		kind, what, _ := strings.Cut(p, ":")
		if kind == "broken" && x.harmlessBounce() {
			kind = "odd"
		}
		switch kind {
		case "limit":
			v.add(reason{name: "unparsable", class: "unparsable", kind: kindUnparsable, points: 45, text: "it was not read to its end:" + what})
		case "broken":
			v.add(reason{name: "unparsable", class: "unparsable", kind: kindUnparsable, points: 25, text: "a part of it cannot be read:" + what})
		default:
			odd++
		}
	}
	if odd > 0 {
		v.add(reason{name: "malformed", points: min(4*odd, 12), text: "it is malformed"})
	}
}

// lengthShare is what a phrase counts in a text of this length: a long one holds any phrase.
func (x *message) lengthShare() float64 {
	switch {
	case len(x.text) > 6000:
		return 0.3
	case len(x.text) > 3000:
		return 0.6
	}
	return 1
}

// words is the weight of a reason drawn from the text, of which a share counts.
func (x *message) words(name string, share float64) float64 {
	if x.e.Mail.Bulk {
		share /= 3
	}
	return prior(name) * share
}

// looked reports whether anybody evaluated SPF, DKIM or DMARC.
func (x *message) looked() bool { return x.e.Mail.SPF+x.e.Mail.DKIM+x.e.Mail.DMARC != "" }

// linksSender reports whether a link leads to the sender's own site.
func (x *message) linksSender() bool {
	for i := range x.links {
		if x.fromSite != "" && x.links[i].site == x.fromSite {
			return true
		}
	}
	return false
}

// harmlessBounce reports whether the message is a bounce that shows a text and leads nowhere. Such mail quotes what was
// broken before; the structure of the quotation hides nothing that a reader could follow or open.
func (x *message) harmlessBounce() bool {
	if !x.bounce() || len(x.e.Mail.Text) == 0 || len(x.e.Mail.Attachments) > 0 {
		return false
	}
	for i := range x.links {
		if l := &x.links[i]; !l.declared && l.site != x.fromSite && !commonSites[l.apex] {
			return false
		}
	}
	return true
}

// broad reports whether the message links many places, as newsletters do; a lure has one target.
func (x *message) broad() bool {
	const many = 4
	var sites [many]string
	n := 0
	for i := range x.links {
		if s := x.links[i].site; !slices.Contains(sites[:n], s) {
			if sites[n] = s; n == many-1 {
				return true
			}
			n++
		}
	}
	return len(x.links) > 12
}
