package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/detect/indicator"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// Bounds of what is looked for at once.
const (
	maxSweptValues  = 2_000     // of one sweep
	maxFreshValues  = 20_000    // of one change of the indicators; a larger one is a new feed, and is not swept for
	maxKnownValues  = 5_000_000 // that are remembered
	maxCampaignMail = 500       // values of one campaign at one tenant
)

// knownHead is how the file of known indicators begins; 8 bytes of a hash follow for each.
const knownHead = "breakwater indicators 1\n"

// knownIndicators are hashes of the indicators that were loaded before, sorted.
type knownIndicators []uint64

func (k knownIndicators) has(v uint64) bool {
	_, ok := slices.BinarySearch(k, v)
	return ok
}

func hashOf(in *indicator.Indicator) uint64 {
	sum := sha256.Sum256([]byte(string(in.Type) + "\x00" + in.Value))
	return binary.BigEndian.Uint64(sum[:])
}

// readKnown reads the file; ok is false where there is none.
func readKnown(name string) (k knownIndicators, ok bool, err error) {
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading the indicators that were loaded before: %w", err)
	}
	rest, good := bytes.CutPrefix(raw, []byte(knownHead))
	if !good || len(rest)%8 != 0 {
		return nil, false, fmt.Errorf("%s is damaged; remove it, and indicators count as new from the next change on", name)
	}
	for i := 0; i < len(rest); i += 8 {
		k = append(k, binary.BigEndian.Uint64(rest[i:]))
	}
	return k, true, nil
}

func (k knownIndicators) write(name string) error {
	out := make([]byte, 0, len(knownHead)+8*len(k))
	out = append(out, knownHead...)
	for _, v := range k {
		out = binary.BigEndian.AppendUint64(out, v)
	}
	if err := writeWhole(name, out); err != nil {
		return fmt.Errorf("keeping which indicators were loaded: %w", err)
	}
	return nil
}

// indicated asks for sweeps of indicators that were not loaded before. What is loaded when this is first asked is where it
// begins: it is swept for by hand.
func (f *deliveredMail) indicated(setup *Setup) {
	if err := f.takeIndicators(setup, time.Now()); err != nil {
		f.log.Error("new indicators are not swept for yet", "err", err)
	}
}

func (f *deliveredMail) takeIndicators(setup *Setup, now time.Time) error {
	d := f.declared.Load()
	set := d.triggered(config.SweepOnIndicator)
	if set == nil {
		return nil
	}
	name := filepath.Join(f.dir, "indicators.known")
	known, began, err := readKnown(name)
	if err != nil {
		return err
	}
	var fresh, subjects []string
	next := slices.Clone(known)
	if setup.Indicators != nil {
		for i := range setup.Indicators.Len() {
			in := setup.Indicators.At(i)
			if !inMail(&in, now) {
				continue
			}
			h := hashOf(&in)
			if known.has(h) {
				continue
			}
			next = append(next, h)
			switch {
			case !began || len(fresh)+len(subjects) > maxFreshValues:
			case in.Type == ocsf.EntitySubject:
				subjects = append(subjects, in.Value)
			case !ownPlace(d.model, in.Value):
				fresh = append(fresh, in.Value)
			}
		}
	}
	if began && len(next) == len(known) {
		return nil
	}
	if len(next) > maxKnownValues {
		return fmt.Errorf("more than %d indicators have been loaded; sweep for new ones by hand", maxKnownValues)
	}
	if len(fresh)+len(subjects) > maxFreshValues {
		f.log.Warn("so many indicators are new that they are taken for another feed and not swept for; sweep by hand with --indicator", "more_than", maxFreshValues)
		fresh, subjects = nil, nil
	}
	since := now.Add(-set.Since).UTC()
	for _, id := range d.swept() {
		err := f.askIndicators(id, set, fresh, func(chunk []string) sweep.Criteria { return sweep.Criteria{Indicators: chunk, Since: since} })
		if err == nil { // of several kinds of criteria a message would have to meet all
			err = f.askIndicators(id, set, subjects, func(chunk []string) sweep.Criteria { return sweep.Criteria{Subjects: chunk, Since: since} })
		}
		if err != nil {
			return err // they are new again at the next change
		}
	}
	slices.Sort(next)
	return slices.Compact(next).write(name)
}

// askIndicators asks for the sweeps of one tenant for values that are new.
func (f *deliveredMail) askIndicators(id tenant.ID, set *config.MailSweep, values []string, by func([]string) sweep.Criteria) error {
	slices.Sort(values)
	for chunk := range slices.Chunk(slices.Compact(values), maxSweptValues) {
		why := fmt.Sprintf("%d new indicators, such as %s", len(chunk), chunk[0])
		if len(chunk) == 1 {
			why = "the new indicator " + chunk[0]
		}
		if err := f.ask(wish{Key: wishKey("indicator", id, chunk), Tenant: id, Trigger: string(config.SweepOnIndicator), Why: why, Apply: set.Act == config.SweepApply, Criteria: by(chunk)}); err != nil {
			return err
		}
	}
	return nil
}

// inMail reports whether an indicator is one that mail bears by itself, and counts now.
func inMail(in *indicator.Indicator, now time.Time) bool {
	if len(in.With) > 0 || !in.ValidUntil.IsZero() && !now.Before(in.ValidUntil) {
		return false
	}
	switch in.Type {
	case ocsf.EntityDomain, ocsf.EntityURL, ocsf.EntityMailbox, ocsf.EntityHash:
		return sweepable(in.Value)
	case ocsf.EntitySubject:
		return true
	}
	return false
}

// sweepable reports whether a value is narrow enough to be swept for: no top-level domain or one under which everybody
// may register, and one that a sweep can read.
func sweepable(v string) bool {
	if v == "" || len(v) > 2_000 || strings.ContainsAny(v, " \t\r\n\x00") {
		return false
	}
	if strings.Contains(v, "://") || strings.Contains(v, "@") || strings.HasPrefix(v, "<") {
		return true
	}
	if len(v) >= 16 && strings.Trim(strings.ToLower(v), "0123456789abcdef") == "" {
		return true
	}
	suffix, _ := publicsuffix.PublicSuffix(strings.ToLower(v))
	return strings.Contains(v, ".") && suffix != strings.ToLower(v)
}

// ownPlace reports whether a value lies with a declared organisation: one that was broken into still writes honest mail.
func ownPlace(m *tenant.Model, v string) bool {
	host := strings.ToLower(v)
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host, _, _ = strings.Cut(rest, "/")
		host, _, _ = strings.Cut(host, ":")
	} else if _, after, ok := strings.Cut(host, "@"); ok {
		host = after
	}
	t, p := m.DomainOwner(strings.Trim(host, ".<>"))
	return t != "" || p != ""
}

// campaigned asks for sweeps of what the mail of campaigns bears, each value once.
func (f *deliveredMail) campaigned(r *campaign.Result) {
	if f == nil || r == nil {
		return
	}
	d := f.declared.Load()
	set := d.triggered(config.SweepOnCampaign)
	if set == nil || len(r.Campaigns) == 0 {
		return
	}
	now := time.Now()
	incidents := map[string]*campaign.Incident{}
	for i := range r.Incidents {
		incidents[r.Incidents[i].ID] = &r.Incidents[i]
	}
	byID := map[string]*ocsf.Finding{}
	for _, x := range r.List {
		byID[x.ID] = x
	}
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		if now.Sub(c.End) > set.Since {
			continue
		}
		for _, id := range d.swept() {
			if err := f.askCampaign(d, set, c, id, campaignMail(c, id, d.model, incidents, byID), now); err != nil {
				f.log.Error("the mail of a campaign is not swept for yet", "campaign", c.ID, "tenant", id, "err", err)
			}
		}
	}
}

func (f *deliveredMail) askCampaign(d *mailDeclared, set *config.MailSweep, c *campaign.Campaign, id tenant.ID, values []string, now time.Time) error {
	key := func(v string) string { return "value\x00" + string(id) + "\x00" + v }
	values = slices.DeleteFunc(values, func(v string) bool { return f.kept.Has(key(v), "swept") })
	if len(values) == 0 {
		return nil
	}
	err := f.ask(wish{Key: wishKey("campaign", id, values), Tenant: id, Trigger: string(config.SweepOnCampaign), Apply: set.Act == config.SweepApply,
		Why: fmt.Sprintf("campaign %s, %d values such as %s", c.ID, len(values), values[0]), Criteria: sweep.Criteria{Indicators: values, Since: now.Add(-set.Since).UTC()}})
	for _, v := range values {
		if err == nil {
			err = f.kept.Note(key(v), "swept", now)
		}
	}
	return err
}

// campaignMail returns what mail of a campaign bears, as one tenant may know it: what its own findings name, and what
// joins it with others. Only what the intruder brought is taken: no declared organisation's place, and none that
// everybody shares.
func campaignMail(c *campaign.Campaign, id tenant.ID, m *tenant.Model, incidents map[string]*campaign.Incident, findings map[string]*ocsf.Finding) []string {
	var out []string
	add := func(v string) {
		if len(out) < maxCampaignMail && sweepable(v) && !slices.Contains(out, v) && (strings.HasPrefix(v, "<") || !ownPlace(m, v)) {
			out = append(out, v)
		}
	}
	for _, j := range c.JoinedBy {
		if !slices.Contains(j.Tenants, id) {
			continue
		}
		switch j.Kind {
		case "domain", "url", "hash", "sender", "mailbox":
			add(j.Value)
		case "message-id":
			add("<" + strings.Trim(j.Value, "<>") + ">")
		}
	}
	for _, name := range c.Incidents {
		in := incidents[name]
		if in == nil || in.Tenant != id {
			continue
		}
		for _, fid := range in.Findings {
			x := findings[fid]
			if x == nil || x.Suppressed != nil || x.Layer != tenant.LayerMail || x.Severity < ocsf.SeverityMedium {
				continue
			}
			for _, e := range x.Entities {
				switch {
				case e.Type == ocsf.EntityMessage:
					add("<" + strings.Trim(e.Value, "<>") + ">")
				case e.Role == ocsf.RoleInfrastructure && (e.Type == ocsf.EntityDomain || e.Type == ocsf.EntityURL || e.Type == ocsf.EntityHash),
					(e.Role == ocsf.RoleSource || e.Role == ocsf.RoleActor) && e.Type == ocsf.EntityMailbox:
					add(e.Value)
				}
			}
			for _, ev := range x.Evidence {
				if ev.Event != nil && ev.Event.Mail != nil && ev.Event.Mail.MessageID != "" {
					add("<" + ev.Event.Mail.MessageID + ">")
				}
			}
		}
	}
	slices.Sort(out)
	return out
}
