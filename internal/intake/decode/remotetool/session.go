package remotetool

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isSessionEvent matches one session event of a ScreenConnect server, as its reports and triggers export it.
func isSessionEvent(o *decode.JSON) bool {
	return o.Has("EventType") && o.Has("SessionID") && !o.Has("Channel") &&
		(o.Has("EventTime") || o.Has("Time")) &&
		(o.Has("SessionName") || o.Has("SessionType") || o.Has("SessionConnectionProcessType") || o.Has("ParticipantName") || o.Has("ConnectionID"))
}

// sessionActs says what the event types mean, in lower case without "queued"; types it lacks come out without act.
var sessionActs = map[string]string{
	"connected": "connect", "disconnected": "disconnect",
	"rancommand": "command", "queuedcommand": "command", "rantool": "command", "queuedtool": "command",
	"ranfiles": "file", "copiedfiles": "file", "sentfiles": "file", "draggedfiles": "file", "transferredfiles": "file", "receivedfiles": "file",
	"queuedinstallaccess": "install", "installedaccess": "install",
}

func sessionEvent(o *decode.JSON, e *ocsf.Event) error {
	t, err := o.Time("EventTime", "Time")
	if err != nil {
		return err
	}
	r := &ocsf.RemoteSession{Tool: screenConnect, SessionID: strings.ToLower(o.First("SessionID")),
		Instance: strings.ToLower(o.First("InstanceID", "InstanceFingerprint")), Company: o.First("SessionCustomProperty1", "CustomProperty1"),
		Target:   shortHost(o.First("SessionName", "GuestMachineName", "SessionGuestMachineName")),
		Operator: o.First("ParticipantName", "Host", "SessionHost"), Relay: strings.ToLower(o.First("RelayHost"))}
	fields := e.Fields
	*e = *newEvent("screenconnect/session", t, r)
	e.Fields = fields
	kind := o.First("EventType")
	process := o.First("SessionConnectionProcessType", "ConnectionProcessType", "ProcessType")
	e.Src.IP, e.Src.Port = addr(o.First("SessionConnectionNetworkAddress", "ConnectionNetworkAddress", "NetworkAddress"))
	e.Device = r.Target
	e.Status = ocsf.StatusSuccess
	if a := sessionActs[strings.ToLower(kind)]; a != "" {
		act(e, a)
	}
	if strings.EqualFold(process, "Guest") { // the host's agent called its server: nobody operates it
		r.Operator = ""
		if r.Act == "connect" || r.Act == "disconnect" {
			r.Act = ""
			e.Activity = "other"
		}
	}
	switch data := o.Str("Data"); r.Act {
	case "command":
		r.CommandLine = data
	case "file":
		e.File = &ocsf.File{Path: data}
	}
	if strings.HasPrefix(strings.ToLower(kind), "queued") {
		e.Status = ocsf.StatusUnknown
	}
	e.Actor.Name = r.Operator
	if id := o.First("EventID"); id != "" && len(id) >= 16 {
		e.SourceID = "screenconnect|" + id
	}
	finish(e)
	return nil
}
