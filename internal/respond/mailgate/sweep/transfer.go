package sweep

import (
	"errors"
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2"
)

// batchSize is how many messages are moved by one command.
const batchSize = 100

// A message goes from one folder to another in steps, each of which may be the last that happens:
//
//	intend ──▶ MOVE ───────────────────────────────▶ end
//	       └─▶ COPY ─▶ STORE \Deleted ─▶ UID EXPUNGE ─┘
//
// The journal's intend is on disk before the server is asked. After a cut, settle looks where the messages are and does
// what is left: gone from the source and in the target is done; in both, the source's goes; in the source alone begins
// anew. A MOVE is whole for each message (RFC 6851 3.3), a COPY for all of one command (RFC 9051 6.4.7).

// transfer is how one mailbox's messages of a run are moved.
type transfer struct {
	s     *session
	j     *journal
	plain bool // without UIDPLUS, expunge where no other message would go
	again int  // how often messages were found where they were
}

// maxAgain bounds how often a server is asked once more that says it moved messages and did not.
const maxAgain = 3

// errNoExpunge is the answer of a server that can't remove single messages.
var errNoExpunge = errors.New("the server offers neither MOVE nor UIDPLUS, so that messages can only be removed together with whatever else is marked as deleted; allow it with --plain-expunge, which does it where nothing else is marked")

// able says whether the server can do it at all, before anything is touched.
func (t *transfer) able() error {
	caps := t.s.c.Caps()
	if caps.Has(imap.CapMove) || caps.Has(imap.CapUIDPlus) || t.plain {
		return nil
	}
	return errNoExpunge
}

// move takes messages of the selected folder to another. They become new moves of the journal.
func (t *transfer) move(list []Move, to string) error {
	if len(list) == 0 {
		return nil
	}
	valid, next, err := t.s.status(to)
	if err != nil {
		return err
	}
	for i := range list {
		list[i].To, list[i].ToValid, list[i].ToNext = to, valid, next
	}
	for chunk := range slices.Chunk(list, batchSize) {
		if err := t.plainly(); err != nil {
			return err
		}
		begun, err := t.j.intend(chunk)
		if err != nil {
			return err
		}
		if err := t.carry(begun); err != nil {
			return err
		}
	}
	return nil
}

// plainly says whether a plain EXPUNGE would take no more than what we mark.
func (t *transfer) plainly() error {
	caps := t.s.c.Caps()
	if caps.Has(imap.CapMove) || caps.Has(imap.CapUIDPlus) {
		return nil
	}
	if !t.plain {
		return errNoExpunge
	}
	marked, err := t.s.search(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagDeleted}})
	if err != nil {
		return err
	}
	if len(marked) > 0 {
		return fmt.Errorf("%d messages of %q are marked as deleted and would go with ours; expunge the folder in a mail program first", len(marked), clip(t.s.at))
	}
	return nil
}

// carry moves intended messages of the selected folder, all of one target.
func (t *transfer) carry(list []Move) error {
	uids := make([]imap.UID, len(list))
	for i := range list {
		uids[i] = imap.UID(list[i].UID)
	}
	set := imap.UIDSetNum(uids...)
	to := list[0].To
	if t.s.c.Caps().Has(imap.CapMove) {
		end := t.s.within(maxAnswer, bodiesWithin)
		d, err := t.s.c.Move(set, to).Wait()
		end()
		if err != nil {
			return t.refused(list, fmt.Errorf("moving to %q: %w", clip(to), err))
		}
		return t.arrived(list, d.UIDValidity, d.SourceUIDs, d.DestUIDs)
	}
	end := t.s.within(maxAnswer, bodiesWithin)
	d, err := t.s.c.Copy(set, to).Wait()
	end()
	if err != nil {
		return t.refused(list, fmt.Errorf("copying to %q: %w", clip(to), err))
	}
	if err := t.remove(list); err != nil {
		return err
	}
	return t.arrived(list, d.UIDValidity, d.SourceUIDs, d.DestUIDs)
}

// remove takes away messages of the selected folder that have been copied, and no others.
func (t *transfer) remove(list []Move) error {
	uids := make([]imap.UID, len(list))
	for i := range list {
		uids[i] = imap.UID(list[i].UID)
	}
	if err := t.s.flag(uids, imap.StoreFlagsAdd, imap.FlagDeleted); err != nil {
		return err
	}
	defer t.s.within(maxAnswer, bodiesWithin)()
	var err error
	if t.s.c.Caps().Has(imap.CapUIDPlus) {
		err = t.s.c.UIDExpunge(imap.UIDSetNum(uids...)).Close()
	} else {
		err = t.s.c.Expunge().Close()
	}
	if err != nil {
		return fmt.Errorf("removing copied messages from %q: %w", clip(t.s.at), err)
	}
	return nil
}

// refused notes a server's no; where the connection failed instead, the end stays open.
func (t *transfer) refused(list []Move, err error) error {
	var no *imap.Error
	if !errors.As(err, &no) || no.Type != imap.StatusResponseTypeNo {
		return err
	}
	// A MOVE that was refused may have moved some (RFC 6851 3.3).
	return errors.Join(err, t.settle(list, err.Error()))
}

// arrived notes the new UIDs (COPYUID, RFC 4315); what the server named none for is looked for.
func (t *transfer) arrived(list []Move, valid uint32, src, dst imap.NumSet) error {
	from, ok1 := src.(imap.UIDSet)
	to, ok2 := dst.(imap.UIDSet)
	if !ok1 || !ok2 || valid == 0 {
		return t.settle(list, "")
	}
	a, err1 := expand(from)
	b, err2 := expand(to)
	if err1 != nil || err2 != nil || len(a) != len(b) {
		return t.settle(list, "")
	}
	at := make(map[uint32]uint32, len(a))
	for i := range a {
		at[uint32(a[i])] = uint32(b[i])
	}
	var done, rest []Move
	for _, m := range list {
		if u := at[m.UID]; u != 0 {
			m.State, m.ToUID, m.ToValid = Moved, u, valid
			done = append(done, m)
		} else {
			rest = append(rest, m)
		}
	}
	if err := t.j.end(done); err != nil || len(rest) == 0 {
		return err
	}
	return t.settle(rest, "")
}

// settle finds out where intended messages are and finishes what was begun. All are of one folder and one target; the
// folder need not be selected. With a refusal, what is still in the folder stays there.
func (t *transfer) settle(list []Move, refusal string) error {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	folder, to := list[0].Folder, list[0].To
	copies, err := t.copies(list, to)
	if err != nil {
		return err
	}
	present, err := t.present(list, folder)
	if err != nil {
		return err
	}
	var ended, again, remove []Move
	for i := range list {
		if m := list[i]; !present[m.Seq] {
			m.State = Gone
			if c := copies[m.key()]; len(c) > 0 {
				m.State, m.ToUID = Moved, c[0]
				copies[m.key()] = c[1:]
			}
			ended = append(ended, m)
		}
	}
	for i := range list {
		m := list[i]
		if !present[m.Seq] {
			continue
		}
		switch c := copies[m.key()]; {
		case len(c) > 0: // it was copied and not removed
			m.ToUID = c[0]
			copies[m.key()] = c[1:]
			remove = append(remove, m)
		case refusal != "":
			m.State, m.Problem = Refused, clip(refusal)
			ended = append(ended, m)
		default:
			again = append(again, m)
		}
	}
	if err := t.j.end(ended); err != nil {
		return err
	}
	if err := t.finishCopies(remove); err != nil {
		return err
	}
	return t.restart(again)
}

// finishCopies removes the originals of messages whose copy was found.
func (t *transfer) finishCopies(list []Move) error {
	if len(list) == 0 {
		return nil
	}
	if !t.s.c.Caps().Has(imap.CapUIDPlus) {
		if !t.plain {
			return errNoExpunge
		}
		marked, err := t.s.search(&imap.SearchCriteria{Flag: []imap.Flag{imap.FlagDeleted}})
		if err != nil {
			return err
		}
		for _, u := range marked {
			if !slices.ContainsFunc(list, func(m Move) bool { return m.UID == uint32(u) }) {
				return fmt.Errorf("other messages of %q are marked as deleted and would go with ours; expunge the folder in a mail program first", clip(t.s.at))
			}
		}
	}
	if err := t.remove(list); err != nil {
		return err
	}
	for i := range list {
		list[i].State = Moved
	}
	return t.j.end(list)
}

// restart moves messages that lie where they were.
func (t *transfer) restart(list []Move) error {
	if len(list) == 0 {
		return nil
	}
	if t.again++; t.again > maxAgain {
		for i := range list {
			list[i].State, list[i].Problem = Refused, "the server says that it moved it, and it lies where it was"
		}
		return t.j.end(list)
	}
	// A mark of ours from before the cut must not go along with the copy.
	var marked []imap.UID
	for i := range list {
		if !slices.Contains(list[i].Flags, string(imap.FlagDeleted)) {
			marked = append(marked, imap.UID(list[i].UID))
		}
	}
	if !t.s.c.Caps().Has(imap.CapMove) && len(marked) > 0 {
		if err := t.s.flag(marked, imap.StoreFlagsDel, imap.FlagDeleted); err != nil {
			return err
		}
	}
	return t.move(list, list[0].To)
}

// copies finds messages in the target that may be ours: of equal header, size and date, not there before, and not
// those of moves that are done.
func (t *transfer) copies(list []Move, to string) (map[string][]uint32, error) {
	if err := t.s.ensure(to); err != nil {
		return nil, err
	}
	d, err := t.s.choose(to, true)
	if err != nil {
		return nil, err
	}
	next := uint32(1)
	if list[0].ToValid == d.UIDValidity {
		next = slices.MinFunc(list, func(a, b Move) int { return int(int64(a.ToNext) - int64(b.ToNext)) }).ToNext
	}
	claimed := t.j.claimed(list[0].Mailbox, to, d.UIDValidity)
	out, err := t.find(list, next, func(uid uint32) bool { return !claimed[uid] })
	for i := range list {
		list[i].ToValid = d.UIDValidity
	}
	return out, err
}

// find looks in the selected folder, from a UID on, for messages that have the header, size and date of moves.
func (t *transfer) find(list []Move, from uint32, free func(uint32) bool) (map[string][]uint32, error) {
	type shape struct {
		size int64
		date int64
	}
	shapes, keys := map[shape]bool{}, map[string]bool{}
	for i := range list {
		shapes[shape{list[i].Size, list[i].Date.Unix()}] = true
		keys[list[i].key()] = true
	}
	var set imap.UIDSet
	set.AddRange(imap.UID(from), 0)
	uids, err := t.s.search(&imap.SearchCriteria{UID: []imap.UIDSet{set}})
	if err != nil {
		return nil, err
	}
	// "n:*" names the last message even where its number is less (RFC 9051 9, seq-range).
	uids = slices.DeleteFunc(uids, func(u imap.UID) bool { return uint32(u) < from || !free(uint32(u)) })
	var like []imap.UID
	for chunk := range slices.Chunk(uids, 2000) {
		if err := t.s.fetch(chunk, facts, 0, 0, func(l *letter) error {
			if shapes[shape{l.size, l.date.Unix()}] {
				like = append(like, l.uid)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	out := map[string][]uint32{}
	for chunk := range slices.Chunk(like, 200) {
		if err := t.s.fetch(chunk, heads, 0, 0, func(l *letter) error {
			m := Move{Head: headOf(l.part), Size: l.size, Date: l.date}
			if keys[m.key()] {
				out[m.key()] = append(out[m.key()], uint32(l.uid))
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	for k := range out {
		slices.Sort(out[k])
	}
	return out, nil
}

// present says which messages still lie in the folder, which it selects. Where the folder's numbering changed they are
// known by header, size and date, and get their new numbers.
func (t *transfer) present(list []Move, folder string) (map[int]bool, error) {
	d, err := t.s.choose(folder, false)
	if err != nil {
		if there, lerr := t.s.exists(folder); lerr == nil && !there {
			return nil, nil // somebody removed the folder, and what was in it
		}
		return nil, err
	}
	out := map[int]bool{}
	if d.UIDValidity != list[0].Valid {
		found, err := t.find(list, 1, func(uint32) bool { return true })
		if err != nil {
			return nil, err
		}
		for i := range list {
			m := &list[i]
			if f := found[m.key()]; len(f) > 0 {
				m.UID, out[m.Seq] = f[0], true
				found[m.key()] = f[1:]
			}
			m.Valid = d.UIDValidity
		}
		return out, nil
	}
	byUID := map[imap.UID][]int{}
	var uids []imap.UID
	for i := range list {
		byUID[imap.UID(list[i].UID)] = append(byUID[imap.UID(list[i].UID)], list[i].Seq)
		uids = append(uids, imap.UID(list[i].UID))
	}
	err = t.s.fetch(uids, facts, 0, 0, func(l *letter) error {
		for _, seq := range byUID[l.uid] {
			out[seq] = true
		}
		return nil
	})
	return out, err
}
