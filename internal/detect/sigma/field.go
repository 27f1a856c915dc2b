package sigma

import (
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// containers are the prefixes under which shippers keep Windows events; what follows is the native name.
var containers = [...]string{
	"event.eventdata.", "event.userdata.", "event.system.", "winlog.event_data.", "winlog.user_data.", "winlog.",
	"data.win.eventdata.", "data.win.system.", "event_data.", "eventdata.", "userdata.",
}

// canonical returns the name under which a field is looked up: lower case, without spaces (the specification
// strips them from Windows names), without list indices and shippers' containers.
func canonical(name string) string {
	low := strings.ToLower(strings.ReplaceAll(name, " ", ""))
	for _, c := range containers {
		if strings.HasPrefix(low, c) {
			low = low[len(c):]
			break
		}
	}
	if !strings.Contains(low, ".") {
		return low
	}
	parts := strings.Split(low, ".")
	kept := parts[:0]
	for _, p := range parts {
		if p != "" && strings.Trim(p, "0123456789") != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, ".")
}

// alias lets rules find a field under the name their log source uses. It holds only where the event has no
// field of that name itself.
type alias struct {
	from, to string // canonical names
	when     aliasWhen
}

type aliasWhen uint8

const (
	always       aliasWhen = iota
	whenCreation           // Windows Security 4688: process creation under other names than Sysmon's
)

// aliases follow SigmaHQ's field names: Windows audit events against Sysmon's names, antivirus, web and
// firewall taxonomies against Zeek's names, and the cloud exports against the portals' names.
var aliases = []alias{
	{"newprocessname", "image", whenCreation}, {"parentprocessname", "parentimage", whenCreation},
	{"subjectusername", "user", whenCreation}, {"subjectlogonid", "logonid", whenCreation},
	{"mandatorylabel", "integritylevel", whenCreation},
	{"sourcename", "provider_name", always}, {"providername", "provider_name", always},
	{"event.system.provider.#attributes.name", "provider_name", always}, {"provider.#attributes.name", "provider_name", always},
	{"provider_name", "sourcename", always}, {"provider_name", "source", always}, {"sourcename", "source", always},
	{"event_id", "eventid", always}, {"event.code", "eventid", always}, {"eventcode", "eventid", always},
	{"log_name", "channel", always}, {"computer_name", "computer", always}, {"hostname", "computer", always},
	{"computer", "computername", always}, {"computer", "hostname", always},
	{"threatname", "signature", always}, {"path", "filename", always},
	// Zeek: web, DNS and connections.
	{"uri", "c-uri", always}, {"uri", "cs-uri", always}, {"uri", "cs-uri-stem", always}, {"uri", "cs-uri-query", always}, {"uri", "c-uri-query", always},
	{"user_agent", "c-useragent", always}, {"user_agent", "cs-user-agent", always}, {"method", "cs-method", always},
	{"host", "cs-host", always}, {"host", "r-dns", always}, {"status_code", "sc-status", always}, {"referrer", "cs-referer", always},
	{"referrer", "cs-referrer", always}, {"id.orig_h", "c-ip", always}, {"answers", "answer", always}, {"qtype_name", "record_type", always},
	{"id.orig_h", "src_ip", always}, {"id.resp_h", "dst_ip", always}, {"id.orig_p", "src_port", always}, {"id.resp_p", "dst_port", always},
	{"cs-uri", "c-uri", always}, {"cs-uri-stem", "c-uri", always}, {"cs(user-agent)", "c-useragent", always}, {"cs(referer)", "cs-referer", always},
	// Entra, Azure and Microsoft 365 exports.
	{"activitydisplayname", "properties.message", always}, {"operationname", "properties.message", always},
	{"activitydisplayname", "operationname", always}, {"operationname", "activitydisplayname", always},
	{"operationnamevalue", "operationname", always}, {"operationname", "operationnamevalue", always}, {"category", "categoryvalue", always},
	{"operation", "eventname", always}, {"workload", "eventsource", always}, {"resultstatus", "status", always},
	{"targetresources", "properties.targetresources", always}, {"status.errorcode", "resulttype", always},
}

// integrity gives the names that Sysmon has for the labels of Windows Security 4688.
var integrity = map[string]string{
	"s-1-16-0": "Untrusted", "s-1-16-4096": "Low", "s-1-16-8192": "Medium", "s-1-16-8448": "Medium",
	"s-1-16-12288": "High", "s-1-16-16384": "System",
}

// slots numbers the fields that any rule asks for.
type slots struct {
	byName map[string]int32 // canonical name → slot
}

// The slots that routing needs; every set has them.
const (
	slotChannel int32 = iota
	slotEventID
	slotEventType
	slotProvider
	slotImage
	fixedSlots
)

func newSlots() *slots {
	s := &slots{byName: map[string]int32{}}
	for _, n := range [...]string{"channel", "eventid", "eventtype", "provider_name", "image"} {
		s.add(n)
	}
	return s
}

// add returns the slot of a field as a rule names it.
func (s *slots) add(field string) int32 {
	c := canonical(field)
	id, ok := s.byName[c]
	if !ok {
		id = int32(len(s.byName))
		s.byName[c] = id
	}
	return id
}

// addAll gives every field that an expression asks for its slot.
func (s *slots) addAll(x *expr) {
	if x.op == opAtom {
		if x.pred.field != "" {
			s.add(x.pred.field)
		}
		if x.pred.kind == kindFieldRef {
			x.pred.otherID = s.add(x.pred.other)
		}
	}
	for _, k := range x.kids {
		s.addAll(k)
	}
}

// meaning is what a field name of an event means to the rule set.
type meaning struct {
	name    string      // of the field, empty where it is too long to keep
	slots   []int32     // the field itself, and every object or list it lies in
	aliases []aliasSlot // other names it goes by
}

type aliasSlot struct {
	slot int32
	when aliasWhen
}

// routes reports whether a field of that meaning tells which rules an event is for.
func (m *meaning) routes() bool {
	tells := func(slot int32) bool { return slot == slotChannel || slot == slotEventID || slot == slotEventType }
	return slices.ContainsFunc(m.slots, tells) || slices.ContainsFunc(m.aliases, func(a aliasSlot) bool { return tells(a.slot) })
}

// meaningOf resolves a field name of an event. Results are cached by name, so it may take its time.
func (s *slots) meaningOf(name string) *meaning {
	m := &meaning{}
	c := canonical(name)
	for part := c; ; {
		if id, ok := s.byName[part]; ok {
			m.slots = append(m.slots, id)
		}
		i := strings.LastIndexByte(part, '.')
		if i < 0 {
			break
		}
		part = part[:i]
	}
	for _, a := range aliases {
		// An alias of an object is one of everything in it.
		if c != a.from && !(strings.HasPrefix(c, a.from) && c[len(a.from)] == '.') {
			continue
		}
		if id, ok := s.byName[a.to]; ok {
			m.aliases = append(m.aliases, aliasSlot{id, a.when})
		}
		if rest := c[len(a.from):]; rest != "" {
			if id, ok := s.byName[a.to+rest]; ok {
				m.aliases = append(m.aliases, aliasSlot{id, a.when})
			}
		}
	}
	return m
}

// Fields of our own that rules may ask for: what attribution found out.
const (
	fieldPartner   = "breakwater.partner"   // the partner through whose trust the event came
	fieldTrust     = "breakwater.trust"     // that trust
	fieldDirection = "breakwater.direction" // in, out, internal
	fieldTime      = "breakwater.time"      // of the event, in UTC: 2006-01-02T15:04:05Z
)

// derivedField is what the event says beside its native fields: how it was attributed, when it was, and the process
// as the decoder filled it in, which stands in where the source has other names.
type derivedField struct {
	name    string // canonical
	process bool   // of events of processes only
	text    func(*ocsf.Event) string
	slot    int32
}

// derivedFields returns those that the rules ask for.
func derivedFields(s *slots) (out []derivedField) {
	for _, d := range [...]derivedField{
		{fieldPartner, false, func(e *ocsf.Event) string { return string(e.Partner) }, 0},
		{fieldTrust, false, func(e *ocsf.Event) string { return string(e.Trust) }, 0},
		{fieldDirection, false, func(e *ocsf.Event) string { return string(e.Attribution.Direction) }, 0},
		{fieldTime, false, eventTime, 0},
		{"image", true, func(e *ocsf.Event) string { return e.Process.Image }, 0},
		{"commandline", true, func(e *ocsf.Event) string { return e.Process.CommandLine }, 0},
		{"originalfilename", true, func(e *ocsf.Event) string { return e.Process.OriginalName }, 0},
		{"parentimage", true, func(e *ocsf.Event) string { return e.Process.ParentImage }, 0},
		{"parentcommandline", true, func(e *ocsf.Event) string { return e.Process.ParentLine }, 0},
		{"user", true, func(e *ocsf.Event) string { return e.User.String() }, 0},
	} {
		if slot, ok := s.byName[d.name]; ok {
			d.slot = slot
			out = append(out, d)
		}
	}
	return out
}

func eventTime(e *ocsf.Event) string {
	if e.Time.IsZero() {
		return ""
	}
	return e.Time.UTC().Format(time.RFC3339)
}
