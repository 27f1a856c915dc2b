package mail

import (
	"bytes"
	"strings"
)

// compound is a Compound File Binary (MS-CFB), the container of old Office files and of Outlook's messages. It is
// read in place; chains are bounded by the file's own number of sectors.
type compound struct {
	data    []byte
	sector  int64
	mini    int64 // size of a mini sector
	cutoff  int64
	fat     []int64 // positions of the FAT's sectors
	miniFAT []byte
	ministr []byte
	entries []compoundEntry
}

type compoundEntry struct {
	path  string // storages and the stream's name, joined by "/"
	kind  byte   // 1 storage, 2 stream, 5 root
	start int64
	size  int64
}

const (
	endOfChain    = 0xfffffffe
	maxEntries    = 1024
	maxCompound   = 4 << 20 // bytes of one stream that are read
	maxFATSectors = 1024
)

func openCompound(data []byte) *compound {
	if len(data) < 512 {
		return nil
	}
	shift, mini := le16(data, 30), le16(data, 32)
	if (shift != 9 && shift != 12) || mini != 6 {
		return nil
	}
	c := &compound{data: data, sector: 1 << shift, mini: 1 << mini, cutoff: le32(data, 56)}
	for i := range 109 {
		if s := le32(data, 76+4*i); s < 0xfffffffa {
			c.fat = append(c.fat, s)
		}
	}
	for next, n := le32(data, 68), 0; next < 0xfffffffa && n < 32 && len(c.fat) < maxFATSectors; n++ {
		d := c.at(next)
		if int64(len(d)) < c.sector {
			break
		}
		for i := 0; i < int(c.sector)/4-1 && len(c.fat) < maxFATSectors; i++ {
			if s := le32(d, 4*i); s < 0xfffffffa {
				c.fat = append(c.fat, s)
			}
		}
		next = le32(d, int(c.sector)-4)
	}
	dir := c.chain(le32(data, 48), maxEntries*128)
	if len(dir) < 128 {
		return nil
	}
	c.miniFAT = c.chain(le32(data, 60), 1<<20)
	c.ministr = c.chain(le32(dir, 116), maxCompound)
	c.walk(dir)
	return c
}

// at returns a sector.
func (c *compound) at(n int64) []byte { return part(c.data, (n+1)*c.sector, c.sector) }

func (c *compound) next(n int64) int64 {
	per := c.sector / 4
	if i := n / per; i < int64(len(c.fat)) {
		if d := c.at(c.fat[i]); int64(len(d)) == c.sector {
			return le32(d, int(n%per)*4)
		}
	}
	return endOfChain
}

// chain reads the sectors of a stream, at most limit bytes.
func (c *compound) chain(start, limit int64) []byte {
	limit = min(limit, int64(len(c.data)))
	var out []byte
	for n := start; n < 0xfffffffa && int64(len(out)) < limit; n = c.next(n) {
		d := c.at(n)
		if len(d) == 0 {
			break
		}
		out = append(out, d...)
	}
	return out[:min(int64(len(out)), limit)]
}

// walk names the entries by their place in the tree; siblings form a binary tree, which is walked without
// recursion.
func (c *compound) walk(dir []byte) {
	total := len(dir) / 128
	seen := make([]bool, total)
	type todo struct {
		id   int64
		path string
	}
	stack := []todo{{0, ""}}
	for len(stack) > 0 && len(c.entries) < maxEntries {
		t := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if t.id >= int64(total) || seen[t.id] {
			continue
		}
		seen[t.id] = true
		d := dir[t.id*128 : t.id*128+128]
		n := min(max(le16(d, 64)-2, 0), 62)
		e := compoundEntry{kind: d[66], start: le32(d, 116), size: le32(d, 120), path: utf16Text(d[:n], false)}
		below := ""
		if t.path != "" {
			e.path = t.path + "/" + e.path
		}
		if e.kind != 5 {
			c.entries = append(c.entries, e)
			below = e.path
			stack = append(stack, todo{le32(d, 68), t.path}, todo{le32(d, 72), t.path})
		}
		if e.kind != 2 && len(below) < 500 {
			stack = append(stack, todo{le32(d, 76), below})
		}
	}
}

// read returns what a stream holds, at most limit bytes.
func (c *compound) read(e compoundEntry, limit int64) []byte {
	limit = min(limit, e.size)
	if e.size >= c.cutoff {
		return c.chain(e.start, limit)
	}
	var out []byte
	for n := e.start; n < 0xfffffffa && int64(len(out)) < limit; {
		d := part(c.ministr, n*c.mini, c.mini)
		if len(d) == 0 {
			break
		}
		out = append(out, d...)
		if 4*n+4 > int64(len(c.miniFAT)) {
			break
		}
		n = le32(c.miniFAT, int(4*n))
	}
	return out[:min(int64(len(out)), limit)]
}

// find returns the first stream of that path, in any case.
func (c *compound) find(path string) (compoundEntry, bool) {
	for _, e := range c.entries {
		if strings.EqualFold(e.path, path) {
			return e, true
		}
	}
	return compoundEntry{}, false
}

// ole reads an old Office file, an encrypted new one, an installer or an Outlook message.
func (b *body) ole(f inside) {
	c := openCompound(f.data)
	if c == nil {
		b.trait("attachment.broken", f.name)
		if bytes.Contains(f.data[:min(len(f.data), inspectLimit)], utf16Bytes("_VBA_PROJECT")) {
			b.trait("attachment.macro", f.name)
		}
		return
	}
	if _, ok := c.find("__properties_version1.0"); ok {
		b.outlookMessage(f, c)
		return
	}
	msi := false
	for _, e := range c.entries {
		name := e.path[strings.LastIndexByte(e.path, '/')+1:]
		switch low := strings.ToLower(name); {
		case low == "encryptedpackage":
			b.trait("attachment.encrypted", f.name)
		case low == "_vba_project", low == "vba" && e.kind == 1:
			b.trait("attachment.macro", f.name)
		case low == "workbook", low == "book":
			b.workbook(f, c.read(e, 512<<10))
		case low == "worddocument":
			doc := c.read(e, 512<<10)
			if le16(doc, 10)&0x100 != 0 {
				b.trait("attachment.encrypted", f.name)
			}
			b.oldText(f, doc)
		case low == "\x01ole10native":
			b.olePackage(f, c.read(e, maxMember))
		case low == "hyperlinks" || low == "\x05documentsummaryinformation" || low == "powerpoint document":
			b.stringsIn(c.read(e, 512<<10))
		case strings.ContainsFunc(name, func(r rune) bool { return r >= 0x3800 && r < 0x4840 }):
			msi = true // names of an installer's tables are squeezed into these characters
		}
	}
	if msi {
		b.trait("attachment.program", f.name)
	}
}

// oldText reads addresses and field codes in the text of a Word file.
func (b *body) oldText(f inside, doc []byte) {
	b.stringsIn(doc)
	if bytes.Contains(doc, []byte("DDEAUTO")) || bytes.Contains(doc, utf16Bytes("DDEAUTO")) {
		b.trait("attachment.dde", f.name)
	}
}

// workbook reads the records of an old Excel file (MS-XLS 2.1.4): encryption, sheets of Excel 4 macros, addresses.
func (b *body) workbook(f inside, d []byte) {
	b.stringsIn(d)
	for n := 0; len(d) >= 4 && n < 20_000; n++ {
		kind, size := le16(d, 0), le16(d, 2)
		body := part(d, 4, int64(size))
		switch {
		case kind == 0x2f:
			b.trait("attachment.encrypted", f.name)
			return
		case kind == 0x85 && len(body) > 6 && body[5] == 1:
			b.trait("attachment.macro", f.name)
		}
		if 4+size >= len(d) {
			return
		}
		d = d[4+size:]
	}
}

// olePackage opens a file that was put into a document (OLE 1.0 package).
func (b *body) olePackage(f inside, d []byte) {
	name := ""
	if len(d) > 8 {
		name = cString(d[6:min(len(d), 300)])
	}
	b.trait("attachment.embedded", firstOf(toUTF8(name), "package"))
	if i := 6 + len(name) + 1; name != "" && i < len(d) {
		rest := d[i:]
		rest = rest[min(len(rest), len(cString(rest[:min(len(rest), 300)]))+1):]
		if len(rest) > 8 {
			rest = rest[8:]
			rest = rest[min(len(rest), len(cString(rest[:min(len(rest), 300)]))+1):]
			if n := le32(rest, 0); n > 0 && len(rest) > 4 {
				b.member(f, name, func() []byte { return part(rest, 4, n) })
			}
		}
	}
}

func utf16Bytes(s string) []byte {
	out := make([]byte, 0, 2*len(s))
	for i := range len(s) {
		out = append(out, s[i], 0)
	}
	return out
}
