package milter

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-milter"
)

// allActions are what a modern mail server offers.
const allActions = milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptRemoveRcpt | milter.OptAddRcpt | milter.OptChangeBody

// taken is a server under test and the messages that it was asked about.
type taken struct {
	*Server
	mu   sync.Mutex
	list []*Message
}

func serve(t testing.TB, o Options, decide func(*Message) Decision) *taken {
	t.Helper()
	s := &taken{}
	if o.Judge == nil {
		o.Judge = func(_ context.Context, m *Message) Decision {
			s.mu.Lock()
			s.list = append(s.list, m)
			s.mu.Unlock()
			return decide(m)
		}
	}
	if o.Failed == nil {
		o.Failed = func(*Message, string) Decision { return Decision{Action: TempFail, Text: "failed"} }
	}
	l, err := Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = l
	done := make(chan error, 1)
	go func() { done <- l.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = l.Close(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// mailServer is the mail server's side of a connection.
func mailServer(t testing.TB, s *taken, actions milter.OptAction, protocol milter.OptProtocol) *milter.ClientSession {
	t.Helper()
	c := milter.NewClientWithOptions("tcp", s.Addr().String(), milter.ClientOptions{ActionMask: actions, ProtocolMask: protocol, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second})
	// The library's client asks for the highest version; the server of the same library answers with its own, which the
	// client takes where only old flags are in use.
	session, err := c.Session()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// pass sends one message and returns what is to be done with it.
func pass(t testing.TB, c *milter.ClientSession, subject string, recipients ...string) ([]milter.ModifyAction, *milter.Action) {
	t.Helper()
	must := func(a *milter.Action, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if a != nil && a.Code != milter.ActContinue {
			t.Fatalf("the milter said %q before the message's end", a.Code)
		}
	}
	if err := c.Macros(milter.CodeMail, "i", "QUEUE1", "{auth_authen}", "ann"); err != nil {
		t.Fatal(err)
	}
	must(c.Mail("eve@sender.example", []string{"SIZE=10"}))
	for _, r := range recipients {
		must(c.Rcpt(r, nil))
	}
	must(c.HeaderField("From", "eve@sender.example"))
	must(c.HeaderField("Subject", subject))
	must(c.HeaderField("X-Folded", "one\n\ttwo"))
	must(c.HeaderField("X-Empty", ""))
	must(c.HeaderEnd())
	must(c.BodyChunk([]byte("hello\r\n")))
	mods, act, err := c.End()
	if err != nil {
		t.Fatal(err)
	}
	return mods, act
}

func begin(t testing.TB, c *milter.ClientSession) {
	t.Helper()
	if _, err := c.Conn("mail.sender.example", milter.FamilyInet, 4242, "192.0.2.7"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Helo("helo.sender.example"); err != nil {
		t.Fatal(err)
	}
}

// oldFlags are those that the library's client takes from a server of an older version.
const oldFlags = milter.OptProtocol(0)

func TestAMessageComesWithItsEnvelope(t *testing.T) {
	s := serve(t, Options{Outbound: true}, func(*Message) Decision { return Decision{Action: Pass} })
	c := mailServer(t, s, allActions, oldFlags)
	begin(t, c)
	for i := range 3 { // the connection's facts hold for each message of it
		pass(t, c, fmt.Sprint("hello ", i), "ann@acme.example", "bob@acme.example")
	}
	if len(s.list) != 3 {
		t.Fatalf("%d messages", len(s.list))
	}
	for i, m := range s.list {
		if m.Client != netip.MustParseAddr("192.0.2.7") || m.ClientName != "mail.sender.example" || m.Helo != "helo.sender.example" || m.From != "eve@sender.example" ||
			!slices.Equal(m.Recipients, []string{"ann@acme.example", "bob@acme.example"}) || m.QueueID != "QUEUE1" || m.Login != "ann" || !m.Outbound || m.Cut {
			t.Errorf("message %d: %+v", i, m)
		}
		if want := fmt.Sprintf("From: eve@sender.example\r\nSubject: hello %d\r\nX-Folded: one\r\n\ttwo\r\nX-Empty: \r\n\r\nhello\r\n", i); string(m.Raw) != want {
			t.Errorf("message %d is %q, want %q", i, m.Raw, want)
		}
	}
}

func TestDecisionsAreCarriedOut(t *testing.T) {
	change := Decision{Insert: []Field{{"First", "1"}, {"Second", "2"}}, Remove: []Place{{"X-Bad", 1}, {"X-Bad", 3}, {"Other", 2}}, RemoveRecipients: []string{"ann@acme.example"}}
	passing, holding := change, change
	passing.Action = Pass
	holding.Action, holding.Text = Hold, "why\r\nnot"
	for name, c := range map[string]struct {
		d     Decision
		code  milter.ActionCode
		smtp  int
		text  string
		steps string
	}{
		"pass":     {passing, milter.ActContinue, 0, "", "m X-Bad 3, m Other 2, m X-Bad 1, i Second 0, i First 0, - ann"},
		"hold":     {holding, milter.ActContinue, 0, "", "m X-Bad 3, m Other 2, m X-Bad 1, i Second 0, i First 0, - ann, q why??not"},
		"reject":   {Decision{Action: Reject, Text: "100% no\r\n250 yes"}, milter.ActReplyCode, 550, "5.7.1 100? no??250 yes", ""},
		"tempfail": {Decision{Action: TempFail}, milter.ActReplyCode, 451, "4.7.1 try again later", ""},
		"discard":  {Decision{Action: Discard}, milter.ActDiscard, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Options{}, func(*Message) Decision { return c.d })
			session := mailServer(t, s, allActions, oldFlags)
			begin(t, session)
			mods, act := pass(t, session, "x", "ann@acme.example")
			if act.Code != c.code || act.SMTPCode != c.smtp || act.SMTPText != c.text {
				t.Errorf("the last word is %+v", act)
			}
			var steps []string
			for _, m := range mods {
				switch m.Code {
				case milter.ActDelRcpt:
					steps = append(steps, "- "+strings.TrimSuffix(strings.Trim(m.Rcpt, "<>"), "@acme.example"))
				case milter.ActQuarantine:
					steps = append(steps, "q "+m.Reason)
				default:
					steps = append(steps, fmt.Sprintf("%c %s %d", m.Code, m.HeaderName, m.HeaderIndex))
				}
			}
			if got := strings.Join(steps, ", "); got != c.steps {
				t.Errorf("the steps are %s, want %s", got, c.steps)
			}
		})
	}
}

// A held message is never accepted because the mail server lacks what holding needs.
func TestHeldIsNeverAccepted(t *testing.T) {
	for name, c := range map[string]struct {
		actions milter.OptAction
		d       Decision
	}{
		"no quarantine":           {allActions &^ milter.OptQuarantine, Decision{Action: Hold}},
		"recipients can't be cut": {allActions &^ milter.OptRemoveRcpt, Decision{Action: Pass, RemoveRecipients: []string{"ann@acme.example"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, Options{}, func(*Message) Decision { return c.d })
			session := mailServer(t, s, c.actions, oldFlags)
			begin(t, session)
			if mods, act := pass(t, session, "x", "ann@acme.example"); act.SMTPCode != 451 || len(mods) != 0 {
				t.Errorf("got %+v after %+v", act, mods)
			}
		})
	}
}

func TestAPanicIsAnsweredAndTheConnectionGoesOn(t *testing.T) {
	s := serve(t, Options{}, func(m *Message) Decision {
		if strings.Contains(string(m.Raw), "boom") {
			panic("a bug")
		}
		return Decision{Action: Pass}
	})
	c := mailServer(t, s, allActions, oldFlags)
	begin(t, c)
	if _, act := pass(t, c, "boom", "a@acme.example"); act.SMTPCode != 451 {
		t.Errorf("got %+v", act)
	}
	if _, act := pass(t, c, "fine", "a@acme.example"); act.Code != milter.ActContinue {
		t.Errorf("the next message got %+v", act)
	}
	if n := s.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	s := serve(t, Options{MaxMessage: 1000}, func(*Message) Decision { return Decision{Action: Pass} })
	c := mailServer(t, s, allActions, oldFlags)
	begin(t, c)
	if _, err := c.Mail("a@b.example", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.HeaderField("From", "a@b.example"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.HeaderEnd(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := c.BodyChunk([]byte(strings.Repeat("x", 400))); err != nil {
			t.Fatal(err)
		}
	}
	if _, act, err := c.End(); err != nil || act.Code != milter.ActContinue {
		t.Fatalf("%+v, %v", act, err)
	}
	if m := s.list[0]; !m.Cut || len(m.Raw) > 1010 {
		t.Errorf("%d bytes, cut %v", len(m.Raw), m.Cut)
	}
}

func TestAnAbortedMessageLeavesNothingBehind(t *testing.T) {
	s := serve(t, Options{}, func(*Message) Decision { return Decision{Action: Pass} })
	c := mailServer(t, s, allActions, oldFlags)
	begin(t, c)
	if _, err := c.Mail("first@b.example", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Rcpt("first@acme.example", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.HeaderField("X-First", "1"); err != nil {
		t.Fatal(err)
	}
	if err := c.Abort(); err != nil {
		t.Fatal(err)
	}
	pass(t, c, "second", "second@acme.example")
	if len(s.list) != 1 || strings.Contains(string(s.list[0].Raw), "X-First") || !slices.Equal(s.list[0].Recipients, []string{"second@acme.example"}) {
		t.Errorf("got %+v", s.list[0])
	}
}

func TestWhatSpeaksNoMilterIsTurnedAway(t *testing.T) {
	s := serve(t, Options{}, func(*Message) Decision { return Decision{Action: Pass} })
	for _, text := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\x0dXaaaaaaaaaaaa", "\x00\x00\x00\x01O", "\xff\xff\xff\xff"} {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 10)); n > 0 || err == nil {
			t.Errorf("%q was answered", text)
		}
		c.Close()
	}
	if n := s.Stats().Broken; n != 4 {
		t.Errorf("%d counted", n)
	}
}

func TestCloseAnswersWhatIsUnderWay(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	s := serve(t, Options{}, func(*Message) Decision { close(asked); <-answer; return Decision{Action: Reject, Text: "late"} })
	c := mailServer(t, s, allActions, oldFlags)
	begin(t, c)
	idle := mailServer(t, s, allActions, oldFlags)
	begin(t, idle)
	got := make(chan *milter.Action, 1)
	go func() { _, act := pass(t, c, "x", "a@acme.example"); got <- act }()
	<-asked
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.Background()) }()
	for end := time.Now().Add(30 * time.Second); ; { // Close begins a moment later
		if _, err := idle.Helo("again"); err != nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a connection without a message was kept")
		}
	}
	close(answer)
	if act := <-got; act.SMTPCode != 550 {
		t.Errorf("got %+v", act)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestASocketFileOfAnEarlierRunIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "milter.sock")
	o := Options{Judge: func(context.Context, *Message) Decision { return Decision{Action: Pass} }, Failed: func(*Message, string) Decision { return Decision{} }}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:"+path, o); err == nil {
		t.Error("a socket that is listened on was taken over")
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	s, err := Listen("unix:"+path, o)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", st, err)
	}
	_ = s.Close(t.Context())
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:"+path, o); err == nil {
		t.Error("a file that is no socket was replaced")
	}
	if _, err := Listen("127.0.0.1:0", Options{}); err == nil {
		t.Error("a server without anybody to decide was made")
	}
}

// FuzzWire gives a server what a mail server would never send.
func FuzzWire(f *testing.F) {
	hello := "\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff"
	f.Add([]byte(hello + "\x00\x00\x00\x07Ma@b\x00\x00\x00\x00\x00\x01E"))
	f.Add([]byte(hello + "\x00\x00\x00\x02C\x00\x00\x00\x00\x06Lname\x00\x00\x00\x00\x01E\x00\x00\x00\x01A\x00\x00\x00\x01E"))
	f.Add([]byte(hello + "\x00\x00\x00\x03DM\x00\x00\x00\x00\x02R\x00\x00\x00\x00\x03Bxx\x00\x00\x00\x01E"))
	f.Add([]byte(hello + "\x00\x00\x00\x03L\x00\x00\x00\x00\x00\x01N\x00\x00\x00\x01E\x00\x00\x00\x01Q"))
	s := &Server{opt: Options{MaxMessage: 1 << 16, Idle: time.Minute, Judge: func(_ context.Context, m *Message) Decision {
		return Decision{Action: Hold, Remove: []Place{{"a", 1}}, Insert: []Field{{"b", "c"}}}
	}}, ctx: context.Background()}
	s.opt.Failed = func(*Message, string) Decision { panic("it failed") }
	s.opt.Log = discard()
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, theirs := net.Pipe()
		go func() {
			buf := make([]byte, 4096)
			for {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		go func() {
			_, _ = theirs.Write(b)
			theirs.Close()
		}()
		w := newWire(ours, time.Minute)
		s.talk(w)
		w.Close()
		theirs.Close()
		if n := s.panics.Load(); n > 0 {
			t.Fatal("a panic was caught")
		}
	})
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
