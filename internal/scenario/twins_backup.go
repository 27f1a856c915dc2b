package scenario

import "time"

// backupNights: off-site copies go to the provider every night from a fixed host; one night a restore drill brings
// twice as much back. Shadow copies are made and the directory's database is read, by the backup's own account.
func backupNights(w *world, s *scribe) {
	clients := w.reached(s.r, (*org).managed)
	drill := s.r.IntN(w.o.Days)
	for _, c := range clients[:min(3, len(clients))] {
		src := c.servers[len(c.servers)-1]
		size := s.r.between(200, 900) * 1_000_000
		for d := range w.o.Days {
			t := w.day(d).Add(21*time.Hour + s.r.span(0, 30*time.Minute))
			bytes := size + s.n.between(0, size/8)
			s.conn(c, flow{t: t, src: src.ip, dst: w.provider.gateway, dport: 443, service: "ssl", dur: 40 * time.Minute, out: bytes, in: bytes / 60})
			s.conn(w.provider, flow{t: t, src: c.egress, dst: w.provider.gateway, dport: 443, service: "ssl", dur: 40 * time.Minute, out: bytes, in: bytes / 60})
			if d == drill {
				s.conn(c, flow{t: t.Add(time.Hour), src: src.ip, dst: w.provider.gateway, dport: 443, service: "ssl", dur: time.Hour, out: bytes / 50, in: 2 * bytes})
			}
			dc := c.servers[0]
			p := process{image: `C:\Program Files\Backup\agent\bkagent.exe`, original: "bkagent.exe", company: "Backup Agent", product: "Backup Agent", cmd: `bkagent.exe --job nightly`, user: c.short + `\svc-backup`, parent: services, parentCmd: services}
			guid := s.process(c, dc, t.Add(time.Minute), p)
			s.process(c, dc, t.Add(2*time.Minute), process{image: `C:\Windows\System32\vssadmin.exe`, cmd: "vssadmin create shadow /for=C:", user: p.user, parent: p.image, parentCmd: p.cmd, parentGUID: guid})
			s.wrote(c, dc, t.Add(3*time.Minute), p.image, `D:\BackupCache\ntds.dit`)
		}
	}
}
