package scenario

import (
	"fmt"
	"time"
)

const rmmFile = "screenconnect/session-events.jsonl"

// agent is a ScreenConnect client of one instance on one host.
type agent struct {
	instance, relay, session, key string
}

func (a agent) product() string { return "ScreenConnect Client (" + a.instance + ")" }

func (a agent) exe() string {
	return `C:\Program Files (x86)\` + a.product() + `\ScreenConnect.ClientService.exe`
}

func (a agent) command() string {
	return fmt.Sprintf(`"%s" "?e=Access&y=Guest&h=%s&p=443&s=%s&k=%s"`, a.exe(), a.relay, a.session, a.key)
}

// providerAgent is the provider's agent on a host of a client.
func (w *world) providerAgent(h *host) agent {
	return agent{w.instance, w.relay, h.session, "BgIAAACkAABSU0Ex" + newRNG(w.names, "key").token(12)}
}

func (w *world) vendorAgent(h *host) agent {
	return agent{w.vendor.instance, w.vendor.relay, newRNG(w.names, "vendor session", h.session).guid(), "BgIAAACkAABSU0Ex" + newRNG(w.names, "vendor key").token(12)}
}

func (w *world) foeAgent(h *host) agent {
	return agent{w.foe.instance, w.foe.relay, newRNG(w.names, "foe session", h.session).guid(), "BgIAAACkAABSU0Ex" + w.foe.key}
}

// agentLog writes one of the events that the agent leaves in the Application log: 100 connected, 101 disconnected,
// 200 command (its length only), 201 files.
func (s *scribe) agentLog(o *org, h *host, t time.Time, a agent, id int, message string) {
	s.win(o, h, t, application, a.product(), id, 0, "Message", message, "Provider_Name", a.product(), "EventType", "INFO", "Category", "-")
}

// runs writes a command given through an agent: the log line, the shell and its children.
func (s *scribe) runs(o *org, h *host, t time.Time, a agent, children []process) {
	length := 30
	for _, c := range children {
		length += len(c.cmd)
	}
	s.agentLog(o, h, t, a, 200, fmt.Sprintf("Executed command of length: %d", length))
	shell := fmt.Sprintf(`"cmd.exe" /c "C:\Windows\TEMP\ScreenConnect\24.2.10.8991\%srun.cmd"`, s.n.guid())
	guid := s.process(o, h, t.Add(400*time.Millisecond), process{image: `C:\Windows\System32\cmd.exe`, original: "Cmd.Exe", cmd: shell, user: `NT AUTHORITY\SYSTEM`, parent: a.exe(), parentCmd: a.command()})
	for i, c := range children {
		c.user, c.parent, c.parentCmd, c.parentGUID = `NT AUTHORITY\SYSTEM`, `C:\Windows\System32\cmd.exe`, shell, guid
		s.process(o, h, t.Add(time.Duration(i+1)*s.n.span(300*time.Millisecond, 1500*time.Millisecond)+time.Second), c)
	}
}

// serverLog writes what the provider's own server records of a session.
func (s *scribe) serverLog(t time.Time, client *org, h *host, who, from, event, data string) {
	s.line(s.w.provider, rmmFile, t, string(jsonOf(struct {
		EventTime                       string
		EventType                       string
		SessionID                       string
		SessionName                     string
		SessionType                     string
		SessionCustomProperty1          string
		SessionConnectionProcessType    string
		ParticipantName                 string
		SessionConnectionNetworkAddress string
		Data                            string
		ConnectionID                    string
	}{s.w.provider.shown(rmmFile, t).Format("2006-01-02T15:04:05.000Z"), event, h.session, h.name, "Access", client.name, "Host", who, from, data, s.n.guid()})))
}
