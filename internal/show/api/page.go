package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Pages draws what a browser shows; show/console does. Drawing is pure: what HTTP needs is done here.
type Pages interface {
	// Live draws the page of what the caller may see, or the part that a page on screen replaces.
	Live(v View, fragment bool) (Page, error)
	// Login draws the form, with what went wrong the last time.
	Login(v LoginView) (Page, error)
}

// Page is a drawn page with its Content-Security-Policy.
type Page struct {
	Body   []byte
	Policy string
}

// View is what a page shows.
type View struct {
	Result  *campaign.Result // nil while there is none yet
	Model   *tenant.Model
	Version uint64
	Who     string // the principal's id
	Role    string
	Status  Status
	At      time.Time
	Held    bool // there is a page of held mail
	Posture bool // there is a page of posture
}

// LoginView is what the login form shows.
type LoginView struct {
	Problem string
	Name    string // as it was entered
	Next    string // where to go on to, a path of ours
}

func (h *Handler) pages() {
	h.mux.HandleFunc("GET /{$}", h.livePage)
	h.mux.HandleFunc("GET /login", h.loginPage)
	h.mux.HandleFunc("POST /login", h.login)
	h.mux.HandleFunc("POST /logout", h.logout)
	if q, ok := h.opt.Pages.(QuarantinePages); ok && h.opt.Quarantine != nil {
		h.quarantinePages(q)
	}
	if p, ok := h.opt.Pages.(PosturePages); ok && h.opt.Posture != nil {
		h.posturePages(p)
	}
}

// livePage draws what the caller may see; who has not logged in is sent to the form. With ?fragment it is the part
// that the page on screen takes in when something changed.
func (h *Handler) livePage(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.opt.Timeout)
	defer cancel()
	r = r.WithContext(ctx)
	fragment := r.URL.Query().Has("fragment")
	who, err := h.principal(r)
	switch {
	case errors.Is(err, ErrRefused) && !fragment:
		next := ""
		if r.URL.RawQuery != "" {
			next = "?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, "/login"+next, http.StatusSeeOther)
		return
	case err == nil && !who.May("viewer"):
		err = &Problem{Status: http.StatusForbidden, Says: "this needs the role viewer"}
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	n := h.sights.of(who.Scope).current()
	p, err := h.opt.Pages.Live(View{Result: n.Result, Model: n.Model, Version: n.Version, Who: who.ID, Role: string(who.Role), Status: h.statusFor(who.Scope), At: time.Now().UTC(),
		Held: h.opt.Quarantine != nil, Posture: h.opt.Posture != nil}, fragment)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.page(w, r, http.StatusOK, p)
}

func (h *Handler) page(w http.ResponseWriter, r *http.Request, status int, p Page) {
	w.Header().Set("Content-Security-Policy", p.Policy)
	h.send(w, r, status, "text/html; charset=utf-8", p.Body)
}

func (h *Handler) loginPage(w http.ResponseWriter, r *http.Request) {
	if who, err := h.principal(r); err == nil && who.May("viewer") {
		http.Redirect(w, r, ourPath(r.URL.Query().Get("next")), http.StatusSeeOther)
		return
	}
	h.form(w, r, http.StatusOK, LoginView{Next: r.URL.Query().Get("next")})
}

func (h *Handler) form(w http.ResponseWriter, r *http.Request, status int, v LoginView) {
	v.Next = ourPath(v.Next)
	p, err := h.opt.Pages.Login(v)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	h.page(w, r, status, p)
}

// login checks what was entered and gives the browser a session.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.opt.Timeout)
	defer cancel()
	if err := r.ParseForm(); err != nil {
		h.fail(w, r, &Problem{Status: http.StatusBadRequest, Says: "the form cannot be read"})
		return
	}
	in := LoginView{Name: r.PostForm.Get("name"), Next: r.PostForm.Get("next")}
	select {
	case h.logins <- struct{}{}:
		defer func() { <-h.logins }()
	case <-ctx.Done():
		in.Problem = "Too many are logging in at once. Try again in a moment."
		h.form(w, r, http.StatusServiceUnavailable, in)
		return
	}
	s, err := h.opt.Authz.Login(ctx, Credentials{Name: in.Name, Password: r.PostForm.Get("password"), Token: strings.TrimSpace(r.PostForm.Get("token")), Peer: peer(r)})
	var p *Problem
	switch {
	case errors.Is(err, ErrRefused):
		in.Problem = "That name and password, or that token, is not valid."
		h.form(w, r, http.StatusUnauthorized, in)
	case errors.As(err, &p):
		in.Problem = p.Says
		h.form(w, r, p.Status, in)
	case err != nil:
		h.opt.Log.Error("a login failed", "error", err)
		in.Problem = "Logging in does not work at the moment; the log says why."
		h.form(w, r, http.StatusInternalServerError, in)
	default:
		http.SetCookie(w, &http.Cookie{Name: h.cookie(r), Value: s.ID, Path: "/", Expires: s.End, HttpOnly: true, Secure: h.secure(r), SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, ourPath(in.Next), http.StatusSeeOther)
	}
}

func (h *Handler) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(h.cookie(r)); err == nil {
		if err := h.opt.Authz.Logout(r.Context(), c.Value); err != nil && !errors.Is(err, ErrRefused) {
			h.fail(w, r, err)
			return
		}
	}
	http.SetCookie(w, &http.Cookie{Name: h.cookie(r), Path: "/", MaxAge: -1, HttpOnly: true, Secure: h.secure(r), SameSite: http.SameSiteStrictMode})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// cookie is the session cookie's name. With TLS the browser itself holds it to this host (RFC 6265bis 4.1.3.2).
func (h *Handler) cookie(r *http.Request) string {
	if h.secure(r) {
		return "__Host-breakwater"
	}
	return "breakwater"
}

// ourPath returns a path of ours to go on to; what leads elsewhere becomes the page itself.
func ourPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || u.Path != "/" && !ownPath.MatchString(u.Path) || strings.Contains(next, `\`) || strings.HasPrefix(next, "//") {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// ownPath is a page of held mail or of posture.
var ownPath = regexp.MustCompile(`^/(quarantine(/[0-9a-f]{4,64})?|posture(/[A-Za-z0-9][A-Za-z0-9._-]{0,63})?)$`)
