// Lolrmm makes the compact table of remote tools that package product embeds, from a checkout of LOLRMM's
// descriptions (https://github.com/magicsword-io/LOLRMM, folder yaml, Apache-2.0):
//
//	go run . -commit 3c75cf0 FOLDER > ../../internal/respond/posture/product/lolrmm.tsv
//
// It cleans them: several files for one product become one line; what users manage themselves, addresses, patterns,
// hosts that many share and hosts that intruders used are no domains of a maker; programs of other products and plain
// words (agent.exe) are no programs of this one; and clients that only reach out, such as terminal programs, are left
// out, since nobody comes in through them.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

type description struct {
	Name    string `yaml:"Name"`
	Details struct {
		PE    yaml.Node `yaml:"PEMetadata"`
		Paths yaml.Node `yaml:"InstallationPaths"`
	} `yaml:"Details"`
	Artifacts struct {
		Network []struct {
			Description string    `yaml:"Description"`
			Domains     yaml.Node `yaml:"Domains"`
		} `yaml:"Network"`
	} `yaml:"Artifacts"`
}

type pe struct {
	Filename         string `yaml:"Filename"`
	OriginalFileName string `yaml:"OriginalFileName"`
	Product          string `yaml:"Product"`
}

type tool struct {
	name                     string
	names, programs, domains map[string]bool
}

// outward are programs from which one reaches other machines; having them opens no door. Next to them stand names
// that are plain words, which other programs have too.
var outward = words(`adobeconnect aliwangwangremotecontrol basecamp bitvisesshclient chicken chromesshextension desknets
devolutionsremotedesktopmanager dragondisk duetdisplay duplicati extraputty freepingtool freerdp freetoolslauncher freshservice idrive
insync jollysfastvnc kitty koofr megasync mobaxterm mochavnclite mremoteng mstscexe mstsc multcloud nordlocker nvda onionshare putty
puttytray qqimremoteassistance rdcman rdclient rdpview remmina remotedesktopmanager remotedesktopplus royalapps royalts s3browser
securecrt smartftp smartty solarputty superputty syncthing terminals winscp xshell yandexdisk zoc
centurion synergy fortra rapid7 barracuda level vnc runsmart connectwise manageengine intouch neturo komari nezha webrdp`)

// shared are hosts on which many things lie.
var shared = words(`github.com raw.githubusercontent.com githubusercontent.com google.com microsoft.com apple.com amazonaws.com
cloudfront.net cloudflare.net cloudflarestorage.com cloudflare.com azureedge.net windows.net akamai.net akamaihd.net yahoo.com youtube.com qq.com
sourceforge.net docker.com docker.io npmjs.org pypi.org dropbox.com live.com office.com azure.com firebaseio.com pubnub.com sentry.io`)

// plain are programs' names that say nothing.
var plain = words(`agent.exe client.exe server.exe service.exe setup.exe install.exe installer.exe uninstall.exe update.exe updater.exe
host.exe viewer.exe console.exe launcher.exe main.exe app.exe connect.exe remote.exe support.exe control.exe monitor.exe helper.exe
run.exe start.exe tray.exe watchdog.exe winvnc.exe cmd.exe powershell.exe mstsc.exe msiexec.exe rundll32.exe nssm.exe java.exe javaw.exe
python.exe vhost.exe svchost.exe explorer.exe windowslauncher.exe remoteaccess.exe configuration.exe config.exe unins000.exe`)

func words(s string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(s) {
		out[w] = true
	}
	return out
}

var (
	brackets = regexp.MustCompile(`\s*\([^)]*\)`)
	host     = regexp.MustCompile(`^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}$`)
	hostile  = regexp.MustCompile(`(?i)threat|attacker|intruder|malicious|adversar|\bC2\b|not vendor|campaign|operator-controlled`)
)

func main() {
	commit := flag.String("commit", "", "the commit of LOLRMM, for the first line")
	flag.Parse()
	if flag.NArg() != 1 || *commit == "" {
		fmt.Fprintln(os.Stderr, "usage: lolrmm -commit ID FOLDER")
		os.Exit(2)
	}
	if err := run(*commit, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(commit, folder string) error {
	tools := map[string]*tool{}
	files := 0
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		list, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return err
		}
		for _, name := range list {
			if err := read(name, tools); err != nil {
				return fmt.Errorf("reading %s: %w", name, err)
			}
			files++
		}
	}
	if files == 0 {
		return fmt.Errorf("no descriptions in %s", folder)
	}
	clean(tools)
	out := bufio.NewWriter(os.Stdout)
	fmt.Fprintf(out, "# From LOLRMM, https://github.com/magicsword-io/LOLRMM at %s, Apache-2.0, %d descriptions, cleaned by tools/lolrmm.\n", commit, files)
	fmt.Fprintln(out, "# name\tother names\tprograms\tdomains")
	for _, key := range slices.Sorted(maps.Keys(tools)) {
		t := tools[key]
		delete(t.names, strings.ToLower(t.name))
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", t.name, list(t.names), list(t.programs), list(t.domains))
	}
	return out.Flush()
}

func list(m map[string]bool) string { return strings.Join(slices.Sorted(maps.Keys(m)), "|") }

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// key brings the names of one product together: Level, Level.io and levelio; DameWare and Dameware.
func key(name string) string {
	name = strings.ToLower(strings.TrimSpace(brackets.ReplaceAllString(name, "")))
	for _, end := range []string{".io", ".me", ".it", ".com", ".cloud"} {
		name = strings.TrimSuffix(name, end)
	}
	return letters(name)
}

func read(name string, tools map[string]*tool) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var d description
	if err := yaml.Unmarshal(raw, &d); err != nil {
		return err
	}
	shown := strings.TrimSpace(brackets.ReplaceAllString(d.Name, ""))
	k := key(d.Name)
	if k == "" || outward[k] {
		return nil
	}
	t := tools[k]
	if t == nil {
		t = &tool{name: shown, names: map[string]bool{}, programs: map[string]bool{}, domains: map[string]bool{}}
		tools[k] = t
	}
	t.names[strings.ToLower(shown)] = true
	if m := regexp.MustCompile(`\((?i:formerly|now|aka|also known as)\s+([^)]+)\)`).FindStringSubmatch(d.Name); m != nil {
		if other := strings.ToLower(strings.TrimSpace(m[1])); len(letters(other)) >= 5 && !outward[letters(other)] {
			t.names[other] = true
		}
	}
	for _, p := range metadata(d.Details.PE) {
		if n := strings.ToLower(strings.TrimSpace(p.Product)); len(letters(n)) >= 6 && strings.Contains(letters(n), k) {
			t.names[n] = true
		}
		t.program(p.Filename)
		t.program(p.OriginalFileName)
	}
	for _, p := range texts(d.Details.Paths) {
		t.program(p)
	}
	for _, n := range d.Artifacts.Network {
		if hostile.MatchString(n.Description) {
			continue
		}
		for _, h := range texts(n.Domains) {
			t.domain(h)
		}
	}
	return nil
}

// metadata is one description, or a list of them.
func metadata(n yaml.Node) []pe {
	var one pe
	var many []pe
	if n.Kind == yaml.SequenceNode {
		_ = n.Decode(&many)
		return many
	}
	if n.Decode(&one) == nil {
		many = append(many, one)
	}
	return many
}

func texts(n yaml.Node) []string {
	var out []string
	_ = n.Decode(&out)
	return out
}

func (t *tool) program(path string) {
	path = strings.ToLower(strings.ReplaceAll(strings.TrimSpace(path), "/", `\`))
	base := path[strings.LastIndexByte(path, '\\')+1:]
	if strings.HasSuffix(base, ".exe") && !strings.ContainsAny(base, "*?<>|\t") && !plain[base] && len(base) > 6 {
		t.programs[base] = true
	}
}

func (t *tool) domain(h string) {
	h = strings.ToLower(strings.TrimSpace(h))
	h = strings.TrimPrefix(strings.TrimPrefix(h, "*."), "www.")
	if !host.MatchString(h) {
		return
	}
	for s := h; s != ""; _, s, _ = strings.Cut(s, ".") {
		if shared[s] {
			return
		}
	}
	t.domains[h] = true
}

// clean takes away what several products claim, and programs that carry another product's name.
func clean(tools map[string]*tool) {
	programs, domains := map[string]int{}, map[string]int{}
	for _, t := range tools {
		for p := range t.programs {
			programs[p]++
		}
		for d := range t.domains {
			domains[d]++
		}
	}
	for k, t := range tools {
		maps.DeleteFunc(t.programs, func(p string, _ bool) bool {
			if programs[p] > 1 {
				return true
			}
			base := letters(strings.TrimSuffix(p, ".exe"))
			for other := range tools {
				if other != k && len(other) >= 5 && strings.HasPrefix(base, other) && !strings.HasPrefix(base, k) && !strings.HasPrefix(k, other) && !strings.HasPrefix(other, k) {
					return true
				}
			}
			return false
		})
		maps.DeleteFunc(t.domains, func(d string, _ bool) bool { return domains[d] > 1 })
		// A domain below another one of the same product says nothing more.
		for d := range t.domains {
			for _, s, ok := strings.Cut(d, "."); ok; _, s, ok = strings.Cut(s, ".") {
				if t.domains[s] {
					delete(t.domains, d)
				}
			}
		}
	}
}
