package report

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser opens pages in a real browser and keeps what it complains of.
type browser struct {
	t          *testing.T
	ctx        context.Context
	mu         sync.Mutex
	complaints []string
}

func openBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no chromium or chrome on this machine: the page is not tried in a browser")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1400, 900))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	b := &browser{t: t, ctx: ctx}
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Do(ctx); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			t.Skipf("the browser does not start: %v", err)
		}
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *browser) hear(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := ev.(type) {
	case *log.EventEntryAdded: // refused styles, scripts and loads come this way
		b.complaints = append(b.complaints, string(e.Entry.Level)+": "+e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		b.complaints = append(b.complaints, "console "+string(e.Type))
	case *runtime.EventExceptionThrown:
		b.complaints = append(b.complaints, e.ExceptionDetails.Text)
	}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns what an expression gives, as text.
func (b *browser) eval(expr string) string {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String("+expr+")"))
	if err != nil {
		b.t.Fatalf("%s: %v", expr, err)
	}
	return v
}

func (b *browser) want(expr, want string) {
	b.t.Helper()
	if got := b.eval(expr); got != want {
		b.t.Errorf("%s is %q, want %q", expr, got, want)
	}
}

// shot keeps what the window shows under REPORT_OUT, for eyes.
func (b *browser) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("REPORT_OUT")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func pageFile(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".html")
	if err := os.WriteFile(file, renderPage(t, name), 0o600); err != nil {
		t.Fatal(err)
	}
	return (&url.URL{Scheme: "file", Path: file}).String()
}

const shownCount = `[...document.querySelectorAll("#rows tbody tr")].filter(r => !r.hidden && r.offsetHeight > 0).length`

func TestXSSBrowserPageWorks(t *testing.T) {
	b := openBrowser(t)
	page := pageFile(t, "campaign")
	res, _ := fixture()
	id := res.List[6].ID

	b.do(chromedp.Navigate(page))
	b.want("document.title", pageOptions.Title)
	b.want("getComputedStyle(document.querySelector('.five')).borderTopWidth", "2px") // the style was allowed
	b.want("document.documentElement.classList.contains('on-script')", "true")        // the script was allowed
	b.want(shownCount, "57")

	// Search filters and stands in the address.
	b.do(chromedp.KeyEvent("/"))
	b.want("document.activeElement.id", "q")
	b.eval(`document.getElementById("q").value = ""`) // DevTools sends the character apart from the key that was handled
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "gor-gw1"))
	b.want(shownCount, "1")
	b.want("document.getElementById('shown').textContent", "1 of 57 shown")
	b.want("location.search", "?q=gor-gw1")
	b.do(chromedp.Navigate(page + "?q=gor-gw1&severity=2"))
	b.want(shownCount, "1")
	b.do(chromedp.Navigate(page + "?severity=5"))
	b.want(shownCount, "5")

	// The keyboard moves over findings, opens and closes the evidence.
	b.do(chromedp.Navigate(page))
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("j"), chromedp.KeyEvent("k"))
	b.want("[...document.querySelectorAll('#rows tbody tr')].indexOf(document.activeElement)", "1")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.want("document.getElementById('panel').hidden", "false")
	b.want("location.hash", "#"+b.eval("document.querySelectorAll('#rows tbody tr')[1].id"))
	b.want("document.querySelector('#panel-body .evidence') !== null", "true")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.want("document.getElementById('panel').hidden", "true")
	b.want("location.hash", "")
	b.do(chromedp.KeyEvent("?"))
	b.want("document.getElementById('help').open", "true")
	b.do(chromedp.KeyEvent(kb.Escape))
	b.want("document.getElementById('help').open", "false")

	// A click on a hop opens its evidence and leaves the map where it is.
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('svg .marks a').scrollIntoView({block: "center"})`))
	before := b.eval("scrollY")
	b.do(chromedp.Click(chromedp.CSS("svg .marks a[data-ref=hop-c-5be1d0-1]")))
	b.want("document.getElementById('panel').hidden", "false")
	b.want("scrollY", before)
	b.want("location.hash", "#hop-c-5be1d0-1")
	b.want("document.querySelector('#panel-body .evidence').textContent.includes('security.evtx')", "true")
	b.shot("hop")

	// Deep links restore a finding and a hop, also where a filter would hide it.
	b.do(chromedp.Navigate("about:blank"), chromedp.Navigate(page+"?q=nothing-has-this#finding-"+id))
	b.want("document.getElementById('panel').hidden", "false")
	b.want("document.getElementById('finding-"+id+"').classList.contains('on')", "true")
	b.want("document.querySelector('#panel h2').textContent.includes('RDP over client VPN')", "true")
	b.shot("finding")

	// A cell of the matrix shows its findings.
	b.do(chromedp.Navigate(page))
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.matrix a[data-tenant=aldgate][data-layer=endpoint]').click()`))
	b.want("location.search", "?tenant=aldgate&layer=endpoint")

	// Export says how many rows it has of how many.
	b.do(chromedp.Navigate(page))
	b.do(chromedp.Evaluate[chromedp.Void](`(() => { HTMLAnchorElement.prototype.click = function () { window.saved = this.download };
		const make = URL.createObjectURL; URL.createObjectURL = (x) => { x.text().then((t) => { window.exported = t }); return make.call(URL, x) } })()`))
	b.do(chromedp.Click(chromedp.CSS("#csv")))
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool]("window.exported !== undefined")); err != nil {
		t.Fatal(err)
	}
	b.want("window.saved", "findings-57-of-60-partial.csv")
	b.want(`window.exported.trim().split("\r\n").length`, "58")
	if strings.Contains(b.eval("window.exported"), "\n=") || strings.Contains(b.eval("window.exported"), ",=") {
		t.Error("the export holds a formula")
	}

	// Nothing that a field held has run, and nothing was refused or loaded.
	b.want("window.pwned === undefined", "true")
	b.want("performance.getEntriesByType('resource').length", "0")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		t.Errorf("the browser complains: %s", c)
	}
}

func TestBrowserPageWithoutCampaign(t *testing.T) {
	b := openBrowser(t)
	b.do(chromedp.Navigate(pageFile(t, "quiet")))
	b.want("document.querySelector('h2').textContent", "No campaign")
	b.want(shownCount, "5")
	b.do(chromedp.KeyEvent("j"), chromedp.KeyEvent(kb.Enter))
	b.want("document.getElementById('panel').hidden", "false")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		t.Errorf("the browser complains: %s", c)
	}
}

// TestBrowserPolicyRefuses proves that a refused script would be heard, so that silence above means something.
func TestBrowserPolicyRefuses(t *testing.T) {
	b := openBrowser(t)
	file := filepath.Join(t.TempDir(), "spoiled.html")
	spoiled := strings.Replace(string(renderPage(t, "quiet")), "<main", "<script>window.pwned=1</script><main", 1)
	if err := os.WriteFile(file, []byte(spoiled), 0o600); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.Navigate((&url.URL{Scheme: "file", Path: file}).String()))
	b.want("window.pwned === undefined", "true")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) == 0 {
		t.Error("the browser says nothing of a script that the policy refuses")
	}
}
