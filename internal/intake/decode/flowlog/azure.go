package flowlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Limits on one record of Azure: what the groups of all its rules hold together.
const (
	maxGroups = 4096
	maxTuples = 100_000
)

// azureMark begins the line in which a record's tuples go to their own reader; no file begins so.
const azureMark = "\x01azure-flows\t"

// azureObject reads records of NSG flow logs (properties.flows) and VNet flow logs (flowRecords.flows). One record
// holds many flows: it carries them as a line, and each comes out as an event of its own.
func azureObject() decode.Object {
	return decode.Object{
		Name: "azure/flow",
		Match: func(o *decode.JSON) bool {
			switch o.Str("category") {
			case "NetworkSecurityGroupFlowEvent", "FlowLogFlowEvent":
				return o.Has("time")
			}
			return false
		},
		Decode: func(o *decode.JSON, e *ocsf.Event) error {
			t, err := o.Time("time")
			begin(e, "azure/flow", t)
			e.Device = strings.ToLower(o.First("macAddress"))
			e.Fields = e.Fields[:0:0]
			for _, f := range o.Fields() { // the tuples are in the events that they become
				if !strings.HasPrefix(f.Name, "properties.flows.") && !strings.HasPrefix(f.Name, "flowRecords.flows.") {
					e.Fields = append(e.Fields, f)
				}
			}
			return err
		},
		Carries: func(o *decode.JSON) (decode.Carried, []decode.Stream) {
			return decode.Carried{Line: azureGroups(o), Prefix: "record."}, []decode.Stream{azureTuples()}
		},
	}
}

// azureGroups writes a record as kind, resource and version, then each group with its tuples, all split by tabs;
// empty where the record holds no flows.
func azureGroups(o *decode.JSON) string {
	var b strings.Builder
	clean := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ", "#012", " ").Replace
	kind, version := "nsg", o.First("properties.Version", "properties.version")
	if o.Str("category") == "FlowLogFlowEvent" {
		kind, version = "vnet", o.First("flowLogVersion")
	}
	groups := 0
	for _, f := range o.Fields() {
		at, ok := strings.CutSuffix(f.Name, ".flowTuples")
		if !ok || f.Value == "" || groups >= maxGroups {
			continue
		}
		if groups++; groups == 1 {
			b.WriteString(azureMark + kind + "\t" + clean(o.First("flowLogResourceID", "resourceId")) + "\t" + clean(version))
		}
		// flows.0.flows.1 stands below the rule flows.0; flows.0.flowGroups.1 names its own.
		above := at
		for range 2 {
			above = above[:max(strings.LastIndexByte(above, '.'), 0)]
		}
		rule := o.First(at+".rule", above+".rule")
		fmt.Fprintf(&b, "\t%s\t%s\t%s", clean(rule), clean(o.First(at+".mac", "macAddress")), clean(f.Value))
	}
	return b.String()
}

func azureTuples() decode.Stream {
	return decode.Stream{
		Name:      "azure/flow",
		Recognise: func(_ string, head []byte) bool { return bytes.HasPrefix(head, []byte(azureMark)) },
		Read: func(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
			return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error { return azureLine(n, raw, sink) })
		},
	}
}

// azureLine gives the events of one record. A tuple that can't be read is told with its reason, and the others go on.
func azureLine(n int64, raw []byte, sink decode.Sink) error {
	line, ok := strings.CutPrefix(strings.ToValidUTF8(string(raw), "\uFFFD"), azureMark)
	parts := strings.Split(line, "\t")
	if !ok || len(parts) < 6 || (len(parts)-3)%3 != 0 {
		return errors.New("no flows in the record")
	}
	kind, resource, version := parts[0], parts[1], parts[2]
	total, seen := 0, map[string]int{}
	for g := 3; g+2 < len(parts); g += 3 {
		for tuple := range strings.SplitSeq(parts[g+2], ", ") {
			if total++; total > maxTuples {
				return fmt.Errorf("more than %d flows in one record", maxTuples)
			}
			e, err := azureTuple(kind, version, strings.Split(tuple, ","))
			if err != nil {
				e = newEvent("azure/"+kind+"flow", time.Time{}) // the record's time is lent
				addField(e, "problem", err.Error())
			}
			addField(e, "rule", parts[g])
			addField(e, "mac", parts[g+1])
			addField(e, "flowTuple", tuple)
			e.Device = strings.ToLower(parts[g+1])
			e.Fields.Sort()
			id := strings.Join([]string{resource, parts[g+1], parts[g], tuple}, "|")
			seen[id]++
			e.SourceID = fmt.Sprintf("%s|%d", id, seen[id])
			sink.Event(e, n, raw)
		}
	}
	return nil
}

// azureTuple reads one flow. NSG version 1: time, source, destination, ports, protocol, direction, decision; version 2
// adds state (Begin, Continuing, End) and packets and bytes of both directions since the record before. VNet flow logs
// have milliseconds, the state D for denied, and an encryption status.
func azureTuple(kind, version string, t []string) (*ocsf.Event, error) {
	if len(t) < 8 {
		return nil, fmt.Errorf("flowTuple: %d fields where at least 8 were expected", len(t))
	}
	v := &values{}
	decision, state, rest := t[7], "", t[8:]
	var at time.Time
	if kind == "vnet" {
		n := v.number("time", t[0], 1<<43)
		at, state = time.UnixMilli(n).UTC(), t[7]
		if decision = "A"; state == "D" {
			decision = "D"
		}
		if len(rest) > 0 {
			rest = rest[1:] // encryption
		}
	} else {
		at = v.seconds("time", t[0])
		if len(rest) > 0 {
			state, rest = rest[0], rest[1:]
		}
	}
	if v.err == nil && (at.Year() < 1971 || at.Year() >= 2100) {
		v.wrong("time", t[0], "a time")
	}
	e := newEvent("azure/"+kind+"flow", at)
	proto := protocol(t[5])
	e.Src.IP, e.Dst.IP = v.addr("source", t[1]), v.addr("destination", t[2])
	if hasPorts(proto) {
		e.Src.Port, e.Dst.Port = v.port("source port", t[3]), v.port("destination port", t[4])
	}
	for _, f := range [...]struct{ name, value string }{{"version", version}, {"direction", t[6]}, {"decision", decision}, {"state", state}} {
		addField(e, f.name, f.value)
	}
	f := &ocsf.Flow{Proto: proto}
	if len(rest) >= 4 {
		for i, c := range [...]struct {
			name string
			to   *int64
		}{{"packets sent", &f.OrigPkts}, {"bytes sent", &f.OrigBytes}, {"packets received", &f.RespPkts}, {"bytes received", &f.RespBytes}} {
			*c.to = v.number(c.name, rest[i], most)
		}
	}
	switch {
	case decision == "D":
		e.Flow = f
		refuse(e)
	case decision != "A":
		v.wrong("decision", decision, "A or D")
	case f.OrigPkts+f.RespPkts == 0 && version == "1" || len(rest) < 4: // nothing was counted
		e.Flow = f
		oneWay(e)
	case f.OrigPkts+f.RespPkts == 0:
		e.Activity, e.Status = "open", ocsf.StatusSuccess
	default:
		e.Flow = f
		azureCounted(e, state)
	}
	return e, v.err
}

// azureCounted reads counts of both directions. They are since the record before: a flow that goes on, or whose end
// holds more than a SYN's retries, may have been answered earlier.
func azureCounted(e *ocsf.Event, state string) {
	f := e.Flow
	e.Activity, e.Status = "close", ocsf.StatusSuccess
	if state == "C" {
		e.Activity = "open"
	}
	switch {
	case f.RespPkts > 0 && state == "E":
		f.State = "SF"
	case f.RespPkts > 0:
		f.State = "S1"
	case state == "E" && f.OrigBytes <= 80*f.OrigPkts && f.OrigPkts <= 7 && f.Proto == "tcp":
		f.State, e.Status = "S0", ocsf.StatusFailure
	default:
		oneWay(e)
		f.State = map[bool]string{true: "SHR", false: "OTH"}[f.Proto == "udp"]
	}
}
