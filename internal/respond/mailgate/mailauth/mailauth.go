// Package mailauth proves who sent a message, at the moment of its receipt: SPF (RFC 7208) from the envelope, DKIM
// (RFC 6376, 8301, 8463), ARC (RFC 8617) and DMARC alignment (RFC 7489 with the tags of its successor) from the
// bytes of the message. What it found is written as Authentication-Results (RFC 8601); copies of that field which
// came in from outside are named for removal, and those of listed servers read.
//
// In come an envelope, the raw message and a resolver; out come Results. Nothing fails: what cannot be found out
// is a temperror (ask again later) or a permerror (it will not get better). One Check never waits longer for DNS
// than its budget, whatever the domains in the message do, and every size and count that a sender chooses is
// capped. A pass says whose server spoke, never that the message is harmless: mail of a partner that was broken
// into passes all of it.
package mailauth

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

// The limits of one Check. What exceeds one is said as the reason of the result that it spoiled.
const (
	MaxHeaderBytes   = 1 << 20 // of the header section
	MaxFields        = 2000    // header fields
	MaxSignatures    = 5       // DKIM signatures that are verified; aligned ones are taken first
	MaxSignedFields  = 200     // names in one signature's h=
	MaxInstances     = 20      // ARC sets; RFC 8617 4.2.1 allows 50
	MaxFromDomains   = 4       // different domains in From
	maxSignatureSize = 16 << 10
)

// Options configure a Checker; the zero value is usable.
type Options struct {
	Resolver    Resolver         // nil: net.DefaultResolver
	Budget      time.Duration    // of all DNS questions of one Check together; 0: 3 s
	TTL         time.Duration    // how long an answer is kept; 0: 5 min
	NegativeTTL time.Duration    // how long "there is no such name" is kept; 0: 1 min. A failure is kept 5 s.
	CacheBytes  int              // of all kept answers; 0: 16 MiB
	Outstanding int              // questions under way at one time, of all Checks; 0: 512
	Now         func() time.Time // nil: time.Now
}

// Checker authenticates messages. It is safe for concurrent use; its Checks share one cache of DNS answers, which
// holds public records alone and therefore nothing of a tenant.
type Checker struct {
	dns    *resolver
	keys   *generations[string, *publicKey]
	budget time.Duration
	now    func() time.Time
}

// New returns a Checker. The caller closes it.
func New(o Options) *Checker {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.Budget <= 0 {
		o.Budget = 3 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Checker{
		dns:    newResolver(o),
		keys:   newGenerations[string, *publicKey](4 << 20),
		budget: o.Budget,
		now:    o.Now,
	}
}

// Close ends the DNS questions under way and waits for them; a resolver that does not heed its context makes it
// wait for the answer. A Check after Close gets no more answers than are kept.
func (c *Checker) Close() { c.dns.close() }

// Envelope is what the SMTP client said and where it came from.
type Envelope struct {
	Client   netip.Addr // address of the SMTP client; not valid where the message was submitted locally
	Helo     string     // argument of HELO or EHLO
	MailFrom string     // reverse path, with or without brackets; "" is the null reverse path of bounces
}

// Result is the outcome of one method, in the words of RFC 8601 2.7.
type Result string

// The outcomes. Policy is a signature that is right and yet not accepted: see DKIM.Partial.
const (
	None      Result = "none"
	Pass      Result = "pass"
	Fail      Result = "fail"
	SoftFail  Result = "softfail"
	Neutral   Result = "neutral"
	Policy    Result = "policy"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// Check authenticates one message. The raw message has its header fields as they were received, in their order,
// folding and leading spaces included: DKIM's simple canonicalisation signs those too. Lines may end in CRLF or LF.
func (c *Checker) Check(ctx context.Context, e Envelope, raw []byte) Results {
	ctx, cancel := context.WithTimeout(ctx, c.budget)
	defer cancel()
	m := readMessage(raw)
	r := Results{Client: e.Client.Unmap(), Helo: domainOf(e.Helo), MailFrom: reversePath(e.MailFrom)}
	from := m.from()

	// All names that the message itself gives are asked at once; what follows waits for one after the other.
	sigs := m.signatures(from)
	chain := m.chain()
	c.prefetch(sigs, chain, from)

	// SPF asks one name after the other, and one dead server of theirs may use up the budget; so it goes beside.
	spf := make(chan SPF, 1)
	go func() { spf <- c.spf(ctx, e) }()
	r.DKIM = c.dkim(ctx, m, sigs, from)
	r.Unverified = sigs.ignored
	r.ARC = c.arc(ctx, m, chain)
	r.SPF = <-spf
	r.DMARC = c.dmarc(ctx, from, r.SPF, r.DKIM, raw)
	return r
}

func (c *Checker) prefetch(sigs signatures, chain arcChain, from fromField) {
	for i := range sigs.list {
		if s := &sigs.list[i]; s.problem == "" {
			c.dns.start(question{askTXT, s.keyName()})
		}
	}
	if chain.problem == "" {
		for i := range chain.sets {
			c.dns.start(question{askTXT, chain.sets[i].seal.keyName()})
		}
		if n := len(chain.sets); n > 0 {
			c.dns.start(question{askTXT, chain.sets[n-1].sig.keyName()})
		}
	}
	for _, d := range from.domains {
		c.dns.start(question{askTXT, "_dmarc." + d})
		if org := organisation(d); org != d {
			c.dns.start(question{askTXT, "_dmarc." + org})
		}
	}
}

// reversePath returns the address between the brackets, or "" for the null path.
func reversePath(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexByte(s, '<'); i == 0 {
		s, _, _ = strings.Cut(s[1:], ">")
	}
	if strings.HasPrefix(s, "@") { // source route, RFC 5321 C
		if _, rest, ok := strings.Cut(s, ":"); ok {
			s = rest
		}
	}
	return s
}
