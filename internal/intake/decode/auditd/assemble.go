package auditd

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// assembly makes the events of one serial.
type assembly struct {
	*group
	sink    decode.Sink
	parents *parents
	call    *record // SYSCALL
	program *record // EXECVE, with the arguments of all of them
	cwd     string
	title   string // PROCTITLE
	addr    *record
	extra   ocsf.Fields // of CWD and PROCTITLE
	shared  ocsf.Fields // of SYSCALL, CWD and PROCTITLE, for the events of other records
	asked   int         // records that are events
}

// parts are records that only tell of others; where these are missing they stand for themselves.
var parts = map[string]bool{"CWD": true, "PROCTITLE": true, "SOCKADDR": true}

func (a *assembly) emit() {
	slices.SortStableFunc(a.records, func(x, y *record) int { return int(x.n - y.n) })
	a.find()
	for _, r := range a.records {
		switch {
		case a.call == nil && a.program == nil:
			a.alone(r)
		case r.typ == "EXECVE" && r != a.program:
		case parts[r.typ]:
		case r == a.program, r == a.call && a.program == nil:
			a.joined(r)
		default:
			a.beside(r)
		}
	}
}

// find tells the records of the group apart.
func (a *assembly) find() {
	var executions []*record
	for _, r := range a.records {
		switch r.typ {
		case "SYSCALL":
			if a.call == nil {
				a.call = r
			}
		case "EXECVE":
			executions = append(executions, r)
		case "CWD":
			a.cwd = r.get("cwd")
		case "PROCTITLE":
			a.title = r.get("proctitle")
		case "SOCKADDR":
			a.addr = r
		}
	}
	if len(executions) > 0 {
		a.program = executions[0]
		a.program.fields = arguments(executions)
	}
	if c := a.call; c != nil {
		if c.get("SYSCALL") == "" {
			name := c.get("syscall")
			if named := syscallNames[c.get("arch")][name]; named != "" {
				name = named
			}
			c.add("SYSCALL", name)
		}
		for _, f := range c.fields {
			if !isArgument(f.Name) && f.Name != "items" {
				a.shared = append(a.shared, f)
			}
		}
	}
	if a.cwd != "" {
		a.extra = append(a.extra, ocsf.Field{Name: "cwd", Value: a.cwd})
	}
	if a.title != "" {
		a.extra = append(a.extra, ocsf.Field{Name: "proctitle", Value: a.title})
	}
	a.shared = append(a.shared, a.extra...)
}

// arguments joins the argument fields of EXECVE records: long lists are parted over several records, and a long
// argument over several fields, a3[0], a3[1] …
func arguments(records []*record) ocsf.Fields {
	type piece struct{ arg, part int }
	text := map[piece]string{}
	var order []piece
	var out ocsf.Fields
	for _, r := range records {
		for _, f := range r.fields {
			if !isArgument(f.Name) {
				if !strings.HasSuffix(f.Name, "_len") && r == records[0] {
					out = append(out, f)
				}
				continue
			}
			number, index, _ := strings.Cut(f.Name[1:], "[")
			arg, err := strconv.Atoi(number)
			part, partErr := strconv.Atoi(strings.TrimSuffix(index, "]"))
			if err != nil || index != "" && partErr != nil {
				continue
			}
			p := piece{arg, part}
			if _, twice := text[p]; !twice {
				text[p] = f.Value
				order = append(order, p)
			}
		}
	}
	slices.SortFunc(order, func(x, y piece) int {
		if x.arg != y.arg {
			return x.arg - y.arg
		}
		return x.part - y.part
	})
	last := -1
	for _, p := range order {
		if p.arg == last {
			out[len(out)-1].Value += text[p]
			continue
		}
		if len(out) >= decode.MaxFields {
			break
		}
		last = p.arg
		out = append(out, ocsf.Field{Name: "a" + strconv.Itoa(p.arg), Value: text[p]})
	}
	return out
}

// commandLine joins the arguments with spaces, as Sysmon for Linux does.
func commandLine(fields ocsf.Fields) string {
	var b strings.Builder
	for _, f := range fields {
		if isArgument(f.Name) {
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(f.Value)
		}
	}
	return b.String()
}

// begin returns the event of a record with its own fields and, beside them, more.
func (a *assembly) begin(r *record, more ocsf.Fields) *ocsf.Event {
	e := &ocsf.Event{Time: r.at, Device: shortHost(r.node), Layer: tenant.LayerEndpoint, Class: ocsf.ClassBase, Activity: "record", Source: "auditd/record"}
	e.Fields = make(ocsf.Fields, 0, len(r.fields)+len(more)+12)
	e.Fields = append(e.Fields, ocsf.Field{Name: "type", Value: r.typ}, ocsf.Field{Name: "serial", Value: r.serial})
	if r.node != "" {
		e.Fields = append(e.Fields, ocsf.Field{Name: "node", Value: r.node})
		e.SourceID = strings.ToLower(r.node) + "|auditd|" + r.serial + "|" + r.typ + "|" + strconv.Itoa(a.asked)
	}
	a.asked++
	e.Fields = append(append(e.Fields, r.fields...), more...)
	return e
}

// finish sorts the fields, of two with one name the first counts, and gives the event to the sink.
func (a *assembly) finish(e *ocsf.Event, r *record) {
	e.Fields.Sort()
	e.Fields = slices.CompactFunc(e.Fields, func(x, y ocsf.Field) bool { return x.Name == y.Name })
	a.sink.Event(e, r.n, []byte(r.line))
}

// beside gives a record that a rule can ask for by itself.
func (a *assembly) beside(r *record) {
	e := a.begin(r, a.shared)
	a.who(e)
	if r.typ == "PATH" {
		a.path(e, r)
	}
	denial(e, r)
	a.finish(e, r)
}

// denial tells what SELinux or AppArmor refused; a permissive policy only says what it would have.
func denial(e *ocsf.Event, r *record) {
	if r.typ == "AVC" && (strings.Contains(r.get("message"), "denied") || r.get("apparmor") == "DENIED") {
		e.Activity = "denied"
		if r.get("permissive") != "1" {
			e.Status = ocsf.StatusFailure
		}
	}
}

// shortHost returns a host's name up to the first dot in lower case; addresses stay whole.
func shortHost(name string) string {
	name = strings.ToLower(name)
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}

// who sets the program and the accounts that a SYSCALL record names: the one that acts, and the one that logged in.
func (a *assembly) who(e *ocsf.Event) {
	c := a.call
	if c == nil {
		return
	}
	e.User = account(c.first("EUID", "UID"), c.first("euid", "uid"))
	e.Actor = account(c.first("AUID"), c.first("auid"))
	if exe := c.first("exe"); exe != "" {
		e.Process = &ocsf.Process{Image: exe, PID: c.get("pid")}
	}
	switch c.first("success", "res") {
	case "yes", "1":
		e.Status = ocsf.StatusSuccess
	case "no", "0":
		e.Status = ocsf.StatusFailure
	}
}

// account names a user by what the log says it means, else by its number; nobody logged in is nobody.
func account(name, uid string) ocsf.User {
	switch {
	case uid == "4294967295" || uid == "-1" || uid == "unset" || name == "unset":
		return ocsf.User{}
	case name == "" && uid == "0":
		name = "root"
	case name == "":
		name = uid
	}
	return ocsf.User{Name: name, UID: uid}
}

// path makes a file's event of a PATH record that says what became of the name.
func (a *assembly) path(e *ocsf.Event, r *record) {
	name := r.get("name")
	if name == "" {
		return
	}
	if !strings.HasPrefix(name, "/") && a.cwd != "" {
		name = strings.TrimSuffix(a.cwd, "/") + "/" + strings.TrimPrefix(name, "./")
	}
	e.File = &ocsf.File{Path: name}
	if e.Status == ocsf.StatusFailure {
		return
	}
	switch r.get("nametype") {
	case "CREATE":
		e.Source, e.Class, e.Activity = "auditd/file_event", ocsf.ClassFileActivity, "create"
	case "DELETE":
		e.Source, e.Class, e.Activity = "auditd/file_delete", ocsf.ClassFileActivity, "delete"
	default:
		return
	}
	e.Fields = append(e.Fields, ocsf.Field{Name: "TargetFilename", Value: name})
	a.process(e)
}

// process adds the names that Sigma's rules call a process's parts.
func (a *assembly) process(e *ocsf.Event) {
	add := func(name, value string) {
		if value != "" {
			e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
		}
	}
	if p := e.Process; p != nil {
		add("Image", p.Image)
		add("ProcessId", p.PID)
		add("CommandLine", p.CommandLine)
		add("ParentImage", p.ParentImage)
		add("ParentCommandLine", p.ParentLine)
	}
	add("ParentProcessId", a.call.get("ppid"))
	add("CurrentDirectory", a.cwd)
	add("User", e.User.Name)
	add("LogonId", a.call.get("uid"))
	add("TerminalSessionId", a.call.get("ses"))
}

// joined makes the event of an execution or another system call.
func (a *assembly) joined(r *record) {
	more := a.shared
	if r == a.call { // its own fields stand there already
		more = a.extra
	}
	e := a.begin(r, more)
	a.who(e)
	call := a.call.get("SYSCALL")
	switch {
	case a.program != nil || call == "execve" || call == "execveat":
		a.execution(e)
	case a.addr != nil:
		a.connection(e, call)
	}
	if e.Activity == "record" && call != "" {
		e.Activity = call
	}
	a.finish(e, r)
}

// execution fills the start of a program. A call that failed started none.
func (a *assembly) execution(e *ocsf.Event) {
	if e.Process == nil {
		e.Process = &ocsf.Process{}
	}
	p := e.Process
	if a.program != nil {
		p.CommandLine = commandLine(a.program.fields)
	} else {
		p.CommandLine = a.title
	}
	if p.Image == "" { // the SYSCALL record is lost
		p.Image = a.called()
	}
	if e.Status == ocsf.StatusFailure {
		e.Activity = "execve"
		return
	}
	p.ParentImage, p.ParentLine = a.parents.of(a.call)
	a.parents.learn(a.call, p)
	e.Source, e.Class, e.Activity = "auditd/process_creation", ocsf.ClassProcessActivity, "launch"
	a.process(e)
}

// called returns the program that was asked for: the first PATH record, else the first argument.
func (a *assembly) called() string {
	for _, r := range a.records {
		if name := r.get("name"); r.typ == "PATH" && strings.HasPrefix(name, "/") {
			return name
		}
	}
	return a.program.get("a0")
}

// connection fills what is done with an internet address.
func (a *assembly) connection(e *ocsf.Event, call string) {
	to, ok := socketAddress(a.addr.get("saddr"))
	if !ok {
		ip, err := netip.ParseAddr(a.addr.first("laddr", "faddr"))
		if err != nil {
			return
		}
		port, _ := strconv.ParseUint(a.addr.first("lport", "fport"), 10, 16)
		to = netip.AddrPortFrom(ip.Unmap().WithZone(""), uint16(port))
	}
	add := func(name, value string) { e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value}) }
	other := ocsf.Endpoint{IP: to.Addr(), Port: to.Port()}
	switch call {
	case "connect", "sendto", "sendmsg":
		if call != "connect" && to.Port() == 0 {
			return
		}
		e.Dst, e.Direction = other, ocsf.DirectionUnknown
		add("DestinationIp", other.IP.String())
		add("DestinationPort", strconv.Itoa(int(other.Port)))
		add("Initiated", "true")
	case "accept", "accept4", "recvfrom":
		e.Src = other
		add("SourceIp", other.IP.String())
		add("SourcePort", strconv.Itoa(int(other.Port)))
		add("Initiated", "false")
	default: // bind names the machine's own side
		e.Activity = call
		return
	}
	e.Source, e.Class, e.Activity = "auditd/network_connection", ocsf.ClassNetworkActivity, "open"
	if a.call.get("exit") == "EINPROGRESS" || a.call.get("exit") == "-115" { // a socket that does not wait
		e.Status = ocsf.StatusUnknown
	}
	a.process(e)
}
