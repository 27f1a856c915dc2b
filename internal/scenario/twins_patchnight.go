package scenario

import (
	"fmt"
	"time"
)

// patchNight: the provider's tool runs the same known script on a pilot first, then on every server of the clients,
// in the announced evening window: shells under the agent, installers, services stopped and started.
func patchNight(w *world, s *scribe) {
	ps := `C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe`
	first := w.workday(s.r.IntN(w.o.Days))
	for ring, c := range w.reached(s.r, (*org).managed) {
		day := min(first+ring%2, w.o.Days-1)
		t := w.day(day).Add(20*time.Hour + s.r.span(0, 10*time.Minute))
		who := w.provider.people[0]
		for i, h := range c.servers {
			at := t.Add(time.Duration(i) * s.r.span(20*time.Second, 4*time.Minute))
			script := process{image: ps, original: "PowerShell.EXE", cmd: fmt.Sprintf(`powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\Windows\Temp\patch\Install-Updates.ps1 -Ring %d`, min(ring, 2))}
			msi := process{image: `C:\Windows\System32\msiexec.exe`, cmd: `msiexec.exe /i C:\Windows\Temp\patch\vcredist.msi /qn`}
			s.runs(c, h, at, w.providerAgent(h), []process{script, msi})
			s.serverSide(c, assist{host: h, start: at.Add(-time.Second), end: at.Add(11 * time.Minute), commands: []process{script}}, who.full(), who.desk.ip)
			s.state(c, h, at.Add(3*time.Minute), "Windows Update", "stopped")
			s.state(c, h, at.Add(9*time.Minute), "Windows Update", "running")
			s.wrote(c, h, at.Add(time.Minute), `C:\Windows\System32\msiexec.exe`, `C:\Windows\Installer\`+s.n.hex(4)+`.msi`)
			s.visit(c, at.Add(30*time.Second), h.ip, "download.windowsupdate.com", w.sites[3].ip, 4000, s.n.between(900_000, 9_000_000))
		}
	}
	// The health script asks every server what an intruder would ask too.
	for _, c := range w.reached(s.r, (*org).managed) {
		for i, day := range []int{0, min(w.o.Days-1, 7)} {
			for _, h := range c.servers[i : i+1+s.r.IntN(2)] {
				s.runs(c, h, w.clock(s.r, day, 4.5, 6), w.providerAgent(h), adminCommands)
			}
		}
	}
}
