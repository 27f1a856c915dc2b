package macos

import (
	"net/netip"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// isESLogger matches a message of Endpoint Security: one event of any kind, the process that did it, and the schema's
// number.
func isESLogger(o *decode.JSON) bool {
	return o.Has("schema_version") && o.Has("mach_time") && o.Has("event") && o.Has("process.executable.path")
}

func eslogger(o *decode.JSON, e *ocsf.Event) error {
	at, err := o.Time("time")
	if err != nil {
		return err
	}
	e.Time, e.Layer, e.Source, e.Class = at, tenant.LayerEndpoint, "macos/endpoint_security", ocsf.ClassBase
	kind := kindOf(o.Fields())
	e.Activity = strings.ReplaceAll(kind, "_", " ")
	e.Process = &ocsf.Process{Image: o.First("process.executable.path"), PID: o.First("process.audit_token.pid")}
	e.User = user("", o.First("process.audit_token.euid"))
	e.Actor = login(o, "process.audit_token.auid")
	a := &adding{e: e}
	a.add("es_event", kind)
	es := &message{adding: a, o: o, at: "event." + kind + "."}
	if fill := messages[kind]; fill != nil {
		fill(es)
	} else {
		a.process()
	}
	if o.Has("action.result.result.auth") && o.First("action.result.result.auth") == "1" {
		e.Status = ocsf.StatusFailure
	}
	a.done()
	return nil
}

// kindOf returns the name of the one event that a message holds: event.exec.target… is exec.
func kindOf(fields ocsf.Fields) string {
	for _, f := range fields {
		if rest, ok := strings.CutPrefix(f.Name, "event."); ok {
			kind, _, _ := strings.Cut(rest, ".")
			return kind
		}
	}
	return ""
}

// login names the account that logged in; -1 is nobody.
func login(o *decode.JSON, field string) ocsf.User {
	switch uid := o.First(field); uid {
	case "", "4294967295", "-1":
		return ocsf.User{}
	default:
		return user("", uid)
	}
}

// message is one event under its own name.
type message struct {
	*adding
	o  *decode.JSON
	at string // "event.exec."
}

// s returns the first of the event's own fields that has a value.
func (m *message) s(names ...string) string {
	for _, n := range names {
		if v := m.o.First(m.at + n); v != "" && v != "null" {
			return v
		}
	}
	return ""
}

// messages are the events that are filled further; all others keep class 0 and their fields.
var messages = map[string]func(*message){
	"exec": (*message).exec, "fork": (*message).fork, "exit": (*message).exit,
	"create": (*message).create, "rename": (*message).rename, "unlink": (*message).unlink, "close": (*message).close, "write": (*message).write,
	"clone": (*message).copied, "copyfile": (*message).copied, "link": (*message).copied,
	"openssh_login": (*message).signIn, "login_login": (*message).signIn, "lw_session_login": (*message).signIn,
	"screensharing_attach": (*message).signIn, "authentication": (*message).signIn, "su": (*message).sudo, "sudo": (*message).sudo,
	"openssh_logout": (*message).signOff, "login_logout": (*message).signOff, "lw_session_logout": (*message).signOff, "screensharing_detach": (*message).signOff,
	"btm_launch_item_add": (*message).launchItem,
}

// exec fills the start of a program. The message's process is what ran under that number before, which is the program
// that started this one.
func (m *message) exec() {
	m.is("macos/process_creation", ocsf.ClassProcessActivity, "launch")
	e := m.e
	p := &ocsf.Process{Image: m.s("target.executable.path"), PID: m.s("target.audit_token.pid"), ParentImage: e.Process.Image}
	var words []string
	for _, x := range m.o.Array("event", "exec", "args") {
		if b, err := x.StringBytes(); err == nil {
			words = append(words, string(b))
		}
	}
	if p.CommandLine = strings.Join(words, " "); p.CommandLine == "" {
		p.CommandLine = p.Image
	}
	if hash := m.s("target.cdhash"); hash != "" {
		p.Hashes = []string{"CDHASH=" + hash}
	}
	e.Process = p
	e.User = user("", m.s("target.audit_token.euid"))
	e.Status = ocsf.StatusSuccess
	m.process()
	m.add("ParentProcessId", m.s("target.ppid", "target.original_ppid"))
	m.add("CurrentDirectory", m.s("cwd.path"))
	m.add("ScriptPath", m.s("script.path"))
	m.add("SigningId", m.s("target.signing_id"))
	m.add("TeamId", m.s("target.team_id"))
}

func (m *message) fork() {
	m.e.Class, m.e.Activity = ocsf.ClassProcessActivity, "fork"
	m.process()
}

func (m *message) exit() {
	m.is("macos/process_termination", ocsf.ClassProcessActivity, "terminate")
	m.process()
}

// file fills an act on a file under its Sigma category.
func (m *message) file(category, activity, path string) {
	m.is("macos/"+category, ocsf.ClassFileActivity, activity)
	m.process()
	if path != "" {
		m.e.File = &ocsf.File{Path: path}
		m.add("TargetFilename", path)
	}
}

// within joins a folder and a name in it.
func within(dir, name string) string {
	if dir == "" || name == "" {
		return ""
	}
	return strings.TrimSuffix(dir, "/") + "/" + name
}

// destination is where a file was made or moved to: a new name in a folder, or one that was there.
func (m *message) destination() string {
	if path := within(m.s("destination.new_path.dir.path"), m.s("destination.new_path.filename")); path != "" {
		return path
	}
	return m.s("destination.existing_file.path")
}

func (m *message) create() { m.file("file_event", "create", m.destination()) }

func (m *message) rename() {
	m.file("file_event", "rename", m.destination())
	m.add("SourceFilename", m.s("source.path"))
}

func (m *message) copied() {
	path := within(m.s("target_dir.path"), m.s("target_name", "target_filename"))
	if path == "" {
		path = m.s("target_file.path")
	}
	m.file("file_event", "create", path)
	m.add("SourceFilename", m.s("source.path"))
}

func (m *message) unlink() { m.file("file_delete", "delete", m.s("target.path")) }

func (m *message) write() { m.file("file_change", "update", m.s("target.path")) }

// close tells of a file that was written to, once; a file that was only read is no more than its fields.
func (m *message) close() {
	if m.s("modified") == "true" {
		m.file("file_change", "update", m.s("target.path"))
		return
	}
	m.process()
}

func (m *message) signIn() {
	m.is("macos/authentication", ocsf.ClassAuthentication, "logon")
	m.e.User = user(m.s("username", "authentication_username", "session_username", "data.od.record_name"), m.s("uid.uid", "uid"))
	m.from()
	m.e.Status = ocsf.StatusSuccess
	if m.s("success") == "false" {
		m.e.Status = ocsf.StatusFailure
	}
	m.process()
}

func (m *message) signOff() {
	m.is("macos/authentication", ocsf.ClassAuthentication, "logoff")
	m.e.User = user(m.s("username", "session_username"), m.s("uid"))
	m.from()
	m.process()
}

func (m *message) from() {
	if ip, err := netip.ParseAddr(m.s("source_address")); err == nil {
		m.e.Src.IP = ip.Unmap().WithZone("")
		m.add("SourceIp", m.e.Src.IP.String())
	}
}

func (m *message) sudo() {
	m.is("macos/authentication", ocsf.ClassAuthentication, "account switch")
	m.e.User = user(m.s("to_username"), m.s("to_uid.uid", "to_uid"))
	m.e.Actor = user(m.s("from_username"), m.s("from_uid.uid", "from_uid"))
	m.e.Status = ocsf.StatusSuccess
	if m.s("success") == "false" {
		m.e.Status = ocsf.StatusFailure
	}
	m.e.Process.CommandLine = m.s("command")
	m.process()
}

// launchItem fills what will start by itself from now on.
func (m *message) launchItem() {
	m.is("macos/launch_item", ocsf.ClassScheduledJob, "create")
	m.e.File = &ocsf.File{Path: strings.TrimPrefix(m.s("item.item_url", "executable_path"), "file://")}
	m.add("TargetObject", m.e.File.Path)
	m.process()
}
