// Package envelope decodes JSON objects in which a shipper sends somebody else's record as a string: Filebeat and
// Elastic Agent, Logstash, rsyslog's omelasticsearch, Fluent Bit and Fluentd, Docker, Vector, journald, GELF. The
// record goes to the formats that may know it, and its events get the envelope's fields beside their own, under
// their own names, so that a sensor's map by the envelope's host or tags works. Where both have a field of one name
// the record keeps it, and the envelope's stands under envelope.<name>; envelope.host, which no record can set, is
// always the host that the shipper names.
//
// A record that no format knows comes out as the envelope's own event, of source json/<shipper>. One without any
// date takes that of the envelope, then that of its arrival.
package envelope

import (
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// shipper is one kind of envelope.
type shipper struct {
	name   string
	record []string // fields that may hold the record, the rawest first
	marks  []string // any of them beside the record tells the shipper
}

// shippers in the order in which they are asked: the ones with the clearest marks first.
var shippers = []shipper{
	{"journald", []string{"MESSAGE"}, []string{"_HOSTNAME", "SYSLOG_IDENTIFIER", "__REALTIME_TIMESTAMP", "_BOOT_ID"}},
	{"rsyslog", []string{"rawmsg", "message", "msg"}, []string{"fromhost", "fromhost-ip", "timereported", "syslogtag", "programname"}},
	{"vector", []string{"message"}, []string{"source_type"}},
	{"gelf", []string{"full_message", "short_message"}, []string{"version", "host"}},
	{"logstash", []string{"event.original", "message"}, []string{"@version"}},
	{"filebeat", []string{"event.original", "message"}, []string{"agent.type", "agent.version", "beat.version", "beat.name", "log.file.path", "log.offset", "input.type", "@metadata.beat", "ecs.version"}},
	{"docker", []string{"log"}, []string{"stream", "kubernetes.pod_name", "container_id", "container_name"}},
	{"fluent", []string{"log", "message"}, []string{"date", "@log_name", "fluentd_tag"}},
}

var (
	timeFields    = []string{"timereported", "@timestamp", "timestamp", "time", "date", "timegenerated"}
	hostFields    = []string{"host.name", "host.hostname", "host", "hostname", "fromhost", "_HOSTNAME", "agent.hostname", "beat.hostname", "agent.name", "kubernetes.host", "log.syslog.hostname"}
	fileFields    = []string{"log.file.path", "file", "filename", "filepath", "path", "source"}
	programFields = []string{"programname", "SYSLOG_IDENTIFIER", "appname", "process.name", "log.syslog.appname", "ident", "syslogtag"}
)

// Objects returns the format. Inner gives the formats that a record may be of; plain is the format that decodes
// the envelope itself where it matches.
func Objects(inner func() []decode.Stream, plain decode.Object) []decode.Object {
	return []decode.Object{{
		Name:   "envelope",
		Match:  func(o *decode.JSON) bool { s, _ := open(o); return s != nil },
		Decode: func(o *decode.JSON, e *ocsf.Event) error { return fill(o, e, plain) },
		Carries: func(o *decode.JSON) (decode.Carried, []decode.Stream) {
			_, field := open(o)
			return decode.Carried{
				Name: decode.BaseName(o.First(fileFields...)), Line: o.Str(field), Field: field, Prefix: "envelope.",
				Program: o.First(programFields...), Undated: true,
			}, inner()
		},
	}}
}

// open returns the shipper and the field that holds the record.
func open(o *decode.JSON) (*shipper, string) {
	for i := range shippers {
		s := &shippers[i]
		for _, field := range s.record {
			if o.Str(field) != "" && marked(o, s.marks) {
				return s, field
			}
		}
	}
	return nil, ""
}

func marked(o *decode.JSON, marks []string) bool {
	for _, m := range marks {
		if o.Has(m) {
			return true
		}
	}
	return false
}

// fill makes the envelope's own event. Its date may be missing, or be no date: the record may have one.
func fill(o *decode.JSON, e *ocsf.Event, plain decode.Object) error {
	s, field := open(o)
	if plain.Match == nil || !plain.Match(o) || plain.Decode(o, e) != nil {
		e.Class, e.Layer = ocsf.ClassBase, tenant.LayerEndpoint
		e.Time = date(o)
	}
	e.Source = "json/" + s.name
	if host := o.First(hostFields...); host != "" {
		e.Device = host
		e.Fields = append(withoutOurs(e.Fields), ocsf.Field{Name: "envelope.host", Value: host})
	} else {
		e.Fields = withoutOurs(e.Fields)
	}
	if _, have := e.Fields.Get("message"); !have && field != "message" { // rules look for words in the message
		e.Fields = append(e.Fields, ocsf.Field{Name: "message", Value: o.Str(field)})
	}
	e.Fields.Sort()
	return nil
}

// withoutOurs takes away what only we may say.
func withoutOurs(fields ocsf.Fields) ocsf.Fields {
	out := fields[:0:0]
	for _, f := range fields {
		if f.Name != "envelope.host" {
			out = append(out, f)
		}
	}
	return out
}

// date returns the envelope's date; zero where it has none that can be right.
func date(o *decode.JSON) time.Time {
	if t, err := o.Time(timeFields...); err == nil {
		return t
	}
	for _, name := range [...]string{"_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"} { // journald's microseconds
		us, err := strconv.ParseInt(strings.TrimSpace(o.Str(name)), 10, 64)
		if t := time.UnixMicro(us).UTC(); err == nil && t.Year() >= 1971 && t.Year() < 2100 {
			return t
		}
	}
	return time.Time{}
}
