package netconfig

import (
	"bytes"
	"fmt"
	"strings"
)

func isNFTJSON(_ string, head []byte) bool {
	head = bytes.TrimSpace(head)
	return bytes.HasPrefix(head, []byte("{")) && bytes.Contains(head[:min(len(head), 64)], []byte(`"nftables"`))
}

// nftJSON reads libnftables-json(5).
type nftJSON struct {
	*nft
	one bool // nft writes it all on one line: entries are told by their number
}

func parseNFTJSON(s *source) (*device, error) {
	root, err := readJSON(s.data)
	if err != nil {
		return nil, fmt.Errorf("reading %s as nft -j: %w", s.in.Name, err)
	}
	p := &nftJSON{nft: newNFT(s), one: bytes.Count(bytes.TrimSpace(s.data), []byte{'\n'}) == 0}
	list := root.get("nftables").items()
	type entry struct {
		chain *nfChain
		table string
		rule  *node
		line  int64
	}
	var rules []entry
	for i, e := range list {
		line := e.line
		if p.one {
			line = int64(i + 1)
		}
		if c := e.get("chain"); c != nil {
			table := c.get("family").string() + " " + c.get("table").string()
			if f := c.get("family").string(); f == "arp" || f == "bridge" {
				continue
			}
			ch := p.chain(table, c.get("name").string(), line, familySet(c.get("family").string()))
			if c.get("hook") != nil {
				ch.hooked(c.get("type").string(), c.get("hook").string(), c.get("policy").string())
			}
		}
		for _, what := range []string{"set", "map"} {
			if m := e.get(what); m != nil {
				table := m.get("family").string() + " " + m.get("table").string()
				p.sets[table+" "+m.get("name").string()] = &nftSet{line: line, elems: p.elems(m.get("elem").items())}
			}
		}
	}
	for i, e := range list {
		line := e.line
		if p.one {
			line = int64(i + 1)
		}
		r := e.get("rule")
		if r == nil {
			continue
		}
		table := r.get("family").string() + " " + r.get("table").string()
		c := p.chains[table+" "+r.get("chain").string()]
		if c == nil {
			if f := r.get("family").string(); f != "arp" && f != "bridge" {
				s.bad(line, "a rule of the chain %q, which is not there", r.get("chain").string())
			}
			continue
		}
		rules = append(rules, entry{c, table, r, line})
		for _, x := range r.get("expr").items() {
			p.names(table, x)
		}
	}
	for i, e := range rules {
		if i%4096 == 0 {
			if err := s.ctx.Err(); err != nil {
				return nil, err
			}
		}
		p.rule(e.chain, e.table, e.rule, e.line)
	}
	return p.d, p.policies()
}

func (p *nftJSON) names(table string, x *node) {
	left, right := x.get("match", "left"), x.get("match", "right")
	if v := x.get("vmap"); v != nil {
		left, right = v.get("key"), v.get("data")
	}
	fields, ok := fieldsOf(left)
	if !ok || right == nil {
		return
	}
	list, _ := p.elements(table, p.values(right))
	for i, f := range fields {
		for _, e := range list {
			if i < len(e.parts) {
				p.collect(table, f, []nftElem{{parts: e.parts[i : i+1]}})
			}
		}
	}
}

// fieldsOf names the fields of the left side of a match, as nft's language does.
func fieldsOf(n *node) ([]string, bool) {
	if list := n.get("concat"); list != nil {
		var out []string
		for _, m := range list.items() {
			f, ok := fieldsOf(m)
			if !ok || len(f) != 1 {
				return nil, false
			}
			out = append(out, f[0])
		}
		return out, len(out) > 0
	}
	if m := n.get("payload"); m != nil {
		if m.get("field") == nil {
			return nil, false
		}
		return []string{m.get("protocol").string() + " " + m.get("field").string()}, true
	}
	if m := n.get("meta"); m != nil {
		return []string{"meta " + m.get("key").string()}, true
	}
	if m := n.get("ct"); m != nil && m.get("dir") == nil {
		return []string{"ct " + m.get("key").string()}, true
	}
	return nil, false
}

// value writes one element as nft's language does.
func value(n *node) string {
	if s := n.string(); s != "" {
		return s
	}
	if m := n.get("prefix"); m != nil {
		return m.get("addr").string() + "/" + m.get("len").string()
	}
	if m := n.get("range"); m != nil && len(m.items()) == 2 {
		return value(m.items()[0]) + "-" + value(m.items()[1])
	}
	if m := n.get("elem"); m != nil {
		return value(m.get("val"))
	}
	return ""
}

// element reads one element of a set: a value, a pair, or [value, verdict] of a map.
func (p *nftJSON) element(n *node) (e nftElem, ok bool) {
	if n != nil && n.kind == 'a' {
		if len(n.list) != 2 {
			return e, false
		}
		if e, ok = p.element(n.list[0]); !ok {
			return e, false
		}
		e.verdict, e.target = verdict(n.list[1])
		return e, true
	}
	if m := n.get("elem", "val"); m != nil {
		return p.element(m)
	}
	if m := n.get("concat"); m != nil {
		for _, part := range m.items() {
			e.parts = append(e.parts, value(part))
		}
		return e, len(e.parts) > 0
	}
	e.parts = []string{value(n)}
	return e, e.parts[0] != ""
}

func (p *nftJSON) elems(list []*node) (out []nftElem) {
	for _, n := range list {
		if !p.s.room(n.line) {
			return out
		}
		if e, ok := p.element(n); ok {
			out = append(out, e)
		}
	}
	return out
}

// values reads the right side of a match.
func (p *nftJSON) values(n *node) []nftElem {
	if m := n.get("set"); m != nil {
		if m.kind == 's' {
			return []nftElem{{parts: []string{m.text}}}
		}
		return p.elems(m.items())
	}
	if n.kind == 'a' { // several states
		return p.elems(n.items())
	}
	if e, ok := p.element(n); ok {
		return []nftElem{e}
	}
	return nil
}

// verdict reads what a rule or an element of a map does.
func verdict(n *node) (what, target string) {
	if n == nil || n.kind != 'o' || len(n.keys) == 0 {
		return "", ""
	}
	switch key := n.keys[0]; key {
	case "accept", "drop", "return":
		return key, ""
	case "reject", "queue":
		return "drop", ""
	case "jump", "goto":
		return key, n.get(key, "target").string()
	}
	return "", ""
}

// rule reads one rule.
func (p *nftJSON) rule(c *nfChain, table string, n *node, line int64) {
	r := newNfRule(line)
	r.comment = n.get("comment").string()
	r.name = r.comment
	var key []string
	var verdicts []nftElem
	for _, x := range n.get("expr").items() {
		if x.kind != 'o' || len(x.keys) == 0 {
			continue
		}
		v, body := x.keys[0], x.list[0]
		if what, to := verdict(x); what != "" {
			r.verdict, r.target = what, to
			continue
		}
		switch v {
		case "match":
			p.condition(r, table, body)
		case "vmap":
			fields, ok := fieldsOf(body.get("key"))
			if !ok {
				r.ask("map")
				continue
			}
			key, verdicts = fields, p.values(body.get("data"))
			if s := body.get("data").string(); s != "" {
				verdicts = []nftElem{{parts: []string{s}}}
			}
		case "counter", "log", "mangle", "notrack", "continue", "set", "flow", "ct helper", "ct timeout", "ct expectation", "secmark", "last":
		case "limit", "quota", "ct count":
			r.narrow(v)
		case "masquerade", "snat":
			r.masks = true
		case "dnat", "redirect":
			r.translate(value(body.get("addr")), value(body.get("port")))
		default:
			r.ask(v)
		}
	}
	p.addTo(c, r, table, key, verdicts)
}

func (p *nftJSON) condition(r *nfRule, table string, body *node) {
	left := body.get("left")
	op := body.get("op").string()
	fields, ok := fieldsOf(left)
	if masked := left.get("&"); masked != nil && len(masked.items()) == 2 {
		if f, known := fieldsOf(masked.items()[0]); known && len(f) == 1 {
			p.field(r, masking(f[0]), false, nil)
			return
		}
	}
	right := body.get("right")
	if !ok || right == nil || op != "==" && op != "!=" && op != "in" {
		name := "a comparison"
		if ok {
			name = strings.Join(fields, " . ") + " " + op
		}
		r.ask(name)
		return
	}
	p.match(r, table, fields, op == "!=", p.values(right))
}

// masking is the field of which some bits are looked at; those of ports and addresses are not followed.
func masking(field string) string {
	if field == "tcp flags" {
		return field
	}
	return field + " with a mask"
}
