package api

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// sight returns what the caller may see now.
func (h *Handler) sight(c *call) (*seen, error) {
	n := h.sights.of(c.who.Scope).current()
	if n.Result == nil {
		return nil, &Problem{Status: http.StatusServiceUnavailable, Says: "nothing is concluded yet; try again", Retry: time.Second}
	}
	return n, nil
}

func (h *Handler) campaigns(c *call) error {
	n, err := h.sight(c)
	if err != nil {
		return err
	}
	h.reply(c.w, c.Request, http.StatusOK, struct {
		Version   uint64              `json:"version"`
		Campaigns []campaign.Campaign `json:"campaigns"`
	}{n.Version, n.Result.Campaigns})
	return nil
}

func (h *Handler) campaign(c *call) error { return h.one(c, "campaign") }

func (h *Handler) incidents(c *call) error {
	n, err := h.sight(c)
	if err != nil {
		return err
	}
	h.reply(c.w, c.Request, http.StatusOK, struct {
		Version   uint64              `json:"version"`
		Incidents []campaign.Incident `json:"incidents"`
	}{n.Version, n.Result.Incidents})
	return nil
}

func (h *Handler) incident(c *call) error { return h.one(c, "incident") }

func (h *Handler) finding(c *call) error { return h.one(c, "finding") }

// one answers with the object whose id the path names.
func (h *Handler) one(c *call, kind string) error {
	n, err := h.sight(c)
	if err != nil {
		return err
	}
	v := n.find(kind, c.PathValue("id"))
	if _, gone := v.(removed); gone {
		return ErrNotFound
	}
	h.reply(c.w, c.Request, http.StatusOK, v)
	return nil
}

func (h *Handler) result(c *call) error {
	n, err := h.sight(c)
	if err != nil {
		return err
	}
	c.w.Header().Set("X-Breakwater-Version", strconv.FormatUint(n.Version, 10))
	h.reply(c.w, c.Request, http.StatusOK, n.Result)
	return nil
}

// findingFilter is what a list of findings is asked for.
type findingFilter struct {
	tenant  tenant.ID
	layer   tenant.Layer
	partner tenant.PartnerID
	least   ocsf.Severity
	since   time.Time
	down    bool
	limit   int
	after   position
}

// position is a place in the order of findings: by time, then by id.
type position struct {
	at time.Time
	id string
}

func (p position) compare(f *ocsf.Finding) int {
	return cmp.Or(p.at.Compare(f.Time), strings.Compare(p.id, f.ID))
}

func (h *Handler) findings(c *call) error {
	q, err := newFindingFilter(c.Request)
	if err != nil {
		return err
	}
	n, err := h.sight(c)
	if err != nil {
		return err
	}
	list, next, total := q.apply(n.Result.List)
	h.reply(c.w, c.Request, http.StatusOK, struct {
		Version  uint64          `json:"version"`
		Findings []*ocsf.Finding `json:"findings"`
		Total    int             `json:"total"`          // that match, over all pages
		Next     string          `json:"next,omitempty"` // the cursor of the next page
	}{n.Version, list, total, next})
	return nil
}

func newFindingFilter(r *http.Request) (q findingFilter, err error) {
	in := r.URL.Query()
	q.tenant, q.layer, q.partner = tenant.ID(in.Get("tenant")), tenant.Layer(in.Get("layer")), tenant.PartnerID(in.Get("partner"))
	if q.layer != "" && !slices.Contains(tenant.Layers, q.layer) {
		return q, misuse("layer: use mail, network, endpoint, cloud or access")
	}
	if s := in.Get("severity"); s != "" {
		if q.least, err = ocsf.ParseSeverity(s); err != nil {
			return q, misuse("severity: use informational, low, medium, high or critical")
		}
	}
	if s := in.Get("since"); s != "" {
		if ago, derr := time.ParseDuration(s); derr == nil && ago >= 0 {
			q.since = time.Now().Add(-ago)
		} else if q.since, err = time.Parse(time.RFC3339, s); err != nil {
			return q, misuse("since: use a time as in RFC 3339, or how long ago, such as 24h")
		}
	}
	switch in.Get("order") {
	case "", "asc":
	case "desc":
		q.down = true
	default:
		return q, misuse("order: use asc or desc")
	}
	if q.limit, err = limitOf(in.Get("limit")); err != nil {
		return q, err
	}
	if s := in.Get("cursor"); s != "" {
		if q.after, err = parsePosition(s); err != nil {
			return q, err
		}
	}
	return q, nil
}

func limitOf(s string) (int, error) {
	if s == "" {
		return 100, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > MaxPage {
		return 0, misuse("limit: use a number from 1 to " + strconv.Itoa(MaxPage))
	}
	return n, nil
}

func (q *findingFilter) wants(f *ocsf.Finding) bool {
	return (q.tenant == "" || f.Tenant == q.tenant) && (q.layer == "" || f.Layer == q.layer) && (q.partner == "" || f.Partner == q.partner) &&
		f.Severity >= q.least && (q.since.IsZero() || !f.End.Before(q.since))
}

// apply returns a page of a list that is sorted by time and id, the cursor of the next, and how many match.
func (q *findingFilter) apply(all []*ocsf.Finding) (list []*ocsf.Finding, next string, total int) {
	list = []*ocsf.Finding{}
	for i := range all {
		f := all[i]
		if q.down {
			f = all[len(all)-1-i]
		}
		if !q.wants(f) {
			continue
		}
		total++
		if q.after.id != "" {
			if c := q.after.compare(f); c == 0 || (c < 0) == q.down {
				continue
			}
		}
		if len(list) < q.limit {
			list = append(list, f)
		} else if next == "" {
			last := list[len(list)-1]
			next = position{last.Time, last.ID}.String()
		}
	}
	return list, next, total
}

// String writes a position as a cursor.
func (p position) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.at.UTC().Format(time.RFC3339Nano) + " " + p.id))
}

func parsePosition(s string) (position, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	at, id, ok := strings.Cut(string(b), " ")
	when, terr := time.Parse(time.RFC3339Nano, at)
	if err != nil || !ok || terr != nil || id == "" {
		return position{}, misuse("cursor: use what the last answer called next, as it is")
	}
	return position{when, id}, nil
}

func (h *Handler) coverage(c *call) error {
	rows := []Row{}
	for _, r := range h.opt.Live.Coverage(c.who.Scope) {
		if c.who.Scope.Sees(r.Tenant) {
			rows = append(rows, r)
		}
	}
	h.reply(c.w, c.Request, http.StatusOK, map[string][]Row{"coverage": rows})
	return nil
}

func (h *Handler) status(c *call) error {
	h.reply(c.w, c.Request, http.StatusOK, h.statusFor(c.who.Scope))
	return nil
}

// statusFor leaves out what tells of all tenants together where a caller sees some.
func (h *Handler) statusFor(scope tenant.Scope) Status {
	s := h.opt.Live.Status()
	if campaign.SeesAll(scope) {
		return s
	}
	out := Status{Ready: s.Ready, Started: s.Started, Lag: s.Lag}
	for _, r := range h.opt.Live.Coverage(scope) {
		if scope.Sees(r.Tenant) && r.Last != nil && (out.LastEvent == nil || r.Last.After(*out.LastEvent)) {
			out.LastEvent = r.Last
		}
	}
	return out
}
