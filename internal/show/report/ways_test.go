package report

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
)

// tracedFixture gives the first source of the fixture's trace three ways over clocks that differ; what stands in them
// is as hostile as elsewhere. Its second source leads nowhere.
func tracedFixture(res *campaign.Result) []Traced {
	if len(res.Incidents) < 2 || res.Incidents[1].Trace == nil {
		return nil
	}
	n := res.Incidents[1].Trace
	hop := func(from, to Place, kind string, port uint16, share float64) WayHop {
		return WayHop{From: from, To: to, Start: at(3, 0, 0), End: at(3, 20, 0), Kind: kind, Port: port, User: "hmi-pquill", Score: 23.4, Share: share,
			For: []string{"1,800 packets in 20m0s", "open at the time", hostile[0]}, Against: []string{"one of 2 with a session into HMI-JUMP02 then"}, File: "zeek/conn.log", Record: 9}
	}
	jump, source := Place{Tenant: "harbour-it", Name: "HMI-JUMP02"}, Place{Tenant: "aldgate", Name: n.Source.Entity.Value}
	ask := hop(Place{Partner: "harbour", Name: hostile[1]}, source, "rdp", 3389, 1)
	ask.Told, ask.File, ask.Against = true, "answer 3f2a91bc", nil
	return []Traced{
		{Finding: n.Findings[0], Source: n.Source.Entity.Value, Tenant: "aldgate", Clocks: []string{"harbour-it's clock is 93 s ahead of aldgate's, from 412 common flows; times here are aldgate's"}, Ways: []Way{
			{Share: 0.6204, Origin: Place{Tenant: "harbour-it", Name: "10.1.0.77"}, Hops: []WayHop{hop(Place{Tenant: "harbour-it", Name: "10.1.0.77"}, jump, "ssh", 22, 0.62), hop(jump, source, "rdp", 3389, 1)},
				Ends: "no session into 10.1.0.77 was open at 2026-01-02T03:00:00Z"},
			{Share: 0.3762, Origin: Place{Tenant: "harbour-it", Name: "10.1.0.78"}, Hops: []WayHop{hop(Place{Tenant: "harbour-it", Name: "10.1.0.78"}, jump, "ssh", 22, 0.38), hop(jump, source, "rdp", 3389, 1)},
				Ends: "no session into 10.1.0.78 was open then", Tied: "10.1.0.78 and 10.1.0.77 can't be told apart: both had a session into HMI-JUMP02"},
			{Share: 0.0034, Origin: Place{Partner: "harbour", Name: hostile[1]}, Hops: []WayHop{ask}, Shared: true, Ends: "its telemetry is not held", Ask: "harbour: who was behind it?"}}},
		{Finding: n.Others[0].Findings[0], Source: n.Others[0].Source.Entity.Value, Tenant: "aldgate", Ways: []Way{{Share: 1, Ends: "nothing leads to it"}}},
		{Finding: "of no incident", Source: "192.0.2.99", Ways: []Way{{Share: 1, Hops: []WayHop{ask}}}}}
}

func TestTheReportRanksTheWays(t *testing.T) {
	page := renderPage(t, "campaign")
	ways := between(t, page, `<section id="ways">`, "</section>")
	for _, want := range []string{"harbour-it&#39;s clock is 93 s ahead of aldgate&#39;s, from 412 common flows", ">62 %<", ">38 %<", ">under 1 %<", "score 23.4, 62 % of what may explain it", "2 sessions", "1 session;",
		`class="for">open at the time`, `class="against">one of 2 with a session`, "<code>zeek/conn.log</code> record 9", "can&#39;t be told apart", "a shared address", "as they answered", "Ask harbour: who was behind it?"} {
		if !strings.Contains(ways, want) {
			t.Errorf("the ways say nothing of %q: %s", want, ways)
		}
	}
	if n := strings.Count(ways, `class="traced"`); n != 1 {
		t.Errorf("%d sources are shown; one leads somewhere", n)
	}
	if strings.Count(ways, "<details open>") != 1 || strings.Contains(ways, "192.0.2.99") {
		t.Errorf("more than the likeliest way is open, or a trace of no incident is shown: %s", ways)
	}
	if !strings.Contains(string(page), `class="led" href="#way-i-02-1"`) || !strings.Contains(ways, `id="way-i-02-1"`) || !strings.Contains(string(page), `<a href="#ways">`) {
		t.Error("nothing leads from the incident to its ways")
	}
	if quiet := string(renderPage(t, "quiet")); strings.Contains(quiet, `id="ways"`) || strings.Contains(quiet, `href="#ways"`) {
		t.Error("a page without a trace has a part for ways")
	}
}

func TestOnlySoManySourcesAreShown(t *testing.T) {
	res, m := fixtures["campaign"]()
	list, n := tracedFixture(res), res.Incidents[1]
	for i := range maxTracedShown + 3 {
		more := n
		more.ID = fmt.Sprintf("many-%d", i)
		res.Incidents = append(res.Incidents, more)
	}
	var b bytes.Buffer
	if err := HTML(&b, res, m, Options{Traced: list}); err != nil {
		t.Fatal(err)
	}
	if k := strings.Count(b.String(), `class="traced"`); k != maxTracedShown || !strings.Contains(b.String(), "4 more sources are traced") {
		t.Errorf("%d sources are shown", k)
	}
}

func TestPercentSaysWhatIsNotNothing(t *testing.T) {
	for share, want := range map[float64]string{0: "0 %", 0.0034: "under 1 %", 0.62: "62 %", 0.9999: "over 99 %", 1: "100 %"} {
		if got := percent(share); got != want {
			t.Errorf("%v is %q, want %q", share, got, want)
		}
	}
}

func TestXSSBrowserShowsTheWays(t *testing.T) {
	b := openBrowser(t)
	b.do(chromedp.Navigate(pageFile(t, "campaign")))
	const open = `document.querySelectorAll("#ways details[open]").length`
	b.want(open, "1")
	b.want(`Math.round(document.querySelectorAll("#ways .share .of")[1].getBoundingClientRect().width)`, "27") // 38 % of 72
	b.want(`document.querySelector("#ways .body").scrollWidth <= document.querySelector("#ways .body").clientWidth`, "true")
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector("a.led").click()`))
	b.want("location.hash", "#way-i-02-1")
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("#ways summary")[1].focus()`), chromedp.KeyEvent(kb.Enter))
	b.want(open, "2")
	b.shot("ways")
	b.want("window.pwned === undefined", "true")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		t.Errorf("the browser complains: %s", c)
	}
}
