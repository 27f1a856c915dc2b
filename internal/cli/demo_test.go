package cli

import (
	"bytes"
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// TestDemo runs the README's first command to its end: the answer, the sample of it in the README (-update
// writes that anew), and the report in a browser where there is one.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	var out, words bytes.Buffer
	if code := run(t.Context(), []string{"demo", "--no-serve", "--dir", dir}, &console{strings.NewReader(""), &out, &words}); code != exitDone {
		t.Fatalf("exit code %d: %s", code, words.String())
	}
	for _, want := range []string{"CAMPAIGN", "Who through whom?", "Where did it start?", "Which clients?", "Since when?", "Who has been told what?"} {
		if !strings.Contains(out.String(), strings.TrimSuffix(want, " what?")) {
			t.Errorf("the answer has no %q", want)
		}
	}
	t.Run("README", func(t *testing.T) { sampleInReadme(t, out.String()) })
	t.Run("browser", func(t *testing.T) {
		path := browserPath()
		if path == "" {
			t.Skip("no chromium or chrome on this machine: the report is not tried in a browser")
		}
		lookAt(t, path, filepath.Join(dir, "report.html"))
	})
}

// TestDemoReportInTheBrowser looks at a report that was written before, which BREAKWATER_REPORT names.
func TestDemoReportInTheBrowser(t *testing.T) {
	file := os.Getenv("BREAKWATER_REPORT")
	if file == "" {
		t.Skip("BREAKWATER_REPORT names no report; TestDemo looks at one of its own")
	}
	path := browserPath()
	if path == "" {
		t.Fatal("no chromium or chrome on this machine")
	}
	lookAt(t, path, file)
}

const readmeFile = "../../README.md"

var readmeSample = regexp.MustCompile("(?s)(<!-- demo -->\n```\n).*?(```\n)")

// sampleInReadme holds the sample in the README to the first part of what the demo prints.
func sampleInReadme(t *testing.T, answer string) {
	sample, _, ok := strings.Cut(answer, "\n\nINCIDENTS")
	if !ok {
		t.Fatal("the answer has no INCIDENTS, by which the sample ends")
	}
	readme, err := os.ReadFile(readmeFile)
	if err != nil {
		t.Fatal(err)
	}
	at := readmeSample.FindSubmatchIndex(readme)
	if at == nil {
		t.Fatal("the README has no block marked <!-- demo -->")
	}
	want := string(readme[:at[3]]) + sample + "\n" + string(readme[at[4]:])
	if string(readme) == want {
		return
	}
	if !*update {
		t.Fatal("the README shows another answer than the demo gives: run `make docs`")
	}
	if err := os.WriteFile(readmeFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func browserPath() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			return p
		}
	}
	return ""
}

// lookAt loads a report as a file: it must show the campaign, and the browser must have nothing to complain of.
func lookAt(t *testing.T, browser, file string) {
	t.Helper()
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1400, 900))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	defer stop()
	ctx, cancel := chromedp.NewContext(alloc)
	defer cancel()
	// The browser is started without a deadline of its own: one that ends would end it as well.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting the browser: %v", err)
	}
	var mu sync.Mutex
	var complaints []string
	err = chromedp.Listen(ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := ev.(type) {
		case *log.EventEntryAdded: // what the page's policy refuses comes this way
			complaints = append(complaints, e.Entry.Text)
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, "console."+string(e.Type))
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	page, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	if err := chromedp.Do(page, chromedp.Navigate((&url.URL{Scheme: "file", Path: file}).String())); err != nil {
		t.Fatal(err)
	}
	eval := func(expr string) string {
		t.Helper()
		v, err := chromedp.Run(page, chromedp.Evaluate[string]("String("+expr+")"))
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		return v
	}
	if title := eval("document.title"); !strings.Contains(title, "Breakwater") {
		t.Errorf("the title is %q", title)
	}
	if eval("document.documentElement.classList.contains('on-script')") != "true" {
		t.Error("the script did not run")
	}
	if text := eval("document.body.innerText"); !strings.Contains(text, "comes through") {
		t.Errorf("no campaign is shown; the page begins %.300q", text)
	}
	if n := eval("document.querySelectorAll('svg .marks a').length"); n == "0" {
		t.Error("the hop graph shows no hop")
	}
	mu.Lock()
	defer mu.Unlock()
	for _, c := range complaints {
		t.Errorf("the browser complains: %s", c)
	}
}
