package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/sweep"
)

// maxListed bounds the results that name campaigns, in bytes.
const maxListed = 256 << 20

// criteria turns flags into what is looked for.
func (f *sweepFlags) criteria(cmd *cobra.Command, file *config.File, id tenant.ID, now time.Time) (sweep.Criteria, error) {
	c := sweep.Criteria{MessageIDs: f.ids, From: f.from, Subjects: f.subjects, Verdict: f.verdict}
	var err error
	if c.Since, err = momentOf("--since", f.since, now); err != nil {
		return c, err
	}
	if c.Until, err = momentOf("--until", f.until, now); err != nil {
		return c, err
	}
	for _, v := range f.indicators {
		list, err := indicatorsOf(v)
		if err != nil {
			return c, err
		}
		c.Indicators = append(c.Indicators, list...)
	}
	if (f.campaign == "") && f.result != "" {
		return c, usage("--result: name the campaign with --campaign")
	}
	if f.campaign != "" {
		list, err := f.ofCampaign(cmd, file.Model, id)
		if err != nil {
			return c, err
		}
		c.Indicators = append(c.Indicators, list...)
	}
	if len(c.MessageIDs)+len(c.Indicators)+len(c.From)+len(c.Subjects) == 0 && c.Verdict == "" {
		return c, usage("which messages? Name --message-id, --indicator, --from, --subject, --campaign or --verdict")
	}
	return c, nil
}

// momentOf reads a time, a day, or how long ago.
func momentOf(flag, v string, now time.Time) (time.Time, error) {
	if v == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.UTC(), nil
		}
	}
	if days, ok := strings.CutSuffix(v, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 100_000 {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(v); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usage("%s %s: use RFC 3339, a day such as 2026-06-01, or how long ago, such as 48h or 7d", flag, v)
}

// indicatorsOf reads a value, or a file with one a line; # begins a comment.
func indicatorsOf(v string) ([]string, error) {
	st, err := os.Stat(v)
	if err != nil || st.IsDir() {
		return []string{v}, nil
	}
	raw, err := readCapped(v, 16<<20)
	if err != nil {
		return nil, fmt.Errorf("reading indicators: %w", err)
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("reading indicators: %s names none", v)
	}
	return out, nil
}

func readCapped(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return raw, err
}

// ofCampaign returns the indicators of a campaign that mail can bear. What a declared organisation owns is none: a
// partner that was broken into still writes honest mail.
func (f *sweepFlags) ofCampaign(cmd *cobra.Command, m *tenant.Model, id tenant.ID) ([]string, error) {
	var found *campaign.Campaign
	if f.result != "" {
		raw, err := readCapped(f.result, maxListed)
		if err != nil {
			return nil, fmt.Errorf("reading the result: %w", err)
		}
		var r campaign.Result
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("reading the result %s: %w", f.result, err)
		}
		for i := range r.Campaigns {
			if r.Campaigns[i].ID == f.campaign {
				found = &r.Campaigns[i]
			}
		}
		if found == nil {
			return nil, fmt.Errorf("%s holds no campaign %q", f.result, f.campaign)
		}
	} else {
		s, err := f.connect()
		if err != nil {
			return nil, err
		}
		found = &campaign.Campaign{}
		if err := s.call(cmd.Context(), http.MethodGet, "/campaigns/"+url.PathEscape(f.campaign), nil, nil, found); err != nil {
			return nil, err
		}
	}
	var out []string
	for _, j := range found.JoinedBy {
		if slices.Contains(j.Tenants, id) || len(j.Tenants) == 0 {
			out = appendMailIndicator(out, m, j.Kind, j.Value)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("campaign %s names no domain, URL, file or sender that mail to %s could bear; name indicators with --indicator", f.campaign, id)
	}
	return out, nil
}

func appendMailIndicator(out []string, m *tenant.Model, kind, value string) []string {
	switch kind {
	case "domain", "host", "url", "sha256", "hash", "sender", "body-hash", "mail-text":
	case "message-id":
		value = "<" + strings.Trim(value, "<>") + ">"
	default:
		return out
	}
	host := value
	if u, err := url.Parse(value); err == nil && u.Host != "" {
		host = u.Hostname()
	} else if _, after, ok := strings.Cut(value, "@"); ok && kind == "sender" {
		host = after
	}
	if t, p := m.DomainOwner(host); kind != "message-id" && (t != "" || p != "") {
		return out
	}
	if slices.Contains(out, value) {
		return out
	}
	return append(out, value)
}
