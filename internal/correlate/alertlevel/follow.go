package alertlevel

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// DefaultFor is how long a campaign keeps a level raised after its last evidence.
const DefaultFor = 72 * time.Hour

// Follow brings the entries made from campaigns in line with what is concluded now, and returns those that changed.
// Where a campaign's partner has a trust into a tenant, that tenant is heightened if the campaign succeeded or was
// attempted there, and elevated if it is exposed or blind, until a while (0: DefaultFor) after the campaign's last
// evidence. More evidence moves the end; an outcome revised to clear, or a campaign that is drawn no more, ends it at
// the time at. What a person ended stays ended until newer evidence or a worse outcome comes.
func (b *Book) Follow(r *campaign.Result, m *tenant.Model, lasting time.Duration, at time.Time) (changed []Entry) {
	lasting = cmp.Or(lasting, DefaultFor)
	want := map[string]Entry{}
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		last := c.Drawn
		if c.End.After(last) {
			last = c.End
		}
		for _, o := range c.Tenants {
			if e, ok := entryOf(c, o, last.Add(lasting).UTC(), m); ok {
				want[e.ID] = e
			}
		}
	}
	for i := range b.entries {
		e := &b.entries[i]
		if _, still := want[e.ID]; e.By == ByCampaign && !still && e.Ended.IsZero() && at.Before(e.Until) {
			e.Ended, e.EndedBy = at.UTC(), ByCampaign
			changed = append(changed, *e)
		}
	}
	for _, e := range want {
		if i, ok := b.find(e.ID); ok {
			old := b.entries[i]
			news := e.Until.After(old.Until) || rank(e.Level) > rank(old.Level)
			if !old.Ended.IsZero() && old.EndedBy != ByCampaign && !news {
				continue
			}
			if e == old {
				continue
			}
		} else if b.endedUnderAnotherName(&e, want) {
			continue
		}
		b.put(e)
		changed = append(changed, e)
	}
	slices.SortFunc(changed, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return changed
}

// endedUnderAnotherName reports whether a person ended what a new entry would raise. A campaign's id comes from its
// first finding, and changes when an earlier one turns up.
func (b *Book) endedUnderAnotherName(e *Entry, want map[string]Entry) bool {
	return slices.ContainsFunc(b.entries, func(old Entry) bool {
		_, drawn := want[old.ID]
		return !drawn && old.By == ByCampaign && !old.Ended.IsZero() && old.EndedBy != ByCampaign &&
			old.Tenant == e.Tenant && old.Partner == e.Partner && rank(old.Level) >= rank(e.Level) && !e.Until.After(old.Until)
	})
}

// entryOf returns the entry that a campaign makes for one tenant.
func entryOf(c *campaign.Campaign, o campaign.TenantOutcome, until time.Time, m *tenant.Model) (Entry, bool) {
	level := Normal
	switch o.Outcome {
	case campaign.Succeeded, campaign.Attempted:
		level = Heightened
	case campaign.Exposed, campaign.Blind:
		level = Elevated
	}
	if level == Normal || c.Partner == "" || !trusted(c, o.Tenant, m) {
		return Entry{}, false
	}
	name := string(c.Partner)
	if p := m.Partner(c.Partner); p != nil && p.Name != "" {
		name = p.Name
	}
	return Entry{
		ID: hash("campaign", c.ID, string(o.Tenant)), Tenant: o.Tenant, Level: level, By: ByCampaign,
		Campaign: c.ID, Partner: c.Partner, From: c.Start.UTC(), Until: until,
		Reason: fmt.Sprintf("a campaign comes through the partner %s, who has access here; outcome here so far: %s", name, o.Outcome),
	}, true
}

// trusted reports whether the campaign's partner had access to the tenant at any time of the campaign.
func trusted(c *campaign.Campaign, id tenant.ID, m *tenant.Model) bool {
	return slices.ContainsFunc(m.TrustsInto(id), func(t *tenant.Trust) bool {
		ended := !t.ValidUntil.IsZero() && !c.Start.Before(t.ValidUntil)
		return t.Partner == c.Partner && !ended && !t.ValidFrom.After(c.End)
	})
}
