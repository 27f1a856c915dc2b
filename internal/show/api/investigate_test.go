package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestQuestionsReachTheGraphAsTheyWereAsked(t *testing.T) {
	f := start(t)
	if res, body := f.ask(t, "GET", prefix+"/trace?subject=f-ash-1&at=2h&tenant=ash&user=Jo&paths=5", "viewer:ash", ""); res.StatusCode != http.StatusOK || !strings.Contains(body, "f-ash-1") {
		t.Errorf("trace: %d %s", res.StatusCode, body)
	}
	if res, body := f.ask(t, "GET", prefix+"/blast?subject=msp-ash&as=partner&since=24h", "viewer:ash", ""); res.StatusCode != http.StatusOK || !strings.Contains(body, "msp-ash") {
		t.Errorf("blast: %d %s", res.StatusCode, body)
	}
	want := []any{TraceQuery{Subject: "f-ash-1", Tenant: "ash", At: "2h", User: "Jo", Paths: 5}, BlastQuery{Subject: "msp-ash", As: "partner", Since: "24h"}}
	if d := cmp.Diff(want, f.walker.asked); d != "" {
		t.Error(d)
	}
}

func TestQuestionsThatNobodyMeansAreRefused(t *testing.T) {
	f := start(t)
	long := strings.Repeat("a", MaxSubject+1)
	for path, says := range map[string]string{
		"/trace":                                  "subject",
		"/trace?subject=":                         "subject",
		"/trace?subject=" + long:                  "256 bytes",
		"/trace?subject=x&at=" + long:             "256 bytes",
		"/trace?subject=x&user=" + long:           "256 bytes",
		"/trace?subject=x&paths=0":                "1 to 8",
		"/trace?subject=x&paths=9":                "1 to 8",
		"/trace?subject=x&paths=many":             "1 to 8",
		"/blast":                                  "subject",
		"/blast?subject=x&as=person":              "partner, account",
		"/blast?subject=x&since=" + long:          "256 bytes",
		"/blast?subject=" + url.QueryEscape(long): "256 bytes",
	} {
		if res, body := f.ask(t, "GET", prefix+path, "viewer:*", ""); res.StatusCode != http.StatusBadRequest || !strings.Contains(body, says) {
			t.Errorf("%.40s: %d %s", path, res.StatusCode, body)
		}
	}
	if len(f.walker.asked) > 0 {
		t.Errorf("the graph was asked: %v", f.walker.asked)
	}
}

func TestWithoutAGraphNothingIsThereToAsk(t *testing.T) {
	f := start(t)
	f.h.opt.Investigator = nil
	for _, path := range []string{"/trace?subject=f-ash-1", "/blast?subject=msp"} {
		if res, body := f.ask(t, "GET", prefix+path, "viewer:*", ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, res.StatusCode, body)
		}
	}
}
