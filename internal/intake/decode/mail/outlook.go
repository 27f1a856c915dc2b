package mail

import (
	"encoding/binary"
	"strings"
)

// outlookMessage reads a message as Outlook saves it (MS-OXMSG): its text and links belong to the message that it
// came in.
func (b *body) outlookMessage(f inside, c *compound) {
	b.trait("attachment.message", f.name)
	names := map[string]string{}
	for _, e := range c.entries { // names of attachments come before their content is opened
		dir, leaf := splitPath(e.path)
		if e.kind == 2 && (strings.EqualFold(leaf, "__substg1.0_3707001F") || strings.EqualFold(leaf, "__substg1.0_3704001F") && names[dir] == "") {
			names[dir] = utf16Text(c.read(e, 1024), false)
		}
	}
	opened := 0
	for _, e := range c.entries {
		dir, leaf := splitPath(e.path)
		if e.kind != 2 || !strings.HasPrefix(leaf, "__substg1.0_") || strings.Count(e.path, "/") > 4 {
			continue
		}
		switch strings.ToUpper(leaf[12:]) {
		case "0037001F", "1000001F":
			b.outlookText(utf16Text(c.read(e, 256<<10), false))
		case "0037001E", "1000001E":
			b.outlookText(toUTF8(string(c.read(e, 256<<10))))
		case "10130102":
			b.showHTML(b.utf8Of(c.read(e, inspectLimit), "", true), 0)
		case "1013001F":
			b.showHTML(utf16Text(c.read(e, inspectLimit), false), 0)
		case "10090102":
			b.compressedRTF(f, c.read(e, inspectLimit))
		case "37010102":
			if opened++; opened <= maxOpened {
				b.member(f, firstOf(names[dir], "file"), func() []byte { return c.read(e, maxMember) })
			}
		}
	}
}

func (b *body) outlookText(s string) {
	b.show(false, b.cleanText(s), 0)
	b.textLinks(s)
}

func splitPath(p string) (dir, leaf string) {
	i := strings.LastIndexByte(p, '/')
	return p[:max(i, 0)], p[i+1:]
}

// rtfDictionary fills the window before the first byte (MS-OXRTFCP 2.1.2.1).
const rtfDictionary = "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"

// compressedRTF undoes the compression of Outlook's RTF (MS-OXRTFCP) and reads the result.
func (b *body) compressedRTF(f inside, d []byte) {
	if len(d) < 17 {
		return
	}
	if string(d[8:12]) == "MELA" {
		f.data = d[16:]
		b.rtf(f)
		return
	}
	var window [4096]byte
	at := copy(window[:], rtfDictionary)
	var out []byte
	limit := int(b.room(min(le32(d, 4), 512<<10)))
	for i := 16; i < len(d) && len(out) < limit; {
		flags := d[i]
		i++
		for bit := 0; bit < 8 && i < len(d) && len(out) < limit; bit++ {
			if flags&(1<<bit) == 0 {
				window[at] = d[i]
				out = append(out, d[i])
				at = (at + 1) & 4095
				i++
				continue
			}
			if i+1 >= len(d) {
				i = len(d)
				break
			}
			ref := int(d[i])<<8 | int(d[i+1])
			i += 2
			from, n := ref>>4, ref&15+2
			if from == at { // the end
				i = len(d)
				break
			}
			for range n {
				c := window[from&4095]
				window[at] = c
				out = append(out, c)
				at, from = (at+1)&4095, from+1
			}
		}
	}
	b.inflated += int64(len(out))
	f.data = out
	b.rtf(f)
}

// tnef reads the winmail.dat in which Exchange packs what only Outlook shows (MS-OXTNEF).
func (b *body) tnef(f inside) {
	d := f.data[min(6, len(f.data)):]
	name := ""
	for n := 0; len(d) > 9 && n < 500; n++ {
		id, size := le32(d, 1), le32(d, 5)
		v := part(d, 9, size)
		switch id {
		case 0x00018010: // attAttachTitle
			name = toUTF8(cString(v[:min(len(v), 300)]))
		case 0x0006800f: // attAttachData
			if n <= maxOpened*4 {
				b.member(f, firstOf(name, "file"), func() []byte { return v[:min(len(v), maxMember)] })
			}
		case 0x00069003: // attMsgProps
			b.mapiProps(f, v)
		case 0x0002800c: // attBody
			b.outlookText(toUTF8(cString(v[:min(len(v), 256<<10)])))
		}
		if 11+size >= int64(len(d)) {
			return
		}
		d = d[11+size:]
	}
}

// mapiProps looks for the HTML or RTF body among the properties of a TNEF message; others are skipped by their type.
func (b *body) mapiProps(f inside, d []byte) {
	n := le32(d, 0)
	d = d[min(4, len(d)):]
	for i := int64(0); i < min(n, 500) && len(d) >= 4; i++ {
		kind, id := le16(d, 0), le16(d, 2)
		d = d[4:]
		if id >= 0x8000 { // a named property: GUID, kind, name
			if len(d) < 24 {
				return
			}
			skip := int64(24)
			if le32(d, 16) == 1 {
				skip += (le32(d, 20) + 3) &^ 3
			}
			if skip > int64(len(d)) {
				return
			}
			d = d[skip:]
		}
		switch kind {
		case 2, 3, 4, 10, 11:
			d = d[min(4, len(d)):]
		case 5, 6, 7, 20, 64:
			d = d[min(8, len(d)):]
		case 0x48:
			d = d[min(16, len(d)):]
		case 0x1e, 0x1f, 0x0d, 0x102:
			if len(d) < 8 || le32(d, 0) > 1 {
				return
			}
			size := int64(binary.LittleEndian.Uint32(d[4:]))
			v := part(d, 8, size)
			switch id {
			case 0x1013:
				b.showHTML(b.utf8Of(v[:min(len(v), inspectLimit)], "", true), 0)
			case 0x1009:
				b.compressedRTF(f, v[:min(len(v), inspectLimit)])
			}
			step := 8 + (size+3)&^3
			if step > int64(len(d)) {
				return
			}
			d = d[step:]
		default:
			return
		}
	}
}
