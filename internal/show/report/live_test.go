package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/show/api"
	"github.com/breakwater-project/breakwater/internal/show/console"
)

var liveOptions = LiveOptions{Options: Options{Version: "0.1.0"}, Version: 7, Who: "jo", Role: "analyst", At: time.Date(2026, 4, 24, 9, 0, 0, 0, time.UTC)}

func renderLive(t testing.TB, name string, fragment bool) string {
	t.Helper()
	res, m := fixtures[name]()
	opt := liveOptions
	opt.Fragment = fragment
	var b bytes.Buffer
	if err := Live(&b, res, m, opt); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLivePageIsUnderItsPolicy(t *testing.T) {
	for name := range fixtures {
		page := renderLive(t, name, false)
		style, script := hash(between(t, []byte(page), "<style>", "</style>")), hash(between(t, []byte(page), "<script type=module>", "</script>"))
		if !strings.Contains(LivePolicy, "style-src '"+style+"'") || !strings.Contains(LivePolicy, "script-src '"+script+"'") || strings.Contains(LivePolicy, "unsafe") {
			t.Errorf("%s: the policy is not that of the page: %s", name, LivePolicy)
		}
		if got := between(t, []byte(page), `<meta http-equiv="Content-Security-Policy" content="`, `"`); got+"; frame-ancestors 'none'" != LivePolicy {
			t.Errorf("%s: the page says %s", name, got)
		}
		if strings.Contains(liveJS, "innerHTML") || strings.Contains(liveJS, "outerHTML") || strings.Contains(liveJS, "insertAdjacentHTML") || strings.Contains(liveJS, "eval(") {
			t.Error("the script writes markup")
		}
		for _, x := range tags([]byte(page)) {
			for a := range x.attrs {
				if a == "style" || strings.HasPrefix(a, "on") {
					t.Errorf("%s: <%s> has %s", name, x.name, a)
				}
			}
		}
		if !strings.Contains(page, `<body data-version="7">`) || !strings.Contains(page, `action="/logout"`) {
			t.Errorf("%s: the version or the way out is missing", name)
		}
	}
}

func TestLiveFragmentIsThePageWithoutStyleAndScript(t *testing.T) {
	for name := range fixtures {
		page, part := renderLive(t, name, false), renderLive(t, name, true)
		if strings.Contains(part, "<style") || strings.Contains(part, "<script type=module>") || strings.Contains(part, "http-equiv") {
			t.Errorf("%s: the fragment has style or script", name)
		}
		for _, of := range [][2]string{{"<main", "</main>"}, {`<dl class="facts">`, "</dl>"}, {"id=data>", "</script>"}} {
			if between(t, []byte(page), of[0], of[1]) != between(t, []byte(part), of[0], of[1]) {
				t.Errorf("%s: what follows %s differs from the page's", name, of[0])
			}
		}
	}
}

func TestLiveSaysSoBeforeAnythingIsConcluded(t *testing.T) {
	var b bytes.Buffer
	if err := Live(&b, nil, nil, LiveOptions{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "Nothing was read, so this says nothing about any tenant.") {
		t.Error("an empty page does not say that nothing was read")
	}
}

// watched is a pipeline whose result a test changes.
type watched struct {
	mu      sync.Mutex
	res     *campaign.Result
	model   *tenant.Model
	version uint64
	last    time.Time
	changed chan struct{}
	asked   int // questions to the graph
}

func (p *watched) change(with func(r *campaign.Result)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := *p.res
	r.Campaigns, r.Incidents, r.List, r.Coverage = slices.Clone(r.Campaigns), slices.Clone(r.Incidents), slices.Clone(r.List), slices.Clone(r.Coverage)
	for i := range r.Campaigns {
		r.Campaigns[i].Tenants = slices.Clone(r.Campaigns[i].Tenants)
	}
	with(&r)
	p.res = &r
	p.version++
	p.last = time.Now()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *watched) Result() (*campaign.Result, *tenant.Model, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.res, p.model, p.version
}

func (p *watched) Wait(ctx context.Context, since uint64) (uint64, error) {
	p.mu.Lock()
	version, changed := p.version, p.changed
	p.mu.Unlock()
	if version > since {
		return version, nil
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-changed:
		return version + 1, nil
	}
}

func (p *watched) Coverage(tenant.Scope) (rows []api.Row) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.res.Coverage {
		rows = append(rows, api.Row{Tenant: c.Tenant, Layer: c.Layer, Sensor: string(c.Tenant), Events: c.Events, First: &c.From, Last: &p.last})
	}
	return rows
}

func (p *watched) Status() api.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return api.Status{Ready: true, LastEvent: &p.last}
}

// door knows one person, and forgets the session on logout.
type door struct {
	mu  sync.Mutex
	out bool
}

func (d *door) Token(context.Context, string) (*authz.Principal, error) { return nil, api.ErrRefused }

func (d *door) Login(_ context.Context, c api.Credentials) (api.Session, error) {
	if c.Name != "jo" || c.Password != "correct horse" {
		return api.Session{}, api.ErrRefused
	}
	return api.Session{ID: "s1", End: time.Now().Add(time.Hour)}, nil
}

func (d *door) Session(_ context.Context, id string) (*authz.Principal, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if id != "s1" || d.out {
		return nil, api.ErrRefused
	}
	return &authz.Principal{ID: "jo", Role: authz.RoleAnalyst, Scope: tenant.ScopeAll()}, nil
}

func (d *door) Logout(context.Context, string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out = true
	return nil
}

// Trace answers two ways for a finding that is known, in words that an intruder chose.
func (p *watched) Trace(_ context.Context, _ tenant.Scope, r *campaign.Result, q api.TraceQuery) (any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked++; p.asked == 1 {
		return nil, &api.Problem{Status: http.StatusServiceUnavailable, Says: "the pipeline is busy; try again", Retry: time.Second}
	}
	if !slices.ContainsFunc(r.List, func(f *ocsf.Finding) bool { return f.ID == q.Subject }) {
		return nil, api.ErrNotFound
	}
	place := func(id, name string) map[string]string { return map[string]string{"tenant": id, "name": name} }
	way := func(share float64, from string) map[string]any {
		return map[string]any{"rank": 1, "share": share, "origin": place("harbour-it", from), "reason": "no session into " + from + " was open",
			"hops": []any{map[string]any{"from": place("harbour-it", from), "to": place("aldgate", "10.1.0.1"), "start": "2026-01-02T03:02:00Z", "kind": "ssh", "share": share, "score": 23.44, "file": "fw-nw", "record": 7,
				"for": []string{"900 packets in 1h0m0s", "open at the time"}, "against": []string{hostile[0]}}}}
	}
	return map[string]any{"traces": []any{map[string]any{"subject": "none of these", "clocks": []string{"harbour-it's clock is 93 s ahead " + hostile[0]}, "paths": []any{way(0.62, "10.9.0.7"), way(0.38, "<img src=x onerror=window.pwned=1>\u202e7.0.9.01")}}}}, nil
}

// Blast is asked by no page.
func (p *watched) Blast(context.Context, tenant.Scope, *campaign.Result, api.BlastQuery) (any, error) {
	return nil, api.ErrNotFound
}

func TestXSSBrowserLivePageShowsAllWaysOfATraceWhenAsked(t *testing.T) {
	b := openBrowser(t)
	p, srv, _ := serveLive(t, "campaign")
	b.login(srv.URL)
	b.want("document.querySelectorAll('details.ways').length", "2")
	b.want("document.querySelectorAll('details.ways[open]').length + document.querySelector('details.ways .body').textContent", "0")
	open := func(yes bool) {
		b.do(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`for (let d = document.querySelector("details.ways").parentElement; d; d = d.parentElement) if (d.matches("details")) d.open = true; document.querySelector("details.ways").open = %v`, yes)))
	}
	open(true)
	b.await(`document.querySelector("details.ways .body").textContent.includes("The ways can't be shown now: the pipeline is busy")`)
	open(false)
	b.await(`!document.querySelector("details.ways").open`)
	open(true)
	b.await(`document.querySelectorAll("details.ways .way").length === 2`)
	b.want("document.querySelector('details.ways .way strong').textContent", "62 %")
	b.want("document.querySelector('details.ways .way').textContent.includes('for: 900 packets in 1h0m0s; open at the time')", "true")
	b.want("document.querySelectorAll('details.ways .way')[1].textContent.includes('against: ')", "true")
	b.want("document.querySelector('details.ways .way').textContent.includes('score 23.4, 62 % of what may explain it')", "true")
	b.want("document.querySelector('details.ways .way').textContent.includes('fw-nw record 7')", "true")
	b.want("document.querySelector('details.ways .clock').textContent.includes('93 s ahead')", "true")
	b.want(`document.querySelectorAll("details.ways .way")[1].textContent.includes("\\u202e7.0") && !document.querySelectorAll("details.ways .way")[1].textContent.includes(String.fromCodePoint(0x202e))`, "true")
	p.change(func(r *campaign.Result) { r.Campaigns[0].Summary = "Now something else." })
	b.await(`document.querySelector('.campaign .lead').textContent === "Now something else."`)
	b.want("document.querySelectorAll('details.ways[open] .way').length", "2")
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("details.ways").scrollIntoView()`))
	b.shot("live-ways")
	b.want("window.pwned === undefined && document.querySelectorAll('main img').length === 0", "true")
	b.quiet("503")
}

// serveLive serves the live page of a fixture, as app does. down makes every answer but the first ones fail.
func serveLive(t *testing.T, name string) (p *watched, srv *httptest.Server, down func(bool)) {
	t.Helper()
	res, m := fixtures[name]()
	p = &watched{res: res, model: m, version: 1, last: time.Now(), changed: make(chan struct{})}
	pages := console.New(console.Options{Policy: LivePolicy, Draw: func(w io.Writer, v api.View, fragment bool) error {
		return Live(w, v.Result, v.Model, LiveOptions{Options: Options{Version: "0.1.0"}, Version: v.Version, At: v.At, Who: v.Who, Role: v.Role, Fragment: fragment})
	}})
	h := api.New(api.Options{Live: p, Authz: &door{}, Pages: pages, Investigator: p, Log: slog.New(slog.DiscardHandler), Heartbeat: 300 * time.Millisecond})
	var mu sync.Mutex
	off := false
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		broken := off
		mu.Unlock()
		if broken {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { h.Close(); srv.Close() })
	return p, srv, func(v bool) {
		mu.Lock()
		off = v
		mu.Unlock()
		if v {
			srv.CloseClientConnections()
		}
	}
}

// await asks an expression in the page until it is true, also over the change from one page to another.
func (b *browser) await(expr string) {
	b.t.Helper()
	tick := time.NewTicker(30 * time.Millisecond)
	defer tick.Stop()
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		var ok string
		if ok, err = chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expr+")")); err == nil && ok == "true" {
			return
		}
	}
	b.shot("await-failed")
	b.t.Fatalf("%s does not come true: %v; complaints %v", expr, err, b.complaints)
}

func (b *browser) full(name string) {
	b.t.Helper()
	dir := os.Getenv("REPORT_OUT")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(90))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) login(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url + "/"))
	b.await(`document.title === "Log in to Breakwater"`)
	b.shot("login")
	b.do(chromedp.SendKeys(chromedp.CSS("#name"), "jo"), chromedp.SendKeys(chromedp.CSS("#password"), "correct horse\r"))
	b.await(`document.title === "Constant watch" && document.getElementById("live-state").textContent === "live"`)
}

// quiet holds that the browser complained of nothing but what was meant.
func (b *browser) quiet(meant ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		if !slices.ContainsFunc(meant, func(m string) bool { return strings.Contains(c, m) }) {
			b.t.Errorf("the browser complains: %s", c)
		}
	}
}

func TestXSSBrowserLivePageTakesInWhatChanges(t *testing.T) {
	b := openBrowser(t)
	p, srv, _ := serveLive(t, "campaign")
	b.login(srv.URL)
	b.shot("live-top")

	// The reader is in the middle of things: a filter is set, a finding's evidence is open, a details element too.
	first := p.res.List[4].ID
	b.do(chromedp.Evaluate[chromedp.Void](`window.same = document.querySelector("main"); window.row = document.getElementById("finding-` + first + `")`))
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "farrow"))
	b.want("location.search", "?q=farrow")
	shown := b.eval(shownCount)
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".told").open = true; document.querySelector("#matrix").scrollIntoView(); document.querySelector("#q").focus({preventScroll: true}); document.querySelector("#q").setSelectionRange(2, 4);
		document.querySelector(".hops .scroll").scrollLeft = 120; window.at = document.querySelector("#matrix").getBoundingClientRect().top`))

	p.change(func(r *campaign.Result) {
		f := *r.List[12]
		f.ID, f.Title, f.Reason, f.Severity = "new-1", "<img src=x onerror=window.pwned=1>New finding", hostile[0], ocsf.SeverityCritical
		r.List = append(r.List, &f)
		r.Findings = campaign.FindingTotals{}
		c := &r.Campaigns[0]
		c.Tenants[8].Outcome, c.Tenants[8].Reason = campaign.Succeeded, "a session of the intruder's got in"
		c.Summary = "Now hexham, too."
		r.Campaigns = append(r.Campaigns, campaign.Campaign{ID: "c-new", Summary: "A second one.", Start: at(40, 0, 0), End: at(41, 0, 0), Drawn: at(41, 0, 0),
			Tenants: []campaign.TenantOutcome{{Tenant: "jarrold", Outcome: campaign.Attempted, Findings: []string{"new-1"}}}})
	})
	b.await(`document.getElementById("finding-new-1") !== null && document.getElementById("campaign-c-new") !== null`)
	b.want("document.querySelector('.campaign .lead').textContent", "Now hexham, too.")
	b.want("window.same === document.querySelector('main') && window.row === document.getElementById('finding-"+first+"')", "true")
	b.want("document.querySelector('#q').value + location.search", "farrow?q=farrow")
	b.want("document.activeElement.id + document.activeElement.selectionStart + document.activeElement.selectionEnd", "q24")
	b.want(shownCount, shown)
	b.want("document.querySelector('.told').open", "true")
	b.want("document.querySelector('.hops .scroll').scrollLeft", "120")
	b.want("document.querySelector('.gutter').getAttribute('transform')", "translate(120 0)")
	b.want("Math.abs(document.querySelector('#matrix').getBoundingClientRect().top - window.at) < 2", "true")
	b.want("document.getElementById('campaign-c-new').classList.contains('fresh')", "true")
	b.want("document.querySelectorAll('.scope tr.fresh').length > 0 && document.querySelectorAll('.scope tr.fresh').length < 4", "true")
	b.want("document.querySelectorAll('tr.fresh').length < 12", "true")
	b.want("document.getElementById('finding-new-1').querySelector('summary').textContent.includes('<img')", "true")
	b.do(chromedp.Evaluate[chromedp.Void](`scrollTo(0, 0)`))
	b.shot("live-changed")
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".scope").scrollIntoView()`))
	b.shot("live-scope")

	// The export and the search know what came.
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("#q").value = "new-1"; document.querySelector("#q").dispatchEvent(new Event("input", {bubbles: true}))`))
	b.want(shownCount, "1")

	// The panel stays open over a change, and shows it.
	b.do(chromedp.Evaluate[chromedp.Void](`location.hash = "#finding-new-1"`))
	b.await(`!document.getElementById("panel").hidden`)
	p.change(func(r *campaign.Result) {
		f := *r.List[len(r.List)-1]
		f.Reason = "Seen once more."
		r.List[len(r.List)-1] = &f
	})
	b.await(`document.querySelector("#panel-body").textContent.includes("Seen once more.")`)
	b.want("document.getElementById('panel').hidden", "false")

	// What is gone goes.
	p.change(func(r *campaign.Result) { r.Campaigns = r.Campaigns[:1] })
	b.await(`document.getElementById("campaign-c-new") === null`)

	b.want("window.pwned === undefined", "true")
	b.want("document.querySelectorAll('main img, main script:not([type])').length", "0")
	b.quiet()
}

func TestBrowserLivePageSaysWhenItIsCutOff(t *testing.T) {
	b := openBrowser(t)
	p, srv, down := serveLive(t, "quiet")
	b.login(srv.URL)
	b.want("document.querySelector('h2').textContent", "No campaign")
	b.await(`/^[0-9.,]+ events\/s$/.test(document.getElementById("live-rate").textContent) && document.getElementById("live-last").textContent.startsWith("last event ")`)
	down(true)
	b.await(`document.getElementById("live-state").textContent.startsWith("reconnecting since ")`)
	b.shot("live-cut")
	full, _ := fixture()
	p.change(func(r *campaign.Result) { r.Campaigns = full.Campaigns })
	down(false)
	b.await(`document.getElementById("live-state").textContent === "live" && document.querySelector("article.campaign") !== null`)

	// Who logs out is let go, and what is left open leads to the form.
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector(".bar button").click()`))
	b.await(`document.title === "Log in to Breakwater"`)
	b.do(chromedp.Navigate(srv.URL + "/?q=x"))
	b.want("location.pathname + location.search", "/login?next=%2F%3Fq%3Dx")
	b.quiet("ERR_", "401")
}

func TestBrowserLoginRefusesAndSaysSo(t *testing.T) {
	b := openBrowser(t)
	_, srv, _ := serveLive(t, "quiet")
	b.do(chromedp.Navigate(srv.URL+"/login"), chromedp.SendKeys(chromedp.CSS("#name"), "jo"), chromedp.SendKeys(chromedp.CSS("#password"), "wrong\r"))
	b.await(`document.querySelector(".problem") !== null`)
	b.await("document.querySelector('#name').value + document.querySelector('#password').value + document.activeElement.id === 'jopassword'")
	b.shot("login-refused")
	b.quiet("401")
}

func TestBrowserLivePageIsCalmWhereMotionIsUnwanted(t *testing.T) {
	b := openBrowser(t)
	p, srv, _ := serveLive(t, "campaign")
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-reduced-motion", Value: "reduce"}, {Name: "prefers-color-scheme", Value: "dark"}}}); err != nil {
		t.Fatal(err)
	}
	b.login(srv.URL)
	p.change(func(r *campaign.Result) { r.Campaigns[0].Tenants[1].Reason = "changed" })
	b.await(`document.querySelector(".scope tr.fresh") !== null`)
	b.want("getComputedStyle(document.querySelector('.scope tr.fresh')).animationName", "none")
	b.want("getComputedStyle(document.querySelector('.scope tr.fresh')).boxShadow !== 'none'", "true")
	b.full("live-dark")
	b.quiet()
}

func BenchmarkLiveFragment(b *testing.B) {
	res, m := fixture()
	for i := range 100_000 {
		f := *res.List[i%57]
		f.ID = strconv.Itoa(i)
		res.List = append(res.List, &f)
	}
	opt := liveOptions
	opt.Fragment = true
	var n int
	for b.Loop() {
		var buf bytes.Buffer
		if err := Live(&buf, res, m, opt); err != nil {
			b.Fatal(err)
		}
		n = buf.Len()
	}
	b.ReportMetric(float64(n), "B/page")
}
