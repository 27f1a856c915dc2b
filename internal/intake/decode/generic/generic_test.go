package generic

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

const clock = `"@timestamp":"2026-03-02T01:02:03Z"`

func decoded(t testing.TB, text string) (*ocsf.Event, bool, error) {
	t.Helper()
	o, err := decode.ParseJSON(new(fastjson.Parser), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	f, e := Object(), &ocsf.Event{Fields: o.Fields()}
	if !f.Match(o) {
		return e, false, nil
	}
	return e, true, f.Decode(o, e)
}

func TestRecordsOfNoKnownSourceKeepWhatRulesAsk(t *testing.T) {
	at := time.Date(2026, 3, 2, 1, 2, 3, 0, time.UTC)
	endpoint := ocsf.Event{Time: at, Source: "json", Layer: tenant.LayerEndpoint}
	with := func(edit func(*ocsf.Event)) ocsf.Event { e := endpoint; edit(&e); return e }
	for _, c := range []struct {
		name, text string
		want       ocsf.Event
	}{
		{"a time alone", "{" + clock + "}", endpoint},
		{"a time in seconds", `{"ts":1772413323}`, endpoint},
		{"a time in milliseconds", `{"time":1772413323000}`, endpoint},
		{"the second time field where the first is a dash", `{"timestamp":"-","eventTime":"2026-03-02T01:02:03Z"}`, endpoint},
		{"host, user and address", "{" + clock + `,"host":{"name":"WS7"},"user":{"name":"jo"},"client_ip":"198.51.100.7","src_port":4000}`, with(func(e *ocsf.Event) {
			e.Device, e.User.Name, e.Src = "WS7", "jo", ocsf.Endpoint{IP: netip.MustParseAddr("198.51.100.7"), Port: 4000}
		})},
		{"two addresses are a connection", "{" + clock + `,"source":{"ip":"::ffff:10.0.0.1"},"destination":{"ip":"fe80::1%eth0","port":"443"},"server_name":"A.Example"}`, with(func(e *ocsf.Event) {
			e.Layer, e.Class = tenant.LayerNetwork, ocsf.ClassNetworkActivity
			e.Src.IP, e.Dst = netip.MustParseAddr("10.0.0.1"), ocsf.Endpoint{IP: netip.MustParseAddr("fe80::1"), Port: 443, Domain: "a.example"}
		})},
		{"a question and a web address", "{" + clock + `,"dns":{"question":{"name":"B.example"}},"url":{"full":"http://b.example/x"}}`, with(func(e *ocsf.Event) {
			e.Dst.Domain, e.URL = "b.example", "http://b.example/x"
		})},
		{"names and ports that are none are left out", "{" + clock + `,"src":"WS7","dst":"unknown","dport":"https","sport":70000}`, endpoint},
		{"the first of several names that has a value", "{" + clock + `,"user":"-","username":"","userName":"jo"}`, with(func(e *ocsf.Event) { e.User.Name = "jo" })},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, ok, err := decoded(t, c.text)
			if !ok || err != nil {
				t.Fatalf("matched %v, %v", ok, err)
			}
			if len(e.Fields) == 0 {
				t.Error("the source's own fields are gone")
			}
			e.Fields = nil
			if d := cmp.Diff(c.want, *e, cmpopts.EquateComparable(netip.Addr{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestRecordsWithoutATimeAreNotTaken(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`:                     "no match",
		`{"time":""}`:                 "no match",
		`{"time":"-"}`:                "no match",
		`{"time":{"a":1}}`:            "no match",
		`{"time":"soon"}`:             `field time: "soon" is not a time`,
		`{"ts":12}`:                   `field ts: "12" is not a time`,
		`{"time":"-","date":"today"}`: `field date: "today" is not a time`,
	} {
		_, ok, err := decoded(t, text)
		got := "no match"
		if ok {
			got = fmt.Sprint(err)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestItComesLast(t *testing.T) {
	mine := decode.Object{Name: "mine", Match: func(o *decode.JSON) bool { return o.Has("mine") }, Decode: func(o *decode.JSON, e *ocsf.Event) error {
		e.Source = "mine"
		return nil
	}}
	k := &kept{}
	text := "{" + clock + ",\"mine\":1}\n{" + clock + "}\n{\"other\":1}\n"
	if err := decode.Objects([]decode.Object{mine, Object()}).Read(context.Background(), "x.json", strings.NewReader(text), k); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(kept{"1 mine", "2 json", "3 bad: JSON of no known source"}, *k); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

type kept []string

func (k *kept) Event(e *ocsf.Event, n int64, _ []byte) { *k = append(*k, fmt.Sprint(n, " ", e.Source)) }
func (k *kept) Bad(n int64, reason string, _ []byte) {
	*k = append(*k, fmt.Sprint(n, " bad: ", reason))
}

func FuzzFill(f *testing.F) {
	f.Add("{" + clock + `,"source":{"ip":"::ffff:10.0.0.1"},"destination":{"ip":"fe80::1%eth0","port":443}}`)
	f.Add(`{"ts":1.7e9,"src":"1.2.3.4:5","user":["a",{"name":1}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		o, err := decode.ParseJSON(new(fastjson.Parser), []byte(text))
		if err != nil {
			return
		}
		g, e := Object(), &ocsf.Event{Fields: o.Fields()}
		if g.Match(o) && g.Decode(o, e) == nil && (e.Time.IsZero() || e.Source != "json") {
			t.Fatalf("%+v", e)
		}
	})
}
