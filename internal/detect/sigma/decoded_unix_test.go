package sigma

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/auditd"
	"github.com/breakwater-project/breakwater/internal/intake/decode/macos"
	"github.com/breakwater-project/breakwater/internal/intake/decode/syslog"
	"github.com/breakwater-project/breakwater/internal/intake/decode/sysmonlinux"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// unixEvents decodes text as intake does: by what it is recognised as, in syslog or not.
func unixEvents(t *testing.T, text string) []*ocsf.Event {
	t.Helper()
	var formats []decode.Stream
	inner := func() []decode.Stream { return formats }
	formats = []decode.Stream{decode.Objects(macos.Objects()), auditd.Stream(), sysmonlinux.Stream(), syslog.Lines(inner)}
	for _, f := range formats {
		if !f.Recognise("x", []byte(text[:min(len(text), decode.MaxHead)])) {
			continue
		}
		s := &sink{t: t}
		if err := f.Read(context.Background(), "x", strings.NewReader(text), s); err != nil {
			t.Fatal(err)
		}
		return s.events
	}
	t.Fatalf("no format knows %.100q", text)
	return nil
}

// audited writes the records of one execution as auditd does.
func audited(args ...string) string {
	const at = "msg=audit(1789992000.200:502): "
	var b strings.Builder
	fmt.Fprintf(&b, "type=SYSCALL %sarch=c000003e syscall=59 success=yes exit=0 a0=5581 a1=5582 a2=5583 a3=8 ppid=901 pid=902 auid=1000 uid=0 euid=0 ses=3 comm=\"x\" exe=\"/usr/bin/%s\" key=\"k\"\n", at, args[0])
	fmt.Fprintf(&b, "type=EXECVE %sargc=%d", at, len(args))
	for i, a := range args {
		if strings.Contains(a, " ") {
			fmt.Fprintf(&b, " a%d=%X", i, a)
			continue
		}
		fmt.Fprintf(&b, " a%d=%q", i, a)
	}
	fmt.Fprintf(&b, "\ntype=CWD %scwd=\"/root\"\n", at)
	return b.String()
}

func sysmon(id int, data ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<Event><System><Provider Name="Linux-Sysmon"/><EventID>%d</EventID><TimeCreated SystemTime="2026-09-21T13:16:36Z"/><EventRecordID>1</EventRecordID><Channel>Linux-Sysmon/Operational</Channel><Computer>web1</Computer></System><EventData>`, id)
	for i := 0; i+1 < len(data); i += 2 {
		fmt.Fprintf(&b, `<Data Name="%s">%s</Data>`, data[i], data[i+1])
	}
	return b.String() + "</EventData></Event>\n"
}

func endpointSecurity(event string) string {
	return `{"schema_version":1,"mach_time":5,"time":"2026-09-21T04:15:22Z","process":{"audit_token":{"pid":501,"euid":501,"auid":501},"executable":{"path":"/bin/zsh"}},"event":{` + event + "}}\n"
}

func inSyslog(app, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("<13>1 " + time.Unix(1789992001, 0).UTC().Format(time.RFC3339) + " web1 " + app + " 77 - - " + line)
	}
	return b.String()
}

// TestUnixRulesMatch takes corpus rules of each log source of Unix hosts through decoders and routing.
func TestUnixRulesMatch(t *testing.T) {
	set := corpusSet(t)
	for name, c := range map[string]struct{ in, rule string }{
		"auditd: arguments":                   {audited("chmod", "777", "my file"), "Suspicious Commands Linux"},
		"auditd: keywords":                    {audited("dd", "if=/dev/zero"), "Binary Padding - Linux"},
		"auditd: as process creation":         {audited("chattr", "-i", "/etc/passwd"), "Remove Immutable File Attribute"},
		"auditd: in syslog":                   {inSyslog("audispd", audited("chmod", "777", "x")), "Suspicious Commands Linux"},
		"auditd: a call by its number":        {"type=SYSCALL msg=audit(1789992000.2:1): arch=c000003e syscall=133 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 ppid=1 pid=2 auid=0 uid=0 euid=0 ses=1 comm=\"mknod\" exe=\"/usr/bin/mknod\" key=(null)\n", "Special File Creation via Mknod Syscall"},
		"auditd: a call beside its arguments": {strings.Replace(audited("id"), "euid=0", "euid=33", 1), "Webshell Remote Command Execution"},
		"auditd: a path":                      {audited("id") + "type=PATH msg=audit(1789992000.200:502): item=1 name=\"/etc/systemd/system/x.service\" nametype=CREATE\n", "Systemd Service Creation"},
		"auditd: a path as a file":            {audited("id") + "type=PATH msg=audit(1789992000.200:502): item=1 name=\"/etc/cron.d/x\" nametype=CREATE\n", "New Cron File Created"},
		"auditd: a service":                   {"type=SERVICE_STOP msg=audit(1789992000.2:1): pid=1 uid=0 auid=4294967295 ses=4294967295 msg='unit=firewalld comm=\"systemd\" exe=\"/x\" hostname=? addr=? terminal=? res=success'\n", "Disable System Firewall"},
		"Sysmon: a process":                   {sysmon(1, "Image", "/usr/bin/whoami", "CommandLine", "whoami", "ParentImage", "/usr/sbin/apache2", "ParentCommandLine", "apache2"), "Linux Webshell Indicators"},
		"Sysmon: a connection":                {sysmon(3, "Image", "/bin/bash", "DestinationIp", "203.0.113.5", "DestinationPort", "443", "Initiated", "true"), "Linux Reverse Shell Indicator"},
		"Sysmon: a file, in syslog":           {inSyslog("sysmon", sysmon(11, "Image", "/usr/bin/wget", "TargetFilename", "/tmp/x.sh")), "Wget Creating Files in Tmp Directory"},
		"macOS: a process":                    {endpointSecurity(`"exec":{"args":["security","find-certificate"],"target":{"audit_token":{"pid":503,"euid":501},"executable":{"path":"/usr/bin/security"}}}`), "Credentials from Password Stores - Keychain"},
		"macOS: a file":                       {endpointSecurity(`"create":{"destination":{"new_path":{"dir":{"path":"/Library/StartupItems"},"filename":"a.plist"}}}`), "Startup Item File Created - MacOS"},
		"osquery on macOS":                    {`{"name":"es_process_events","hostIdentifier":"mac7","unixTime":1789964125,"columns":{"pid":"77","path":"/usr/bin/dscl","cmdline":"dscl . -create /Users/x","cdhash":"a"},"action":"added"}` + "\n", "Creation Of A Local User Account"},
		"osquery on Linux":                    {`{"name":"process_events","hostIdentifier":"web1","unixTime":1789964125,"columns":{"pid":"78","path":"/usr/bin/chattr","cmdline":"chattr -i /etc/passwd","syscall":"execve"},"action":"added"}` + "\n", "Remove Immutable File Attribute"},
		"syslog: sudo":                        {inSyslog("sudo", "  alice : TTY=pts/0 ; PWD=/ ; USER=#-1 ; COMMAND=/bin/bash\n"), "Sudo Privilege Escalation CVE-2019-14287 - Builtin"},
		"syslog: sshd":                        {inSyslog("sshd", "fatal: Corrupted MAC on input\n"), "Suspicious OpenSSH Daemon Error"},
	} {
		t.Run(name, func(t *testing.T) {
			var titles []string
			set.Match(unixEvents(t, c.in), func(_ int, r *Rule) { titles = append(titles, r.Title) })
			if !slices.Contains(titles, c.rule) {
				t.Errorf("matched %q, want %q", titles, c.rule)
			}
		})
	}
}

// TestUnixRulesStayWithTheirSources holds that a harmless start of a program matches no rule of another log source.
func TestUnixRulesStayWithTheirSources(t *testing.T) {
	set := corpusSet(t)
	for name, in := range map[string]string{
		"auditd":                  audited("cat", "notes"),
		"Sysmon":                  sysmon(1, "Image", "/usr/bin/cat", "CommandLine", "cat notes"),
		"macOS":                   endpointSecurity(`"exec":{"args":["cat","notes"],"target":{"audit_token":{"pid":503},"executable":{"path":"/bin/cat"}}}`),
		"a router's syslog":       inSyslog("charon", "Corrupted MAC on input\n"),
		"Linux' command on a Mac": endpointSecurity(`"exec":{"args":["chattr","-i","x"],"target":{"audit_token":{"pid":503},"executable":{"path":"/usr/bin/chattr"}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			set.Match(unixEvents(t, in), func(_ int, r *Rule) {
				t.Errorf("%q (%s) matches", r.Title, r.ID)
			})
		})
	}
}

// TestFailedExecutionsStartNoProcess holds that rules on processes don't match a call that failed, and rules on auditd's
// own records do.
func TestFailedExecutionsStartNoProcess(t *testing.T) {
	var titles []string
	corpusSet(t).Match(unixEvents(t, strings.Replace(audited("chattr", "-i", "x"), "success=yes", "success=no", 1)), func(_ int, r *Rule) { titles = append(titles, r.Title) })
	if !slices.Equal(titles, []string{"Remove Immutable File Attribute - Auditd"}) {
		t.Errorf("matched %q", titles)
	}
}

func TestRoutesOfUnix(t *testing.T) {
	for _, c := range []struct {
		sig      signature
		fits     []LogSource
		fitsNone []LogSource
	}{
		{signature{source: "auditd/process_creation"}, []LogSource{{Product: "linux", Service: "auditd"}, {Product: "linux", Category: "process_creation"}, {Product: "linux"}}, []LogSource{{Product: "windows"}, {Product: "linux", Service: "sysmon"}}},
		{signature{source: "auditd/record"}, []LogSource{{Product: "linux", Service: "auditd"}}, []LogSource{{Category: "process_creation"}}},
		{signature{"linux/sysmon", "Linux-Sysmon/Operational", "1", ""}, []LogSource{{Product: "linux", Category: "process_creation"}, {Product: "linux", Service: "sysmon"}}, []LogSource{{Product: "windows"}, {Product: "linux", Service: "auditd"}}},
		{signature{"windows/linux-sysmon", "Linux-Sysmon/Operational", "11", ""}, []LogSource{{Product: "linux", Category: "file_event"}}, []LogSource{{Product: "windows", Category: "file_event"}}},
		{signature{source: "macos/process_creation"}, []LogSource{{Product: "macos", Category: "process_creation"}}, []LogSource{{Product: "linux"}}},
		{signature{source: "syslog/sudo"}, []LogSource{{Product: "linux", Service: "sudo"}, {Product: "linux", Service: "auth"}, {Product: "linux", Service: "syslog"}}, []LogSource{{Product: "linux", Service: "sshd"}}},
		{signature{source: "syslog/charon"}, nil, []LogSource{{Product: "linux"}}},
	} {
		f := classify(c.sig)
		for _, l := range c.fits {
			if !f.fits(l) {
				t.Errorf("%v is not of %v", c.sig, l)
			}
		}
		for _, l := range c.fitsNone {
			if f.fits(l) {
				t.Errorf("%v is of %v", c.sig, l)
			}
		}
	}
}
