package netconfig

import (
	"slices"
	"strings"
)

// firstWords are what a match of nft begins with, and whether a second word belongs to the field's name.
var firstWords = map[string]bool{
	"ip": true, "ip6": true, "tcp": true, "udp": true, "sctp": true, "dccp": true, "udplite": true, "th": true, "icmp": true, "icmpv6": true, "meta": true, "ct": true, "ether": true, "vlan": true, "arp": true,
	"ah": true, "esp": true, "comp": true, "fib": true, "rt": true, "socket": true, "osf": true, "ipsec": true, "numgen": true, "jhash": true, "symhash": true, "exthdr": true, "frag": true,
	"iif": false, "iifname": false, "oif": false, "oifname": false, "iiftype": false, "oiftype": false, "iifgroup": false, "oifgroup": false, "mark": false, "skuid": false, "skgid": false, "pkttype": false, "length": false, "l4proto": false, "nfproto": false, "protocol": false, "day": false, "hour": false, "time": false, "cgroup": false,
}

// ruleWords walks over the words of one rule.
type ruleWords struct {
	p     *nftText
	table string
	toks  []token
	at    int
}

func (w *ruleWords) peek() string {
	if w.at < len(w.toks) {
		return w.toks[w.at].text
	}
	return ""
}

func (w *ruleWords) next() string {
	t := w.peek()
	w.at++
	return t
}

// statements are the lines of a chain.
func (p *nftText) statements(toks []token) [][]token {
	return slices.DeleteFunc(split(toks, "\n;"), func(t []token) bool { return len(t) == 0 })
}

// names collects the interfaces that a chain's rules name.
func (p *nftText) names(_ *nfChain, table string, toks []token) {
	for _, st := range p.statements(toks) {
		w := &ruleWords{p: p, table: table, toks: st}
		for w.at < len(st) {
			if t := st[w.at]; t.quoted || !firstWord(t.text) {
				w.at++
				continue
			}
			fields := w.fields()
			_, list, _ := w.values()
			if len(fields) == 1 {
				p.collect(table, fields[0], list)
				continue
			}
			list, _ = p.elements(table, list)
			for i, f := range fields {
				for _, e := range list {
					if i < len(e.parts) {
						p.collect(table, f, []nftElem{{parts: e.parts[i : i+1]}})
					}
				}
			}
		}
	}
}

func firstWord(s string) bool { _, ok := firstWords[s]; return ok }

// rules reads the rules of a chain.
func (p *nftText) rules(c *nfChain, table string, toks []token) {
	for _, st := range p.statements(toks) {
		switch st[0].text {
		case "type":
			w := &ruleWords{p: p, toks: st}
			kind, hook := "", ""
			for w.at < len(st) {
				switch w.next() {
				case "type":
					kind = w.next()
				case "hook":
					hook = w.next()
				}
			}
			c.hooked(kind, hook, "")
		case "policy":
			if len(st) > 1 && st[1].text == "drop" {
				c.policy = deny
				c.line = st[0].line
			}
		case "comment", "devices":
		default:
			p.rule(c, table, st)
		}
	}
}

// fields reads the name of a field, or several joined by dots.
func (w *ruleWords) fields() (out []string) {
	for {
		first := w.next()
		name := first
		if firstWords[first] {
			second := w.next()
			name += " " + second
			if first == "ct" && (second == "original" || second == "reply") || first == "fib" {
				for w.at < len(w.toks) && w.peek() != "{" && w.peek() != "==" && w.peek() != "!=" && !verdictWord(w.peek()) && w.peek() != "exists" && w.peek() != "missing" {
					name += " " + w.next()
				}
			}
		}
		out = append(out, name)
		if w.peek() != "." {
			return out
		}
		w.at++
	}
}

func verdictWord(s string) bool {
	switch s {
	case "accept", "drop", "reject", "return", "continue", "jump", "goto", "queue":
		return true
	}
	return false
}

// values reads what a field is held against. verdicts is true for a map of verdicts.
func (w *ruleWords) values() (not bool, list []nftElem, verdicts bool) {
	switch w.peek() {
	case "==":
		w.at++
	case "!=":
		not = true
		w.at++
	case "<", ">", "<=", ">=", "&", "|", "^", "and", "or":
		for w.at < len(w.toks) && !firstWord(w.peek()) && !verdictWord(w.peek()) && w.peek() != "counter" && w.peek() != "log" {
			w.at++
		}
		return false, nil, false
	case "vmap":
		verdicts = true
		w.at++
	case "map":
		w.at++
	case "set":
		w.at += 2
		return false, nil, false
	}
	if w.peek() == "!=" || w.peek() == "!" {
		not = true
		w.at++
	}
	switch t := w.peek(); {
	case t == "{":
		from, depth := w.at+1, 0
		for w.at < len(w.toks) {
			t := w.toks[w.at]
			w.at++
			if !t.quoted && t.text == "{" {
				depth++
			}
			if !t.quoted && t.text == "}" {
				if depth--; depth == 0 {
					break
				}
			}
		}
		return not, w.p.elems(trimBrace(w.toks[from:w.at])), verdicts
	case strings.HasPrefix(t, "$") && !w.toks[w.at].quoted:
		w.at++
		return not, w.p.plain(w.p.defines[t[1:]]), verdicts
	case t != "":
		word := w.next()
		list = append(list, nftElem{parts: []string{word}})
		for w.peek() == "." { // a . b without braces
			w.at++
			list[0].parts = append(list[0].parts, w.next())
		}
		for w.peek() == "," { // a,b without braces
			w.at++
			list = append(list, nftElem{parts: []string{w.next()}})
		}
		if w.peek() == "/" || w.peek() == "&" || w.peek() == "|" { // syn / syn,ack
			for w.at < len(w.toks) && !firstWord(w.peek()) && !verdictWord(w.peek()) && w.peek() != "counter" {
				w.at++
			}
		}
	}
	return not, list, verdicts
}

// rule reads one rule.
func (p *nftText) rule(c *nfChain, table string, toks []token) {
	r := newNfRule(toks[0].line)
	w := &ruleWords{p: p, table: table, toks: toks}
	var key []string
	var verdicts []nftElem
	for w.at < len(toks) {
		if toks[w.at].quoted {
			w.at++
			continue
		}
		word := w.peek()
		if firstWord(word) {
			if word == "meta" && w.at+2 < len(toks) && toks[w.at+2].text == "set" || word == "ct" && w.at+2 < len(toks) && toks[w.at+2].text == "set" {
				w.at += 4
				continue
			}
			fields := w.fields()
			not, list, vmap := w.values()
			switch {
			case vmap:
				key, verdicts = fields, list
			case list == nil:
				p.field(r, strings.Join(fields, " . "), not, nil)
			default:
				p.match(r, table, fields, not, list)
			}
			continue
		}
		w.at++
		switch word {
		case "accept", "drop", "return":
			r.verdict = word
		case "reject", "queue":
			r.verdict = "drop"
			w.at = len(toks)
			p.comment(r, toks)
		case "jump", "goto":
			r.verdict, r.target = word, w.next()
		case "continue", "notrack", "\n", "}":
		case "counter":
			for w.peek() == "packets" || w.peek() == "bytes" || w.peek() == "name" {
				w.at += 2
			}
		case "log":
			for w.at < len(toks) && !firstWord(w.peek()) && !verdictWord(w.peek()) && w.peek() != "counter" && w.peek() != "comment" && w.peek() != "limit" {
				w.at++
			}
		case "limit", "quota":
			r.narrow(word)
			for w.at < len(toks) && !firstWord(w.peek()) && !verdictWord(w.peek()) && w.peek() != "counter" && w.peek() != "log" && w.peek() != "comment" {
				w.at++
			}
		case "comment":
			r.comment = w.next()
			r.name = r.comment
		case "masquerade", "snat":
			r.masks = true
			w.at = len(toks)
			p.comment(r, toks)
		case "dnat", "redirect":
			p.destination(r, w)
		case "handle":
			w.at++
		case "add", "update", "delete", "set", "flow", "tproxy", "dup", "fwd", "synproxy":
			for w.at < len(toks) && !verdictWord(w.peek()) && w.peek() != "comment" {
				w.at++
			}
		default:
			if strings.HasPrefix(word, "#") {
				w.at = len(toks)
				continue
			}
			r.ask(word)
			for w.at < len(toks) && (toks[w.at].quoted || !firstWord(w.peek()) && !verdictWord(w.peek()) && w.peek() != "counter" && w.peek() != "log" && w.peek() != "comment") {
				w.at++
			}
		}
	}
	p.addTo(c, r, table, key, verdicts)
}

// comment takes the comment at the end of a rule.
func (p *nftText) comment(r *nfRule, toks []token) {
	for i := 0; i+1 < len(toks); i++ {
		if toks[i].text == "comment" && !toks[i].quoted {
			r.comment, r.name = toks[i+1].text, toks[i+1].text
		}
	}
}

// destination reads what follows dnat or redirect: [ip|ip6] to address[:port].
func (p *nftText) destination(r *nfRule, w *ruleWords) {
	for w.peek() == "ip" || w.peek() == "ip6" || w.peek() == "to" {
		w.at++
	}
	text := w.next()
	if strings.HasPrefix(text, ":") {
		r.translate("", text[1:])
		return
	}
	if isAddress(text) {
		r.translate(text, "")
		return
	}
	if f, err := forwardTo(text); err == nil && (f.to != nil || f.port != nil) {
		r.forward = append(r.forward, f)
	}
}
