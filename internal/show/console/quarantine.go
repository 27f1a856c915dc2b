package console

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
	"github.com/breakwater-project/breakwater/internal/show/api"
)

//go:embed quarantine.html
var quarantineHTML string

//go:embed quarantine.css
var quarantineCSS string

// quarantinePolicy allows the one style and our own forms. Nothing runs on a page that shows what intruders wrote, and
// nothing is loaded.
var quarantinePolicy = "default-src 'none'; style-src '" + hash(quarantineCSS) + "'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

var quarantineTemplate = template.Must(template.New("quarantine").Funcs(template.FuncMap{
	"p":       quarantine.Printable,
	"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"when":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"second":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"day":     func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"percent": percent,
	"weight":  weight,
	"bytes":   size,
	"words": func(feedback string) string {
		return map[string]string{quarantine.FalseAlarm: "false alarm", quarantine.Missed: "reported as phishing"}[feedback]
	},
	"place": place,
}).Parse(quarantineHTML))

// percent writes a probability. One that is not certain is not written as if it were.
func percent(p float64) string {
	switch {
	case p > 0.999:
		return "over 99.9 %"
	case p > 0.99:
		return strconv.FormatFloat(p*100, 'f', 1, 64) + " %"
	case p > 0 && p < 0.01:
		return "under 1 %"
	}
	return strconv.FormatFloat(p*100, 'f', 0, 64) + " %"
}

// weight writes log odds with their sign.
func weight(w float64) string {
	if w < 0 {
		return "\u2212" + strconv.FormatFloat(-w, 'f', 1, 64)
	}
	return "+" + strconv.FormatFloat(w, 'f', 1, 64)
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1<<20:
		return strconv.FormatFloat(float64(n)/(1<<10), 'f', 1, 64) + " KiB"
	}
	return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB"
}

func place(where string) string {
	switch quarantine.Place(where) {
	case quarantine.PlaceMTA:
		return "in the mail server's queue"
	case quarantine.PlaceStore:
		return "here"
	case quarantine.PlaceMailbox:
		return "in the mailbox's quarantine folder"
	case quarantine.PlaceReport:
		return "as a user reported it"
	}
	return where
}

// page is what both pages have.
type page struct {
	Title string
	CSS   template.CSS
	List  bool
}

// state is a choice of the list's states.
type state struct {
	Name, Link string
	Here       bool
}

type listPage struct {
	page
	api.QuarantineView
}

// States are the states that a list may be of.
func (l listPage) States() []state {
	out := []state{{Name: "Held"}, {Name: "Released"}, {Name: "Deleted"}, {Name: "All"}}
	for i, s := range []string{"held", "released", "deleted", "all"} {
		out[i].Link, out[i].Here = l.with("state", s), l.State == s
	}
	return out
}

// with returns the list's address with one value of the filter changed.
func (l listPage) with(key, value string) string {
	q, err := url.ParseQuery(l.Query)
	if err != nil {
		q = url.Values{}
	}
	q.Set(key, value)
	if q.Get("state") == "held" {
		q.Del("state")
	}
	return address("/quarantine", q.Encode())
}

func address(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}

// Filtered reports whether anything but the state narrows the list.
func (l listPage) Filtered() bool { return l.From+l.Text+l.Since+l.Tenant != "" }

// Clear is the address of the list without a filter.
func (l listPage) Clear() string {
	return listPage{QuarantineView: api.QuarantineView{}}.with("state", l.State)
}

// First is the address of the list's beginning.
func (l listPage) First() string { return l.with("state", l.State) }

// More reports whether there are further parts.
func (l listPage) More() bool { return l.Next != "" }

// NextLink is the address of the next part.
func (l listPage) NextLink() string { return l.with("cursor", l.Next) }

// Open reports whether anything in the list can be decided.
func (l listPage) Open() bool {
	return slices.ContainsFunc(l.Messages, func(m api.HeldMail) bool { return undecided(m.State) })
}

// Link is the address of a message's page.
func (l listPage) Link(name string) string { return address("/quarantine/"+name, l.Query) }

// TenantName is how people call a tenant.
func (l listPage) TenantName(id tenant.ID) string {
	for i := range l.Tenants {
		if l.Tenants[i].ID == id && l.Tenants[i].Name != "" {
			return l.Tenants[i].Name
		}
	}
	return string(id)
}

func undecided(s string) bool {
	return slices.Contains([]quarantine.State{quarantine.StateHeld, quarantine.StateReleasing, quarantine.StateDeleting}, quarantine.State(s))
}

type heldPage struct {
	page
	api.HeldView
}

// Back is the address of the list.
func (h heldPage) Back() string { return address("/quarantine", h.Query) }

// Link is the address of another message's page.
func (h heldPage) Link(name string) string { return address("/quarantine/"+name, h.Query) }

// Act is the address that a form is sent to.
func (h heldPage) Act(what string) string {
	return address("/quarantine/"+h.Mail.Name+"/"+what, h.Query)
}

// Open reports whether it can still be decided.
func (h heldPage) Open() bool { return undecided(h.Mail.State) }

// Releasable reports whether there is anything to release.
func (h heldPage) Releasable() bool {
	return h.Mail.Place != string(quarantine.PlaceReport) && h.Mail.State != string(quarantine.StateDeleting)
}

// Answerable reports whether its text is there to learn from.
func (h heldPage) Answerable() bool { return h.Mail.Kept }

// Missable reports whether it could have been missed: it was not called phishing, or went on all the same.
func (h heldPage) Missable() bool {
	return h.Mail.Kept && h.Mail.Feedback != quarantine.Missed && (h.Mail.Verdict != "phish" || h.Mail.State == string(quarantine.StateReleased))
}

// Quarantine draws the list of held mail.
func (p *Pages) Quarantine(v api.QuarantineView) (api.Page, error) {
	return draw("list", listPage{page{"Quarantine - Breakwater", template.CSS(quarantineCSS), true}, v})
}

// Held draws one held message: its text, never its HTML.
func (p *Pages) Held(v api.HeldView) (api.Page, error) {
	title := "Held mail"
	if v.Mail.Subject != "" {
		title = quarantine.Printable(v.Mail.Subject)
	}
	return draw("held", heldPage{page{title + " - Breakwater", template.CSS(quarantineCSS), false}, v})
}

func draw(name string, data any) (api.Page, error) {
	var buf bytes.Buffer
	if err := quarantineTemplate.ExecuteTemplate(&buf, name, data); err != nil {
		return api.Page{}, fmt.Errorf("drawing the page of held mail: %w", err)
	}
	return api.Page{Body: buf.Bytes(), Policy: quarantinePolicy}, nil
}
