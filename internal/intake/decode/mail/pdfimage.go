package mail

import "strings"

// image keeps a picture of the document.
func (p *pdfFile) image(d string, filter []string, raw []byte) {
	w, h, bits := intAfter(d, "/Width"), intAfter(d, "/Height"), intAfter(d, "/BitsPerComponent")
	if min(w, h) < minPictureSide/2 || w > 1<<14 || h > 1<<14 || w*h > MaxPixels || max(w, h) > maxSideRatio*min(w, h) || len(p.b.pictures) >= maxWaiting {
		return
	}
	if n := len(filter); n > 0 && (filter[n-1] == "DCTDecode" || filter[n-1] == "DCT") {
		if n == 1 {
			p.b.picture(raw)
		} else {
			p.b.picture(p.undo(filter[:n-1], raw, maxPDFStream))
		}
		return
	}
	if bits == 0 {
		bits = 1
	}
	if w*h > 1<<20 && bits > 1 {
		p.b.skipped++
		return
	}
	out := p.undo(filter, raw, int64(min(w*h*4+h*8, 4*maxPDFStream)))
	if pix := pdfPixels(d, out, w, h, bits); pix != nil {
		p.b.wait(picture{where: p.b.where, w: w, h: h, grey: pix}, len(pix))
	}
}

// pdfPixels makes the samples of a picture grey (8.9.5): one or eight bits a sample, one, three or four samples a
// pixel, with the predictors of PNG undone.
func pdfPixels(d string, raw []byte, w, h, bits int) []byte {
	if bits != 1 && bits != 8 {
		return nil
	}
	parts := 1
	switch {
	case strings.Contains(d, "/DeviceRGB") || intAfter(d, "/Colors") == 3:
		parts = 3
	case strings.Contains(d, "/DeviceCMYK") || intAfter(d, "/Colors") == 4:
		parts = 4
	case bits == 8 && len(raw) >= 3*w*h && !strings.Contains(d, "/Indexed"):
		parts = 3 // a profile of three colours, named elsewhere
	}
	if strings.Contains(d, "/Indexed") {
		parts = 1
	}
	stride := (w*parts*bits + 7) / 8
	if intAfter(d, "/Predictor") >= 10 {
		raw = unpredict(raw, stride, max(1, parts*bits/8))
	}
	if len(raw) < stride*h {
		return nil
	}
	pix := make([]byte, w*h)
	for y := range h {
		row := raw[y*stride:]
		for x := range w {
			var v byte
			switch {
			case bits == 1:
				v = row[x/8] >> (7 - x%8) & 1 * 255
			case parts == 1:
				v = row[x]
			case parts == 3:
				v = byte((299*int(row[3*x]) + 587*int(row[3*x+1]) + 114*int(row[3*x+2])) / 1000)
			default:
				v = 255 - byte(min(255, (int(row[4*x])+int(row[4*x+1])+int(row[4*x+2]))/3+int(row[4*x+3])))
			}
			pix[y*w+x] = v
		}
	}
	if strings.Contains(d, "/Indexed") && bits == 8 { // a palette of two: spread them
		top := byte(0)
		for _, v := range pix {
			top = max(top, v)
		}
		for i, v := range pix {
			pix[i] = byte(int(v) * 255 / max(1, int(top)))
		}
	}
	return pix
}

// unpredict undoes the filters of PNG (RFC 2083 6), in place.
func unpredict(d []byte, stride, bpp int) []byte {
	out := d[:0]
	var up []byte
	for len(d) > stride {
		kind, row := d[0], d[1:1+stride]
		d = d[1+stride:]
		for i := range row {
			var a, b, c int
			if i >= bpp {
				a = int(row[i-bpp])
			}
			if up != nil {
				b = int(up[i])
				if i >= bpp {
					c = int(up[i-bpp])
				}
			}
			switch kind {
			case 1:
				row[i] += byte(a)
			case 2:
				row[i] += byte(b)
			case 3:
				row[i] += byte((a + b) / 2)
			case 4:
				row[i] += byte(paeth(a, b, c))
			}
		}
		at := len(out)
		out = append(out, row...)
		up = out[at:]
	}
	return out
}

func paeth(a, b, c int) int {
	p := a + b - c
	pa, pb, pc := p-a, p-b, p-c
	pa, pb, pc = max(pa, -pa), max(pb, -pb), max(pc, -pc)
	switch {
	case pa <= pb && pa <= pc:
		return a
	case pb <= pc:
		return b
	}
	return c
}
