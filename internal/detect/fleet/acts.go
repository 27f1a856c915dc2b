package fleet

import (
	"path"
	"regexp"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// kind is a set of what was done on a host below a platform's agent.
type kind uint16

// The kinds, in the order in which they are told.
const (
	weakens  kind = 1 << iota // protection is stopped, or told to look away
	decodes                   // a program is made of text, or fetched, by certutil
	fetches                   // a script is fetched and run
	runs                      // a program runs that came with the order
	destroys                  // shadow copies, backup catalogues or recovery options are removed
	rewrites                  // many files get one new ending
	stages                    // archives are packed
	alerts                    // the antivirus found malware in it
	blocks                    // and put it away
	installs                  // a remote tool comes that no trust declares
)

var kindWords = [...]string{"protection stopped", "a program decoded or fetched by certutil", "a script fetched and run", "a program run that came with the order",
	"recovery destroyed", "files rewritten with one new ending", "archives packed", "malware found", "malware put away", "a remote tool installed that nobody declared"}

func (k kind) words() []string {
	var out []string
	for i, w := range kindWords {
		if k&(1<<i) != 0 {
			out = append(out, w)
		}
	}
	return out
}

// Published command lines of these kinds: Kaseya VSA, July 2021 (Set-MpPreference, copied certutil); CISA AA23-136A and
// many others (vssadmin, wbadmin, bcdedit, wmic shadowcopy).
var (
	weakening  = regexp.MustCompile(`set-mppreference\b.*-disable\w+ +(\$true|1)|add-mppreference\b.*-exclusion|disableantispyware|\b(sc|net1?)(\.exe)? +(stop|delete) +"?(windefend|sense|wdnissvc)|\bsc(\.exe)? +config +"?(windefend|sense)`)
	destroying = regexp.MustCompile(`vssadmin(\.exe)?"? +(delete +shadows|resize +shadowstorage)|shadowcopy +delete|win32_shadowcopy\b.*(delete|remove)|wbadmin(\.exe)?"? +delete|bcdedit(\.exe)?"? .*(recoveryenabled +no|ignoreallfailures)`)
	fetching   = regexp.MustCompile(`downloadstring|downloadfile|invoke-webrequest|invoke-restmethod|\biwr\b|\birm\b|-enc(odedcommand)? +[a-z0-9+/=]{40}`)
	certutil   = regexp.MustCompile(`[-/](decode|decodehex|urlcache|verifyctl)\b`)
)

// did tells what kind of act a process is; line is its command line in lower case.
func did(p *ocsf.Process, line string) kind {
	var k kind
	if weakening.MatchString(line) {
		k |= weakens
	}
	if destroying.MatchString(line) {
		k |= destroys
	}
	if strings.EqualFold(p.OriginalName, "certutil.exe") || base(p.Image) == "certutil.exe" || base(p.Image) == "certutil" {
		if certutil.MatchString(line) {
			k |= decodes
		}
	}
	if fetching.MatchString(line) {
		k |= fetches
	}
	return k
}

// base is the name of a file without its folder, in lower case.
func base(image string) string { return path.Base(slashed(image)) }

// folder is the folder of a file, in lower case.
func folder(file string) string { return path.Dir(slashed(file)) }

func slashed(s string) string { return strings.ToLower(strings.ReplaceAll(s, `\`, "/")) }

// shared folders hold files of many programs, so that a file there tells nothing of who brought it.
func shared(dir string) bool {
	switch {
	case dir == "." || dir == "/" || len(dir) <= 3:
		return true
	case strings.HasSuffix(dir, "/windows") || strings.HasSuffix(dir, "/system32") || strings.HasSuffix(dir, "/syswow64"):
		return true
	case strings.HasSuffix(dir, "/temp") || strings.HasSuffix(dir, "/tmp") || strings.HasSuffix(dir, "/downloads") || strings.HasSuffix(dir, "/desktop"):
		return true
	}
	return false
}

// ofSystem reports whether a program is one of the system's own, which everybody starts.
func ofSystem(image string) bool {
	s := slashed(image)
	return strings.Contains(s, "/windows/system32/") || strings.Contains(s, "/windows/syswow64/") || strings.HasPrefix(s, "/usr/bin/") || strings.HasPrefix(s, "/bin/") || !strings.Contains(s, "/")
}

// quotedFile finds files in a command line.
var quotedFile = regexp.MustCompile(`(?i)[a-z]:\\[^"<>|?*\r\n]+?\.(cmd|bat|ps1|vbs|js|exe|msi|dll|crt|txt)\b`)

// archive reports whether a file is a packed one.
func archive(file string) bool {
	switch path.Ext(slashed(file)) {
	case ".7z", ".zip", ".rar", ".cab", ".tar", ".gz":
		return true
	}
	return false
}

// added is the ending that was put behind a file's own one ("report.docx.x1y2" gives "x1y2"), or "".
func added(file string) string {
	name := base(file)
	ext := path.Ext(name)
	before := path.Ext(strings.TrimSuffix(name, ext))
	if len(ext) < 3 || len(before) < 3 || len(before) > 6 || strings.Trim(before[1:], "0123456789") == "" {
		return "" // a version number is no ending
	}
	return ext[1:]
}
