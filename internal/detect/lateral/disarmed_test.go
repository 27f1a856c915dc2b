package lateral

import (
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// service is the service control manager's word on a service, so many seconds after Monday nine o'clock.
func service(after int, name, state string, with ...change) *ocsf.Event {
	return event(after, "windows/system", ocsf.ClassWindowsService, "update", append([]change{on("WS1.acme.example"), fields("param1", name, "param2", state)}, with...)...)
}

func fileMade(after int, path string, with ...change) *ocsf.Event {
	return event(after, "windows/sysmon", ocsf.ClassFileActivity, "create", append([]change{on("WS1.acme.example"), func(e *ocsf.Event) { e.File = &ocsf.File{Path: path} }}, with...)...)
}

func launched(after int, image, line string) *ocsf.Event {
	return event(after, "windows/sysmon", ocsf.ClassProcessActivity, "launch", on("WS1.acme.example"), func(e *ocsf.Event) { e.Process = &ocsf.Process{Image: image, CommandLine: line} })
}

func TestProtectionStoppedInASessionFromAnotherHost(t *testing.T) {
	const tool, edr = `C:\Users\kim\Downloads\setup.exe`, "Endpoint Protection Service"
	desk := func(after int, with ...change) *ocsf.Event {
		return logon(after, "10", "kim", append([]change{from("10.20.9.9"), on("WS1.acme.example")}, with...)...)
	}
	leaves := func(after int) *ocsf.Event {
		return event(after, "windows/security", ocsf.ClassAuthentication, "logoff", on("WS1.acme.example"), as("kim"), fields("TargetLogonId", "0x77", "LogonType", "10"))
	}
	var habit []*ocsf.Event
	for day := -HabitDays; day <= 0; day++ {
		habit = append(habit, desk(day*86400), service(day*86400+60, edr, "stopped"), fileMade(day*86400+120, tool))
	}
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"stopped, and a program comes", []*ocsf.Event{desk(0), service(300, edr, "stopped"), fileMade(600, tool)}, "disarmed medium succeeded"},
		{"stopped alone, as updates do", []*ocsf.Event{desk(0), service(300, edr, "stopped"), service(400, edr, "running")}, "disarmed informational succeeded"},
		{"a document comes", []*ocsf.Event{desk(0), service(300, edr, "stopped"), fileMade(600, `C:\Users\kim\Downloads\plan.docx`)}, "disarmed informational succeeded"},
		{"a program that an installer puts where programs lie", []*ocsf.Event{desk(0), service(300, edr, "stopped"), fileMade(600, `C:\Program Files\Tool\tool.exe`)}, "disarmed informational succeeded"},
		{"the program comes too late", []*ocsf.Event{desk(0), service(300, edr, "stopped"), fileMade(300+int(DisarmedFor/time.Second)+1, tool)}, "disarmed informational succeeded"},
		{"by somebody who sits there", []*ocsf.Event{logon(0, "2", "kim", on("WS1.acme.example")), service(300, edr, "stopped"), fileMade(600, tool)}, ""},
		{"after they left", []*ocsf.Event{desk(0), leaves(60), service(3600, edr, "stopped"), fileMade(3700, tool)}, ""},
		{"another service", []*ocsf.Event{desk(0), service(300, "Print Spooler", "stopped"), fileMade(600, tool)}, ""},
		{"it only starts", []*ocsf.Event{desk(0), service(300, edr, "running"), fileMade(600, tool)}, ""},
		{"it may not start any more", []*ocsf.Event{desk(0), service(300, "Microsoft Defender Antivirus Service", "auto start", fields("param3", "disabled")), fileMade(600, tool)}, "disarmed medium succeeded"},
		{"in another language", []*ocsf.Event{desk(0), service(300, "CrowdStrike Falcon Sensor Service", "beendet"), fileMade(600, tool)}, "disarmed medium succeeded"},
		{"by a command", []*ocsf.Event{desk(0), launched(300, `C:\Windows\System32\sc.exe`, `sc stop Sense`), fileMade(600, tool)}, "disarmed medium succeeded"},
		{"by a setting", []*ocsf.Event{desk(0), launched(300, `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`, `powershell Set-MpPreference -DisableRealtimeMonitoring $true`), fileMade(600, tool)}, "disarmed medium succeeded"},
		{"a command about something else", []*ocsf.Event{desk(0), launched(300, `C:\Windows\System32\sc.exe`, `sc stop reset-service`), fileMade(600, tool)}, ""},
		{"Defender's own word", []*ocsf.Event{desk(0), event(300, "windows/defender", ocsf.ClassBase, "", on("WS1.acme.example"), fields("EventID", "5001")), fileMade(600, tool)}, "disarmed medium succeeded"},
		{"through a partner", []*ocsf.Event{desk(0, partner("kim"), from(vpn)), service(300, edr, "stopped"), fileMade(600, tool)}, "disarmed medium succeeded"},
		{"a habit", habit, "disarmed medium succeeded; disarmed medium succeeded; disarmed medium succeeded; disarmed low succeeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := brief(run(t, append(c.events, watched())...)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestTheReasonOfAStoppedProtectionNamesWhoAndWhat(t *testing.T) {
	list := run(t, watched(), logon(0, "10", "kim", from("10.20.9.9"), on("WS1.acme.example")), service(300, "Endpoint Protection Service", "stopped"), fileMade(600, `C:\Users\kim\Downloads\setup.exe`))
	if len(list) != 1 {
		t.Fatal(brief(list))
	}
	f := list[0]
	for _, w := range []string{"10.20.9.9", "ws1", "kim", "Endpoint Protection Service", "setup.exe", DisarmedFor.String()} {
		if !strings.Contains(f.Reason, w) {
			t.Errorf("no %q in: %s", w, f.Reason)
		}
	}
	if !f.Time.Equal(monday) || f.Technique != "T1562.001" || f.Count != 3 {
		t.Errorf("%s %s %d", f.Time, f.Technique, f.Count)
	}
}
