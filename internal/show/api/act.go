package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func (h *Handler) deadletters(c *call) error {
	if h.opt.Deadletters == nil {
		return ErrNotFound
	}
	in := c.URL.Query()
	q := DeadletterQuery{Tenant: tenant.ID(in.Get("tenant")), Sensor: in.Get("sensor"), After: in.Get("cursor")}
	var err error
	if q.Limit, err = limitOf(in.Get("limit")); err != nil {
		return err
	}
	list, more, err := h.opt.Deadletters.List(c.Context(), c.who.Scope, q)
	if err != nil {
		return err
	}
	next := ""
	if more && len(list) > 0 {
		next = list[len(list)-1].ID
	}
	out := []Deadletter{}
	for _, d := range list {
		if c.who.Scope.Sees(d.Tenant) {
			d.Raw = nil
			out = append(out, d)
		}
	}
	h.reply(c.w, c.Request, http.StatusOK, struct {
		Deadletters []Deadletter `json:"deadletters"`
		Next        string       `json:"next,omitempty"`
	}{out, next})
	return nil
}

func (h *Handler) deadletter(c *call) error {
	if h.opt.Deadletters == nil {
		return ErrNotFound
	}
	d, err := h.opt.Deadletters.Show(c.Context(), c.who.Scope, c.PathValue("id"))
	if err != nil {
		return err
	}
	if !c.who.Scope.Sees(d.Tenant) {
		return ErrNotFound
	}
	h.reply(c.w, c.Request, http.StatusOK, d)
	return nil
}

func (h *Handler) replay(c *call) error {
	if h.opt.Deadletters == nil {
		return ErrNotFound
	}
	var in struct {
		IDs []string `json:"ids"`
	}
	if err := decode(c.Request, &in); err != nil {
		return err
	}
	if len(in.IDs) == 0 || len(in.IDs) > MaxPage || slices.Contains(in.IDs, "") {
		return misuse("ids: name 1 to 1000 dead letters")
	}
	for _, id := range in.IDs { // all are there and the caller's, or none is touched
		d, err := h.opt.Deadletters.Show(c.Context(), c.who.Scope, id)
		if err != nil {
			return err
		}
		if !c.who.Scope.Sees(d.Tenant) {
			return ErrNotFound
		}
	}
	n, err := h.opt.Deadletters.Replay(c.Context(), c.who.Scope, c.who, in.IDs)
	if err != nil {
		return err
	}
	h.opt.Log.Info("dead letters are replayed", "by", c.who.ID, "count", n)
	h.reply(c.w, c.Request, http.StatusOK, map[string]int{"replayed": n})
	return nil
}

func (h *Handler) levels(c *call) error {
	if h.opt.Levels == nil {
		return ErrNotFound
	}
	list, err := h.opt.Levels.List(c.Context(), c.who.Scope)
	if err != nil {
		return err
	}
	out := []Level{}
	for _, l := range list {
		if c.who.Scope.Sees(l.Tenant) {
			out = append(out, l)
		}
	}
	h.reply(c.w, c.Request, http.StatusOK, map[string][]Level{"levels": out})
	return nil
}

// longestLevel is how far off the end of a level may be: one without an end is a new normal.
const longestLevel = 90 * 24 * time.Hour

// maxReason is how long a reason may be, in bytes.
const maxReason = 1000

func (h *Handler) setLevel(c *call) error {
	id, err := h.levelTenant(c)
	if err != nil {
		return err
	}
	var in struct {
		Level  string    `json:"level"`
		Reason string    `json:"reason"`
		Until  time.Time `json:"until"`
	}
	if err := decode(c.Request, &in); err != nil {
		return err
	}
	in.Reason = strings.TrimSpace(in.Reason)
	switch {
	case !slices.Contains(LevelNames[1:], in.Level):
		return misuse("level: use elevated or heightened; DELETE lets it fall back to normal")
	case in.Reason == "" || len(in.Reason) > maxReason:
		return misuse("reason: say why, in at most 1000 bytes")
	case !in.Until.After(time.Now()) || time.Until(in.Until) > longestLevel:
		return misuse("until: name a time to come, at most 90 days off")
	}
	until := in.Until.UTC()
	l, err := h.opt.Levels.Set(c.Context(), c.who.Scope, c.who, Level{Tenant: id, Level: in.Level, Reason: in.Reason, By: c.who.ID, Until: &until})
	if err != nil {
		return err
	}
	h.opt.Log.Info("an alert level is set", "tenant", id, "level", l.Level, "by", c.who.ID)
	h.reply(c.w, c.Request, http.StatusOK, l)
	return nil
}

func (h *Handler) endLevel(c *call) error {
	id, err := h.levelTenant(c)
	if err != nil {
		return err
	}
	reason := strings.TrimSpace(c.URL.Query().Get("reason"))
	if reason == "" || len(reason) > maxReason {
		return misuse("reason: say why, in at most 1000 bytes")
	}
	l, err := h.opt.Levels.End(c.Context(), c.who.Scope, c.who, id, reason)
	if err != nil {
		return err
	}
	h.opt.Log.Info("an alert level is ended", "tenant", id, "by", c.who.ID)
	h.reply(c.w, c.Request, http.StatusOK, l)
	return nil
}

// levelTenant returns the path's tenant, where it is one of the caller's.
func (h *Handler) levelTenant(c *call) (tenant.ID, error) {
	id := tenant.ID(c.PathValue("tenant"))
	_, m, _ := h.opt.Live.Result()
	if h.opt.Levels == nil || !c.who.Scope.Sees(id) || m == nil || m.Tenant(id) == nil {
		return "", ErrNotFound
	}
	return id, nil
}

// peer is where a request comes from, for the audit.
func peer(r *http.Request) string { return cmp.Or(r.RemoteAddr, "unknown") }
