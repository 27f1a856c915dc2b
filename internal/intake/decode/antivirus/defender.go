// Package antivirus decodes what endpoint protection tells beside the event logs of Windows: rows of Microsoft
// Defender XDR's advanced hunting tables, as the portal exports them (CSV), as Log Analytics keeps them, and as the
// streaming API passes them on (a record of category AdvancedHunting-… with the row in properties).
//
// Out come events of layer endpoint whose source names the Sigma category they belong to: defender/antivirus for
// detections, defender/process_creation and so on for the device tables; for paths of other systems
// linux/process_creation and macos/process_creation. Beside Defender's columns stand the names that rules of that
// category speak: Signature and Filename, Image, TargetObject, DestinationIp. An event of a device table that fits
// no category is kept as defender/event.
//
// Sources: Microsoft's reference of the advanced hunting schema and of the streaming API. No export could be had
// to verify. Other vendors' formats are not read here.
package antivirus

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Objects returns the format of this package.
func Objects() []decode.Object {
	return []decode.Object{{Name: "defender", Match: isRow, Decode: row}}
}

// Streams returns the CSV export of the hunting page and of Log Analytics.
func Streams() []decode.Stream {
	return []decode.Stream{(&decode.Table{Name: "defender-csv", Objects: Objects(), Knows: func(h decode.Header) bool {
		return (h.Has("Timestamp") || h.Has("TimeGenerated") || h.Has("TimeGenerated [UTC]")) && h.Has("ActionType", "DeviceName")
	}}).Stream()}
}

// isRow matches a row of a device table, bare or as it is streamed.
func isRow(o *decode.JSON) bool {
	if strings.HasPrefix(o.Str("category"), "AdvancedHunting-Device") {
		return o.Has("properties.DeviceName") || o.Has("properties.DeviceId")
	}
	return o.Has("ActionType") && (o.Has("DeviceName") || o.Has("DeviceId")) && (o.Has("Timestamp") || o.Has("TimeGenerated"))
}

// kinds gives the Sigma category and OCSF class of an action type; actions that are none of them are told by prefix.
var kinds = map[string]struct {
	category string
	class    ocsf.ClassUID
	activity string
}{
	"ProcessCreated": {"process_creation", ocsf.ClassProcessActivity, "launch"}, "FileCreated": {"file_event", ocsf.ClassFileActivity, "create"},
	"FileModified": {"file_event", ocsf.ClassFileActivity, "update"}, "FileRenamed": {"file_event", ocsf.ClassFileActivity, "rename"},
	"FileDeleted": {"file_delete", ocsf.ClassFileActivity, "delete"}, "ImageLoaded": {"image_load", ocsf.ClassModuleActivity, "load"},
	"RegistryValueSet": {"registry_set", ocsf.ClassRegistryKey, "update"}, "RegistryKeyCreated": {"registry_add", ocsf.ClassRegistryKey, "create"},
	"RegistryKeyDeleted": {"registry_delete", ocsf.ClassRegistryKey, "delete"}, "RegistryValueDeleted": {"registry_delete", ocsf.ClassRegistryKey, "delete"},
	"ConnectionSuccess": {"network_connection", ocsf.ClassNetworkActivity, "open"}, "ConnectionAttempt": {"network_connection", ocsf.ClassNetworkActivity, "open"},
	"ConnectionFailed": {"network_connection", ocsf.ClassNetworkActivity, "fail"}, "ConnectionRequest": {"network_connection", ocsf.ClassNetworkActivity, "open"},
	"DriverLoad":   {"driver_load", ocsf.ClassModuleActivity, "load"},
	"LogonSuccess": {"logon", ocsf.ClassAuthentication, "logon"}, "LogonFailed": {"logon", ocsf.ClassAuthentication, "logon"},
	"LogonAttempted": {"logon", ocsf.ClassAuthentication, "logon"},
}

func row(o *decode.JSON, e *ocsf.Event) error {
	t, err := o.Time("Timestamp", "properties.Timestamp", "TimeGenerated", "TimeGenerated [UTC]", "time")
	if err != nil {
		return err
	}
	e.Time, e.Layer, e.Class = t, tenant.LayerEndpoint, ocsf.ClassBase
	v := &decode.View{Event: e}
	if o.Has("properties.ActionType") {
		v.Prefix = "properties."
		decode.Lift(e, v.Prefix)
	}
	decode.Expand(e, "AdditionalFields")
	action := v.Value("ActionType")
	category := "event"
	if k, ok := kinds[action]; ok {
		category, e.Class, e.Activity = k.category, k.class, k.activity
	} else if strings.HasPrefix(action, "Antivirus") && v.Value("AdditionalFields.ThreatName", "ThreatName") != "" {
		category, e.Activity = "antivirus", "detect"
	}
	e.Device = strings.ToLower(v.Value("DeviceName"))
	e.SourceID = sourceID(v)
	e.User = account(v, "")
	e.Actor = account(v, "InitiatingProcess")
	if e.User == (ocsf.User{}) {
		e.User = e.Actor
	}
	path := filePath(v, "FolderPath", "FileName")
	fill(v, category, path)
	if strings.HasSuffix(action, "Failed") {
		e.Status = ocsf.StatusFailure
	} else if category != "event" {
		e.Status = ocsf.StatusSuccess
	}
	e.Source = product(path, filePath(v, "InitiatingProcessFolderPath", "InitiatingProcessFileName"), category) + "/" + category
	return nil
}

// sourceID is what Defender calls unique: report, device and time together.
func sourceID(v *decode.View) string {
	report, device := v.Value("ReportId"), v.Value("DeviceId")
	if report == "" || device == "" {
		return ""
	}
	return device + " " + report + " " + v.Value("Timestamp", "TimeGenerated")
}

func account(v *decode.View, prefix string) ocsf.User {
	return ocsf.User{Name: strings.ToLower(v.Value(prefix+"AccountName", prefix+"AccountUpn")), Domain: strings.ToLower(v.Value(prefix + "AccountDomain")), UID: v.Value(prefix + "AccountSid")}
}

// filePath joins a folder and a name; tables differ in whether the folder holds the name already.
func filePath(v *decode.View, folder, name string) string {
	f, n := v.Value(folder), v.Value(name)
	if f == "" || n == "" || len(f) >= len(n) && strings.EqualFold(f[len(f)-len(n):], n) {
		if f == "" {
			return n
		}
		return f
	}
	separator := `\`
	if strings.HasPrefix(f, "/") {
		separator = "/"
	}
	return strings.TrimSuffix(f, separator) + separator + n
}

// fill adds what belongs to the category: the event's parts, and the names that rules speak.
func fill(v *decode.View, category, path string) {
	e := v.Event
	by := filePath(v, "InitiatingProcessFolderPath", "InitiatingProcessFileName")
	add := func(name, value string) { decode.AddFields(e, ocsf.Field{Name: name, Value: value}) }
	switch category {
	case "process_creation":
		e.Process = &ocsf.Process{Image: path, OriginalName: v.Value("ProcessVersionInfoOriginalFileName"), CommandLine: v.Value("ProcessCommandLine"),
			PID: v.Value("ProcessId"), ParentImage: by, ParentLine: v.Value("InitiatingProcessCommandLine"), Hashes: hashes(v)}
		return // the rule engine takes the names from the process
	case "antivirus":
		add("Signature", v.Value("AdditionalFields.ThreatName", "ThreatName"))
		add("Filename", path)
		e.File = &ocsf.File{Path: path, Hashes: hashes(v), Size: decode.Number(v.Value("FileSize"))}
	case "file_event", "file_delete":
		add("TargetFilename", path)
		e.File = &ocsf.File{Path: path, Hashes: hashes(v), Size: decode.Number(v.Value("FileSize"))}
	case "image_load", "driver_load":
		add("ImageLoaded", path)
		e.File = &ocsf.File{Path: path, Hashes: hashes(v)}
	case "registry_set", "registry_add", "registry_delete":
		key := v.Value("RegistryKey", "PreviousRegistryKey")
		if name := v.Value("RegistryValueName"); name != "" {
			key += `\` + name
		}
		add("TargetObject", key)
		add("Details", v.Value("RegistryValueData"))
	case "network_connection":
		e.Src.IP, _ = decode.Address(v.Value("LocalIP"))
		e.Src.Port = port(v.Value("LocalPort"))
		e.Dst.IP, _ = decode.Address(v.Value("RemoteIP"))
		e.Dst.Port = port(v.Value("RemotePort"))
		e.Dst.Domain = strings.ToLower(v.Value("RemoteUrl"))
		e.Flow = &ocsf.Flow{Proto: strings.ToLower(v.Value("Protocol"))}
		add("DestinationIp", v.Value("RemoteIP"))
		add("DestinationPort", v.Value("RemotePort"))
		add("DestinationHostname", v.Value("RemoteUrl"))
		add("SourceIp", v.Value("LocalIP"))
		add("SourcePort", v.Value("LocalPort"))
	case "logon":
		e.Src.IP, _ = decode.Address(v.Value("RemoteIP"))
		e.Src.Host = strings.ToLower(v.Value("RemoteDeviceName"))
	default:
		return
	}
	add("Image", by)
	add("User", e.Actor.String())
}

func hashes(v *decode.View) []string {
	var out []string
	for _, name := range [...]string{"MD5", "SHA1", "SHA256"} {
		if h := v.Value(name); h != "" {
			out = append(out, name+"="+h)
		}
	}
	return out
}

func port(s string) uint16 {
	if n := decode.Number(s); n > 0 && n <= 65535 {
		return uint16(n)
	}
	return 0
}

// product is the system that a path belongs to, as far as rules ask: detections belong to none.
func product(path, by, category string) string {
	at := path
	if !strings.HasPrefix(at, "/") {
		at = by
	}
	if category == "antivirus" || category == "event" || !strings.HasPrefix(at, "/") {
		return "defender"
	}
	for _, root := range [...]string{"/Applications/", "/Users/", "/System/", "/Library/"} {
		if strings.HasPrefix(at, root) {
			return "macos"
		}
	}
	return "linux"
}
