package windows

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// monitors says what Sysmon's events are, by id.
var monitors = map[int]struct {
	class    ocsf.ClassUID
	activity string
}{
	1:  {ocsf.ClassProcessActivity, "launch"},
	2:  {ocsf.ClassFileActivity, "set attributes"},
	3:  {ocsf.ClassNetworkActivity, "open"},
	5:  {ocsf.ClassProcessActivity, "terminate"},
	6:  {ocsf.ClassModuleActivity, "driver load"},
	7:  {ocsf.ClassModuleActivity, "load"},
	8:  {ocsf.ClassProcessActivity, "inject"},
	9:  {ocsf.ClassFileActivity, "raw read"},
	10: {ocsf.ClassProcessActivity, "open"},
	11: {ocsf.ClassFileActivity, "create"},
	12: {ocsf.ClassRegistryKey, "create"},
	13: {ocsf.ClassRegistryKey, "set"},
	14: {ocsf.ClassRegistryKey, "rename"},
	15: {ocsf.ClassFileActivity, "create"},
	17: {ocsf.ClassFileActivity, "pipe create"},
	18: {ocsf.ClassFileActivity, "pipe connect"},
	22: {ocsf.ClassDNSActivity, "query"},
	23: {ocsf.ClassFileActivity, "delete"},
	25: {ocsf.ClassProcessActivity, "tamper"},
	26: {ocsf.ClassFileActivity, "delete"},
	27: {ocsf.ClassFileActivity, "create"},
	28: {ocsf.ClassFileActivity, "delete"},
	29: {ocsf.ClassFileActivity, "create"},
}

func (r *record) sysmon() {
	e := r.e
	m := monitors[r.id]
	r.what(m.class, m.activity)
	e.User = account(r.s("User", "SourceUser"))
	e.Process = &ocsf.Process{Image: r.s("Image", "SourceImage"), PID: r.s("ProcessId", "SourceProcessId"),
		GUID: r.s("ProcessGuid", "SourceProcessGUID", "SourceProcessGuid")}
	switch r.id {
	case 1:
		r.launch()
	case 3:
		r.connection()
	case 6:
		e.Process = nil
		e.File = &ocsf.File{Path: r.s("ImageLoaded"), Hashes: hashes(r.s("Hashes"))}
	case 7:
		e.File = &ocsf.File{Path: r.s("ImageLoaded"), Hashes: hashes(r.s("Hashes"))}
	case 2, 11, 15, 23, 26, 27, 28, 29:
		e.File = &ocsf.File{Path: r.s("TargetFilename"), Hashes: hashes(r.s("Hashes", "Hash"))}
	case 9:
		e.File = &ocsf.File{Path: r.s("Device")}
	case 12:
		if t := r.s("EventType", "EventTypeOrig"); strings.HasPrefix(t, "Delete") {
			e.Activity = "delete"
		}
	case 17, 18:
		e.File = &ocsf.File{Path: r.s("PipeName")}
	case 22:
		r.query()
	}
	if p := e.Process; p != nil && p.Image == "" && p.PID == "" && p.GUID == "" {
		e.Process = nil
	}
}

func (r *record) launch() {
	p := r.e.Process
	p.OriginalName = r.s("OriginalFileName")
	p.CommandLine = r.s("CommandLine")
	p.ParentImage = r.s("ParentImage")
	p.ParentLine = r.s("ParentCommandLine")
	p.Hashes = hashes(r.s("Hashes"))
	r.e.Actor = account(r.s("ParentUser"))
	r.e.Status = ocsf.StatusSuccess
}

func (r *record) connection() {
	e := r.e
	e.Src = r.endpoint("SourceIp", "SourcePort")
	e.Dst = r.endpoint("DestinationIp", "DestinationPort")
	e.Src.Host = strings.ToLower(r.s("SourceHostname"))
	e.Dst.Host = strings.ToLower(r.s("DestinationHostname"))
	e.Flow = &ocsf.Flow{Proto: strings.ToLower(r.s("Protocol"))}
}

// query fills a DNS query. Sysmon writes its answers as "type:  5 alias.example.net;::ffff:192.0.2.7;".
func (r *record) query() {
	e := r.e
	e.Dst.Domain = strings.TrimSuffix(strings.ToLower(r.s("QueryName")), ".")
	e.Status = code(r.s("QueryStatus"))
	for part := range strings.SplitSeq(r.s("QueryResults"), ";") {
		part = strings.TrimSpace(part)
		if rest, ok := strings.CutPrefix(part, "type:"); ok {
			_, part, _ = strings.Cut(strings.TrimSpace(rest), " ")
			part = strings.TrimSpace(part)
		}
		if a := addr(part); a.IsValid() {
			part = a.String()
		}
		if part != "" && len(e.Answers) < maxAnswers {
			e.Answers = append(e.Answers, part)
		}
	}
}

// maxAnswers is how many DNS answers an event keeps; the field QueryResults has them all.
const maxAnswers = 64
