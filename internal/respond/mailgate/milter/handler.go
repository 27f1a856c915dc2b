package milter

import (
	"fmt"
	"net"
	"net/netip"
	"net/textproto"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-milter"
)

// handler collects the messages of one connection, one after the other, and carries decisions out.
type handler struct {
	server *Server
	wire   *wire
	can    milter.OptAction // both sides
	speaks milter.OptProtocol

	client     netip.Addr
	clientName string
	helo       string

	m      *Message
	header int // bytes of the message's header so far
	body   []byte
}

var _ milter.Milter = (*handler)(nil)

// current returns the message that is under way, and begins one where none is.
func (h *handler) current() *Message {
	if h.m == nil {
		h.wire.work(true)
		h.m = &Message{Client: h.client, ClientName: h.clientName, Helo: h.helo, Outbound: h.server.opt.Outbound}
	}
	return h.m
}

func (h *handler) clear() {
	h.m, h.header, h.body = nil, 0, nil
	h.wire.work(false)
}

// Connect takes who speaks to the mail server. Mail that a program on the mail server submits has no address, or
// the loopback one that Postfix puts in its place.
func (h *handler) Connect(host, family string, _ uint16, addr net.IP, _ *milter.Modifier) (milter.Response, error) {
	h.clear()
	h.client, h.clientName, h.helo = netip.Addr{}, clip(host), ""
	if a, ok := netip.AddrFromSlice(addr); ok && strings.HasPrefix(family, "tcp") {
		h.client = a.Unmap()
	}
	return milter.RespContinue, nil
}

// Helo takes the client's greeting.
func (h *handler) Helo(name string, _ *milter.Modifier) (milter.Response, error) {
	h.helo = clip(name)
	return milter.RespContinue, nil
}

// MailFrom begins a message.
func (h *handler) MailFrom(from string, mod *milter.Modifier) (milter.Response, error) {
	h.clear()
	h.current().From = clip(from)
	h.macros(mod)
	return milter.RespContinue, nil
}

// RcptTo takes a recipient; beyond MaxRecipients they are refused for now, as by a mail server (RFC 5321 4.5.3.1.10).
func (h *handler) RcptTo(to string, mod *milter.Modifier) (milter.Response, error) {
	m := h.current()
	h.macros(mod)
	if len(m.Recipients) >= MaxRecipients {
		return milter.NewResponseStr(byte(milter.ActReplyCode), "452 4.5.3 too many recipients"), nil
	}
	m.Recipients = append(m.Recipients, clip(to))
	return milter.RespContinue, nil
}

// macros takes what the mail server tells beside the protocol. Which stage brings what differs by mail server.
func (h *handler) macros(mod *milter.Modifier) {
	m := h.current()
	for name, to := range map[string]*string{"i": &m.QueueID, "{auth_authen}": &m.Login} {
		if v := mod.Macros[name]; v != "" {
			*to = clip(v)
		}
	}
}

// Header takes one field.
func (h *handler) Header(name, value string, _ *milter.Modifier) (milter.Response, error) {
	m := h.current()
	if h.speaks&milter.OptHeaderLeadingSpace == 0 {
		value = " " + value // the mail server took one away
	}
	h.header += len(name) + len(value) + 4
	if h.header > MaxHeaderBytes || len(m.Headers) >= MaxHeaders {
		m.Cut = true
	} else {
		m.Headers = append(m.Headers, Field{name, lines(value)})
	}
	return h.quiet(milter.OptNoHeaderReply), nil
}

// quiet answers a piece of a message, unless the mail server was told that there is no answer.
func (h *handler) quiet(flag milter.OptProtocol) milter.Response {
	if h.speaks&flag != 0 {
		return nil
	}
	return milter.RespContinue
}

// Headers takes the end of the header.
func (h *handler) Headers(_ textproto.MIMEHeader, _ *milter.Modifier) (milter.Response, error) {
	return h.quiet(milter.OptNoEOHReply), nil
}

// BodyChunk takes a piece of the body.
func (h *handler) BodyChunk(chunk []byte, _ *milter.Modifier) (milter.Response, error) {
	m := h.current()
	room := h.server.opt.MaxMessage - h.header - len(h.body)
	if len(chunk) > room {
		m.Cut, chunk = true, chunk[:max(0, room)]
	}
	h.body = append(h.body, chunk...)
	return h.quiet(milter.OptNoBodyReply), nil
}

// Body takes the end of the message, asks what is to be done, and does it.
func (h *handler) Body(mod *milter.Modifier) (milter.Response, error) {
	m := h.current()
	h.macros(mod)
	m.Received = time.Now()
	m.Raw = h.raw()
	defer h.wire.forget() // the library reads it next, and calls Abort
	d := h.judge(m)
	h.server.messages.Add(1)
	resp, err := h.carryOut(m, d, mod)
	if err != nil {
		return nil, fmt.Errorf("answering the mail server about %s: %w", m.QueueID, err)
	}
	return resp, nil
}

// judge asks what is to be done; a panic there is answered as a failure of ours.
func (h *handler) judge(m *Message) (d Decision) {
	defer func() {
		if p := recover(); p != nil {
			h.server.panics.Add(1)
			h.server.opt.Log.Error("handling a message failed, which is a bug of ours", "queue_id", m.QueueID, "what", p, "stack", string(debug.Stack()))
			d = h.server.opt.Failed(m, "handling it failed in here")
		}
	}()
	return h.server.opt.Judge(h.server.ctx, m)
}

// raw puts the message together again as it came over SMTP.
func (h *handler) raw() []byte {
	out := make([]byte, 0, h.header+len(h.body)+2)
	for _, f := range h.m.Headers {
		out = append(out, f.Name...)
		out = append(out, ':')
		out = append(out, f.Value...)
		out = append(out, "\r\n"...)
	}
	out = append(out, "\r\n"...)
	return append(out, h.body...)
}

// Abort ends a message without an answer; the connection goes on.
func (h *handler) Abort(*milter.Modifier) error {
	h.clear()
	return nil
}

// carryOut tells the mail server. Changes go first, and the last word is "continue" unless the message is refused:
// "accept" would end the work of other milters, and an answer with a text would turn a held message into a sent one.
func (h *handler) carryOut(m *Message, d Decision, mod *milter.Modifier) (milter.Response, error) {
	if d.Action == Hold && h.can&milter.OptQuarantine == 0 {
		h.server.opt.Log.Error("the mail server cannot hold messages: the sender is asked to come again", "queue_id", m.QueueID)
		d = Decision{Action: TempFail, Text: "held messages are not possible here"}
	}
	if len(d.RemoveRecipients) > 0 && h.can&milter.OptRemoveRcpt == 0 {
		d = Decision{Action: TempFail, Text: "recipients cannot be told apart here"}
	}
	switch d.Action {
	case Reject:
		return milter.NewResponseStr(byte(milter.ActReplyCode), "550 5.7.1 "+answer(d.Text, "refused")), nil
	case TempFail:
		return milter.NewResponseStr(byte(milter.ActReplyCode), "451 4.7.1 "+answer(d.Text, "try again later")), nil
	case Discard:
		return milter.RespDiscard, nil
	case Hold, Pass:
	default:
		return nil, fmt.Errorf("unknown action %q", d.Action)
	}
	if err := h.change(d, mod); err != nil {
		return nil, err
	}
	if d.Action == Hold {
		if err := mod.Quarantine(answer(d.Text, "held")); err != nil {
			return nil, fmt.Errorf("holding it: %w", err)
		}
	}
	return milter.RespContinue, nil
}

// change removes and inserts header fields and removes recipients. Fields go from the last place to the first, since
// some mail servers count again after each.
func (h *handler) change(d Decision, mod *milter.Modifier) error {
	if h.can&milter.OptChangeHeader != 0 {
		remove := slices.Clone(d.Remove)
		slices.SortStableFunc(remove, func(a, b Place) int { return b.Index - a.Index })
		for _, p := range remove {
			if err := mod.ChangeHeader(p.Index, p.Name, ""); err != nil {
				return fmt.Errorf("removing a %s field: %w", p.Name, err)
			}
		}
	}
	if h.can&milter.OptAddHeader != 0 {
		for _, f := range slices.Backward(d.Insert) {
			value := f.Value
			if h.speaks&milter.OptHeaderLeadingSpace != 0 {
				value = " " + value
			}
			if err := mod.InsertHeader(0, f.Name, value); err != nil {
				return fmt.Errorf("inserting a %s field: %w", f.Name, err)
			}
		}
	}
	for _, r := range d.RemoveRecipients {
		if err := mod.DeleteRecipient(r); err != nil {
			return fmt.Errorf("removing a recipient: %w", err)
		}
	}
	return nil
}

// answer makes a text fit for one line of an SMTP answer: ASCII, short, and without the percent sign, which mail
// servers read as the start of a format.
func answer(s, otherwise string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '%' {
			return '?'
		}
		return r
	}, s)
	if len(s) > 400 {
		s = s[:400]
	}
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}

// clip bounds what the mail server tells of others.
func clip(s string) string {
	const most = 1 << 10
	if len(s) > most {
		return s[:most]
	}
	return s
}
