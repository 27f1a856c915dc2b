package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"regexp"
	"strings"
)

// holding is what a message holds, read roughly: it only sorts what was missed.
type holding struct {
	link, attachment, html, picture bool
	text                            int // bytes of visible text
}

var (
	anyLink = regexp.MustCompile(`(?i)https?://|href=`)
	anyTag  = regexp.MustCompile(`(?s)<style.*?</style>|<[^>]*>|\s+`)
)

func holdings(path string) holding {
	var h holding
	raw, err := os.ReadFile(path)
	if err != nil {
		return h
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		h.read("text/plain", "", "", bytes.NewReader(raw), 0)
		return h
	}
	h.read(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Header.Get("Content-Disposition"), m.Body, 0)
	return h
}

func (h *holding) read(kind, encoding, disposition string, body io.Reader, depth int) {
	media, params, err := mime.ParseMediaType(kind)
	if err != nil {
		media = "text/plain"
	}
	if strings.HasPrefix(media, "multipart/") && depth < 8 {
		parts := multipart.NewReader(body, params["boundary"])
		for range 100 {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			h.read(p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p.Header.Get("Content-Disposition"), p, depth+1)
		}
		return
	}
	switch strings.ToLower(encoding) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	if strings.HasPrefix(disposition, "attachment") || !strings.HasPrefix(media, "text/") && !strings.HasPrefix(media, "image/") {
		h.attachment = true
	}
	if strings.HasPrefix(media, "image/") {
		h.picture = true
	}
	if !strings.HasPrefix(media, "text/") {
		return
	}
	text, _ := io.ReadAll(io.LimitReader(body, 1<<20)) // what was read until an error is enough to sort by
	h.link = h.link || anyLink.Match(text)
	if media == "text/html" {
		h.html = true
		h.picture = h.picture || bytes.Contains(bytes.ToLower(text), []byte("<img"))
	}
	h.text += len(anyTag.ReplaceAll(text, nil))
}
