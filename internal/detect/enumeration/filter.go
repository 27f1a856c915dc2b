package enumeration

import "strings"

// Limits of a search filter: what is longer, deeper or has more parts is cut there and judged by what was read.
const (
	maxFilter = 16 << 10
	maxDepth  = 32
	maxLeaves = 256
)

// leaf is one comparison of a filter (RFC 4515 section 3), in lower case.
type leaf struct {
	attr, rule, value string
}

// leaves returns the comparisons of a filter. It takes what RFC 4515 allows and the spaced form that Windows writes
// into event 1644, and never fails: what is no filter has no leaves.
func leaves(filter string) []leaf {
	if len(filter) > maxFilter {
		filter = filter[:maxFilter]
	}
	p := filterReader{text: strings.ToLower(filter)}
	p.read(0)
	return p.out
}

type filterReader struct {
	text string
	at   int
	out  []leaf
}

func (p *filterReader) space() {
	for p.at < len(p.text) && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// read reads one or more filters in brackets; it returns at the bracket that closes them.
func (p *filterReader) read(depth int) {
	for p.at < len(p.text) && len(p.out) < maxLeaves {
		p.space()
		if p.at >= len(p.text) {
			return
		}
		switch p.text[p.at] {
		case '(':
			p.at++
			if depth >= maxDepth {
				p.at = len(p.text)
				return
			}
			p.read(depth + 1)
			if p.at < len(p.text) && p.text[p.at] == ')' {
				p.at++
			}
		case ')':
			return
		case '&', '|', '!':
			p.at++
		default:
			p.leaf()
		}
	}
}

// leaf reads up to the next bracket; brackets in values are escaped (RFC 4515 section 3), and Windows writes a space
// where it leaves them.
func (p *filterReader) leaf() {
	end := strings.IndexAny(p.text[p.at:], "()")
	if end < 0 {
		end = len(p.text) - p.at
	}
	text := strings.TrimSpace(p.text[p.at : p.at+end])
	p.at += end
	i := strings.IndexByte(text, '=')
	if i < 0 {
		return
	}
	attr, value := text[:i], strings.TrimSpace(text[i+1:])
	attr = strings.TrimRight(attr, "~<>: ")
	attr, rule, _ := strings.Cut(attr, ":")
	attr, _, _ = strings.Cut(attr, ";")
	p.out = append(p.out, leaf{strings.TrimSpace(attr), rule, value})
}

// naming are the attributes by which one object is looked up; a filter that fixes one of them is no listing.
var naming = map[string]bool{"samaccountname": true, "cn": true, "name": true, "mail": true, "dnshostname": true, "distinguishedname": true,
	"objectguid": true, "objectsid": true, "userprincipalname": true, "serviceprincipalname": true, "member": true, "memberof": true,
	"displayname": true, "givenname": true, "sn": true, "anr": true, "proxyaddresses": true, "employeeid": true, "uid": true, "dn": true,
	"legacyexchangedn": true, "msexchmailboxguid": true, "ou": true, "netbiosname": true, "dnsroot": true, "cname": true, "flatname": true, "trustpartner": true}

// pointedAttrs are attributes that are searched by presence, or at all, in order to find a way in.
var pointedAttrs = map[string]string{
	"admincount": "protected accounts (adminCount)", "msds-allowedtodelegateto": "delegation", "msds-allowedtoactonbehalfofotheridentity": "delegation",
	"ms-mcs-admpwd": "local administrator passwords", "ms-mcs-admpwdexpirationtime": "local administrator passwords",
	"mslaps-password": "local administrator passwords", "mslaps-encryptedpassword": "local administrator passwords", "mslaps-passwordexpirationtime": "local administrator passwords",
	"msds-groupmsamembership": "managed service accounts", "msds-managedpassword": "managed service accounts", "sidhistory": "SID history",
	"unixuserpassword": "stored passwords", "userpassword": "stored passwords", "unicodepwd": "stored passwords", "mssfu30password": "stored passwords",
	"msds-keycredentiallink": "shadow credentials",
}

// classes are object classes and categories and what a search for all of them lists; true is what intruders want.
var classes = map[string]struct {
	what    string
	pointed bool
}{
	"*": {"all objects", false}, "computer": {"computers", false}, "user": {"users", false}, "person": {"users", false}, "group": {"groups", false},
	"organizationalunit": {"organisational units", false}, "domain": {"domains", false}, "domaindns": {"domains", false}, "grouppolicycontainer": {"group policies", false},
	"container": {"containers", false}, "subnet": {"subnets", false}, "site": {"sites", false}, "contact": {"contacts", false}, "printqueue": {"printers", false},
	"trusteddomain": {"domain trusts", true}, "pkicertificatetemplate": {"certificate templates", true}, "pkienrollmentservice": {"certificate authorities", true},
	"certificationauthority": {"certificate authorities", true}, "msds-groupmanagedserviceaccount": {"managed service accounts", true},
	"dnsnode": {"DNS records", true}, "dnszone": {"DNS records", true}, "mssmsmanagementpoint": {"management servers", true},
}

// accountTypes are values of sAMAccountType (MS-SAMR 2.2.1.9).
var accountTypes = map[string]string{"805306368": "users", "805306369": "computers", "805306370": "domain trusts", "268435456": "groups", "268435457": "groups", "536870912": "groups", "536870913": "groups"}

// accountFlags are bits of userAccountControl (MS-ADTS 2.2.16) that intruders search for.
var accountFlags = map[string]string{"4194304": "accounts without preauthentication", "524288": "unconstrained delegation", "16777216": "delegation", "32": "accounts without a password", "128": "reversible passwords"}

// search is what a filter lists.
type search struct {
	what    string
	pointed bool
}

// searches returns what a filter lists; nothing where it looks for certain objects.
func searches(filter string) []search {
	var out []search
	put := func(what string, pointed bool) {
		for _, s := range out {
			if s.what == what {
				return
			}
		}
		out = append(out, search{what, pointed})
	}
	all := leaves(filter)
	for _, l := range all {
		if naming[l.attr] && l.value != "*" {
			return nil
		}
	}
	for _, l := range all {
		switch l.attr {
		case "objectclass", "objectcategory":
			name := l.value
			if rest, ok := strings.CutPrefix(name, "cn="); ok { // the category's name in the schema
				name, _, _ = strings.Cut(rest, ",")
				name = strings.ReplaceAll(name, "-", "")
			}
			if c, ok := classes[name]; ok {
				put(c.what, c.pointed)
			}
		case "samaccounttype":
			if what, ok := accountTypes[l.value]; ok {
				put(what, what == "domain trusts")
			}
		case "useraccountcontrol":
			if what, ok := accountFlags[l.value]; ok && l.rule != "" {
				put(what, true)
			}
		case "serviceprincipalname":
			put("accounts with service names", true)
		default:
			if what, ok := pointedAttrs[l.attr]; ok {
				put(what, true)
			}
		}
	}
	return narrowed(out)
}

// narrowed leaves out "all objects" beside a class that narrows it.
func narrowed(list []search) []search {
	if len(list) < 2 {
		return list
	}
	out := list[:0]
	for _, s := range list {
		if s.what != "all objects" {
			out = append(out, s)
		}
	}
	return out
}
