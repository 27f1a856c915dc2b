package indicator

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

const (
	maxPattern = 64 << 10 // bytes of one STIX pattern
	maxTerms   = 256      // alternatives of one pattern once it is written out
	maxNesting = 16
)

// parsePattern reads the part of STIX patterning (STIX 2.1, section 9) that names values: = and IN, ISSUBSET
// for networks, AND, OR and brackets within an observation, OR between observations. It returns the pattern as
// alternatives, each a list of values that must all be there. What it does not read is an error that says so.
func parsePattern(s string) ([][]Term, error) {
	if len(s) > maxPattern {
		return nil, fmt.Errorf("pattern longer than %d bytes", maxPattern)
	}
	p := &patternParser{toks: patternTokens(s)}
	out, err := p.observations()
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("%s after the pattern is not supported", show(p.peek()))
	}
	return out, err
}

// patternTokens cuts a pattern; string constants keep their leading quote and are unescaped.
func patternTokens(s string) (out []string) {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '\'':
			var b strings.Builder
			b.WriteByte('\'')
			for i++; i < len(s) && s[i] != '\''; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
				b.WriteByte(s[i])
			}
			i++
			out = append(out, b.String())
		case strings.IndexByte("[](),", c) >= 0:
			out = append(out, s[i:i+1])
			i++
		case strings.IndexByte("=!<>", c) >= 0:
			j := i + 1
			for j < len(s) && strings.IndexByte("=<>", s[j]) >= 0 {
				j++
			}
			out = append(out, s[i:j])
			i = j
		default: // a keyword or an object path, which may hold quoted keys: file:hashes.'SHA-256'
			j := i
			for j < len(s) && strings.IndexByte(" \t\r\n[](),=!<>", s[j]) < 0 {
				if s[j] == '\'' {
					for j++; j < len(s) && s[j] != '\''; j++ {
					}
				}
				if j < len(s) {
					j++
				}
			}
			out = append(out, s[i:j])
			i = j
		}
	}
	return out
}

type patternParser struct {
	toks []string
	pos  int
	deep int
}

func (p *patternParser) peek() string {
	if p.pos < len(p.toks) {
		return p.toks[p.pos]
	}
	return ""
}

func (p *patternParser) next() string {
	t := p.peek()
	p.pos++
	return t
}

func (p *patternParser) accept(t string) bool {
	if strings.EqualFold(p.peek(), t) {
		p.pos++
		return true
	}
	return false
}

// show quotes a token for a message.
func show(t string) string {
	if t == "" {
		return "the end"
	}
	return fmt.Sprintf("%q", clip(t, 40))
}

func (p *patternParser) observations() ([][]Term, error) {
	var out [][]Term
	for {
		part, err := p.observation()
		if err != nil {
			return nil, err
		}
		if out = append(out, part...); len(out) > maxTerms {
			return nil, fmt.Errorf("more than %d alternatives", maxTerms)
		}
		switch t := strings.ToUpper(p.peek()); t {
		case "OR":
			p.pos++
		case "AND", "FOLLOWEDBY":
			return nil, fmt.Errorf("%s between observations is not supported", t)
		case "WITHIN", "REPEATS", "START", "STOP":
			return nil, fmt.Errorf("the qualifier %s is not supported", t)
		default:
			return out, nil
		}
	}
}

func (p *patternParser) observation() ([][]Term, error) {
	if p.deep++; p.deep > maxNesting {
		return nil, fmt.Errorf("nested deeper than %d", maxNesting)
	}
	defer func() { p.deep-- }()
	if p.accept("(") {
		out, err := p.observations()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("%s where ) was expected", show(p.peek()))
		}
		return out, err
	}
	if !p.accept("[") {
		return nil, fmt.Errorf("%s where [ was expected", show(p.peek()))
	}
	out, err := p.either()
	if err == nil && !p.accept("]") {
		err = fmt.Errorf("%s where ] was expected", show(p.peek()))
	}
	return out, err
}

func (p *patternParser) either() ([][]Term, error) {
	var out [][]Term
	for {
		part, err := p.all()
		if err != nil {
			return nil, err
		}
		if out = append(out, part...); len(out) > maxTerms {
			return nil, fmt.Errorf("more than %d alternatives", maxTerms)
		}
		if !p.accept("OR") {
			return out, nil
		}
	}
}

// all reads what AND joins and multiplies the alternatives out.
func (p *patternParser) all() ([][]Term, error) {
	out := [][]Term{nil}
	for {
		part, err := p.comparison()
		if err != nil {
			return nil, err
		}
		if len(out)*len(part) > maxTerms {
			return nil, fmt.Errorf("more than %d alternatives", maxTerms)
		}
		var joined [][]Term
		for _, a := range out {
			for _, b := range part {
				joined = append(joined, append(slices.Clone(a), b...))
			}
		}
		out = joined
		if !p.accept("AND") {
			return out, nil
		}
	}
}

func (p *patternParser) comparison() ([][]Term, error) {
	if p.accept("(") {
		if p.deep++; p.deep > maxNesting {
			return nil, fmt.Errorf("nested deeper than %d", maxNesting)
		}
		defer func() { p.deep-- }()
		out, err := p.either()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("%s where ) was expected", show(p.peek()))
		}
		return out, err
	}
	if p.accept("NOT") {
		return nil, errors.New("NOT is not supported")
	}
	path := p.next()
	t, err := pathType(path)
	if err != nil {
		return nil, err
	}
	op := strings.ToUpper(p.next())
	var values []string
	switch {
	case op == "=" || op == "==" || op == "ISSUBSET" && t == ocsf.EntityIP:
		values = []string{p.next()}
	case op == "IN":
		if values, err = p.list(); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("the operator %s is not supported", show(op))
	}
	var out [][]Term
	for _, v := range values {
		if !strings.HasPrefix(v, "'") {
			return nil, fmt.Errorf("%s where a string was expected", show(v))
		}
		kind, value, err := normalise(t, v[1:])
		if err != nil {
			return nil, err
		}
		out = append(out, []Term{{kind, value}})
	}
	return out, nil
}

func (p *patternParser) list() (out []string, err error) {
	if !p.accept("(") {
		return nil, fmt.Errorf("%s where ( was expected", show(p.peek()))
	}
	for len(out) < maxTerms {
		out = append(out, p.next())
		if p.accept(")") {
			return out, nil
		}
		if !p.accept(",") {
			return nil, fmt.Errorf("%s where a comma was expected", show(p.peek()))
		}
	}
	return nil, fmt.Errorf("more than %d alternatives", maxTerms)
}

// pathType says what values an object path holds; "" where the value itself must tell.
func pathType(path string) (ocsf.EntityType, error) {
	switch path {
	case "ipv4-addr:value", "ipv6-addr:value":
		return ocsf.EntityIP, nil
	case "domain-name:value":
		return ocsf.EntityDomain, nil
	case "url:value":
		return ocsf.EntityURL, nil
	case "email-addr:value", "email-message:from_ref.value", "email-message:sender_ref.value":
		return ocsf.EntityMailbox, nil
	case "email-message:subject":
		return ocsf.EntitySubject, nil
	case "network-traffic:src_ref.value", "network-traffic:dst_ref.value":
		return "", nil
	}
	if strings.HasPrefix(path, "file:hashes.") || strings.HasPrefix(path, "file:hashes[") {
		return ocsf.EntityHash, nil
	}
	return "", fmt.Errorf("the object path %s is not supported", show(path))
}
