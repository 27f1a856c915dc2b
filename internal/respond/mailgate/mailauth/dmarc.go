package mailauth

import (
	"context"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// dmarcRecord is a policy record (RFC 7489 6.3), with np= of RFC 9091 and t= of DMARC's successor.
type dmarcRecord struct {
	policy, sub, none string // p=, sp=, np=
	strictDKIM        bool   // adkim=s
	strictSPF         bool   // aspf=s
	percent           int    // pct=
	testing           bool   // t=y: act as the next milder policy says
}

// parseDMARC reads one TXT record. is tells whether it is a DMARC record at all; a record with a mistake that
// leaves no policy is one, with an error word.
func parseDMARC(txt string) (rec dmarcRecord, is bool, problem string) {
	first, _, _ := strings.Cut(txt, ";")
	name, version, _ := strings.Cut(first, "=")
	if strings.TrimSpace(name) != "v" || strings.TrimSpace(version) != "DMARC1" {
		return rec, false, ""
	}
	rec.percent = 100
	tags, err := parseTags([]byte(txt))
	if err != nil {
		return rec, true, "a DMARC record with " + err.Error()
	}
	word := func(name string) string { return strings.ToLower(tags.value(name)) }
	policy := func(name string) string {
		switch p := word(name); p {
		case "none", "quarantine", "reject":
			return p
		}
		return ""
	}
	rec.policy, rec.sub, rec.none = policy("p"), policy("sp"), policy("np")
	_, hasSub := tags.get("sp")
	if rec.policy == "" || hasSub && rec.sub == "" {
		if tags.value("rua") == "" {
			return rec, true, "a DMARC record without a valid policy"
		}
		rec.policy, rec.sub, rec.none = "none", "none", "none" // RFC 7489 6.6.3 step 6
	}
	rec.strictDKIM, rec.strictSPF = word("adkim") == "s", word("aspf") == "s"
	rec.testing = word("t") == "y"
	if n, err := strconv.Atoi(tags.value("pct")); err == nil && n >= 0 && n <= 100 {
		rec.percent = n
	}
	return rec, true, ""
}

// dmarc evaluates every domain of From; the worst outcome counts (RFC 7489 6.6.1).
func (c *Checker) dmarc(ctx context.Context, from fromField, spf SPF, dkim []DKIM, raw []byte) DMARC {
	if len(from.domains) == 0 || len(from.domains) > MaxFromDomains {
		return DMARC{Result: PermError, Domains: from.domains, Reason: from.problem}
	}
	var worst DMARC
	for i, d := range from.domains {
		one := c.dmarcOf(ctx, d, spf, dkim, raw)
		if i == 0 || severity(one) > severity(worst) {
			worst = one
		}
	}
	worst.Domains = from.domains
	if worst.Reason == "" {
		worst.Reason = from.problem
	}
	return worst
}

// severity orders outcomes from harmless to grave.
func severity(d DMARC) int {
	switch d.Result {
	case Fail:
		return 10 + slices.Index([]string{"none", "quarantine", "reject"}, d.Applied)
	case PermError:
		return 4
	case TempError:
		return 3
	case None:
		return 2
	}
	return 1
}

func (c *Checker) dmarcOf(ctx context.Context, domain string, spf SPF, dkim []DKIM, raw []byte) DMARC {
	d := DMARC{Result: None, From: domain, Percent: 100}
	rec, at, result, reason := c.dmarcRecord(ctx, domain)
	if d.Result, d.Reason, d.Record = result, reason, at; result != Pass {
		return d
	}
	d.Percent, d.Applied = rec.percent, "none"
	d.Policy = rec.policy
	if at != domain && rec.sub != "" {
		d.Policy = rec.sub
	}
	if d.By, result = alignment(rec, domain, spf, dkim); result == Pass {
		return d
	}
	if rec.none != "" && rec.none != d.Policy && at != domain && c.missing(ctx, domain) {
		d.Policy = rec.none
	}
	if d.Result = result; result == TempError {
		d.Reason = "SPF or DKIM of that domain could not be evaluated now"
		return d
	}
	d.Reason = "neither SPF nor DKIM proves " + domain
	d.Applied = rec.applied(d.Policy, raw)
	return d
}

// alignment tells which method proves the domain. TempError says that one might have, had DNS answered.
func alignment(rec dmarcRecord, domain string, spf SPF, dkim []DKIM) (string, Result) {
	result := Fail
	for _, s := range dkim {
		if !aligned(s.Domain, domain, rec.strictDKIM) {
			continue
		}
		switch s.Result {
		case Pass:
			return "dkim", Pass
		case TempError:
			result = TempError
		}
	}
	if aligned(spf.Domain, domain, rec.strictSPF) {
		switch spf.Result {
		case Pass:
			return "spf", Pass
		case TempError:
			result = TempError
		}
	}
	return "", result
}

// dmarcRecord looks for the record at the domain and then at its organisation's (RFC 7489 6.6.3). The result is
// Pass where there is one.
func (c *Checker) dmarcRecord(ctx context.Context, domain string) (rec dmarcRecord, at string, r Result, reason string) {
	names := []string{domain}
	if org := organisation(domain); org != domain {
		names = append(names, org)
	}
	for _, name := range names {
		txt, err := c.dns.LookupTXT(ctx, "_dmarc."+name)
		if isTemporary(err) {
			return rec, "", TempError, "the DMARC record of " + name + " could not be had: " + err.Error()
		}
		found := 0
		var problem string
		for _, t := range txt {
			one, is, why := parseDMARC(t)
			if !is {
				continue
			}
			if found++; found == 1 {
				rec, problem = one, why
			}
		}
		switch {
		case found > 1: // RFC 7489 6.6.3 step 5
			return rec, "", None, name + " has more than one DMARC record"
		case found == 1 && problem != "":
			return rec, name, PermError, problem
		case found == 1:
			return rec, name, Pass, ""
		}
	}
	return rec, "", None, "no DMARC record"
}

// missing tells whether DNS knows the domain neither as a host nor as a mail domain (RFC 9091 2.7).
func (c *Checker) missing(ctx context.Context, domain string) bool {
	_, err := c.dns.LookupMX(ctx, domain)
	if !isNotFound(err) {
		return false
	}
	_, err = c.dns.LookupIPAddr(ctx, domain)
	return isNotFound(err)
}

// applied is the policy after sampling (RFC 7489 6.6.4): outside of the percentage, and under test, the next milder
// one. Which messages are sampled is drawn from their bytes, so that a second try has the same answer.
func (rec dmarcRecord) applied(policy string, raw []byte) string {
	milder := map[string]string{"reject": "quarantine", "quarantine": "none", "none": "none"}
	h := fnv.New32a()
	h.Write(raw[:min(len(raw), 4<<10)])
	if rec.testing || int(h.Sum32()%100) >= rec.percent {
		return milder[policy]
	}
	return policy
}
