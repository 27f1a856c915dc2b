package windows

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// shape is how an event is wrapped.
type shape uint8

const (
	shapeNone   shape = iota
	shapeFlat         // nxlog, Log Analytics exports, EvtxECmd: everything at the top
	shapeBeat         // winlogbeat 7 and later
	shapeBeat6        // winlogbeat 5 and 6
	shapeNested       // {"Event":{"System":…,"EventData":…}}, with or without the outer Event
)

func shapeOf(o *decode.JSON) shape {
	switch {
	case hasID(o, "Event.System.EventID") || hasID(o, "System.EventID"):
		return shapeNested
	case o.Has("winlog.event_id") || o.Has("winlog.channel") && o.Has("event.code"):
		return shapeBeat
	case o.Has("log_name") && o.Has("event_id"):
		return shapeBeat6
	case o.Has("Channel") && (o.Has("EventID") || o.Has("EventId")):
		return shapeFlat
	}
	return shapeNone
}

func hasID(o *decode.JSON, name string) bool {
	return o.Has(name) || o.Has(name+".#text") || o.Has(name+".Value")
}

// canonical returns the fields with the names that Sigma rules speak added at the top level, sorted. The
// source's fields stay as they are.
func canonical(s shape, native ocsf.Fields) ocsf.Fields {
	room := len(native) + 6
	if s != shapeFlat {
		room += len(native)
	}
	c := &canon{native: native, out: make(ocsf.Fields, len(native), room)}
	copy(c.out, native)
	switch s {
	case shapeNested:
		c.nested()
	case shapeBeat:
		c.beat()
	case shapeBeat6:
		c.first("Channel", "log_name")
		c.first("EventID", "event_id")
		c.first("Provider_Name", "source_name")
		c.first("Computer", "computer_name")
		c.first("EventRecordID", "record_number")
		c.first("Message", "message")
		c.strip("event_data.")
		c.strip("user_data.")
	default:
		c.flat()
	}
	c.out.Sort()
	return c.out
}

type canon struct {
	native ocsf.Fields
	out    ocsf.Fields
	have   uint8 // which of the names that System owns were added
}

// system lists the names that belong to the event's System part; event data never replaces them.
var system = [...]string{"Channel", "EventID", "Provider_Name", "Computer", "EventRecordID", "Level", "Keywords", "Message"}

func (c *canon) add(name, value string) {
	for i, s := range system {
		if s == name {
			if c.have&(1<<i) != 0 {
				return
			}
			c.have |= 1 << i
		}
	}
	if _, there := c.native.Get(name); !there && name != "" {
		c.out = append(c.out, ocsf.Field{Name: name, Value: value})
	}
}

// first adds the name with the value of the first of the native fields that has one.
func (c *canon) first(name string, from ...string) {
	for _, f := range from {
		if v, ok := c.native.Get(f); ok && v != "" {
			c.add(name, v)
			return
		}
	}
}

// strip adds every field below prefix by its last part of name.
func (c *canon) strip(prefix string) {
	for _, f := range c.native {
		if rest, ok := strings.CutPrefix(f.Name, prefix); ok {
			c.add(rest, f.Value)
		}
	}
}

func (c *canon) flat() {
	c.first("EventID", "EventId")
	c.first("Provider_Name", "SourceName", "ProviderName", "Provider", "EventSourceName")
	c.first("Computer", "Hostname", "ComputerName", "host.name", "MachineName", "host")
	c.first("EventRecordID", "RecordNumber", "RecordID", "RecordId", "EventRecordId")
	if payload := c.native.Value("Payload"); strings.HasPrefix(payload, `{"EventData"`) { // EvtxECmd
		c.payload(payload)
	}
	if strings.EqualFold(c.native.Value("Channel"), "Windows PowerShell") { // rules search the raw data of these
		c.first("Data", "Message")
	}
}

func (c *canon) payload(text string) {
	if len(text) > decode.MaxRecord || decode.DeeperThan([]byte(text), decode.MaxDepth) {
		return
	}
	var p fastjson.Parser
	if o, err := decode.ParseJSON(&p, []byte(text)); err == nil {
		inner := &canon{native: o.Fields()}
		inner.data("EventData.")
		for _, f := range inner.out {
			c.add(f.Name, f.Value)
		}
	}
}

func (c *canon) beat() {
	c.first("Channel", "winlog.channel")
	c.first("EventID", "winlog.event_id", "event.code")
	c.first("Provider_Name", "winlog.provider_name", "event.provider")
	c.first("Computer", "winlog.computer_name", "host.name", "host.hostname", "agent.hostname")
	c.first("EventRecordID", "winlog.record_id")
	c.first("Message", "message")
	c.first("Level", "winlog.level", "log.level")
	c.first("Keywords", "winlog.keywords")
	c.strip("winlog.event_data.")
	c.strip("winlog.user_data.")
}

func (c *canon) nested() {
	p := "Event."
	if _, ok := c.native.Get("System.Channel"); ok {
		p = ""
	} else if _, ok := c.native.Get("System.EventID"); ok {
		p = ""
	}
	c.first("Channel", p+"System.Channel")
	c.first("EventID", p+"System.EventID", p+"System.EventID.#text", p+"System.EventID.Value")
	c.first("Provider_Name", p+"System.Provider.#attributes.Name", p+"System.Provider_attributes.Name",
		p+"System.Provider.@Name", p+"System.Provider.Name")
	c.first("Computer", p+"System.Computer")
	c.first("EventRecordID", p+"System.EventRecordID")
	c.first("Level", p+"System.Level")
	c.first("Keywords", p+"System.Keywords")
	c.first("Message", "Message", p+"RenderingInfo.Message")
	c.data(p + "EventData.")
	c.userData(p + "UserData.")
}

// data adds the fields of an EventData object: {"Image":…}, {"Data":["…"]} for events without names, and
// {"Data":[{"@Name":"Image","#text":"…"}]} as XML converters write it.
func (c *canon) data(prefix string) {
	for _, f := range c.native {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok {
			continue
		}
		switch {
		case strings.HasPrefix(name, "#attributes") || strings.HasPrefix(name, "@"):
		case strings.HasPrefix(name, "Data.") && name != "Data.#text":
			c.named(prefix, name, f.Value)
		default:
			c.add(strings.ReplaceAll(strings.TrimSuffix(name, ".#text"), " ", ""), f.Value) // Sigma writes names without blanks
		}
	}
}

func (c *canon) named(prefix, name, value string) {
	entry, key, _ := strings.Cut(strings.TrimPrefix(name, "Data."), ".")
	entry = prefix + "Data." + entry
	switch key {
	case "@Name", "Name", "#attributes.Name":
		for _, k := range [...]string{".#text", ".Value", ".Text"} {
			if v, ok := c.native.Get(entry + k); ok {
				c.add(strings.ReplaceAll(value, " ", ""), v)
				return
			}
		}
		c.add(strings.ReplaceAll(value, " ", ""), "")
	}
}

// userData adds the fields of a UserData object, which stand below one wrapper of any name.
func (c *canon) userData(prefix string) {
	for _, f := range c.native {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok {
			continue
		}
		_, name, ok = strings.Cut(name, ".")
		if !ok || strings.HasPrefix(name, "#attributes") || strings.HasPrefix(name, "@") {
			continue
		}
		c.add(strings.TrimSuffix(name, ".#text"), f.Value)
	}
}
