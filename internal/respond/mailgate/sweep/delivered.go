package sweep

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxDelivered is how large the list of delivered mail becomes before its older half is dropped.
const maxDelivered = 256 << 20

// Delivered is what is kept of a message that was seen on its way to mailboxes that are not reached by IMAP: enough to
// find it again, and no text.
type Delivered struct {
	Time      time.Time `json:"time"`
	Mailboxes []string  `json:"mailboxes"` // addresses of recipients
	MessageID string    `json:"message_id"`
	From      string    `json:"from"`
	Subject   string    `json:"subject"`
	Verdict   string    `json:"verdict"`
	Score     float64   `json:"score"`
	URLs      []string  `json:"urls,omitempty"`
	Hosts     []string  `json:"hosts,omitempty"`
	Hashes    []string  `json:"hashes,omitempty"` // SHA-256 of attachments
	BodyHash  string    `json:"body_hash,omitempty"`
	Key       string    `json:"key,omitempty"` // of the copy that told of it, so that one that comes again is known
}

// DeliveredOf makes the entry of a judged message.
func DeliveredOf(e *ocsf.Event, v *ocsf.MailVerdict, mailboxes []string) Delivered {
	d := Delivered{Time: e.Time.UTC(), Mailboxes: mailboxes, MessageID: clip(e.Mail.MessageID), From: clip(e.Mail.From), Subject: clip(e.Mail.Subject), Verdict: v.Verdict,
		Score: v.Score, BodyHash: e.Mail.BodyHash, Hosts: hostsOf(e)}
	for _, l := range e.Mail.Links {
		if len(d.URLs) < 50 && len(l.URL) < 2000 {
			d.URLs = append(d.URLs, l.URL)
		}
	}
	for _, a := range e.Mail.Attachments {
		if len(d.Hashes) < 50 && a.SHA256 != "" {
			d.Hashes = append(d.Hashes, a.SHA256)
		}
	}
	return d
}

// Ledger keeps what was delivered to one tenant, for lists. Of what grows beyond 256 MiB the older half goes.
type Ledger struct {
	id   tenant.ID
	path string
	mu   sync.Mutex
	f    *os.File
	size int64
	keys map[string]bool // of the newest entries
	ring []string        // the same, in their order
}

// maxKeys is how many copies are known again: a sender that got no answer comes again within days.
const maxKeys = 50_000

// Has reports whether a copy of that key was noted, of the newest 50,000.
func (l *Ledger) Has(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[key]
}

func (l *Ledger) remember(key string) {
	if key == "" || l.keys[key] {
		return
	}
	if len(l.ring) >= maxKeys {
		for _, k := range l.ring[:maxKeys/10] {
			delete(l.keys, k)
		}
		l.ring = append([]string(nil), l.ring[maxKeys/10:]...)
	}
	l.keys[key] = true
	l.ring = append(l.ring, key)
}

// OpenLedger opens a tenant's ledger below a folder.
func OpenLedger(dir string, id tenant.ID) (*Ledger, error) {
	if id == "" {
		return nil, errors.New("opening the list of delivered mail: no tenant is named")
	}
	path := filepath.Join(dir, folderOf(id), "delivered", "list.jsonl")
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	l := &Ledger{id: id, path: path, keys: map[string]bool{}}
	for _, p := range []string{path + ".old", path} {
		if err := eachDelivered(p, func(d *Delivered) { l.remember(d.Key) }); err != nil {
			return nil, err
		}
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Ledger) open() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err == nil {
		l.size, err = f.Seek(0, io.SeekEnd)
	}
	if err == nil && l.size > 0 { // half a line of a process that was stopped stays, and ends here
		last := make([]byte, 1)
		if _, err = f.ReadAt(last, l.size-1); err == nil && last[0] != '\n' {
			_, err = f.Write([]byte{'\n'})
		}
	}
	if err != nil {
		return fmt.Errorf("opening the list of delivered mail: %w", err)
	}
	l.f = f
	return nil
}

// Close closes the ledger.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}

// Add notes a delivered message; it is on disk when Add returns.
func (l *Ledger) Add(d Delivered) error {
	raw, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("noting delivered mail: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > maxDelivered/2 {
		if err := l.f.Close(); err != nil {
			return fmt.Errorf("noting delivered mail: %w", err)
		}
		if err := os.Rename(l.path, l.path+".old"); err != nil {
			return fmt.Errorf("noting delivered mail: %w", err)
		}
		if err := l.open(); err != nil {
			return err
		}
	}
	n, err := l.f.Write(append(raw, '\n'))
	l.size += int64(n)
	if err == nil {
		err = l.f.Sync()
	}
	if err != nil {
		return fmt.Errorf("noting delivered mail: %w", err)
	}
	l.remember(d.Key)
	return nil
}

// Listed is one copy of a message in one mailbox.
type Listed struct {
	Mailbox   string    `json:"mailbox"`
	MessageID string    `json:"message_id"`
	Time      time.Time `json:"time"`
	From      string    `json:"from"`
	Subject   string    `json:"subject"`
	Verdict   string    `json:"verdict"`
	Why       string    `json:"why"`
}

// Find lists the delivered copies that criteria want, oldest first, each once, at most limit (0: 10,000).
func (l *Ledger) Find(c Criteria, limit int) ([]Listed, error) {
	verdict := c.Verdict
	c.Verdict = "" // it was given when the message came
	if verdict != "" && verdict != "phish" && verdict != "suspicious" {
		return nil, fmt.Errorf("%q is no verdict: use phish or suspicious", clip(verdict))
	}
	empty := len(c.MessageIDs)+len(c.Indicators)+len(c.From)+len(c.Subjects) == 0
	if empty && verdict != "" {
		c.Subjects = []string{"any"} // so that it is not taken for a search for everything
	}
	m, err := newMatcher(c, l.id, nil)
	if err != nil {
		return nil, fmt.Errorf("listing delivered mail: %w", err)
	}
	if limit <= 0 {
		limit = Limits{}.withDefaults().Messages
	}
	var out []Listed
	seen := map[[2]string]bool{}
	for _, path := range []string{l.path + ".old", l.path} {
		err := eachDelivered(path, func(d *Delivered) {
			why, ok := m.delivered(d, empty, verdict)
			if !ok || d.MessageID == "" {
				return
			}
			for _, box := range d.Mailboxes {
				k := [2]string{box, d.MessageID}
				if !seen[k] && len(out) < limit {
					seen[k] = true
					out = append(out, Listed{box, d.MessageID, d.Time, d.From, d.Subject, d.Verdict, why})
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b Listed) int { return a.Time.Compare(b.Time) })
	return out, nil
}

// delivered matches an entry.
func (m *matcher) delivered(d *Delivered, any bool, verdict string) (why string, ok bool) {
	if !m.timely(d.Time) || verdict == "phish" && d.Verdict != "phish" || verdict == "suspicious" && d.Verdict != "phish" && d.Verdict != "suspicious" {
		return "", false
	}
	if verdict != "" {
		why = fmt.Sprintf("%s, %.2f", d.Verdict, d.Score)
	}
	if any {
		return why, true
	}
	h := &heading{id: d.MessageID, from: strings.ToLower(d.From), subject: oneSpace(d.Subject)}
	w, no := m.head(h)
	if no {
		return "", false
	}
	if m.deep() && len(m.c.Indicators) > 0 {
		e := &ocsf.Event{Mail: &ocsf.Mail{BodyHash: d.BodyHash}}
		for _, u := range d.URLs {
			e.Mail.Links = append(e.Mail.Links, ocsf.Link{URL: u})
		}
		for _, x := range d.Hosts {
			e.Mail.Links = append(e.Mail.Links, ocsf.Link{Host: x})
		}
		for _, x := range d.Hashes {
			e.Mail.Attachments = append(e.Mail.Attachments, ocsf.Attachment{SHA256: x})
		}
		i := m.headIndicator(h)
		if i == "" {
			i = m.event(e)
		}
		if i == "" {
			return "", false
		}
		w = add(w, i)
	}
	return add(w, why), true
}

func eachDelivered(path string, each func(*Delivered)) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the list of delivered mail: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(io.LimitReader(f, 2*maxDelivered))
	for {
		line, err := readWhole(r, maxLine)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the list of delivered mail: %w", err)
		}
		var d Delivered
		if json.Unmarshal(line, &d) == nil { // a line that was cut is one message that is not listed
			each(&d)
		}
	}
}
