package app

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

// openPath is before the code of a link that logs a browser in once.
const openPath = "/open/"

// doors holds the codes of links that log a browser in once.
type doors struct {
	mu   sync.Mutex
	open map[string]tokenEntry
}

// doorFor is how long such a link holds.
const doorFor = 10 * time.Minute

func (d *doors) add(token string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open == nil {
		d.open = map[string]tokenEntry{}
	}
	code := rand.Text()
	d.open[code] = tokenEntry{token, time.Now().Add(doorFor)}
	return code
}

// take returns the token behind a code, once.
func (d *doors) take(code string) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.open[code]
	delete(d.open, code)
	return e.token, ok && time.Now().Before(e.end)
}

func (w *watch) enter(rw http.ResponseWriter, r *http.Request, h *api.Handler, a *access) {
	token, ok := w.doors.take(strings.TrimPrefix(r.URL.Path, openPath))
	if r.Method != http.MethodGet || !ok {
		http.Redirect(rw, r, "/login", http.StatusSeeOther)
		return
	}
	s, err := a.Login(r.Context(), api.Credentials{Token: token, Peer: r.RemoteAddr})
	if err != nil {
		http.Redirect(rw, r, "/login", http.StatusSeeOther)
		return
	}
	h.Enter(rw, r, s)
}
