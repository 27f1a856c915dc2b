package journal

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

type taken struct {
	mu   sync.Mutex
	list []Delivery
	fail error
}

func (k *taken) handle(_ context.Context, d Delivery) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	k.list = append(k.list, d)
	return nil
}

func serve(t *testing.T, dead string, k *taken, bindings ...config.JournalBinding) *Server {
	t.Helper()
	if bindings == nil {
		bindings = []config.JournalBinding{{Source: netip.MustParsePrefix("127.0.0.0/8"), Tenant: "wide"}, {Source: netip.MustParsePrefix("127.0.0.1/32"), Tenant: "acme"}}
	}
	s, err := Listen(Options{Config: config.MailJournal{Listen: "127.0.0.1:0", Bindings: bindings, MaxMessage: 1 << 20}, Name: "collector.example", Handle: k.handle, Dead: NewDeadLetters(dead, nil)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return s
}

func send(s *Server, raw string) error {
	return smtp.SendMail(s.Addr().String(), nil, "journal@acme.example", []string{"journal@collector.example"}, []byte(raw))
}

func deadFiles(t *testing.T, dir, ext string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "acme", "*"+ext))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestReportsComeBySMTP(t *testing.T) {
	k, dead := &taken{}, t.TempDir()
	s := serve(t, dead, k)
	if err := send(s, exchange(envelopeText, rfc822(original))); err != nil {
		t.Fatal(err)
	}
	if len(k.list) != 1 || k.list[0].Tenant != tenant.ID("acme") || k.list[0].Report.Sender != "eve@partner.example" || !k.list[0].Client.IsLoopback() || k.list[0].Envelope.From != "journal@acme.example" {
		t.Errorf("taken: %+v", k.list)
	}
	if f := deadFiles(t, dead, ".eml"); len(f) != 0 {
		t.Errorf("dead letters: %q", f)
	}
	if n := s.Counted.Taken.Load(); n != 1 {
		t.Errorf("%d counted", n)
	}
}

func TestWhatCannotBeReadIsADeadLetterAndNoBounce(t *testing.T) {
	k, dead := &taken{}, t.TempDir()
	s := serve(t, dead, k)
	for range 2 {
		if err := send(s, exchange(envelopeText)); err != nil {
			t.Fatalf("the sender is told %v", err)
		}
	}
	f := deadFiles(t, dead, ".eml")
	if len(f) != 1 || len(k.list) != 0 || s.Counted.Dead.Load() != 2 {
		t.Fatalf("%d dead letters, %d taken", len(f), len(k.list))
	}
	about, err := os.ReadFile(strings.TrimSuffix(f[0], ".eml") + ".json")
	if err != nil || !strings.Contains(string(about), "carries no message") {
		t.Errorf("beside it %s, %v", about, err)
	}
}

func TestAFullDiskMakesTheSenderComeAgain(t *testing.T) {
	full := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(full, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, full, &taken{}) // no folder can be made below a file
	if err := send(s, exchange(envelopeText)); err == nil || !strings.HasPrefix(err.Error(), "452") {
		t.Errorf("the sender is told %v", err)
	}
}

func TestWhatCannotBeDealtWithNowComesAgain(t *testing.T) {
	k, dead := &taken{fail: errors.New("the store is away")}, t.TempDir()
	s := serve(t, dead, k)
	if err := send(s, exchange(envelopeText, rfc822(original))); err == nil || !strings.HasPrefix(err.Error(), "451") || strings.Contains(err.Error(), "store") {
		t.Errorf("the sender is told %v", err)
	}
	k.fail = fmt.Errorf("no mail in it: %w", ErrParse)
	if err := send(s, exchange(envelopeText, rfc822(original))); err != nil || len(deadFiles(t, dead, ".eml")) != 1 {
		t.Errorf("of what will never be dealt with the sender is told %v", err)
	}
}

func TestIsolationSendersThatAreBoundToNobodyAreRefused(t *testing.T) {
	k := &taken{}
	s := serve(t, t.TempDir(), k, config.JournalBinding{Source: netip.MustParsePrefix("192.0.2.0/24"), Tenant: "acme"})
	if err := send(s, exchange(envelopeText, rfc822(original))); err == nil || !strings.HasPrefix(err.Error(), "554") || len(k.list) != 0 {
		t.Errorf("the sender is told %v, and %d were taken", err, len(k.list))
	}
}

func TestAMessageBeyondTheLimitIsRefused(t *testing.T) {
	k := &taken{}
	s := serve(t, t.TempDir(), k)
	if err := send(s, exchange(envelopeText, rfc822(original+strings.Repeat("x\n", 1<<20)))); err == nil || !strings.HasPrefix(err.Error(), "552") || len(k.list) != 0 {
		t.Errorf("the sender is told %v", err)
	}
}

func TestManySendAtOnce(t *testing.T) {
	k := &taken{}
	s := serve(t, t.TempDir(), k)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := send(s, exchange(envelopeText, rfc822(original))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(k.list) != 10 {
		t.Errorf("%d were taken", len(k.list))
	}
}

func TestSwaksSendsAReport(t *testing.T) {
	program, err := exec.LookPath("swaks")
	if err != nil {
		t.Skip("swaks is not installed (Debian: swaks): the receiver is not tested with it")
	}
	k := &taken{}
	s := serve(t, t.TempDir(), k)
	file := filepath.Join(t.TempDir(), "report.eml")
	if err := os.WriteFile(file, []byte(exchange(envelopeText, rfc822(original))), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "--server", s.Addr().String(), "--from", "<>", "--to", "journal@collector.example", "--data", "@"+file, "--helo", "mail.acme.example").CombinedOutput()
	if err != nil || len(k.list) != 1 || k.list[0].Report.MessageID != "abc@partner.example" {
		t.Errorf("%v, %d taken:\n%s", err, len(k.list), out)
	}
}
