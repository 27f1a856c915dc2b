package mailgate

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// command is a program that the tests run.
func command(name string, args ...string) *exec.Cmd { return exec.Command(name, args...) }

// provenAs answers every question for proof with one answer.
func provenAs(p Proof) func(context.Context, Sender, []byte) Proof {
	return func(context.Context, Sender, []byte) Proof { return p }
}

// sendMany sends n messages over one connection.
func sendMany(address string, n int, to string) error {
	c, err := smtp.Dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range n {
		if err := c.Mail("eve@sender.example"); err != nil {
			return err
		}
		if err := c.Rcpt(to); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, letter("hello", fmt.Sprint("m", i))); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return c.Quit()
}

// milterOf names the address at which this test binary, started again, is a milter of its own process.
const milterOf = "BREAKWATER_TEST_MILTER"

// TestMain is a milter in a process of its own where it is asked to be: one that can be killed. It tells each message
// that it has taken whole, and answers those whose subject says so never.
func TestMain(m *testing.M) {
	at := os.Getenv(milterOf)
	if at == "" {
		os.Exit(m.Run())
	}
	var s *milter.Server
	var err error
	judge := func(ctx context.Context, m *milter.Message) milter.Decision {
		for _, f := range m.Headers {
			if f.Name == "Subject" && strings.Contains(f.Value, "linger") {
				fmt.Println("taken")
				<-ctx.Done()
			}
		}
		return milter.Decision{Action: milter.Pass, Insert: []milter.Field{{Name: "X-Breakwater-Verdict", Value: "clean"}}}
	}
	for range 200 { // the killed one's port may be a moment in coming free
		if s, err = milter.Listen(at, milter.Options{Judge: judge, Failed: func(*milter.Message, string) milter.Decision { return milter.Decision{Action: milter.TempFail} }}); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	if err := s.Serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is a milter that can be killed.
type process struct {
	cmd  *exec.Cmd
	said chan string
}

func startProcess(t *testing.T, at string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), said: make(chan string, 100)}
	p.cmd.Env = append(os.Environ(), milterOf+"="+at)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.said <- lines.Text()
		}
		close(p.said)
	}()
	t.Cleanup(p.kill)
	p.hear(t, "ready")
	return p
}

func (p *process) kill() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }

func (p *process) hear(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-p.said:
		if got != want {
			t.Fatalf("the milter said %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatalf("the milter did not say %q", want)
	}
}

// TestPostfixMilterKilledMidMessage: whichever the mail server's default is, a message is at its sender or delivered
// once, never both and never neither.
func TestPostfixMilterKilledMidMessage(t *testing.T) {
	needPostfix(t)
	for _, whenDead := range []string{"tempfail", "accept"} {
		t.Run(whenDead, func(t *testing.T) {
			at := freePort(t)
			p := startPostfix(t, at, whenDead)
			m := startProcess(t, at)
			sent := make(chan error, 1)
			go func() { sent <- p.send("eve@sender.example", []string{"ann@acme.example"}, letter("linger", "k1")) }()
			m.hear(t, "taken")
			m.kill()
			err := <-sent
			dead := p.send("eve@sender.example", []string{"dead@acme.example"}, letter("while it is dead", "k2"))
			switch whenDead {
			case "tempfail":
				for _, e := range []error{err, dead} {
					if e == nil || !strings.HasPrefix(e.Error(), "451 ") {
						t.Errorf("the sender was told %v", e)
					}
				}
			case "accept":
				if err != nil || dead != nil {
					t.Fatalf("the sender was told %v, %v", err, dead)
				}
				p.arrives("ann@acme.example", 1)
				if got := p.arrives("dead@acme.example", 1)[0]; strings.Contains(got, "X-Breakwater-Verdict") {
					t.Errorf("nobody judged it, and it says:\n%s", got)
				}
			}
			startProcess(t, at)
			if whenDead == "tempfail" { // its sender comes again, as it was told
				if err := p.send("eve@sender.example", []string{"ann@acme.example"}, letter("again", "k1")); err != nil {
					t.Fatal(err)
				}
			}
			p.arrives("ann@acme.example", 1)
			eventually(t, "the queue is empty", func() bool { return len(p.queue()) == 0 })
			if n := len(p.box("ann@acme.example")); n != 1 {
				t.Errorf("it arrived %d times", n)
			}
		})
	}
}

// TestPostfixRestartUnderLoad kills the milter while 200 messages come: each arrives once, and who was asked to come
// again did.
func TestPostfixRestartUnderLoad(t *testing.T) {
	needPostfix(t)
	at := freePort(t)
	p := startPostfix(t, at, "tempfail")
	m := startProcess(t, at)
	const messages, senders = 200, 8
	var group sync.WaitGroup
	var mu sync.Mutex
	again, half := 0, make(chan struct{})
	done := 0
	work := make(chan int)
	for range senders {
		group.Go(func() {
			for i := range work {
				for {
					err := p.send("eve@sender.example", []string{"load@acme.example"}, letter("hello", fmt.Sprint("l", i)))
					if err == nil {
						break
					}
					var netErr net.Error
					if !strings.HasPrefix(err.Error(), "4") && !asNet(err, &netErr) {
						t.Errorf("message %d: %v", i, err)
						return
					}
					mu.Lock()
					again++
					mu.Unlock()
				}
				mu.Lock()
				if done++; done == messages/4 {
					close(half)
				}
				mu.Unlock()
			}
		})
	}
	go func() {
		<-half
		m.kill()
		startProcess(t, at)
	}()
	for i := range messages {
		work <- i
	}
	close(work)
	group.Wait()
	got := p.arrives("load@acme.example", messages)
	seen := map[string]int{}
	for _, text := range got {
		_, rest, _ := strings.Cut(text, "Message-ID: <")
		id, _, _ := strings.Cut(rest, ">")
		seen[id]++
		if strings.Count(text, "X-Breakwater-Verdict: clean") != 1 {
			t.Errorf("unjudged, or judged twice:\n%s", text)
		}
	}
	if len(seen) != messages || len(got) != messages {
		t.Errorf("%d messages arrived, %d different ones; %d were sent", len(got), len(seen), messages)
	}
	t.Logf("%d attempts were answered with a request to come again", again)
}

func asNet(err error, to *net.Error) bool {
	n, ok := err.(net.Error)
	*to = n
	return ok
}
