package mailauth

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Resolver asks DNS. *net.Resolver is one. Failures are *net.DNSError: IsNotFound where there is no such name or
// record; anything else is taken for temporary.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

type askKind uint8

const (
	askTXT askKind = iota
	askMX
	askIP
	askName
)

// question is one question to DNS; the name is in lower case without the trailing dot.
type question struct {
	kind askKind
	name string
}

// answer is what DNS said; it is shared and never changed.
type answer struct {
	txt   []string
	mx    []*net.MX
	ip    []net.IPAddr
	names []string
	err   *net.DNSError
	until time.Time
}

// call is a question under way; done is closed when the answer is there.
type call struct {
	done   chan struct{}
	answer *answer
}

const (
	failureTTL  = 5 * time.Second // a dead server is not asked again for each message
	maxRecords  = 64              // records of one answer; SPF, DKIM and DMARC need one, MX at most 10
	maxRecord   = 8 << 10         // bytes of one TXT record
	answerExtra = 200             // bytes that an answer costs besides its records
)

// resolver answers from what it keeps, asks each question once at a time, and returns when the caller's time is
// over, whatever the Resolver does. What it learns late is kept for the next message.
type resolver struct {
	from        Resolver
	ttl, negTTL time.Duration
	budget      time.Duration
	outstanding int
	now         func() time.Time
	kept        *generations[question, *answer]
	life        context.Context
	end         context.CancelFunc
	asking      sync.WaitGroup

	mu     sync.Mutex
	calls  map[question]*call
	closed bool
}

func newResolver(o Options) *resolver {
	r := &resolver{
		from: o.Resolver, ttl: o.TTL, negTTL: o.NegativeTTL, budget: o.Budget, outstanding: o.Outstanding, now: o.Now,
		calls: map[question]*call{},
	}
	if r.ttl <= 0 {
		r.ttl = 5 * time.Minute
	}
	if r.negTTL <= 0 {
		r.negTTL = time.Minute
	}
	if r.outstanding <= 0 {
		r.outstanding = 512
	}
	size := o.CacheBytes
	if size <= 0 {
		size = 16 << 20
	}
	r.kept = newGenerations[question, *answer](size)
	r.life, r.end = context.WithCancel(context.Background())
	return r
}

func (r *resolver) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	r.asking.Wait()
}

// start asks without waiting, so that the answer is there when it is needed. It returns the answer where it is
// kept, else the call under way; neither where the question cannot be asked.
func (r *resolver) start(q question) (*answer, *call) {
	if q.kind != askName && !plausibleName(q.name) {
		return &answer{err: &net.DNSError{Err: "no name that DNS could have", Name: q.name, IsNotFound: true}}, nil
	}
	if a, ok := r.kept.get(q); ok && r.now().Before(a.until) {
		return a, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.calls[q]; ok {
		return nil, c
	}
	if r.closed || len(r.calls) >= r.outstanding {
		return &answer{err: &net.DNSError{Err: "too many questions to DNS under way", Name: q.name, IsTemporary: true}}, nil
	}
	c := &call{done: make(chan struct{})}
	r.calls[q] = c
	r.asking.Add(1)
	go r.ask(q, c)
	return nil, c
}

// ask puts one question and keeps its answer.
func (r *resolver) ask(q question, c *call) {
	defer r.asking.Done()
	ctx, cancel := context.WithTimeout(r.life, r.budget)
	defer cancel()
	a := &answer{}
	rooted := q.name + "." // so that no search list of this host is tried
	var err error
	switch q.kind {
	case askTXT:
		a.txt, err = r.from.LookupTXT(ctx, rooted)
	case askMX:
		a.mx, err = r.from.LookupMX(ctx, rooted)
	case askIP:
		a.ip, err = r.from.LookupIPAddr(ctx, rooted)
	case askName:
		a.names, err = r.from.LookupAddr(ctx, q.name)
	}
	a.err = dnsError(q.name, err)
	size := a.trim(q)
	ttl := r.ttl
	switch {
	case isNotFound(asError(a.err)):
		ttl = r.negTTL
	case a.err != nil:
		ttl = min(failureTTL, r.negTTL)
	}
	a.until = r.now().Add(ttl)
	r.kept.put(q, a, size)
	r.mu.Lock()
	delete(r.calls, q)
	r.mu.Unlock()
	c.answer = a
	close(c.done)
}

// trim cuts an answer to its limits and returns what it costs to keep. Of the many TXT records of a mail domain
// those of SPF alone are kept.
func (a *answer) trim(q question) int {
	size := answerExtra + len(q.name)
	spfOnly := !strings.Contains(q.name, "_domainkey.") && !strings.HasPrefix(q.name, "_dmarc.")
	kept := make([]string, 0, 1)
	for _, t := range a.txt {
		if spfOnly && (len(t) < 6 || !strings.EqualFold(t[:6], "v=spf1")) {
			continue
		}
		if len(t) > maxRecord {
			t = t[:maxRecord]
		}
		if len(kept) < maxRecords {
			kept = append(kept, strings.Clone(t))
			size += len(t)
		}
	}
	a.txt = kept
	a.mx = a.mx[:min(len(a.mx), maxRecords)]
	a.ip = a.ip[:min(len(a.ip), maxRecords)]
	a.names = a.names[:min(len(a.names), maxRecords)]
	for _, mx := range a.mx {
		size += len(mx.Host) + 32
	}
	for _, n := range a.names {
		size += len(n) + 16
	}
	return size + 64*len(a.ip)
}

// wait returns the answer, or that the time is over.
func (r *resolver) wait(ctx context.Context, q question) *answer {
	a, c := r.start(q)
	if a != nil {
		return a
	}
	select {
	case <-c.done:
		return c.answer
	default:
	}
	select {
	case <-c.done:
		return c.answer
	case <-ctx.Done():
		return &answer{err: &net.DNSError{Err: "no answer in time", Name: q.name, IsTimeout: true, IsTemporary: true}}
	}
}

// LookupTXT returns the TXT records of a name.
func (r *resolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a := r.wait(ctx, question{askTXT, plainName(name)})
	return a.txt, asError(a.err)
}

// LookupMX returns the mail exchangers of a name. Some, with an error, are the valid ones of an answer (RFC 7208 5.4).
func (r *resolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a := r.wait(ctx, question{askMX, plainName(name)})
	return a.mx, asError(a.err)
}

// LookupIPAddr returns the addresses of a host.
func (r *resolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	a := r.wait(ctx, question{askIP, plainName(host)})
	return a.ip, asError(a.err)
}

// LookupAddr returns the names of an address.
func (r *resolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: "no address", Name: addr, IsNotFound: true}
	}
	a := r.wait(ctx, question{askName, ip.Unmap().String()})
	return a.names, asError(a.err)
}

func plainName(s string) string { return strings.ToLower(strings.TrimSuffix(s, ".")) }

// dnsError gives every failure one form. What is no answer of DNS is temporary: the next try may fare better.
func dnsError(name string, err error) *net.DNSError {
	if err == nil {
		return nil
	}
	var d *net.DNSError
	if !errors.As(err, &d) {
		return &net.DNSError{Err: err.Error(), Name: name, IsTemporary: true, IsTimeout: errors.Is(err, context.DeadlineExceeded)}
	}
	c := *d
	c.Name, c.Server = name, ""
	c.IsTemporary = !c.IsNotFound
	return &c
}

// asError keeps a missing failure from becoming an interface that is not nil.
func asError(d *net.DNSError) error {
	if d == nil {
		return nil
	}
	return d
}

func isNotFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

func isTemporary(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && !d.IsNotFound
}
