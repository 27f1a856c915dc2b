package mail

import (
	"bytes"
	"strings"
)

// zipMember is one file of a zip archive (APPNOTE 4.3).
type zipMember struct {
	name       string
	flags      int
	method     int
	packed     int64
	at         int64 // of the local header
	encrypted  bool
	undeclared bool // in no directory: programs that repair archives show it
}

// zipMembers lists an archive by its directory, as most programs do, and by its local headers, as others do; what
// only one of them names is listed all the same.
func zipMembers(data []byte) []zipMember {
	var out []zipMember
	seen := map[string]bool{}
	at := zipDirectory(data)
	for len(out) < MaxMembers && at >= 0 && at+46 <= int64(len(data)) && string(data[at:at+4]) == "PK\x01\x02" {
		h := data[at:]
		n, extra, comment := int64(le16(h, 28)), int64(le16(h, 30)), int64(le16(h, 32))
		if int64(len(h)) < 46+n {
			break
		}
		m := zipMember{name: string(h[46 : 46+n]), flags: le16(h, 8), method: le16(h, 10), packed: le32(h, 20), at: le32(h, 42)}
		m.encrypted = m.flags&1 != 0
		out = append(out, m)
		seen[m.name] = true
		at += 46 + n + extra + comment
	}
	direct := len(out)
	for at, steps := int64(0), 0; len(out) < MaxMembers && steps < 2*MaxMembers; steps++ {
		i := bytes.Index(data[at:], []byte("PK\x03\x04"))
		if i < 0 {
			break
		}
		at += int64(i)
		h := data[at:]
		n, extra := int64(le16(h, 26)), int64(le16(h, 28))
		if int64(len(h)) < 30+n {
			break
		}
		m := zipMember{name: string(h[30 : 30+n]), flags: le16(h, 6), method: le16(h, 8), packed: le32(h, 18), at: at, undeclared: direct > 0}
		m.encrypted = m.flags&1 != 0
		if n > 0 && !seen[m.name] && plausible(m.name) {
			seen[m.name] = true
			out = append(out, m)
		}
		if direct > 0 && at == 0 && m.packed > 0 && m.flags&8 == 0 {
			at += 30 + n + extra + m.packed // skip what is certain
		} else {
			at += 30
		}
		if at >= int64(len(data)) {
			break
		}
	}
	return out
}

func plausible(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0xfffd })
}

// zipDirectory finds the central directory, from the end.
func zipDirectory(data []byte) int64 {
	tail := data[max(0, len(data)-66<<10):]
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 {
		return int64(bytes.Index(data, []byte("PK\x01\x02")))
	}
	end := tail[i:]
	size, at := le32(end, 12), le32(end, 16)
	if at+4 > int64(len(data)) || string(data[at:at+4]) != "PK\x01\x02" { // something stands before the archive
		at = int64(len(data)-len(tail)+i) - size
		if at < 0 || at+4 > int64(len(data)) || string(data[at:at+4]) != "PK\x01\x02" {
			return int64(bytes.Index(data, []byte("PK\x01\x02")))
		}
	}
	return at
}

// content returns what a member holds, at most limit bytes, and counts against what a message may unpack.
func (b *body) zipContent(data []byte, m zipMember, limit int64) []byte {
	if m.encrypted || m.at+30 > int64(len(data)) {
		return nil
	}
	h := data[m.at:]
	if string(h[:4]) != "PK\x03\x04" {
		return nil
	}
	from := m.at + 30 + int64(le16(h, 26)) + int64(le16(h, 28))
	packed := m.packed
	if packed == 0 || packed == 0xffffffff {
		packed = int64(len(data))
	}
	raw := part(data, from, packed)
	switch m.method {
	case 0:
		return raw[:min(int64(len(raw)), limit)]
	case 8:
		return b.inflate(raw, limit)
	}
	return nil
}

// zip reads a zip archive, which an Office document is as well.
func (b *body) zip(f inside) {
	list := zipMembers(f.data)
	if len(list) >= MaxMembers {
		b.note("limit: an archive with more members than are listed")
	}
	office := false
	for _, m := range list {
		if m.name == "[Content_Types].xml" || m.name == "mimetype" {
			office = true
		}
	}
	if bytes.Contains(f.data, []byte("vbaProject.bin")) {
		b.trait("attachment.macro", f.name)
	}
	if office {
		b.officeZip(f, list)
		return
	}
	if len(list) == 0 {
		b.trait("attachment.broken", f.name)
	}
	if f.level > 0 {
		b.trait("attachment.nested", f.name)
	}
	for i, m := range list {
		if strings.HasSuffix(m.name, "/") {
			continue
		}
		if m.encrypted {
			b.trait("attachment.encrypted", f.name)
			b.member(f, m.name, nil)
			continue
		}
		if i >= maxOpened {
			b.member(f, m.name, nil)
			continue
		}
		b.member(f, m.name, func() []byte { return b.zipContent(f.data, m, maxMember) })
	}
}

const (
	maxOpened = 24      // members of one archive that are opened
	maxMember = 2 << 20 // bytes of one member that are read
)
