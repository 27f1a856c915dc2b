package mail

import (
	"bytes"
	"strings"
)

// inside is a file that is looked into: an attachment, or a member of one.
type inside struct {
	name    string // as it was sent; members as "archive.zip!member"
	kind    string // media type as declared, or ""
	charset string
	data    []byte
	depth   int // of parts around it
	level   int // of containers around it
}

const (
	maxLevel     = 3       // containers in containers that are opened
	inspectLimit = 1 << 20 // bytes of a text-like file that are read
)

// inspect notes what a file is beyond its name, as fields, and reads what it says and where it leads.
func (b *body) inspect(f inside) {
	if f.level > maxLevel || len(f.data) == 0 {
		return
	}
	what := sniff(f.data)
	base := f.name[strings.LastIndexByte(f.name, '!')+1:]
	b.nameTricks(f.name, base, what, f.kind)
	low := strings.ToLower(base)
	switch what {
	case "zip":
		b.zip(f)
	case "program":
		b.trait("attachment.program", f.name)
	case "pdf":
		b.pdf(f)
	case "ole":
		b.ole(f)
	case "rar":
		b.rar(f)
	case "7z":
		b.sevenZip(f)
	case "gzip", "bzip2":
		b.unpackStream(f, what)
	case "tar":
		b.tar(f)
	case "cab":
		b.cab(f)
	case "iso":
		b.iso(f)
	case "disk":
		b.trait("attachment.image", f.name)
	case "rtf":
		b.rtf(f)
	case "lnk":
		b.shortcut(f)
	case "onenote":
		b.onenote(f)
	case "tnef":
		b.tnef(f)
	case "picture":
		b.picture(f.data)
	case "calendar":
		b.calendar(b.utf8Of(f.data[:min(len(f.data), maxCalendar)], f.charset, false), false)
	default:
		b.inspectText(f, low, what)
	}
}

// inspectText reads what is text by its content: pages, messages, scripts, plain text.
func (b *body) inspectText(f inside, low, what string) {
	head := f.data[:min(len(f.data), inspectLimit)]
	switch {
	case what == "html", f.kind == "text/html", f.kind == "application/xhtml+xml", f.kind == "image/svg+xml",
		hasSuffix(low, ".html", ".htm", ".xhtml", ".shtml", ".svg", ".hta", ".mht", ".mhtml", ".xht"):
		if hasSuffix(low, ".mht", ".mhtml") || bytes.HasPrefix(head, []byte("MIME-Version:")) {
			b.nested(f.name, f.data, f.depth+1)
			return
		}
		b.page(f.name, b.utf8Of(head, f.charset, true))
	case hasSuffix(low, ".eml") || what == "message":
		b.nested(f.name, f.data, f.depth+1)
	case hasSuffix(low, ".url", ".library-ms", ".settingcontent-ms", ".desktop", ".webloc", ".search-ms", ".searchconnector-ms"):
		b.trait("attachment.shortcut", f.name)
		text := b.utf8Of(head[:min(len(head), 64<<10)], f.charset, false)
		b.command(text)
		b.textLinks(text)
	case hasSuffix(low, scriptSuffixes...) || bytes.HasPrefix(head, []byte("#!")):
		b.trait("attachment.program", f.name)
		b.textLinks(b.utf8Of(head, f.charset, false))
	case strings.HasPrefix(f.kind, "text/"), hasSuffix(low, ".txt", ".csv", ".md", ".xml", ".json"):
		b.textLinks(b.utf8Of(head, f.charset, false))
	case hasSuffix(low, ".img", ".vhd", ".vhdx"):
		b.trait("attachment.image", f.name)
	case hasSuffix(low, ".pdf", ".docx", ".xlsx", ".pptx", ".zip", ".7z", ".rar", ".one"):
		b.trait("attachment.broken", f.name)
	}
}

func (b *body) trait(key, name string) {
	if _, ok := b.traits[key]; !ok {
		b.traits[key] = firstOf(strings.ToLower(clip(toUTF8(name), 255)), "unnamed")
	}
}

// member looks at one file of an archive: its name, and where it can be opened its content.
func (b *body) member(f inside, name string, data func() []byte) {
	b.members++
	full := clip(f.name, 200) + "!" + toUTF8(clip(name, 200))
	low := strings.ToLower(name)
	if hasSuffix(low, programSuffixes...) || hasSuffix(low, shortcutSuffixes...) {
		b.trait("attachment.member", toUTF8(clip(low, 255)))
	}
	if hasSuffix(low, archiveSuffixes...) {
		b.trait("attachment.nested", full)
	}
	if data == nil || b.members > MaxMembers {
		b.nameTricks(full, name, "", "")
		return
	}
	content := data()
	if len(content) == 0 {
		b.nameTricks(full, name, "", "")
		return
	}
	was := b.where
	b.where = full
	b.inspect(inside{name: full, data: content, depth: f.depth, level: f.level + 1})
	b.from, b.where = "file", was
}

// shortcutSuffixes are opened by Windows like what they point to.
var shortcutSuffixes = []string{".lnk", ".url", ".library-ms", ".settingcontent-ms", ".search-ms", ".searchconnector-ms", ".scf"}

var archiveSuffixes = []string{".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".iso", ".img", ".vhd", ".vhdx", ".cab", ".ace", ".arj", ".lzh"}

// scriptSuffixes are texts that Windows runs.
var scriptSuffixes = []string{".bat", ".cmd", ".ps1", ".vbs", ".vbe", ".js", ".jse", ".wsf", ".wsh", ".sct", ".reg", ".inf", ".jnlp", ".application", ".msc", ".py"}

// programSuffixes are the names Windows runs or opens into something that runs.
var programSuffixes = []string{".exe", ".scr", ".com", ".pif", ".bat", ".cmd", ".ps1", ".vbs", ".vbe", ".js", ".jse", ".wsf", ".wsh", ".sct",
	".hta", ".lnk", ".msi", ".msix", ".msixbundle", ".appx", ".appinstaller", ".iso", ".img", ".vhd", ".vhdx", ".jar", ".jnlp", ".cpl", ".chm", ".reg", ".url", ".application",
	".library-ms", ".xll", ".msc", ".dll", ".one", ".rdp"}

func hasSuffix(s string, list ...string) bool {
	for _, x := range list {
		if strings.HasSuffix(s, x) {
			return true
		}
	}
	return false
}
