package enumeration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func byTime(list []*ocsf.Event) {
	slices.SortStableFunc(list, func(a, b *ocsf.Event) int { return a.Time.Compare(b.Time) })
}

const aes, rc4 = "aes256-cts-hmac-sha1-96", "rc4-hmac"

// bloodhound is what a collector asks of the directory and then of the hosts.
func bloodhound(at time.Time, src string) []*ocsf.Event {
	filters := []string{"(&(objectCategory=computer)(servicePrincipalName=*))", "(|(samaccounttype=268435456)(samaccounttype=268435457))", "(samaccounttype=805306368)",
		"(objectclass=trustedDomain)", "(|(objectclass=organizationalUnit)(objectclass=domain))", "(msds-allowedtodelegateto=*)", "(ms-mcs-admpwdexpirationtime=*)",
		"(userAccountControl:1.2.840.113556.1.4.803:=4194304)", "(objectclass=pKICertificateTemplate)"}
	return sorted(
		each(len(filters), at, time.Second, func(i int, at time.Time) *ocsf.Event { return ldap(at, src, "tree", filters[i], 400) }),
		each(30, at.Add(10*time.Second), 300*time.Millisecond, func(i int, at time.Time) *ocsf.Event {
			return rpc(at, src, fmt.Sprintf("10.1.2.%d", 100+i), "srvsvc", "NetrSessionEnum")
		}),
		each(30, at.Add(11*time.Second), 300*time.Millisecond, func(i int, at time.Time) *ocsf.Event {
			return rpc(at, src, fmt.Sprintf("10.1.2.%d", 100+i), "samr", "SamrGetMembersInAlias")
		}))
}

// enum4linux is what a classic tool asks of one controller.
func enum4linux(at time.Time, src string) []*ocsf.Event {
	ops := []string{"samr::SamrEnumerateDomainsInSamServer", "samr::SamrEnumerateUsersInDomain", "samr::SamrQueryDisplayInformation", "samr::SamrEnumerateGroupsInDomain",
		"samr::SamrEnumerateAliasesInDomain", "samr::SamrGetMembersInGroup", "lsarpc::LsarQueryInformationPolicy", "lsarpc::LsarEnumerateTrustedDomains", "srvsvc::NetrShareEnum"}
	out := each(len(ops), at, time.Second, func(i int, at time.Time) *ocsf.Event {
		ep, op, _ := strings.Cut(ops[i], "::")
		return rpc(at, src, server, ep, op)
	})
	return append(out, each(200, at.Add(time.Minute), 100*time.Millisecond, func(_ int, at time.Time) *ocsf.Event { return rpc(at, src, server, "lsarpc", "LsarLookupSids") })...)
}

func TestWhatIsFoundAndWhatIsDailyLife(t *testing.T) {
	pastes := func(src string) []*ocsf.Event { return sweep(monday, 100*time.Millisecond, src, 200) }
	for _, c := range []struct {
		name   string
		events []*ocsf.Event
		want   string
	}{
		{"a partner's PTR sweep", pastes(techie), "names high T1018"},
		{"the same by an own host, watched for long", sorted(watched(5), pastes(desk)), "names medium T1018"},
		{"the same by an own host, at first sight", pastes(desk), "names low T1018"},
		{"the same with an approval", pastes(tester), "names high T1018 approved"},
		{"some names an administrator looks up", sweep(monday, time.Second, techie, 7), ""},
		{"a mail server asks for senders' names", each(300, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return dns(at, desk, "PTR", reverse(fmt.Sprintf("93.184.%d.%d", i/250, i%250)), "NOERROR", "mail.example")
		}), ""},
		{"a zone transfer that is given to a partner", sorted(watched(5), []*ocsf.Event{dns(monday, techie, "AXFR", "client.example", "NOERROR", "a", "b")}), "names high T1590.002"},
		{"a zone transfer that is refused", sorted(watched(5), []*ocsf.Event{dns(monday, techie, "AXFR", "client.example", "REFUSED")}), "names medium T1590.002"},
		{"a secondary, day by day: a habit from the second on", sorted(watched(1), each(12, monday.Add(-12*days), days, func(_ int, at time.Time) *ocsf.Event {
			return dns(at, desk, "AXFR", "client.example", "NOERROR")
		})[8:]), "names low T1590.002"},
		{"services looked for by a script", each(20, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return dns(at, techie, "SRV", fmt.Sprintf("_svc%d._tcp.client.example", i), "NXDOMAIN")
		}), "names high T1018"},
		{"a member looks for its controllers", each(40, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return dns(at, desk, "SRV", []string{"_ldap._tcp.dc._msdcs", "_kerberos._tcp", "_gc._tcp", "_kpasswd._udp", "_vlmcs._tcp", "_sip._tls"}[i%6]+".client.example", "NOERROR")
		}), ""},
		{"guessed names below the tenant's domain", each(80, monday, 50*time.Millisecond, func(i int, at time.Time) *ocsf.Event {
			return dns(at, techie, "A", fmt.Sprintf("host%d.client.example", i), "NXDOMAIN")
		}), "names high T1590.002"},
		{"a browser's three random names, and names with the suffix appended", sorted(each(3, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return dns(at, desk, "A", fmt.Sprintf("qwkzjvhx%d.client.example", i), "NXDOMAIN")
		}), each(60, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return dns(at, desk, "A", fmt.Sprintf("www%d.shop.com.client.example", i), "NXDOMAIN")
		})), ""},
		{"a collector of directory and sessions, by a partner", bloodhound(monday, techie), "directory high T1087.002"},
		{"the same by an own host, watched for long", sorted(watched(5), bloodhound(monday, desk)), "directory high T1087.002"},
		{"a search of which nobody knows who asked", []*ocsf.Event{ldap(monday, "0.0.0.0", "tree", "(|(objectCategory=computer)(objectClass=trustedDomain))", 30)}, ""},
		{"an administrator's console searches", []*ocsf.Event{ldap(monday, techie, "single", "(objectClass=*)", 30), ldap(monday.Add(time.Second), techie, "base", "(objectClass=*)", 1),
			ldap(monday.Add(2*time.Second), techie, "tree", "(&(objectCategory=person)(objectClass=user)(sAMAccountName=eva))", 1), ldap(monday.Add(3*time.Second), techie, "tree", "(objectCategory=computer)", 300)}, ""},
		{"account names tried at Kerberos", each(40, monday, 200*time.Millisecond, func(i int, at time.Time) *ocsf.Event {
			return kerberos(at, techie, "AS", fmt.Sprintf("user%d", i), "krbtgt/CLIENT.LOCAL", "", "KDC_ERR_C_PRINCIPAL_UNKNOWN")
		}), "kerberos high T1589"},
		{"two people mistype their names", each(2, monday, time.Minute, func(i int, at time.Time) *ocsf.Event {
			return kerberos(at, techie, "AS", fmt.Sprintf("evva%d", i), "krbtgt/CLIENT.LOCAL", "", "KDC_ERR_C_PRINCIPAL_UNKNOWN")
		}), ""},
		{"service tickets under RC4", each(12, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return kerberos(at, techie, "TGS", "isl-anna", fmt.Sprintf("MSSQLSvc/sql%d.client.local:1433", i), rc4, "")
		}), "kerberos high T1558.003"},
		{"the same where everybody uses RC4", sorted(watched(5)[:1], each(30, monday.Add(-days), time.Minute, func(i int, at time.Time) *ocsf.Event {
			return kerberos(at, fmt.Sprintf("10.1.2.%d", i+1), "TGS", "eva", "HTTP/intranet.client.local", rc4, "")
		}), each(7, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return kerberos(at, techie, "TGS", "isl-anna", fmt.Sprintf("MSSQLSvc/sql%d.client.local:1433", i), rc4, "")
		})), ""},
		{"an administrator visits forty hosts", each(40, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return kerberos(at, techie, "TGS", "isl-anna", fmt.Sprintf("cifs/ws%d.client.local", i), rc4, "")
		}), ""},
		{"tickets that need no password", each(6, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return audit(at, "dc1", techie, "4768", "authentication ticket", "TargetUserName", fmt.Sprintf("svc%d", i), "Status", "0x0", "PreAuthType", "0", "TicketEncryptionType", "0x17", "ServiceName", "krbtgt")
		}), "kerberos high T1558.004"},
		{"a terminal server signs its users in", each(60, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return kerberos(at, techie, "AS", fmt.Sprintf("user%d", i/2), "krbtgt/CLIENT.LOCAL", aes, []string{"KDC_ERR_PREAUTH_REQUIRED", ""}[i%2])
		}), ""},
		{"accounts asked for without signing in", each(40, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return kerberos(at, techie, "AS", fmt.Sprintf("user%d", i), "krbtgt/CLIENT.LOCAL", rc4, "KDC_ERR_PREAUTH_REQUIRED")
		}), "kerberos high T1558.004"},
		{"shares of many hosts listed", each(30, monday, 200*time.Millisecond, func(i int, at time.Time) *ocsf.Event {
			return rpc(at, techie, fmt.Sprintf("10.1.2.%d", 1+i), "srvsvc", "NetrShareEnum")
		}), "hosts high T1135"},
		{"one file server browsed all morning", each(30, monday, 4*time.Minute, func(i int, at time.Time) *ocsf.Event { return rpc(at, techie, "10.1.1.20", "srvsvc", "NetrShareEnum") }), ""},
		{"a console of computer management on one server", each(12, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			op := [][2]string{{"srvsvc", "NetrShareEnum"}, {"srvsvc", "NetrSessionEnum"}, {"srvsvc", "NetrFileEnum"}, {"svcctl", "EnumServicesStatusW"}, {"winreg", "BaseRegEnumKey"}, {"srvsvc", "NetrServerGetInfo"}}[i%6]
			return rpc(at, techie, "10.1.1.20", op[0], op[1])
		}), ""},
		{"one controller asked for everything", enum4linux(monday, techie), "broad medium T1087"},
		{"a member signs in", each(6, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			op := [][2]string{{"netlogon", "DsrEnumerateDomainTrusts"}, {"lsarpc", "LsarQueryInformationPolicy"}, {"lsarpc", "LsarLookupSids2"}, {"drsuapi", "DRSCrackNames"}, {"samr", "SamrLookupNamesInDomain"}, {"samr", "SamrQueryInformationUser"}}[i]
			return rpc(at, techie, server, op[0], op[1])
		}), ""},
		{"a directory replicated by a partner", []*ocsf.Event{rpc(monday, techie, server, "drsuapi", "DRSGetNCChanges")}, "replication high T1003.006"},
		{"a directory replicated by an own host", sorted(watched(5), []*ocsf.Event{rpc(monday, desk, server, "drsuapi", "DRSGetNCChanges")}), "replication medium T1003.006"},
		{"a second controller that only ever asks", sorted(watched(5), each(10, monday.Add(-5*days), 20*time.Hour, func(_ int, at time.Time) *ocsf.Event {
			return rpc(at, desk, server, "drsuapi", "DRSGetNCChanges")
		})), "replication low T1003.006"},
		{"a directory replicated at first sight by one who lists much else", sorted(enum4linux(monday, desk), []*ocsf.Event{rpc(monday.Add(time.Minute), desk, server, "drsuapi", "DRSGetNCChanges")}), "replication medium T1003.006"},
		{"a directory replicated after accounts were collected by a tool", sorted(watched(5), bloodhound(monday, desk), []*ocsf.Event{rpc(monday.Add(time.Minute), desk, server, "drsuapi", "DRSGetNCChanges")}), "replication high T1003.006"},
		{"an administrator lists accounts, groups and the directory once", []*ocsf.Event{rpc(monday, techie, server, "samr", "SamrEnumerateUsersInDomain"), rpc(monday.Add(time.Second), techie, server, "samr", "SamrGetMembersInGroup"),
			rpc(monday.Add(2*time.Second), techie, server, "lsarpc", "LsarQueryInformationPolicy"), ldap(monday.Add(3*time.Second), techie, "tree", "(objectClass=user)", 200)}, ""},
		{"two controllers replicate", sorted(watched(5), each(2, monday.Add(-days), time.Second, func(i int, at time.Time) *ocsf.Event {
			e := kerberos(at, desk, "AS", "eva", "krbtgt/CLIENT.LOCAL", aes, "")
			e.Dst.IP = e.Dst.IP.Next()
			return e
		}), []*ocsf.Event{rpc(monday, "10.1.1.11", server, "drsuapi", "DRSGetNCChanges")}), ""},
		{"an account replicates, as a controller tells", sorted(watched(5), []*ocsf.Event{audit(monday, "dc1", "", "4662", "", "SubjectUserName", "eva",
			"Properties", "%%7688 {1131f6ad-9c07-11d1-f79f-00c04fc2dcd2}")}), "replication medium T1003.006"},
		{"a controller's account replicates", sorted(watched(5), []*ocsf.Event{audit(monday.Add(-time.Hour), "dc2", desk, "4768", "authentication ticket", "TargetUserName", "eva", "Status", "0x0", "PreAuthType", "2"),
			audit(monday, "dc1", "", "4662", "", "SubjectUserName", "DC2$", "Properties", "%%7688 {1131f6ad-9c07-11d1-f79f-00c04fc2dcd2}")}), ""},
		{"admin shares of a rack on a patch night", each(12, monday, time.Minute, func(i int, at time.Time) *ocsf.Event {
			return mapping(at, techie, fmt.Sprintf("10.1.1.%d", 20+i), "ADMIN$")
		}), ""},
		{"admin shares of a whole network at once", each(60, monday, time.Second, func(i int, at time.Time) *ocsf.Event { return mapping(at, techie, fmt.Sprintf("10.1.2.%d", 1+i), "C$") }), "hosts low T1135"},
		{"the same, watched for long", sorted(watched(5), each(60, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return mapping(at, techie, fmt.Sprintf("10.1.2.%d", 1+i), "C$")
		})), "hosts medium T1135"},
		{"endpoints of many hosts dumped", each(15, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return rpc(at, techie, fmt.Sprintf("10.1.2.%d", 1+i), "epmapper", "ept_lookup")
		}), "hosts high T1046"},
		{"the Internet asks for services", each(30, monday, time.Second, func(i int, at time.Time) *ocsf.Event {
			return dns(at, abroad, "SRV", fmt.Sprintf("_svc%d._tcp.client.example", i), "NXDOMAIN")
		}), "internet-noise informational T1590"},
		{"a slow sweep over a day, watched for long", sorted(watched(5), sweep(monday, 5*time.Minute, techie, 120)), "names medium T1018"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := run(t, c.events)
			if got := brief(found); got != c.want {
				for _, f := range found {
					t.Log(f.Title, "|", f.Reason)
				}
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
