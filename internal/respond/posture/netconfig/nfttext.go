package netconfig

import (
	"bytes"
	"regexp"
	"strings"
)

var nftHead = regexp.MustCompile(`(?m)^\s*table\s+((ip|ip6|inet|arp|bridge|netdev)\s+)?[\w.-]+\s*\{`)

func isNFTText(_ string, head []byte) bool {
	return nftHead.Match(head) && !bytes.HasPrefix(bytes.TrimSpace(head), []byte("{"))
}

// token is a word of nft's language. The end of a line is the word "\n".
type token struct {
	line   int64
	text   string
	quoted bool
}

// nftText reads nft's own language.
type nftText struct {
	*nft
	toks    []token
	at      int
	defines map[string][]token
	table   string
	family  set
}

// maxTokens bounds the words of one file.
const maxTokens = 8_000_000

func parseNFTText(s *source) (*device, error) {
	p := &nftText{nft: newNFT(s), defines: map[string][]token{}}
	if err := p.scan(); err != nil {
		return nil, err
	}
	type body struct {
		table  string
		chain  *nfChain
		tokens []token
	}
	var bodies []body
	for p.at < len(p.toks) {
		t := p.next()
		switch t.text {
		case "define":
			p.define()
		case "table":
			words := p.until("{")
			if len(words) == 0 {
				s.bad(t.line, "a table without a name")
				continue
			}
			family, name := "ip", words[len(words)-1].text
			if len(words) > 1 {
				family = words[0].text
			}
			p.table, p.family = family+" "+name, familySet(family)
			if family == "arp" || family == "bridge" {
				p.block()
				continue
			}
			for p.at < len(p.toks) && p.peek() != "}" {
				t := p.next()
				switch t.text {
				case "\n", ";":
				case "chain":
					words := p.until("{")
					if len(words) == 0 {
						s.bad(t.line, "a chain without a name")
						p.block()
						continue
					}
					bodies = append(bodies, body{p.table, p.chain(p.table, words[0].text, t.line, p.family), p.block()})
				case "set", "map":
					words := p.until("{")
					if len(words) == 0 {
						s.bad(t.line, "a set without a name")
						p.block()
						continue
					}
					p.set(t.line, words[0].text, p.block())
				case "define":
					p.define()
				default:
					p.skipStatement()
				}
			}
			if p.at >= len(p.toks) {
				s.bad(t.line, "the table %s does not end: the file is cut off", p.table)
			}
			p.at++
		case "\n", ";", "}":
		default:
			p.skipStatement()
		}
	}
	for _, pass := range []func(*nfChain, string, []token){p.names, p.rules} {
		for i, b := range bodies {
			if i%64 == 0 {
				if err := s.ctx.Err(); err != nil {
					return nil, err
				}
			}
			pass(b.chain, b.table, b.tokens)
		}
	}
	return p.d, p.policies()
}

// scan cuts the file into words.
func (p *nftText) scan() error {
	return p.s.lines(func(n int64, line string) error {
		if len(p.toks) > maxTokens {
			if len(p.toks) <= maxTokens+2 {
				p.s.bad(n, "more than %d words: the rest is not read", maxTokens)
				p.toks = append(p.toks, token{}, token{}, token{})
			}
			return nil
		}
		for i := 0; i < len(line); {
			switch c := line[i]; {
			case c == ' ' || c == '\t' || c == '\f' || c == '\v':
				i++
			case c == '#':
				i = len(line)
			case c == '\\' && i == len(line)-1:
				return nil // the line goes on
			case c == '"':
				end := strings.IndexByte(line[i+1:], '"')
				if end < 0 {
					p.s.bad(n, "a quotation mark is not closed")
					end = len(line) - i - 1
				}
				p.toks = append(p.toks, token{n, line[i+1 : i+1+end], true})
				i += end + 2
			case strings.IndexByte("{};,=!()&|<>", c) >= 0:
				j := i + 1
				if j < len(line) && line[j] == '=' && strings.IndexByte("!=<>", c) >= 0 {
					j++
				}
				p.toks = append(p.toks, token{n, line[i:j], false})
				i = j
			default:
				j := i
				for j < len(line) && strings.IndexByte(" \t{};,=!()&|\"#<>", line[j]) < 0 {
					j++
				}
				j = max(j, i+1)
				p.toks = append(p.toks, token{n, line[i:j], false})
				i = j
			}
		}
		p.toks = append(p.toks, token{n, "\n", false})
		return nil
	})
}

func (p *nftText) peek() string {
	if p.at < len(p.toks) && !p.toks[p.at].quoted {
		return p.toks[p.at].text
	}
	return ""
}

func (p *nftText) next() token {
	t := p.toks[p.at]
	p.at++
	return t
}

// until returns the words before a word on the same line, and steps over it; nothing where the line ends before.
func (p *nftText) until(end string) (out []token) {
	for p.at < len(p.toks) {
		t := p.next()
		if t.text == end {
			return out
		}
		if t.text == "\n" {
			return nil
		}
		out = append(out, t)
	}
	return nil
}

// block returns the words up to the brace that closes the one that was just read.
func (p *nftText) block() []token {
	from, depth := p.at, 1
	for p.at < len(p.toks) {
		switch t := p.next(); {
		case t.quoted:
		case t.text == "{":
			depth++
		case t.text == "}":
			if depth--; depth == 0 {
				return p.toks[from : p.at-1]
			}
		}
	}
	return p.toks[from:]
}

func (p *nftText) skipStatement() {
	for p.at < len(p.toks) {
		switch p.peek() {
		case "\n", ";":
			p.at++
			return
		case "}":
			return
		case "{":
			p.at++
			p.block()
		default:
			p.at++
		}
	}
}

// define keeps what a name stands for: "define X = { … }".
func (p *nftText) define() {
	if p.at >= len(p.toks) {
		return
	}
	name := p.next().text
	var value []token
	depth := 0
	for p.at < len(p.toks) {
		t := p.toks[p.at]
		if t.text == "\n" && depth == 0 || t.text == ";" {
			break
		}
		if t.text == "{" {
			depth++
		}
		if t.text == "}" {
			if depth == 0 {
				break
			}
			depth--
		}
		p.at++
		if t.text != "=" && t.text != "\n" {
			value = append(value, t)
		}
	}
	p.defines[name] = value
}

// split cuts a list of words at a separator outside of braces.
func split(toks []token, seps string) (out [][]token) {
	depth, from := 0, 0
	for i, t := range toks {
		switch {
		case t.quoted:
		case t.text == "{":
			depth++
		case t.text == "}":
			depth--
		case depth == 0 && len(t.text) == 1 && strings.Contains(seps, t.text):
			out = append(out, toks[from:i])
			from = i + 1
		}
	}
	return append(out, toks[from:])
}

// set reads the body of a set or a map.
func (p *nftText) set(line int64, name string, body []token) {
	s := &nftSet{line: line}
	p.sets[p.table+" "+name] = s
	for _, part := range split(body, "\n;") {
		if len(part) > 2 && part[0].text == "elements" {
			if i := indexOf(part, "{"); i > 0 {
				s.elems = p.elems(trimBrace(part[i+1:]))
			}
		}
	}
}

func indexOf(toks []token, text string) int {
	for i, t := range toks {
		if t.text == text && !t.quoted {
			return i
		}
	}
	return -1
}

func trimBrace(toks []token) []token {
	if n := len(toks); n > 0 && toks[n-1].text == "}" {
		return toks[:n-1]
	}
	return toks
}

// elems reads what stands between the braces of a set: a, b-c, d . e : verdict.
func (p *nftText) elems(toks []token) (out []nftElem) {
	for _, part := range split(toks, ",") {
		var e nftElem
		word := ""
		verdict, rest := false, false
		for _, t := range part {
			switch {
			case t.text == "\n":
			case t.quoted && rest: // a comment's text
			case verdict:
				if e.verdict == "" {
					e.verdict = t.text
				} else if e.target == "" {
					e.target = t.text
				}
			case t.text == ":":
				verdict = true
			case t.text == "timeout" || t.text == "expires" || t.text == "comment" || t.text == "counter":
				rest = true
			case rest:
			case t.text == ".":
				e.parts = append(e.parts, word)
				word = ""
			case strings.HasPrefix(t.text, "$") && !t.quoted:
				if list, ok := p.defines[t.text[1:]]; ok && p.s.room(t.line) {
					out = append(out, p.plain(list)...)
				}
			default:
				word += t.text
			}
		}
		if word != "" {
			e.parts = append(e.parts, word)
		}
		if len(e.parts) > 0 {
			if !p.s.room(part[0].line) {
				return out
			}
			out = append(out, e)
		}
	}
	return out
}

// plain reads the value of a definition, which names no other.
func (p *nftText) plain(toks []token) (out []nftElem) {
	for _, t := range toks {
		if t.quoted || len(t.text) > 1 || t.text != "{" && t.text != "}" && t.text != "," {
			if !strings.HasPrefix(t.text, "$") && p.s.room(t.line) {
				out = append(out, nftElem{parts: []string{t.text}})
			}
		}
	}
	return out
}
