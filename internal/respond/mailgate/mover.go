package mailgate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// moveWithin is how long the mail server may take over one message.
const moveWithin = 30 * time.Second

// Mover gives messages that are kept here alone back to the mail server. It is the Store of quarantine.Movers; what
// waits in the mail server is quarantine.Commands' work.
type Mover struct {
	hold config.MailHold
	name string // by which we greet the mail server
}

var _ quarantine.Mover = (*Mover)(nil)

// NewMover returns a mover for what the mail section says of held mail.
func NewMover(s *config.MailGate) *Mover { return &Mover{s.Hold, s.ID} }

// Release gives a message back by SMTP. Such a message bears X-Breakwater-Released, and its recipients are those it was
// held for.
func (v *Mover) Release(ctx context.Context, it quarantine.Item, raw []byte) error {
	if it.Place != quarantine.PlaceStore {
		return fmt.Errorf("a message of place %q is not given back to the mail server: it waits there, or was delivered", it.Place)
	}
	return v.reinject(ctx, it, raw)
}

// Delete has nothing to do: such a message waits nowhere else.
func (v *Mover) Delete(context.Context, quarantine.Item) error { return nil }

// reinject gives a message back to the mail server.
func (v *Mover) reinject(ctx context.Context, it quarantine.Item, raw []byte) error {
	if v.hold.Reinject == "" {
		return errors.New("mail that is held here cannot be released: set mail.hold.reinject to a port of the mail server that takes mail without the milter")
	}
	if len(it.Recipients) == 0 {
		return errors.New("it has no recipients")
	}
	ctx, cancel := context.WithTimeout(ctx, moveWithin)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", v.hold.Reinject)
	if err != nil {
		return fmt.Errorf("giving it back to the mail server: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	host, _, _ := net.SplitHostPort(v.hold.Reinject)
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		conn.Close()
		return fmt.Errorf("giving it back to the mail server: %w", err)
	}
	defer c.Close()
	if err := give(c, v.name, it, withoutOurs(raw, v.name)); err != nil {
		return fmt.Errorf("giving it back to the mail server at %s: %w", v.hold.Reinject, err)
	}
	_ = c.Quit() // it has the message
	return nil
}

// withoutOurs returns a message without the fields that came in with it and speak in our name: no milter takes them out
// on the way that it is given back by.
func withoutOurs(raw []byte, id string) []byte {
	var out []byte
	rest := raw
	for len(rest) > 0 {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		for n < len(rest) && (rest[n] == ' ' || rest[n] == '\t') { // folds belong to the field
			more := bytes.IndexByte(rest[n:], '\n') + 1
			if more == 0 {
				more = len(rest) - n
			}
			n += more
		}
		field := rest[:n]
		if len(bytes.TrimRight(field, "\r\n")) == 0 {
			break
		}
		rest = rest[n:]
		name, value, _ := bytes.Cut(field, []byte(":"))
		if len(strip([]milter.Field{{Name: string(name), Value: string(value)}}, id)) == 0 {
			out = append(out, field...)
		}
	}
	return append(out, rest...)
}

func give(c *smtp.Client, name string, it quarantine.Item, raw []byte) error {
	if err := c.Hello(name); err != nil {
		return err
	}
	if err := c.Mail(it.EnvelopeFrom); err != nil {
		return err
	}
	for _, r := range it.Recipients {
		if err := c.Rcpt(r); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, "X-Breakwater-Released: "+ascii(it.Name)+"\r\n"); err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return w.Close()
}
