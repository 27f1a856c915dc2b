package sigma

import (
	"cmp"
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
	if c == ownFields || strings.HasPrefix(c, ownFields+".") {
		return m // a record can't say who it comes from
	}
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

// ownFields is the object that all fields of our own lie in. What records have under that name is not seen by rules.
const ownFields = "breakwater"

// Fields of our own that rules may ask for: what attribution found out, and what decoders of whatever product call the
// same, so that one correlation can follow a host or an account through several logs.
const (
	fieldPartner   = "breakwater.partner"   // the partner through whose trust the event came
	fieldTrust     = "breakwater.trust"     // that trust
	fieldDirection = "breakwater.direction" // in, out, internal
	fieldTime      = "breakwater.time"      // of the event, in UTC: 2006-01-02T15:04:05Z
	fieldStatus    = "breakwater.status"    // success, failure; absent where the source doesn't tell
	fieldHost      = "breakwater.host"      // on which it happened: its name without the domain
	fieldActor     = "breakwater.actor"     // the account that acts
	fieldAccount   = "breakwater.account"   // the account that it is done to; the actor's own where no other is named
	fieldCountry   = "breakwater.country"   // it came from, ISO 3166 alpha-2, as the cloud service tells it
	fieldTool      = "breakwater.tool"      // remote-support product: screenconnect, anydesk …
	fieldInstance  = "breakwater.instance"  // of that product
	fieldAct       = "breakwater.act"       // what was done with it: install, connect, disconnect, command, file …
	fieldRecipient = "breakwater.recipient" // first recipient of a mail
	fieldLinks     = "breakwater.links"     // the links of a mail, one a line
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
		{fieldStatus, false, statusOf, 0},
		{fieldHost, false, hostOf, 0},
		{fieldActor, false, func(e *ocsf.Event) string { return actor(e).Name }, 0},
		{fieldAccount, false, func(e *ocsf.Event) string { return cmp.Or(e.User.Name, e.Actor.Name) }, 0},
		{fieldCountry, false, countryOf, 0},
		{fieldTool, false, func(e *ocsf.Event) string { return remoteOf(e).Tool }, 0},
		{fieldInstance, false, func(e *ocsf.Event) string { return remoteOf(e).Instance }, 0},
		{fieldAct, false, func(e *ocsf.Event) string { return remoteOf(e).Act }, 0},
		{fieldRecipient, false, recipientOf, 0},
		{fieldLinks, false, linksOf, 0},
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

func statusOf(e *ocsf.Event) string {
	if e.Status == ocsf.StatusUnknown {
		return ""
	}
	return e.Status.String()
}

// hostOf returns the name of the host without its domain: one log has the one, another the other.
func hostOf(e *ocsf.Event) string {
	host := cmp.Or(e.Device, e.Dst.Host)
	if strings.Trim(host, ".0123456789") == "" { // an address
		return host
	}
	short, _, _ := strings.Cut(host, ".")
	return short
}

func countryOf(e *ocsf.Event) string {
	if e.Cloud == nil {
		return ""
	}
	return e.Cloud.Country
}

func remoteOf(e *ocsf.Event) ocsf.RemoteSession {
	if e.Remote == nil {
		return ocsf.RemoteSession{}
	}
	return *e.Remote
}

func recipientOf(e *ocsf.Event) string {
	if e.Mail == nil || len(e.Mail.To) == 0 {
		return ""
	}
	return e.Mail.To[0]
}

// maxLinks and maxLink bound what rules see of the links of a mail.
const (
	maxLinks = 32
	maxLink  = 2_048 // bytes of one
)

func linksOf(e *ocsf.Event) string {
	if e.Mail == nil || len(e.Mail.Links) == 0 {
		return ""
	}
	if url := e.Mail.Links[0].URL; len(e.Mail.Links) == 1 {
		return url[:min(len(url), maxLink)]
	}
	var b strings.Builder
	for i := range e.Mail.Links[:min(len(e.Mail.Links), maxLinks)] {
		url := e.Mail.Links[i].URL
		b.WriteString(url[:min(len(url), maxLink)])
		b.WriteByte('\n')
	}
	return b.String()
}
