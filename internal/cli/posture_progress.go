package cli

import (
	"fmt"
	"io"
	"time"
)

// readingProgress says on a terminal what long work is at, in one line that is drawn over, and says nothing elsewhere.
type readingProgress struct {
	w    io.Writer
	on   bool
	last time.Time
}

func newReadingProgress(w io.Writer) *readingProgress {
	return &readingProgress{w: w, on: terminal(w), last: time.Now()} // what is done at once draws nothing
}

// read says how much of a folder was read, and of which file.
func (p *readingProgress) read(bytes int64, file string) {
	p.say(fmt.Sprintf("%.1f MB read, %s", float64(bytes)/1e6, file))
}

// say draws the line anew, ten times a second at most.
func (p *readingProgress) say(text string) {
	if !p.on || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	text = clean(text)
	if r := []rune(text); len(r) > 76 {
		text = string(r[:30]) + "…" + string(r[len(r)-45:])
	}
	fmt.Fprint(p.w, "\r\x1b[K"+text)
}

// done takes the line away.
func (p *readingProgress) done() {
	if p.on {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
