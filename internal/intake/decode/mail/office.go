package mail

import (
	"html"
	"strings"
)

// officeZip reads a document of new Office or of LibreOffice: where it links to, what it loads, what it starts, and
// the first of what it says.
func (b *body) officeZip(f inside, list []zipMember) {
	said := 0
	for i, m := range list {
		if i >= 120 {
			break
		}
		low := strings.ToLower(m.name)
		switch {
		case strings.HasSuffix(low, ".rels"):
			b.relations(f, string(b.zipContent(f.data, m, 256<<10)))
		case strings.Contains(low, "macrosheets/"):
			b.trait("attachment.macro", f.name)
		case strings.HasPrefix(low, "basic/") || strings.HasPrefix(low, "scripts/"): // LibreOffice
			if strings.HasSuffix(low, ".xml") && !strings.HasSuffix(low, "-lc.xml") || strings.HasSuffix(low, ".py") {
				b.trait("attachment.macro", f.name)
			}
		case strings.Contains(low, "embeddings/") && said < 8:
			said++
			b.embedded(f, m)
		case isDocumentText(low) && said < 12:
			said++
			b.documentText(f, string(b.zipContent(f.data, m, 512<<10)))
		case strings.Contains(low, "media/") || strings.HasPrefix(low, "pictures/"):
			if hasSuffix(low, ".png", ".jpg", ".jpeg", ".gif") && len(b.pictures) < maxWaiting {
				b.picture(b.zipContent(f.data, m, maxMember))
			}
		}
		if m.encrypted {
			b.trait("attachment.encrypted", f.name)
		}
	}
}

func isDocumentText(low string) bool {
	switch low {
	case "word/document.xml", "xl/sharedstrings.xml", "content.xml", "word/footer1.xml", "word/header1.xml", "word/footnotes.xml", "word/comments.xml":
		return true
	}
	return strings.HasPrefix(low, "ppt/slides/slide") || strings.HasPrefix(low, "xl/worksheets/sheet") || strings.HasPrefix(low, "xl/externallinks/") || strings.HasPrefix(low, "xl/drawings/drawing")
}

// embedded opens a file that was put into a document.
func (b *body) embedded(f inside, m zipMember) {
	data := b.zipContent(f.data, m, maxMember)
	what := sniff(data)
	if what == "ole" {
		if c := openCompound(data); c != nil {
			if e, ok := c.find("\x01Ole10Native"); ok {
				b.olePackage(f, c.read(e, maxMember))
				return
			}
		}
	}
	if what != "zip" && what != "ole" { // sheets behind charts are zip or OLE, and harmless
		b.trait("attachment.embedded", firstOf(what, m.name))
		b.member(f, m.name, func() []byte { return data })
	}
}

// relations reads the targets outside of a document (ECMA-376 part 2, 9.3).
func (b *body) relations(f inside, xml string) {
	for n := 0; n < MaxLinks; n++ {
		i := strings.Index(xml, "<Relationship ")
		if i < 0 {
			return
		}
		xml = xml[i+14:]
		tag, _, _ := strings.Cut(xml, ">")
		if !strings.EqualFold(xmlAttr(tag, "TargetMode"), "External") {
			continue
		}
		target := xmlAttr(tag, "Target")
		kind := xmlAttr(tag, "Type")
		switch kind = kind[strings.LastIndexByte(kind, '/')+1:]; kind {
		case "hyperlink":
		case "image":
			b.remote(target)
			continue
		default: // attachedTemplate, oleObject, frame, subDocument, externalLinkPath …
			low := strings.ToLower(target)
			if strings.Contains(low, "://") || strings.HasPrefix(low, `\\`) || strings.HasPrefix(low, "mhtml:") {
				if !strings.HasPrefix(low, "file:") || strings.HasPrefix(low, "file://") && !strings.HasPrefix(low, "file:///") {
					b.trait("attachment.template", target)
				}
			}
		}
		b.link(target, "")
	}
}

// xmlAttr returns an attribute's value, its entities undone.
func xmlAttr(tag, name string) string {
	i := strings.Index(tag, name+"=")
	if i < 0 || i+len(name)+2 > len(tag) {
		return ""
	}
	v := tag[i+len(name)+1:]
	q := v[0]
	if q != '"' && q != '\'' {
		return ""
	}
	v, _, _ = strings.Cut(v[1:], string(q))
	return html.UnescapeString(clip(v, MaxURL))
}

// documentText reads the text between the tags of a part, and its field codes.
func (b *body) documentText(f inside, xml string) {
	var out, code strings.Builder
	for xml != "" && out.Len() < maxAttached {
		i := strings.IndexByte(xml, '<')
		if i < 0 {
			break
		}
		text := xml[:i]
		xml = xml[i+1:]
		end := strings.IndexByte(xml, '>')
		if end < 0 {
			break
		}
		tag := xml[:end]
		xml = xml[end+1:]
		out.WriteString(text)
		switch name, _, _ := strings.Cut(strings.TrimRight(tag, "/"), " "); name {
		case "/w:p", "/a:p", "/si", "/text:p", "w:br", "/row", "w:tab":
			out.WriteByte('\n')
		case "w:instrText", "f", "w:fldSimple":
			v, _, _ := strings.Cut(xml, "<")
			if name == "w:fldSimple" {
				v = xmlAttr(tag, "w:instr")
			} else {
				xml = xml[len(v):]
			}
			keep(&code, html.UnescapeString(v), 64<<10)
		case "hyperlink", "text:a", "draw:a", "w:hyperlink":
			b.link(firstOf(xmlAttr(tag, "xlink:href"), xmlAttr(tag, "location")), "")
		case "ddeLink":
			b.trait("attachment.dde", f.name)
		}
	}
	text := html.UnescapeString(out.String())
	b.attachedText(b.cleanText(text))
	b.textLinks(text)
	b.fieldCodes(f, code.String())
}

// fieldCodes reads what fields of Word and formulas of Excel do: start a program (DDE), load a template, lead to an
// address.
func (b *body) fieldCodes(f inside, code string) {
	if code == "" {
		return
	}
	flat := strings.ToUpper(strings.NewReplacer("\n", "", "\r", "").Replace(code))
	if strings.Contains(flat, "DDEAUTO") || strings.Contains(flat, "DDE ") || strings.Contains(flat, "CMD|") || strings.Contains(flat, "MSEXCEL|") {
		b.trait("attachment.dde", f.name)
	}
	b.textLinks(code)
	b.textLinks(strings.NewReplacer("\n", "", "\"", " ").Replace(code))
}
