package sweep

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Notes remember over restarts that something was done: the newest 10,000 notes at least. A key may be any text; its hash
// is what is kept. It is safe for concurrent use.
type Notes struct{ s *steps }

// OpenNotes opens the notes in a file, which is made where it is missing.
func OpenNotes(path string, now time.Time) (*Notes, error) {
	s, err := openSteps(path, now)
	if err != nil {
		return nil, err
	}
	return &Notes{s}, nil
}

// Close closes the file.
func (n *Notes) Close() error { return n.s.close() }

// Has reports whether something was noted of a key.
func (n *Notes) Has(key, what string) bool { return n.s.has(noteKey(key), what) > 0 }

// Note writes down that something was done; it is on disk when Note returns.
func (n *Notes) Note(key, what string, now time.Time) error {
	return n.s.note(step{Key: noteKey(key), Step: what, Time: now})
}

func noteKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}
