package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile(filepath.Join("..", "..", "..", "docs", "schema", name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func validate(t *testing.T, s *jsonschema.Schema, doc []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestJSONKeepsItsSchema(t *testing.T) {
	s := compiled(t, "result.schema.json")
	asked, _ := fixture()
	asked.Campaigns[0].FirstFoothold = campaign.Foothold{Ask: "printco", For: "account svc-print", From: at(0, 0, 0), To: at(1, 0, 0), Reason: "no telemetry"}
	local, _ := fixture()
	local.Campaigns[0].Start = local.Campaigns[0].Start.In(time.FixedZone("CET", 3600))
	full, _ := fixture()
	quiet, _ := fixtureQuiet()
	for name, res := range map[string]*campaign.Result{"campaign": full, "quiet": quiet, "empty": {}, "trace request": asked, "local time": local,
		"empty campaign": {Campaigns: []campaign.Campaign{{FirstFoothold: campaign.Foothold{Ask: "p", For: "x"}, Hops: []campaign.Hop{{}}, Tenants: []campaign.TenantOutcome{{Outcome: "clear"}},
			JoinedBy: []campaign.Join{{}}}}, Incidents: []campaign.Incident{{Outcome: "unknown"}}}} {
		var b bytes.Buffer
		if err := JSON(&b, res); err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, b.Bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		rest := b.Bytes()
		for _, k := range []string{"from", "to", "since"} { // times that there are none of are null by design
			rest = bytes.ReplaceAll(rest, []byte(`"`+k+`": null`), nil)
		}
		if !bytes.HasSuffix(b.Bytes(), []byte("}\n")) || bytes.Contains(rest, []byte("null")) || bytes.Contains(b.Bytes(), []byte("+01:00")) {
			t.Errorf("%s: null list, local time or no line end:\n%s", name, b.Bytes()[:min(b.Len(), 400)])
		}
		if i := bytes.IndexFunc(b.Bytes(), hidden); i >= 0 {
			t.Errorf("%s: hidden rune %q", name, b.Bytes()[i:i+4])
		}
	}
	both := []byte(`{"reason":"x","ask":"p","for":"y","time":"2026-01-01T00:00:00Z","tenant":"t","entity":{"type":"ip","value":"v"}}`)
	full.Campaigns[0].FirstFoothold = campaign.Foothold{}
	var b bytes.Buffer
	if err := JSON(&b, full); err != nil {
		t.Fatal(err)
	}
	if err := validate(t, s, b.Bytes()); err == nil {
		t.Error("the schema takes a foothold of which neither half is set")
	}
	if err := validate(t, s, bytes.Replace(b.Bytes(), []byte(`"first_foothold": {`), append([]byte(`"first_foothold": `+string(both[:len(both)-1])+`,`), ' '), 1)); err == nil {
		t.Error("the schema takes a foothold of which both halves are set")
	}
	if err := validate(t, s, []byte(`{"schema":"1"}`)); err == nil {
		t.Error("the schema takes a result without campaigns")
	}
}

func TestJSONCountsWhereTotalsAreMissing(t *testing.T) {
	res, _ := fixture()
	want := res.Findings
	res.Findings = campaign.FindingTotals{}
	var b bytes.Buffer
	if err := JSON(&b, res); err != nil {
		t.Fatal(err)
	}
	var got struct{ Findings campaign.FindingTotals }
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Findings.Total != 60 || got.Findings.Suppressed != 3 || got.Findings.BySeverity["critical"] != want.BySeverity["critical"] {
		t.Errorf("totals %+v", got.Findings)
	}
}

func TestJSONLKeepsItsSchema(t *testing.T) {
	s := compiled(t, "finding.schema.json")
	res, _ := fixture()
	var b bytes.Buffer
	if err := JSONL(&b, res); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != 60 {
		t.Fatalf("%d lines, want 60", len(lines))
	}
	for i, l := range lines {
		if err := validate(t, s, []byte(l)); err != nil {
			t.Errorf("line %d: %v", i+1, err)
		}
		if strings.ContainsFunc(l, hidden) {
			t.Errorf("line %d holds a hidden rune", i+1)
		}
		var f struct{ ID, Title string }
		if err := json.Unmarshal([]byte(l), &f); err != nil {
			t.Fatal(err)
		}
		if want := strings.ToValidUTF8(res.List[i].Title, "\uFFFD"); f.ID != res.List[i].ID || f.Title != want {
			t.Errorf("line %d: %q, want %q", i+1, f.Title, want)
		}
	}
}

func TestCSVDisarmsFormulas(t *testing.T) {
	bad := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", `=cmd|' /C calc'!A1`}
	res := &campaign.Result{}
	for _, s := range append(bad, "plain", "a=b", "", "with, comma and \"quotes\"", "two\nlines", "rlo\u202Etxt") {
		res.List = append(res.List, &ocsf.Finding{ID: "x", Title: s, Reason: s, Rule: s, Time: t0})
	}
	var b bytes.Buffer
	if err := CSV(&b, res); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(res.List)+1 || rows[0][0] != "id" {
		t.Fatalf("%d rows, head %v", len(rows), rows[0])
	}
	for i, r := range rows[1:] {
		for _, c := range []string{r[8], r[9], r[15]} {
			if i < len(bad) != strings.HasPrefix(c, "'") {
				t.Errorf("%q became %q", res.List[i].Title, c)
			}
			if strings.ContainsFunc(c, hidden) || strings.ContainsAny(c, "\n\r\t") {
				t.Errorf("%q keeps a control character: %q", res.List[i].Title, c)
			}
		}
	}
	if rows[12][9] != `with, comma and "quotes"` {
		t.Errorf("quoting changed %q", rows[12][9])
	}
}

func TestPlainShowsWhatIsHidden(t *testing.T) {
	for in, want := range map[string]string{"a\u202Eb": `a\u202eb`, "a\x1b[0m": `a\u001b[0m`, "a\nb": `a\nb`, "é→😀": "é→😀", "\U000E0041x": `\udb40\udc41x`, "\x9b1m": "\uFFFD1m",
		"a\u0085": `a\u0085`, "\x00": `\u0000`} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWrapAndClipCountColumns(t *testing.T) {
	for _, s := range []string{strings.Repeat("x", 250), strings.Repeat("字", 90), "a " + strings.Repeat("b", 99) + " c", strings.Repeat("e\u0301", 120), "", "one two three"} {
		for _, n := range []int{2, 7, 40} {
			for _, l := range wrap(s, n) {
				if width(l) > n {
					t.Errorf("wrap(%.10q…, %d) has a line of %d columns", s, n, width(l))
				}
			}
			if width(clip(s, n)) > n {
				t.Errorf("clip(%.10q…, %d) has %d columns", s, n, width(clip(s, n)))
			}
		}
		if got := strings.ReplaceAll(strings.Join(wrap(s, 40), ""), " ", ""); got != strings.ReplaceAll(s, " ", "") {
			t.Errorf("wrap loses text of %.10q…", s)
		}
	}
}

func FuzzTextNeverHidesAndFits(f *testing.F) {
	for _, h := range hostile {
		f.Add(h, 20)
	}
	f.Add("字字字", 1)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = 2 + (n&0x7fffffff)%120
		p := plain(s)
		if strings.ContainsFunc(p, hidden) || strings.ContainsAny(p, "\r\n\t") {
			t.Fatalf("plain(%q) = %q", s, p)
		}
		if strings.ContainsFunc(cell(s), hidden) {
			t.Fatalf("cell(%q)", s)
		}
		for _, l := range wrap(p, n) {
			if width(l) > n {
				t.Fatalf("wrap(%q, %d): %q", p, n, l)
			}
		}
		if width(clip(p, n)) > n {
			t.Fatalf("clip(%q, %d)", p, n)
		}
	})
}
