package api

import (
	"errors"
	"net/http"
)

// PosturePages draws the pages of posture; show/console does.
type PosturePages interface {
	PostureBoard(v PostureBoardView) (Page, error)
	PostureTenant(v PostureTenantView) (Page, error)
}

// PostureBoardView is what the board shows: tenants by pillars.
type PostureBoardView struct {
	Visitor
	Board PostureBoard
	On    bool // else the configuration has no section for it
}

// PostureTenantView is what the page of one tenant shows.
type PostureTenantView struct {
	Visitor
	Of    PostureTenant
	KEV   PostureKEV
	Found bool
}

func (h *Handler) posturePages(pages PosturePages) {
	to := func(do func(*Handler, *call, PosturePages) error) func(*Handler, *call, QuarantinePages) error {
		return func(h *Handler, c *call, _ QuarantinePages) error { return do(h, c, pages) }
	}
	h.mux.HandleFunc("GET /posture", func(w http.ResponseWriter, r *http.Request) { h.visit(w, r, nil, to((*Handler).posturePage)) })
	h.mux.HandleFunc("GET /posture/{tenant}", func(w http.ResponseWriter, r *http.Request) { h.visit(w, r, nil, to((*Handler).tenantPage)) })
}

func (h *Handler) posturePage(c *call, pages PosturePages) error {
	v := PostureBoardView{Visitor: h.visitor(c.who), On: true}
	var err error
	if v.Board, err = h.boardOf(c.Context(), c.who.Scope); errors.Is(err, ErrNotFound) {
		v.On = false
	} else if err != nil {
		return err
	}
	page, err := pages.PostureBoard(v)
	if err != nil {
		return err
	}
	h.page(c.w, c.Request, http.StatusOK, page)
	return nil
}

func (h *Handler) tenantPage(c *call, pages PosturePages) error {
	v := PostureTenantView{Visitor: h.visitor(c.who)}
	status := http.StatusOK
	of, err := h.postureOf(c)
	switch {
	case errors.Is(err, ErrNotFound):
		status = http.StatusNotFound
	case err != nil:
		return err
	default:
		v.Of, v.Found = of, true
		b, err := h.boardOf(c.Context(), c.who.Scope)
		if err != nil {
			return err
		}
		v.KEV = b.KEV
	}
	page, err := pages.PostureTenant(v)
	if err != nil {
		return err
	}
	h.page(c.w, c.Request, status, page)
	return nil
}
