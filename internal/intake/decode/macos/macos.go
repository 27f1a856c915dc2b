// Package macos decodes what is exported of macOS's own monitoring, and of osquery on any Unix: Endpoint Security
// events as eslogger writes them, entries of the unified log (log show --style ndjson or json), and rows of osquery's
// event tables (es_process_events, process_events, bpf_process_events, file_events, es_process_file_events,
// socket_events).
//
// Events carry, beside the source's own fields, the names that Sigma's rules for macOS and Linux ask for: Image,
// CommandLine, ParentImage, TargetFilename, DestinationIp. Sources are macos/<category> and, for osquery on Linux,
// linux/<category>, in Sigma's words; entries of the unified log are macos/unified. An object without a time is
// refused with that reason.
//
// Sources: eslogger(1) and Apple's "EndpointSecurity" (es_message_t, es_events_t), log(1), osquery's schema 5.x.
package macos

import (
	"slices"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Objects returns the JSON formats of this package.
func Objects() []decode.Object {
	return []decode.Object{
		{Name: "macos/eslogger", Match: isESLogger, Decode: eslogger},
		{Name: "osquery", Match: isOSQuery, Decode: osquery},
		{Name: "macos/unified", Match: isUnified, Decode: unified},
	}
}

// adding collects the fields that an event gets beside its source's own.
type adding struct {
	e    *ocsf.Event
	more []ocsf.Field
}

func (a *adding) add(name, value string) {
	if value == "" {
		return
	}
	if !slices.ContainsFunc(a.more, func(f ocsf.Field) bool { return f.Name == name }) {
		a.more = append(a.more, ocsf.Field{Name: name, Value: value})
	}
}

// process adds the names of a process's parts.
func (a *adding) process() {
	p := a.e.Process
	if p == nil {
		return
	}
	a.add("Image", p.Image)
	a.add("CommandLine", p.CommandLine)
	a.add("ProcessId", p.PID)
	a.add("ParentImage", p.ParentImage)
	a.add("ParentCommandLine", p.ParentLine)
	a.add("User", a.e.User.Name)
}

func (a *adding) done() { decode.AddFields(a.e, a.more...) }

// is sets what the event is.
func (a *adding) is(source string, class ocsf.ClassUID, activity string) {
	a.e.Source, a.e.Class, a.e.Activity = source, class, activity
	a.e.Layer = tenant.LayerEndpoint
}

// user names an account; 0 is root on every Unix.
func user(name, uid string) ocsf.User {
	switch {
	case name != "":
	case uid == "0":
		name = "root"
	default:
		name = uid
	}
	return ocsf.User{Name: name, UID: uid}
}
