package campaign

import (
	"strings"
	"unicode"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// victims are the people of the partner's house whose accounts or hosts the intruder has: who followed a message,
// who writes the intruder's mail, whose account was guessed.
func (g *group) victims() []string {
	seen := map[string]bool{}
	var out []string
	add := func(name string) {
		local, _, _ := strings.Cut(strings.ToLower(name), "@")
		if local != "" && !seen[local] {
			seen[local] = true
			out = append(out, local)
		}
	}
	senders := g.senders()
	for _, who := range senders {
		add(who)
	}
	if len(senders) == 0 { // a sign-in from a new place says less than mail that was sent
		for _, who := range g.followed {
			add(who)
		}
	}
	for _, f := range g.findings {
		if f.Tenant != g.home || f.Outcome != ocsf.OutcomeSucceeded {
			continue
		}
		for _, e := range f.Entities {
			if e.Role == ocsf.RoleActor && e.Type == ocsf.EntityUser && strings.Contains(e.Value, "@") {
				add(e.Value)
			}
		}
	}
	return out
}

// senders are the mailboxes of the partner's house from which the intruder writes to clients.
func (g *group) senders() []string {
	seen := map[string]bool{}
	var out []string
	for _, f := range g.findings {
		for _, ev := range f.Evidence {
			if m := ev.Event.Mail; m != nil && f.Partner == g.partner && g.partner != "" && f.Tenant != g.home && !seen[m.From] {
				seen[m.From] = true
				out = append(out, m.From)
			}
		}
	}
	return out
}

// samePerson reports whether a technician's display name and an account name belong to one person: the longest
// part of the name stands in the account, and what is left of the account are initials of, or another part of,
// the name. "Hanna Moser" is moserh, h.moser and hanna.moser, and not moserk.
func samePerson(display, account string) bool {
	parts := strings.FieldsFunc(strings.ToLower(display), func(r rune) bool { return !unicode.IsLetter(r) })
	account = strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, strings.ToLower(account))
	for i, p := range parts {
		if len(p) < 3 || !strings.Contains(account, p) {
			continue
		}
		rest := strings.Replace(account, p, "", 1)
		if rest == "" {
			return len(parts) == 1
		}
		for j, q := range parts {
			if i != j && (rest == q || strings.HasPrefix(q, rest)) {
				return true
			}
		}
	}
	return false
}

// nameParts are the parts of an account's name, without its domain and directory.
func nameParts(account string) []string {
	account, _, _ = strings.Cut(strings.ToLower(account), "@")
	if _, after, ok := strings.Cut(account, `\`); ok {
		account = after
	}
	return strings.FieldsFunc(account, func(r rune) bool { return r == '-' || r == '.' || r == '_' || r == ' ' })
}

// oneName is sameOwner for a house in which several people share a surname: the initials or first names, where both
// accounts show them, begin alike. "kla-bauerd" is not n.bauer.
func oneName(a, b string) bool {
	if strings.EqualFold(a, b) {
		return true
	}
	if !sameOwner(a, b) {
		return false
	}
	x, y := nameParts(a), nameParts(b)
	for _, p := range x {
		for _, q := range y {
			n := 0
			for n < len(p) && n < len(q) && p[n] == q[n] {
				n++
			}
			if n >= 4 && len(p)-n <= 2 && len(q)-n <= 2 && !alike(initials(x, p, n), initials(y, q, n)) {
				return false
			}
		}
	}
	return true
}

// initials are the first letters of what stands beside the first n letters of one of an account's parts: what follows them
// in the part, else the other parts, but for short ones, which name a firm.
func initials(parts []string, part string, n int) string {
	if n < len(part) {
		return part[n : n+1]
	}
	out := ""
	for _, p := range parts {
		if p != part && len(p) > 3 || len(p) == 1 {
			out += p[:1]
		}
	}
	return out
}

// alike reports whether two lists of initials have one in common, or one of them is empty.
func alike(a, b string) bool { return a == "" || b == "" || strings.ContainsAny(a, b) }
