package fleet

import (
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// ChainFor is how long after the last thing that an agent started on a host what follows from it still belongs to it.
const ChainFor = 2 * time.Hour

// InstallFor is how soon after an agent's order a remote tool that comes to the host comes by it.
const InstallFor = 5 * time.Minute

// Bounds of one chain, and how many files with one new ending are a rewriting.
const (
	maxLines     = 32
	maxImages    = 16
	maxLine      = 4096
	RewriteFiles = 6
)

// chain is what a platform's agent started on one host, and what came of that.
type chain struct {
	Tool    string
	Trust   tenant.TrustID
	Began   int64
	Last    int64
	Lines   []string // command lines of the agent's descendants, in lower case
	IDs     []string // their process GUIDs, where the source has them
	Images  []string // their programs, without the system's own, in lower case
	Folders []string // that the agent's own orders lie in
	Made    []string // files that certutil or a script made
	Did     kind
	Endings map[string]int
}

// consoles are platforms that nobody calls remote tools, by parts of their programs' path: consoles of antivirus, patch
// and backup products give orders to every host, too (Webroot 2019).
var consoles = [...]struct{ part, tool string }{
	{`\webroot\`, "webroot"}, {`\wrsa.exe`, "webroot"}, {`\sophos\`, "sophos"}, {`\bitdefender\`, "bitdefender"}, {`\sentinelone\`, "sentinelone"},
	{`\crowdstrike\`, "crowdstrike"}, {`\csfalcon`, "crowdstrike"}, {`\eset\`, "eset"}, {`\trend micro\`, "trendmicro"}, {`\acronis\`, "acronis"}, {`\veeam\`, "veeam"},
	{`\cybereason`, "cybereason"}, {`\carbonblack\`, "carbonblack"}, {`\confer\`, "carbonblack"}, {`\kaspersky lab\`, "kaspersky"}, {`\symantec\`, "symantec"},
	{`\tanium\`, "tanium"}, {`\bigfix`, "bigfix"}, {`\automox`, "automox"}, {`\ivanti\`, "ivanti"}, {`\landesk\`, "ivanti"}, {`\chocolatey\`, "chocolatey"},
	{`\huntress\`, "huntress"}, {`\threatlocker\`, "threatlocker"}, {`\matrix42\`, "matrix42"}, {`\baramundi\`, "baramundi"},
}

// agentOf names the platform whose agent a program is; "" where it is none. A name that a trust declares counts also
// where the program lies in a folder of that name.
func (d *Detector) agentOf(id tenant.ID, image string) string {
	if image == "" || len(image) > maxLine {
		return ""
	}
	if tool, _, ok := remotetool.ByProcess(image); ok {
		return tool
	}
	lower := strings.ToLower(strings.ReplaceAll(image, "/", `\`))
	for i := range consoles {
		if strings.Contains(lower, consoles[i].part) {
			return consoles[i].tool
		}
	}
	for _, t := range d.trusts[id] {
		for _, r := range t.RemoteTools {
			if len(r.Tool) >= 4 && strings.Contains(lower, `\`+r.Tool+`\`) {
				return r.Tool
			}
		}
	}
	return ""
}

// declares returns the trust by which a platform's orders come to a tenant: the only one that declares it, or nil.
func (d *Detector) declares(e *ocsf.Event, tool string) *tenant.Trust {
	var found *tenant.Trust
	for _, t := range d.trusts[e.Tenant] {
		if !t.ValidAt(e.Time) || !slices.ContainsFunc(t.RemoteTools, func(r tenant.RemoteTool) bool { return remotetool.Normalise(r.Tool) == tool }) {
			continue
		}
		if t.ID == e.Trust {
			return t
		}
		if found != nil && found.Partner != t.Partner {
			return nil // two partners use it: the host does not tell whose order it was
		}
		found = t
	}
	return found
}

// sanctioned reports whether a trust of the tenant declares the remote tool that an event shows, by its instance where
// the trust names one.
func (d *Detector) sanctioned(e *ocsf.Event) bool {
	r := e.Remote
	if e.Partner != "" {
		return true
	}
	for _, t := range d.trusts[e.Tenant] {
		for _, x := range t.RemoteTools {
			if t.ValidAt(e.Time) && remotetool.Normalise(x.Tool) == remotetool.Normalise(r.Tool) && (x.Instance == "" || r.Instance == "" || strings.EqualFold(x.Instance, r.Instance)) {
				return true
			}
		}
	}
	return false
}

func hostName(s string) string {
	s, _, _ = strings.Cut(strings.ToLower(s), ".")
	return s
}

// follow takes an event of a host into the chain that it belongs to.
func (d *Detector) follow(e *ocsf.Event, emit detect.Emit) {
	key := string(e.Tenant) + "\x00" + hostName(e.Device)
	c := d.s.Chains[key]
	if c != nil && e.Time.Unix()-c.Last > int64(ChainFor/time.Second) {
		c = nil
	}
	var k kind
	switch p := e.Process; {
	case p != nil && e.Class == ocsf.ClassProcessActivity && p.CommandLine != "":
		if tool := d.agentOf(e.Tenant, p.ParentImage); tool != "" && !ofAgent(p) {
			t := d.declares(e, tool)
			if t == nil {
				return
			}
			if c == nil || c.Tool != tool {
				detect.MakeRoom(d.s.Chains, MaxChains, func(c *chain) int64 { return c.Last })
				c = &chain{Tool: strings.Clone(tool), Trust: t.ID, Began: e.Time.Unix(), Endings: map[string]int{}}
				d.s.Chains[key] = c
			}
			c.order(p.CommandLine)
		} else if c == nil || !c.parent(e) {
			return
		}
		k = c.started(e)
	case c == nil:
		return
	case e.Remote != nil && e.Remote.Act == "install" && e.Time.Unix()-c.Last <= int64(InstallFor/time.Second):
		// PsExec's service comes and goes with each use; a tool for people needs a program that installs it.
		if tool := e.Remote.Tool; tool == c.Tool || tool == "psexec" || c.Did&runs == 0 || d.sanctioned(e) {
			return
		}
		k = installs
	case p != nil && e.File != nil && c.has(p.Image):
		k = c.wrote(e.File.Path)
	default:
		k = c.alert(e)
	}
	c.Last = max(c.Last, e.Time.Unix())
	if k == 0 {
		return
	}
	before := c.Did
	c.Did |= k
	d.pushed(e, c, k, before, emit)
}

// ofAgent reports whether an agent starts one of its own programs, as updates do.
func ofAgent(p *ocsf.Process) bool {
	return folder(p.Image) == folder(p.ParentImage)
}

// order notes where an order of the agent's lies.
func (c *chain) order(line string) {
	for _, file := range quotedFile.FindAllString(line[:min(len(line), maxLine)], 4) {
		if dir := folder(file); !shared(dir) && !ofSystem(file) {
			add(&c.Folders, dir, 4)
		}
	}
}

// add puts a text into a short list once; the oldest gives way.
func add(list *[]string, s string, most int) {
	if s == "" || slices.Contains(*list, s) {
		return
	}
	if len(*list) >= most {
		*list = slices.Delete(*list, 0, 1)
	}
	*list = append(*list, strings.Clone(s))
}

func lineKey(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(s[:min(len(s), maxLine)])), " ")
}

// parent reports whether a process was started by one of the chain's.
func (c *chain) parent(e *ocsf.Event) bool {
	p := e.Process
	if id := e.Fields.Value("ParentProcessGuid"); id != "" && slices.Contains(c.IDs, id) {
		return true
	}
	return p.ParentLine != "" && slices.Contains(c.Lines, lineKey(p.ParentLine)) || c.has(p.ParentImage)
}

func (c *chain) has(image string) bool {
	return image != "" && slices.Contains(c.Images, slashed(image))
}

// started takes in a process of the chain.
func (c *chain) started(e *ocsf.Event) kind {
	p := e.Process
	line := lineKey(p.CommandLine)
	add(&c.Lines, line, maxLines)
	add(&c.IDs, p.GUID, maxLines)
	k := did(p, line)
	if !ofSystem(p.Image) {
		add(&c.Images, slashed(p.Image), maxImages)
		k |= runs
	}
	if k&(decodes|fetches) != 0 {
		for _, file := range quotedFile.FindAllString(p.CommandLine[:min(len(p.CommandLine), maxLine)], 4) {
			add(&c.Made, slashed(file), maxImages)
		}
	}
	return k
}

// wrote takes in a file that a program of the chain wrote.
func (c *chain) wrote(file string) kind {
	if archive(file) {
		return stages
	}
	end := added(file)
	if end == "" || len(c.Endings) >= 64 && c.Endings[end] == 0 {
		return 0
	}
	if c.Endings == nil {
		c.Endings = map[string]int{}
	}
	if c.Endings[strings.Clone(end)]++; c.Endings[end] == RewriteFiles {
		return rewrites
	}
	return 0
}

// alert takes in what the antivirus of the host says of the chain's files (Microsoft Defender Antivirus, events 1116,
// 1117, 5001, 5007 and 5013).
func (c *chain) alert(e *ocsf.Event) kind {
	id := e.Fields.Value("EventID")
	if id != "1116" && id != "1117" && id != "5001" || !strings.Contains(e.Fields.Value("Channel"), "Windows Defender") && !strings.Contains(e.Fields.Value("Provider_Name"), "Windows Defender") {
		return 0
	}
	if id == "5001" {
		return weakens
	}
	file := slashed(strings.TrimPrefix(e.Fields.Value("Path"), "file:_"))
	if !slices.Contains(c.Made, file) && !slices.Contains(c.Images, file) && !slices.Contains(c.Folders, folder(file)) {
		return 0
	}
	if id == "1117" {
		switch strings.ToLower(e.Fields.Value("Action Name")) {
		case "quarantine", "remove", "clean", "block", "delete":
			return alerts | blocks
		}
	}
	return alerts
}
