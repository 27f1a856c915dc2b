package flowlog

import (
	"errors"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// gcpObject reads VPC flow logs and firewall rule logs as Cloud Logging exports them (jsonPayload), and the payload
// alone, as some pipelines store it.
func gcpObject() decode.Object {
	return decode.Object{
		Name: "gcp/vpcflow",
		Match: func(o *decode.JSON) bool {
			p := gcpPrefix(o)
			return o.Has(p+"connection.src_ip") && o.Has(p+"connection.dest_ip") &&
				(o.Has(p+"reporter") || o.Has(p+"disposition") || strings.Contains(o.Str("logName"), "vpc_flows"))
		},
		Decode: gcp,
	}
}

func gcpPrefix(o *decode.JSON) string {
	if o.Has("jsonPayload.connection.src_ip") {
		return "jsonPayload."
	}
	return ""
}

func gcp(o *decode.JSON, e *ocsf.Event) error {
	p := gcpPrefix(o)
	source := "gcp/vpcflow"
	if o.Has(p + "disposition") {
		source = "gcp/firewall"
	}
	t, err := o.Time(p+"start_time", "timestamp", "receiveTimestamp")
	if err != nil {
		return err
	}
	begin(e, source, t)
	v := &values{}
	proto := protocol(o.Str(p + "connection.protocol"))
	f := &ocsf.Flow{Proto: proto, OrigBytes: v.number("bytes_sent", o.Str(p+"bytes_sent"), most), OrigPkts: v.number("packets_sent", o.Str(p+"packets_sent"), most)}
	e.Flow = f
	e.Src.IP, e.Dst.IP = v.addr("connection.src_ip", o.Str(p+"connection.src_ip")), v.addr("connection.dest_ip", o.Str(p+"connection.dest_ip"))
	if hasPorts(proto) {
		e.Src.Port, e.Dst.Port = v.port("connection.src_port", o.Str(p+"connection.src_port")), v.port("connection.dest_port", o.Str(p+"connection.dest_port"))
	}
	e.Src.Host, e.Dst.Host = strings.ToLower(o.First(p+"src_instance.vm_name")), strings.ToLower(o.First(p+"dest_instance.vm_name"))
	if reporter := o.Str(p + "reporter"); reporter == "DEST" {
		e.Device = e.Dst.Host
	} else {
		e.Device = e.Src.Host
	}
	if end, err := o.Time(p + "end_time"); err == nil {
		f.Duration = max(end.Sub(t), 0)
	}
	if id := o.First("insertId"); id != "" {
		e.SourceID = o.First("logName") + "|" + id
	}
	switch d := o.Str(p + "disposition"); d {
	case "DENIED":
		refuse(e)
	case "", "ALLOWED":
		// A sample of the packets was counted, so that few of them say nothing of the whole.
		oneWay(e)
	default:
		return errors.New("disposition: " + quote(d) + " is neither ALLOWED nor DENIED")
	}
	e.Fields.Sort()
	return v.err
}
