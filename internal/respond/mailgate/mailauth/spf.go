package mailauth

import (
	"context"
	"fmt"
	"strings"

	"blitiri.com.ar/go/spf"
)

// The limits that RFC 7208 4.6.4 sets on one evaluation.
const (
	maxSPFLookups = 10
	maxSPFVoid    = 2
)

// spf evaluates the record of the envelope's domain, or of the HELO name where the reverse path is null. A
// failure of the library is a permerror: nothing that a record says may stop the mail.
func (c *Checker) spf(ctx context.Context, e Envelope) (out SPF) {
	sender, helo := reversePath(e.MailFrom), domainOf(e.Helo)
	out = SPF{Result: None, Identity: "mailfrom"}
	local, domain := "postmaster", helo // RFC 7208 2.4
	if sender == "" {
		out.Identity = "helo"
	} else {
		at := strings.LastIndexByte(sender, '@')
		if at > 0 { // RFC 7208 4.3: an empty local part is postmaster
			local = sender[:at]
		}
		domain = domainOf(sender[at+1:])
		if at < 0 {
			domain = ""
		}
	}
	out.Domain = domain
	switch {
	case domain == "":
		out.Reason = "no domain name to ask for"
		return out
	case !e.Client.IsValid():
		out.Reason = "no address of a client: submitted locally"
		return out
	}
	defer func() {
		if r := recover(); r != nil {
			out.Result, out.Reason = PermError, fmt.Sprintf("the record could not be evaluated: %.100v", r)
		}
	}()
	if strings.IndexByte(local, '@') >= 0 { // the library splits at the first
		local = strings.ReplaceAll(local, "@", "_")
	}
	if helo == "" {
		helo = "unknown"
	}
	r, err := spf.CheckHostWithSender(e.Client.Unmap().AsSlice(), helo, local+"@"+domain,
		spf.WithContext(ctx), spf.WithResolver(c.dns),
		spf.OverrideLookupLimit(maxSPFLookups), spf.OverrideVoidLookupLimit(maxSPFVoid))
	if out.Result = Result(r); err != nil {
		out.Reason = err.Error()
	}
	return out
}
