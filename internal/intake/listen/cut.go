package listen

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// TooLarge is the answer to a record that fits into no message of the bus, however long its sender waits.
type TooLarge struct {
	Sensor string
	Bytes  int
}

// Error says what is too large and what to do.
func (t *TooLarge) Error() string {
	return fmt.Sprintf("a record of sensor %s has %d bytes; at most %d are taken: split the file, or send its lines", t.Sensor, t.Bytes, MaxSingle)
}

// cutAll cuts frames that are larger than a batch at their line ends, counts the records where the sender did not,
// and leaves out frames that hold none. Where a record fits nowhere it returns that frame with a *TooLarge.
func cutAll(frames []bus.Frame) ([]bus.Frame, error) {
	if !slices.ContainsFunc(frames, needsCut) {
		return frames, nil
	}
	var out []bus.Frame
	for _, f := range frames {
		switch {
		case f.Records > 0:
		case f.Whole:
			f.Records = 1
		default:
			f.Records = countRecords(f.Data)
		}
		if f.Records == 0 || len(f.Data) == 0 {
			continue
		}
		var err error
		if out, err = cut(out, f); err != nil {
			return []bus.Frame{f}, err
		}
	}
	return out, nil
}

func needsCut(f bus.Frame) bool {
	return f.Records <= 0 || f.Records > bus.MaxRecords || len(f.Data) == 0 || len(f.Data) > bus.MaxBytes || len(f.Head)+len(f.Data) > MaxSingle
}

// cut appends the frame to out, in parts where it is larger than a batch.
func cut(out []bus.Frame, f bus.Frame) ([]bus.Frame, error) {
	if f.Whole || f.Records <= bus.MaxRecords && len(f.Data) <= bus.MaxBytes {
		if n := len(f.Head) + len(f.Data); n > MaxSingle {
			return out, &TooLarge{f.Sensor, n}
		}
		return append(out, f), nil
	}
	part, rest := f, f.Data
	part.Data, part.Records = nil, 0
	var lines int64
	for len(rest) > 0 {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		if n := len(f.Head) + len(line); n > MaxSingle {
			return out, &TooLarge{f.Sensor, n}
		}
		record := 0
		if !blank(line) {
			record = 1
		}
		if len(part.Data) > 0 && (part.Records+record > bus.MaxRecords || len(part.Data)+len(line) > bus.MaxBytes) {
			if part.Records > 0 {
				out = append(out, part)
			}
			part.First += lines
			part.Data, part.Records, lines = nil, 0, 0
		}
		if part.Data == nil {
			part.Data = rest[:0:len(rest)]
		}
		part.Data = part.Data[:len(part.Data)+len(line)]
		part.Records += record
		lines++
		rest = rest[len(line):]
	}
	if part.Records > 0 {
		out = append(out, part)
	}
	return out, nil
}

// countRecords counts the lines that hold something.
func countRecords(data []byte) int {
	n := 0
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line = data[:i+1]
		}
		if !blank(line) {
			n++
		}
		data = data[len(line):]
	}
	return n
}

// blank reports whether a line holds nothing but spaces.
func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}
