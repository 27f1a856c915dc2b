package sigma

import (
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var _ detect.Explainer = (*detector)(nil)

// maxNear bounds how many rules an explanation shows that came near.
const maxNear = 20

// Explain says for which log sources the event's kind has rules, which of them match, and of those where some
// selection holds and the condition doesn't, what holds and what doesn't.
func (d *detector) Explain(e *ocsf.Event) []string {
	w := d.set.work.Get().(*scratch)
	defer d.set.work.Put(w)
	defer w.forget()
	w.load(e)
	sig := signature{e.Source, w.text(slotChannel), w.text(slotEventID), w.text(slotEventType)}
	var lines []string
	parts := w.fitting(sig)
	if len(parts) == 0 {
		return []string{fmt.Sprintf("no Sigma rule is for events of %s: none of %d rules was tried", sig, d.set.Len())}
	}
	rules := 0
	for _, p := range parts {
		rules += len(p.rules)
		lines = append(lines, fmt.Sprintf("log source %s: %d rules", p.source, len(p.rules)))
	}
	lines = append([]string{fmt.Sprintf("%s: %d of %d Sigma rules are for such events", sig, rules, d.set.Len())}, lines...)
	near := 0
	for _, p := range parts {
		for _, pos := range p.rules {
			r := d.set.rules[pos]
			if w.plain(r.cond) {
				lines = append(lines, fmt.Sprintf("matches: %s (%s, %s)", r.Title, r.ID, r.Level))
				lines = append(lines, d.set.lookedAt(r)...)
			} else if text := w.partly(r); text != "" {
				if near++; near <= maxNear {
					lines = append(lines, fmt.Sprintf("no match: %s (%s): %s", r.Title, r.ID, text))
				}
			}
		}
	}
	if near > maxNear {
		lines = append(lines, fmt.Sprintf("and %d more rules of which a part holds", near-maxNear))
	}
	return lines
}

// lookedAt tells which correlations look at a rule that matches, and whether it makes a finding of its own.
func (s *RuleSet) lookedAt(r *Rule) []string {
	list := s.Looking(r.ID)
	if len(list) == 0 {
		return nil
	}
	var titles []string
	for i, c := range list {
		if i == maxTitles {
			titles = append(titles, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		titles = append(titles, fmt.Sprintf("%q", c.Title))
	}
	text := "  correlations look at it: " + strings.Join(titles, ", ")
	if s.quiet[r] {
		text += "; it makes no finding of its own"
	}
	return []string{text}
}

// maxTitles bounds how many correlations of one rule an explanation names.
const maxTitles = 8

// fitting returns the parts of the rule set that are for the loaded event.
func (w *scratch) fitting(sig signature) (out []part) {
	if sig.source == "" && sig.channel == "" {
		return nil
	}
	for _, p := range w.set.partsOf(sig) {
		out = append(out, w.set.parts[p])
	}
	return out
}

// String names the kind of event for people.
func (s signature) String() string {
	out := s.source
	if s.channel != "" {
		out = s.channel
	}
	if out == "" {
		out = "an unnamed source"
	}
	if s.eventID != "" {
		out += " event " + s.eventID
	}
	return out
}

// partly lists the selections of a rule that hold and those that don't, or returns "" where none holds.
func (w *scratch) partly(r *Rule) string {
	var yes, no string
	for _, s := range r.selections {
		if w.plain(s.expr) {
			yes += " " + s.name
		} else {
			no += " " + s.name
		}
	}
	switch {
	case yes == "":
		return ""
	case no == "":
		return "holds:" + yes
	}
	return "holds:" + yes + "; doesn't hold:" + no
}
