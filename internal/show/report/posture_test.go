package report

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

const hostileDoor = `"><script>alert(1)</script><img src=x onerror=alert(2)>`

func doorReports(n int) *Doors {
	at := time.Date(2026, 6, 1, 7, 12, 0, 0, time.UTC)
	d := &Doors{KEV: "KEV 2025.08.25, 279 days old: too old to speak for what was listed since; run breakwater posture update"}
	for i := range n {
		r := &posture.Report{Tenant: tenant.Tenant{ID: tenant.ID(fmt.Sprintf("t%02d", i)), Name: fmt.Sprintf("Tenant %d", i)}, At: at}
		if i == 3 {
			r.Tenant.Name = hostileDoor
		}
		for k, p := range evidence.Pillars {
			for j := range 3 {
				s := posture.Statuses[(i*3+k*2+j*4)%5]
				it := evidence.Item{Subject: "srv1: ScreenConnect (0123456789abcdef)", At: at.AddDate(0, 0, -40), From: evidence.Origin{File: "evidence/exports/software-2026-05.csv", Line: 214}}
				if j == 1 {
					it.Subject, it.From = hostileDoor, evidence.Origin{}
				}
				r.Results = append(r.Results, &posture.Result{Status: s, Reason: "srv1: ScreenConnect: 23.9.7 is below 23.9.8 (and 3 more)", Counts: map[posture.Status]int{s: 4}, Settings: map[string]any{"minimum_days": 180},
					Items: []posture.Judged{{Item: &it, Status: s, Says: "23.9.7 is below 23.9.8"}},
					Control: &posture.Control{ID: fmt.Sprintf("%s-%d", p, j), Title: "Remote tools run no version with a known flaw", Pillar: p, Severity: ocsf.SeverityHigh, About: "Bring it to the first fixed version.",
						Require: "!item.values.below_fixed", Fresh: 35 * 24 * time.Hour, References: []posture.Reference{{Source: "CIS v8", ID: "7.4"}}}})
			}
		}
		d.Reports = append(d.Reports, r)
	}
	return d
}

func TestXSSPostureSectionInTheBrowser(t *testing.T) {
	var buf bytes.Buffer
	if err := HTML(&buf, &campaign.Result{}, nil, Options{Posture: doorReports(12)}); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "posture.html")
	if err := os.WriteFile(name, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	b := openBrowser(t)
	b.do(chromedp.Navigate((&url.URL{Scheme: "file", Path: name}).String() + "#posture"))
	b.want("document.querySelectorAll('#posture .doors tbody tr').length", "12")
	b.want("document.querySelectorAll('#posture script, #posture img').length", "0")
	b.want("document.querySelector('#posture').textContent.includes('279 days old')", "true")
	b.shot("report-posture")
	b.do(chromedp.Click(chromedp.CSS("#posture .doors tbody tr:first-child th a")))
	b.want("document.querySelector(location.hash).textContent.includes('software-2026-05.csv:214')", "true")
	b.do(chromedp.Click(chromedp.CSS("#posture .door details summary")))
	b.shot("report-posture-open")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.complaints) > 0 {
		t.Errorf("the browser complains: %q", b.complaints)
	}
}

func TestWithoutPostureThereIsNoSection(t *testing.T) {
	var buf bytes.Buffer
	if err := HTML(&buf, &campaign.Result{}, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(buf.String(), `id="posture"`) {
		t.Error("the page has a section of what nobody judged")
	}
}
