package mail

import (
	"bytes"
	"strings"
)

// iso lists a disk image (ECMA-119), with the long names of its Joliet directory where it has one; UDF is noted only.
func (b *body) iso(f inside) {
	b.trait("attachment.image", f.name)
	root, joliet := []byte(nil), false
	for sector := int64(16); sector < 32; sector++ {
		d := part(f.data, sector*2048, 2048)
		if len(d) < 190 || string(d[1:6]) != "CD001" || d[0] == 255 {
			break
		}
		if d[0] == 1 && root == nil || d[0] == 2 && d[88] == 0x25 && d[89] == 0x2f {
			root, joliet = d[156:190], d[0] == 2
		}
	}
	if root != nil {
		b.isoFolder(f, le32(root, 2), le32(root, 10), joliet, 0)
	}
}

func (b *body) isoFolder(f inside, sector, size int64, joliet bool, depth int) {
	d := part(f.data, sector*2048, min(size, 256<<10))
	for n := 0; len(d) > 33 && n < MaxMembers && b.members < 2*MaxMembers; n++ {
		l := int(d[0])
		if l == 0 { // the rest of a sector
			skip := (len(d)-1)%2048 + 1
			d = d[skip:]
			continue
		}
		if l < 34 || l > len(d) || 33+int(d[32]) > l {
			return
		}
		name := string(d[33 : 33+int(d[32])])
		if joliet && len(name) > 1 {
			name = utf16Text([]byte(name), true)
		}
		name, _, _ = strings.Cut(name, ";")
		at, length := le32(d, 2), le32(d, 10)
		switch {
		case len(name) == 1 && name[0] <= 1: // the folder itself and the one above
		case d[25]&2 != 0:
			if depth < 4 && at != sector {
				b.isoFolder(f, at, length, joliet, depth+1)
			}
		case name != "":
			data := part(f.data, at*2048, min(length, maxMember))
			if b.members < maxOpened {
				b.member(f, name, func() []byte { return data })
			} else {
				b.member(f, name, nil)
			}
		}
		d = d[l:]
	}
}

// cab lists a Microsoft cabinet (MS-CAB 2): its members are compressed together, so that only names are read.
func (b *body) cab(f inside) {
	d := f.data
	if len(d) < 36 {
		return
	}
	at, n := le32(d, 16), le16(d, 28)
	for range min(n, MaxMembers) {
		h := part(d, at, 16+256)
		end := bytes.IndexByte(h[min(16, len(h)):], 0)
		if len(h) < 18 || end <= 0 {
			return
		}
		b.member(f, string(h[16:16+end]), nil)
		at += 17 + int64(end)
	}
}
