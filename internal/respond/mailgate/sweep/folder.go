package sweep

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"github.com/breakwater-project/breakwater/internal/platform/config"
)

// maxHead is the most bytes of a message's header section that are read to know it by.
const maxHead = 128 << 10

// letter is a message as the server describes it.
type letter struct {
	uid   imap.UID
	flags []string
	date  time.Time // when the server got it (INTERNALDATE)
	size  int64
	part  []byte // what was asked for: its header section, or all of it
}

// folders lists the folders to sweep.
func (s *session) folders() ([]string, error) {
	b := s.acc.box
	opt := &imap.ListOptions{ReturnSpecialUse: s.c.Caps().Has(imap.CapSpecialUse)}
	end := s.within(maxAnswer, answerWithin)
	list, err := s.c.List("", "*", opt).Collect()
	end()
	if err != nil {
		return nil, fmt.Errorf("listing the folders: %w", err)
	}
	if len(list) > maxFolders {
		return nil, fmt.Errorf("the mailbox has more than %d folders; name those to sweep under folders", maxFolders)
	}
	var out []string
	for _, f := range list {
		if len(b.Folders) > 0 {
			if slices.ContainsFunc(b.Folders, func(n string) bool { return sameFolder(n, f.Mailbox) }) {
				out = append(out, f.Mailbox)
			}
			continue
		}
		if sameFolder(f.Mailbox, b.Quarantine) || slices.ContainsFunc(f.Attrs, unswept) {
			continue
		}
		out = append(out, f.Mailbox)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// unswept tells folders that hold no delivered mail, or the same mail as others (RFC 6154).
func unswept(a imap.MailboxAttr) bool {
	switch a {
	case imap.MailboxAttrNoSelect, imap.MailboxAttrNonExistent, imap.MailboxAttrAll, imap.MailboxAttrFlagged, imap.MailboxAttrImportant, imap.MailboxAttrDrafts, imap.MailboxAttrSent:
		return true
	}
	return false
}

func sameFolder(a, b string) bool {
	return a == b || strings.EqualFold(a, "INBOX") && strings.EqualFold(b, "INBOX")
}

// choose selects a folder; readOnly keeps the server from changing anything in it.
func (s *session) choose(folder string, readOnly bool) (*imap.SelectData, error) {
	defer s.within(maxAnswer, answerWithin)()
	d, err := s.c.Select(folder, &imap.SelectOptions{ReadOnly: readOnly}).Wait()
	if err != nil {
		s.at = ""
		return nil, fmt.Errorf("opening the folder %q: %w", clip(folder), err)
	}
	s.at, s.valid = folder, d.UIDValidity
	return d, nil
}

// exists says whether there is a folder that holds messages. Its name is also a pattern, so the answer is compared.
func (s *session) exists(folder string) (bool, error) {
	defer s.within(maxAnswer, answerWithin)()
	list, err := s.c.List("", folder, nil).Collect()
	if err != nil {
		return false, fmt.Errorf("looking for the folder %q: %w", clip(folder), err)
	}
	return slices.ContainsFunc(list, func(d *imap.ListData) bool {
		return sameFolder(d.Mailbox, folder) && !slices.Contains(d.Attrs, imap.MailboxAttrNoSelect) && !slices.Contains(d.Attrs, imap.MailboxAttrNonExistent)
	}), nil
}

// ensure makes a folder where it is missing.
func (s *session) ensure(folder string) error {
	there, err := s.exists(folder)
	if err != nil || there {
		return err
	}
	defer s.within(maxAnswer, answerWithin)()
	err = s.c.Create(folder, nil).Wait()
	var no *imap.Error
	if errors.As(err, &no) && no.Code == imap.ResponseCodeAlreadyExists {
		err = nil // somebody was faster
	}
	if err != nil {
		return fmt.Errorf("making the folder %q: %w", clip(folder), err)
	}
	return nil
}

// status returns UIDVALIDITY and UIDNEXT of a folder that is not selected.
func (s *session) status(folder string) (valid uint32, next uint32, err error) {
	defer s.within(maxAnswer, answerWithin)()
	d, err := s.c.Status(folder, &imap.StatusOptions{UIDValidity: true, UIDNext: true}).Wait()
	if err != nil {
		return 0, 0, fmt.Errorf("asking for the state of the folder %q: %w", clip(folder), err)
	}
	return d.UIDValidity, uint32(d.UIDNext), nil
}

// search returns the UIDs that fit, in their order.
func (s *session) search(c *imap.SearchCriteria) ([]imap.UID, error) {
	defer s.within(maxAnswer, bodiesWithin)()
	d, err := s.c.UIDSearch(c, nil).Wait()
	if err != nil {
		return nil, fmt.Errorf("searching %q: %w", clip(s.at), err)
	}
	set, ok := d.All.(imap.UIDSet)
	if !ok {
		return nil, nil
	}
	uids, err := expand(set)
	if err != nil {
		return nil, fmt.Errorf("searching %q: %w", clip(s.at), err)
	}
	slices.Sort(uids)
	return slices.Compact(uids), nil
}

// expand lists the numbers of a set that a server sent, unless they are too many: 1:4294967295 is ten bytes.
func expand(set imap.UIDSet) ([]imap.UID, error) {
	n := int64(0)
	for _, r := range set {
		if r.Start == 0 || r.Stop < r.Start {
			return nil, fmt.Errorf("the server names the messages %s", clip(set.String()))
		}
		if n += int64(r.Stop-r.Start) + 1; n > maxUIDs {
			return nil, fmt.Errorf("the server names more than %d messages", maxUIDs)
		}
	}
	var out []imap.UID
	for _, r := range set {
		for u := r.Start; ; u++ {
			out = append(out, u)
			if u == r.Stop {
				break
			}
		}
	}
	return out, nil
}

// What of a message is read.
type detail int

const (
	facts detail = iota // flags, date, size
	heads               // and the header section
	whole               // and all of it, up to the most that is asked for
)

// fetch reads messages, in the order in which the server sends them, without marking them as read (BODY.PEEK). most bounds
// the bytes of one message and total those of all, where they are read whole.
func (s *session) fetch(uids []imap.UID, what detail, most, total int64, each func(*letter) error) error {
	if len(uids) == 0 {
		return nil
	}
	opt := &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true}
	budget, limit := int64(len(uids))*4<<10+1<<20, answerWithin
	switch what {
	case heads:
		opt.BodySection = []*imap.FetchItemBodySection{{Specifier: imap.PartSpecifierHeader, Peek: true, Partial: &imap.SectionPartial{Size: maxHead}}}
		budget, limit = budget+int64(len(uids))*(maxHead+1<<10), bodiesWithin
	case whole:
		opt.BodySection = []*imap.FetchItemBodySection{{Peek: true, Partial: &imap.SectionPartial{Size: most}}}
		budget, limit = budget+total, bodiesWithin
	}
	defer s.within(budget+budget/4, limit)()
	cmd := s.c.Fetch(imap.UIDSetNum(uids...), opt)
	want := map[imap.UID]bool{}
	for _, u := range uids {
		want[u] = true
	}
	var failed error
	for {
		m := cmd.Next()
		if m == nil {
			break
		}
		b, err := m.Collect()
		if err != nil {
			failed = err
			break
		}
		if failed != nil || !want[b.UID] {
			continue // a change of flags that the server tells on its own
		}
		l := &letter{uid: b.UID, date: b.InternalDate, size: b.RFC822Size}
		for _, f := range b.Flags {
			if !strings.EqualFold(string(f), `\Recent`) {
				l.flags = append(l.flags, string(f))
			}
		}
		slices.Sort(l.flags)
		if len(b.BodySection) > 0 {
			l.part = b.BodySection[0].Bytes
		} else if what != facts {
			continue
		}
		delete(want, b.UID)
		failed = each(l)
	}
	if err := cmd.Close(); err != nil && failed == nil {
		failed = err
	}
	if failed != nil {
		return fmt.Errorf("reading messages of %q: %w", clip(s.at), failed)
	}
	return nil
}

// headOf returns the hash that a message is known by wherever it lies: of its header section as far as it is read.
func headOf(header []byte) string {
	if len(header) > maxHead {
		header = header[:maxHead]
	}
	sum := sha256.Sum256(header)
	return hex.EncodeToString(sum[:])
}

// flag changes flags without asking for the outcome.
func (s *session) flag(uids []imap.UID, op imap.StoreFlagsOp, flags ...imap.Flag) error {
	defer s.within(maxAnswer, answerWithin)()
	if err := s.c.Store(imap.UIDSetNum(uids...), &imap.StoreFlags{Op: op, Silent: true, Flags: flags}, nil).Close(); err != nil {
		return fmt.Errorf("changing flags in %q: %w", clip(s.at), err)
	}
	return nil
}

// batches divides messages so that each batch is small enough to be read at once.
func batches(list []*letter, bytes int64, count int) [][]*letter {
	var out [][]*letter
	var sum int64
	for _, l := range list {
		if n := len(out); n == 0 || len(out[n-1]) >= count || sum+l.size > bytes {
			out, sum = append(out, nil), 0
		}
		out[len(out)-1] = append(out[len(out)-1], l)
		sum += l.size
	}
	return out
}

func uidsOf(list []*letter) []imap.UID {
	out := make([]imap.UID, len(list))
	for i, l := range list {
		out[i] = l.uid
	}
	return out
}

// accounts lists the users' mailboxes of the configured ones, in order.
func accounts(boxes []config.Mailbox) []account {
	var out []account
	for i := range boxes {
		for _, u := range boxes[i].Users {
			out = append(out, account{&boxes[i], u})
		}
	}
	slices.SortStableFunc(out, func(a, b account) int { return cmp.Compare(a.name(), b.name()) })
	return out
}
