package mail

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// command keeps what a shortcut starts.
func (b *body) command(s string) {
	if _, ok := b.traits["attachment.command"]; !ok && strings.TrimSpace(s) != "" {
		b.traits["attachment.command"] = clip(strings.Join(strings.Fields(b.cleanText(s)), " "), 500)
	}
}

// shortcut reads a Windows shortcut (MS-SHLLINK 2): the program it names and the arguments that it passes.
func (b *body) shortcut(f inside) {
	b.trait("attachment.shortcut", f.name)
	d := f.data
	if len(d) < 76 {
		return
	}
	flags := le32(d, 20)
	at := int64(76)
	if flags&1 != 0 { // LinkTargetIDList
		at += 2 + int64(le16(d, 76))
	}
	var words []string
	if flags&2 != 0 { // LinkInfo
		info := part(d, at, le32(d, int(min(at, int64(len(d))))))
		if base := le32(info, 16); len(info) > 28 && base > 0 && base < int64(len(info)) {
			words = append(words, toUTF8(cString(info[base:])))
		}
		at += le32(d, int(min(at, int64(len(d)))))
	}
	for bit := 2; bit <= 6; bit++ { // name, relative path, working folder, arguments, icon
		if flags&(1<<bit) == 0 || at < 0 || at+2 > int64(len(d)) {
			continue
		}
		n := int64(le16(d, int(at)))
		at += 2
		var s string
		if flags&0x80 != 0 {
			n *= 2
			s = utf16Text(part(d, at, n), false)
		} else {
			s = toUTF8(string(part(d, at, n)))
		}
		at += n
		if bit == 3 && len(words) == 0 || bit == 5 {
			words = append(words, clip(s, 8<<10))
		}
	}
	line := strings.Join(words, " ")
	b.command(line)
	b.textLinks(line)
	b.stringsIn(d)
}

// fileDataStore begins each file that is put into a OneNote section (MS-ONESTORE 2.6.13).
var fileDataStore = []byte{0xe7, 0x16, 0xe3, 0xbd, 0x65, 0x26, 0x11, 0x45, 0xa4, 0xc4, 0x8d, 0x4d, 0x0b, 0x7a, 0x9e, 0xac}

// onenote opens the files in a OneNote section; pictures among them are what its page shows.
func (b *body) onenote(f inside) {
	b.stringsIn(f.data)
	d := f.data
	for range 32 {
		i := bytes.Index(d, fileDataStore)
		if i < 0 || len(d) < i+36 {
			return
		}
		size := int64(binary.LittleEndian.Uint64(d[i+16:]) & (1<<62 - 1))
		content := part(d, int64(i)+36, size)
		d = d[i+36:]
		what := sniff(content)
		if what == "picture" {
			b.picture(content)
			continue
		}
		b.trait("attachment.embedded", firstOf(what, "file in a notebook"))
		b.member(f, "file", func() []byte { return content[:min(len(content), maxMember)] })
	}
}
