package mail

import (
	"errors"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// maxCentres is how many places that look like the corner of a QR code may be met before a picture is given up: the
// reader compares each three of them.
const maxCentres = 120

// tooMany ends the search of a picture with more than maxCentres.
type tooMany struct{}

// readQR returns what the QR code in a picture says, or "", and whether there was something with the three corners of
// a code that could not be read. Dark codes on light ground are tried first, then light ones on dark.
func readQR(g grey) (text string, unread bool) {
	if g.w < minPictureSide/2 || g.h < minPictureSide/2 || len(g.pix) < g.w*g.h {
		return "", false
	}
	text, seen := searchQR(g, gozxing.NewHybridBinarizer)
	if text == "" && seen { // light that falls evenly is better served by one threshold for all
		text, _ = searchQR(g, gozxing.NewGlobalHistgramBinarizer)
	}
	if text != "" {
		return text, false
	}
	flipped := grey{g.w, g.h, make([]byte, g.w*g.h)}
	for i, v := range g.pix[:g.w*g.h] {
		flipped.pix[i] = 255 - v
	}
	text, also := searchQR(flipped, gozxing.NewHybridBinarizer)
	return text, text == "" && (seen || also)
}

// searchQR looks for one code; seen tells that three corners were found, of whatever.
func searchQR(g grey, binarizer func(gozxing.LuminanceSource) gozxing.Binarizer) (text string, seen bool) {
	defer func() {
		if recover() != nil { // tooMany, or a reader that does not withstand the picture
			text = ""
		}
	}()
	centres := 0
	hints := map[gozxing.DecodeHintType]any{
		gozxing.DecodeHintType_NEED_RESULT_POINT_CALLBACK: gozxing.ResultPointCallback(func(gozxing.ResultPoint) {
			if centres++; centres > maxCentres {
				panic(tooMany{})
			}
		}),
	}
	bitmap, err := gozxing.NewBinaryBitmap(binarizer(&shades{gozxing.LuminanceSourceBase{Width: g.w, Height: g.h}, g.pix}))
	if err != nil {
		return "", false
	}
	r, err := qrcode.NewQRCodeReader().Decode(bitmap, hints)
	if err != nil {
		var format gozxing.FormatException
		var checksum gozxing.ChecksumException
		return "", errors.As(err, &format) || errors.As(err, &checksum)
	}
	return r.GetText(), true
}

// shades gives a grey picture to the reader.
type shades struct {
	gozxing.LuminanceSourceBase
	pix []byte
}

// GetRow returns row y, in the given slice where it is long enough.
func (s *shades) GetRow(y int, row []byte) ([]byte, error) {
	if len(row) < s.Width {
		row = make([]byte, s.Width)
	}
	copy(row, s.pix[y*s.Width:(y+1)*s.Width])
	return row, nil
}

// GetMatrix returns all rows.
func (s *shades) GetMatrix() []byte { return s.pix }

// Invert returns the source with light and dark exchanged.
func (s *shades) Invert() gozxing.LuminanceSource { return gozxing.LuminanceSourceInvert(s) }

// String is of no use here; the interface asks for it.
func (s *shades) String() string { return "" }

// modules is a code as dark and light squares, row by row.
type modules [][]bool

// picture draws the squares four pixels wide, with the margin that a code needs.
func (m modules) picture() grey {
	const px, margin = 4, 4
	w := 0
	for _, row := range m {
		w = max(w, len(row))
	}
	g := grey{w: (w + 2*margin) * px, h: (len(m) + 2*margin) * px}
	if w == 0 || g.w*g.h > 1<<20 {
		return grey{}
	}
	g.pix = make([]byte, g.w*g.h)
	for i := range g.pix {
		g.pix[i] = 255
	}
	for y, row := range m {
		for x, dark := range row {
			if !dark {
				continue
			}
			for dy := range px {
				at := ((y+margin)*px+dy)*g.w + (x+margin)*px
				for dx := range px {
					g.pix[at+dx] = 0
				}
			}
		}
	}
	return g
}

// drawnCode reads a code that is drawn with characters or cells.
func (b *body) drawnCode(m modules) bool {
	if len(m) < 21 || b.qr >= MaxPictures {
		return false
	}
	g := m.picture()
	if g.w == 0 {
		return false
	}
	text, _ := readQR(g)
	if text == "" {
		for _, row := range m { // light squares were drawn, on a dark screen
			for x := range row {
				row[x] = !row[x]
			}
		}
		text, _ = readQR(m.picture())
	}
	if text == "" {
		return false
	}
	b.traits["body.textqr"] = "yes"
	b.code(text)
	return true
}
