package campaign

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text returns s with everything that names others, or lies in their own networks, replaced.
func (v *view) text(s string) string {
	if s == "" {
		return s
	}
	return v.addresses(v.words.replace(s, &v.spared))
}

// tells reports whether a text names others.
func (v *view) tells(s string) bool { return v.text(s) != s }

var addressLike = regexp.MustCompile(`[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?i:[0-9a-f]{0,4}:){2,7}[0-9a-fA-F.]*`)

func (v *view) addresses(s string) string {
	if len(v.nets) == 0 || strings.Count(s, ".") < 3 && strings.Count(s, ":") < 2 {
		return s
	}
	return addressLike.ReplaceAllStringFunc(s, func(x string) string {
		if a, err := netip.ParseAddr(x); err == nil && v.anothers(a) {
			return Elsewhere
		}
		return x
	})
}

// anothers reports whether an address lies in another tenant's own network, and not in one of the scope's or of
// its trusts: the same private space may mean several.
func (v *view) anothers(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	hidden, ok := v.seen[a]
	if !ok {
		holds := func(n netip.Prefix) bool { return n.Contains(a) }
		hidden = slices.ContainsFunc(v.nets, holds) && !slices.ContainsFunc(v.open, holds)
		if len(v.seen) < maxSeen {
			v.seen[a] = hidden
		}
	}
	return hidden
}

// wordSet finds words in text, whatever their case. A word of at least anywhere bytes is found within others too
// (SRVACMEHOLDING01); a shorter one only where no letter touches it, so that "ash" is not found in "hash".
type wordSet struct {
	first  map[[2]byte][]word
	begins [1 << 16]bool // whether first has a word for the two bytes: most places of a text begin none
}

type word struct {
	text   string
	domain bool
}

const anywhere = 7

func (w *wordSet) add(list ...string)    { w.put(list, false) }
func (w *wordSet) domain(list ...string) { w.put(list, true) }

func (w *wordSet) put(list []string, domain bool) {
	for _, s := range list {
		s = strings.ToLower(strings.TrimSpace(s))
		if len(s) < 2 {
			continue // one letter names nobody
		}
		if w.first == nil {
			w.first = map[[2]byte][]word{}
		}
		k := [2]byte{s[0], s[1]}
		w.begins[uint16(s[0])<<8|uint16(s[1])] = true
		w.first[k] = append(w.first[k], word{s, domain})
		slices.SortFunc(w.first[k], func(a, b word) int { return cmp.Compare(len(b.text), len(a.text)) })
	}
}

// at returns the longest word that stands at a place of a lower-case text; "" where none does.
func (w *wordSet) at(low string, i int) word {
	if i+1 >= len(low) || !w.begins[uint16(low[i])<<8|uint16(low[i+1])] {
		return word{}
	}
	for _, x := range w.first[[2]byte{low[i], low[i+1]}] {
		if !strings.HasPrefix(low[i:], x.text) {
			continue
		}
		before, _ := utf8.DecodeLastRuneInString(low[:i])
		after, _ := utf8.DecodeRuneInString(low[i+len(x.text):])
		if len(x.text) >= anywhere || !unicode.IsLetter(before) && !unicode.IsLetter(after) {
			return x
		}
	}
	return word{}
}

// replace puts Elsewhere for every name, address or path part that holds one of the words, unless the word is part
// of a spared one. Labels right of a domain stay: they are what the intruder put behind a victim's name.
func (w *wordSet) replace(s string, spared *wordSet) string {
	low := strings.ToLower(s)
	if strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || utf8.RuneLen(unicode.ToLower(r)) != utf8.RuneLen(r) }) {
		s = low // a letter whose lower case is longer or shorter: places would differ
	}
	var out strings.Builder
	done := 0
	for i := 0; i < len(low); i++ {
		x := w.at(low, i)
		if x.text == "" || i < done || spared.covers(low, i, i+len(x.text)) {
			continue
		}
		from, to := i, i+len(x.text)
		for from > done && inName(low[from-1]) {
			from--
		}
		if !x.domain || to == len(low) || low[to] != '.' || to+1 == len(low) || !inName(low[to+1]) {
			for to < len(low) && inName(low[to]) {
				to++
			}
			for low[to-1] == '.' && to > i+len(x.text) { // the sentence's, not the name's
				to--
			}
		}
		out.WriteString(s[done:from])
		out.WriteString(Elsewhere)
		done = to
	}
	if done == 0 {
		return s
	}
	out.WriteString(s[done:])
	return out.String()
}

// covers reports whether a spared word holds the part of the text from from to to.
func (w *wordSet) covers(low string, from, to int) bool {
	const longest = 256
	for i := max(0, from-longest); i <= from; i++ {
		if x := w.at(low, i); x.text != "" && i+len(x.text) >= to {
			return true
		}
	}
	return false
}

// inName reports whether a byte belongs to a name with the bytes beside it: host, account or mail address.
func inName(b byte) bool {
	return b >= 0x80 || b == '.' || b == '-' || b == '_' || b == '@' || b == '+' || b == '$' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z'
}
