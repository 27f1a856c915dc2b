//go:build linux

package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// mostScoreGrowth is how much more `mail score` may hold in the last third of its time than in the second: the twenty
// bytes of each message that it keeps in memory, and what the collector has not come to.
const mostScoreGrowth = 40 << 20

// TestMailScoreMemoryIsFlat gives `breakwater mail score` one compressed mbox, each message from senders and with links
// that were never seen before, and looks at what the process holds all the while. BREAKWATER_MAIL_MESSAGES says how
// many; without it 10,000, and a million in the long tests.
func TestMailScoreMemoryIsFlat(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector holds more memory than the program: make test runs it without")
	}
	n := 10_000
	if os.Getenv("BREAKWATER_LONG") != "" {
		n = 1_000_000
	}
	if v, err := strconv.Atoi(os.Getenv("BREAKWATER_MAIL_MESSAGES")); err == nil && v > 0 {
		n = v
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "breakwater.yaml")
	if err := os.WriteFile(config, []byte("tenants: [{id: client, name: Client, role: client, domains: [client.example]}]\npartners: [{id: partner, name: Partner}]\n"+
		"trusts: [{id: t, partner: partner, tenant: client, owner: it@client.example, mail_domains: [partner.example]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	box := filepath.Join(dir, "all.mbox.zst")
	writeManyMails(t, box, n)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"jsonl", "csv", "table"} {
		if format != "jsonl" && n > 100_000 {
			continue // it is the printing that differs, and the quick run has shown it
		}
		t.Run(format, func(t *testing.T) {
			lines, held := scoreAndWatch(t, self, n, "mail", "score", "--config", config, "--tenant", "client", "-o", format, box)
			want := n
			if format != "jsonl" {
				want++ // the head
			}
			if lines != want {
				t.Errorf("%d lines, want %d", lines, want)
			}
			if len(held) < 9 {
				t.Fatalf("it was over after %d looks: give more messages", len(held))
			}
			third := len(held) / 3
			first, second, last := peak(held[:third]), peak(held[third:2*third]), peak(held[2*third:])
			t.Logf("%d messages: at most %d MiB in the first third of the time, %d in the second, %d in the last", n, first>>20, second>>20, last>>20)
			if most := max(first, second, last); most > mostMailMemory {
				t.Errorf("it held %d MiB, at most %d", most>>20, mostMailMemory>>20)
			}
			if n >= 100_000 && last > second+mostScoreGrowth { // of a short run the last third is where habits are learned
				t.Errorf("it held %d MiB in the last third and %d in the second", last>>20, second>>20)
			}
		})
	}
}

func peak(list []uint64) (most uint64) {
	for _, v := range list {
		most = max(most, v)
	}
	return most
}

// scoreAndWatch runs the program, and returns how many lines it wrote and what it held at each look.
func scoreAndWatch(t *testing.T, self string, n int, args ...string) (lines int, held []uint64) {
	t.Helper()
	c := exec.Command(self, args...)
	c.Args[0] = "breakwater"
	c.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	var told bytes.Buffer
	c.Stderr = &told
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan int, 1)
	go func() {
		count := 0
		for in := bufio.NewReaderSize(out, 1<<20); ; {
			line, err := in.ReadSlice('\n')
			if len(line) > 0 && line[len(line)-1] == '\n' {
				count++
			}
			if err == io.EOF {
				break
			}
		}
		read <- count
	}()
	clock := time.NewTicker(100 * time.Millisecond)
	defer clock.Stop()
	status := fmt.Sprintf("/proc/%d/status", c.Process.Pid)
	for over := false; !over; {
		select {
		case lines = <-read:
			over = true
		case <-clock.C:
			if v := residentIn(status); v > 0 {
				held = append(held, v)
			}
		}
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("%v: %s", err, told.String())
	}
	if ru := c.ProcessState.SystemTime() + c.ProcessState.UserTime(); ru > 0 {
		t.Logf("%.0f messages a CPU second, %s in all", float64(n)/ru.Seconds(), time.Since(began).Round(time.Second))
	}
	return lines, held
}

// residentIn reads a process's resident memory in bytes, or 0 where it has gone.
func residentIn(status string) uint64 {
	data, err := os.ReadFile(status)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}

var (
	timeFields = regexp.MustCompile(`(?mi)^(received|date|return-path):[^\n]*\n([ \t][^\n]*\n)*`)
	linkedHost = regexp.MustCompile(`(?i)https?://([a-z0-9.-]+\.[a-z]{2,})`)
	fromHost   = regexp.MustCompile(`(?mi)^from:[^\n]*@([a-z0-9.-]+\.[a-z]{2,})`)
)

// writeManyMails writes n messages to a compressed mbox: small ones of the corpus again and again, each time with other
// hosts and a later time; every third comes from the partner.
func writeManyMails(t *testing.T, name string, n int) {
	t.Helper()
	type sample struct {
		head, body string
		hosts      []string
		from       string
	}
	var samples []sample
	for _, m := range mailCorpus(t) {
		if len(m.Raw) > 4<<10 || len(samples) >= 1_000 {
			continue
		}
		head, body, ok := strings.Cut(string(m.Raw), "\n\n")
		from := fromHost.FindStringSubmatch(head)
		if !ok || from == nil {
			continue
		}
		s := sample{head: timeFields.ReplaceAllString(head+"\n", ""), body: strings.ReplaceAll(body, "\nFrom ", "\n>From "), from: from[1]}
		for _, f := range linkedHost.FindAllStringSubmatch(body, 20) {
			s.hosts = append(s.hosts, f[1])
		}
		samples = append(samples, s)
	}
	if len(samples) < 100 {
		t.Fatalf("only %d small messages are in the corpus", len(samples))
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		s := samples[i%len(samples)]
		turn, at := strconv.Itoa(i/len(samples)), at.Add(time.Duration(i)*2*time.Second)
		sender := "t" + turn + "." + s.from
		if i%3 == 0 {
			sender = "partner.example"
		}
		pairs := []string{s.from, sender}
		for _, h := range s.hosts {
			if h != s.from {
				pairs = append(pairs, h, "t"+turn+"."+h)
			}
		}
		r := strings.NewReplacer(pairs...)
		fmt.Fprintf(z, "From x@%[1]s %[2]s\nReceived: from mail.%[1]s (mail.%[1]s [192.0.2.%[3]d]) by mx.client.example; %[4]s\nDate: %[4]s\n", sender, at.Format(time.ANSIC), i%250, at.Format(time.RFC1123Z))
		if _, err := io.WriteString(z, r.Replace(s.head)+"\n"+r.Replace(s.body)+"\n\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}
