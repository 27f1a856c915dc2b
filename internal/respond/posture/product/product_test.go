package product

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
)

func TestTheTableIsWholeAndSourced(t *testing.T) {
	c, err := readCatalogue(table, lolrmmTable)
	if err != nil {
		t.Fatal(err)
	}
	sourced := 0
	for _, p := range c.Products() {
		if len(p.Support) == 0 {
			t.Errorf("%s has no line about support", p.ID)
		}
		if len(p.Flaws) > 0 && !strings.HasPrefix(p.Flaws[0].Source, GeneralKnowledge) {
			sourced++
		}
		for _, f := range p.Flaws {
			if !cveForm.MatchString(f.CVE) || f.Date.After(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s: %s %v", p.ID, f.CVE, f.Date)
			}
			if state := f.holds(f.Fixed); !f.Fixed.IsZero() && !f.Any && state != No {
				t.Errorf("%s: %s: the first fixed version %s counts as affected", p.ID, f.CVE, f.Fixed)
			}
		}
		if got := remotetool.Normalise(p.Tool); got != p.Tool {
			t.Errorf("%s: a trust's tool %q is written %q", p.ID, p.Tool, got)
		}
		for _, n := range append(slices.Clone(p.Names), p.Packages...) {
			if n != strings.ToLower(n) || strings.TrimSpace(n) != n {
				t.Errorf("%s: %q is not lower case without blanks", p.ID, n)
			}
		}
		// The longest spelling wins, so each must lead to its own product.
		for _, n := range p.Names {
			if got := c.Match(strings.TrimSuffix(n, "*"), ""); got != p {
				t.Errorf("%s: its spelling %q leads to %v", p.ID, n, got)
			}
		}
		for _, n := range p.Packages {
			if got := c.MatchPackage(n); got != p {
				t.Errorf("%s: its package %q leads to %v", p.ID, n, got)
			}
		}
	}
	if sourced < 25 {
		t.Errorf("%d products have first fixed versions with a source that was read, want at least 25", sourced)
	}
	t.Logf("%d products, %d with first fixed versions", len(c.Products()), sourced)
}

func TestNamesOfInventoriesFindTheirProduct(t *testing.T) {
	c := Default()
	for _, x := range []struct{ name, publisher, want string }{
		{"ScreenConnect Client (0a1b2c3d4e5f6071)", "ScreenConnect Software", "screenconnect"},
		{"ConnectWise Control Client (0a1b2c3d4e5f6071)", "", "screenconnect"},
		{"AnyDesk", "AnyDesk Software GmbH", "anydesk"}, {"AnyDesk MSI 7.0.14", "", "anydesk"}, {"AnyDesktop Theme", "", ""},
		{"TeamViewer 15 Host", "TeamViewer", "teamviewer"}, {"TeamViewer® Host (64-bit)", "", "teamviewer"},
		{"AteraAgent", "Atera networks", "atera"}, {"NinjaRMMAgent", "", "ninjaone"},
		{"Windows Agent", "N-able Technologies", "ncentral"}, {"Windows Agent", "Datadog, Inc.", ""}, {"Windows Agent", "", ""},
		{"Remote Access", "SimpleHelp Ltd", "simplehelp"}, {"Remote Access", "Microsoft", ""},
		{"Splashtop Streamer", "Splashtop Inc.", "splashtop"}, {"Splashtop Software Updater", "", "splashtop-updater"},
		{"ManageEngine UEMS - Agent", "ZohoCorp", "manageengine-endpoint-central"},
		{"ManageEngine Remote Access Plus Agent", "", "manageengine-remote-access-plus"},
		{"VNC Server 6.10.1", "RealVNC", "realvnc"}, {"UltraVNC 1.3.6", "", "ultravnc"}, {"TightVNC", "", "tightvnc"},
		{"Tactical RMM Agent", "AmidaWare Inc", "tacticalagent"}, {"Mesh Agent background service", "", "meshagent"},
		{"BeyondTrust Privileged Remote Access Jump Client", "", "beyondtrust-pra"}, {"Bomgar Jump Client", "", "beyondtrust-rs"},
		{"Kaseya Agent", "Kaseya", "kaseya-vsa"}, {"Advanced Monitoring Agent GP", "N-able", "nsight"},
		{"Level", "Level Software, Inc.", "level"}, {"Level", "Another Maker", ""}, {"Levelator", "", ""},
		{"Quick Assist", "Microsoft", "quick-assist"}, {"Mozilla Firefox (x64 en-US)", "Mozilla", ""}, {"PuTTY release 0.78", "Simon Tatham", ""},
		{"Microsoft Visual C++ 2019 X64 Minimum Runtime", "Microsoft", ""}, {"", "", ""}, {strings.Repeat("a", 4000), "", ""},
		{"Remote Desktop Connection Manager", "", ""}, {"Remote Server Administration Tools", "", ""}, {"Sophos Endpoint Agent", "Sophos", "sophos-central"},
		{"Aspia Host", "", "lolrmm-aspia"}, {"GetScreen", "", "lolrmm-getscreen"},
	} {
		got := ""
		if p := c.Match(x.name, x.publisher); p != nil {
			got = p.ID
		}
		if got != x.want {
			t.Errorf("%q by %q: %q, want %q", x.name, x.publisher, got, x.want)
		}
	}
	for name, want := range map[string]string{"anydesk": "anydesk", "anydesk:amd64": "anydesk", "anydesk-common": "", "TeamViewer.TeamViewer": "teamviewer",
		"TeamViewer.TeamVi…": "teamviewer", "Google.ChromeRemoteDesktopHost": "chrome-remote-desktop", "tigervnc-server": "tigervnc", "vim": "", "xrdp": "xrdp", "…": ""} {
		got := ""
		if p := c.MatchPackage(name); p != nil {
			got = p.ID
		}
		if got != want {
			t.Errorf("package %q: %q, want %q", name, got, want)
		}
	}
}

func TestVersionsAreAssessed(t *testing.T) {
	c := Default()
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		product, version string
		on               Platform
		want             string
	}{
		{"screenconnect", "23.9.7.8804", PlatformWindows, "below 25.2.4 CVE-2024-1708,CVE-2024-1709,CVE-2025-3935 kev CVE-2024-1708,CVE-2024-1709,CVE-2025-3935 unsupported unverified"},
		{"screenconnect", "25.2.3.9209", "", "below 25.2.4 CVE-2025-3935 kev CVE-2025-3935 unsupported unverified"},
		{"screenconnect", "25.2.4.9229", "", "fixed"},
		{"screenconnect", "", "", "unknown"}, {"screenconnect", "n/a", "", "unknown"}, {"screenconnect", "<25.2.3", "", "unknown"}, {"screenconnect", "25", "", "unknown"},
		{"ncentral", "2025.3.1.9", "", "below 2025.4 CVE-2025-9316 kev "},
		{"ncentral", "2025.4.0.9", "", "fixed"},
		{"ncentral", "2024.6.0.20", "", "below 2025.4 CVE-2025-8875,CVE-2025-8876,CVE-2025-9316 kev CVE-2025-8875,CVE-2025-8876"},
		{"simplehelp", "5.5.7", "", "below ? CVE-2024-57727 kev CVE-2024-57727"},
		{"simplehelp", "5.5.8", "", "fixed"},
		{"simplehelp", "5.4.10", "", "fixed unverified"}, {"simplehelp", "5.4.9", "", "below 5.4.10 CVE-2024-57727 kev CVE-2024-57727 unsupported unverified"},
		{"simplehelp", "5.2.17", "", "below ? CVE-2024-57727 kev CVE-2024-57727"},
		{"kaseya-vsa", "9.4.0.36", "", "below 9.5.7 CVE-2021-30116 kev CVE-2021-30116 unsupported unverified"},
		{"kaseya-vsa", "9.5.0.4", "", "below 9.5.7 CVE-2018-20753,CVE-2021-30116 kev CVE-2018-20753,CVE-2021-30116 unsupported unverified"},
		{"kaseya-vsa", "10.24.0", "", "fixed"},
		{"connectwise-manageditsync", "n/a", "", "below ? CVE-2017-18362 kev CVE-2017-18362 unsupported"},
		{"beyondtrust-rs", "24.3.1", "", "below ? CVE-2024-12356,CVE-2024-12686,CVE-2026-1731 kev CVE-2024-12356,CVE-2024-12686"},
		{"beyondtrust-rs", "25.3.2", "", "fixed supported"},
		{"beyondtrust-rs", "22.4.1", "", "below ? CVE-2024-12356,CVE-2024-12686,CVE-2026-1731 kev CVE-2024-12356,CVE-2024-12686 unsupported"},
		{"teamviewer", "15.70.6", PlatformWindows, "fixed supported"},
		{"teamviewer", "15.61.3", PlatformWindows, "below 15.62 CVE-2025-0065 kev  supported"},
		{"teamviewer", "15.61.3", PlatformLinux, "fixed supported"},
		{"teamviewer", "14.7.48799", PlatformWindows, "fixed unsupported"},
		{"teamviewer", "13.2.1", PlatformLinux, "below ? CVE-2019-18988 kev CVE-2019-18988 unsupported"},
		{"teamviewer", "15", PlatformWindows, "unknown supported"},
		{"teamviewer", "10.0.1", PlatformWindows, "below ? CVE-2019-18988 kev CVE-2019-18988 unsupported unverified"},
		{"anydesk", "8.0.9", PlatformWindows, "below ? CVE-2024-12754,CVE-2024-52940 kev  unverified"},
		{"anydesk", "8.1.4", PlatformWindows, "below 9.0.1 CVE-2024-12754 kev  unsupported unverified"},
		{"anydesk", "6.3.0", PlatformLinux, "unknown"},
		{"solarwinds-orion", "2019.4 HF5", "", "below 2019.4 HF6 CVE-2020-10148 kev CVE-2020-10148"},
		{"solarwinds-orion", "2020.2.1 HF 2", "", "fixed"}, {"solarwinds-orion", "2018.4", "", "unknown"}, {"solarwinds-orion", "2022.4.1", "", "fixed"},
		{"manageengine-servicedesk-plus", "11.3 (11301)", "", "below 14004 CVE-2021-37415,CVE-2021-44077,CVE-2022-47966 kev CVE-2021-37415,CVE-2021-44077,CVE-2022-47966 unsupported unverified"},
		{"manageengine-servicedesk-plus", "14.0 build 14004", "", "fixed"}, {"manageengine-servicedesk-plus", "14.0", "", "unknown"},
		{"manageengine-endpoint-central", "10.1.2127.18", "", "below 10.1.2228.11 CVE-2022-47966 kev CVE-2022-47966 unsupported unverified"},
		{"manageengine-endpoint-central", "10.1.2130.1", "", "below 10.1.2228.11 CVE-2021-44515,CVE-2022-47966 kev CVE-2021-44515,CVE-2022-47966 unsupported unverified"},
		{"connectwise-automate", "190.221", "", "unknown"}, {"connectwise-automate", "2025.8", "", "below 2025.9 CVE-2025-11492 kev  unsupported unverified"},
		{"kace-sma", "14.1.101", "", "fixed"}, {"kace-sma", "14.1.19", "", "below 14.1.101 CVE-2025-32975 kev "}, {"kace-sma", "12.1.168", "", "unknown"},
		{"ivanti-epm", "11.0.6.1031", "", "unknown"}, {"ivanti-epm", "2022 SU5", "", "below ? CVE-2024-29824 kev CVE-2024-29824"}, {"ivanti-epm", "2022 SU6", "", "fixed"},
		{"guacamole", "1.3.0-1.1+deb12u1", PlatformLinux, "unknown"},
		{"rustdesk", "1.2.3", "", "unknown"}, {"pcanywhere", "", "", "unknown unsupported unverified"},
		{"jumpcloud-remote-assist", "0.316.9", PlatformWindows, "below 0.317.0 CVE-2025-34352 kev  unsupported unverified"},
	} {
		p := c.Product(x.product)
		if p == nil {
			t.Fatalf("no product %s", x.product)
		}
		if got := tell(p.Assess(x.version, x.on, nil, at)); got != x.want {
			t.Errorf("%s %s on %q:\n got %s\nwant %s", x.product, x.version, x.on, got, x.want)
		}
	}
}

func tell(a Assessment) string {
	out := map[State]string{Yes: "below ", No: "fixed", NotKnown: "unknown"}[a.BelowFixed]
	if a.BelowFixed == Yes {
		if a.FirstFixed.IsZero() {
			out += "?"
		} else {
			out += a.FirstFixed.String()
		}
		out += " " + strings.Join(a.Open, ",") + " kev " + strings.Join(a.KEV, ",")
	}
	out += map[State]string{Yes: " supported", No: " unsupported", NotKnown: ""}[a.Supported]
	if a.Unverified || strings.HasPrefix(a.SupportBy, GeneralKnowledge) {
		out += " unverified"
	}
	return out
}

func TestSupportEndsAtTheEndOfItsLastDay(t *testing.T) {
	p := Default().Product("teamviewer")
	day := time.Date(2026, 10, 31, 23, 59, 0, 0, time.UTC)
	if a := p.Assess("14.7.48855", PlatformWindows, nil, day); a.Supported != Yes || !a.SupportEnds.Equal(day.Add(time.Minute)) {
		t.Errorf("on the last day: %v until %v", a.Supported, a.SupportEnds)
	}
	if a := p.Assess("14.7.48855", PlatformWindows, nil, day.Add(2*time.Minute)); a.Supported != No {
		t.Errorf("the day after: %v", a.Supported)
	}
	if a := Default().Product("beyondtrust-rs").Assess("24.3.2", "", nil, day); a.Supported != NotKnown {
		t.Errorf("in the year in which two years from the release pass: %v", a.Supported)
	}
}

func TestLOLRMMIsClean(t *testing.T) {
	list, err := Descriptions()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 200 {
		t.Errorf("%d descriptions", len(list))
	}
	names := map[string]int{}
	for _, d := range list {
		names[strings.ToLower(d.Name)]++
		for _, h := range d.Domains {
			if h == "user_managed" || strings.ContainsAny(h, "*<>[]/: ") || !strings.Contains(h, ".") || h[len(h)-1] >= '0' && h[len(h)-1] <= '9' {
				t.Errorf("%s: %q is no maker's domain", d.Name, h)
			}
		}
	}
	for n, count := range names {
		if count > 1 {
			t.Errorf("%s has %d lines", n, count)
		}
	}
	find := func(name string) Description {
		i := slices.IndexFunc(list, func(d Description) bool { return d.Name == name })
		if i < 0 {
			t.Fatalf("no %s", name)
		}
		return list[i]
	}
	if got := find("SimpleHelp").Domains; !slices.Equal(got, []string{"simple-help.com"}) {
		t.Errorf("the domains of SimpleHelp are %q: intruders' own must not be among them", got)
	}
	if got := find("Atera").Programs; slices.Contains(got, "syncrosetup.exe") {
		t.Errorf("another product's installer stands under Atera: %q", got)
	}
}

func FuzzMatch(f *testing.F) {
	for _, s := range []string{"ScreenConnect Client (0a1b2c3d4e5f6071)", "TeamViewer 15 Host", "Windows Agent", "TeamViewer.TeamVi…", "\x00", "(x64)", "Level 1.2.3 (64-bit)"} {
		f.Add(s, "N-able", "23.9.7")
	}
	c := Default()
	f.Fuzz(func(t *testing.T, name, publisher, version string) {
		for _, p := range []*Product{c.Match(name, publisher), c.MatchPackage(name)} {
			if p == nil {
				continue
			}
			a := p.Assess(version, PlatformWindows, nil, time.Unix(1.79e9, 0))
			if _, ok := ParseVersion(version); !ok && a.BelowFixed == No {
				t.Errorf("%q %q counts as mended", name, version)
			}
		}
	})
}

// What rests on general knowledge says so, and nothing else does.
func TestConclusionsFromGeneralKnowledgeSaySo(t *testing.T) {
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		product, version string
		flaws, support   bool
	}{
		{"screenconnect", "23.9.7", false, true}, {"anydesk", "8.1.4", true, true}, {"teamviewer", "13.2.1", false, false}, {"teamviewer", "9.0.1", false, true}, {"ncentral", "2025.3.0.1", false, false},
	} {
		a := Default().Product(c.product).Assess(c.version, PlatformWindows, nil, at)
		if a.Unverified != c.flaws || strings.HasPrefix(a.SupportBy, GeneralKnowledge) != c.support {
			t.Errorf("%s %s: flaws %v by %q, support by %q", c.product, c.version, a.Unverified, a.Sources, a.SupportBy)
		}
	}
}
