package console

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

var monday = time.Date(2026, 6, 1, 7, 12, 0, 0, time.UTC)

// doors is posture of so many tenants, each another.
type doors struct{ tenants []api.PostureTenant }

func (d *doors) Board(context.Context, tenant.Scope) (api.PostureBoard, error) {
	b := api.PostureBoard{At: monday, Controls: 47, Problems: []string{"/srv/evidence/old is not read: its name is no tenant's"},
		KEV: api.PostureKEV{Version: "2025.08.25", AgeDays: 455, Old: true, Says: "KEV 2025.08.25"}}
	for _, t := range d.tenants {
		t.Controls, t.Files, t.Statements = nil, nil, nil
		b.Tenants = append(b.Tenants, t)
	}
	return b, nil
}

func (d *doors) Tenant(_ context.Context, _ tenant.Scope, id tenant.ID) (api.PostureTenant, error) {
	if i := slices.IndexFunc(d.tenants, func(t api.PostureTenant) bool { return t.Tenant == id }); i >= 0 {
		return d.tenants[i], nil
	}
	return api.PostureTenant{}, api.ErrNotFound
}

func (d *doors) Add(context.Context, tenant.Scope, *authz.Principal, tenant.ID, posture.Fact) error {
	return api.ErrNotFound
}
func (d *doors) Statement(context.Context, tenant.Scope, *authz.Principal, tenant.ID, string) ([]byte, error) {
	return nil, api.ErrNotFound
}

// doorsOf makes tenants: the first has the most to show, the last was not judged.
func doorsOf(n int) *doors {
	d := &doors{}
	for i := range n {
		t := api.PostureTenant{Tenant: tenant.ID(fmt.Sprintf("t%02d", i)), Name: fmt.Sprintf("Tenant %d", i), At: &monday}
		switch i {
		case 0:
			t.Name, t.LeftOut = "Harbour IT Services and Logistics of the Northern Archipelago (Holding)", 3
		case 1:
			t.Name, t.Problem = hostile, "the evidence was not read within 10m0s: what was judged before stays "+hostile
		}
		for k, p := range evidence.Pillars {
			s := posture.Statuses[min(4, (i*4+k*3)%7)]
			x := api.PosturePillar{Pillar: p, Status: s, Counts: map[posture.Status]int{posture.Pass: 9 - k, s: 2 + k}}
			for j := range min(90, 7+i*3) {
				v := 0.9 - float64((j*7+i*13+k*29)%40)/100 - float64(j)/400*float64(k)
				if j%31 == 17 {
					x.Trend.Days = append(x.Trend.Days, nil)
					continue
				}
				x.Trend.Days = append(x.Trend.Days, &v)
			}
			c := float64((i*5+k*11)%30-15) / 100
			if i%6 != 5 {
				x.Trend.Change30, x.Trend.Change90 = &c, &c
			}
			t.Pillars = append(t.Pillars, x)
		}
		if i == n-1 && n > 2 {
			t.At = nil
			for k := range t.Pillars {
				t.Pillars[k] = api.PosturePillar{Pillar: evidence.Pillars[k], Status: posture.Unknown, Counts: map[posture.Status]int{}}
			}
		}
		d.tenants = append(d.tenants, t)
	}
	d.tenants[0].Controls = controlsToShow()
	d.tenants[0].Files = []api.PostureFile{{File: "t00/exports/software-2026-05.csv", Format: "software-csv", Facts: 41},
		{File: "t00/" + strings.Repeat("very-long-name-", 12) + ".xml", Facts: 0, LeftOut: 1, Problems: []string{"of no format that is known"}}, {File: "t00/" + hostile, Format: "breakwater-facts", Facts: 2, LeftOut: 2}}
	d.tenants[0].Statements = []api.PostureStatement{{Partner: "north", Issuer: "North MSP", At: monday.AddDate(0, 0, -20), Expires: monday.AddDate(0, 0, 15), Claims: map[posture.Status]int{posture.Pass: 20, posture.Stale: 3},
		Contradicted: []string{"remote-access-mfa"}}}
	return d
}

func controlsToShow() []api.PostureControl {
	old := monday.AddDate(0, 0, -40)
	var out []api.PostureControl
	for i, s := range posture.Statuses {
		c := api.PostureControl{Control: "remote-access-" + string(s), Title: "Remote tools run no version with a flaw that is exploited", Pillar: evidence.PillarRemoteAccess, Severity: ocsf.SeverityCritical - ocsf.Severity(i%4), Status: s,
			Reason: "srv1: ScreenConnect (0123456789abcdef): 23.9.7 is below 23.9.8, which mends CVE-2024-1709 (and 3 more)", About: "A flaw in a remote tool is a way into every client at once. Bring it to the first fixed version, or take it away.",
			Require: `!item.values.below_fixed || item.values.kev.size() == 0`, Where: `item.kind == "remote-access.software"`, Reads: []string{"remote-access.software", "remote-access.inventory"}, FreshHours: 35 * 24, Since: &old, Newest: &monday, Oldest: &old,
			References: []posture.Reference{{Source: "AA23-025A", ID: "patch remote tools"}, {Source: "CIS v8", ID: "7.4"}}, Settings: map[string]any{"minimum_days": int64(180)}, File: "controls/remote-access/remote-access-known-exploited.yaml"}
		for k := range 90 {
			d := posture.Pass
			if k > 60 {
				d = s
			}
			if k == 30 {
				d = ""
			}
			c.Days = append(c.Days, d)
		}
		if s != posture.Unknown {
			c.Items = []api.PostureItem{{Status: s, Subject: "srv1: ScreenConnect (0123456789abcdef)", Kind: "remote-access.software", At: &monday, File: "t00/exports/software-2026-05.csv", Line: 214, SHA256: strings.Repeat("ab", 32), Says: "23.9.7 is below 23.9.8, which mends CVE-2024-1709"},
				{Status: posture.Pass, Subject: hostile, Kind: "remote-access.software", At: &old, File: "t00/" + strings.Repeat("long/", 20) + "inventory.csv", Line: 7}, {Status: posture.Pass, Subject: "198.51.100.7:8040", Kind: "remote-access.exposure"}}
			c.More = 12
		}
		if s == posture.Excepted {
			c.Exceptions = []posture.Exception{{Control: c.Control, Owner: "Head of operations", Reason: "replaced in July", Expires: monday.AddDate(0, 1, 0)}}
		}
		out = append(out, c)
	}
	return out
}

func openDoors(t *testing.T, n int) *site {
	t.Helper()
	h := api.New(api.Options{Live: nobody{}, Authz: nobody{}, Posture: doorsOf(n), Log: slog.New(slog.DiscardHandler),
		Pages: New(Options{Draw: func(w io.Writer, _ api.View, _ bool) error { _, err := io.WriteString(w, "live"); return err }})})
	srv := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); srv.Close() })
	return &site{url: srv.URL}
}

func TestXSSPostureInTheBrowser(t *testing.T) {
	s, b := openDoors(t, 60), openBrowser(t)
	b.as(s, "viewer")
	b.do(chromedp.Navigate(s.url + "/posture"))
	b.want("document.querySelectorAll('.board tbody tr').length", "60")
	b.want("document.querySelectorAll('.board tbody tr:first-child td').length", "4")
	b.want("document.querySelectorAll('main script, main img, iframe, object, embed').length", "0")
	b.want("document.querySelector('.note.late').textContent.includes('455 days old')", "true")
	b.want("document.documentElement.scrollWidth <= innerWidth", "true")
	b.shot("posture-board")

	// A cell opens its pillar; the keyboard opens a control, which says what it rests on.
	b.do(chromedp.Click(chromedp.CSS(".board tbody tr:first-child td:nth-of-type(1) a.cell")))
	b.until("location.pathname + location.hash == '/posture/t00#remote-access'")
	b.want("document.querySelectorAll('#remote-access details').length", "5")
	b.do(chromedp.Focus(chromedp.CSS("#remote-access-fail summary")), chromedp.KeyEvent(kb.Enter))
	b.until("document.querySelector('#remote-access-fail').open")
	for _, want := range []string{"t00/exports/software-2026-05.csv:214", "AA23-025A patch remote tools; CIS v8 7.4", "item.values.below_fixed", "23.9.7 is below 23.9.8", "days old", "minimum_days"} {
		b.want(fmt.Sprintf("document.querySelector('#remote-access-fail').textContent.includes(%q)", want), "true")
	}
	b.shot("posture-tenant")
	b.do(chromedp.Navigate(s.url + "/posture/t59"))
	b.want("document.querySelector('main').textContent.includes('Not judged yet')", "true")
	b.shot("posture-empty")

	b.dark()
	b.do(chromedp.Navigate(s.url + "/posture"))
	b.shot("posture-dark")
	b.do(chromedp.Navigate(s.url + "/posture/t00"))
	b.do(chromedp.Focus(chromedp.CSS("#remote-access-fail summary")), chromedp.KeyEvent(kb.Enter))
	b.shot("posture-tenant-dark")
	b.width(400)
	b.want("document.documentElement.scrollWidth <= 400", "true")
	b.shot("posture-tenant-narrow")
	b.do(chromedp.Navigate(s.url + "/posture"))
	b.want("document.documentElement.scrollWidth <= 400", "true")
	b.shot("posture-narrow")

	b.do(chromedp.Navigate(s.url + "/posture/nobody"))
	b.want("document.querySelector('[role=alert]').textContent.includes('no such tenant')", "true")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) > 0 {
		t.Errorf("the browser complains: %q", b.complaints)
	}
}
