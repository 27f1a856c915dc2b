package api

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of a question to the hop graph.
const (
	MaxPaths   = 8   // ways of one source
	MaxSubject = 256 // bytes of a question's subject, and of each other part of it
)

// trace answers where a finding, or an address at a time, came from.
func (h *Handler) trace(c *call) error {
	in := c.URL.Query()
	q := TraceQuery{Subject: in.Get("subject"), Tenant: tenant.ID(in.Get("tenant")), At: in.Get("at"), User: in.Get("user")}
	if err := h.question(q.Subject, "a finding, an address or a host", string(q.Tenant), q.At, q.User); err != nil {
		return err
	}
	if s := in.Get("paths"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > MaxPaths {
			return misuse("paths: use a number from 1 to " + strconv.Itoa(MaxPaths))
		}
		q.Paths = n
	}
	n, err := h.sight(c)
	if err != nil {
		return err
	}
	out, err := h.opt.Investigator.Trace(c.Context(), c.who.Scope, n.Result, q)
	if err != nil {
		return err
	}
	h.reply(c.w, c.Request, http.StatusOK, out)
	return nil
}

// blast answers how far a partner, account, tool or address came.
func (h *Handler) blast(c *call) error {
	in := c.URL.Query()
	q := BlastQuery{Subject: in.Get("subject"), As: in.Get("as"), Since: in.Get("since")}
	if err := h.question(q.Subject, "a partner, account, tool or address", q.As, q.Since); err != nil {
		return err
	}
	if !slices.Contains([]string{"", "partner", "account", "tool", "address"}, q.As) {
		return misuse("as: use partner, account, tool or address")
	}
	n, err := h.sight(c)
	if err != nil {
		return err
	}
	out, err := h.opt.Investigator.Blast(c.Context(), c.who.Scope, n.Result, q)
	if err != nil {
		return err
	}
	h.reply(c.w, c.Request, http.StatusOK, out)
	return nil
}

// question refuses what nobody means.
func (h *Handler) question(subject, what string, rest ...string) error {
	switch {
	case h.opt.Investigator == nil:
		return ErrNotFound
	case subject == "":
		return misuse("subject: name " + what)
	case slices.ContainsFunc(append(rest, subject), func(s string) bool { return len(s) > MaxSubject }):
		return misuse("a part of the question is over " + strconv.Itoa(MaxSubject) + " bytes")
	}
	return nil
}
