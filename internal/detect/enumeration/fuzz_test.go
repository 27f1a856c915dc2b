package enumeration

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func TestSearches(t *testing.T) {
	for _, c := range []struct{ name, filter, want string }{
		{"computers", "(objectCategory=computer)", "computers"},
		{"one account", "(&(objectCategory=person)(objectClass=user)(sAMAccountName=eva))", ""},
		{"names beginning with", "(&(objectClass=user)(cn=ev*))", ""},
		{"all service accounts", "(&(samAccountType=805306368)(servicePrincipalName=*)(!(samAccountName=krbtgt)))", ""},
		{"all service accounts, plainly", "(&(samAccountType=805306368)(servicePrincipalName=*))", "users, accounts with service names!"},
		{"as Windows writes it", " ( &  (objectCategory=CN=Person,CN=Schema,CN=Configuration,DC=x,DC=y) (adminCount=1) ) ", "users, protected accounts (adminCount)!"},
		{"a bit of an attribute", "(userAccountControl:1.2.840.113556.1.4.803:=4194304)", "accounts without preauthentication!"},
		{"the same attribute, equal", "(userAccountControl=4194304)", ""},
		{"all objects", "(objectClass=*)", "all objects"},
		{"all objects of a class", "(&(objectClass=*)(objectClass=trustedDomain))", "domain trusts!"},
		{"a local administrator's password", "(ms-Mcs-AdmPwd=*)", "local administrator passwords!"},
		{"no filter", "hello", ""},
		{"nothing", "", ""},
		{"brackets that never end", strings.Repeat("(", 100_000), ""},
		{"deep", strings.Repeat("(&", 100) + "(objectClass=user)", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, s := range searches(c.filter) {
				if s.pointed {
					s.what += "!"
				}
				got = append(got, s.what)
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got %q, want %q", strings.Join(got, ", "), c.want)
			}
		})
	}
}

func TestNamesOfAddresses(t *testing.T) {
	for name, want := range map[string]string{
		"4.3.2.1.in-addr.arpa": "1.2.3.4", "4.3.2.1.IN-ADDR.ARPA": "1.2.3.4", "3.2.1.in-addr.arpa": "", "5.4.3.2.1.in-addr.arpa": "", "256.3.2.1.in-addr.arpa": "",
		"lb._dns-sd._udp.0.2.1.10.in-addr.arpa": "", ".in-addr.arpa": "", "a.b.c.d.in-addr.arpa": "", "www.example": "",
		"b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": "2001:db8::567:89ab",
		"x.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": "", "1.ip6.arpa": "",
	} {
		a, ok := reverseAddr(name)
		if got := a.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %s, %v, want %q", name, got, ok, want)
		}
	}
	for name, want := range map[string]string{"_ftp._tcp.x.example": "_ftp._tcp", "_Kerberos._udp.x.example": "what members of a domain look for", "_x": "", "www.example": "", "_dmarc.x.example": ""} {
		if got := serviceName(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"(&(a=b)(c=*))", "( | (objectClass=user) (!(x>=3)) )", "(userAccountControl:1.2.840.113556.1.4.803:=32)", "((((", "))))", "(=)", "(a:=)", "\x00(&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n := len(leaves(s)); n > maxLeaves {
			t.Fatalf("%d leaves", n)
		}
		for _, x := range searches(s) {
			if x.what == "" {
				t.Fatal("a search for nothing")
			}
		}
	})
}

func FuzzReverseName(f *testing.F) {
	for _, s := range []string{"4.3.2.1.in-addr.arpa", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", ".ip6.arpa", "0.in-addr.arpa", "_ldap._tcp.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, ok := reverseAddr(s); ok && a.Is4() && !strings.Contains(s, "0") && !strings.EqualFold(reverse(a.String()), s) {
			t.Fatalf("%q is read as %s", s, a)
		}
		_, _ = serviceName(s), parentOf(s)
	})
}

// FuzzEvent gives events of every source with fields of any content: nothing may panic, and state stays bounded.
func FuzzEvent(f *testing.F) {
	f.Add(uint8(0), "qtype_name", "PTR", "4.3.1.10.in-addr.arpa", int64(1))
	f.Add(uint8(2), "filter", "(adminCount=1)", "x", int64(1<<40))
	f.Add(uint8(2), "filter", "(objectCategory=computer)", "x", int64(2)) // of which nobody knows who asked
	f.Add(uint8(7), "dns.rrtype", "AXFR", "client.example", int64(-1<<62))
	f.Add(uint8(12), "param1", "10.0.0.1:1", "(objectClass=user)", int64(0))
	sources := []string{"zeek/dns", "zeek/kerberos", "zeek/ldap_search", "zeek/dce_rpc", "zeek/smb_mapping", "zeek/smb_files", "zeek/ntlm", "suricata/dns", "suricata/krb5",
		"suricata/smb", "suricata/dcerpc", "windows/security", "windows/directory-service"}
	names := []string{"qtype_name", "client", "request_type", "endpoint", "operation", "path", "scope", "filter", "service", "error_msg", "ShareName", "RelativeTargetName", "EventID", "Properties", "SubjectUserName", "rcode_name", "cipher"}
	f.Fuzz(func(t *testing.T, source uint8, name, value, domain string, at int64) {
		d := New(detect.Context{Model: model()})
		for i := range 3 {
			e := record(monday, sources[int(source)%len(sources)], techie, server, 53)
			if i == 2 {
				e.Time = time.Unix(0, at).UTC()
			}
			e.Dst.Domain, e.Status, e.Activity = domain, ocsf.Status(source%3), []string{"share", "share file", "", "authentication ticket", "tree_connect"}[source%5]
			for _, n := range names {
				e.Fields = append(e.Fields, ocsf.Field{Name: n, Value: value})
			}
			e.Fields = append(e.Fields, ocsf.Field{Name: name, Value: value})
			e.Fields.Sort()
			if i == 1 {
				e.Src.IP, e.Dst.IP = netip.Addr{}, netip.Addr{}
			}
			d.Process(e, func(f *ocsf.Finding) {
				if f.ID == "" || f.Reason == "" || f.Technique == "" {
					t.Fatalf("a finding that says nothing: %+v", f)
				}
			})
			d.Explain(e)
		}
		b, err := d.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if err := New(detect.Context{Model: model()}).Restore(b); err != nil {
			t.Fatal(err)
		}
	})
}
