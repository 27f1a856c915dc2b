package cli

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/app"
)

// TestLabTracesByCommand asks `breakwater trace` for every finding of a labelled scan: with all logs the likeliest way
// begins at the label's origin, over as many hops, and the victim's log alone names whom to ask.
func TestLabTracesByCommand(t *testing.T) {
	for _, l := range labs(t) {
		t.Run(filepath.Base(l.dir), func(t *testing.T) {
			conf := filepath.Join(l.dir, app.ConfigName)
			s, err := app.NewSetup(app.Options{ConfigPath: conf, Paths: l.logs})
			if err != nil {
				t.Fatal(err)
			}
			k, err := app.Investigate(t.Context(), s, l.logs, nil)
			if err != nil {
				t.Fatal(err)
			}
			scan := l.scan(t, l.logs)
			for _, want := range l.labels {
				for _, f := range scan.of(want) {
					list, err := k.Trace(app.TraceOptions{Subject: f.ID, Most: 3})
					if err != nil {
						t.Errorf("%s: %v", want.id, err)
						continue
					}
					for _, tr := range list {
						if p := tr.Paths[0]; tr.Subject == want.src && (p.Origin.Name != want.origin || len(p.Hops)+1 != want.hops || p.Ask != nil) {
							t.Errorf("%s: traced to %s over %d sessions", want.id, p.Origin, len(p.Hops))
						}
					}
				}
			}
			var out, errw bytes.Buffer
			f := scan.of(l.labels[0])[0]
			args := append([]string{"trace", f.ID[:8], "--config", conf, "-o", "json"}, l.logs...)
			if code := run(t.Context(), args, &console{strings.NewReader(""), &out, &errw}); code != exitDone {
				t.Fatalf("exit code %d: %s", code, &errw)
			}
			var list []app.Traced
			if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list) == 0 || list[0].Finding != f.ID {
				t.Errorf("%v: %s", err, &out)
			}
		})
	}
}
