package quarantine

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
)

// Likeness is a held message that resembles another, and why.
type Likeness struct {
	Item Item
	Why  []string // same text, same link host, same sender, like subject
	like int
}

// Similar returns messages that resemble one, most alike first, from the boxes that are given: the caller passes those
// of tenants it may see, and no other is looked at.
func Similar(of Item, boxes []*Box, limit int) []Likeness {
	var out []Likeness
	hosts := map[string]bool{}
	for _, h := range of.Hosts {
		hosts[h] = true
	}
	subject := subjectShape(of.Subject)
	for _, b := range boxes {
		for _, it := range b.List(Filter{Limit: MaxItems}) {
			if it.Name == of.Name && it.Tenant == of.Tenant {
				continue
			}
			l := Likeness{Item: it}
			add := func(points int, why string) { l.like += points; l.Why = append(l.Why, why) }
			if it.MessageID != "" && it.MessageID == of.MessageID {
				add(8, "same message")
			}
			if it.BodyHash != "" && it.BodyHash == of.BodyHash {
				add(6, "same text")
			}
			for _, h := range it.Hosts {
				if hosts[h] {
					add(4, "same link host "+h)
					break
				}
			}
			if it.From != "" && it.From == of.From {
				add(3, "same sender")
			}
			if subject != "" && subjectShape(it.Subject) == subject {
				add(3, "like subject")
			}
			if l.like >= 3 {
				out = append(out, l)
			}
		}
	}
	slices.SortFunc(out, func(x, y Likeness) int {
		return cmp.Or(y.like-x.like, y.Item.Time.Compare(x.Item.Time), strings.Compare(string(x.Item.Tenant), string(y.Item.Tenant)), strings.Compare(x.Item.Name, y.Item.Name))
	})
	return out[:min(len(out), limit)]
}

// subjectShape is a subject without what changes from copy to copy: answers' prefixes, digits, marks.
func subjectShape(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	for {
		i := strings.IndexByte(s, ':')
		if i < 1 || i > 4 {
			break
		}
		s = strings.TrimSpace(s[i+1:])
	}
	words := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if len(words) < 2 {
		return ""
	}
	return strings.Join(words, " ")
}
