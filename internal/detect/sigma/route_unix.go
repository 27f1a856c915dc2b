package sigma

import (
	"slices"
	"strings"
)

// linuxSysmon begins the channel's name of Sysmon for Linux, which numbers its events as Windows' does.
const linuxSysmon = "linux-sysmon/"

// auditdCategories gives the categories of auditd's events by the kind that their decoder says. All are of the service.
var auditdCategories = map[string][]string{
	"process_creation": {"process_creation"}, "file_event": {"file_event"}, "file_delete": {"file_delete"}, "network_connection": {"network_connection"},
}

// daemonServices gives the services of what Unix daemons write to syslog, by the program's name. All are of syslog
// too. Other programs may run on any device, and are of no product.
var daemonServices = map[string][]string{
	"sshd": {"sshd", "auth"}, "sshd-session": {"sshd", "auth"}, "sudo": {"sudo", "auth"}, "su": {"auth"}, "login": {"auth"},
	"systemd-logind": {"auth"}, "polkitd": {"auth"}, "useradd": {"auth"}, "usermod": {"auth"}, "userdel": {"auth"}, "groupadd": {"auth"},
	"groupmod": {"auth"}, "passwd": {"auth"}, "chpasswd": {"auth"}, "chage": {"auth"},
	"cron": {"cron"}, "crond": {"cron"}, "crontab": {"cron"}, "anacron": {"cron"}, "atd": {"cron"},
	"vsftpd": {"vsftpd"}, "guacd": {"guacamole"}, "guacamole": {"guacamole"}, "clamd": {"clamav"}, "clamav": {"clamav"}, "freshclam": {"clamav"}, "clamonacc": {"clamav"},
	"kernel": nil, "systemd": nil, "auditd": nil, "rsyslogd": nil, "bash": nil, "named": nil, "dbus-daemon": nil,
}

// classifyUnix says to which log sources events of Unix hosts belong; false for events of anything else.
func classifyUnix(source, channel, eventID string) (facets, bool) {
	if strings.HasPrefix(channel, linuxSysmon) { // in whatever wrapping it came
		return facets{"linux", []string{"sysmon"}, slices.Clone(sysmonCategories[eventID])}, true
	}
	switch decoder, sub, _ := strings.Cut(source, "/"); decoder {
	case "auditd":
		return facets{"linux", []string{"auditd"}, auditdCategories[sub]}, true
	case "syslog":
		services, ok := daemonServices[sub]
		return facets{"linux", append(slices.Clone(services), "syslog"), nil}, ok
	}
	return facets{}, false
}
