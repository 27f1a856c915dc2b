package syslog

import (
	"fmt"
	"testing"
)

func TestSudoTellsWhoAskedForWhat(t *testing.T) {
	for _, c := range []struct{ name, message, by, want string }{
		{"a command", `   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/sh -c 'a ; b=c ; USER=x'`, "alice",
			`COMMAND=/bin/sh -c 'a ; b=c ; USER=x'|PWD=/home/alice|TTY=pts/0|USER=root|`},
		{"as nobody's number", `alice : TTY=pts/0 ; PWD=/ ; USER=#-1 ; COMMAND=/bin/bash`, "alice", "COMMAND=/bin/bash|PWD=/|TTY=pts/0|USER=#-1|"},
		{"refused", `alice : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls`, "alice", "COMMAND=/bin/ls|PWD=/|TTY=pts/0|USER=root|"},
		{"with group, log and environment", `alice : PWD=/ ; USER=root ; GROUP=adm ; TSID=00001A ; ENV=A=1 B=2 ; COMMAND=list`, "alice", "COMMAND=list|ENV=A=1 B=2|GROUP=adm|PWD=/|TSID=00001A|USER=root|"},
		{"a name twice: the first", `alice : USER=a ; USER=b ; COMMAND=x`, "alice", "COMMAND=x|USER=a|"},
		{"PAM's line", `pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)`, "", ""},
		{"no parts", `alice : a ; b`, "", ""},
		{"text", `what is this : USER=x`, "", ""},
		{"nothing", ``, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			by, fields := sudo(c.message)
			got := ""
			for _, f := range fields {
				got += fmt.Sprintf("%s=%s|", f.Name, f.Value)
			}
			if by != c.by || got != c.want {
				t.Errorf("by %q %q, want %q %q", by, got, c.by, c.want)
			}
		})
	}
}

func TestEventsOfSudoNameTheirActor(t *testing.T) {
	e := read(t, true, `<86>Jan  2 03:04:06 web1 sudo[12]:    isl-novak : TTY=pts/0 ; PWD=/ ; USER=#-1 ; COMMAND=/bin/bash`).Events[0]
	if e.Actor.Name != "isl-novak" || e.User.Name != "isl-novak" || e.Fields.Value("USER") != "#-1" || e.Fields.Value("message") == "" || e.Source != "syslog/sudo" {
		t.Errorf("%s by %v: %v", e.Source, e.Actor, e.Fields)
	}
	if e = read(t, true, `<86>Jan  2 03:04:06 web1 su[12]: alice : USER=root ; COMMAND=x`).Events[0]; e.Actor.Name != "" || e.Fields.Value("USER") != "" {
		t.Errorf("another program was taken for sudo: %v", e.Fields)
	}
}
