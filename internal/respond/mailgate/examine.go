package mailgate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	scorer "github.com/breakwater-project/breakwater/internal/detect/phish"
	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/milter"
)

// examined is what is known of a message once it was looked at.
type examined struct {
	parts   []part
	results string // our Authentication-Results; empty where nobody was authenticated
	missing reason // a part of the examination that failed; the zero value where none did
	hash    string
}

// The weights, in log odds, of what decides by itself.
const (
	weightIndicator = 7
	weightMalware   = 9
	weightUnsure    = 2 // of an indicator that its source is not sure of; decides nothing
)

// examine looks at a message for every tenant that it concerns.
func (g *Gate) examine(ctx context.Context, s *site, m *milter.Message) (*examined, error) {
	return g.examineFor(ctx, s, m, s.route(m))
}

func (g *Gate) examineFor(ctx context.Context, s *site, m *milter.Message, parts []part) (*examined, error) {
	sum := sha256.Sum256(m.Raw)
	x := &examined{parts: parts, hash: hex.EncodeToString(sum[:6])}
	if len(parts) == 0 {
		return x, nil
	}
	proof := g.prove(ctx, s, m, parts)
	malware := g.scan(ctx, s, m)
	e := s.decode(m)
	if p := proof(); p != nil {
		x.results = strings.TrimSpace(strings.TrimPrefix(p.Header(s.settings.ID), "Authentication-Results:"))
		p.Apply(e.Mail)
	} else {
		e.Mail.SPF, e.Mail.DKIM, e.Mail.DMARC, e.Mail.DKIMDomain, e.Mail.ARC, e.Mail.ARCDomain = "", "", "", "", "", ""
	}
	found := <-malware
	if found.err != nil {
		x.missing = reason{"clamd", "the antivirus did not answer"}
		g.opt.Log.Warn("the antivirus did not answer", "queue_id", m.QueueID, "err", found.err)
	}
	for i := range x.parts {
		if err := g.score(ctx, s, m, &x.parts[i], e, found.name); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// prove asks who sent a message that came in, also of a copy of it, and returns a function that waits for the answer; it is nil where nobody
// asks, or nothing came in time. A message with a listed server's results was proven there.
func (g *Gate) prove(ctx context.Context, s *site, m *milter.Message, parts []part) func() Proof {
	if !slices.ContainsFunc(parts, func(p part) bool { return p.direction != Outbound }) {
		return func() Proof { return nil }
	}
	if p, ok := s.foreign(m); ok {
		return func() Proof { return p }
	}
	if g.opt.Authenticate == nil {
		return func() Proof { return nil }
	}
	ctx, cancel := context.WithTimeout(ctx, s.settings.Budget.DNS)
	out := make(chan Proof, 1)
	go func() {
		defer g.caught(m, func() { out <- nil })
		out <- g.opt.Authenticate(ctx, Sender{m.Client, m.Helo, m.From}, m.Raw)
	}()
	return func() Proof {
		defer cancel()
		select {
		case p := <-out:
			return p
		case <-ctx.Done():
		}
		select { // it says what it has by then, unless it hangs
		case p := <-out:
			return p
		case <-time.After(proofGrace):
			return nil
		}
	}
}

// proofGrace is how long what heeds its context may take to come back once that has ended.
const proofGrace = 100 * time.Millisecond

type scanned struct {
	name string
	err  error
}

// scan asks the antivirus, where there is one.
func (g *Gate) scan(ctx context.Context, s *site, m *milter.Message) <-chan scanned {
	out := make(chan scanned, 1)
	if g.opt.Malware == nil {
		out <- scanned{}
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, s.settings.Budget.Clamd)
	go func() {
		defer cancel()
		defer g.caught(m, func() { out <- scanned{err: fmt.Errorf("asking it failed in here")} })
		name, err := g.opt.Malware(ctx, m.Raw)
		out <- scanned{name, err}
	}()
	return out
}

// caught keeps a panic of one goroutine from ending the program; then is what goes on instead.
func (g *Gate) caught(m *milter.Message, then func()) {
	if p := recover(); p != nil {
		g.count.panics.Add(1)
		g.opt.Log.Error("judging a message failed, which is a bug of ours", "queue_id", m.QueueID, "what", p)
		then()
	}
}

// decode reads a message as the tenant's own border would have written it: with a Received field of ours on top, and
// without fields that speak in our name or that nobody vouches for.
func (s *site) decode(m *milter.Message) *ocsf.Event {
	e, why := mail.Message(s.seen(m))
	if e == nil { // it has a Received field with a time, so this does not happen; an unreadable message is suspicious
		e = &ocsf.Event{Layer: "mail", Class: ocsf.ClassEmailActivity, Source: "mail", Mail: &ocsf.Mail{ParseProblems: []string{"broken: " + why}}}
	}
	e.Time = m.Received.UTC()
	e.Mail.EnvelopeFrom = strings.ToLower(m.From)
	if m.Cut {
		e.Mail.ParseProblems = append(e.Mail.ParseProblems, fmt.Sprintf("limit: only the first %d bytes were looked at", len(m.Raw)))
	}
	if m.Client.IsValid() && !m.Client.IsLoopback() {
		e.Mail.SendingIP, e.Src.IP = m.Client, m.Client
	}
	return e
}

func (s *site) seen(m *milter.Message) []byte {
	var b strings.Builder
	b.Grow(len(m.Raw) + 512)
	b.WriteString(received(m, s.settings.ID))
	forged := map[milter.Place]bool{}
	for _, p := range strip(m.Headers, s.settings.ID) {
		forged[p] = true
	}
	counts := map[string]int{}
	for _, f := range m.Headers {
		name := strings.ToLower(f.Name) // places count whatever the case
		counts[name]++
		if forged[milter.Place{Name: f.Name, Index: counts[name]}] || strings.TrimSpace(name) == "authentication-results" || strings.TrimSpace(name) == "received-spf" {
			continue
		}
		b.WriteString(f.Name)
		b.WriteByte(':')
		b.WriteString(f.Value)
		b.WriteString("\r\n")
	}
	out := []byte(b.String())
	return append(out, body(m)...)
}

// body returns the message from the empty line behind its header on.
func body(m *milter.Message) []byte {
	n := 0
	for _, f := range m.Headers {
		n += len(f.Name) + 1 + len(f.Value) + 2
	}
	if n > len(m.Raw) {
		return nil
	}
	return m.Raw[n:]
}

// received is the field that the mail server will write of this receipt (RFC 5321 4.4), as far as we know it.
func received(m *milter.Message, by string) string {
	from := plain(m.Helo, "localhost")
	at := ""
	if m.Client.IsValid() {
		at = fmt.Sprintf(" (%s [%s])", plain(m.ClientName, "unknown"), m.Client)
	}
	id := ""
	if m.QueueID != "" {
		id = " id " + plain(m.QueueID, "unknown")
	}
	return fmt.Sprintf("Received: from %s%s by %s with ESMTP%s; %s\r\n", from, at, by, id, m.Received.UTC().Format(time.RFC1123Z))
}

// plain returns a name that cannot be read as more than one word of a Received field.
func plain(s, otherwise string) string {
	s = strings.Trim(s, "[]")
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '.' && c != '-' && c != '_' && c != ':' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return otherwise
		}
	}
	if s == "" || len(s) > 255 {
		return otherwise
	}
	return s
}

// score judges the message for one tenant.
func (g *Gate) score(ctx context.Context, s *site, m *milter.Message, p *part, decoded *ocsf.Event, malware string) error {
	e := *decoded
	content := *decoded.Mail
	e.Mail, e.Tenant = &content, p.tenant
	e.Fields = slices.Clone(decoded.Fields)
	e.Activity = "receive"
	if p.direction == Outbound {
		e.Activity = "send"
		e.Fields = append(e.Fields, ocsf.Field{Name: "envelope.login", Value: m.Login})
	}
	e.Fields = append(e.Fields, ocsf.Field{Name: "envelope.direction", Value: p.direction})
	e.Fields.Sort()
	if len(p.recipients) > 0 {
		e.User.Name = strings.ToLower(p.recipients[0])
	}
	if e.SourceID != "" {
		e.SourceID += "|" + p.direction
	}
	s.attributor.Attribute(&e)
	p.event = &e
	v, err := g.opt.Scorer.Judge(ctx, &e)
	if err != nil {
		return fmt.Errorf("scoring it for %s: %w", p.tenant, err)
	}
	if g.opt.Match != nil {
		for i, hit := range g.opt.Match(&e) {
			if i == 5 {
				break
			}
			if hit.Unsure {
				v.Reasons = append(slices.Clone(v.Reasons), ocsf.MailReason{Name: "indicator-unsure", Weight: weightUnsure, Text: hit.Text})
				slices.SortStableFunc(v.Reasons, func(a, b ocsf.MailReason) int { return cmp.Compare(b.Weight, a.Weight) })
				if v.Verdict == clean {
					v.Verdict = suspicious
				}
				continue
			}
			certain(&v, ocsf.MailReason{Name: "indicator-match", Weight: weightIndicator, Text: hit.Text}, .99)
		}
	}
	if malware != "" {
		certain(&v, ocsf.MailReason{Name: "malware", Weight: weightMalware, Text: "the antivirus found " + oneLine(malware)}, .999)
	}
	p.verdict = v
	if p.direction == Inbound && g.opt.Heightened != nil && g.opt.Heightened(p.tenant) {
		if partner := partnerOf(s.model, &e); partner != "" {
			if asks := request(&e, &v); asks != "" {
				p.heightened = fmt.Sprintf("the alert level is heightened, and this mail of partner %s %s", partner, asks)
			}
		}
	}
	return nil
}

// certain adds a reason that decides by itself.
func certain(v *ocsf.MailVerdict, r ocsf.MailReason, score float64) {
	v.Verdict = phish
	v.Points = max(v.Points, scorer.PointsHigh)
	v.Score = max(v.Score, score)
	if v.Rule == "" {
		v.Rule = r.Name
	}
	v.Reasons = append([]ocsf.MailReason{r}, v.Reasons...)
}

// The verdicts of a message.
const (
	clean      = "clean"
	suspicious = "suspicious"
	phish      = "phish"
)

// apply puts a policy's thresholds in the place of the scorer's. What the scorer cannot read stays suspicious, and what
// decides by itself stays phish, whatever the threshold.
func apply(p config.MailPolicy, v ocsf.MailVerdict) ocsf.MailVerdict {
	decided := slices.ContainsFunc(v.Reasons, func(r ocsf.MailReason) bool { return r.Name == "indicator-match" || r.Name == "malware" })
	if p.Threshold > 0 {
		v.Threshold = p.Threshold
		switch {
		case v.Score >= p.Threshold || decided:
			v.Verdict = phish
		case v.Verdict == phish:
			v.Verdict = suspicious
		}
	}
	if p.SuspiciousThreshold > 0 && v.Verdict == clean && v.Score >= p.SuspiciousThreshold {
		v.Verdict = suspicious
	}
	return v
}
