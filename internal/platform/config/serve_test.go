package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// wholeServe has every key of the section.
const wholeServe = small + `sensors:
  - {name: acme-fw, match: {exporter: 192.0.2.7}, tenant: acme, layer: network}
  - {match: {path: "rmm/*.json"}, layer: access, tenant_by: {field: host, map: {a: acme, n: nord}}}
serve:
  listen: 0.0.0.0:8443
  tls: {cert: tls/cert.pem, key: /etc/key.pem, client_ca: tls/ca.pem}
  syslog:
    - udp: 192.0.2.1:514
      bindings: [{source: 192.0.2.7, sensor: acme-fw}]
    - tls: "[::]:6514"
      max_message: 128KiB
      bindings:
        - {certificate: "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99", sensor: nord-srv, tenant: nord, layer: endpoint}
        - {certificate: relay.nord.example, sensor: "rmm/*.json"}
  netflow:
    - udp: "192.0.2.1:2055"
      bindings:
        - {source: 198.51.100.0/28, sensor: nord-edge, tenant: nord, layer: network}
        - {source: 192.0.2.7, sensor: acme-fw}
  tail:
    - {paths: [/var/log/fw/*.log, logs/x.log], sensor: acme-fw, tenant: acme}
  drop: {folder: incoming}
  reorder: {settle: 500ms, window: 3m}
  limits: {bus_bytes: 5GiB, min_free: 512MiB, memory: 2GiB, request_bytes: 1.5MB, tenant_events_per_second: 2000, tenant_bytes_per_second: 4MiB, connections: 64}
  notify:
    webhooks:
      - {name: soc, url: "https://soc.example/hook", secret_file: secrets/hook, tenants: all, min_severity: medium}
      - {name: acme-hook, url: "http://10.0.0.5/hook", secret_file: secrets/acme, tenants: [acme], allow_private: true}
    mail:
      - {name: nord-mail, host: mx.example, username: u, password_file: secrets/mail, from: bw@msp.example, to: [it@nord.example], tenants: [nord]}
      - {name: local, host: localhost, port: 2525, tls: none, from: bw@msp.example, to: [a@msp.example, b@msp.example], tenants: all, allow_private: true}
    repeat_after: 2d
    per_hour: 12
  alert: {for: 48h}
`

func TestServe_takesEveryKey(t *testing.T) {
	f := parse(t, wholeServe)
	at := func(name string) string { return filepath.Join(f.Dir, name) }
	want := &Serve{
		Listen: "0.0.0.0:8443",
		TLS:    &TLS{Cert: at("tls/cert.pem"), Key: "/etc/key.pem", ClientCA: at("tls/ca.pem")},
		Syslog: []Syslog{
			{Transport: "udp", Address: "192.0.2.1:514", MaxMessage: 64 << 10, Bindings: []Binding{{Source: "192.0.2.7/32", Sensor: "acme-fw", Tenant: "acme", Layer: tenant.LayerNetwork}}},
			{Transport: "tls", Address: "[::]:6514", MaxMessage: 128 << 10, Bindings: []Binding{
				{Certificate: strings.Repeat("aabbccddeeff00112233445566778899", 2), Sensor: "nord-srv", Tenant: "nord", Layer: tenant.LayerEndpoint},
				{Certificate: "relay.nord.example", Sensor: "rmm/*.json", Layer: tenant.LayerAccess},
			}},
		},
		Tail: []Tail{{Paths: []string{"/var/log/fw/*.log", at("logs/x.log")}, Sensor: "acme-fw", Tenant: "acme", Layer: tenant.LayerNetwork}},
		NetFlow: []NetFlow{{Address: "192.0.2.1:2055", Bindings: []Binding{
			{Source: "198.51.100.0/28", Sensor: "nord-edge", Tenant: "nord", Layer: tenant.LayerNetwork},
			{Source: "192.0.2.7/32", Sensor: "acme-fw", Tenant: "acme", Layer: tenant.LayerNetwork},
		}}},
		Drop:    at("incoming"),
		Reorder: Reorder{Settle: 500 * time.Millisecond, Window: 3 * time.Minute},
		Limits: Limits{BusBytes: 5 << 30, MinFree: 512 << 20, Memory: 2 << 30, RequestBytes: 1_500_000,
			TenantEventsPerSecond: 2000, TenantBytesPerSecond: 4 << 20, Connections: 64},
		Notify: Notify{
			Webhooks: []Webhook{
				{Audience: Audience{All: true}, Name: "soc", URL: "https://soc.example/hook", SecretFile: at("secrets/hook"), MinSeverity: ocsf.SeverityMedium},
				{Audience: Audience{Tenants: []tenant.ID{"acme"}}, Name: "acme-hook", URL: "http://10.0.0.5/hook", SecretFile: at("secrets/acme"), AllowPrivate: true},
			},
			Mail: []Mail{
				{Audience: Audience{Tenants: []tenant.ID{"nord"}}, Name: "nord-mail", Host: "mx.example", Port: 587, TLS: "starttls", Username: "u", PasswordFile: at("secrets/mail"), From: "bw@msp.example", To: []string{"it@nord.example"}},
				{Audience: Audience{All: true}, Name: "local", Host: "localhost", Port: 2525, TLS: "none", From: "bw@msp.example", To: []string{"a@msp.example", "b@msp.example"}, AllowPrivate: true},
			},
			RepeatAfter: 48 * time.Hour, PerHour: 12,
		},
		Alert: Alert{For: 48 * time.Hour},
	}
	if d := cmp.Diff(want, f.Serve); d != "" {
		t.Error(d)
	}
}

func TestServe_leftOutIsNilAndAnEmptySectionIsTheDefault(t *testing.T) {
	if s := parse(t, small).Serve; s != nil {
		t.Errorf("a section out of nothing: %+v", s)
	}
	if d := cmp.Diff(DefaultServe(), parse(t, small+"serve: {}\n").Serve); d != "" {
		t.Error(d)
	}
	if a, b := parse(t, small).Model.Version, parse(t, small+"serve: {listen: \"127.0.0.1:1\"}\n").Model.Version; a != b {
		t.Errorf("how it is served changes the version of what is declared: %s %s", a, b)
	}
}

func TestServe_errorsNameLineFieldAndRemedy(t *testing.T) {
	const sensors = "sensors:\n  - {name: fw, match: {exporter: 192.0.2.7}, tenant: acme}\n  - {name: rmm, match: {path: r}, tenant_by: {field: h, map: {a: acme}}}\n"
	serve := func(s string) string { return small + sensors + "serve:\n  " + s + "\n" }
	syslog := func(binding string) string {
		return serve("syslog: [{udp: \"127.0.0.1:514\", bindings: [{" + binding + "}]}]")
	}
	hook := func(rest string) string { return serve("notify: {webhooks: [{" + rest + "}]}") }
	mail := func(rest string) string { return serve("notify: {mail: [{" + rest + "}]}") }
	const okHook = "name: a, secret_file: s, tenants: all, "
	const okMail = "name: a, host: mx.example, tenants: all, "
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", serve("lissten: a"), `t.yaml:11: serve.lissten: unknown key; did you mean "listen"?`},
		{"unknown key below", serve("limits: {bus: 1}"), "t.yaml:11: serve.limits.bus: unknown key"},
		{"not a mapping", serve("[a]"), "t.yaml:11: serve: a mapping is needed here"},
		{"listening beyond this machine in the clear", serve("listen: 0.0.0.0:80"), "serve.listen: 0.0.0.0:80 is reached from other machines, and tls is not set; set tls"},
		{"listening on every address in the clear", serve(`listen: ":80"`), "is reached from other machines"},
		{"no port", serve("listen: localhost"), `"localhost" is no host:port`},
		{"port 0", serve(`listen: "127.0.0.1:0"`), "with a port of 1 to 65535"},
		{"port too large", serve(`listen: "127.0.0.1:65536"`), "with a port of 1 to 65535"},
		{"IPv6 without brackets", serve(`listen: "::1:80"`), "write an IPv6 address in brackets"},
		{"certificate without key", serve("tls: {cert: a}"), "serve.tls.key: missing"},
		{"two transports", serve(`syslog: [{udp: "127.0.0.1:1", tcp: "127.0.0.1:1", bindings: [{source: 10.0.0.0/8, sensor: fw}]}]`), "serve.syslog[0]: 2 transports are given"},
		{"TLS without a certificate", serve(`syslog: [{tls: "127.0.0.1:1", bindings: [{source: 10.0.0.0/8, sensor: fw}]}]`), "needs a certificate, and serve.tls is not set"},
		{"a listener without bindings", serve(`syslog: [{udp: "127.0.0.1:1"}]`), "serve.syslog[0].bindings: none is given"},
		{"a collector without address", serve(`netflow: [{bindings: [{source: 10.0.0.0/8, sensor: fw}]}]`), "serve.netflow[0].udp: missing"},
		{"a collector without port", serve(`netflow: [{udp: "127.0.0.1", bindings: [{source: 10.0.0.0/8, sensor: fw}]}]`), `"127.0.0.1" is no host:port`},
		{"a collector over TCP", serve(`netflow: [{udp: "127.0.0.1:2055", tcp: "127.0.0.1:2055", bindings: [{source: 10.0.0.0/8, sensor: fw}]}]`), "serve.netflow[0].tcp: unknown key"},
		{"a collector without bindings", serve(`netflow: [{udp: "127.0.0.1:2055"}]`), "serve.netflow[0].bindings: none is given"},
		{"an exporter with a certificate", serve(`netflow: [{udp: "127.0.0.1:2055", bindings: [{certificate: a.example, sensor: fw}]}]`), "no certificate is shown over udp"},
		{"a collector on a syslog port", serve(`{syslog: [{udp: "127.0.0.1:514", bindings: [{source: 10.0.0.0/8, sensor: fw}]}], netflow: [{udp: "127.0.0.1:514", bindings: [{source: 10.0.0.0/8, sensor: fw}]}]}`), "serve.netflow[0].udp: 127.0.0.1:514 is listened on already"},
		{"two listeners on one port", serve(`{listen: "127.0.0.1:99", syslog: [{tcp: "127.0.0.1:99", bindings: [{source: 10.0.0.0/8, sensor: fw}]}]}`), "serve.syslog[0].tcp: 127.0.0.1:99 is listened on already"},
		{"message without bounds", serve(`syslog: [{udp: "127.0.0.1:1", max_message: 2GiB, bindings: [{source: 10.0.0.0/8, sensor: fw}]}]`), "2GiB is out of bounds; write 480 to 1MiB"},
		{"a binding by nothing", syslog("sensor: fw"), "bindings[0]: needs either source or certificate"},
		{"a binding by both", syslog("source: 10.0.0.1, certificate: a.example, sensor: fw"), "needs either source or certificate"},
		{"a certificate over UDP", syslog("certificate: a.example, sensor: fw"), "no certificate is shown over udp"},
		{"a source that is none", syslog("source: 10.0.0.0/40, sensor: fw"), "bindings[0].source: \"10.0.0.0/40\" is neither a prefix"},
		{"no sensor", syslog("source: 10.0.0.1, tenant: acme"), "bindings[0].sensor: missing"},
		{"an unknown sensor without tenant", syslog("source: 10.0.0.1, sensor: new"), `bindings[0].tenant: missing, and no sensor is named "new"`},
		{"an unknown tenant", syslog("source: 10.0.0.1, sensor: new, tenant: zed"), `"zed" is not declared under tenants`},
		{"another tenant than the sensor's", syslog("source: 10.0.0.1, sensor: fw, tenant: nord"), `the sensor "fw" (line 8) is "acme"'s`},
		{"a tenant for a sensor of several", syslog("source: 10.0.0.1, sensor: rmm, tenant: acme"), `the sensor "rmm" (line 9) tells tenants apart by a field`},
		{"an unknown layer", syslog("source: 10.0.0.1, sensor: fw, layer: dns"), `"dns" is no layer`},
		{"a tail of nothing", serve("tail: [{sensor: fw}]"), "serve.tail[0].paths: names no file"},
		{"a pattern that is none", serve("tail: [{sensor: fw, paths: [\"a[\"]}]"), `"a[" is no pattern of files`},
		{"a drop without folder", serve("drop: {}"), "serve.drop.folder: missing"},
		{"a size that is none", serve("limits: {memory: 2Gb}"), `serve.limits.memory: "2Gb" is no size; write 512MiB, 20GiB`},
		{"a size that overflows", serve("limits: {bus_bytes: 9999999999TiB}"), "is no size"},
		{"a duration that is none", serve("reorder: {settle: 5}"), `"5" is no duration; write 300ms`},
		{"a negative duration", serve("alert: {for: -1h}"), "is no duration"},
		{"a duration out of bounds", serve("reorder: {settle: 2h}"), "2h is out of bounds; write 0s to 1m0s"},
		{"a count that is none", serve("notify: {per_hour: many}"), "write a whole number of 1 to 10000"},
		{"a webhook for nobody", hook("name: a, secret_file: s, url: \"https://a.example\""), "webhooks[0].tenants: names no tenant"},
		{"a webhook for an unknown tenant", hook("name: a, secret_file: s, url: \"https://a.example\", tenants: [zed]"), `tenants[0]: "zed" is not declared`},
		{"a webhook without secret", hook("name: a, url: \"https://a.example\", tenants: all"), "secret_file: missing"},
		{"a webhook in the clear", hook(okHook + "url: \"http://a.example\""), "url: is not encrypted"},
		{"a webhook of another scheme", hook(okHook + "url: \"file:///etc/passwd\""), "is no web address"},
		{"a webhook with a password", hook(okHook + "url: \"https://u:p@a.example\""), "url: holds a user or password; take it out"},
		{"a severity that is none", hook(okHook + "url: \"https://a.example\", min_severity: bad"), `"bad" is no severity`},
		{"neither true nor false", hook(okHook + "url: \"https://a.example\", allow_private: yes"), `"yes" is neither true nor false`},
		{"two channels of one name", serve("notify: {webhooks: [{" + okHook + "url: \"https://a.example\"}], mail: [{" + okMail + "from: a@b.example, to: [c@d.example]}]}"), `mail[0].name: "a" is already the channel on line 11`},
		{"mail without receivers", mail(okMail + "from: a@b.example"), "to: names no receiver"},
		{"mail from nobody", mail(okMail + "from: \"A <a@b.example>\", to: [c@d.example]"), "is no mail address; write name@example.com"},
		{"mail with a line break", mail(okMail + "from: a@b.example, to: [\"c@d.example\\nBcc: x@y.example\"]"), "control characters"},
		{"mail in the clear", mail(okMail + "tls: none, from: a@b.example, to: [c@d.example]"), "mail would leave this machine unencrypted"},
		{"a user without password", mail(okMail + "username: u, from: a@b.example, to: [c@d.example]"), "username and password_file go together"},
		{"a sensor's name twice", small + "sensors:\n  - {name: a, match: {path: x}, tenant: acme}\n  - {name: a, match: {path: y}, tenant: acme}\n", `t.yaml:9: sensors[1].name: "a" already names the sensor on line 8`},
		{"a sensor's name that another has by its match", small + "sensors:\n  - {match: {path: x}, tenant: acme}\n  - {name: x, match: {path: y}, tenant: acme}\n", `"x" already names the sensor on line 8`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("t.yaml", []byte(c.text))
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("err %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got\n%v\nwant a line with\n%s", err, c.want)
			}
			if len(all) != 1 {
				t.Errorf("one fault gave %d problems:\n%v", len(all), err)
			}
		})
	}
}

func TestSensor_isNamedByItsKeyOrItsMatch(t *testing.T) {
	f := parse(t, small+`sensors:
  - {name: firewall, match: {exporter: 192.0.2.7}, tenant: acme}
  - {match: {path: "a/**"}, tenant: acme}
  - {match: {path: "b/*", exporter: relay.example, field: {x: "1", a: Y}}, tenant: nord}
  - {match: {field: z}, tenant: nord}
`)
	for i, want := range []string{"firewall", "a/**", "b/* relay.example a=Y x=1", "z"} {
		s, ok := f.SensorNamed(want)
		if !ok || s != &f.Sensors[i] {
			t.Errorf("%q: %v %v", want, s, ok)
		}
	}
	if s, ok := f.SensorNamed("192.0.2.7"); ok {
		t.Errorf("a named sensor also answers to its match: %v", s)
	}
	if _, ok := f.SensorNamed(""); ok {
		t.Error("a sensor without a name")
	}
}

func TestSizesAndDurations(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"17", 17, true}, {"20GiB", 20 << 30, true}, {"1.5MB", 1_500_000, true}, {"2 KiB", 2048, true}, {"3B", 3, true},
		{"", 0, false}, {"GiB", 0, false}, {"-1", 0, false}, {"1e3", 0, false}, {"1.2.3", 0, false}, {"8388608TiB", 0, false}, {"9223372036854775808", 0, false},
	} {
		if n, ok := parseSize(c.text); ok != c.ok || ok && n != c.want {
			t.Errorf("size %q: %d %v", c.text, n, ok)
		}
	}
	for _, c := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"300ms", 300 * time.Millisecond, true}, {"3d", 72 * time.Hour, true}, {"0s", 0, true},
		{"1.5d", 0, false}, {"d", 0, false}, {"-3h", 0, false}, {"99999d", 0, false}, {"5", 0, false},
	} {
		if d, ok := parseDuration(c.text); ok != c.ok || ok && d != c.want {
			t.Errorf("duration %q: %s %v", c.text, d, ok)
		}
	}
}
