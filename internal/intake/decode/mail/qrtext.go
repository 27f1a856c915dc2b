package mail

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Of a character that draws a square: which halves are dark.
const (
	inkUpper = 1 << iota
	inkLower
	inkNone // a light square
)

func ink(r rune) int {
	switch r {
	case '█', '■', '⬛', '▓', '▉', '◼', '#', '@', 'X':
		return inkUpper | inkLower
	case '▀':
		return inkUpper
	case '▄':
		return inkLower
	case ' ', '\u00a0', '\u2007', '\u3000', '░', '□', '⬜', '◻', '.', '_':
		return inkNone
	}
	return 0
}

// textCode looks for a QR code drawn with characters: lines of blocks, of half blocks that hold two rows, or of two
// equal characters for each square.
func (b *body) textCode(text string) {
	// The bytes begin block elements and squares, U+2580 to U+25BF.
	if !strings.Contains(text, "\xe2\x96") && !strings.Contains(text, "⬛") && !strings.Contains(text, "####") {
		return
	}
	var block [][]int
	tried := 0
	flush := func() {
		if len(block) >= 11 && tried < 4 {
			tried++
			b.tryText(block)
		}
		block = nil
	}
	for line := range strings.Lines(clip(text, 256<<10)) {
		line = strings.TrimRight(line, "\r\n")
		row := make([]int, 0, 64)
		drawn := utf8.RuneCountInString(line) <= 400
		if drawn {
			for _, r := range line {
				v := ink(r)
				if v == 0 && !invisible(r) {
					drawn = false
					break
				}
				if v != 0 {
					row = append(row, v)
				}
			}
		}
		if !drawn || len(row) < 17 {
			if len(block) > 0 && len(strings.TrimSpace(line)) == 0 && len(block) < 21 {
				continue
			}
			flush()
			continue
		}
		if len(block) < 200 {
			block = append(block, row)
		}
	}
	flush()
}

func (b *body) tryText(block [][]int) {
	half, w := false, 0
	for _, row := range block {
		w = max(w, len(row))
		for _, v := range row {
			half = half || v == inkUpper || v == inkLower
		}
	}
	var m modules
	step := 1
	if !half && w >= 2*len(block)-4 {
		step = 2
	}
	for _, row := range block {
		upper, lower := make([]bool, (w+step-1)/step), make([]bool, (w+step-1)/step)
		for x := 0; x < len(row); x += step {
			upper[x/step], lower[x/step] = row[x]&inkUpper != 0, row[x]&inkLower != 0
		}
		m = append(m, upper)
		if half {
			m = append(m, lower)
		}
	}
	b.drawnCode(m)
}

// cells collects the grounds of a table's cells: a table of dark and light cells may be a QR code.
type cells struct {
	rows  modules
	row   []bool
	tried int
	any   bool
}

const maxCells = 200 // in a row or column

func (c *cells) start(name string, a *attrs) {
	switch name {
	case "table":
		c.rows, c.row, c.any = nil, nil, false
	case "tr":
		c.flush()
	default:
		if len(c.row) >= maxCells || a.bgcolor == "" && len(c.row) == 0 && len(c.rows) == 0 && !strings.Contains(a.style, "background") {
			c.row = append(c.row, false)
			return
		}
		dark := false
		if a.bgcolor != "" || strings.Contains(a.style, "background") {
			var l look
			if a.bgcolor != "" {
				l.background(a.bgcolor)
			} else {
				l.style(clip(a.style, 300))
			}
			dark = l.bgKnown && 299*int(l.bg[0])+587*int(l.bg[1])+114*int(l.bg[2]) < 128_000
			c.any = c.any || dark
		}
		n, _ := strconv.Atoi(a.colspan)
		for range min(max(n, 1), maxCells) {
			c.row = append(c.row, dark)
		}
	}
}

func (c *cells) flush() {
	if len(c.row) > 0 && len(c.rows) < maxCells {
		if len(c.row) >= 17 || len(c.rows) > 0 {
			c.rows = append(c.rows, c.row)
		}
	}
	c.row = nil
}

func (c *cells) end(name string, b *body) {
	c.flush()
	if name == "table" {
		c.finish(b)
	}
}

// finish reads the table that was collected, where it has the size of a code.
func (c *cells) finish(b *body) {
	c.flush()
	if c.any && len(c.rows) >= 21 && len(c.rows[len(c.rows)/2]) >= 21 && c.tried < 4 {
		c.tried++
		b.drawnCode(c.rows)
	}
	c.rows, c.any = nil, false
}
