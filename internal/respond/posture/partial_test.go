package posture

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// TestWhatWasNotReadWholePassesNothing has exports that break off or hold rows that cannot be read: what they do not
// show may stand in the rest, so that no control passes for want of it.
func TestWhatWasNotReadWholePassesNothing(t *testing.T) {
	var inventory, users, roster strings.Builder
	inventory.WriteString("Computer;Name;Publisher;Version\n")
	users.WriteString("Username,Role,MFA Enabled,Last Login\n")
	roster.WriteString("Email,Course,Status,Completed At\n")
	for i := range 5000 {
		fmt.Fprintf(&inventory, "PC%d;Mozilla Firefox;Mozilla;%d.0\n", i, i%100)
		fmt.Fprintf(&users, "p%d@acme.example,Technician,Yes,2026-05-%02d\n", i, 1+i%28)
		fmt.Fprintf(&roster, "p%d@acme.example,Phishing,Completed,2026-05-%02d\n", i, 1+i%28)
	}
	l, problems, err := Load(Shipped())
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	torn := func(text string) string {
		z := gzipped(t, text)
		return z[:len(z)*2/3]
	}
	for name, c := range map[string]struct {
		file, content, control, says string
		want                         Status
	}{
		"a whole inventory":                      {"p.csv", inventory.String(), "remote-access-unsanctioned", "no fact shows", Pass},
		"an inventory that breaks off":           {"p.csv.gz", torn(inventory.String()), "remote-access-unsanctioned", "was not read to its end", Unknown},
		"one in which a row is broken":           {"p.csv", inventory.String() + "PC1;\"AnyDesk;x;7\n", "remote-access-unsanctioned", "1 record of", Unknown},
		"exploited flaws of one that breaks off": {"p.csv.gz", torn(inventory.String()), "remote-access-known-exploited", "was not read to its end", Unknown},
		"whether it can be read":                 {"p.csv.gz", torn(inventory.String()), "remote-access-inventory-readable", "was not read to its end", Unknown},
		"all users":                              {"u.csv", users.String(), "remote-access-mfa", "holds for 5000 facts", Pass},
		"users that break off":                   {"u.csv.gz", torn(users.String()), "remote-access-mfa", "was not read to its end", Unknown},
		"users of whom one cannot be read":       {"u.csv", users.String() + ",Technician,No,\n", "remote-access-mfa", "holds for 5000 facts; 1 record of", Pass},
		"courses":                                {"c.csv", roster.String(), "training-courses", "", Pass},
		"courses that break off":                 {"c.csv.gz", torn(roster.String()), "training-courses", "was not read to its end", Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, dir, "acme/"+c.file, c.content)
			r := readFolder(t, Folder{Dirs: []string{dir}, Formats: Formats(Knowledge{})})
			rep, err := l.For(tenant.Tenant{ID: "acme"}, nil).Check(t.Context(), r.Of("acme").Items, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range rep.Results {
				if x.Control.ID != c.control {
					continue
				}
				if x.Status != c.want || !strings.Contains(x.Reason, c.says) {
					t.Errorf("%s is %s (%s), want %s (%s)", c.control, x.Status, x.Reason, c.want, c.says)
				}
				return
			}
			t.Fatalf("there is no control %s", c.control)
		})
	}
}

// TestAFactOfAFileThatBreaksOffIsReplaced has a newer export that is whole: the torn one no longer matters.
func TestAFactOfAFileThatBreaksOffIsReplaced(t *testing.T) {
	l := libraryOf(t, "where: item.values.n == 1\nnone: pass\nrequire: item.values.ok")
	torn, whole := fact("a", 3, map[string]any{"n": 2, "ok": true}), fact("a", 1, map[string]any{"n": 2, "ok": true})
	torn.From.Cut = true
	for _, c := range []struct {
		name string
		want Status
		at   int // days ago of the whole one
	}{{"newer", Pass, 1}, {"older", Unknown, 9}} {
		whole.At = noon.Add(-time.Duration(c.at) * 24 * time.Hour)
		rep, err := l.For(acme, nil).Check(t.Context(), []evidence.Item{torn, whole}, noon)
		if err != nil {
			t.Fatal(err)
		}
		if got := rep.Results[0].Status; got != c.want {
			t.Errorf("where the whole one is %s: %s, want %s", c.name, got, c.want)
		}
	}
}
