package binetflow

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// outcome fills state, history, activity and status, and turns the flow where the other side began it.
func outcome(e *ocsf.Event, state, dir string) {
	f := e.Flow
	turned := strings.HasPrefix(dir, "<") && !strings.HasSuffix(dir, ">")
	if turned {
		turn(e)
	}
	switch f.Proto {
	case "tcp":
		src, dst, flags := strings.Cut(state, "_")
		switch {
		case flags && turned:
			tcpFlags(e, dst, src)
		case flags:
			tcpFlags(e, src, dst)
		default:
			f.State = tcpWord(f, state, strings.Contains(dir, "?"))
		}
	case "udp":
		switch {
		case f.RespPkts == 0 && f.RespBytes == 0:
			f.State, f.History = "S0", "D"
		case f.OrigPkts == 0 && f.OrigBytes == 0:
			f.State, f.History = "SHR", "^d"
		default:
			f.State, f.History = "SF", "Dd"
		}
	default:
		f.State = "OTH"
		if f.Proto == "icmp" {
			asked(e, state)
		}
	}
	e.Activity, e.Status = decode.FlowOutcome(f.State)
}

func turn(e *ocsf.Event) {
	f := e.Flow
	e.Src, e.Dst = e.Dst, e.Src
	f.OrigBytes, f.RespBytes, f.OrigPkts, f.RespPkts = f.RespBytes, f.OrigBytes, f.RespPkts, f.OrigPkts
}

// tcpFlags reads the flags that both sides ever set.
func tcpFlags(e *ocsf.Event, src, dst string) {
	f := e.Flow
	o, r := flags(src), flags(dst)
	var turned bool
	if f.State, f.History, turned = decode.TCPState(o, r); turned {
		turn(e)
		o, r = r, o
	}
	if o&decode.FlagPSH == 0 {
		f.OrigBytes = 0
	}
	if r&decode.FlagPSH == 0 {
		f.RespBytes = 0
	}
}

func flags(letters string) (f decode.TCPFlags) {
	for i, c := range "FSRPA" {
		if strings.ContainsRune(letters, c) {
			f |= 1 << i
		}
	}
	return f
}

// tcpWord reads a state that Argus tells in one word.
func tcpWord(f *ocsf.Flow, word string, unknownDirection bool) string {
	answered := f.RespPkts > 0 || f.RespBytes > 0
	switch word {
	case "REQ":
		f.History, f.OrigBytes = "S", 0
		return "S0"
	case "RST":
		switch {
		case unknownDirection:
		case !answered:
			return "RSTOS0"
		case f.OrigPkts+f.RespPkts <= 2:
			f.History, f.OrigBytes, f.RespBytes = "Sr", 0, 0
			return "REJ"
		default:
			return "RSTR"
		}
	case "TIM":
		switch {
		case unknownDirection:
		case answered:
			return "S1"
		default:
			return "S0"
		}
	case "ACC", "EST", "CON":
		if !unknownDirection && answered {
			return "S1"
		}
	case "FIN", "CLO":
		if !unknownDirection && answered {
			return "SF"
		}
	}
	return "OTH"
}

// icmpTypes are the ICMP types that Argus' words stand for, RFC 792's numbers.
var icmpTypes = map[string]string{"ECR": "0", "SRC": "4", "RED": "5", "ECO": "8", "RTA": "9", "RTS": "10", "TXD": "11", "PAR": "12",
	"TST": "13", "TSR": "14", "IRQ": "15", "IRR": "16", "MAS": "17", "MSR": "18"}

// asked notes what kind of message an ICMP flow began with.
func asked(e *ocsf.Event, state string) {
	kind, ok := icmpTypes[state]
	switch {
	case strings.HasPrefix(state, "UR"):
		kind = "3"
	case !ok:
		kind = strings.ToLower(state)
	}
	if kind == "8" && e.Src.IP.Is6() {
		kind = "128"
	}
	e.Flow.History = "D"
	if e.Flow.RespPkts > 0 {
		e.Flow.History = "Dd"
	}
	e.Fields = append(e.Fields, ocsf.Field{Name: "icmp_type", Value: kind})
	e.Fields.Sort()
}
