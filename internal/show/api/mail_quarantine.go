package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// Quarantine is held mail as people deal with it; quarantine.Desk is one. A name is a message's, or its beginning; what
// lies outside the scope is quarantine.ErrNotFound.
type Quarantine interface {
	List(scope tenant.Scope, only tenant.ID, f quarantine.Filter, after string) (quarantine.Listing, error)
	Get(scope tenant.Scope, name string) (quarantine.Item, error)
	// Show also returns the safe view of the text, nil where it is gone, and notes that by read it.
	Show(scope tenant.Scope, by, name string) (quarantine.Item, *quarantine.View, error)
	Release(ctx context.Context, scope tenant.Scope, by, name string) (quarantine.Item, error)
	Delete(ctx context.Context, scope tenant.Scope, by, name string) (quarantine.Item, error)
	Report(scope tenant.Scope, by, name, feedback string) (quarantine.Item, error)
	Similar(scope tenant.Scope, name string, limit int) ([]quarantine.Likeness, error)
	Audit(scope tenant.Scope, only tenant.ID, name string, most int) ([]quarantine.Entry, error)
}

// maxFilter is how long a filter's text may be, in bytes.
const maxFilter = 256

// maxSimilar is how many similar messages are shown.
const maxSimilar = 100

// heldProblem turns an error of the quarantine into an answer.
func heldProblem(err error) error {
	switch {
	case errors.Is(err, quarantine.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, quarantine.ErrSeveral):
		return misuse(quarantine.ErrSeveral.Error())
	case errors.Is(err, quarantine.ErrShared):
		return &Problem{Status: http.StatusConflict, Says: quarantine.ErrShared.Error()}
	case errors.Is(err, quarantine.ErrState):
		return &Problem{Status: http.StatusConflict, Says: quarantine.Printable(err.Error())}
	case errors.Is(err, quarantine.ErrMove):
		return &Problem{Status: http.StatusBadGateway, Says: quarantine.Printable(err.Error())}
	}
	return err
}

// heldName returns the path's name of a message; what can be none is not there.
func (h *Handler) heldName(c *call) (string, error) {
	name := c.PathValue("id")
	if h.opt.Quarantine == nil || name == "" || len(name) > 64 {
		return "", ErrNotFound
	}
	return name, nil
}

// heldQuery is what a list of held mail is asked for, by the API or the page.
type heldQuery struct {
	tenant tenant.ID
	filter quarantine.Filter
	after  string
}

func newHeldQuery(in url.Values) (q heldQuery, err error) {
	q.tenant, q.after = tenant.ID(in.Get("tenant")), in.Get("cursor")
	q.filter = quarantine.Filter{State: quarantine.State(in.Get("state")), From: in.Get("from"), Text: in.Get("text")}
	if q.filter.State != "" && !slices.Contains(quarantine.States, q.filter.State) {
		return q, misuse("state: use held, releasing, released, deleting or deleted")
	}
	if len(q.filter.From) > maxFilter || len(q.filter.Text) > maxFilter || len(q.tenant) > maxFilter {
		return q, misuse("from, text, tenant: use at most 256 bytes")
	}
	if s := in.Get("since"); s != "" {
		if q.filter.Since, err = sinceOf(s); err != nil {
			return q, err
		}
	}
	q.filter.Limit, err = limitOf(in.Get("limit"))
	return q, err
}

// sinceOf reads a time, or how long ago.
func sinceOf(s string) (time.Time, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 100_000 {
			return time.Now().AddDate(0, 0, -n), nil
		}
	}
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return time.Now().Add(-ago), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.DateOnly, s); err == nil {
		return t, nil
	}
	return time.Time{}, misuse("since: use a time as in RFC 3339, a day, or how long ago, such as 24h or 7d")
}

func (h *Handler) heldList(c *call) error {
	if h.opt.Quarantine == nil {
		return ErrNotFound
	}
	q, err := newHeldQuery(c.URL.Query())
	if err != nil {
		return err
	}
	l, err := h.listHeld(c.who.Scope, q)
	if err != nil {
		return err
	}
	out := make([]HeldMail, 0, len(l.Items))
	for i := range l.Items {
		out = append(out, heldMail(&l.Items[i], mostRecipients))
	}
	h.reply(c.w, c.Request, http.StatusOK, struct {
		Messages []HeldMail `json:"messages"`
		Total    int        `json:"total"`          // that match, over all pages
		Next     string     `json:"next,omitempty"` // the cursor of the next page
	}{out, l.Total, l.Next})
	return nil
}

// listHeld lists, and lets nothing through that lies outside the scope.
func (h *Handler) listHeld(scope tenant.Scope, q heldQuery) (quarantine.Listing, error) {
	l, err := h.opt.Quarantine.List(scope, q.tenant, q.filter, q.after)
	if err != nil {
		return l, misuse("cursor: " + quarantine.Printable(err.Error()))
	}
	l.Items = slices.DeleteFunc(l.Items, func(it quarantine.Item) bool { return !scope.Sees(it.Tenant) })
	return l, nil
}

func (h *Handler) heldShow(c *call) error {
	name, err := h.heldName(c)
	if err != nil {
		return err
	}
	it, v, err := h.opt.Quarantine.Show(c.who.Scope, c.who.ID, name)
	if err != nil {
		return heldProblem(err)
	}
	if !c.who.Scope.Sees(it.Tenant) {
		return ErrNotFound
	}
	h.reply(c.w, c.Request, http.StatusOK, heldText(&it, v))
	return nil
}

func (h *Handler) heldRelease(c *call) error {
	return h.heldAct(c, "released", func(name string) (quarantine.Item, error) {
		return h.opt.Quarantine.Release(c.Context(), c.who.Scope, c.who.ID, name)
	})
}

func (h *Handler) heldDelete(c *call) error {
	return h.heldAct(c, "deleted", func(name string) (quarantine.Item, error) {
		return h.opt.Quarantine.Delete(c.Context(), c.who.Scope, c.who.ID, name)
	})
}

func (h *Handler) heldReport(c *call) error {
	if h.opt.Quarantine == nil {
		return ErrNotFound
	}
	var in struct {
		Feedback string `json:"feedback"`
	}
	if err := decode(c.Request, &in); err != nil {
		return err
	}
	if in.Feedback != quarantine.FalseAlarm && in.Feedback != quarantine.Missed {
		return misuse("feedback: use " + quarantine.FalseAlarm + " or " + quarantine.Missed)
	}
	return h.heldAct(c, "reported as "+in.Feedback, func(name string) (quarantine.Item, error) {
		return h.opt.Quarantine.Report(c.who.Scope, c.who.ID, name, in.Feedback)
	})
}

// heldAct does something with the path's message and answers with what became of it.
func (h *Handler) heldAct(c *call, what string, do func(name string) (quarantine.Item, error)) error {
	name, err := h.heldName(c)
	if err != nil {
		return err
	}
	it, err := do(name)
	if err != nil {
		return heldProblem(err)
	}
	h.opt.Log.Info("held mail is "+what, "tenant", it.Tenant, "name", it.Name, "by", c.who.ID)
	h.reply(c.w, c.Request, http.StatusOK, heldMail(&it, mostRecipients))
	return nil
}

func (h *Handler) heldSimilar(c *call) error {
	name, err := h.heldName(c)
	if err != nil {
		return err
	}
	list, err := h.similarTo(c.who.Scope, name)
	if err != nil {
		return err
	}
	out := make([]HeldSimilar, 0, len(list))
	for i := range list {
		out = append(out, HeldSimilar{HeldMail: heldMail(&list[i].Item, mostRecipients), Why: list[i].Why})
	}
	h.reply(c.w, c.Request, http.StatusOK, map[string][]HeldSimilar{"similar": out})
	return nil
}

func (h *Handler) similarTo(scope tenant.Scope, name string) ([]quarantine.Likeness, error) {
	list, err := h.opt.Quarantine.Similar(scope, name, maxSimilar)
	if err != nil {
		return nil, heldProblem(err)
	}
	return slices.DeleteFunc(list, func(l quarantine.Likeness) bool { return !scope.Sees(l.Item.Tenant) }), nil
}

func (h *Handler) heldAudit(c *call) error {
	if h.opt.Quarantine == nil {
		return ErrNotFound
	}
	in := c.URL.Query()
	limit, err := limitOf(in.Get("limit"))
	if err != nil {
		return err
	}
	list, err := h.auditOf(c.who.Scope, tenant.ID(in.Get("tenant")), in.Get("name"), limit)
	if err != nil {
		return err
	}
	h.reply(c.w, c.Request, http.StatusOK, map[string][]quarantine.Entry{"audit": list})
	return nil
}

func (h *Handler) auditOf(scope tenant.Scope, only tenant.ID, name string, most int) ([]quarantine.Entry, error) {
	list, err := h.opt.Quarantine.Audit(scope, only, name, most)
	if err != nil {
		return nil, heldProblem(err)
	}
	out := []quarantine.Entry{}
	for _, e := range list {
		if scope.Sees(e.Tenant) {
			out = append(out, e)
		}
	}
	return out, nil
}
