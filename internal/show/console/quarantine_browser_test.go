package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

// site is a server with held mail of two tenants, and somebody who is logged in.
type site struct {
	url   string
	desk  *quarantine.Desk
	names map[string]string // by subject
	mu    sync.Mutex
	moved []string
}

func (s *site) Release(_ context.Context, it quarantine.Item, _ []byte) error {
	return s.move("release", it)
}
func (s *site) Delete(_ context.Context, it quarantine.Item) error { return s.move("delete", it) }

func (s *site) move(what string, it quarantine.Item) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(it.Subject, "stuck") {
		return errors.New("running postsuper -H " + it.QueueID + ": exit status 1; it said: postsuper: fatal: use of this command is reserved for the superuser")
	}
	s.moved = append(s.moved, what+" "+it.Subject)
	return nil
}

// nobody is a pipeline without a result, and lets in whom the cookie names by role.
type nobody struct{}

func (nobody) Result() (*campaign.Result, *tenant.Model, uint64) {
	return &campaign.Result{}, &tenant.Model{Version: "v", Tenants: []tenant.Tenant{{ID: "acme", Name: "Acme Foods"}, {ID: "borg", Name: "Borg & Sons Bank"}}}, 1
}
func (nobody) Wait(ctx context.Context, _ uint64) (uint64, error) { <-ctx.Done(); return 0, ctx.Err() }
func (nobody) Coverage(tenant.Scope) []api.Row                    { return nil }
func (nobody) Status() api.Status                                 { return api.Status{Ready: true} }
func (nobody) Token(_ context.Context, _ string) (*authz.Principal, error) {
	return nil, api.ErrRefused
}
func (nobody) Login(context.Context, api.Credentials) (api.Session, error) {
	return api.Session{}, api.ErrRefused
}
func (nobody) Logout(context.Context, string) error { return nil }
func (nobody) Session(_ context.Context, id string) (*authz.Principal, error) {
	return &authz.Principal{ID: "ana", Role: authz.Role(id), Scope: tenant.ScopeAll()}, nil
}

const hostile = `"><script>alert(1)</script><img src=x onerror=alert(2)>`

func openSite(t *testing.T) *site {
	t.Helper()
	store, err := quarantine.Open(t.TempDir(), 30*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s := &site{names: map[string]string{}}
	s.desk = quarantine.NewDesk(store, quarantine.Movers{MTA: s}, quarantine.DeskOptions{})
	at := time.Date(2026, 6, 1, 7, 12, 0, 0, time.UTC)
	for i, m := range []struct {
		tenant                    tenant.ID
		from, name, subject, body string
		score                     float64
		reasons                   []ocsf.MailReason
	}{
		{"acme", "billing@northwind.example", "Northwind Accounts", "Re: Statement for May: our bank details have changed", "Hello Jo,\r\n\r\nplease note that our bank details have changed. Pay the open invoices to the new account from today on:\r\n\r\nIBAN DE02 1203 0000 0000 2020 51\r\n\r\nThe new mandate is here: https://northwind-billing.web.app/mandate\r\n\r\nKind regards\r\nDana, Northwind Accounts\r\n",
			0.994, []ocsf.MailReason{{Name: "partner-payment-change", Weight: 4.5, Text: "it changes where money goes to a new account"}, {Name: "partner-new-host", Weight: 2.5, Text: "a link to northwind-billing.web.app, where the partner's mail has not led before"}, {Name: "partner-new-network", Weight: 0.8, Text: "sent from a network new for its sender"}}},
		{"borg", "billing@northwind.example", "Northwind Accounts", "Re: Statement for May: our bank details have changed", "Hello,\r\n\r\nour bank details have changed: https://northwind-billing.web.app/mandate\r\n", 0.991, []ocsf.MailReason{{Name: "partner-payment-change", Weight: 4.5, Text: "it changes where money goes to a new account"}}},
		{"acme", "eve@" + "mail-login.example", hostile, "stuck " + hostile, "<p>" + hostile + "</p>", 0.87, []ocsf.MailReason{{Name: "link-shows-other", Weight: 2, Text: hostile}, {Name: "known", Weight: -0.4, Text: "it answers a mail of yours"}}},
		{"acme", "it@helpdesk.example", "IT Help Desk", "Your mailbox is almost full", "Your mailbox is full. Sign in within 24 hours: https://helpdesk.example.web.app/login?u=jo@acme.example\r\n", 0.72, []ocsf.MailReason{{Name: "lure-storage", Weight: 2, Text: "a full mailbox or messages held back"}}},
		{"acme", "news@shop.example", "", "", "Only today.\r\n", 0.51, nil},
	} {
		b, err := store.Box(m.tenant)
		if err != nil {
			t.Fatal(err)
		}
		kind := "text/plain"
		if strings.HasPrefix(m.body, "<") {
			kind = "text/html"
		}
		raw := fmt.Sprintf("Received: from mx.out.example (mx.out.example [192.0.2.7]) by mx.acme.example; Mon, 1 Jun 2026 07:12:00 +0000\r\nFrom: %s <%s>\r\nTo: jo@%s.example\r\nSubject: %s\r\nMessage-ID: <%d@out.example>\r\nDate: Mon, 1 Jun 2026 07:11:40 +0000\r\nContent-Type: %s; charset=utf-8\r\n\r\n%s", m.name, m.from, m.tenant, m.subject, i, kind, m.body)
		name, err := b.Keep(quarantine.Item{Time: at.Add(-time.Duration(i) * 47 * time.Minute), Place: quarantine.PlaceMTA, QueueID: fmt.Sprintf("4YxZ%dbQ9Fz", i), EnvelopeFrom: m.from, From: m.from, FromName: m.name,
			Subject: m.subject, Recipients: []string{"jo@" + string(m.tenant) + ".example"}, MessageID: fmt.Sprintf("%d@out.example", i), Hosts: []string{"northwind-billing.web.app"},
			Verdict: &ocsf.MailVerdict{Verdict: "phish", Score: m.score, Threshold: 0.5, Reasons: m.reasons}}, []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		s.names[string(m.tenant)+m.subject] = name
	}
	h := api.New(api.Options{Live: nobody{}, Authz: nobody{}, Quarantine: s.desk, Log: slog.New(slog.DiscardHandler),
		Pages: New(Options{Draw: func(w io.Writer, _ api.View, _ bool) error { _, err := io.WriteString(w, "live"); return err }})})
	srv := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); srv.Close() })
	s.url = srv.URL
	return s
}

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
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 900))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	b := &browser{t: t, ctx: ctx}
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Do(ctx); err != nil {
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
		if e.Entry.Source != "network" { // an answer of 409 is no complaint about the page
			b.complaints = append(b.complaints, string(e.Entry.Level)+": "+e.Entry.Text)
		}
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

// until waits for an expression to hold on a page that has loaded.
func (b *browser) until(expr string) {
	b.t.Helper()
	clock := time.NewTicker(20 * time.Millisecond)
	defer clock.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-clock.C {
		v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("String(document.readyState === 'complete' && ("+expr+"))"))
		if err == nil && v == "true" {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s never holds: %q, %v", expr, v, err)
		}
	}
}

// told waits for the page to say what was done.
func (b *browser) told(what string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector('.note') && document.querySelector('.note').textContent.includes(%q)", what))
}

// shot keeps the whole page under REPORT_OUT, for eyes.
func (b *browser) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("REPORT_OUT")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) as(s *site, role string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, network.SetCookie, network.SetCookieParams{Name: "breakwater", Value: role, URL: s.url}); err != nil {
		b.t.Fatal(err)
	}
}

// width makes the window so wide.
func (b *browser) width(px int64) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: px, Height: 900, DeviceScaleFactor: 1}); err != nil {
		b.t.Fatal(err)
	}
}

// dark makes the system prefer dark colours.
func (b *browser) dark() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}}); err != nil {
		b.t.Fatal(err)
	}
}

const statement = "acmeRe: Statement for May: our bank details have changed"

func TestQuarantineInTheBrowser(t *testing.T) {
	s, b := openSite(t), openBrowser(t)
	b.as(s, "analyst")
	b.do(chromedp.Navigate(s.url + "/quarantine"))
	b.want("document.querySelectorAll('tbody tr').length", "5")
	b.want("document.querySelector('h1').textContent", "Quarantine")
	b.shot("quarantine-list")

	// A filter stands in the address, so that a link restores it.
	b.do(chromedp.SetValue(chromedp.CSS("input[name=text]"), "bank details"), chromedp.SetValue(chromedp.CSS("select[name=tenant]"), "acme"))
	b.do(chromedp.Click(chromedp.CSS(".filter button")))
	b.until("location.search == '?from=&text=bank+details&since=&tenant=acme'")
	b.want("document.querySelectorAll('tbody tr').length", "1")
	b.do(chromedp.Click(chromedp.CSS("td.subject a")))
	b.until("location.pathname == '/quarantine/" + s.names[statement] + "'")
	b.want("document.querySelector('.text').textContent.includes('IBAN DE02')", "true")
	b.want("document.querySelectorAll('main a[href^=http]').length + document.querySelectorAll('img, iframe, script, object, embed').length", "0")
	b.shot("quarantine-held")

	// Deleting takes two steps, of which the keyboard can do both; releasing one.
	b.do(chromedp.Focus(chromedp.CSS(".acts summary")), chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(chromedp.CSS("button.bad")))
	b.shot("quarantine-delete")
	b.do(chromedp.Focus(chromedp.CSS("button.main")), chromedp.KeyEvent(kb.Enter))
	b.told("It goes on to its recipients.")
	b.want("document.querySelector('.tag.released') !== null", "true")
	b.do(chromedp.Click(chromedp.CSS("form[action*=false-alarm] button")))
	b.told("Noted as a false alarm; scoring learns from it.")
	b.shot("quarantine-released")

	// What the mail server refuses is told, and stays held.
	b.do(chromedp.Navigate(s.url+"/quarantine/"+s.names["acmestuck "+hostile]), chromedp.Click(chromedp.CSS("button.main")))
	b.told("reserved for the superuser")
	b.want("document.querySelector('h1').textContent", "stuck "+hostile)
	b.shot("quarantine-hostile")

	// Several at once.
	b.do(chromedp.Navigate(s.url + "/quarantine"))
	b.want("[...document.querySelectorAll('input[name=name]')].filter((x, i) => i != 1 && (x.checked = true)).length", "3")
	b.do(chromedp.Click(chromedp.CSS(".list .acts summary")), chromedp.WaitVisible(chromedp.CSS("button.bad")), chromedp.Click(chromedp.CSS("button.bad")))
	b.told("3 messages deleted.")
	b.want("document.querySelectorAll('tbody tr').length", "1")

	b.do(chromedp.Navigate(s.url + "/quarantine?state=all"))
	b.want("document.querySelectorAll('tbody tr').length", "5")
	b.dark()
	b.shot("quarantine-dark")
	b.width(400)
	b.want("document.documentElement.scrollWidth <= 400", "true")
	b.shot("quarantine-narrow")
	b.do(chromedp.Navigate(s.url + "/quarantine/" + s.names[statement]))
	b.want("document.documentElement.scrollWidth <= 400", "true")
	b.shot("quarantine-held-narrow")

	// Who may only look is given nothing to press.
	b.as(s, "viewer")
	b.do(chromedp.Navigate(s.url + "/quarantine/" + s.names[statement]))
	b.want("document.querySelectorAll('main form').length + document.querySelectorAll('.text').length", "0")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.moved) != 4 || s.moved[0] != "release Re: Statement for May: our bank details have changed" {
		t.Errorf("moved were %q", s.moved)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) > 0 {
		t.Errorf("the browser complains: %q", b.complaints)
	}
}
