package app

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/netconfig"
	"github.com/breakwater-project/breakwater/internal/respond/posture/training"
)

// postureDetector is who finds that a control fell.
const postureDetector = "posture"

// maxReason is how long a finding's reason may be, in bytes.
const maxReason = 2000

type evidenceItem = evidence.Item

// lays says for each pillar which layer a control that fails lays open, and the technique that comes in there.
var lays = map[evidence.Pillar]struct {
	layer     tenant.Layer
	technique ocsf.Technique
}{
	evidence.PillarRemoteAccess: {tenant.LayerAccess, "T1219"},
	evidence.PillarNetwork:      {tenant.LayerNetwork, "T1199"},
	evidence.PillarTraining:     {tenant.LayerMail, "T1566"},
	evidence.PillarBackup:       {tenant.LayerEndpoint, "T1490"},
}

// fallFinding words the fall of a control as a finding of its tenant. The same fall gives the same id.
func fallFinding(x fall, id tenant.ID, snapshot string, hide []string, now time.Time) *ocsf.Finding {
	r := x.result
	at := now.UTC().Truncate(time.Second)
	f := &ocsf.Finding{
		Time: at, End: at, Tenant: id, Layer: lays[r.Control.Pillar].layer, Detector: postureDetector, Rule: r.Control.ID,
		Technique: lays[r.Control.Pillar].technique, Severity: r.Control.Severity, Confidence: 90, Outcome: ocsf.OutcomeUnknown, Snapshot: snapshot,
	}
	word := "does not hold"
	if r.Status == posture.Stale {
		word = "is not shown to hold any more"
	}
	f.Title = fmt.Sprintf("A control %s: %s", word, r.Control.Title)
	var was string
	switch {
	case x.before == posture.Pass:
		was = fmt.Sprintf(" It passed since %s.", x.since.UTC().Format(time.DateOnly))
	case x.before == posture.Excepted:
		was = " Somebody answered for it until now."
	case x.before == posture.Stale:
		was = fmt.Sprintf(" Its evidence was stale since %s.", x.since.UTC().Format(time.DateOnly))
	case x.before == "":
		was = " It is judged for the first time."
	}
	var places []string
	shown := 0
	trust, partner, same := tenant.TrustID(""), tenant.PartnerID(""), true
	for _, j := range r.Items {
		if j.Status != r.Status {
			continue
		}
		if shown == 0 {
			trust, partner = j.Item.Trust, j.Item.Partner
		}
		same = same && j.Item.Trust == trust && j.Item.Partner == partner
		shown++
		file := hidden(j.Item.From.File, hide)
		if len(f.Evidence) < ocsf.MaxEvidence && file != "" {
			f.Evidence = append(f.Evidence, ocsf.Evidence{File: file, Record: j.Item.From.Line, Event: &ocsf.Event{
				Time: cmpTime(j.Item.At, at), Tenant: id, Layer: f.Layer, Source: "posture/" + j.Item.Kind, Device: j.Item.Subject, Raw: ocsf.RawRef{File: file, Record: j.Item.From.Line}}})
			if len(places) < 5 {
				places = append(places, placeOf(file, j.Item.From.Line))
			}
		}
		if len(f.Entities) < ocsf.MaxEvidence {
			f.AddEntity(ocsf.EntityResource, j.Item.Subject, "")
		}
	}
	if same {
		f.Trust, f.Partner = trust, partner
	}
	f.Count = max(r.Counts[r.Status], 1)
	f.Reason = strings.TrimSuffix(r.Reason, ".") + "." + was
	if len(places) > 0 {
		f.Reason += " Evidence: " + strings.Join(places, ", ") + "."
	}
	f.Reason = shorten(f.Reason)
	f.Identify(at, r.Control.ID, string(r.Status))
	return f
}

func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a.UTC()
}

func placeOf(file string, line int64) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// hidden cuts the way to the folder of evidence off a file's name: where an installation keeps things is its own matter.
func hidden(file string, hide []string) string {
	best := ""
	for _, h := range hide {
		if strings.HasPrefix(file, h) && len(h) > len(best) {
			best = h
		}
	}
	if best == "" && path.IsAbs(file) {
		return path.Base(file)
	}
	return file[len(best):]
}

func shorten(s string) string {
	if len(s) > maxReason {
		return strings.ToValidUTF8(s[:maxReason], "") + "…"
	}
	return s
}

// useItems are the facts of how the ways into a tenant are used; none where that was not watched.
func useItems(m *tenant.Model, id tenant.ID, u *used, access []evidence.Item) []evidence.Item {
	if u == nil || u.watched.To.IsZero() {
		return nil
	}
	return netconfig.UseFacts(m, id, u.uses, u.watched, access)
}

// addPosture puts findings of posture into a drawn result. They stand beside what intruders did, and neither begin a
// campaign or an incident nor belong to one: an open door is no burglar.
func addPosture(r *campaign.Result, m *tenant.Model, list []*ocsf.Finding) {
	if len(list) == 0 {
		return
	}
	out := slices.Clone(r.List)
	for _, f := range list {
		if m.Tenant(f.Tenant) == nil {
			continue
		}
		out = append(out, f)
		r.Findings.Total++
		if r.Findings.BySeverity != nil {
			r.Findings.BySeverity[f.Severity.String()]++
		}
	}
	slices.SortStableFunc(out, func(a, b *ocsf.Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(string(a.Tenant), string(b.Tenant)), strings.Compare(a.ID, b.ID))
	})
	r.List = out
}

// persons are the values of facts that name somebody.
var persons = []string{"account", "display_name", "user", "mail", "email", "by", "shared_account_names"}

// namesIn lists the names of persons in facts, longest first, each with its pseudonym.
func namesIn(list []posture.Judged) []string {
	seen := map[string]bool{}
	var out []string
	add := func(id tenant.ID, name string) {
		if len(name) >= 2 && !seen[name] && !strings.HasPrefix(name, "person ") {
			seen[name] = true
			out = append(out, name, training.Pseudonym(id, name))
		}
	}
	for _, j := range list {
		for _, key := range persons {
			switch v := j.Item.Values[key].(type) {
			case string:
				add(j.Item.Tenant, v)
			case []any:
				for _, x := range v {
					if s, ok := x.(string); ok {
						add(j.Item.Tenant, s)
					}
				}
			}
		}
	}
	pairs := make([][2]string, 0, len(out)/2)
	for i := 0; i < len(out); i += 2 {
		pairs = append(pairs, [2]string{out[i], out[i+1]})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int {
		return cmp.Or(len(b[0])-len(a[0]), strings.Compare(a[0], b[0]))
	})
	out = out[:0]
	for _, p := range pairs {
		out = append(out, p[0], p[1])
	}
	return out
}

// withoutNames writes pseudonyms in place of names; names come in pairs with theirs, the longest first. Only whole words
// are names, and case does not matter.
func withoutNames(text string, names []string) string {
	for i := 0; i+1 < len(names); i += 2 {
		text = replaceWord(text, names[i], names[i+1])
	}
	return text
}

func replaceWord(text, word, by string) string {
	low, w := strings.ToLower(text), strings.ToLower(word)
	if len(low) != len(text) || !strings.Contains(low, w) { // letters whose case has other lengths are left to the exact match
		return strings.ReplaceAll(text, word, by)
	}
	var b strings.Builder
	for {
		i := strings.Index(low, w)
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := i + len(w)
		if i > 0 && wordy(low[i-1]) || end < len(low) && wordy(low[end]) {
			b.WriteString(text[:end])
		} else {
			b.WriteString(text[:i])
			b.WriteString(by)
		}
		text, low = text[end:], low[end:]
	}
}

func wordy(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c >= 0x80 }

// forPeople copies a report as people may see it: names of accounts and persons under pseudonyms, each control with at
// most so many facts, and nothing that holds on to the rest of the evidence.
func forPeople(r *posture.Report, most int) *posture.Report {
	out := &posture.Report{Tenant: r.Tenant, At: r.At, Results: make([]*posture.Result, len(r.Results))}
	for i, x := range r.Results {
		c := *x
		c.Reason = withoutNames(x.Reason, namesIn(x.Items[:min(len(x.Items), 1)]))
		c.Items = make([]posture.Judged, 0, min(len(x.Items), most))
		for _, j := range x.Items[:min(len(x.Items), most)] {
			it, names := *j.Item, namesIn([]posture.Judged{j})
			it.Subject, it.Values = withoutNames(it.Subject, names), nil
			j.Item, j.Says = &it, withoutNames(j.Says, names)
			c.Items = append(c.Items, j)
		}
		out.Results[i] = &c
	}
	return out
}
