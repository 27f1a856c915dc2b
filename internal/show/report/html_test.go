package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var pageOptions = Options{Title: "Scan of the March telemetry", Version: "0.1.0", Made: time.Date(2026, 4, 24, 9, 0, 0, 0, time.UTC)}

// renderPage writes the page of a fixture; REPORT_OUT names a folder to keep it in, for eyes and browsers.
func renderPage(t testing.TB, name string) []byte {
	t.Helper()
	res, m := fixtures[name]()
	var b bytes.Buffer
	opt := pageOptions
	opt.Traced = tracedFixture(res)
	if err := HTML(&b, res, m, opt); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("REPORT_OUT"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".html"), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// tag is one start tag of a page, or the text after it.
type tag struct {
	name  string
	attrs map[string]string
	text  string
}

var (
	reTag  = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)([^>]*)>([^<]*)`)
	reAttr = regexp.MustCompile(`([^\s=/]+)(?:=(?:"([^"]*)"|([^\s">]+)))?`)
	reRaw  = regexp.MustCompile(`(?s)(<(?:script|style)[^>]*>).*?(</(?:script|style)>)`)
)

// tags reads the start tags of our own output: attribute values have no raw > in them, which the escaping tests hold.
func tags(page []byte) (out []tag) {
	for _, m := range reTag.FindAllStringSubmatch(reRaw.ReplaceAllString(string(page), "$1$2"), -1) {
		if m[1] == "/" {
			continue
		}
		t := tag{m[2], map[string]string{}, strings.TrimSpace(html.UnescapeString(m[4]))}
		for _, a := range reAttr.FindAllStringSubmatch(m[3], -1) {
			t.attrs[strings.ToLower(a[1])] = html.UnescapeString(a[2] + a[3])
		}
		out = append(out, t)
	}
	return out
}

func between(t *testing.T, page []byte, open, end string) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(page), open)
	if !ok {
		t.Fatalf("no %s", open)
	}
	body, _, _ := strings.Cut(rest, end)
	return body
}

func TestHTMLIsOneFileUnderItsPolicy(t *testing.T) {
	for name := range fixtures {
		page := renderPage(t, name)
		for what, n := range map[string]int{"<style>": 1, "<style": 1, "<script type=module>": 1, "<script": 2, `<script type="application/json" id=data>`: 1, "</script": 2, "http-equiv": 1} {
			if got := strings.Count(string(page), what); got != n {
				t.Errorf("%s: %d times %s, want %d", name, got, what, n)
			}
		}
		hash := func(s string) string {
			sum := sha256.Sum256([]byte(s))
			return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		}
		want := "default-src 'none'; style-src " + hash(between(t, page, "<style>", "</style>")) + "; script-src " + hash(between(t, page, "<script type=module>", "</script>")) +
			"; img-src data:; require-trusted-types-for 'script'; base-uri 'none'; form-action 'none'"
		if got := between(t, page, `<meta http-equiv="Content-Security-Policy" content="`, `"`); got != want {
			t.Errorf("%s: policy\n%s\nwant\n%s", name, got, want)
		}
		for _, x := range tags(page) {
			for a, v := range x.attrs {
				switch {
				case a == "style", strings.HasPrefix(a, "on"):
					t.Errorf("%s: <%s %s=%q>", name, x.name, a, v)
				case (a == "href" || a == "src") && !strings.HasPrefix(v, "#") && v != "data:,":
					t.Errorf("%s: <%s> leads elsewhere: %s=%q", name, x.name, a, v)
				}
			}
		}
		if strings.Contains(js, "innerHTML") || strings.Contains(js, "insertAdjacentHTML") || strings.Contains(js, "document.write") {
			t.Error("the script writes markup")
		}
	}
}

// ours are the elements that the template uses; anything else came from a field.
var ours = strings.Fields(`html head meta link title style body a header p h1 h2 h3 dl div dt dd nav span kbd main section ul ol li article
	details summary small strong code br table thead tbody tr th td form label input select option output button footer aside dialog script
	svg g rect path circle text`)

func TestXSSFieldsStayText(t *testing.T) {
	page := renderPage(t, "campaign")
	for _, x := range tags(page) {
		if !slices.Contains(ours, x.name) {
			t.Errorf("element <%s> is none of ours: %v", x.name, x.attrs)
		}
		for a := range x.attrs {
			if a == "onerror" || a == "onload" || a == "onmouseover" {
				t.Errorf("<%s> got %s", x.name, a)
			}
		}
	}
	body := string(page)
	for _, h := range hostile {
		if strings.ContainsAny(h, "<\"") && strings.Contains(body, h) {
			t.Errorf("unescaped: %s", h)
		}
	}
	if i := bytes.IndexFunc(page, hidden); i >= 0 {
		t.Errorf("hidden rune in the page: %q", page[max(0, i-20):i+20])
	}
	for _, want := range []string{`invoice\u202efdp.exe`, "&lt;script&gt;window.pwned=1&lt;/script&gt;", `\u001b[31mred`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not show %s", want)
		}
	}
}

func TestXSSDataBlockIsLossless(t *testing.T) {
	res, _ := fixture()
	var block struct {
		Findings []struct{ ID, Title, Reason string }
		Of       int
	}
	data := between(t, renderPage(t, "campaign"), "id=data>", "</script>")
	if strings.ContainsAny(data, "<>") {
		t.Error("the data block holds < or >")
	}
	if err := json.Unmarshal([]byte(data), &block); err != nil {
		t.Fatal(err)
	}
	titles := map[string]string{}
	for _, f := range block.Findings {
		titles[f.ID] = f.Title
	}
	for _, f := range res.List {
		if want := strings.ToValidUTF8(f.Title, "\uFFFD"); titles[f.ID] != want {
			t.Errorf("finding %s: title %q, want %q", f.ID, titles[f.ID], want)
		}
	}
	if block.Of != len(res.List) {
		t.Errorf("of %d, want %d", block.Of, len(res.List))
	}
}

// outline writes the structure of a page: its landmarks, headings, questions, tables and how many rows they have.
func outline(page []byte) string {
	var b strings.Builder
	rows, inTable := 0, false
	flush := func() {
		if inTable {
			fmt.Fprintf(&b, "    %d rows\n", max(0, rows-1))
		}
		rows, inTable = 0, false
	}
	for _, x := range tags(page) {
		id := ""
		if v := x.attrs["id"]; v != "" {
			id = "#" + v
		}
		if v := x.attrs["class"]; v != "" {
			id += "." + strings.ReplaceAll(v, " ", ".")
		}
		switch x.name {
		case "header", "nav", "main", "article", "section", "footer", "aside", "dialog":
			flush()
			fmt.Fprintf(&b, "%s%s\n", x.name, id)
		case "h1", "h2", "h3":
			flush()
			fmt.Fprintf(&b, "  %s %s\n", x.name, x.text)
		case "table":
			flush()
			inTable = true
			fmt.Fprintf(&b, "  table%s\n", id)
		case "th":
			if x.attrs["scope"] == "col" {
				fmt.Fprintf(&b, "    | %s\n", x.text)
			}
		case "tr":
			rows++
		case "dt":
			if len(x.attrs) == 0 && strings.HasSuffix(x.text, "?") {
				fmt.Fprintf(&b, "  ? %s\n", x.text)
			}
		case "svg":
			if strings.Contains(id, "graph") {
				fmt.Fprintf(&b, "  svg%s %s\n", id, x.attrs["aria-label"])
			}
		}
	}
	flush()
	return b.String()
}

func TestHTMLStructure(t *testing.T) {
	for name := range fixtures {
		page := renderPage(t, name)
		golden(t, "page-"+name+".txt", []byte(outline(page)))
		ids := map[string]bool{}
		for _, x := range tags(page) {
			if id := x.attrs["id"]; id != "" && ids[id] {
				t.Errorf("%s: id %s twice", name, id)
			} else {
				ids[id] = true
			}
		}
		for _, x := range tags(page) {
			if ref := x.attrs["href"]; strings.HasPrefix(ref, "#") && !ids[ref[1:]] {
				t.Errorf("%s: nothing has the id that %s leads to", name, ref)
			}
		}
	}
	svg := between(t, renderPage(t, "campaign"), `<svg class="graph"`, "</svg>")
	golden(t, "graph.svg.txt", []byte(strings.ReplaceAll(svg, "><", ">\n<")))
}

func TestHTMLWithoutCampaignSaysWhatItRestsOn(t *testing.T) {
	page := string(renderPage(t, "quiet"))
	for _, want := range []string{"No campaign was found", "This is not an all-clear: 5 of 60 tenant layers sent nothing", "Hexham Foundry (cloud)"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	empty, none := fixtureQuiet()
	empty.List, empty.Coverage, empty.Matrix, empty.Input.Events = nil, nil, nil, 0
	none.Tenants = nil
	var b bytes.Buffer
	if err := HTML(&b, empty, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "Nothing was read") {
		t.Error("an empty scan is not said to be one")
	}
}

func TestHTMLShowsTheWorstWhereNotAllFit(t *testing.T) {
	res, m := fixtureQuiet()
	res.List = nil
	for i := range 700 {
		f := &ocsf.Finding{ID: fmt.Sprintf("f%04d", i), Time: at(0, 0, i), Severity: ocsf.Severity(1 + i%5), Tenant: "aldgate"}
		res.List = append(res.List, f)
	}
	p, err := newPage(res, m, Options{MaxRows: 100})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Findings) != 100 || p.Left != 600 {
		t.Fatalf("%d rows, %d left", len(p.Findings), p.Left)
	}
	for i, f := range p.Findings {
		if f.Severity != ocsf.SeverityCritical {
			t.Errorf("row %d is %s", i, f.Severity)
		}
		if i > 0 && f.Time.Before(p.Findings[i-1].Time) {
			t.Error("rows are not by time")
		}
	}
}

func TestIsolationTellingNamesNoOtherTenant(t *testing.T) {
	res, m := fixture()
	m.Tenants[2].Aliases = []string{"BWC"}
	for i := range res.List { // findings that carry others' names
		if i%3 == 0 {
			res.List[i].Title = "Mail from securemail.birchwood.example.test to BWC and Castell Brewing"
			res.List[i].AddEntity(ocsf.EntityDomain, "securemail.castell.example.apex.test", ocsf.RoleInfrastructure)
		}
	}
	n := namer{m}
	told := n.tellings(res, &res.Campaigns[0])
	if len(told) != 11 {
		t.Fatalf("%d tenants would be told, want 11 (all but the clear one)", len(told))
	}
	seen := 0
	for _, x := range told {
		text := strings.ToLower(x.Says + " " + x.Asks + " " + strings.Join(x.Seen, " ") + " " + strings.Join(x.Indicators, " "))
		seen += len(x.Seen)
		for _, o := range m.Tenants {
			if o.ID == x.Tenant {
				continue
			}
			for _, w := range append([]string{string(o.ID), o.Name}, append(o.Aliases, o.Domains...)...) {
				if hasWord(text, strings.ToLower(w)) {
					t.Errorf("%s would be told of %s (%q): %s", x.Tenant, o.ID, w, text)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("nobody would be told of any finding")
	}
}

func TestReportsDoNotChangeTheirInput(t *testing.T) {
	res, m := fixture()
	before, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	order := slices.Clone(res.List)
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := HTML(b, res, m, pageOptions); err != nil {
			t.Fatal(err)
		}
		if err := Table(b, res, m, true); err != nil {
			t.Fatal(err)
		}
	}
	after, err := json.Marshal(res)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, after) || !slices.Equal(order, res.List) {
		t.Error("the result was changed")
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same input gave two outputs")
	}
}

func TestHasWordMatchesWholeWordsOnly(t *testing.T) {
	for text, want := range map[string]bool{"ash": true, "a hash": false, "ash.example": true, "x-ash-y": true, "ashes": false, "hash ash": true, "": false} {
		if got := hasWord(text, "ash"); got != want {
			t.Errorf("hasWord(%q) = %v", text, got)
		}
	}
}
