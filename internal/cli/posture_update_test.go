package cli

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

func TestPostureUpdateFetchesOverTLSAndKeepsTheOldOnEveryError(t *testing.T) {
	entry := `{"cveID":"CVE-2024-1709","vendorProject":"ConnectWise","product":"ScreenConnect","vulnerabilityName":"n","dateAdded":"2024-02-22","shortDescription":"s","requiredAction":"r","dueDate":"2024-02-29"}`
	text := func(day string) string {
		return fmt.Sprintf(`{"catalogVersion":%q,"dateReleased":"%sT12:00:00Z","count":1,"vulnerabilities":[%s]}`, day, day, entry)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/first", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text("2026-11-01")) })
	mux.HandleFunc("/next", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text("2026-11-20")) })
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "5000")
		fmt.Fprint(w, text("2026-11-20")[:100])
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		block := []byte(strings.Repeat(" ", 1<<20))
		for range 70 {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/plain", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/next", http.StatusFound)
	})
	mux.HandleFunc("/around", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/around", http.StatusFound) })
	server := httptest.NewTLSServer(mux)
	defer server.Close()
	pool := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	target := filepath.Join(t.TempDir(), "kev.json")
	run := func(path string, change func(*kevUpdate)) (*product.KEVChange, error) {
		u := &kevUpdate{source: server.URL + path, target: target, private: true, roots: &tls.Config{RootCAs: pool}}
		if change != nil {
			change(u)
		}
		return u.run(t.Context())
	}
	if c, err := run("/first", nil); err != nil || c.New.Version != "2026-11-01" {
		t.Fatalf("%+v %v", c, err)
	}
	kept, err := os.ReadFile(target)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path, want string
		change     func(*kevUpdate)
	}{
		"cut short":            {"/cut", "unexpected EOF", nil},
		"too large":            {"/endless", "larger than allowed", nil},
		"redirected to http":   {"/plain", "not https://", nil},
		"redirected for ever":  {"/around", "too often", nil},
		"not there":            {"/nothing", "404", nil},
		"another certificate":  {"/next", "certificate", func(u *kevUpdate) { u.roots = nil }},
		"a private address":    {"/next", "not a public one", func(u *kevUpdate) { u.private = false }},
		"a checksum of others": {"/next", "checksum", func(u *kevUpdate) { u.sum = strings.Repeat("0", 64) }},
		"with a password":      {"/next", "without user and password", func(u *kevUpdate) { u.source = strings.Replace(u.source, "https://", "https://a:b@", 1) }},
	} {
		if _, err := run(c.path, c.change); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if now, err := os.ReadFile(target); err != nil || string(now) != string(kept) {
			t.Errorf("%s: the kept catalogue changed", name)
		}
	}
	if c, err := run("/next", nil); err != nil || c.Old == nil || c.New.Version != "2026-11-20" {
		t.Errorf("%+v %v", c, err)
	}
}
