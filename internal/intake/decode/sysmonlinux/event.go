package sysmonlinux

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// monitors says what Sysmon's events are, by id.
var monitors = map[int]struct {
	class    ocsf.ClassUID
	activity string
}{
	1:  {ocsf.ClassProcessActivity, "launch"},
	3:  {ocsf.ClassNetworkActivity, "open"},
	4:  {ocsf.ClassBase, "sysmon state"},
	5:  {ocsf.ClassProcessActivity, "terminate"},
	9:  {ocsf.ClassFileActivity, "raw read"},
	10: {ocsf.ClassProcessActivity, "open"},
	11: {ocsf.ClassFileActivity, "create"},
	16: {ocsf.ClassBase, "sysmon configuration"},
	23: {ocsf.ClassFileActivity, "delete"},
}

func decodeEvent(text string) (*ocsf.Event, error) {
	fields, err := parse(text)
	if err != nil {
		return nil, err
	}
	fields.Sort()
	fields = slices.CompactFunc(fields, func(a, b ocsf.Field) bool { return a.Name == b.Name })
	if fields.Value("Provider_Name") != provider {
		return nil, fmt.Errorf("the event's provider is not %s", provider)
	}
	id, err := strconv.Atoi(fields.Value("EventID"))
	if err != nil {
		return nil, errors.New("EventID is not a number")
	}
	e := &ocsf.Event{Fields: fields, Source: "linux/sysmon", Layer: tenant.LayerEndpoint}
	if e.Time, err = timeOf(fields); err != nil {
		return nil, err
	}
	s := said(fields)
	e.Device = shortHost(s("Computer"))
	if record := s("EventRecordID"); record != "" && e.Device != "" {
		e.SourceID = e.Device + "|linux-sysmon|" + record + "|" + e.Time.Format("2006-01-02T15:04:05.000000Z")
	}
	m := monitors[id]
	e.Class, e.Activity = m.class, m.activity
	fill(e, id, s)
	return e, nil
}

func timeOf(fields ocsf.Fields) (at time.Time, err error) {
	for _, name := range [...]string{"TimeCreated_SystemTime", "UtcTime"} {
		v := fields.Value(name)
		if v == "" {
			continue
		}
		if at, ok := decode.ParseTime(v); ok {
			return at, nil
		}
		return at, fmt.Errorf("%s is not a time between 1971 and 2099", name)
	}
	return at, errors.New("no time: neither TimeCreated nor UtcTime is there")
}

// said returns a function that gives the first field that says something; Sysmon writes - where it knows nothing.
func said(fields ocsf.Fields) func(names ...string) string {
	return func(names ...string) string {
		for _, n := range names {
			if v := fields.Value(n); v != "" && v != "-" {
				return v
			}
		}
		return ""
	}
}

func fill(e *ocsf.Event, id int, s func(...string) string) {
	e.User = ocsf.User{Name: s("User", "SourceUser")}
	p := &ocsf.Process{Image: s("Image", "SourceImage"), PID: s("ProcessId", "SourceProcessId"), GUID: s("ProcessGuid", "SourceProcessGUID", "SourceProcessGuid")}
	if p.Image != "" || p.PID != "" {
		e.Process = p
	}
	switch id {
	case 1:
		e.Process = p
		p.CommandLine, p.OriginalName = s("CommandLine"), s("OriginalFileName")
		p.ParentImage, p.ParentLine = s("ParentImage"), s("ParentCommandLine")
		if h := s("Hashes"); h != "" {
			p.Hashes = strings.Split(h, ",")
		}
		e.Actor = ocsf.User{Name: s("ParentUser")}
		e.Status = ocsf.StatusSuccess
	case 3:
		e.Src, e.Dst = endpoint(s, "Source"), endpoint(s, "Destination")
		e.Flow = &ocsf.Flow{Proto: strings.ToLower(s("Protocol"))}
	case 9:
		e.File = &ocsf.File{Path: s("Device")}
	case 11, 23:
		e.File = &ocsf.File{Path: s("TargetFilename")}
		if h := s("Hashes", "Hash"); h != "" {
			e.File.Hashes = strings.Split(h, ",")
		}
	}
}

func endpoint(s func(...string) string, side string) ocsf.Endpoint {
	out := ocsf.Endpoint{Host: strings.ToLower(s(side + "Hostname"))}
	if ip, err := netip.ParseAddr(s(side + "Ip")); err == nil && !ip.IsUnspecified() {
		out.IP = ip.Unmap().WithZone("")
	}
	if n, err := strconv.ParseUint(s(side+"Port"), 10, 16); err == nil {
		out.Port = uint16(n)
	}
	return out
}

// shortHost returns a host's name up to the first dot in lower case; addresses stay whole.
func shortHost(name string) string {
	name = strings.ToLower(name)
	if _, err := netip.ParseAddr(name); err == nil {
		return name
	}
	short, _, _ := strings.Cut(name, ".")
	return short
}
