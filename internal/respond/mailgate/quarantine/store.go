// Package quarantine keeps mail that was held: the message sealed with age under its tenant, and beside it what is
// known of it. What is done with it (released, deleted, called a false alarm) goes through a Box, which is one tenant's
// and knows no other; every act is written to an audit file before it is done.
//
// A message is on disk, synced, before Keep returns, so that a gateway may tell its mail server that it has it. An act
// that was cut short stands as begun and may be tried again.
package quarantine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of the store.
const (
	MaxMessage = 64 << 20 // bytes of one message
	MaxItems   = 100_000  // of one tenant; beyond, Keep says ErrFull
	MaxBytes   = 8 << 30  // of one tenant's sealed messages
	maxRecord  = 1 << 20  // bytes of what is known of one message
)

// Errors of the store.
var (
	ErrFull     = errors.New("the tenant's quarantine is full")
	ErrNotFound = errors.New("no held message has that name")
	ErrState    = errors.New("the message is not in a state that allows it")
	ErrMove     = errors.New("it was not done where the message waits, and may be tried again")
)

// State is what became of a held message.
type State string

// The states. StateReleasing and StateDeleting are acts that began and whose end is not known.
const (
	StateHeld      State = "held"
	StateReleasing State = "releasing"
	StateReleased  State = "released"
	StateDeleting  State = "deleting"
	StateDeleted   State = "deleted"
)

// States lists the states.
var States = []State{StateHeld, StateReleasing, StateReleased, StateDeleting, StateDeleted}

// Place is where the message waits.
type Place string

// The places.
const (
	PlaceMTA     Place = "mta"     // in the mail server's hold queue; here lies a copy
	PlaceStore   Place = "store"   // here alone; release sends it again
	PlaceMailbox Place = "mailbox" // in a mailbox's quarantine folder, after a sweep
	PlaceReport  Place = "report"  // as a user reported it; nothing to release
)

// Item is what is known of a held message.
type Item struct {
	Name         string            `json:"name"`
	Tenant       tenant.ID         `json:"tenant"`
	Time         time.Time         `json:"time"` // when it was held
	Expires      time.Time         `json:"expires"`
	Place        Place             `json:"place"`
	QueueID      string            `json:"queue_id,omitempty"`
	Mailbox      string            `json:"mailbox,omitempty"` // that it was swept from, or that reported it
	EnvelopeFrom string            `json:"envelope_from,omitempty"`
	Recipients   []string          `json:"recipients,omitempty"`
	MessageID    string            `json:"message_id,omitempty"`
	From         string            `json:"from,omitempty"`
	FromName     string            `json:"from_name,omitempty"`
	Subject      string            `json:"subject,omitempty"`
	BodyHash     string            `json:"body_hash,omitempty"`
	Hosts        []string          `json:"hosts,omitempty"` // that its links lead to
	SHA256       string            `json:"sha256"`
	Size         int64             `json:"size"`
	Verdict      *ocsf.MailVerdict `json:"verdict,omitempty"`
	State        State             `json:"state"`
	Feedback     string            `json:"feedback,omitempty"` // false-alarm or missed
	By           string            `json:"by,omitempty"`       // who did the last act
	Done         time.Time         `json:"done,omitzero"`      // when
	Problem      string            `json:"problem,omitempty"`  // why the last act failed
	Resumed      bool              `json:"-"`                  // for movers: the act began before and was cut short, so that it may have been done
}

// Store is the quarantine of all tenants; messages are read through a tenant's Box alone.
type Store struct {
	dir    string
	key    *age.X25519Identity
	retain time.Duration
	mu     sync.Mutex
	boxes  map[tenant.ID]*Box
	audit  *audit
	Set    []string // files that could not be read and were set aside when the store was opened
}

// Box is the quarantine of one tenant.
type Box struct {
	store  *Store
	tenant tenant.ID
	dir    string
	items  map[string]*Item
	texts  map[string]int  // how many messages share a text, by hash
	bytes  int64           // of messages whose text is kept
	busy   map[string]bool // names that an act is under way for
}

// Open opens the store in a folder, which is made where it is missing. Messages expire retain after they were held.
func Open(dir string, retain time.Duration) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of held mail: %w", err)
	}
	key, err := identity(filepath.Join(dir, "seal.key"))
	if err != nil {
		return nil, err
	}
	a, err := openAudit(filepath.Join(dir, "audit.jsonl"))
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, key: key, retain: retain, boxes: map[tenant.ID]*Box{}, audit: a}
	list, err := os.ReadDir(filepath.Join(dir, "tenants"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("reading the folder of held mail: %w", err), a.close())
	}
	for _, e := range list {
		id, ok := tenantOf(e.Name())
		if !e.IsDir() || !ok {
			continue
		}
		if _, err := s.open(id); err != nil {
			return nil, errors.Join(err, a.close())
		}
	}
	return s, nil
}

// Close closes the store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.audit.close()
}

// folderOf writes a tenant's id as a folder's name: letters, digits, - and _ as they are, all else as =XX.
func folderOf(id tenant.ID) string {
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

func tenantOf(folder string) (tenant.ID, bool) {
	var b strings.Builder
	for i := 0; i < len(folder); i++ {
		if folder[i] != '=' {
			b.WriteByte(folder[i])
			continue
		}
		if i+2 >= len(folder) {
			return "", false
		}
		raw, err := hex.DecodeString(folder[i+1 : i+3])
		if err != nil {
			return "", false
		}
		b.Write(raw)
		i += 2
	}
	id := tenant.ID(b.String())
	return id, id != "" && folderOf(id) == folder
}

// Box returns the quarantine of a tenant.
func (s *Store) Box(id tenant.ID) (*Box, error) {
	if id == "" {
		return nil, errors.New("opening a quarantine: no tenant is named")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open(id)
}

// Tenants lists whose quarantines exist.
func (s *Store) Tenants() []tenant.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]tenant.ID, 0, len(s.boxes))
	for id := range s.boxes {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

func (s *Store) open(id tenant.ID) (*Box, error) {
	if b := s.boxes[id]; b != nil {
		return b, nil
	}
	b := &Box{store: s, tenant: id, dir: filepath.Join(s.dir, "tenants", folderOf(id)), items: map[string]*Item{}, texts: map[string]int{}, busy: map[string]bool{}}
	for _, sub := range []string{"items", "bodies"} {
		if err := os.MkdirAll(filepath.Join(b.dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("making the quarantine of %s: %w", id, err)
		}
	}
	list, err := os.ReadDir(filepath.Join(b.dir, "items"))
	if err != nil {
		return nil, fmt.Errorf("reading the quarantine of %s: %w", id, err)
	}
	for _, e := range list {
		path := filepath.Join(b.dir, "items", e.Name())
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok {
			if strings.HasSuffix(e.Name(), partial) {
				_ = os.Remove(path) // a write that was cut off; what it was to replace still stands
			}
			continue
		}
		it, err := readItem(path)
		if err == nil && (it.Name != name || it.Tenant != id) {
			err = fmt.Errorf("it says it is %s of %s", it.Name, it.Tenant)
		}
		if err != nil {
			s.Set = append(s.Set, fmt.Sprintf("%s: %v", path, err))
			if err := os.Rename(path, path+".damaged"); err != nil {
				return nil, fmt.Errorf("setting a damaged record of held mail aside: %w", err)
			}
			continue
		}
		b.items[name] = it
		b.count(it)
	}
	s.boxes[id] = b
	return b, nil
}

// count takes a message whose text is kept into the sums.
func (b *Box) count(it *Item) {
	if it.State != StateDeleted {
		b.texts[it.SHA256]++
		b.bytes += it.Size
	}
}

func readItem(path string) (*Item, error) {
	raw, err := readFile(path, maxRecord)
	if err != nil {
		return nil, err
	}
	it := &Item{}
	if err := json.Unmarshal(raw, it); err != nil {
		return nil, err
	}
	return it, nil
}

// Keep takes a message in and returns its name. The same message kept again under one queue id is one item. Fields of
// the item that the store sets (name, tenant, hash, size, state, expiry) need not be filled.
func (b *Box) Keep(it Item, raw []byte) (string, error) {
	if len(raw) > MaxMessage {
		return "", fmt.Errorf("keeping a message: %d bytes are more than %d", len(raw), MaxMessage)
	}
	sum := sha256.Sum256(raw)
	it.SHA256 = hex.EncodeToString(sum[:])
	id := sha256.Sum256([]byte(strings.Join([]string{it.SHA256, it.QueueID, string(it.Place), it.Mailbox, strings.Join(it.Recipients, ",")}, "\x00")))
	it.Name = hex.EncodeToString(id[:8])
	it.Tenant, it.Size, it.State = b.tenant, int64(len(raw)), StateHeld
	it.Time = it.Time.UTC()
	it.Expires = it.Time.Add(b.store.retain)
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	if old := b.items[it.Name]; old != nil {
		return old.Name, nil
	}
	if len(b.items) >= MaxItems || b.bytes+it.Size > MaxBytes {
		return "", fmt.Errorf("keeping a message for %s: %w; release or delete some, or shorten mail.hold.retention", b.tenant, ErrFull)
	}
	path := b.bodyPath(it.SHA256)
	if _, err := os.Stat(path); err != nil {
		sealed, err := seal(b.store.key, raw)
		if err != nil {
			return "", fmt.Errorf("sealing a message for %s: %w", b.tenant, err)
		}
		if err := writeFile(path, sealed); err != nil {
			return "", fmt.Errorf("keeping a message for %s: %w", b.tenant, err)
		}
	}
	if err := b.write(&it); err != nil {
		return "", err
	}
	b.items[it.Name] = &it
	b.count(&it)
	return it.Name, b.store.audit.append(Entry{Time: it.Time, Tenant: b.tenant, Item: it.Name, Act: "held", By: "breakwater", Note: string(it.Place)})
}

func (b *Box) bodyPath(sum string) string { return filepath.Join(b.dir, "bodies", sum[:2], sum+".age") }

func (b *Box) write(it *Item) error {
	raw, err := json.Marshal(it)
	if err != nil {
		return fmt.Errorf("writing what is known of %s: %w", it.Name, err)
	}
	if err := writeFile(b.itemPath(it.Name), raw); err != nil {
		return fmt.Errorf("writing what is known of %s: %w", it.Name, err)
	}
	return nil
}

// Get returns what is known of a message; a name's beginning is enough where it is the only one.
func (b *Box) Get(name string) (Item, error) {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	it, err := b.get(name)
	if err != nil {
		return Item{}, err
	}
	return *it, nil
}

func (b *Box) get(name string) (*Item, error) {
	if it := b.items[name]; it != nil {
		return it, nil
	}
	var found *Item
	if len(name) >= 4 {
		for n, it := range b.items {
			if strings.HasPrefix(n, name) {
				if found != nil {
					return nil, fmt.Errorf("%q: %w", name, ErrSeveral)
				}
				found = it
			}
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%q: %w", name, ErrNotFound)
	}
	return found, nil
}

// Raw returns the message as it was held.
func (b *Box) Raw(name string) ([]byte, error) {
	b.store.mu.Lock()
	it, err := b.get(name)
	if err != nil {
		b.store.mu.Unlock()
		return nil, err
	}
	sum, path := it.SHA256, b.bodyPath(it.SHA256)
	b.store.mu.Unlock()
	sealed, err := readFile(path, 2*MaxMessage)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading %s: %w: its text is gone", name, ErrState)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	raw, err := unseal(b.store.key, sealed)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if got := sha256.Sum256(raw); hex.EncodeToString(got[:]) != sum {
		return nil, fmt.Errorf("reading %s: what is kept is not what was held; its hash differs", name)
	}
	return raw, nil
}

func (b *Box) itemPath(name string) string { return filepath.Join(b.dir, "items", name+".json") }
