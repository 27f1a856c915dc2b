package mailauth

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foxcpp/go-mockdns"
)

// counted counts questions by name; those of stuck names wait until their context ends, or for ever.
type counted struct {
	Resolver
	mu     sync.Mutex
	asked  map[string]int
	stuck  string
	deaf   chan struct{} // not nil: who is stuck does not heed the context either, until it is closed
	active atomic.Int64
}

func (c *counted) LookupTXT(ctx context.Context, name string) ([]string, error) {
	c.mu.Lock()
	if c.asked == nil {
		c.asked = map[string]int{}
	}
	c.asked[name]++
	c.mu.Unlock()
	c.active.Add(1)
	defer c.active.Add(-1)
	if c.stuck != "" && strings.Contains(name, c.stuck) {
		if c.deaf != nil {
			<-c.deaf
		} else {
			<-ctx.Done()
		}
		return nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}
	}
	return c.Resolver.LookupTXT(ctx, name)
}

func (c *counted) times(name string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[name]
}

func partnerZones(t *testing.T) map[string]mockdns.Zone {
	return zones(t, map[string]mockdns.Zone{
		"partner.example.":        txt("v=spf1 ip4:192.0.2.1 -all"),
		"_dmarc.partner.example.": txt("v=DMARC1; p=reject"),
	}, "partner.example")
}

func TestCheck_deadDNSIsATemporaryErrorWithinTheBudget(t *testing.T) {
	raw := []byte(signed(t, letter, "partner.example"))
	z := partnerZones(t)
	for _, tt := range []struct {
		name, stuck      string
		deaf             bool
		spf, dkim, dmarc Result
	}{
		{"all of DNS", "example", false, TempError, TempError, TempError},
		{"all of DNS, by a resolver that heeds no context", "example", true, TempError, TempError, TempError},
		{"the key alone", "_domainkey", false, Pass, TempError, Pass},
		{"the policy alone", "_dmarc", false, Pass, Pass, TempError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dns := &counted{Resolver: &mockdns.Resolver{Zones: z}, stuck: tt.stuck}
				if tt.deaf {
					dns.deaf = make(chan struct{})
				}
				c := New(Options{Resolver: dns, Budget: 2 * time.Second})
				started := time.Now()
				r := c.Check(t.Context(), envelope("192.0.2.1", "mx.partner.example", "joe@partner.example"), raw)
				if took := time.Since(started); took > 2*time.Second {
					t.Errorf("took %s with a budget of 2 s", took)
				}
				if len(r.DKIM) != 1 || r.SPF.Result != tt.spf || r.DKIM[0].Result != tt.dkim || r.DMARC.Result != tt.dmarc {
					t.Errorf("spf %+v, dkim %+v, dmarc %+v; want %s, %s, %s", r.SPF, r.DKIM, r.DMARC, tt.spf, tt.dkim, tt.dmarc)
				}
				// The next message of that sender does not wait anew.
				if !tt.deaf {
					synctest.Wait()
					before := time.Now()
					c.Check(t.Context(), envelope("192.0.2.1", "mx.partner.example", "joe@partner.example"), raw)
					if took := time.Since(before); took != 0 {
						t.Errorf("the second message waits %s for what just failed", took)
					}
				}
				if tt.deaf {
					close(dns.deaf)
				}
				c.Close()
			})
		})
	}
}

func TestCheck_endOfContextEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{Resolver: &counted{Resolver: &mockdns.Resolver{}, stuck: "example"}})
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		started := time.Now()
		r := c.Check(ctx, envelope("192.0.2.1", "mx", "joe@partner.example"), []byte(letter))
		if took := time.Since(started); took != 100*time.Millisecond || r.SPF.Result != TempError {
			t.Errorf("took %s and found %+v", took, r.SPF)
		}
	})
}

func TestResolver_keepsAnswersForTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := map[string]mockdns.Zone{
			"yes.example.": txt("v=spf1 -all"), "fail.example.": {Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}},
		}
		dns := &counted{Resolver: &mockdns.Resolver{Zones: z}}
		c := New(Options{Resolver: dns, TTL: time.Minute, NegativeTTL: 20 * time.Second})
		defer c.Close()
		ask := func(name string) { _, _ = c.dns.LookupTXT(t.Context(), name) }
		for _, tt := range []struct {
			name string
			ttl  time.Duration
		}{{"yes.example.", time.Minute}, {"no.example.", 20 * time.Second}, {"fail.example.", failureTTL}} {
			for range 3 {
				ask(tt.name)
				ask(strings.ToUpper(tt.name))
			}
			if n := dns.times(tt.name); n != 1 {
				t.Errorf("%s was asked %d times, want once", tt.name, n)
			}
			timer := time.NewTimer(tt.ttl - 1)
			<-timer.C
			if ask(tt.name); dns.times(tt.name) != 1 {
				t.Errorf("%s is asked again before its time", tt.name)
			}
			timer.Reset(1)
			<-timer.C
			if ask(tt.name); dns.times(tt.name) != 2 {
				t.Errorf("%s is not asked again after %s", tt.name, tt.ttl)
			}
		}
	})
}

func TestResolver_asksOnceForManyAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &counted{Resolver: &mockdns.Resolver{}, stuck: "slow"}
		c := New(Options{Resolver: dns, Outstanding: 3})
		defer c.Close()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { _, _ = c.dns.LookupTXT(t.Context(), fmt.Sprintf("slow%d.example", i%2)) })
		}
		synctest.Wait()
		if n := dns.active.Load(); n != 2 {
			t.Errorf("%d questions under way for two names", n)
		}
		_, ok := c.dns.start(question{askTXT, "slow8.example"})
		if a, _ := c.dns.start(question{askTXT, "slow9.example"}); ok == nil || a == nil || !isTemporary(asError(a.err)) {
			t.Errorf("beyond three questions: %+v, want a temporary failure at once", a)
		}
		wg.Wait()
	})
}

func TestResolver_afterCloseNothingIsAsked(t *testing.T) {
	dns := &counted{Resolver: &mockdns.Resolver{}}
	c := New(Options{Resolver: dns})
	c.Close()
	if r := c.Check(t.Context(), envelope("192.0.2.1", "mx", "joe@partner.example"), []byte(letter)); r.SPF.Result != TempError || dns.times("partner.example.") != 0 {
		t.Errorf("found %+v, asked %d times", r.SPF, dns.times("partner.example."))
	}
}

func TestResolver_keptAnswersStayInTheirBytes(t *testing.T) {
	big := strings.Repeat("x", 4000)
	z := map[string]mockdns.Zone{}
	for i := range 500 {
		z[fmt.Sprintf("k._domainkey.d%d.example.", i)] = txt(big)
		z[fmt.Sprintf("d%d.example.", i)] = txt(big, big, "v=spf1 -all", big)
	}
	c := New(Options{Resolver: &mockdns.Resolver{Zones: z}, CacheBytes: 100 << 10})
	defer c.Close()
	for i := range 500 {
		for _, name := range []string{fmt.Sprintf("k._domainkey.d%d.example", i), fmt.Sprintf("d%d.example", i)} {
			if got, err := c.dns.LookupTXT(t.Context(), name); err != nil || len(got) != 1 {
				t.Fatalf("%s: %d records, %v; want one", name, len(got), err)
			}
		}
		if bytes, values := c.dns.kept.size(); bytes > 50<<10 || values > 60 {
			t.Fatalf("after %d domains %d values are kept, %d bytes in the young half", i, values, bytes)
		}
	}
}

func TestResolver_neverAsksForWhatIsNoName(t *testing.T) {
	dns := &counted{Resolver: &mockdns.Resolver{}}
	c := New(Options{Resolver: dns})
	defer c.Close()
	for _, name := range []string{"", ".", "a..b", "a b.example", "x\x00.example", strings.Repeat("a", 64) + ".example", strings.Repeat("a.", 127) + "example", "ü.example"} {
		if _, err := c.dns.LookupTXT(t.Context(), name); !isNotFound(err) {
			t.Errorf("%q: %v, want not found", name, err)
		}
	}
	if len(dns.asked) != 0 {
		t.Errorf("asked for %v", dns.asked)
	}
}
