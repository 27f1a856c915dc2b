package fanout

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// When a script that spreads is told (ATT&CK T1072).
const (
	ScriptWindow  = 30 * time.Minute
	ScriptHosts   = 5                   // hosts on which a new script ran
	ScriptTenants = 3                   // or tenants
	OldHosts      = 10                  // hosts for a script that was seen before, but never spread
	scriptNew     = 24 * time.Hour      // a script is new for so long after anybody was first seen to run it
	maxLines      = 200_000             // scripts and command lines whose first sight is remembered
	linesFor      = 30 * 24 * time.Hour // without a sight, to twice as long
	maxLine       = 4096                // bytes of a command line that are looked at
	maxFirstLine  = 200                 // bytes of it that a finding shows
)

// lines remembers when each command line or file was first seen anywhere, in two halves: what is seen goes to the
// young one, and what is in the old one when they change and was not seen since is forgotten.
type lines struct {
	Young, Old map[uint64]int64 // hash → Unix seconds of the first sight
	Turned     int64
	Began      int64 // the first sight of all
}

func newLines() lines { return lines{Young: map[uint64]int64{}, Old: map[uint64]int64{}} }

// first returns when that was first seen, which is now where it never was.
func (l *lines) first(h uint64, now int64) int64 {
	if l.Began == 0 {
		l.Began, l.Turned = now, now
	}
	if at, ok := l.Young[h]; ok {
		return at
	}
	at, ok := l.Old[h]
	if !ok {
		at = now
	}
	if len(l.Young) >= maxLines/2 {
		l.turn(now)
	}
	l.Young[h] = at
	return at
}

func (l *lines) turn(now int64) { l.Old, l.Young, l.Turned = l.Young, map[uint64]int64{}, now }

func (l *lines) age(now time.Time) {
	if l.Began != 0 && now.Unix()-l.Turned > int64(linesFor/time.Second) {
		l.turn(now.Unix())
	}
}

// script is what an event shows to run or arrive on a host.
type script struct {
	kind  string // script, or file
	text  string // normalised line, or the file's hash
	first string // as it was written
	host  string
	ours  bool // it came through a remote tool or a partner's account
}

// scriptOf reads a command of a remote tool, a process, or a file that was pushed; ok is false where the event shows
// none, or only a program's name, which says nothing.
func scriptOf(e *ocsf.Event) (s script, ok bool) {
	s.host = hostName(e.Device)
	switch r, p := e.Remote, e.Process; {
	case r != nil && r.CommandLine != "" && r.Act != "connect" && r.Act != "disconnect":
		s.first, s.ours = r.CommandLine, true
		if r.Target != "" {
			s.host = hostName(r.Target)
		}
		if e.Direction == ocsf.DirectionOut && r.Company != "" {
			s.host = strings.ToLower(r.Company) + "/" + s.host
		}
	case r != nil && r.Act == "file" && e.File != nil && hashOf(e.File.Hashes) != "":
		if r.Target != "" {
			s.host = hostName(r.Target)
		}
		return script{"file", hashOf(e.File.Hashes), e.File.Path, s.host, true}, s.host != ""
	case p != nil && p.CommandLine != "":
		s.first = p.CommandLine
		_, _, tool := remotetool.ByProcess(p.ParentImage)
		s.ours = tool || e.Partner != ""
	case e.File != nil && e.Partner != "" && hashOf(e.File.Hashes) != "":
		return script{"file", hashOf(e.File.Hashes), e.File.Path, s.host, true}, s.host != ""
	default:
		return s, false
	}
	if s.host == "" {
		return s, false
	}
	s.kind, s.text = "script", normalise(s.first, e.Device)
	if strings.Contains(s.text, "<id>") && generated.MatchString(s.text) {
		return s, false // a remote tool's wrapper: what it runs stands in a file that the line names by chance
	}
	rest := strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(s.text, `"`, ""), strings.ReplaceAll(remotetool.Program(s.text), `"`, "")))
	return s, rest != "" || e.Remote != nil && s.text != ""
}

// hashOf returns the strongest hash that a source gives.
func hashOf(list []string) string {
	for _, kind := range [...]string{"SHA256=", "SHA1=", "MD5="} {
		for _, h := range list {
			if len(h) > len(kind) && strings.EqualFold(h[:len(kind)], kind) {
				return strings.ToLower(h)
			}
		}
	}
	return ""
}

// generated is a script's file whose name is made for one run.
var generated = regexp.MustCompile(`<id>[^\\/" ]*\.(cmd|bat|ps1|vbs|sh)\b`)

// normalise makes equal what differs from host to host and from run to run: case, spaces, GUIDs, numbers of four
// digits and more, the user's profile and the host's own name. At most maxLine bytes are looked at.
func normalise(line, device string) string {
	line = strings.ToLower(line[:min(len(line), maxLine)])
	if device = hostName(device); len(device) >= 3 {
		line = strings.ReplaceAll(line, device, "<host>")
	}
	const users = `\users\`
	out := make([]byte, 0, len(line)+16)
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			if n := len(out); n > 0 && out[n-1] != ' ' {
				out = append(out, ' ')
			}
			i++
		case hexDigit(c) && isGUID(line[i:]):
			out, i = append(out, "<id>"...), i+guidLen
		case c >= '0' && c <= '9':
			end := i + 1
			for end < len(line) && line[end] >= '0' && line[end] <= '9' {
				end++
			}
			if end-i >= longNumber {
				out = append(out, '#')
			} else {
				out = append(out, line[i:end]...)
			}
			i = end
		case c == '\\' && strings.HasPrefix(line[i:], users):
			out, i = append(out, users...), i+len(users)
			if n := strings.IndexAny(line[i:], `\"`); n > 0 {
				out, i = append(out, "<user>"...), i+n
			}
		default:
			out, i = append(out, c), i+1
		}
	}
	return strings.TrimRight(string(out), " ")
}

const (
	guidLen    = 36
	longNumber = 4
)

// isGUID reports whether text begins with a GUID in lower case.
func isGUID(s string) bool {
	if len(s) < guidLen {
		return false
	}
	for i := range guidLen {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !hexDigit(s[i]) {
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

// scripts counts the hosts on which one script ran or one file arrived, whoever is behind it.
func (d *Detector) scripts(e *ocsf.Event, emit detect.Emit) {
	if e.Process == nil && e.Remote == nil && e.File == nil {
		return
	}
	x, ok := scriptOf(e)
	if !ok {
		return
	}
	now := e.Time.Unix()
	first := d.lines.first(xxh3.HashString(x.text), now)
	if !x.ours {
		return
	}
	sum := sha256.Sum256([]byte(x.text))
	s := d.spreads(ofScript, actorKey{ocsf.EntityHash, x.kind + " " + hex.EncodeToString(sum[:])}, "", scriptScope(e))
	if s.Note == "" {
		s.Note = firstLine(x.first)
	}
	if s.Burst == nil {
		s.Known = now-first >= int64(scriptNew/time.Second)
		s.Warm = now-d.lines.Began < int64(scriptNew/time.Second)
	}
	d.touched(s, e, string(e.Tenant)+"\x00"+x.host, emit)
}

// scriptScope keeps a provider's own record of its sessions apart from what the clients' hosts show of them, which
// is the same run told twice.
func scriptScope(e *ocsf.Event) tenant.ID {
	if e.Direction == ocsf.DirectionOut {
		return e.Tenant
	}
	return ""
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return strings.ToValidUTF8(s[:min(len(s), maxFirstLine)], "")
}

var scriptRule = rule{
	window: ScriptWindow,
	ripe: func(s *spreading, n int) bool {
		if s.Known && s.Habit.highest() == 0 {
			return n >= OldHosts
		}
		return (n >= ScriptHosts || len(s.tenants) >= ScriptTenants) && above(s, n)
	},
	begin: func(s *spreading, _ *ocsf.Event) *ocsf.Finding {
		f := &ocsf.Finding{Rule: "fanout/script", Title: "One script or file on many hosts within minutes", Technique: "T1072"}
		_, sum, _ := strings.Cut(s.Value, " ")
		f.AddEntity(ocsf.EntityHash, sum, "indicator")
		f.AddEntity(ocsf.EntityProcess, s.Note, "indicator")
		return f
	},
	add: func(d *Detector, f *ocsf.Finding, t *touch) {
		addHost(d, f, t)
		for _, k := range hands(t.Event) {
			if k.kind != ocsf.EntityIP {
				f.AddEntity(k.kind, k.value, ocsf.RoleActor)
			}
		}
	},
	finish: func(s *spreading, f *ocsf.Finding) {
		b := s.Burst
		f.Severity, f.Confidence, f.Outcome = ocsf.SeverityLow, 50, ocsf.OutcomeSucceeded
		seen := fmt.Sprintf("nobody was seen to run it more than %s before", scriptNew)
		switch {
		case s.Warm:
			f.Severity, f.Confidence = ocsf.SeverityInformational, 30
			seen = "warm-up: the watch had just begun, so that everything is new"
		case b.earlier() != "":
			seen = b.earlier()
		case s.Known:
			seen = "it was seen before, but never on many hosts"
		}
		f.Reason = fmt.Sprintf("One %s was on %s of %s since %s (%d here), on %d of them within %s; %s. It begins: %s", strings.Fields(s.Value)[0],
			plural(len(b.All), "host"), plural(b.Tenants, "tenant"), b.Start.UTC().Format(time.DateTime), b.Here[f.Tenant], b.Most, ScriptWindow, seen, s.Note)
	},
}

// earlier says how many hosts it reached on other days; nothing where there were none.
func (b *burst) earlier() string {
	if b.Highest == 0 {
		return ""
	}
	return fmt.Sprintf("on other days it reached at most %d", b.Highest)
}
