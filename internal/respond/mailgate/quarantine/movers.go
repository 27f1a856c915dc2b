package quarantine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// ErrGone says that the mail server has no such message any more: somebody released or deleted it there.
var ErrGone = errors.New("the mail server holds no such message any more: it was released or deleted there")

// Movers sends each act to whoever carries it out where the message waits. One that is nil cannot be done.
type Movers struct {
	MTA     Mover // in the mail server's hold queue: Commands
	Store   Mover // here alone: gives the message back to the mail server by SMTP
	Mailbox Mover // in a mailbox's quarantine folder: package sweep
}

var _ Mover = Movers{}

// Release lets the message go on.
func (m Movers) Release(ctx context.Context, it Item, raw []byte) error {
	v, err := m.of(it)
	if err != nil {
		return err
	}
	return v.Release(ctx, it, raw)
}

// Delete takes the message away. One that waits here alone, or was only reported, lies nowhere else.
func (m Movers) Delete(ctx context.Context, it Item) error {
	if it.Place == PlaceStore || it.Place == PlaceReport {
		return nil
	}
	v, err := m.of(it)
	if err != nil {
		return err
	}
	return v.Delete(ctx, it)
}

func (m Movers) of(it Item) (Mover, error) {
	v, what := Mover(nil), ""
	switch it.Place {
	case PlaceMTA:
		v, what = m.MTA, "no commands for the mail server's queue are known: set mail.hold.release and mail.hold.delete"
	case PlaceStore:
		v, what = m.Store, "there is nobody to give it back to: set mail.hold.reinject to a port of the mail server that takes mail without the milter"
	case PlaceMailbox:
		v, what = m.Mailbox, "nobody here reaches the mailbox that it was swept from; `breakwater mail sweep` undoes a sweep"
	case PlaceReport:
		return nil, errors.New("it was delivered and reported by a user: there is nothing to release")
	default:
		return nil, fmt.Errorf("where it waits (%q) is not known here", it.Place)
	}
	if v == nil {
		return nil, errors.New(what)
	}
	return v, nil
}

// Bounds of a command.
const (
	commandTime   = 30 * time.Second
	commandOutput = 1 << 10 // bytes of its words that are kept
)

// saysGone is what a program that fails says where the mail server has no such message, such as the script for Sendmail in
// docs/mail.md.
const saysGone = "no such message waits"

// queueID is what a mail server calls a message. Postfix has 6 to 20 letters and digits (short and long names), Sendmail
// 14; anything else could be an option or a path to the program that is started.
var queueID = regexp.MustCompile(`^[0-9A-Za-z]{5,30}$`)

// Commands is a Mover that starts the mail server's own programs, without a shell. An argument {id} becomes the queue id.
// A program has 30 seconds.
type Commands struct {
	ReleaseBy []string // such as postsuper -H {id}
	DeleteBy  []string // such as postsuper -d {id}
	// Said takes what a program that did its work wrote, at most 1 KiB; nil: nobody asks.
	Said func(it Item, program, output string)
}

var _ Mover = (*Commands)(nil)

// Release starts the program that lets a message go. It is ErrGone where the mail server has it no more, unless a release
// was cut short before: then that one did it.
func (c *Commands) Release(ctx context.Context, it Item, _ []byte) error {
	err := c.run(ctx, c.ReleaseBy, it)
	if errors.Is(err, ErrGone) && it.Resumed {
		return nil
	}
	return err
}

// Delete starts the program that deletes a message. One that is gone already is deleted.
func (c *Commands) Delete(ctx context.Context, it Item) error {
	err := c.run(ctx, c.DeleteBy, it)
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}

func (c *Commands) run(ctx context.Context, program []string, it Item) error {
	if !queueID.MatchString(it.QueueID) {
		return fmt.Errorf("%q is no queue id, and is given to no program", it.QueueID)
	}
	if len(program) == 0 || !slices.Contains(program[1:], "{id}") {
		return errors.New("no command is set for this: see mail.hold.release and mail.hold.delete")
	}
	args := slices.Clone(program)
	for i := range args[1:] {
		if args[i+1] == "{id}" {
			args[i+1] = it.QueueID
		}
	}
	whole := strings.Join(args, " ")
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	out := &capped{most: commandOutput}
	p := exec.CommandContext(ctx, args[0], args[1:]...)
	p.Stdout, p.Stderr = out, out
	p.WaitDelay = time.Second // for children that keep the output open
	err := p.Run()
	said := out.String()
	switch {
	case ctx.Err() != nil && err != nil:
		return fmt.Errorf("running %s: it was not done within %s%s", whole, commandTime, told(said))
	case err != nil && strings.Contains(said, saysGone):
		return fmt.Errorf("running %s: %w", whole, ErrGone)
	case err != nil:
		return fmt.Errorf("running %s: %w%s", whole, err, told(said))
	case isPostsuper(args) && !strings.Contains(said, "1 message"): // postsuper(1) ends well, and silently, where it finds nothing
		return fmt.Errorf("running %s: %w", whole, ErrGone)
	}
	if c.Said != nil {
		c.Said(it, whole, said)
	}
	return nil
}

func told(said string) string {
	if said == "" {
		return "; it said nothing"
	}
	return "; it said: " + said
}

// isPostsuper reports whether Postfix's postsuper is started, maybe by another program such as sudo.
func isPostsuper(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool { return filepath.Base(a) == "postsuper" })
}

// capped keeps the beginning of what is written, and drops the rest.
type capped struct {
	buf  bytes.Buffer
	most int
	more bool
}

// Write never fails.
func (c *capped) Write(p []byte) (int, error) {
	keep := min(len(p), c.most-c.buf.Len())
	c.buf.Write(p[:keep])
	c.more = c.more || keep < len(p)
	return len(p), nil
}

// String returns what was kept, on one line.
func (c *capped) String() string {
	s := Printable(strings.Join(strings.Fields(c.buf.String()), " "))
	if c.more {
		s += " …"
	}
	return s
}
