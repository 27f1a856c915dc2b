package netconfig

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

var at = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)

// model declares two partners of a client: one with networks and destinations, one whose trust has ended.
func model() *tenant.Model {
	return &tenant.Model{
		Tenants:  []tenant.Tenant{{ID: "client", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}},
		Partners: []tenant.Partner{{ID: "msp"}, {ID: "old"}},
		Trusts: []tenant.Trust{
			{ID: "t-msp", Partner: "msp", Tenant: "client", Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("198.51.100.5/32"), netip.MustParsePrefix("198.51.100.6/31"), netip.MustParsePrefix("198.51.100.8/31"), netip.MustParsePrefix("2001:db8:5::/48")}},
			{ID: "t-old", Partner: "old", Tenant: "client", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.128/25")}, ValidUntil: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
		},
	}
}

// answer is what reading a file gave.
type answer struct {
	format string
	config map[string]any
	rules  map[string]map[string]any
	access []evidence.Item
	items  []evidence.Item
	bad    []string
	at     time.Time
}

// recognised finds the one format that takes a file for its own.
func recognised(t testing.TB, data []byte, m *tenant.Model) evidence.Format {
	t.Helper()
	var found []evidence.Format
	for _, f := range Formats(m) {
		if f.Recognise("a file", data[:min(len(data), 64<<10)]) {
			found = append(found, f)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d formats recognise the file", len(found))
	}
	return found[0]
}

func read(t testing.TB, data []byte, m *tenant.Model, when time.Time) *answer {
	t.Helper()
	f := recognised(t, data, m)
	a, err := readAs(f, data, when)
	if err != nil {
		t.Fatal(err)
	}
	if a.config == nil && len(a.items) == 0 {
		t.Fatal("nothing was read")
	}
	return a
}

func readAs(f evidence.Format, data []byte, when time.Time) (*answer, error) {
	a := &answer{format: f.Name, rules: map[string]map[string]any{}}
	err := f.Read(context.Background(), evidence.Input{Tenant: "client", Name: "a file", At: when, Reader: strings.NewReader(string(data))}, evidence.Sink{
		Item: func(it evidence.Item) error {
			a.items = append(a.items, it)
			switch it.Kind {
			case KindConfig:
				a.config, a.at = it.Values, it.At
			case KindRule:
				a.rules[it.Values["rule"].(string)] = it.Values
			case KindAccess:
				a.access = append(a.access, it)
			}
			return nil
		},
		Bad: func(line int64, reason string) { a.bad = append(a.bad, fmt.Sprintf("%d: %s", line, reason)) },
	})
	return a, err
}

// holes writes what the matter is with a rule.
func holes(v map[string]any) string {
	var out []string
	if v["any_any"] == true {
		out = append(out, "any-any")
	} else if ports, ok := v["management_ports"].([]any); ok {
		out = append(out, "management "+strings.Trim(fmt.Sprint(ports), "[]"))
	}
	if v["shadowed"] == true {
		out = append(out, "shadowed")
	}
	if v["ipv6_forgotten"] == true {
		out = append(out, "ipv6")
	}
	return strings.Join(out, ", ")
}

// wantRules compares the rules that are told with those that should be, and their holes; those of closed doors whose
// name is no key are let by where nothing is the matter with them.
func (a *answer) wantRules(t *testing.T, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for name, v := range a.rules {
		if _, known := want[name]; known || holes(v) != "" {
			got[name] = holes(v)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules and their holes (-want +got):\n%s", diff)
	}
	for _, b := range a.bad {
		t.Errorf("not read: %s", b)
	}
}

// wantAccess compares who is let in by which rule: a trust, with what is wrong with it, or nobody who was declared.
func (a *answer) wantAccess(t *testing.T, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, it := range a.access {
		text := string(it.Trust)
		if it.Values["declared"] != true {
			text = "nobody"
		}
		for _, key := range []string{"ended", "wider_source", "wider_destination", "wider_service"} {
			if it.Values[key] == true {
				text += " " + key
			}
		}
		name := it.Values["rule"].(string)
		if got[name] != "" {
			text = got[name] + "; " + text
		}
		got[name] = text
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("who is let in (-want +got):\n%s", diff)
	}
}

func contains(list any, n int64) bool { return slices.Contains(list.([]any), any(n)) }
