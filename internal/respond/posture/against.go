package posture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// maxFindingLine bounds one finding of a scan in bytes, and maxSighted how many are held against a statement.
const (
	maxFindingLine = 4 << 20
	maxSighted     = 1_000_000
)

// Sighting is what one finding of our own telemetry says of a partner.
type Sighting struct {
	ID       string           `json:"id"`
	Tenant   tenant.ID        `json:"tenant"`
	Partner  tenant.PartnerID `json:"partner"`
	Trust    tenant.TrustID   `json:"trust"`
	Time     time.Time        `json:"time"`
	End      time.Time        `json:"end"`
	Detector string           `json:"detector"`
	Rule     string           `json:"rule"`
	Title    string           `json:"title"`
	Severity ocsf.Severity    `json:"severity"`

	Technique  ocsf.Technique  `json:"technique"`
	Suppressed json.RawMessage `json:"suppressed"`
}

// SightingOf takes from a finding what is held against statements.
func SightingOf(f *ocsf.Finding) Sighting {
	s := Sighting{ID: f.ID, Tenant: f.Tenant, Partner: f.Partner, Trust: f.Trust, Time: f.Time, End: f.End, Detector: f.Detector, Rule: f.Rule,
		Title: f.Title, Severity: f.Severity, Technique: f.Technique}
	if f.Suppressed != nil {
		s.Suppressed = json.RawMessage("true")
	}
	return s
}

// AreFindings reports whether a file, by its head, holds findings of a scan, one a line.
func AreFindings(head []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"), []byte("\n"))
	for _, member := range []string{`"id":`, `"detector":`, `"rule":`, `"tenant":`, `"severity":`} {
		if !bytes.Contains(line, []byte(member)) {
			return false
		}
	}
	return len(line) > 0 && line[0] == '{'
}

// ReadSightings reads findings as `breakwater scan -o jsonl` prints them. Broken lines go to bad and the rest is read.
func ReadSightings(ctx context.Context, r io.Reader, bad func(line int64, reason string)) ([]Sighting, error) {
	var out []Sighting
	lines := bounded.NewLineReader(r, maxFindingLine)
	for {
		line, n, tooLong, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return out, fmt.Errorf("reading findings: %w", err)
		case ctx.Err() != nil:
			return out, fmt.Errorf("reading findings: %w", ctx.Err())
		case tooLong:
			bad(n, fmt.Sprintf("a finding of more than %d bytes", maxFindingLine))
			continue
		case len(bytes.TrimSpace(line)) == 0:
			continue
		case len(out) == maxSighted:
			return out, fmt.Errorf("reading findings: more than %d", maxSighted)
		}
		var s Sighting
		if err := json.Unmarshal(line, &s); err != nil {
			bad(n, "no finding in JSON: "+cut(oneLine(err.Error()), 200))
			continue
		}
		if s.Detector == "" || s.Tenant == "" || s.Time.IsZero() {
			bad(n, "a finding without detector, tenant or time")
			continue
		}
		if s.End.Before(s.Time) {
			s.End = s.Time
		}
		out = append(out, s)
	}
}

// means reports whether a finding is what one line of a control's contradicted_by names: a detector, a rule, a rule of
// a detector (remotetool/foreign-instance), or a technique with those below it (T1219 means T1219.002 too).
func (s *Sighting) means(name string) bool {
	return name == s.Detector || name == s.Detector+"/"+s.Rule || name == s.Rule || name == string(s.Technique) || strings.HasPrefix(string(s.Technique), name+".")
}

// Contradiction is a claim that our own telemetry or evidence speaks against.
type Contradiction struct {
	Claim     *Claim
	Tenant    tenant.ID // at whom it was seen
	Sightings []Sighting
	Facts     []Judged // of our own evidence, under the control of the same id
}

// Against holds the passing claims of a partner's statement against one tenant's own findings and facts, as of now.
// Findings count that are about this partner, that nobody has approved, that are no mere information, and that were
// seen since the oldest evidence of the claim: what was put right before is no contradiction. Facts count that are
// about this partner and fail under our control of the same id. The findings of other tenants are left out.
func (c *Checker) Against(ctx context.Context, v *Verified, partner tenant.PartnerID, sightings []Sighting, facts []evidence.Item, now time.Time) ([]Contradiction, error) {
	if partner == "" {
		return nil, errors.New("holding a statement against telemetry: say which partner made it")
	}
	theirs := slices.DeleteFunc(slices.Clone(facts), func(i evidence.Item) bool { return i.Partner != partner })
	report, err := c.Check(ctx, theirs, now)
	if err != nil {
		return nil, fmt.Errorf("holding a statement against evidence: %w", err)
	}
	var out []Contradiction
	for i := range v.Claims {
		claim := &v.Claims[i]
		ours := c.library.controls[claim.Control]
		if claim.Status != Pass || ours == nil {
			continue
		}
		x := Contradiction{Claim: claim, Tenant: c.tenant.ID}
		since := v.At.Add(-time.Duration(claim.Hours) * time.Hour)
		if claim.Oldest != nil {
			since = *claim.Oldest
		}
		for _, s := range sightings {
			if s.Tenant == c.tenant.ID && s.Partner == partner && len(s.Suppressed) == 0 && s.Severity >= ocsf.SeverityLow &&
				!s.End.Before(since) && !s.Time.After(now) && slices.ContainsFunc(ours.ContradictedBy, s.means) {
				x.Sightings = append(x.Sightings, s)
			}
		}
		slices.SortFunc(x.Sightings, func(a, b Sighting) int {
			if x := a.Time.Compare(b.Time); x != 0 {
				return x
			}
			return strings.Compare(a.ID, b.ID)
		})
		for _, r := range report.Results {
			if r.Control == ours && r.Status == Fail {
				for _, j := range r.Items {
					if j.Status == Fail {
						x.Facts = append(x.Facts, j)
					}
				}
			}
		}
		if len(x.Sightings)+len(x.Facts) > 0 {
			out = append(out, x)
		}
	}
	return out, nil
}

// Holdable counts the passing claims that our controls can be held against: those of which we know the control, and
// those of them that say by which findings they are contradicted.
func (l *Library) Holdable(s *Statement) (known, byFindings, passing int) {
	for _, c := range s.Claims {
		if c.Status != Pass {
			continue
		}
		passing++
		if ours := l.controls[c.Control]; ours != nil {
			if known++; len(ours.ContradictedBy) > 0 {
				byFindings++
			}
		}
	}
	return known, byFindings, passing
}

// maxNamed is how many sightings or facts a finding's reason names.
const maxNamed = 5

// Finding words a contradiction as a finding of the tenant at whom it was seen. The same claim of the same statement
// gives the same id, however much more is seen.
func (x *Contradiction) Finding(v *Verified, partner tenant.PartnerID, snapshot string) *ocsf.Finding {
	f := &ocsf.Finding{
		Tenant: x.Tenant, Partner: partner, Layer: tenant.LayerAccess, Detector: "posture", Rule: "statement-contradicted",
		Title:     fmt.Sprintf("%s claims what was seen otherwise: %s", v.Issuer, x.Claim.Title),
		Technique: "T1199", Severity: max(x.Claim.Severity, ocsf.SeverityMedium), Confidence: 80, Outcome: ocsf.OutcomeUnknown, Snapshot: snapshot,
	}
	var said []string
	for _, s := range x.Sightings {
		f.Count++
		span(f, s.Time, s.End)
		f.AddEntity(ocsf.EntityResource, "finding "+s.ID, "")
		if len(said) < maxNamed {
			said = append(said, fmt.Sprintf("%s on %s (%s, finding %s)", oneLine(s.Title), s.Time.UTC().Format(time.DateOnly), s.Detector, s.ID))
		}
	}
	for _, j := range x.Facts {
		f.Count++
		span(f, j.Item.At, j.Item.At)
		if len(said) < maxNamed {
			said = append(said, fmt.Sprintf("%s: %s (%s:%d)", oneLine(j.Item.Subject), j.Says, j.Item.From.File, j.Item.From.Line))
		}
	}
	if f.Time.IsZero() {
		f.Time, f.End = v.Issued, v.Issued
	}
	f.Reason = fmt.Sprintf("The statement of %s (%s), issued %s, says that %s passes. Our own evidence says otherwise: %s",
		v.Issuer, v.Signer, v.Issued.Format(time.DateOnly), x.Claim.Control, strings.Join(said, "; "))
	if more := f.Count - len(said); more > 0 {
		f.Reason += fmt.Sprintf("; and %d more", more)
	}
	f.Identify(v.Issued, string(partner), v.SHA256, x.Claim.Control)
	return f
}

// span widens a finding's time by what it rests on; what has no time widens nothing.
func span(f *ocsf.Finding, from, to time.Time) {
	if from.IsZero() {
		return
	}
	if f.Time.IsZero() || from.Before(f.Time) {
		f.Time = from
	}
	if to.After(f.End) {
		f.End = to
	}
}
