package sweep

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// graph is as much of Microsoft Graph as a sweep needs: it finds messages by mailbox and Message-ID, and moves them.
type graph struct {
	t      *testing.T
	mu     sync.Mutex
	boxes  map[string]map[string]string // Message-ID by mailbox and id
	moved  []string
	bodies int
}

func (g *graph) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bodies++; r.Method != http.MethodPost || r.URL.Path != "/v1.0/$batch" || r.Header.Get("Authorization") != "Bearer secret" {
		http.Error(w, "not this", http.StatusForbidden)
		return
	}
	var in struct {
		Requests []struct {
			ID, Method, URL string
			Body            map[string]string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Requests) > graphBatch {
		g.t.Errorf("a batch of %d: %v", len(in.Requests), err)
	}
	type response struct {
		ID     string `json:"id"`
		Status int    `json:"status"`
		Body   any    `json:"body,omitempty"`
	}
	var out []response
	for _, q := range in.Requests {
		u, err := url.Parse(q.URL)
		if err != nil {
			g.t.Errorf("the request %q: %v", q.URL, err)
			continue
		}
		parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
		for i := range parts {
			parts[i], _ = url.PathUnescape(parts[i])
		}
		box, known := g.boxes[parts[1]]
		switch {
		case !known:
			out = append(out, response{q.ID, 404, map[string]any{"error": map[string]string{"code": "ErrorInvalidUser"}}})
		case q.Method == http.MethodGet:
			var found []map[string]string
			for id, mid := range box {
				if u.Query().Get("$filter") == "internetMessageId eq '"+strings.ReplaceAll(mid, "'", "''")+"'" {
					found = append(found, map[string]string{"id": id, "internetMessageId": mid})
				}
			}
			out = append(out, response{q.ID, 200, map[string]any{"value": found}})
		case len(parts) == 5 && parts[4] == "move" && q.Body["destinationId"] == "junkemail":
			g.moved = append(g.moved, parts[1]+" "+parts[3])
			out = append(out, response{q.ID, 201, nil})
		default:
			g.t.Errorf("the request %+v", q)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"responses": out})
}

// TestTheGraphScriptFindsAndMoves runs the one file against a server that answers as Graph does, with names that a shell,
// a filter and a URL would each read in their own way.
func TestTheGraphScriptFindsAndMoves(t *testing.T) {
	for _, p := range []string{"sh", "curl", "jq"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("no %s: apt-get install curl jq", p)
		}
	}
	g := &graph{t: t, boxes: map[string]map[string]string{}}
	server := httptest.NewServer(g)
	defer server.Close()
	var list []Listed
	odd := []string{"it's $(id) `id` %s \\n \"x\"&a=b#c+d@evil.example", "COPIES", "MOVES"}
	for i := range 45 {
		box, mid := fmt.Sprintf("o'hara+%d@acme.example", i%3), fmt.Sprintf("%d@evil.example", i)
		if i < len(odd) {
			mid = odd[i]
		}
		list = append(list, Listed{Mailbox: box, MessageID: mid})
		if g.boxes[box] == nil {
			g.boxes[box] = map[string]string{"other": "<honest@acme.example>"}
		}
		if i != 44 { // one is not there any more
			g.boxes[box][fmt.Sprintf("AAMk/%d=", i)] = "<" + mid + ">"
		}
	}
	run := func(list []Listed) (string, error) {
		t.Helper()
		var b strings.Builder
		if err := WriteGraphScript(&b, list, "junkemail"); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "move.sh")
		if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("sh", name)
		c.Env = append(os.Environ(), "TOKEN=secret", "GRAPH="+server.URL)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	out, err := run(list)
	if err != nil || out != "found 44, moved 44, failed 0\n" {
		t.Errorf("%v: %s", err, out)
	}
	seen := map[string]bool{}
	for _, m := range g.moved {
		if seen[m] || strings.HasSuffix(m, "other") {
			t.Errorf("moved twice, or another message: %s", m)
		}
		seen[m] = true
	}
	if len(seen) != 44 {
		t.Errorf("%d were moved", len(seen))
	}
	if out, err := run(append(list[:1:1], Listed{Mailbox: "nobody@acme.example", MessageID: "x@y.example"})); err == nil || out != "found 1, moved 1, failed 1\n" {
		t.Errorf("a mailbox that is not there: %v: %s", err, out)
	}
	server.Close()
	if out, err := run(list[:1]); err == nil || !strings.Contains(out, "failed 1") {
		t.Errorf("without a server: %v: %s", err, out)
	}
	for _, folder := range []string{"", "a'b", "a b", "$(id)", "x\ny"} {
		if err := WriteGraphScript(&strings.Builder{}, list, folder); err == nil {
			t.Errorf("the folder %q was taken", folder)
		}
	}
}
