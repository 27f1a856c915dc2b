// Package windows decodes Windows events that were shipped as JSON: flat lines of nxlog and its like
// (Channel, EventID, Hostname at the top), events of winlogbeat (winlog.event_data.*), and the nested
// Event/System/EventData objects that evtx dumpers write.
//
// Out comes an ocsf.Event of source windows/<kind>. Its Fields hold the source's own fields and, whatever the
// wrapping was, the names that Sigma rules speak at the top level: the EventData names, Channel, EventID,
// Provider_Name, Computer and EventRecordID. An event without a time or an id is refused with the reason.
package windows

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Objects returns the one object format of this package.
func Objects() []decode.Object {
	return []decode.Object{{
		Name:   "windows",
		Match:  func(o *decode.JSON) bool { return shapeOf(o) != shapeNone },
		Decode: decodeEvent,
	}}
}

// timeNames are the fields that may hold the event's time, best first. EventTime of nxlog is the host's local
// time without its zone, and its receive times are later than the event: both stand last.
var timeNames = []string{
	"Event.System.TimeCreated.#attributes.SystemTime", "Event.System.TimeCreated_attributes.SystemTime",
	"Event.System.TimeCreated.@SystemTime", "Event.System.TimeCreated.SystemTime",
	"System.TimeCreated.#attributes.SystemTime", "System.TimeCreated_attributes.SystemTime",
	"System.TimeCreated.@SystemTime", "System.TimeCreated.SystemTime",
	"SystemTime", "@timestamp", "UtcTime", "winlog.event_data.UtcTime", "event.created", "TimeCreated", "TimeGenerated",
	"timestamp", "EventTime", "EventReceivedTime",
}

func decodeEvent(o *decode.JSON, e *ocsf.Event) error {
	at, err := o.Time(timeNames...)
	if err != nil {
		if o.First(timeNames...) == "" {
			return errors.New("no time: neither SystemTime nor @timestamp nor UtcTime nor EventTime is there")
		}
		return err
	}
	return fill(e, at, canonical(shapeOf(o), o.Fields()))
}

func fill(e *ocsf.Event, at time.Time, fields ocsf.Fields) (err error) {
	e.Time, e.Fields = at, fields
	r := &record{e: e, channel: strings.ToLower(e.Fields.Value("Channel"))}
	if r.id, err = strconv.Atoi(e.Fields.Value("EventID")); err != nil {
		return errors.New("EventID is not a number")
	}
	e.Layer = tenant.LayerEndpoint
	e.Source = "windows/" + kindOf(r.channel)
	computer := r.s("Computer")
	e.Device = shortHost(computer)
	if id := r.s("EventRecordID"); id != "" && computer != "" { // to the microsecond, which every form of an event has
		e.SourceID = strings.ToLower(computer) + "|" + r.channel + "|" + id + "|" + at.Truncate(time.Microsecond).Format(time.RFC3339Nano)
	}
	r.fill()
	r.remote()
	return nil
}

// kindOf names the channel as Event.Source does: sysmon, security, system, application, powershell, defender,
// or the channel's own name without maker and view.
func kindOf(channel string) string {
	switch channel {
	case "security", "system", "application":
		return channel
	case "windows powershell":
		return "powershell"
	case "":
		return "unknown"
	}
	name, _, _ := strings.Cut(channel, "/")
	name = strings.TrimPrefix(name, "microsoft-windows-")
	switch name {
	case "windows defender":
		return "defender"
	case "powershell", "sysmon":
		return name
	}
	return strings.ReplaceAll(name, " ", "-")
}

// shortHost returns a host's name up to the first dot in lower case; addresses stay whole.
func shortHost(name string) string {
	name = strings.ToLower(strings.TrimLeft(strings.TrimSpace(name), `\`))
	if addr(name).IsValid() {
		return name
	}
	if short, _, _ := strings.Cut(name, "."); short != "" {
		return short
	}
	return name
}
