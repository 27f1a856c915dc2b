package mail

import (
	"encoding/binary"
	"strings"
	"testing"
)

// oleOf builds a compound file: entries are given as path and content; a path that ends in "/" is a storage, and
// what follows below it names it first. No stream is in the small sectors.
func oleOf(t testing.TB, entries ...string) string {
	t.Helper()
	type entry struct {
		name          string
		parent        int
		kind          byte
		start, size   int
		child, before int // the last one below it, the one before it at its level
	}
	list := []entry{{name: "Root Entry", kind: 5, child: -1, before: -1}}
	dirs := map[string]int{"": 0}
	var body []byte
	var fat []uint32
	dirSectors := (len(entries)/2 + 1 + 3) / 4
	fat = append(fat, 0xfffffffd)
	for i := range dirSectors {
		next := uint32(i + 2)
		if i == dirSectors-1 {
			next = endOfChain
		}
		fat = append(fat, next)
	}
	for i := 0; i+1 < len(entries); i += 2 {
		path, data := strings.TrimSuffix(entries[i], "/"), entries[i+1]
		dir, leaf := splitPath(path)
		parent, ok := dirs[dir]
		if !ok {
			t.Fatalf("no storage %q", dir)
		}
		e := entry{name: leaf, parent: parent, kind: 2, size: len(data), child: -1, before: list[parent].child, start: endOfChain}
		if strings.HasSuffix(entries[i], "/") {
			e.kind = 1
			dirs[path] = len(list)
		} else if data != "" {
			e.start = len(fat)
			n := (len(data) + 511) / 512
			for k := range n {
				next := uint32(len(fat) + 1)
				if k == n-1 {
					next = endOfChain
				}
				fat = append(fat, next)
			}
			body = append(body, data...)
			body = append(body, make([]byte, n*512-len(data))...)
		}
		list[parent].child = len(list)
		list = append(list, e)
	}
	if len(fat) > 128 {
		t.Fatal("more sectors than one FAT sector holds")
	}
	head := make([]byte, 512)
	copy(head, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	head[30], head[32] = 9, 6
	put := binary.LittleEndian.PutUint32
	put(head[48:], 1)
	put(head[60:], endOfChain)
	put(head[68:], endOfChain)
	for i := 76; i < 512; i += 4 {
		put(head[i:], 0xffffffff)
	}
	put(head[76:], 0)
	table := make([]byte, 512)
	for i := range 128 {
		put(table[4*i:], 0xffffffff)
	}
	for i, v := range fat {
		put(table[4*i:], v)
	}
	dir := make([]byte, dirSectors*512)
	for i, e := range list {
		d := dir[i*128:]
		n := copy(d, utf16Bytes(e.name))
		d[64], d[66] = byte(n+2), e.kind
		for at, v := range map[int]int{68: e.before, 72: -1, 76: e.child} {
			put(d[at:], uint32(int32(v)))
		}
		put(d[116:], uint32(e.start))
		put(d[120:], uint32(e.size))
	}
	return string(head) + string(table) + string(dir) + string(body)
}

func TestCompoundFiles(t *testing.T) {
	wide := func(s string) string { return string(utf16Bytes(s)) }
	page := `<a href="` + lure + `">Sign in</a>`
	packed := "\x10\x00\x00\x00\x02\x00run.js\x00C:\\run.js\x00\x00\x00\x03\x00\x08\x00\x00\x00tmp.js.\x00" + "\x04\x00\x00\x00" + "MZ\x90\x00"
	tests := []struct{ name, file, data, field, want, link string }{
		{"macro", "a.doc", oleOf(t, "Macros/", "", "Macros/VBA/", "", "Macros/VBA/_VBA_PROJECT", "x"), "attachment.macro", "a.doc", ""},
		{"no macro", "a.doc", oleOf(t, "WordDocument", "x"), "attachment.macro", "", ""},
		{"locked", "a.docx", oleOf(t, "EncryptionInfo", "x", "EncryptedPackage", "y"), "attachment.encrypted", "a.docx", ""},
		{"locked Word file", "a.doc", oleOf(t, "WordDocument", strings.Repeat("\x00", 11)+"\x01"+strings.Repeat("\x00", 40)), "attachment.encrypted", "a.doc", ""},
		{"macro sheet", "a.xls", oleOf(t, "Workbook", "\x85\x00\x08\x00\x00\x00\x00\x00\x01\x01\x01M"), "attachment.macro", "a.xls", ""},
		{"link in text", "a.doc", oleOf(t, "WordDocument", strings.Repeat("\x00", 20)+wide("HYPERLINK "+lure+" ")), "attachment.broken", "", lure},
		{"package", "a.doc", oleOf(t, "ObjectPool/", "", "ObjectPool/\x01Ole10Native", packed), "attachment.embedded", "run.js", ""},
		{"broken", "a.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1rubbish", "attachment.broken", "a.doc", ""},
		{"message", "a.msg", oleOf(t, "__properties_version1.0", "x", "__substg1.0_0037001F", wide("Mailbox full"), "__substg1.0_1000001F", wide("Sign in at "+lure)), "attachment.message", "a.msg", lure},
		{"message of HTML", "a.msg", oleOf(t, "__properties_version1.0", "x", "__substg1.0_10130102", page), "attachment.message", "a.msg", lure},
		{"file in a message", "a.msg", oleOf(t, "__properties_version1.0", "x", "__attach_version1.0_#00000000/", "", "__attach_version1.0_#00000000/__substg1.0_3707001F", wide("run.js"), "__attach_version1.0_#00000000/__substg1.0_37010102", "var x"), "attachment.member", "run.js", ""},
		{"winmail", "winmail.dat", "\x78\x9f\x3e\x22\x01\x00" + "\x02\x10\x80\x01\x00\x07\x00\x00\x00run.js\x00\x00\x00" + "\x02\x0f\x80\x06\x00\x02\x00\x00\x00MZ\x00\x00", "attachment.member", "run.js", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := decodeOne(t, attached(tt.file, "application/octet-stream", []byte(tt.data)))
			if got := e.Fields.Value(tt.field); got != tt.want {
				t.Errorf("%s: %q, want %q (%v)", tt.field, got, tt.want, traitsOf(e))
			}
			if tt.link != "" && !strings.Contains(links(e), "file "+tt.link) {
				t.Errorf("links %q (%v)", links(e), traitsOf(e))
			}
		})
	}
	if e := decodeOne(t, attached("a.msg", "application/octet-stream", []byte(tests[8].data))); !strings.Contains(e.Mail.Text, "Mailbox full") {
		t.Errorf("the text of an attached message is missing: %q", e.Mail.Text)
	}
}

// TestCompressedRTF reads the example of MS-OXRTFCP 3.1.1.
func TestCompressedRTF(t *testing.T) {
	const d = "\x2d\x00\x00\x00\x2b\x00\x00\x00\x4c\x5a\x46\x75\xf1\xc5\xc7\xa7\x03\x00\x0a\x00\x72\x63\x70\x67\x31\x32\x35\x42\x32\x0a\xf3\x20\x68\x65\x6c\x09\x00\x20\x62\x77\x05\xb0\x6c\x64\x7d\x0a\x80\x0f\xa0"
	b := newBody(nil)
	b.compressedRTF(inside{name: "a.msg"}, []byte(d))
	if got := b.attached.String(); got != "hello world" {
		t.Errorf("%q", got)
	}
}
