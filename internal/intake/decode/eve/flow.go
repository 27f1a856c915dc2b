package eve

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func flow(o *decode.JSON, e *ocsf.Event) (err error) {
	f := &ocsf.Flow{Proto: strings.ToLower(o.Str("proto")), Service: service(o)}
	if f.Proto == "ipv6-icmp" || f.Proto == "icmpv6" {
		f.Proto = "icmp"
	}
	if f.Proto == "icmp" {
		e.Src.Port, e.Dst.Port = 0, 0
	}
	e.Flow = f
	if o.Str("flow.start") != "" {
		if e.Time, err = moment(o, "flow.start"); err != nil {
			return err
		}
		if end, err := moment(o, "flow.end"); err == nil {
			f.Duration = max(end.Sub(e.Time), 0)
		}
	}
	for _, x := range [...]struct {
		name string
		to   *int64
	}{{"flow.pkts_toserver", &f.OrigPkts}, {"flow.pkts_toclient", &f.RespPkts}, {"flow.bytes_toserver", &f.OrigBytes}, {"flow.bytes_toclient", &f.RespBytes}} {
		if v := o.Str(x.name); v != "" {
			if *x.to, err = strconv.ParseInt(v, 10, 64); err != nil || *x.to < 0 {
				return fmt.Errorf("%s: %s is not a count", x.name, quote(v))
			}
		}
	}
	switch f.Proto {
	case "tcp":
		err = tcp(o, e)
	case "udp":
		f.State, f.History = "S0", "D"
		if f.RespPkts > 0 {
			f.State, f.History = "SF", "Dd"
		}
	default:
		f.State, f.History = "OTH", "D"
		if f.RespPkts > 0 {
			f.History = "Dd"
		}
	}
	e.Activity, e.Status = decode.FlowOutcome(f.State)
	return err
}

func service(o *decode.JSON) string {
	if v := o.Str("app_proto"); v != "failed" && v != "unknown" {
		return v
	}
	return ""
}

func tcp(o *decode.JSON, e *ocsf.Event) error {
	f := e.Flow
	orig, told, err := flags(o, "tcp.tcp_flags_ts")
	if err != nil {
		return err
	}
	resp, _, err := flags(o, "tcp.tcp_flags_tc")
	if err != nil {
		return err
	}
	if !told {
		f.State = stateWord(o.Str("flow.state"), f.RespPkts > 0)
		return nil
	}
	var turned bool
	if f.State, f.History, turned = decode.TCPState(orig, resp); turned {
		e.Src, e.Dst = e.Dst, e.Src
		f.OrigBytes, f.RespBytes, f.OrigPkts, f.RespPkts = f.RespBytes, f.OrigBytes, f.RespPkts, f.OrigPkts
		orig, resp = resp, orig
	}
	if orig&decode.FlagPSH == 0 {
		f.OrigBytes = 0
	}
	if resp&decode.FlagPSH == 0 {
		f.RespBytes = 0
	}
	return nil
}

// flags reads a set of flags in hexadecimal.
func flags(o *decode.JSON, name string) (decode.TCPFlags, bool, error) {
	v := o.Str(name)
	if v == "" {
		return 0, false, nil
	}
	n, err := strconv.ParseUint(v, 16, 8)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %s are not TCP flags in hexadecimal", name, quote(v))
	}
	return decode.TCPFlags(n), true, nil
}

func stateWord(word string, answered bool) string {
	switch {
	case word == "new" && !answered:
		return "S0"
	case (word == "established" || word == "bypassed") && answered:
		return "S1"
	case word == "closed" && answered:
		return "SF"
	}
	return "OTH"
}
