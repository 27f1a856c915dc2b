package api

import "net/http"

// Enter gives the browser a session that was opened elsewhere, and sends it to the live page.
func (h *Handler) Enter(w http.ResponseWriter, r *http.Request, s Session) {
	http.SetCookie(w, &http.Cookie{Name: h.cookie(r), Value: s.ID, Path: "/", Expires: s.End, HttpOnly: true, Secure: h.secure(r), SameSite: http.SameSiteStrictMode})
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
