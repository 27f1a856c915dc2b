package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of the dead letters of one tenant.
const (
	maxDead      = 10_000
	maxDeadBytes = 4 << 30
)

// errDisk is a dead letter that could not be kept.
var errDisk = errors.New("the dead letter could not be kept")

// DeadLetters keeps copies that can't be read: below a folder, each tenant's apart, a message (.eml) and beside it why it
// is there (.json).
type DeadLetters struct {
	dir string
	now func() time.Time
	mu  sync.Mutex
	sum map[tenant.ID]*deadSum
}

type deadSum struct {
	count int
	bytes int64
}

// Dead is what is known of a dead letter.
type Dead struct {
	Tenant tenant.ID `json:"tenant"`
	Time   time.Time `json:"time"`
	Client string    `json:"client,omitempty"`
	From   string    `json:"from,omitempty"`
	To     []string  `json:"to,omitempty"`
	Reason string    `json:"reason"`
	Size   int       `json:"size"`
}

// NewDeadLetters returns the dead letters below a folder.
func NewDeadLetters(dir string, now func() time.Time) *DeadLetters {
	if now == nil {
		now = time.Now
	}
	return &DeadLetters{dir: dir, now: now, sum: map[tenant.ID]*deadSum{}}
}

// folderOf writes a tenant's id as a folder's name: letters, digits, - and _ as they are, all else in hex.
func folderOf(id tenant.ID) string {
	var b strings.Builder
	for i := range len(id) {
		if c := id[i]; c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// Keep writes a copy down and returns when it is on disk. The same copy is kept once.
func (d *DeadLetters) Keep(x Delivery, reason string) error {
	if x.Tenant == "" {
		return fmt.Errorf("%w: no tenant is named", errDisk)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := filepath.Join(d.dir, folderOf(x.Tenant))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", errDisk, err)
	}
	hash := sha256.Sum256(x.Whole)
	path := filepath.Join(dir, hex.EncodeToString(hash[:])+".eml")
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	sum, err := d.count(x.Tenant, dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errDisk, err)
	}
	if sum.count >= maxDead || sum.bytes+int64(len(x.Whole)) > maxDeadBytes { // somebody may have cleared up
		delete(d.sum, x.Tenant)
		if sum, err = d.count(x.Tenant, dir); err != nil {
			return fmt.Errorf("%w: %w", errDisk, err)
		}
	}
	if sum.count >= maxDead || sum.bytes+int64(len(x.Whole)) > maxDeadBytes {
		return fmt.Errorf("%w: %s has %d of them with %d bytes; look at them and remove them from %s", errDisk, x.Tenant, sum.count, sum.bytes, dir)
	}
	client := ""
	if x.Client.IsValid() {
		client = x.Client.String()
	}
	about, err := json.Marshal(Dead{x.Tenant, d.now().UTC(), client, clip(x.Envelope.From), x.Envelope.To, clip(reason), len(x.Whole)})
	if err == nil {
		err = writeFile(strings.TrimSuffix(path, ".eml")+".json", about)
	}
	if err == nil {
		err = writeFile(path, x.Whole)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errDisk, err)
	}
	sum.count++
	sum.bytes += int64(len(x.Whole))
	return nil
}

func (d *DeadLetters) count(id tenant.ID, dir string) (*deadSum, error) {
	if s := d.sum[id]; s != nil {
		return s, nil
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	s := &deadSum{}
	for _, e := range list {
		if !strings.HasSuffix(e.Name(), ".eml") {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, err
		}
		s.count++
		s.bytes += info.Size()
	}
	d.sum[id] = s
	return s, nil
}

// writeFile writes a file whole or not at all, and returns when it is on disk.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "*.partial")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(filepath.Dir(path))
}
