package netconfig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// seeds are configurations of every format.
func seeds() map[string]string {
	return map[string]string{
		"nftables": nftPlanted, "pfsense": pfPlanted, "fortigate": fortiPlanted, "cisco-asa": asaPlanted, "pan-os": panPlanted, "aws-security-groups": awsPlanted, "azure-nsg": azurePlanted,
		"nftables-json": `{"nftables": [{"table": {"family": "inet", "name": "f"}}, {"chain": {"family": "inet", "table": "f", "name": "i", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}, {"set": {"family": "inet", "table": "f", "name": "s", "type": "ipv4_addr", "elem": [{"prefix": {"addr": "192.0.2.0", "len": 24}}, {"range": ["10.0.0.1", "10.0.0.9"]}]}},
{"rule": {"family": "inet", "table": "f", "chain": "i", "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@s"}}, {"vmap": {"key": {"concat": [{"meta": {"key": "iifname"}}, {"payload": {"protocol": "tcp", "field": "dport"}}]}, "data": {"set": [[{"concat": ["eth0", 22]}, {"accept": null}]]}}}]}}]}`,
		"iptables-save":      "create v hash:net\nadd v 192.0.2.0/24\n*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i eth0 -p tcp -m tcp --dport 3389 -j DNAT --to-destination 10.0.0.9:3389\nCOMMIT\n*filter\n:INPUT DROP [0:0]\n:p - [0:0]\n-A INPUT -m set --match-set v src -p tcp ! --dport 22 -j p\n-A p -j RETURN\n-A p -g INPUT\nCOMMIT\n",
		"conditional-access": caPolicies, "gdap": gdapList, "cross-tenant-access": crossList,
	}
}

const (
	caPolicies = `{"@odata.context": "x", "value": [
 {"displayName": "mfa for all", "state": "enabled", "conditions": {"clientAppTypes": ["all"], "users": {"includeUsers": ["All"], "excludeUsers": ["break-glass"]}, "applications": {"includeApplications": ["All"]}}, "grantControls": {"operator": "OR", "builtInControls": ["mfa"]}},
 {"displayName": "mfa or a known device", "state": "enabled", "conditions": {"clientAppTypes": ["all"], "users": {"includeUsers": ["All"]}, "applications": {"includeApplications": ["All"]}}, "grantControls": {"operator": "OR", "builtInControls": ["mfa", "compliantDevice"]}},
 {"displayName": "no legacy", "state": "enabledForReportingButNotEnforced", "conditions": {"clientAppTypes": ["exchangeActiveSync", "other"], "users": {"includeUsers": ["All"], "excludeGuestsOrExternalUsers": {"guestOrExternalUserTypes": "b2bCollaborationGuest,serviceProvider"}}, "applications": {"includeApplications": ["All"]}}, "grantControls": {"operator": "OR", "builtInControls": ["block"]}},
 {"displayName": "broken"}]}`
	gdapList = `{"value": [
 {"id": "a", "displayName": "all of it", "status": "active", "duration": "P2Y", "autoExtendDuration": "P180D", "endDateTime": "2027-01-01T00:00:00Z", "customer": {"tenantId": "c1"}, "accessDetails": {"unifiedRoles": [{"roleDefinitionId": "62E90394-69f5-4237-9190-012177145e10"}, {"roleDefinitionId": "x"}]}},
 {"id": "b", "displayName": "help desk", "status": "expired", "duration": "P90D", "autoExtendDuration": "PT0S", "endDateTime": "2026-01-01T00:00:00Z", "partner": {"tenantId": "p1"}, "accessDetails": {"unifiedRoles": [{"roleDefinitionId": "y"}]}}]}`
	crossList = `{"value": [{"tenantId": "p1", "isServiceProvider": true, "inboundTrust": {"isMfaAccepted": true}}, {"tenantId": "p9", "isServiceProvider": false}, {"isServiceProvider": false}]}`
)

// A file that ends anywhere gives an error or what it has, and never a panic; whatever the file lacks, no fact is of
// another tenant.
func TestFilesThatAreCutOff(t *testing.T) {
	for name, data := range seeds() {
		t.Run(name, func(t *testing.T) {
			f := format(t, name)
			step := max(len(data)/97, 1)
			for n := 0; n <= len(data); n += step {
				a, err := readAs(f, []byte(data[:n]), at)
				if err != nil && !strings.Contains(err.Error(), "a file") {
					t.Fatalf("cut at %d: the error does not name the file: %v", n, err)
				}
				for _, it := range a.items {
					if it.Tenant != "client" {
						t.Fatalf("cut at %d: a fact of %q", n, it.Tenant)
					}
				}
			}
		})
	}
}

func format(t testing.TB, name string) evidence.Format {
	t.Helper()
	for _, f := range Formats(model()) {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("there is no format %s", name)
	return evidence.Format{}
}

func TestEverySeedIsRecognisedByItsOwnFormatAlone(t *testing.T) {
	for name, data := range seeds() {
		if got := recognised(t, []byte(data), nil).Name; got != name {
			t.Errorf("%s is taken for %s", name, got)
		}
	}
	for _, other := range []string{"", "{}", "[]", "{\"value\": []}", "<xml/>", "hello", "id,name\n1,2\n"} {
		for _, f := range Formats(nil) {
			if f.Recognise("a file", []byte(other)) {
				t.Errorf("%q is taken for %s", other, f.Name)
			}
		}
	}
}

func TestWindowsWritesUTF16(t *testing.T) {
	units := utf16.Encode([]rune(asaPlanted))
	data := []byte{0xff, 0xfe}
	for _, u := range units {
		data = append(data, byte(u), byte(u>>8))
	}
	got := read(t, data, model(), at)
	if got.format != "cisco-asa" || len(got.bad) > 0 || got.rules["rdp to all"]["management_open"] != true {
		t.Errorf("%s: %v %v", got.format, got.bad, got.rules["rdp to all"])
	}
	withMark := read(t, []byte("\xef\xbb\xbf"+strings.ReplaceAll(asaPlanted, "\n", "\r\n")), model(), at)
	if len(withMark.bad) > 0 || withMark.rules["rdp to all"]["management_open"] != true {
		t.Errorf("with a byte order mark and carriage returns: %v", withMark.bad)
	}
}

func TestBrokenRecordsAreToldAndTheRestIsRead(t *testing.T) {
	for _, c := range []struct {
		name, format, data string
		bad                []string // parts of what is told
		rules              int      // enabled
	}{
		{"a port that is none", "cisco-asa", "ASA Version 9\naccess-list O extended permit tcp any any eq 99999\naccess-list O extended permit tcp any any eq 22\naccess-group O in interface outside\n", []string{"2: access-list O: the port \"99999\" is not known"}, 1},
		{"an address that is none", "cisco-asa", "ASA Version 9\naccess-list O extended permit tcp host 300.1.1.1 any\naccess-group O in interface outside\n", []string{"2: "}, 0},
		{"groups in a circle", "cisco-asa", "ASA Version 9\nobject-group network a\n group-object b\nobject-group network b\n group-object a\naccess-list O extended permit tcp object-group a any eq 22\naccess-group O in interface outside\n", []string{"holds itself"}, 1},
		{"a list that is not there", "cisco-asa", "ASA Version 9\naccess-group O in interface outside\n", []string{"not there"}, 0},
		{"chains in a circle", "iptables-save", "*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n:b - [0:0]\n-A INPUT -j a\n-A a -j b\n-A b -j a\nCOMMIT\n", []string{"perhaps in a circle"}, 0},
		{"a chain that is not there", "iptables-save", "*filter\n:INPUT DROP [0:0]\n-A INPUT -j nowhere\nCOMMIT\n", []string{"which is not there"}, 0},
		{"a rule cut in two", "iptables-save", "*filter\n:INPUT DROP [0:0]\n-A INPUT -s 10.0.0.0/8 -j ACCEPT\n-A INPUT -s 10.0.0.0/33 -j ACCEPT\n-A INPUT -p tcp --dport", []string{"before its COMMIT", "the address", "the ports"}, 1},
		{"an interface that is not there", "pfsense", "<pfsense><interfaces><wan/></interfaces><filter><rule><type>pass</type><interface>opt7</interface><source><any/></source><destination><any/></destination></rule></filter></pfsense>", []string{"\"opt7\" is not there"}, 1},
		{"an action that is none", "fortigate", "config firewall policy\nedit 1\nset action perhaps\nset srcaddr all\nset dstaddr all\nnext\nend\n", []string{"\"perhaps\", which is not known"}, 0},
		{"ports the wrong way round", "aws-security-groups", `{"SecurityGroups": [{"GroupId": "g", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 9, "ToPort": 5, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, {"IpProtocol": "tcp", "FromPort": 5, "ToPort": 9, "IpRanges": [{"CidrIp": "here"}, {"CidrIp": "0.0.0.0/0"}]}]}]}`, []string{"can't be", "\"here\" can't be read"}, 1},
		{"a priority without access", "azure-nsg", `{"name": "n", "securityRules": [{"name": "a", "direction": "Inbound", "protocol": "Tcp"}]}`, []string{"which is not known"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAs(format(t, c.format), []byte(c.data), at)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.bad) != len(c.bad) {
				t.Errorf("told: %q", got.bad)
			}
			for i := range min(len(got.bad), len(c.bad)) {
				if !strings.Contains(got.bad[i], c.bad[i]) {
					t.Errorf("told is %q, want %q", got.bad[i], c.bad[i])
				}
			}
			if got.config["rules"] != int64(c.rules) || got.config["broken"] != int64(len(c.bad)) {
				t.Errorf("rules %v (want %d), broken %v", got.config["rules"], c.rules, got.config["broken"])
			}
		})
	}
}

func TestBombsAreRefused(t *testing.T) {
	for name, data := range map[string]string{
		"nftables-json":       `{"nftables": ` + strings.Repeat("[", 100_000),
		"aws-security-groups": `{"SecurityGroups": ` + strings.Repeat(`{"a":`, 100_000),
		"pfsense":             "<pfsense>" + strings.Repeat("<a>", 100_000),
	} {
		if _, err := readAs(format(t, name), []byte(data), at); err == nil {
			t.Errorf("%s: a bomb was read", name)
		}
	}
	entities, err := readAs(format(t, "pan-os"), []byte(`<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><config urldb="x"><shared>&b;</shared></config>`), at)
	if err != nil || len(entities.bad) != 1 || !strings.Contains(entities.bad[0], "entity") {
		t.Errorf("entities of XML: %v %v", err, entities.bad)
	}
	// Chains that each jump to the next twice are 2^40 rules when they are followed.
	var b strings.Builder
	b.WriteString("*filter\n:INPUT DROP [0:0]\n")
	for i := range 40 {
		fmt.Fprintf(&b, ":c%d - [0:0]\n", i)
	}
	b.WriteString("-A INPUT -j c0\n")
	for i := range 39 {
		fmt.Fprintf(&b, "-A c%d -j c%d\n-A c%d -j c%d\n", i, i+1, i, i+1)
	}
	b.WriteString("-A c39 -j ACCEPT\nCOMMIT\n")
	got, err := readAs(format(t, "iptables-save"), []byte(b.String()), at)
	if err != nil || len(got.bad) != 1 || !strings.Contains(got.bad[0], "following all jumps") {
		t.Errorf("%v %v", err, got.bad)
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := format(t, "cisco-asa")
	err := f.Read(ctx, evidence.Input{Tenant: "client", Name: "a file", Reader: strings.NewReader(manyRules(5000))}, evidence.Sink{Item: func(evidence.Item) error { return nil }, Bad: func(int64, string) {}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	stop := errors.New("stop")
	err = f.Read(t.Context(), evidence.Input{Tenant: "client", Name: "a file", Reader: strings.NewReader(asaPlanted)}, evidence.Sink{Item: func(evidence.Item) error { return stop }, Bad: func(int64, string) {}})
	if !errors.Is(err, stop) {
		t.Errorf("the error of the sink is not returned: %v", err)
	}
}

// fuzz reads whatever it is given; every item must be whole.
func fuzz(f *testing.F, name string) {
	f.Add([]byte(seeds()[name]))
	f.Add([]byte(""))
	reader := format(f, name)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		a, _ := readAs(reader, data, at)
		for _, it := range a.items {
			if it.Kind == "" || it.Tenant != "client" || it.Values == nil || it.From.Line < 0 {
				t.Fatalf("%+v", it)
			}
			for key, v := range it.Values {
				if v == nil {
					t.Fatalf("%s of %+v is nil", key, it)
				}
			}
		}
	})
}

func FuzzNftables(f *testing.F)          { fuzz(f, "nftables") }
func FuzzNftablesJSON(f *testing.F)      { fuzz(f, "nftables-json") }
func FuzzIptables(f *testing.F)          { fuzz(f, "iptables-save") }
func FuzzPfSense(f *testing.F)           { fuzz(f, "pfsense") }
func FuzzFortiGate(f *testing.F)         { fuzz(f, "fortigate") }
func FuzzASA(f *testing.F)               { fuzz(f, "cisco-asa") }
func FuzzPanOS(f *testing.F)             { fuzz(f, "pan-os") }
func FuzzAWS(f *testing.F)               { fuzz(f, "aws-security-groups") }
func FuzzAzure(f *testing.F)             { fuzz(f, "azure-nsg") }
func FuzzConditionalAccess(f *testing.F) { fuzz(f, "conditional-access") }
func FuzzGDAP(f *testing.F)              { fuzz(f, "gdap") }
func FuzzCrossTenant(f *testing.F)       { fuzz(f, "cross-tenant-access") }
