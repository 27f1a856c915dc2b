package mailgate

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// clamd speaks the daemon's side of INSTREAM and answers with a line; a message that holds "stall" is never answered.
func clamd(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				if cmd, err := r.ReadString(0); err != nil || cmd != "zINSTREAM\x00" {
					return
				}
				var all []byte
				for {
					var n uint32
					if binary.Read(r, binary.BigEndian, &n) != nil {
						return
					}
					if n == 0 {
						break
					}
					b := make([]byte, n)
					if _, err := io.ReadFull(r, b); err != nil {
						return
					}
					all = append(all, b...)
				}
				if strings.Contains(string(all), "stall") {
					_, _ = io.Copy(io.Discard, r)
					return
				}
				if strings.Contains(string(all), "virus") {
					_, _ = io.WriteString(c, answer)
					return
				}
				_, _ = io.WriteString(c, "stream: OK\x00")
			}()
		}
	}()
	return l.Addr().String()
}

func TestClamdIsAsked(t *testing.T) {
	for name, c := range map[string]struct{ answer, text, want, err string }{
		"clean":             {"", "hello", "", ""},
		"found":             {"stream: Win.Test.EICAR_HDB-1 FOUND\x00", "a virus " + strings.Repeat("x", 200_000), "Win.Test.EICAR_HDB-1", ""},
		"an error of its":   {"INSTREAM size limit exceeded. ERROR\x00", "a virus", "", "size limit exceeded"},
		"nothing":           {"", "a virus", "", "no answer"},
		"something strange": {"stream: \x01\x02", "a virus", "", "it answered"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Clamd(clamd(t, c.answer))(t.Context(), []byte(c.text))
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := Clamd(clamd(t, ""))(ctx, []byte("stall")); err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("it stalls: %v after %s", err, time.Since(began))
	}
	if _, err := Clamd("unix:"+filepath.Join(t.TempDir(), "none"))(t.Context(), []byte("x")); err == nil {
		t.Error("no daemon answered")
	}
}

func TestHabitsOutliveARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "habits")
	var d *marks
	create := func(*tenant.Model) (Detector, error) { d = &marks{}; return d, nil }
	model := settings(t, "").Model
	s, err := NewScorer(model, file, create, func(string) { t.Error("damage in a new file") })
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("nothing was learned, and it was kept")
	}
	learn := func() {
		t.Helper()
		if err := s.Learn(t.Context(), &ocsf.Event{Tenant: "acme"}, ocsf.MailVerdict{Verdict: clean, Action: "pass"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Save(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	learn()
	if s, err = NewScorer(model, file, create, func(string) { t.Error("damage in a whole file") }); err != nil || len(d.learned) != 1 || d.learned[0] != "acme clean pass" {
		t.Fatalf("restored %q, %v", d.learned, err)
	}
	if err := s.Declare(model); err != nil || len(d.learned) != 1 {
		t.Errorf("another model begins with %q, %v", d.learned, err)
	}
	learn()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"a flipped bit":  append(append([]byte{}, whole[:len(whole)-1]...), whole[len(whole)-1]^1),
		"cut":            whole[:len(whole)-3],
		"cut in its sum": whole[:len(stateHead)+5],
		"of nothing":     {},
		"of others":      []byte("something else"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			var told []string
			if _, err := NewScorer(model, file, create, func(what string) { told = append(told, what) }); err != nil || len(told) != 1 || len(d.learned) != 0 {
				t.Errorf("%v, told %q, learned %q", err, told, d.learned)
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("the damaged file is in its place still")
			}
		})
	}
	aside, _ := filepath.Glob(file + ".damaged-*")
	if len(aside) == 0 {
		t.Error("no damaged file was kept")
	}
}

// wary is a detector that remembers whom it is wary of.
type wary struct {
	marks
	of map[string]bool
}

func (d *wary) Forgive(e *ocsf.Event) { delete(d.of, string(e.Tenant)+" "+e.Mail.From) }

func (d *wary) Learn(e *ocsf.Event, v ocsf.MailVerdict) {
	if d.of[string(e.Tenant)+" "+e.Mail.From] {
		v.Verdict = "not learned"
	}
	d.marks.Learn(e, v)
}

// TestAFalseAlarmIsForgivenBeforeItIsLearned: or the places of the wrong verdict would keep it from being learned.
func TestAFalseAlarmIsForgivenBeforeItIsLearned(t *testing.T) {
	for name, d := range map[string]interface {
		Detector
		seen() []string
	}{"a detector that forgives": &wary{of: map[string]bool{"acme jo@a.example": true, "borg jo@a.example": true}}, "one that can't": &marks{}} {
		s, err := NewScorer(&tenant.Model{}, "", func(*tenant.Model) (Detector, error) { return d, nil }, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		e := &ocsf.Event{Tenant: "acme", Mail: &ocsf.Mail{From: "jo@a.example"}}
		if err := s.Forgive(t.Context(), e, ocsf.MailVerdict{Verdict: clean}); err != nil {
			t.Fatal(err)
		}
		if got := d.seen(); len(got) != 1 || got[0] != "acme clean " {
			t.Errorf("%s: learned %q", name, got)
		}
		if w, ok := d.(*wary); ok && (len(w.of) != 1 || !w.of["borg jo@a.example"]) {
			t.Errorf("%s: wary of %v, and another tenant's is not to be forgotten", name, w.of)
		}
	}
}

func TestOnlyWhatIsKeptHereIsGivenBack(t *testing.T) {
	m := NewMover(&config.MailGate{ID: "mx"})
	for place, want := range map[quarantine.Place]string{quarantine.PlaceStore: "mail.hold.reinject", quarantine.PlaceMTA: "it waits there", quarantine.PlaceReport: "was delivered"} {
		it := quarantine.Item{Place: place, QueueID: "4Xyz09", Recipients: []string{"a@b.example"}}
		if err := m.Release(t.Context(), it, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", place, err, want)
		}
		if err := m.Delete(t.Context(), it); err != nil {
			t.Errorf("%s: %v", place, err)
		}
	}
}

func TestForgedFieldsDoNotComeBack(t *testing.T) {
	raw := "X-Breakwater-Verdict: clean\r\nAuthentication-Results: mx.acme.example;\r\n\tspf=pass\r\n (more)\r\nSubject: a\r\n b\r\nx-breakwater-score: 1\r\n\r\nX-Breakwater-Verdict: body\r\n"
	if got, want := string(withoutOurs([]byte(raw), "mx.acme.example")), "Subject: a\r\n b\r\n\r\nX-Breakwater-Verdict: body\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, odd := range []string{"", "\r\n", "no colon", "a: b", ": x\r\n\r\n"} {
		if got := string(withoutOurs([]byte(odd), "mx")); got != odd {
			t.Errorf("%q became %q", odd, got)
		}
	}
}

// TestAForeignResultCounts: a listed server's word is believed where the message came from it, and nowhere else.
func TestAForeignResultCounts(t *testing.T) {
	const section = enforce + "  trusted_ids: [mx1.acme.example]\n"
	field := []string{"Authentication-Results", "mx1.acme.example; spf=fail smtp.mailfrom=sender.example; dkim=pass header.d=sender.example; dmarc=pass header.from=sender.example",
		"Received", "from x.example (x.example [198.51.100.1]) by mx1.acme.example with ESMTP id 1; Mon, 4 May 2026 09:59:30 +0000"}
	for name, c := range map[string]struct {
		change func(*milter.Message)
		want   string
	}{
		"from that server":          {func(m *milter.Message) { m.ClientName = "mx1.acme.example" }, `"DMARC":"pass","DKIMDomain":"sender.example"`},
		"from within":               {func(m *milter.Message) { m.Client = netip.MustParseAddr("10.20.0.5") }, `"DMARC":"pass"`},
		"from a stranger":           {func(*milter.Message) {}, `"DMARC":"none"`},
		"from one that says it is":  {func(m *milter.Message) { m.Helo = "mx1.acme.example" }, `"DMARC":"none"`},
		"from another's subdomains": {func(m *milter.Message) { m.ClientName = "mx1.acme.example.evil.example" }, `"DMARC":"none"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := gate(t, section, func(o *Options) { o.Authenticate = provenAs(unproven{}) })
			m := with(message("hello", "ann@acme.example"), field...)
			c.change(m)
			b.Judge(t.Context(), m)
			if len(b.records) != 1 || !strings.Contains(b.records[0], c.want) {
				t.Errorf("%s is not in %s", c.want, b.records)
			}
		})
	}
}

// unproven is a proof that there is none.
type unproven struct{}

func (unproven) Header(id string) string { return id + "; dmarc=none" }
func (unproven) Apply(m *ocsf.Mail) {
	m.SPF, m.DKIM, m.DMARC, m.DKIMDomain = "none", "none", "none", ""
}

func TestFieldsAreFoldedAndASCII(t *testing.T) {
	words := []string{"umläut +1.00", "line\r\nbreak: x", strings.Repeat("long", 100)}
	for range 20 {
		words = append(words, "link-mismatch +2.50")
	}
	got := fold("X-Breakwater-Reasons", words)
	for i, line := range strings.Split(got, "\r\n") {
		if len(line) > 76+200 || i > 0 && line[0] != ' ' {
			t.Errorf("line %d: %q", i, line)
		}
		if strings.IndexFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			t.Errorf("line %d is not ASCII: %q", i, line)
		}
	}
	if strings.Contains(strings.ReplaceAll(got, "\r\n ", ""), "\n") {
		t.Error("a name broke the line")
	}
}

func TestWhoWaitsForTheScorerGivesUpInTime(t *testing.T) {
	block := make(chan struct{})
	d := &marks{block: block}
	s, err := NewScorer(settings(t, "").Model, "", func(*tenant.Model) (Detector, error) { return d, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	go func() { close(started); _, _ = s.Judge(context.Background(), &ocsf.Event{Mail: &ocsf.Mail{}}) }()
	<-started
	eventually(t, "the scorer is busy", func() bool { return len(s.lock) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Judge(ctx, &ocsf.Event{Mail: &ocsf.Mail{}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(block)
}

// FuzzSeen: whatever the fields of a message are, what is decoded has our Received field on top, and the gate answers.
func FuzzSeen(f *testing.F) {
	f.Add("Subject", " hello", "eve@x.example", "helo", "body\r\n")
	f.Add("Authentication-Results", " mx.acme.example; spf=pass", "<>", "[1.2.3.4]", "\r\n")
	f.Add("X-Breakwater-Verdict", "", "\"a b\"@c", "a (b) by c; x", "--b\r\n")
	f.Add("Received", " from a by b; Mon, 4 May 2026 09:59:00 +0000", "", "", "\x00\xff")
	b := gate(f, enforce)
	f.Fuzz(func(t *testing.T, name, value, from, helo, text string) {
		m := &milter.Message{Client: netip.MustParseAddr("192.0.2.7"), ClientName: helo, Helo: helo, From: from, Recipients: []string{"ann@acme.example"}, Received: time.Unix(1_800_000_000, 0)}
		m.Headers = []milter.Field{{Name: name, Value: value}, {Name: "From", Value: " a@b.example"}}
		for _, f := range m.Headers {
			m.Raw = append(m.Raw, f.Name+":"+f.Value+"\r\n"...)
		}
		m.Raw = append(m.Raw, "\r\n"+text...)
		seen := string(b.site.Load().seen(m))
		first, _, _ := strings.Cut(seen, "\r\n")
		if !strings.HasPrefix(first, "Received: from ") || strings.ContainsAny(first, "\n\x00") || !strings.Contains(first, " by mx.acme.example with ESMTP; ") {
			t.Fatalf("the first line is %q", first)
		}
		if d := b.Judge(t.Context(), m); d.Action == "" {
			t.Fatal("no decision")
		}
	})
}
