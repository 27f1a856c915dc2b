package fleet

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// When a request and a shell belong together.
const (
	KnockFor    = 5 * time.Minute // between the first request of an address and the shell: exploits take seconds, people minutes
	HeardBefore = 24 * time.Hour  // how long a service must have been heard before a caller is new to it
	maxKnocks   = 256             // new callers of one tenant within KnockFor
)

// caller is an address that spoke to a service.
type caller struct{ Last int64 }

// knock is the first request of an address that a service never heard of.
type knock struct {
	At    int64
	From  string
	To    string
	Event *ocsf.Event
}

// called notes who speaks to the house's services from outside.
func (d *Detector) called(e *ocsf.Event) {
	from := e.Src.IP.Unmap()
	if !from.IsValid() || from.IsPrivate() || from.IsLoopback() || !e.Dst.IP.IsValid() || e.Dst.Port == 0 {
		return
	}
	if f := e.Flow; f != nil && (f.RespBytes == 0 && f.RespPkts == 0 || f.State == "S0" || f.State == "REJ" || f.Proto != "" && f.Proto != "tcp") {
		return // nobody answered
	}
	if t := d.model.Tenant(e.Tenant); t == nil || slices.ContainsFunc(t.Networks, func(n netip.Prefix) bool { return n.Contains(from) }) {
		return
	}
	if e.Partner != "" && e.Direction == ocsf.DirectionOut {
		return
	}
	// A server's own log names its inside address, the border's sensor that outside: the port is what both share.
	service := string(e.Tenant) + "\x00" + strconv.Itoa(int(e.Dst.Port))
	now := e.Time.Unix()
	heard, ok := d.s.Heard[service]
	if !ok {
		detect.MakeRoom(d.s.Heard, MaxPlaces, func(t int64) int64 { return t })
		d.s.Heard[service], heard = now, now
	}
	key := service + "\x00" + from.String()
	if c := d.s.Callers[key]; c != nil {
		c.Last = now
		return
	}
	detect.MakeRoom(d.s.Callers, MaxCallers, func(c *caller) int64 { return c.Last })
	d.s.Callers[key] = &caller{now}
	if now-heard < int64(HeardBefore/time.Second) {
		return
	}
	list := slices.DeleteFunc(d.s.Knocks[e.Tenant], func(k knock) bool { return now-k.At > int64(KnockFor/time.Second) })
	if len(list) < maxKnocks {
		list = append(list, knock{now, from.String(), service, e})
	}
	d.s.Knocks[e.Tenant] = list
}

// servers are programs that answer requests and, on a server of a platform, have no business with a shell.
var servers = map[string]bool{
	"w3wp.exe": true, "httpd.exe": true, "nginx.exe": true, "php-cgi.exe": true, "tomcat.exe": true, "tomcat9.exe": true, "tomcat8.exe": true, "java.exe": true, "javaw.exe": true,
	"screenconnect.service.exe": true, "kaseyaedgeservices.exe": true, "kserver.exe": true, "simplehelp server.exe": true, "simplehelp.exe": true, "remote access.exe": true, "node.exe": true,
}

var shells = map[string]bool{
	"cmd.exe": true, "powershell.exe": true, "pwsh.exe": true, "csc.exe": true, "cscript.exe": true, "wscript.exe": true, "mshta.exe": true, "rundll32.exe": true, "certutil.exe": true,
	"whoami.exe": true, "net.exe": true, "bitsadmin.exe": true,
}

// shell looks for a shell under a server's program, within KnockFor of the first request of an address (ATT&CK T1190).
func (d *Detector) shell(e *ocsf.Event, emit detect.Emit) {
	p := e.Process
	if e.Class != ocsf.ClassProcessActivity || !servers[base(p.ParentImage)] || !shells[base(p.Image)] {
		return
	}
	now := e.Time.Unix()
	var first *knock
	list := d.s.Knocks[e.Tenant]
	for i := range list {
		if k := &list[i]; now-k.At <= int64(KnockFor/time.Second) && now >= k.At && (first == nil || k.At < first.At) {
			first = k
		}
	}
	if first == nil {
		return
	}
	f := &ocsf.Finding{Tenant: e.Tenant, Layer: tenant.LayerNetwork, Detector: d.Name(), Rule: "fleet/server", Technique: "T1190", Outcome: ocsf.OutcomeSucceeded,
		Severity: ocsf.SeverityMedium, Confidence: 60, Title: "A shell under a server's program, minutes after the first request of an address that never spoke to it"}
	f.AddEntity(ocsf.EntityIP, first.From, ocsf.RoleInfrastructure)
	f.AddEntity(ocsf.EntityHost, hostName(e.Device), ocsf.RoleTarget)
	f.AddEvidence(first.Event)
	f.AddEvidence(e)
	f.Identify(time.Unix(first.At, 0), first.From, hostName(e.Device))
	_, port, _ := strings.Cut(first.To, "\x00")
	f.Reason = fmt.Sprintf("%s spoke to port %s of the house for the first time, and %d s later %s started %s on %s. Agents of the clients have spoken to that port for at least %s.",
		first.From, port, now-first.At, base(p.ParentImage), base(p.Image), hostName(e.Device), HeardBefore)
	emit(f)
}
