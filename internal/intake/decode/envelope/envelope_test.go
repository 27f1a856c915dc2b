package envelope

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/intake/decode/generic"
	"github.com/breakwater-project/breakwater/internal/intake/decode/syslog"
	"github.com/breakwater-project/breakwater/internal/intake/decode/vpn"
	"github.com/breakwater-project/breakwater/internal/intake/decode/windows"
)

func formats() decode.Stream {
	var carried []decode.Stream
	inner := func() []decode.Stream { return carried }
	objects := append(windows.Objects(), Objects(inner, generic.Object())...)
	objects = append(objects, generic.Object())
	carried = append(carried, decode.Objects(objects), syslog.Lines(inner))
	carried = append(carried, vpn.Streams()...)
	carried = append(carried, syslog.Files(inner))
	return carried[0]
}

func read(t testing.TB, text string) *decodetest.Collect {
	t.Helper()
	k := &decodetest.Collect{}
	if err := formats().Read(context.Background(), "", strings.NewReader(text), k); err != nil {
		t.Fatal(err)
	}
	for _, e := range k.Events {
		decodetest.Check(t, e)
	}
	return k
}

const (
	asa     = `<166>Sep 24 2026 07:30:01 fw1 : %ASA-6-113004: AAA user authentication Successful : server = 10.21.1.12 : user = isl-novak`
	openVPN = `203.0.113.60:53592 TLS: Initial packet from [AF_INET]203.0.113.60:53592, sid=1`
)

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestShippersRecordsAreUnwrapped(t *testing.T) {
	for _, c := range []struct{ name, object, want string }{
		{"filebeat", `{"@timestamp":"2026-09-24T07:31:00Z","message":` + quote(asa) + `,"log":{"file":{"path":"/var/log/asa.log"},"offset":7},"host":{"name":"relay1"},"agent":{"type":"filebeat"},"fields":{"customer":"falkenau"}}`,
			"2026-09-24T07:30:01Z cisco/asa fw1 relay1"},
		{"elastic agent, the original kept", `{"@timestamp":"2026-09-24T07:31:00Z","message":"parsed","event":{"original":` + quote(asa) + `},"host":{"name":"relay1"},"agent":{"type":"filebeat"},"ecs":{"version":"8"}}`,
			"2026-09-24T07:30:01Z cisco/asa fw1 relay1"},
		{"rsyslog's default template", `{"message":" ` + openVPN + `","fromhost":"gw1","facility":"daemon","priority":"info","timereported":"2026-01-02T03:04:06.5+01:00","timegenerated":"2026-01-02T02:04:07Z"}`,
			"2026-01-02T02:04:06.5Z openvpn gw1 gw1"},
		{"fluent bit", `{"date":1767323046.25,"log":` + quote(openVPN+"\n") + `}`, "2026-01-02T03:04:06.25Z openvpn  "},
		{"docker", `{"log":` + quote(`{"time":"2026-01-02T03:04:07Z","src_ip":"10.0.0.1"}`+"\n") + `,"stream":"stdout","time":"2026-01-02T03:04:08Z"}`, "2026-01-02T03:04:07Z json  "},
		{"vector", `{"message":` + quote(asa) + `,"host":"relay1","timestamp":"2026-09-24T07:31:00Z","source_type":"file","file":"/var/log/asa.log"}`, "2026-09-24T07:30:01Z cisco/asa fw1 relay1"},
		{"logstash", `{"@timestamp":"2026-09-24T07:31:00Z","@version":"1","message":` + quote(asa) + `,"host":{"name":"relay1"}}`, "2026-09-24T07:30:01Z cisco/asa fw1 relay1"},
		{"journald", `{"MESSAGE":"` + openVPN + `","_HOSTNAME":"gw1","SYSLOG_IDENTIFIER":"openvpn","__REALTIME_TIMESTAMP":"1767323046500000"}`, "2026-01-02T03:04:06.5Z openvpn gw1 gw1"},
		{"gelf", `{"version":"1.1","host":"gw1","short_message":"` + openVPN + `","timestamp":1767323046.5,"level":6}`, "2026-01-02T03:04:06.5Z openvpn gw1 gw1"},
		{"the year from the envelope", `{"@timestamp":"2026-01-01T00:00:01Z","message":"<13>Dec 31 23:59:59 h a: x","agent":{"type":"filebeat"}}`, "2025-12-31T23:59:59Z syslog/a h "},
		{"a file's line", `{"@timestamp":"2026-01-01T00:00:01Z","message":"Dec 31 23:59:59 h a[1]: x","agent":{"type":"filebeat","name":"n1"}}`, "2025-12-31T23:59:59Z syslog/a h n1"},
		{"an envelope in an envelope", `{"@timestamp":"2026-01-02T03:04:09Z","agent":{"type":"filebeat"},"message":` + quote(`{"log":`+quote(openVPN+"\n")+`,"stream":"stdout","time":"2026-01-02T03:04:08Z"}`) + `,"host":{"name":"n1"}}`,
			"2026-01-02T03:04:08Z openvpn n1 n1"},
		{"a record of no known format", `{"@timestamp":"2026-01-02T03:04:09Z","agent":{"type":"filebeat"},"message":"hello","host":{"name":"n1"}}`, "2026-01-02T03:04:09Z json/filebeat n1 n1"},
		{"winlogbeat is Windows's", `{"@timestamp":"2026-01-02T03:04:09Z","agent":{"type":"winlogbeat"},"message":"An account was logged on","winlog":{"event_id":4624,"channel":"Security","computer_name":"w1.acme.example"},"host":{"name":"w1"}}`,
			"2026-01-02T03:04:09Z windows/security w1 "},
		{"no envelope", `{"timestamp":"2026-01-02T03:04:09Z","message":"hello"}`, "2026-01-02T03:04:09Z json  "},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := read(t, c.object+"\n")
			if len(k.Events) != 1 || len(k.Reasons) > 0 {
				t.Fatalf("%d events, %q", len(k.Events), k.Reasons)
			}
			e := k.Events[0]
			if got := fmt.Sprintf("%s %s %s %s", e.Time.Format(time.RFC3339Nano), e.Source, e.Device, e.Fields.Value("envelope.host")); got != c.want || k.Records[0] != 1 {
				t.Errorf("got  %q\nwant %q\n%v", got, c.want, e.Fields)
			}
		})
	}
}

func TestTheEnvelopesFieldsStayBeside(t *testing.T) {
	e := read(t, `{"@timestamp":"2026-09-24T07:31:00Z","message":`+quote(`{"time":"2026-01-02T03:04:07Z","host":"inner","envelope":{"host":"forged"}}`)+`,"host":{"name":"relay1"},"agent":{"type":"filebeat"},"fields":{"customer":"falkenau"}}`).Events[0]
	for name, want := range map[string]string{"host": "inner", "host.name": "relay1", "envelope.host": "relay1", "fields.customer": "falkenau", "agent.type": "filebeat"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	e = read(t, `{"timestamp":"2026-09-24T07:31:00Z","message":`+quote(`{"time":"2026-01-02T03:04:07Z","host":"inner"}`)+`,"host":"relay1","source_type":"file"}`).Events[0]
	if e.Fields.Value("host") != "inner" || e.Fields.Value("envelope.host") != "relay1" {
		t.Errorf("%v", e.Fields)
	}
	e = read(t, `{"timestamp":"2026-09-24T07:31:00Z","message":"hello","source_type":"file","envelope":{"host":"forged"}}`).Events[0]
	if got := e.Fields.Value("envelope.host"); got != "" {
		t.Errorf("a record set %q", got)
	}
}

func TestAnEnvelopeWithoutAnyDateTakesItsArrival(t *testing.T) {
	object := `{"log":"hello","stream":"stdout"}`
	if k := read(t, object); len(k.Events) != 0 || len(k.Reasons) != 1 {
		t.Errorf("%d events, %q: of a file nobody knows when it was", len(k.Events), k.Reasons)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	k := &decodetest.Collect{}
	if err := formats().Read(decode.WithReceived(context.Background(), at), "", strings.NewReader(object), k); err != nil || len(k.Events) != 1 || !k.Events[0].Time.Equal(at) {
		t.Errorf("%v, %+v", err, k)
	}
}

func TestBombEnvelopesInEnvelopesEnd(t *testing.T) {
	object := `hello`
	for range 12 {
		object = `{"log":` + quote(object) + `,"stream":"stdout","time":"2026-01-02T03:04:08Z"}`
	}
	k := read(t, object)
	if len(k.Events) != 1 || k.Events[0].Source != "json/docker" {
		t.Errorf("%d events, %q", len(k.Events), k.Reasons)
	}
}

func TestManyEnvelopesGiveEachItsOwn(t *testing.T) {
	var text strings.Builder
	const n = 10_000
	for i := range n {
		fmt.Fprintf(&text, `{"@timestamp":"2026-09-24T07:31:00Z","message":"<13>2026-09-24T07:31:00Z h a: %d","host":{"name":"r%d"},"agent":{"type":"filebeat"}}`+"\n", i, i)
	}
	k := read(t, text.String())
	if len(k.Events) != n {
		t.Fatalf("%d events of %d: %q", len(k.Events), n, k.Reasons)
	}
	for i, e := range k.Events {
		want := fmt.Sprint(k.Records[i] - 1)
		if e.Fields.Value("message") != want || e.Fields.Value("envelope.host") != "r"+want {
			t.Fatalf("record %d: %v", k.Records[i], e.Fields)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{asa, openVPN, `{"time":"2026-01-02T03:04:07Z"}`, "{", "Dec 31 23:59:59 h a[1]: x", `{"log":"{\"log\":\"x\",\"stream\":\"s\"}","stream":"s"}`, "a\nb\r\n\x00", ""} {
		f.Add(s, "h")
	}
	f.Fuzz(func(t *testing.T, record, host string) {
		object, err := json.Marshal(map[string]string{"message": record, "host": host, "source_type": "file", "timestamp": "2026-01-02T03:04:08Z"})
		if err != nil {
			t.Skip()
		}
		k := read(t, string(object)+"\n")
		if len(k.Events)+len(k.Reasons) != 1 {
			t.Fatalf("%d events, %q", len(k.Events), k.Reasons)
		}
		read(t, record)
	})
}

func BenchmarkFilebeat(b *testing.B) {
	text := strings.Repeat(`{"@timestamp":"2026-09-24T07:31:00Z","message":`+quote(asa)+`,"log":{"file":{"path":"/var/log/asa.log"},"offset":7},"host":{"name":"relay1"},"agent":{"type":"filebeat"}}`+"\n", 1000)
	b.ReportAllocs()
	for b.Loop() {
		read(b, text)
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "records/s")
}
