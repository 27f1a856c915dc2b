package mailauth

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
)

// arcSet is what one hop added (RFC 8617 4.2): what it found, its signature over the message as it left the hop,
// and its seal over all sets so far.
type arcSet struct {
	results   int // field of ARC-Authentication-Results
	sig, seal signature
}

// arcChain is the sets of a message, first hop first.
type arcChain struct {
	sets    []arcSet
	sealer  string // of the highest instance, as far as it can be read
	problem string // why the chain is broken by its form alone
}

// chain gathers the sets and checks their form (RFC 8617 5.2 steps 1 to 3).
func (m *message) chain() arcChain {
	var c arcChain
	names := [3]string{"arc-authentication-results", "arc-message-signature", "arc-seal"}
	var fields [3][]int
	total := 0
	for k, name := range names {
		at, n := m.all(name, MaxInstances+1)
		fields[k] = at
		total = max(total, n)
	}
	if total == 0 {
		return c
	}
	if total > MaxInstances {
		c.problem = fmt.Sprintf("more than %d instances", MaxInstances)
		return c
	}
	byInstance := [3][MaxInstances]int{}
	for k := range names {
		for _, at := range fields[k] {
			i := instance(m.fields[at].value(), k == 0)
			switch {
			case i < 1 || i > total:
				c.problem = "an instance (i=) that is missing or out of order"
			case byInstance[k][i-1] != 0:
				c.problem = fmt.Sprintf("two fields of instance %d", i)
			default:
				byInstance[k][i-1] = at + 1
			}
		}
	}
	for i := range total {
		set := arcSet{results: byInstance[0][i] - 1}
		if byInstance[2][i] > 0 {
			set.seal = parseSignature(m, byInstance[2][i]-1, false, true)
			c.sealer = set.seal.domain
		}
		if c.problem == "" && (byInstance[0][i] == 0 || byInstance[1][i] == 0 || byInstance[2][i] == 0) {
			c.problem = fmt.Sprintf("instance %d is not complete", i+1)
		}
		if c.problem != "" {
			continue
		}
		set.sig = parseSignature(m, byInstance[1][i]-1, false, false)
		want := "pass"
		if i == 0 {
			want = "none"
		}
		if cv := set.seal.tags.value("cv"); cv == "fail" {
			c.problem = fmt.Sprintf("the server of instance %d found the chain broken (cv=fail)", i+1)
		} else if cv != want {
			c.problem = fmt.Sprintf("instance %d says cv=%.12q instead of %s", i+1, cv, want)
		}
		c.sets = append(c.sets, set)
	}
	if c.problem != "" {
		c.sets = nil
	}
	return c
}

// instance reads the tag i=, which stands first in ARC-Authentication-Results (RFC 8617 4.1.1) and anywhere in
// the others. It returns 0 where there is none.
func instance(v []byte, first bool) int {
	if len(v) > maxSignatureSize {
		return 0
	}
	word := ""
	if first {
		head, _, _ := bytes.Cut(v, []byte(";"))
		name, value, ok := bytes.Cut(head, []byte("="))
		if !ok || string(trimFWS(name)) != "i" {
			return 0
		}
		word = string(trimFWS(value))
	} else if tags, err := parseTags(v); err == nil {
		word = tags.value("i")
	}
	n, err := strconv.ParseUint(word, 10, 8)
	if err != nil {
		return 0
	}
	return int(n)
}

// arc validates the chain (RFC 8617 5.2): the newest signature must fit the message, and every seal its sets.
func (c *Checker) arc(ctx context.Context, m *message, chain arcChain) ARC {
	a := ARC{Result: None, Sealer: chain.sealer}
	n := len(chain.sets)
	switch {
	case m.problem != "" && (n > 0 || chain.problem != ""):
		a.Result, a.Reason = Fail, m.problem
	case chain.problem != "":
		a.Result, a.Reason = Fail, chain.problem
	}
	if n == 0 || a.Result == Fail {
		return a
	}
	if r, why := c.verify(ctx, m, &chain.sets[n-1].sig); r != Pass {
		return a.broken(r, fmt.Sprintf("message signature %d: %s", n, why))
	}
	if s := &chain.sets[n-1].sig; s.limit >= 0 {
		if _, length := m.bodySum(s.relaxedBody, -1); s.limit < length {
			return a.broken(Fail, "the newest message signature leaves an end of the body unsigned (l=)")
		}
	}
	if r, why := c.seals(ctx, m, chain); r != Pass {
		return a.broken(r, why)
	}
	a.Result = Pass
	// How far back nothing was changed; with each hop that changed the message its predecessors' signatures break.
	for oldest := n - 1; oldest > 0; oldest-- {
		if r, _ := c.verify(ctx, m, &chain.sets[oldest-1].sig); r != Pass {
			a.OldestPass = oldest + 1
			break
		}
	}
	for i := range chain.sets {
		a.Chain = append(a.Chain, chain.sets[i].seal.domain)
		_, said, _ := bytes.Cut(m.fields[chain.sets[i].results].value(), []byte(";"))
		claims, _ := parseClaims(string(said))
		a.Said = append(a.Said, claims)
	}
	return a
}

// broken says why the chain is no pass. Only a key that could not be had is temporary.
func (a ARC) broken(r Result, why string) ARC {
	a.Result, a.Reason = Fail, why
	if r == TempError {
		a.Result = TempError
	}
	return a
}

// seals verifies every seal, the newest first: each is made over all sets up to its own (RFC 8617 5.1.1).
func (c *Checker) seals(ctx context.Context, m *message, chain arcChain) (Result, string) {
	var all []byte
	ends := make([]int, len(chain.sets)) // where the data of each seal ends, but for the seal itself
	for i := range chain.sets {
		set := &chain.sets[i]
		all = relaxedField(all, &m.fields[set.results])
		all = relaxedField(all, &m.fields[set.sig.field])
		ends[i] = len(all)
		all = relaxedField(all, &m.fields[set.seal.field])
	}
	buf := takeBuffer()
	defer giveBuffer(buf)
	for i := len(chain.sets) - 1; i >= 0; i-- {
		s := &chain.sets[i].seal
		if s.problem != "" {
			return PermError, fmt.Sprintf("seal %d: %s", i+1, s.problem)
		}
		key, r, why := c.key(ctx, s.keyName())
		if key != nil {
			if why = key.refuses(s); why != "" {
				r = PermError
			} else {
				*buf = append((*buf)[:0], all[:ends[i]]...)
				*buf = relaxedValue(*buf, &m.fields[s.field], s.cut, s.end)
				r, why = key.verify(s.bytes, *buf)
			}
		}
		if r != Pass {
			return r, fmt.Sprintf("seal %d: %s", i+1, why)
		}
	}
	return Pass, ""
}
