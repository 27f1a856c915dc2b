package scenario

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// fleetBenign are the twins of an intruder who has the platform.
var fleetBenign = []twin{
	{"protection-change", protectionChange}, {"mass-package", massPackage}, {"old-backup", oldBackup}, {"own-tool-refused", ownToolRefused},
	{"new-operator", newOperator}, {"pasted-script", pastedScript},
}

func (w *world) withFleet(s *scribe) []*org {
	return w.reached(s.r, func(c *org) bool { return c.fleet })
}

// withLoggedFleet are those whose hosts' logs are held.
func (w *world) withLoggedFleet(s *scribe) []*org {
	return w.reached(s.r, func(c *org) bool { return c.fleet && c.layers[tenant.LayerEndpoint] })
}

// window declares when the provider's people do at a client what would be odd at another time.
func (w *world) window(c *org, t time.Time, lasts time.Duration, reason string) {
	v := session{start: t.Add(-time.Hour), end: t.Add(lasts)}
	for _, net := range []netip.Prefix{c.serverNet, c.deskNet} {
		w.approve(w.trustID(c), w.managementServer().ip, net, v, c.owner(), reason)
		w.approvals[len(w.approvals)-1].Kind = "maintenance"
	}
}

// protectionChange puts another product in Defender's place at a client, announced, host by host, with the commands
// that an intruder uses too. The new one is running before the old one is off.
func protectionChange(w *world, s *scribe) {
	if list := w.withLoggedFleet(s); len(list) > 0 {
		c := list[0]
		t := w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 15, 20)
		w.window(c, t, 3*time.Hour, "another protection product")
		for i, h := range append(c.servers[:len(c.servers):len(c.servers)], c.desks[:6]...) {
			at := t.Add(time.Duration(i) * s.r.span(30*time.Second, 4*time.Minute))
			s.job(c, h, at, []process{tool("msiexec.exe", `msiexec.exe /i C:\Windows\Temp\endpoint.msi /qn`)})
			s.service(c, h, at.Add(40*time.Second), "Endpoint Protection Service", `"C:\Program Files\Endpoint Protection\eps.exe"`)
			s.job(c, h, at.Add(3*time.Minute), []process{disarm(disarms[i%len(disarms)])})
			s.off(c, h, at.Add(3*time.Minute+4*time.Second))
		}
	}
}

// massPackage is a package for all hosts of all clients within the hour, after a pilot on the day before, as makers ask
// for when a flaw is known.
func massPackage(w *world, s *scribe) {
	p := packs[s.r.IntN(len(packs))]
	clients := w.withFleet(s)
	if len(clients) == 0 {
		return
	}
	d := min(1+w.workday(s.r.IntN(w.o.Days)), w.o.Days-1)
	pilot := w.clock(s.r, d-1, 8, 12)
	for _, h := range some(s.r, clients[0].servers, 2) {
		s.installsPack(clients[0], h, pilot, p)
	}
	t := w.clock(s.r, d, 8, 18)
	tech := s.r.IntN(w.provider.techs)
	s.consoleSignIn(t.Add(-5*time.Minute), tech)
	for _, c := range clients {
		hosts := append(c.servers[:len(c.servers):len(c.servers)], c.desks[:min(5, len(c.desks))]...)
		s.console(t, order{user: w.operator(tech), event: "run procedure", object: "Deploy update", from: w.provider.people[tech].desk.ip, client: c, hosts: len(hosts)})
		for _, h := range hosts {
			s.installsPack(c, h, t.Add(s.r.span(9*time.Second, 50*time.Minute)), p)
		}
	}
}

// oldBackup takes a backup product away that nobody needs any more: its shadow copies and its catalogue go too.
func oldBackup(w *world, s *scribe) {
	if list := w.withLoggedFleet(s); len(list) > 0 {
		c := list[len(list)-1]
		t := w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 6, 15)
		w.window(c, t, 3*time.Hour, "the old backup is taken away")
		for i, h := range c.servers {
			s.job(c, h, t.Add(time.Duration(i)*s.r.span(time.Minute, 6*time.Minute)), shadowsGone)
		}
	}
}

// shadowsGone take a host's shadow copies and its backup catalogue away.
var shadowsGone = []process{tool("vssadmin.exe", "vssadmin.exe delete shadows /all /quiet"), tool("wbadmin.exe", "wbadmin delete catalog -quiet")}

// ownToolRefused: the scanner dislikes what the provider's people made themselves.
func ownToolRefused(w *world, s *scribe) {
	for _, c := range w.withFleet(s) {
		p := packs[s.r.IntN(len(packs))]
		t := w.clock(s.r, s.r.IntN(w.o.Days), 5, 21)
		for _, h := range some(s.r, c.servers, 2) {
			s.refusedPack(c, h, t, p, pick(s.r, threats))
		}
	}
}

// refusedPack is a package that is put away before it runs.
func (s *scribe) refusedPack(o *org, h *host, t time.Time, p pack, threat string) {
	file, _ := s.w.packed(p)
	s.job(o, h, t, s.unpacks(p)[:1])
	s.detected(o, h, t.Add(3*time.Second), threat, file, `C:\Windows\System32\certutil.exe`)
}

// newOperator: people come and go at the provider; each gets a login at the console from a colleague.
func newOperator(w *world, s *scribe) {
	for range 6 {
		admin := s.r.IntN(w.provider.techs)
		t := w.clock(s.r, w.workday(s.r.IntN(w.o.Days)), 6, 17)
		s.consoleSignIn(t, admin)
		s.console(t.Add(3*time.Minute), order{user: w.operator(admin), event: "create operator", object: w.provider.people[w.provider.techs+s.r.IntN(2)].login, from: w.provider.people[admin].desk.ip})
	}
}

// pastedScript: technicians keep short scripts where everybody can paste, and fetch them from there.
func pastedScript(w *world, s *scribe) {
	for k, c := range w.withFleet(s) {
		for i := range 2 {
			t := w.clock(s.r, s.r.IntN(w.o.Days), 5, 22)
			for _, h := range some(s.r, c.servers, 2) {
				s.fetches(c, h, t.Add(s.r.span(0, 9*time.Minute)), (k+i)%len(fetchers))
			}
		}
	}
}

// fetchers get a script from a paste site and run it in memory.
var fetchers = []string{
	`powershell.exe -NoProfile -WindowStyle Hidden -Command "IEX (New-Object Net.WebClient).DownloadString('https://pastebin.com/raw/%s')"`,
	`powershell.exe -ExecutionPolicy Bypass -c "iwr -UseBasicParsing https://raw.githubusercontent.com/ops/%s/main/run.ps1 | iex"`,
}

// fetches is a job of that sort: the order, the look-up and the page.
func (s *scribe) fetches(o *org, h *host, t time.Time, which int) {
	name := []string{"pastebin.com", "raw.githubusercontent.com"}[which]
	s.job(o, h, t, []process{disarm(fmt.Sprintf(fetchers[which], s.n.token(8)))})
	st := siteNamed(s.w, name)
	s.resolved(o, h, t.Add(2*time.Second), powershellExe, name, st.ip)
	s.visit(o, t.Add(2*time.Second), h.ip, name, st.ip, s.n.between(700, 2000), s.n.between(3000, 900_000))
}
