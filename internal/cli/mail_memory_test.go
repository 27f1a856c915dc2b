package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/mailcorpus"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// mostMailMemory is how much the process may hold while it judges mail without end, in bytes.
const mostMailMemory = 250 << 20

// mostMailGrowth is how much the second half of the messages may add, whatever their number: what is learned of habits
// grows until its bounds are reached, and then no more. It is a twentieth of all.
const mostMailGrowth = mostMailMemory / 20

// TestMailMemoryIsFlat judges and learns message after message, as a gateway does, each time from senders, links and
// people that were never seen, and looks at what the process holds. BREAKWATER_MAIL_MESSAGES says how many; without
// it 5,000, and a million in the long tests.
func TestMailMemoryIsFlat(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector holds more memory than the program: make test runs it without")
	}
	n := 5_000
	if os.Getenv("BREAKWATER_LONG") != "" {
		n = 1_000_000
	}
	if v, err := strconv.Atoi(os.Getenv("BREAKWATER_MAIL_MESSAGES")); err == nil && v > 0 {
		n = v
	}
	dir, names := sampleFolder(t)
	m := &tenant.Model{Version: "test", Tenants: []tenant.Tenant{{ID: "client", Name: "Client", Role: tenant.RoleClient, Domains: []string{"client.example"}}},
		Partners: []tenant.Partner{{ID: "partner", Name: "Partner"}},
		Trusts:   []tenant.Trust{{ID: "t", Partner: "partner", Tenant: "client", MailDomains: []string{"partner.example"}}}}
	d := newPhish(m)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	before, half := live(), uint64(0) // other tests of the package hold the corpus
	begin := processMemory(t)
	for i := range n {
		raw, err := os.ReadFile(filepath.Join(dir, names[i%len(names)]))
		if err != nil {
			t.Fatal(err)
		}
		if e, reason := mail.Message(raw); reason == "" {
			turn := strconv.Itoa(i / len(names))
			at = at.Add(time.Second)
			e.Time, e.Tenant = at, "client"
			if local, domain, ok := strings.Cut(e.Mail.From, "@"); ok {
				e.Mail.From = local + turn + "@t" + turn + "." + domain
				if i%3 == 0 { // whose habits are learned
					e.Mail.From = local + turn + "@partner.example"
					e.Mail.SPF, e.Mail.DKIM, e.Mail.DMARC, e.Mail.DKIMDomain = "pass", "pass", "pass", "partner.example"
				}
			}
			for k := range e.Mail.Links {
				l := &e.Mail.Links[k]
				l.URL, l.Host = strings.Replace(l.URL, l.Host, "t"+turn+"."+l.Host, 1), "t"+turn+"."+l.Host
			}
			e.Mail.MessageID += turn
			v := d.Judge(e)
			d.Learn(e, v)
			d.Advance(at, nil)
		}
		if i == n/2 {
			half = max(live(), before)
		}
	}
	end, rss := max(live(), before)-before, max(processMemory(t), begin)-begin
	half -= before
	runtime.KeepAlive(d)
	t.Logf("%d messages: live heap %d KiB more at half, %d KiB more at the end, %d MiB more held by the process (%d MiB before)", n, half>>10, end>>10, rss>>20, begin>>20)
	if end > mostMailMemory || rss > mostMailMemory {
		t.Errorf("%d MiB live and %d MiB more held after %d messages, at most %d", end>>20, rss>>20, n, mostMailMemory>>20)
	}
	if grown := int64(end) - int64(half); grown > mostMailGrowth {
		t.Errorf("the live heap grew by %d KiB in the second half of %d messages, at most %d", grown>>10, n, mostMailGrowth>>10)
	}
}

// sampleFolder writes every ninth message of the corpus to a folder, so that the corpus itself is not in memory.
func sampleFolder(t *testing.T) (dir string, names []string) {
	t.Helper()
	all := mailCorpus(t)

	var few []mailcorpus.Message
	for i := 0; i < len(all); i += 9 {
		few = append(few, all[i])
	}
	dir = mailFolder(t, few, func(*mailcorpus.Message) bool { return true })
	for i := range few {
		names = append(names, few[i].ID+".eml")
	}
	return dir, names
}

// live is what the heap holds after a collection; freed memory goes back to the system.
func live() uint64 {
	debug.FreeOSMemory()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// processMemory is the resident memory of the test's process in bytes, or 0 where the system doesn't tell.
func processMemory(t *testing.T) uint64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
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
