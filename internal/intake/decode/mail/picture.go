package mail

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"strings"
)

// picture is one that waits to be searched for a QR code.
type picture struct {
	where string
	data  []byte
	w, h  int
	grey  []byte // of pictures that are pixels already, from PDF
}

const (
	minPictureSide = 42       // pixels: 21 modules of two
	maxSideRatio   = 6        // a picture longer than that holds no code that a phone would find
	maxWaiting     = 24       // pictures of one message that wait
	maxWaitBytes   = 8 << 20  // bytes of them
	maxPictureMem  = 10 << 20 // bytes that decoding one may take
)

// picture keeps a picture for the search of QR codes, unless it is too small to hold one (a tracking pixel, a line, a
// small logo) or too large to be decoded.
func (b *body) picture(data []byte) {
	w, h, cost := dimensions(data)
	if min(w, h) < minPictureSide || max(w, h) > maxSideRatio*min(w, h) {
		return
	}
	if w > 1<<15 || h > 1<<15 || int64(w)*int64(h)/1000 > int64(len(data)) && w*h > MaxPixels {
		b.note("limit: a picture of more pixels than its bytes can hold")
		b.skipped++
		return
	}
	if w*h > MaxPixels || w*h*cost > maxPictureMem {
		b.skipped++
		return
	}
	b.wait(picture{where: b.where, data: data, w: w, h: h}, len(data))
}

func (b *body) wait(p picture, size int) {
	if len(b.pictures) >= maxWaiting || b.waiting+size > maxWaitBytes {
		b.skipped++
		return
	}
	b.waiting += size
	b.pictures = append(b.pictures, p)
}

// dataPicture reads a picture that is written into HTML as a data: address.
func (b *body) dataPicture(src string) {
	_, data, ok := strings.Cut(src[:min(len(src), 2<<20)], ";base64,")
	if !ok || len(data) < 100 {
		return
	}
	raw, _ := base64Bytes([]byte(data))
	b.picture(raw)
}

// dimensions reads the size of a picture from its header, and how many bytes a pixel takes when it is decoded.
func dimensions(data []byte) (w, h, cost int) {
	var c image.Config
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("\x89PNG")):
		c, err = png.DecodeConfig(bytes.NewReader(data))
		cost = 4
		if c.ColorModel == color.GrayModel {
			cost = 1
		} else if _, ok := c.ColorModel.(color.Palette); ok {
			cost = 1
		} else if c.ColorModel == color.NRGBA64Model || c.ColorModel == color.RGBA64Model {
			cost = 8
		}
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		c, err = jpeg.DecodeConfig(bytes.NewReader(data))
		cost = 3
		if bytes.Contains(data[:min(len(data), 64<<10)], []byte("\xff\xc2\x00\x11")) || bytes.Contains(data[:min(len(data), 64<<10)], []byte("\xff\xc2\x00\x0b")) {
			cost = 15 // progressive: coefficients are kept
		}
	case bytes.HasPrefix(data, []byte("GIF8")):
		c, err = gif.DecodeConfig(bytes.NewReader(data))
		cost = 1
	default:
		return 0, 0, 0
	}
	if err != nil {
		return 0, 0, 0
	}
	return c.Width, c.Height, cost
}

// readPictures searches the pictures that wait, the smaller ones first, as far as the message's share of pixels goes.
// Two pictures side by side that each hold no code are searched as one: codes are cut in two to get past filters.
func (b *body) readPictures() {
	if len(b.pictures) == 0 {
		return
	}
	left := MaxPixels + MaxPixels/2
	order := make([]int, len(b.pictures))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Compare(b.pictures[x].w*b.pictures[x].h, b.pictures[y].w*b.pictures[y].h)
	})
	halves := map[int]grey{}
	for n, i := range order {
		p := b.pictures[i]
		if n >= MaxPictures || p.w*p.h > left {
			b.skipped++
			continue
		}
		left -= p.w * p.h
		g := p.decode()
		if g.w == 0 {
			continue
		}
		b.where = p.where
		text, unread := readQR(g)
		if unread {
			b.trait("qr.unread", firstOf(b.where, "text"))
		}
		if text != "" {
			b.code(text)
		} else if g.w*g.h <= 512<<10 {
			halves[i] = g
		}
	}
	for i := range b.pictures {
		if x, ok := halves[i]; ok {
			if y, ok := halves[i+1]; ok {
				b.where = b.pictures[i].where
				if text, _ := readQR(joined(x, y)); text != "" {
					b.code(text)
				}
			}
		}
	}
	b.pictures = nil
}

// code keeps what a QR code says.
func (b *body) code(text string) {
	was := b.from
	b.from = "qr"
	b.qr++
	text = strings.TrimSpace(strings.ToValidUTF8(text, "\uFFFD"))
	n := len(b.mail.Links)
	switch low := strings.ToLower(clip(text, 16)); {
	case strings.HasPrefix(low, "begin:vcard"), strings.HasPrefix(low, "begin:vevent"), strings.HasPrefix(low, "begin:vcal"):
		b.textLinks(unescapeText(text))
		b.trait("attachment.contact", b.where)
	case strings.HasPrefix(low, "mebkm:"), strings.HasPrefix(low, "urlto:"):
		b.textLinks(unescapeText(text))
	default:
		if strings.ContainsAny(text, " \n") {
			b.textLinks(text)
			break
		}
		b.link(text, "")
		if i := strings.IndexByte(text, '.'); len(b.mail.Links) == n && i > 0 { // a host alone: phones open it
			host, _, _ := strings.Cut(text, "/")
			if bareHost(host) {
				b.link("http://"+text, "")
			}
		}
	}
	if _, ok := b.traits["qr.text"]; !ok && len(b.mail.Links) == n && b.links[text] == 0 {
		b.traits["qr.text"] = clip(text, 300)
	}
	b.trait("qr.where", firstOf(b.where, "text"))
	b.from = was
}

// decode makes a picture grey; what is transparent is white paper.
func (p picture) decode() (g grey) {
	if p.grey != nil {
		return grey{p.w, p.h, p.grey}
	}
	defer func() {
		if recover() != nil { // a decoder of the standard library that meets what it should refuse
			g = grey{}
		}
	}()
	var img image.Image
	var err error
	switch p.data[0] {
	case 0x89:
		img, err = png.Decode(bytes.NewReader(p.data))
	case 0xff:
		img, err = jpeg.Decode(bytes.NewReader(p.data))
	default:
		img, err = gif.Decode(bytes.NewReader(p.data))
	}
	if err != nil || img == nil {
		return grey{}
	}
	return greyOf(img)
}

// grey is a picture in shades: 0 black, 255 white, row by row.
type grey struct {
	w, h int
	pix  []byte
}

func greyOf(img image.Image) grey {
	r := img.Bounds()
	g := grey{r.Dx(), r.Dy(), nil}
	switch m := img.(type) {
	case *image.YCbCr:
		if m.YStride == g.w {
			g.pix = m.Y[:g.w*g.h]
			return g
		}
		g.pix = rows(m.Y, m.YStride, g)
	case *image.Gray:
		g.pix = rows(m.Pix, m.Stride, g)
	case *image.Paletted:
		var shade [256]byte
		for i, c := range m.Palette {
			if i < 256 {
				shade[i] = onWhite(c)
			}
		}
		g.pix = make([]byte, g.w*g.h)
		for y := range g.h {
			for x, v := range m.Pix[y*m.Stride : y*m.Stride+g.w] {
				g.pix[y*g.w+x] = shade[v]
			}
		}
	case *image.NRGBA:
		g.pix = make([]byte, g.w*g.h)
		for y := range g.h {
			row := m.Pix[y*m.Stride:]
			for x := range g.w {
				v := (299*int(row[4*x]) + 587*int(row[4*x+1]) + 114*int(row[4*x+2])) / 1000
				a := int(row[4*x+3])
				g.pix[y*g.w+x] = byte((v*a + 255*(255-a)) / 255)
			}
		}
	case *image.RGBA:
		g.pix = make([]byte, g.w*g.h)
		for y := range g.h {
			row := m.Pix[y*m.Stride:]
			for x := range g.w {
				g.pix[y*g.w+x] = byte((299*int(row[4*x])+587*int(row[4*x+1])+114*int(row[4*x+2]))/1000 + 255 - int(row[4*x+3]))
			}
		}
	default:
		g.pix = make([]byte, g.w*g.h)
		for y := range g.h {
			for x := range g.w {
				g.pix[y*g.w+x] = onWhite(img.At(r.Min.X+x, r.Min.Y+y))
			}
		}
	}
	return g
}

func rows(pix []byte, stride int, g grey) []byte {
	out := make([]byte, 0, g.w*g.h)
	for y := range g.h {
		out = append(out, pix[y*stride:y*stride+g.w]...)
	}
	return out
}

func onWhite(c color.Color) byte {
	r, gr, bl, a := c.RGBA()
	v := (299*r+587*gr+114*bl)/1000 + (0xffff - a)
	return byte(min(v, 0xffff) >> 8)
}

// joined puts two pictures of one height side by side, or of one width below each other.
func joined(x, y grey) grey {
	switch {
	case x.h == y.h:
		g := grey{x.w + y.w, x.h, make([]byte, 0, (x.w+y.w)*x.h)}
		for r := range x.h {
			g.pix = append(append(g.pix, x.pix[r*x.w:(r+1)*x.w]...), y.pix[r*y.w:(r+1)*y.w]...)
		}
		return g
	case x.w == y.w:
		return grey{x.w, x.h + y.h, slices.Concat(x.pix, y.pix)}
	}
	return grey{}
}
