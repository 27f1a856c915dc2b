package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
)

// Limits on one message. What lies beyond a limit is not read, and the event says so.
const (
	MaxDepth       = 32       // nesting of parts
	MaxParts       = 512      // parts in all
	MaxHeaderBytes = 1 << 20  // bytes of one header section
	MaxHeaders     = 10_000   // header fields of one section
	MaxDecoded     = 64 << 20 // bytes of all decoded parts
	MaxText        = 64 << 10 // bytes of visible text kept
	MaxLinks       = 500      // links kept
	MaxRecipients  = 1_000    // recipients kept
	MaxURL         = 2 << 10  // bytes of one link kept
	MaxProblems    = 20       // entries of Mail.ParseProblems
	MaxInflated    = 16 << 20 // bytes that all compressed parts of archives and documents may become
	MaxMembers     = 256      // members listed of one archive
	MaxPictures    = 8        // pictures of one message searched for QR codes, smaller ones first
	MaxPixels      = 4 << 20  // pixels of one such picture, and of all together half as many again
)

// Stream returns the format as intake sees it.
func Stream() decode.Stream {
	return decode.Stream{Name: "mail", Recognise: recognise, Read: read}
}

func read(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	br := bufio.NewReaderSize(r, 64<<10)
	skipBlank(br)
	if start, _ := br.Peek(5); string(start) == "From " {
		return readMbox(ctx, br, sink)
	}
	raw, err := io.ReadAll(io.LimitReader(br, decode.MaxMail+1))
	if err != nil {
		if len(raw) == 0 {
			return fmt.Errorf("reading mail: %w", err)
		}
		err = fmt.Errorf("reading mail: %w", err)
	}
	if len(raw) > 0 {
		emit(raw, envelope{}, 1, sink)
	}
	return err
}

// skipBlank drops a byte order mark and empty lines before the first header; both occur in exported files.
func skipBlank(br *bufio.Reader) {
	if b, _ := br.Peek(3); string(b) == "\xef\xbb\xbf" {
		_, _ = br.Discard(3)
	}
	for range 64 {
		b, err := br.Peek(1)
		if err != nil || (b[0] != '\n' && b[0] != '\r') {
			return
		}
		_, _ = br.Discard(1)
	}
}

// readMbox splits an mbox at its "From " lines: those at the start and after an empty line (RFC 4155). A ">From "
// line loses one ">" (mboxrd; mboxo writes the same for "From ").
func readMbox(ctx context.Context, br *bufio.Reader, sink decode.Sink) error {
	var (
		msg       []byte
		env       envelope
		record    int64
		blank     = true // the line before was empty
		lineStart = true
		open      bool
	)
	flush := func() {
		if open {
			record++
			emit(msg, env, record, sink)
		}
		msg = make([]byte, 0, len(msg)+1024) // the event keeps strings of the old one
	}
	for {
		line, err := br.ReadSlice('\n')
		if len(line) > 0 {
			if lineStart && blank && isFromLine(line) {
				flush()
				if ctx.Err() != nil {
					return ctx.Err()
				}
				env, open = parseFromLine(line), true
			} else {
				if lineStart && line[0] == '>' && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
					line = line[1:]
				}
				if room := decode.MaxMail + 1 - len(msg); room > 0 {
					msg = append(msg, line[:min(room, len(line))]...)
				}
			}
			blank = lineStart && len(bytes.TrimRight(line, "\r\n")) == 0
			lineStart = line[len(line)-1] == '\n'
		}
		switch {
		case err == nil, errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			flush()
			return nil
		default:
			flush()
			return fmt.Errorf("reading mbox: %w", err)
		}
	}
}

// isFromLine reports whether the line separates messages: "From", an address, and a date with a year at its end
// or near it. Prose that begins with "From " has no such end.
func isFromLine(line []byte) bool {
	if !bytes.HasPrefix(line, []byte("From ")) || len(line) > 1000 {
		return false
	}
	f := bytes.Fields(line[5:])
	if len(f) < 2 {
		return false
	}
	var year, clock bool
	for _, w := range f[1:] {
		if len(w) == 4 && (w[0] == '1' || w[0] == '2') && isDigits(w) {
			year = true
		}
		if bytes.Count(w, []byte(":")) >= 1 && w[0] >= '0' && w[0] <= '9' {
			clock = true
		}
	}
	return year && clock
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// envelope is what the archive's own separator says of a message.
type envelope struct {
	sender string
	date   string
}

func parseFromLine(line []byte) envelope {
	addr, date, _ := bytes.Cut(bytes.TrimSpace(line[5:]), []byte(" "))
	e := envelope{date: string(date)}
	if bytes.IndexByte(addr, '@') > 0 {
		e.sender = normAddress(string(addr))
	}
	return e
}
