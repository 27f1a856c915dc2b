package lateral

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/detecttest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// TestTheSharedStreamHasEachKind makes sure that the promises are checked over findings of every kind.
func TestTheSharedStreamHasEachKind(t *testing.T) {
	rules := map[string]int{}
	for seed := range uint64(3) {
		g := detect.NewEngine("v7", fresh())
		for _, e := range detecttest.Events(seed, 1500) {
			g.Process(e)
		}
		g.Finish()
		for _, f := range g.Findings() {
			rules[f.Rule]++
		}
	}
	for _, r := range []string{"lateral/admin-share-exec", "lateral/remote-exec", "lateral/credential-switch", "lateral/onward-hop", "lateral/disarmed"} {
		if rules[r] == 0 {
			t.Errorf("no finding of %s: %v", r, rules)
		}
	}
}

// judged is what order must not change: everything but the order of entities and evidence.
func judged(list []*ocsf.Finding) []string {
	var out []string
	for _, f := range list {
		var who []string
		for _, e := range f.Entities {
			who = append(who, fmt.Sprint(e))
		}
		slices.Sort(who)
		out = append(out, fmt.Sprint(f.ID, f.Rule, f.Severity, f.Confidence, f.Outcome, f.Time, f.End, f.Count, f.Partner, f.Suppressed, who, f.Reason))
	}
	slices.Sort(out)
	return out
}

func TestOrderOfEqualTimesAndBatchesDoNotChangeTheVerdict(t *testing.T) {
	p := partner("nw-kim")
	episode := slices.Concat(psexec(0, p), psexec(0, p, to(srv2)), []*ocsf.Event{
		rpc(0, "ITaskSchedulerService", "SchRpcRegisterTask", p),
		event(0, "windows/system", ocsf.ClassWindowsService, "create", on("srv9"), fields("ServiceName", "a")),
		write(0, p), write(0, p, to("10.20.1.8"))})
	for _, e := range episode {
		e.Time = monday
	}
	r := rand.New(rand.NewPCG(1, 2))
	var want []string
	for i := range 60 {
		r.Shuffle(len(episode), func(i, j int) { episode[i], episode[j] = episode[j], episode[i] })
		d, last := New(detect.Context{Model: model()}), map[string]*ocsf.Finding{}
		emit := func(f *ocsf.Finding) { last[f.ID] = f }
		d.Process(watched(), emit)
		for _, e := range episode {
			d.Process(e, emit)
			if r.IntN(3) == 0 {
				d.Advance(monday, emit)
			}
		}
		d.Advance(monday.AddDate(0, 0, 1), emit)
		var list []*ocsf.Finding
		for _, f := range last {
			list = append(list, f)
		}
		got := judged(list)
		if i == 0 {
			want = got
		}
		if len(got) != 2 || !slices.Equal(got, want) {
			t.Fatalf("order %d:\ngot  %q\nwant %q", i, got, want)
		}
	}
}

func TestTenantsDoNotMix(t *testing.T) {
	if got := brief(run(t, watched(), write(0, at("acme")), rpc(5, "svcctl", "CreateServiceW", at("borg")))); got != "" {
		t.Errorf("a transfer at one tenant and an order at another: %s", got)
	}
}

func TestFloodsAreBounded(t *testing.T) {
	d, told := New(detect.Context{Model: model()}), 0
	emit := func(*ocsf.Finding) { told++ }
	d.Process(watched(), emit)
	addr := func(i int) string { return netip.AddrFrom4([4]byte{10, 21, byte(i >> 8), byte(i)}).String() }
	for i := range MaxPairs + 4000 {
		a := addr(i)
		d.Process(write(i/100, from(a)), emit)
		d.Process(rpc(i/100, "svcctl", "CreateServiceW", from(a)), emit)
		d.Process(logon(i/100, "3", fmt.Sprint("u", i), from(a), on(fmt.Sprint("h", i)), fields("x", "")), emit)
	}
	for name, n := range map[string][2]int{"pairs": {len(d.s.Pairs), MaxPairs}, "targets": {len(d.s.Targets), MaxTargets}, "sources": {len(d.s.Sources), MaxSources}, "findings": {len(d.s.Found), MaxFound},
		"seen": {len(d.s.Seen), MaxSeen}, "habits": {len(d.s.Habits), MaxHabits}, "logons": {len(d.s.Logons), MaxLogons}} {
		if n[0] > n[1] {
			t.Errorf("%d %s are kept, more than %d", n[0], name, n[1])
		}
	}
	// One pair in a flood: one finding, told now and then, and what was held back comes with Advance.
	d, told = New(detect.Context{Model: model()}), 0
	var last *ocsf.Finding
	for i := range 5000 {
		d.Process(write(i/10), emit)
		d.Process(rpc(i/10, "svcctl", "StartServiceW"), emit)
	}
	d.Advance(monday.Add(time.Hour), func(f *ocsf.Finding) { last = f })
	if told > 100 || last == nil || last.Count != 10_000 || len(last.Evidence) > ocsf.MaxEvidence {
		t.Errorf("told %d times, last %+v", told, last)
	}
}

func TestWhatIsOverIsForgotten(t *testing.T) {
	d := New(detect.Context{Model: model()})
	emit := func(*ocsf.Finding) {}
	for _, e := range append(psexec(0, partner("nw-kim")), logon(9, "10", "nw-kim", partner("nw-kim"))) {
		d.Process(e, emit)
	}
	d.Advance(monday.Add(ForgetAfter+24*time.Hour), emit)
	if n := len(d.s.Pairs) + len(d.s.Targets) + len(d.s.Sources) + len(d.s.Found) + len(d.s.Seen) + len(d.s.Habits) + len(d.s.Logons); n != 0 {
		t.Errorf("%d things are still remembered", n)
	}
}

func TestRestoreRefusesNonsense(t *testing.T) {
	if err := New(detect.Context{Model: model()}).Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense is restored")
	}
	b, err := detect.EncodeState(state{Found: map[string]*open{"x": {}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := New(detect.Context{Model: model()}).Restore(b); err == nil {
		t.Error("a finding without a finding is restored")
	}
}

func TestExplainSaysWhatWasReadAndWhatIsMissing(t *testing.T) {
	d := New(detect.Context{Model: model()})
	for _, c := range []struct {
		e    *ocsf.Event
		want string
	}{
		{write(0), `file written by admin share (ADMIN$\x.exe) from 10.99.0.7 on 10.20.1.5`},
		{logon(0, "10", "nw-kim"), "logon by RDP from 10.99.0.7 on srv1 as nw-kim"},
		{event(0, "zeek/dns", ocsf.ClassDNSActivity, "query"), "no act of one host on another by an administrative way"},
	} {
		if got := d.Explain(c.e)[0]; got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// FuzzRead gives readers records that nobody checked: whatever their fields say, an act has its sides or is none.
func FuzzRead(f *testing.F) {
	f.Add("zeek/smb_files", "open", `\\S\ADMIN$`, "x.exe", "1.5", uint32(ocsf.ClassSMBActivity))
	f.Add("zeek/kerberos", "service ticket request", "cifs/S.x/y", "", "", uint32(ocsf.ClassAuthentication))
	f.Add("windows/security", "share file", `\\*\IPC$`, "svcctl", "0x3", uint32(ocsf.ClassSMBActivity))
	f.Add("windows/security", "logon", "S", "10", "0x1", uint32(ocsf.ClassAuthentication))
	f.Add("windows/sysmon", "launch", `\wmiprvse.exe`, `\cmd.exe`, "", uint32(ocsf.ClassProcessActivity))
	f.Add("suricata/smb", "create", "svcctl", "12", "REQUEST", uint32(ocsf.ClassSMBActivity))
	f.Fuzz(func(t *testing.T, source, activity, a, b, c string, class uint32) {
		e := event(0, source, ocsf.ClassUID(class), activity, from(vpn), to(srv), on(a), as(b))
		e.Actor.Name, e.Dst.Host, e.Process = c, c, &ocsf.Process{Image: b, ParentImage: a}
		for _, n := range []string{"path", "endpoint", "service", "ShareName", "ServiceName", "TaskName", "smb.share", "smb.named_pipe", "smb.dcerpc.interfaces.0.uuid"} {
			fields(n, a)(e)
		}
		for _, n := range []string{"name", "operation", "RelativeTargetName", "LogonType", "smb.filename", "smb.dcerpc.opnum", "AccessList"} {
			fields(n, b)(e)
		}
		for _, n := range []string{"times.created", "AccessMask", "SubjectLogonId", "smb.dcerpc.request", "smb.disposition"} {
			fields(n, c)(e)
		}
		e.Fields.Sort()
		if x, ok := read(e); ok && !x.target.known() && !x.source.known() {
			t.Errorf("an act without sides: %+v", x)
		}
		d := New(detect.Context{Model: model()})
		for range 3 {
			d.Process(e, func(f *ocsf.Finding) {
				if f.Reason == "" || f.Severity == ocsf.SeverityUnknown || f.ID == "" {
					t.Errorf("an incomplete finding: %+v", f)
				}
			})
		}
		d.Explain(e)
	})
}

// BenchmarkNothingOfInterest is the daily bread: flows to the web, DNS, processes.
func BenchmarkNothingOfInterest(b *testing.B) {
	var events []*ocsf.Event
	for i := range 3000 {
		e := event(i, []string{"zeek/conn", "zeek/dns", "windows/sysmon"}[i%3], []ocsf.ClassUID{ocsf.ClassNetworkActivity, ocsf.ClassDNSActivity, ocsf.ClassProcessActivity}[i%3],
			[]string{"close", "query", "launch"}[i%3], from("10.20.2.9"), to("192.0.2.9"))
		switch i % 3 {
		case 0:
			e.Dst.Port, e.Flow = 443, &ocsf.Flow{Proto: "tcp", State: "SF", OrigBytes: 9, RespBytes: 9}
		case 1:
			e.Dst.Domain = fmt.Sprintf("host%d.example.com", i%50)
		case 2:
			e.Device, e.Process = "ws9", &ocsf.Process{Image: `C:\Windows\System32\svchost.exe`, ParentImage: `C:\Windows\System32\services.exe`}
		}
		events = append(events, e)
	}
	benchmark(b, events)
}

// BenchmarkLogonsAndShares is all of interest.
func BenchmarkLogonsAndShares(b *testing.B) {
	var events []*ocsf.Event
	for i := range 3000 {
		a := fmt.Sprintf("10.20.%d.%d", i%7, i%200)
		switch i % 3 {
		case 0:
			events = append(events, write(i, from(a)))
		case 1:
			events = append(events, rpc(i, "svcctl", "CreateServiceW", from(a)))
		case 2:
			events = append(events, logon(i, "3", fmt.Sprint("u", i%90), from(a)))
		}
	}
	benchmark(b, events)
}

func benchmark(b *testing.B, events []*ocsf.Event) {
	d := New(detect.Context{Model: model()})
	n := 0
	for b.Loop() {
		d.Process(events[n%len(events)], func(*ocsf.Finding) {})
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
