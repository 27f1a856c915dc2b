package lateral

import "github.com/breakwater-project/breakwater/internal/record/ocsf"

// fromFlow reads a connection to a service by which hosts are administered. A connection in which nobody said anything
// is a probe, and no business of ours.
func fromFlow(e *ocsf.Event) (act, bool) {
	f := e.Flow
	if f == nil || f.Proto != "tcp" {
		return act{}, false
	}
	how := byNone
	switch e.Dst.Port {
	case 22:
		how = bySSH
	case 135:
		how = byWMI
	case 139, 445:
		how = bySMB
	case 3389:
		how = byRDP
	case 5985, 5986:
		how = byWinRM
	default:
		return act{}, false
	}
	return act{how: how, step: stepReach, source: host{Addr: e.Src.IP}, target: host{Addr: e.Dst.IP}}, spoke(f) && both(e)
}

// spoke reports whether both sides said something.
func spoke(f *ocsf.Flow) bool {
	switch f.State {
	case "SF", "S1", "S2", "S3", "RSTO", "RSTR":
		return f.OrigBytes > 0 && f.RespBytes > 0 && (f.RespPkts == 0 || f.OrigPkts+f.RespPkts >= 8)
	case "": // a host's own word that the connection was made
		return f.OrigPkts == 0 && f.RespPkts == 0
	}
	return false
}
