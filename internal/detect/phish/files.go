package phish

import "strings"

// carried are what the decoder saw in attached files, beyond their names.
var carried = []struct {
	field, reason, class, says string
	unless                     func(x *message, value string) bool
}{
	{"attachment.smuggle", "file-smuggles", "file", "an attached page makes a file or a page out of its own text", nil},
	{"attachment.disguised", "file-disguised", "disguised", "an attached file's name shows another ending than it has", nil},
	{"attachment.shortcut", "file-shortcut", "file", "a Windows shortcut is enclosed", nil},
	{"attachment.command", "file-command", "file", "an enclosed shortcut starts", nil},
	{"attachment.image", "file-disk-image", "file", "a disk image is enclosed, whose files bear no mark of the web", nil},
	{"attachment.template", "file-template", "file", "an attached document loads from elsewhere", nil},
	{"attachment.dde", "file-starts-program", "file", "a field of an attached document starts a program", nil},
	{"attachment.embedded", "file-embedded", "file", "an attached document holds a file to open", (*message).harmlessFile},
	{"attachment.action", "file-action", "file", "an attached PDF acts when it is opened", func(_ *message, value string) bool { return value == "javascript" }},
	{"attachment.mismatch", "file-mismatch", "mismatched", "an attached file is not what its name says", nil},
	{"attachment.nested", "file-nested-archive", "nested", "an archive holds an archive", nil},
}

// harmlessFile reports whether a file inside a document has the name of one that is only read.
func (x *message) harmlessFile(name string) bool {
	switch extension(name) {
	case "pdf", "png", "jpg", "jpeg", "gif", "emf", "wmf", "bmp", "tif", "tiff", "txt", "csv", "xml", "xlsx", "docx", "pptx":
		return true
	}
	return false
}

// attachmentReasons: files that carry a lure past the text.
func attachmentReasons(v *verdict, x *message) {
	f := x.e.Fields
	add := func(name string, p int, text string) {
		v.attached = true
		v.add(reason{name: name, class: "file", kind: kindCommodity, points: p, text: text})
	}
	for _, a := range x.e.Mail.Attachments {
		switch ext := extension(a.Name); ext {
		case "html", "htm", "shtml", "xhtml", "svg", "mht", "mhtml":
			switch {
			case f.Value("attachment.form") == "password":
				add("file-password-form", 45, "the attached page "+a.Name+" asks for a password")
			case f.Value("attachment.script") != "":
				add("file-script", 35, "the attached page "+a.Name+" builds its content by script")
			case f.Value("attachment.form") != "":
				add("file-form", 20, "the attached page "+a.Name+" holds a form")
			default:
				add("file-page", 10, "a page is attached: "+a.Name)
			}
		case "exe", "scr", "com", "pif", "bat", "cmd", "ps1", "vbs", "vbe", "js", "jse", "wsf", "hta", "lnk", "msi", "msix", "jar", "cpl", "chm", "reg", "url",
			"application", "appinstaller", "library-ms", "iso", "img", "vhd", "vhdx", "one", "xll", "ace", "cab":
			add("file-runs", 40, "a file that runs or mounts is attached: "+a.Name)
		case "docm", "xlsm", "pptm", "dotm", "xltm", "xlam", "xlsb":
			add("file-macro", 25, "an Office file with macros is attached: "+a.Name)
		}
	}
	if n := f.Value("attachment.member"); n != "" {
		add("file-archive-runs", 40, "an archive holds a file that runs: "+n)
	}
	if n := f.Value("attachment.macro"); n != "" {
		add("file-macro", 25, "an attached Office file holds macros: "+n)
	}
	if n := f.Value("attachment.program"); n != "" {
		add("file-program", 45, "a program is attached: "+n)
	}
	for i := range carried {
		c := &carried[i]
		n := f.Value(c.field)
		if n == "" || c.unless != nil && c.unless(x, n) {
			continue
		}
		v.attached = true
		v.add(reason{name: c.reason, class: c.class, kind: kindCommodity, points: int(10 * prior(c.reason)), text: c.says + ": " + clipText(n, 120)})
	}
	if n := f.Value("attachment.encrypted"); n != "" {
		p := 15
		if strings.Contains(x.text, "passw") || strings.Contains(x.text, "kennwort") || strings.Contains(x.text, "mot de passe") {
			p = 25
		}
		add("file-encrypted", p, "an attachment is encrypted, so that no filter reads it: "+n)
	}
}
