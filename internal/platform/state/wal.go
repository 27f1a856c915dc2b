package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// frame is one page in the write-ahead log, whole by its checksum.
type frame struct {
	page   uint32
	offset int64 // of the page's content
}

const logHead, frameHead = 32, 24

// readLog returns the frames of the log up to the last whole commit, leaving out those that don't match their
// checksums, and how many of those stand before it. SQLite's checksums are a chain (section 4.2 of the file format)
// and it gives up at the first break; each link can yet be judged from what the one before it says of itself, so
// that a flipped bit costs its own page alone.
func readLog(f io.ReaderAt) (whole []frame, bad int, err error) {
	var head [logHead]byte
	if _, err := f.ReadAt(head[:], 0); errors.Is(err, io.EOF) {
		return nil, 0, nil // never begun
	} else if err != nil {
		return nil, 0, fmt.Errorf("reading the write-ahead log: %w", err)
	}
	return bestOrder(f, head)
}

// bestOrder reads the log in the byte order that its header names; where the header can't be believed, in the one
// that makes more sense.
func bestOrder(f io.ReaderAt, head [logHead]byte) (whole []frame, bad int, err error) {
	little, big := binary.ByteOrder(binary.LittleEndian), binary.ByteOrder(binary.BigEndian)
	for _, order := range []binary.ByteOrder{little, big} {
		s1, s2 := logSum(order, 0, 0, head[:24])
		if s1 == binary.BigEndian.Uint32(head[24:]) && s2 == binary.BigEndian.Uint32(head[28:]) {
			return readFrames(f, order, head, false)
		}
	}
	for _, order := range []binary.ByteOrder{little, big} {
		w, n, err := readFrames(f, order, head, true)
		if err != nil {
			return nil, 0, err
		}
		if len(w) > len(whole) {
			whole, bad = w, n
		}
	}
	return whole, bad, nil
}

func readFrames(f io.ReaderAt, order binary.ByteOrder, head [logHead]byte, headBad bool) (whole []frame, bad int, err error) {
	s1, s2 := binary.BigEndian.Uint32(head[24:]), binary.BigEndian.Uint32(head[28:])
	salt := string(head[16:24])
	var pending []frame // whole frames that wait for a commit
	pendingBad, believed, follows := 0, !headBad, true
	if headBad {
		pendingBad = 1
	}
	buf := make([]byte, frameHead+pageSize)
	for at := int64(logHead); ; at += int64(len(buf)) {
		if n, err := f.ReadAt(buf, at); n < len(buf) {
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, 0, fmt.Errorf("reading the write-ahead log: %w", err)
			}
			return whole, bad, nil
		}
		a1, a2 := logSum(order, s1, s2, buf[:8])
		a1, a2 = logSum(order, a1, a2, buf[frameHead:])
		s1, s2 = binary.BigEndian.Uint32(buf[16:]), binary.BigEndian.Uint32(buf[20:])
		page := binary.BigEndian.Uint32(buf)
		ok := a1 == s1 && a2 == s2 && page != 0
		if ok && !believed {
			salt, believed = string(buf[8:16]), true
		}
		current := string(buf[8:16]) == salt
		if !current {
			// What an earlier round of the log left behind has its own salt, and is a chain with its own
			// beginning: a frame that continues this round's chain has a flipped salt instead.
			if ok && !follows {
				return whole, bad, nil
			}
			pendingBad++
		} else if !ok {
			pendingBad++
		}
		follows = current
		if !ok {
			continue
		}
		pending = append(pending, frame{page, at + frameHead})
		if binary.BigEndian.Uint32(buf[4:]) != 0 { // a commit
			whole = append(whole, pending...)
			bad += pendingBad
			pending, pendingBad = nil, 0
		}
	}
}

// logSum continues the log's checksum over b, whose length is a multiple of 8.
func logSum(order binary.ByteOrder, s1, s2 uint32, b []byte) (uint32, uint32) {
	for ; len(b) >= 8; b = b[8:] {
		s1 += order.Uint32(b) + s2
		s2 += order.Uint32(b[4:]) + s1
	}
	return s1, s2
}

// checkLog reports a log that is broken before its last commit: SQLite would silently leave out everything after
// the break. A torn end is what a power cut leaves of a transaction that nobody was told of.
func (s *Store) checkLog() error {
	f, err := os.Open(s.path() + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	defer f.Close()
	_, bad, err := readLog(f)
	if err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%w: %d records of the write-ahead log don't match their checksums", errDamaged, bad)
	}
	return nil
}
