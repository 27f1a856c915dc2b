package lateral

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// monday is in office hours; before it lies a week in which the tenant was watched.
var monday = time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// model is a provider with two clients, one of which declares more than the other.
func model() *tenant.Model {
	return &tenant.Model{
		Version: "v1",
		Tenants: []tenant.Tenant{
			{ID: "north", Role: tenant.RoleProvider, Networks: []netip.Prefix{prefix("10.50.0.0/16")}},
			{ID: "acme", Role: tenant.RoleClient, Networks: []netip.Prefix{prefix("10.20.0.0/16")}},
			{ID: "borg", Role: tenant.RoleClient, Networks: []netip.Prefix{prefix("10.30.0.0/16")}},
		},
		Partners: []tenant.Partner{{ID: "northwind", Tenant: "north"}, {ID: "maker"}},
		Trusts: []tenant.Trust{
			{ID: "nw-acme", Partner: "northwind", Tenant: "acme", Owner: "it@acme.example", Accounts: []string{"nw-*", "adm-lee"}, Networks: []netip.Prefix{prefix("10.99.0.0/24")},
				JumpHosts: []string{"jump1.acme.example"}, Rights: []string{"reset-password"}, Destinations: []string{"10.20.0.0/16", "srv1", "srv2", "srv3", "jump1"},
				Hours: tenant.Hours{Restricted: true, Days: [7]bool{false, true, true, true, true, true, false}, From: 6 * 60, To: 20 * 60}},
			{ID: "nw-borg", Partner: "northwind", Tenant: "borg", Accounts: []string{"nw-*"}},
			{ID: "maker-acme", Partner: "maker", Tenant: "acme", Networks: []netip.Prefix{prefix("198.51.100.0/28")}},
		},
		Approvals: []tenant.Approval{
			{Trust: "nw-acme", Src: prefix("10.99.0.66/32"), Kind: "scan", From: monday.AddDate(0, 0, -1), Until: monday.AddDate(0, 0, 2), Owner: "cio@acme.example", Reason: "test"},
			{Trust: "nw-acme", Src: prefix("10.99.0.67/32"), Kind: "scan", From: monday, Until: monday.Add(time.Hour), Owner: "cio@acme.example", Reason: "inventory"},
		},
	}
}

var count uint64

// change is what makes one event another.
type change func(*ocsf.Event)

// event is one record at monday plus so many seconds.
func event(after int, source string, class ocsf.ClassUID, activity string, with ...change) *ocsf.Event {
	count++
	e := &ocsf.Event{Time: monday.Add(time.Duration(after) * time.Second), Tenant: "acme", Layer: tenant.LayerNetwork, Source: source, Class: class, Activity: activity,
		Raw: ocsf.RawRef{File: source + ".log", Record: int64(count)}}
	binary.BigEndian.PutUint64(e.ID[:], count)
	if strings.HasPrefix(source, "windows") {
		e.Layer = tenant.LayerEndpoint
	}
	for _, w := range with {
		w(e)
	}
	e.Fields.Sort()
	return e
}

func from(a string) change   { return func(e *ocsf.Event) { e.Src.IP = netip.MustParseAddr(a) } }
func to(a string) change     { return func(e *ocsf.Event) { e.Dst.IP = netip.MustParseAddr(a) } }
func on(name string) change  { return func(e *ocsf.Event) { e.Device = name } }
func at(id tenant.ID) change { return func(e *ocsf.Event) { e.Tenant = id } }
func as(name string) change {
	return func(e *ocsf.Event) { e.User.Name, e.Status = name, ocsf.StatusSuccess }
}
func fields(kv ...string) change {
	return func(e *ocsf.Event) {
		for i := 0; i+1 < len(kv); i += 2 {
			e.Fields = append(e.Fields, ocsf.Field{Name: kv[i], Value: kv[i+1]})
		}
	}
}

// partner is the attribution to the provider; owner is who holds the VPN session.
func partner(owner string) change {
	return func(e *ocsf.Event) {
		e.Partner, e.Trust, e.Rule, e.Direction = "northwind", "nw-acme", "session", ocsf.DirectionIn
		if e.Owner.Name = owner; owner != "" {
			e.Session = "vpn-" + owner
		}
	}
}

const vpn, srv, srv2 = "10.99.0.7", "10.20.1.5", "10.20.1.6"

func write(after int, with ...change) *ocsf.Event {
	return event(after, "zeek/smb_files", ocsf.ClassSMBActivity, "write", append([]change{from(vpn), to(srv), fields("path", `\\SRV1\ADMIN$`, "name", "x.exe")}, with...)...)
}

func rpc(after int, endpoint, operation string, with ...change) *ocsf.Event {
	return event(after, "zeek/dce_rpc", ocsf.ClassNetworkActivity, "traffic", append([]change{from(vpn), to(srv), fields("endpoint", endpoint, "operation", operation)}, with...)...)
}

func logon(after int, kind, account string, with ...change) *ocsf.Event {
	return event(after, "windows/security", ocsf.ClassAuthentication, "logon", append([]change{from(vpn), on("SRV1.acme.example"), as(account), fields("LogonType", kind, "TargetLogonId", "0x77")}, with...)...)
}

// watched is one honest event long before, so that the tenant's past is known to be empty of what follows.
func watched() *ocsf.Event {
	return event(-7*86400, "zeek/dns", ocsf.ClassDNSActivity, "query", from("10.20.2.2"))
}

func run(t *testing.T, events ...*ocsf.Event) []*ocsf.Finding {
	t.Helper()
	d, last := New(detect.Context{Model: model()}), map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	slices.SortStableFunc(events, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
	for _, e := range events {
		d.Process(e, emit)
	}
	d.Advance(monday.AddDate(1, 0, 0), emit)
	var list []*ocsf.Finding
	for _, f := range last {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *ocsf.Finding) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.ID, b.ID))
	})
	return list
}

func brief(list []*ocsf.Finding) string {
	var out []string
	for _, f := range list {
		line := fmt.Sprintf("%s %s %s", strings.TrimPrefix(f.Rule, "lateral/"), f.Severity, f.Outcome)
		if f.Suppressed != nil {
			line += " suppressed"
		}
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}

func TestEachCombinationOfBZAR(t *testing.T) {
	for _, c := range []struct{ endpoint, operation string }{
		{"svcctl", "CreateServiceWOW64W"}, {"svcctl", "CreateServiceWOW64A"}, {"svcctl", "CreateServiceW"}, {"svcctl", "CreateServiceA"},
		{"svcctl", "StartServiceW"}, {"svcctl", "StartServiceA"}, {"IWbemServices", "ExecMethod"}, {"IWbemServices", "ExecMethodAsync"},
		{"atsvc", "JobAdd"}, {"ITaskSchedulerService", "SchRpcRegisterTask"}, {"ITaskSchedulerService", "SchRpcRun"}, {"ITaskSchedulerService", "SchRpcEnableTask"},
	} {
		t.Run(c.endpoint+"::"+c.operation, func(t *testing.T) {
			order := func(after int) *ocsf.Event { return rpc(after, c.endpoint, c.operation, partner("nw-kim")) }
			if got := brief(run(t, watched(), write(0, partner("nw-kim")), order(30))); got != "admin-share-exec medium succeeded" {
				t.Errorf("written, then executed: %s", got)
			}
			if got := brief(run(t, watched(), order(0), write(30, partner("nw-kim")))); got != "admin-share-exec medium succeeded" {
				t.Errorf("executed, then written: %s", got)
			}
			if got := brief(run(t, watched(), write(0, partner("nw-kim")), order(int(Window/time.Second)+1))); got != "remote-exec low attempted" {
				t.Errorf("further apart than the window: %s", got)
			}
			if got := brief(run(t, watched(), write(0, partner("nw-kim")), rpc(30, c.endpoint, c.operation, partner("nw-kim"), to(srv2)))); got != "remote-exec low attempted" {
				t.Errorf("on another host: %s", got)
			}
			if got := brief(run(t, watched(), write(0, partner("nw-kim"), fields("x", "")), rpc(30, c.endpoint, "QueryServiceStatus", partner("nw-kim")))); got != "" {
				t.Errorf("an operation that orders nothing: %s", got)
			}
			office := write(0, partner("nw-kim"))
			office.Fields = ocsf.Fields{{Name: "name", Value: "a.docx"}, {Name: "path", Value: `\\SRV1\Projects`}}
			if got := brief(run(t, watched(), office, order(30))); got != "remote-exec low attempted" {
				t.Errorf("written to a share of the office: %s", got)
			}
		})
	}
}

func TestTransferAndOrderAsEachSourceTellsThem(t *testing.T) {
	p := partner("nw-kim")
	made := func(after int, with ...change) *ocsf.Event {
		return event(after, "windows/system", ocsf.ClassWindowsService, "create", append([]change{on("srv1.acme.example"), fields("ServiceName", "abcd")}, with...)...)
	}
	share := func(after int, name, rest, mask string) *ocsf.Event {
		return event(after, "windows/security", ocsf.ClassSMBActivity, "share file", from(vpn), on("SRV1"), as("nw-kim"), p,
			fields("ShareName", `\\*\`+name, "RelativeTargetName", rest, "AccessMask", mask, "SubjectLogonId", "0x77"))
	}
	eve := func(after int, command string, kv ...string) *ocsf.Event {
		return event(after, "suricata/smb", ocsf.ClassSMBActivity, command, from(vpn), to(srv), p, fields(append(kv, "flow_id", "9")...))
	}
	opened := func(created string) *ocsf.Event {
		e := write(0, p, fields("times.created", created))
		e.Activity = "open"
		return e
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"Zeek's default: an opening that makes the file", []*ocsf.Event{opened(fmt.Sprintf("%d.5", monday.Unix())), rpc(9, "svcctl", "CreateServiceW", p)}, "admin-share-exec medium succeeded"},
		{"an opening of an old file", []*ocsf.Event{opened("1500000000.5"), rpc(9, "svcctl", "CreateServiceW", p)}, "admin-share-exec medium attempted"},
		{"Windows: 5145 writes, and the System log has the service", []*ocsf.Event{share(0, "ADMIN$", "x.exe", "0x2"), made(5)}, "admin-share-exec medium succeeded"},
		{"the service's record comes before that of the share", []*ocsf.Event{made(0), share(5, "ADMIN$", "x.exe", "0x2")}, "admin-share-exec medium succeeded"},
		{"5145 reads only", []*ocsf.Event{share(0, "ADMIN$", "x.exe", "0x1"), made(5)}, ""},
		{"5145 on a drive's share, and a tool's pipe", []*ocsf.Event{share(0, "C$", `Windows\x.exe`, "0x6"), share(3, "IPC$", "PSEXESVC-WS1-123-stdin", "0x3")}, "admin-share-exec medium succeeded"},
		{"the pipe of the service control manager ties the service to its source", []*ocsf.Event{share(0, "IPC$", "svcctl", "0x3"), made(5)}, "remote-exec low succeeded"},
		{"4697 names the logon session", []*ocsf.Event{logon(0, "3", "nw-kim", p),
			event(5, "windows/security", ocsf.ClassWindowsService, "create", on("SRV1.acme.example"), fields("ServiceName", "abcd", "SubjectLogonId", "0x77"))}, "remote-exec low succeeded"},
		{"4698 of somebody on remote desktop is done there", []*ocsf.Event{logon(0, "10", "nw-kim", p),
			event(5, "windows/security", ocsf.ClassScheduledJob, "create", on("SRV1.acme.example"), fields("TaskName", "abcd", "SubjectLogonId", "0x77"))}, ""},
		{"a service that nobody from afar is seen with", []*ocsf.Event{made(0)}, ""},
		{"a process below WMI's host in a network logon", []*ocsf.Event{logon(0, "3", "nw-kim", p), event(5, "windows/sysmon", ocsf.ClassProcessActivity, "launch", on("srv1"), fields("LogonId", "0x77"),
			func(e *ocsf.Event) {
				e.Process = &ocsf.Process{Image: `C:\Windows\System32\cmd.exe`, ParentImage: `C:\Windows\System32\wbem\WmiPrvSE.exe`}
			})}, "remote-exec low succeeded"},
		{"a process below WinRM's host", []*ocsf.Event{logon(0, "3", "nw-kim", p), event(5, "windows/sysmon", ocsf.ClassProcessActivity, "launch", on("srv1"), fields("LogonId", "0x77"),
			func(e *ocsf.Event) {
				e.Process = &ocsf.Process{Image: `C:\Windows\System32\whoami.exe`, ParentImage: `C:\Windows\System32\wsmprovhost.exe`}
			})}, "remote-exec low succeeded"},
		{"Suricata: bound once, ordered by number", []*ocsf.Event{eve(0, "create", "smb.share", `\\SRV1\ADMIN$`, "smb.filename", "x.exe", "smb.disposition", "FILE_OVERWRITE_IF"),
			eve(1, "write", "smb.dcerpc.request", "BIND", "smb.dcerpc.interfaces.0.uuid", "367abb81-9844-35f1-ad32-98f038001003"),
			eve(2, "write", "smb.dcerpc.request", "REQUEST", "smb.dcerpc.opnum", "12")}, "admin-share-exec medium succeeded"},
		{"Suricata: an operation that orders nothing", []*ocsf.Event{eve(0, "create", "smb.share", `\\SRV1\ADMIN$`, "smb.filename", "x.exe", "smb.disposition", "FILE_OVERWRITE_IF"),
			eve(1, "write", "smb.dcerpc.request", "BIND", "smb.dcerpc.interfaces.0.uuid", "367abb81-9844-35f1-ad32-98f038001003"),
			eve(2, "write", "smb.dcerpc.request", "REQUEST", "smb.dcerpc.opnum", "6")}, ""},
		{"Suricata: a number without a binding", []*ocsf.Event{eve(2, "write", "smb.dcerpc.request", "REQUEST", "smb.dcerpc.opnum", "12")}, ""},
		{"the network knows the host by address, its own log by name", []*ocsf.Event{event(-9, "zeek/smb_mapping", ocsf.ClassSMBActivity, "open", from("10.20.2.9"), to(srv), fields("path", `\\SRV1\Public`)),
			write(0, p), made(9)}, "admin-share-exec medium succeeded"},
		{"a remote desktop tool's service is another detector's", []*ocsf.Event{share(0, "ADMIN$", "x.exe", "0x2"), made(5, func(e *ocsf.Event) {
			e.Remote = &ocsf.RemoteSession{Tool: "screenconnect", Act: "install"}
		})}, ""},
		{"PsExec's own service is no session", []*ocsf.Event{share(0, "ADMIN$", "PSEXESVC.exe", "0x2"), made(5, func(e *ocsf.Event) {
			e.Remote = &ocsf.RemoteSession{Tool: "psexec", Act: "install"}
		})}, "admin-share-exec medium succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, append(c.events, watched())...)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
