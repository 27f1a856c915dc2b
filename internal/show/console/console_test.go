package console

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

var _ api.Pages = (*Pages)(nil)

func TestXSSLoginShowsWhatWasEnteredAsText(t *testing.T) {
	p := New(Options{})
	hostile := `"><script>alert(1)</script>`
	page, err := p.Login(api.LoginView{Problem: hostile, Name: hostile, Next: hostile})
	if err != nil {
		t.Fatal(err)
	}
	body := string(page.Body)
	if strings.Contains(body, "<script") || strings.Count(body, "&lt;script&gt;") != 4 {
		t.Errorf("the form holds markup that was entered:\n%s", body)
	}
	_, rest, _ := strings.Cut(body, "<style>")
	css, _, _ := strings.Cut(rest, "</style>")
	if !strings.Contains(page.Policy, "'"+hash(css)+"'") || strings.Contains(page.Policy, "unsafe") || strings.Contains(page.Policy, "script-src") {
		t.Errorf("the policy %q is not that of the style", page.Policy)
	}
}

func TestLoginPutsTheCursorWhereItIsNeeded(t *testing.T) {
	p := New(Options{})
	for name, want := range map[string]string{"": `id="name"`, "jo": `id="password"`} {
		page, err := p.Login(api.LoginView{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		before, _, ok := strings.Cut(string(page.Body), " autofocus")
		if !ok || !strings.Contains(before[strings.LastIndex(before, "<"):], want) {
			t.Errorf("with the name %q the cursor is not at %s", name, want)
		}
	}
}

func TestLiveGivesWhatIsDrawnWithItsPolicy(t *testing.T) {
	p := New(Options{Policy: "the policy", Draw: func(w io.Writer, v api.View, fragment bool) error {
		_, err := fmt.Fprintf(w, "%s %d %v", v.Who, v.Version, fragment)
		return err
	}})
	page, err := p.Live(api.View{Who: "jo", Version: 7}, true)
	if err != nil || string(page.Body) != "jo 7 true" || page.Policy != "the policy" {
		t.Errorf("%q, %q, %v", page.Body, page.Policy, err)
	}
	broken := errors.New("no ink")
	p = New(Options{Draw: func(io.Writer, api.View, bool) error { return broken }})
	if _, err := p.Live(api.View{}, false); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}
