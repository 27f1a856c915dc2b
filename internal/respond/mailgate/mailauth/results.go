package mailauth

import (
	"net/netip"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Results is all that one Check found.
type Results struct {
	Client     netip.Addr
	Helo       string // in lower case; "" where it is no domain name
	MailFrom   string // reverse path without brackets; "" null
	SPF        SPF
	DKIM       []DKIM // one a verified signature, aligned ones first, otherwise top-most first
	Unverified int    // signatures beyond MaxSignatures, which nobody looked at
	ARC        ARC
	DMARC      DMARC
}

// SPF says whether the client may speak for the envelope's domain (RFC 7208).
type SPF struct {
	Result   Result
	Domain   string // whose record was asked; "" where there was none to ask
	Identity string // mailfrom, or helo where the reverse path is null (RFC 7208 2.4)
	Reason   string // in words
}

// DKIM says what one signature proves (RFC 6376).
type DKIM struct {
	Result    Result
	Domain    string    // d=: who takes responsibility
	Selector  string    // s=
	Identity  string    // i=, or @ and the domain
	Algorithm string    // a=
	Tag       string    // the first octets of b=, which tell signatures of one domain apart (RFC 6008)
	Aligned   bool      // the domain is of the same organisation as the From address
	Partial   bool      // l= leaves an end of the body unsigned; such a signature is Policy, not Pass
	Testing   bool      // the key says that its domain only tests (t=y); it counts all the same (RFC 6376 3.6.1)
	Expired   bool      // x= has passed
	Signed    time.Time // t=, UTC; zero where it is not told
	Expires   time.Time // x=, UTC; zero where it is not told
	Reason    string    // why it is no pass, or what is unusual of one
}

// ARC says whether the seals of the servers that handed the message on are whole (RFC 8617). It tells nothing of
// whether those servers are worth believing: anybody may seal.
type ARC struct {
	Result     Result   // None, Pass or Fail, and TempError where a key could not be had
	Sealer     string   // domain of the last seal, also where the chain is broken; "" none
	Chain      []string // domains of the seals, first hop first; only of a Pass
	OldestPass int      // instance from which on nothing was changed, 0: from the first (RFC 8617 5.2); only of a Pass
	Said       []Claims // what each hop found, first hop first; only of a Pass
	Reason     string
}

// DMARC says whether the From address is that of a domain which SPF or DKIM proved (RFC 7489).
type DMARC struct {
	Result  Result
	From    string   // domain of the From address that decided
	Domains []string // all domains of From; more than one is unusual in itself
	Record  string   // domain whose record was found: From's or its organisation's; "" none
	Policy  string   // what the record asks for a failure of this domain: none, quarantine, reject; "" no record
	Applied string   // the same after pct= and t=y; "none" where the result is not Fail; "" no record
	Percent int      // pct=
	By      string   // spf or dkim: what aligned
	Reason  string
}

// Deciding returns the signature that speaks for the message: an aligned one that passes, else any that passes,
// else the first. It returns the zero value, with result None, where there is no signature.
func (r *Results) Deciding() DKIM {
	best := DKIM{Result: None}
	rank := -1
	for _, d := range r.DKIM {
		n := 0
		if d.Result == Pass {
			n = 2
		}
		if d.Aligned {
			n++
		}
		if n > rank {
			best, rank = d, n
		}
	}
	return best
}

// Apply writes the results into the mail record: SPF, DKIM with its domain, DMARC, ARC with its sealer. They
// replace what the decoder read of Authentication-Results, since this Checker saw the message itself. A signature
// that is Policy is written as none, as decoders do; an ARC chain whose key could not be had as not evaluated.
func (r *Results) Apply(m *ocsf.Mail) {
	d := r.Deciding()
	m.SPF, m.DKIM, m.DKIMDomain, m.DMARC = string(r.SPF.Result), string(d.Result), d.Domain, string(r.DMARC.Result)
	if d.Result == Policy {
		m.DKIM = string(None)
	}
	m.ARC, m.ARCDomain = string(r.ARC.Result), r.ARC.Sealer
	if r.ARC.Result == TempError {
		m.ARC = ""
	}
}
