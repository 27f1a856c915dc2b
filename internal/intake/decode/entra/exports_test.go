package entra

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

const signinCSV = `"Date (UTC)","Request ID","User agent","Correlation ID","User ID","User","Username","User type","Cross tenant access type","Incoming token type","Authentication Protocol","Unique token identifier","Application","Application ID ","App owner tenant ID","Resource","Resource ID ","Resource tenant ID","Home tenant ID","IP address","Location","Status","Sign-in error code","Failure reason","Client app","Device ID","Compliant","Authentication requirement","Autonomous system  number"
"2026-09-21T10:10:20Z","8a5d","BAV2ROPC, ""old""","c-1","u-1","S. Romero","S.Romero@isarlink-it.de","Guest","Service provider","None","None","tok","Azure Portal","app-1","T-MS","Graph","res-1","T-CLIENT","T-PARTNER","81.76.245.170","Bonn, Nordrhein-Westfalen, DE","Success","None","Other.","IMAP4","","No","Multifactor authentication","3209"
"9/21/2026, 1:10:20.500 PM","8a5e","x","c-2","u-1","S. Romero","s.romero@isarlink-it.de","Guest","none","None","None","tok2","Azure Portal","app-1","T-MS","Graph","res-1","T-CLIENT","T-CLIENT","2001:db8::7","DE","Failure","50126","Error validating credentials
due to invalid username or password.","Browser","","No","Single-factor authentication","3209"
`

const serviceCSV = `Date (UTC);Request ID;Correlation ID;Service principal ID;Service principal name;Service principal credential key ID;Application;Application ID;Resource;Resource tenant ID;Home tenant ID;IP address;Location;Status;Sign-in error code
2026-09-21T06:25:15Z;2f3c;c-2;sp-1;Isarlink Baseline;key-1;Isarlink Baseline;app-2;Microsoft Graph;T-CLIENT;T-PARTNER;203.0.113.60;DE;Failure;7000215
`

const auditCSV = "\xef\xbb\xbf" + `Date (UTC),CorrelationId,Service,Category,Activity,Result,ResultReason,User Agent,ActorType,ActorDisplayName,ActorObjectId,ActorUserPrincipalName,IPAddress,ActorHomeTenantId,ActorServicePrincipalId,ActorServicePrincipalName,Target1Type,Target1DisplayName,Target1ObjectId,Target1UserPrincipalName,Target1ModifiedProperty1Name,Target1ModifiedProperty1OldValue,Target1ModifiedProperty1NewValue,AdditionalDetail1Key,AdditionalDetail1Value
2026-09-21T10:10:20Z,c-3,Core Directory,ApplicationManagement,Consent to application,success,,Mozilla,User,Adm,u-1,Adm@b.de,81.76.245.170,T-PARTNER,,,ServicePrincipal,Backup,sp-9,,ConsentContext.IsAdminConsent,,"""False""",User-Agent,x
2026-09-21T10:10:21Z,c-4,Core Directory,UserManagement,Reset password (by admin),success,,,Application,Isarlink Baseline,sp-1,,81.76.245.171,T-PARTNER,sp-1,,User,Eve,u-2,Eve@b.de,,,,,
`

const tableCSV = `"TimeGenerated [UTC]","OperationName","Category","ResultType","Id","CorrelationId","UserPrincipalName","AppId","IPAddress","Location","Status","AADTenantId","HomeTenantId","ResourceTenantId"
"9/21/2026, 10:10:20.500 AM","Sign-in activity","SignInLogs","50053","8a5d","c-1","a@b.de","app-1","81.76.245.170","DE","{""errorCode"":50053}","T-CLIENT","T-CLIENT","T-CLIENT"
`

func TestPortalExportsOfSignins(t *testing.T) {
	want := []string{
		"entra/signin 2026-09-21T10:10:20Z 3002 logon success id=8a5d user=s.romero@isarlink-it.de src=81.76.245.170 home=T-PARTNER resource=T-CLIENT cross=serviceProvider app=app-1 DE 3209 mfa=multiFactorAuthentication sp=false int=true err=0 keys=[{entra-request 8a5d} {entra-request c-1} {entra-token tok}]",
		"entra/signin 2026-09-21T13:10:20.5Z 3002 logon failure id=8a5e user=s.romero@isarlink-it.de src=2001:db8::7 home=T-CLIENT resource=T-CLIENT cross=none app=app-1 DE 3209 mfa=singleFactorAuthentication sp=false int=true err=50126 keys=[{entra-request 8a5e} {entra-request c-2} {entra-token tok2}]",
	}
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(signinCSV)
	if err != nil {
		t.Fatal(err)
	}
	semicolons := "sep=;\r\n" + strings.ReplaceAll(signinCSV, `","`, `";"`)
	twice := signinCSV + signinCSV
	for name, c := range map[string]struct {
		text string
		n    int
	}{"as it is": {signinCSV, 1}, "UTF-16": {utf16, 1}, "semicolons": {semicolons, 1}, "two put together": {twice, 2}} {
		t.Run(name, func(t *testing.T) {
			got := decodetest.File(t, Streams(), "InteractiveSignIns_2026-09-01_2026-09-30.csv", c.text)
			if len(got.Reasons) != 0 || len(got.Events) != c.n*len(want) {
				t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
			}
			for i, e := range got.Events {
				if line := decodetest.CloudLine(e); line != want[i%len(want)] {
					t.Errorf("got  %s\nwant %s", line, want[i%len(want)])
				}
			}
			if ua := got.Events[0].Fields.Value("userAgent"); ua != `BAV2ROPC, "old"` {
				t.Errorf("user agent %q", ua)
			}
		})
	}
}

func TestPortalExportsOfServicePrincipalsAndTables(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"service principals": {serviceCSV, "entra/signin 2026-09-21T06:25:15Z 3002 logon failure id=2f3c user=isarlink baseline src=203.0.113.60 home=T-PARTNER resource=T-CLIENT cross= app=app-2 DE 0 mfa= sp=true int=false err=7000215 keys=[{entra-request 2f3c} {entra-request c-2}]"},
		"Log Analytics":      {tableCSV, "entra/signin 2026-09-21T10:10:20.5Z 3002 logon failure id=8a5d user=a@b.de src=81.76.245.170 home=T-CLIENT resource=T-CLIENT cross= app=app-1 DE 0 mfa= sp=false int=false err=50053 keys=[{entra-request 8a5d} {entra-request c-1}]"},
	} {
		t.Run(name, func(t *testing.T) {
			got := decodetest.File(t, Streams(), "x.csv", c.text)
			if len(got.Events) != 1 || len(got.Reasons) != 0 {
				t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
			}
			if line := decodetest.CloudLine(got.Events[0]); line != c.want {
				t.Errorf("got  %s\nwant %s", line, c.want)
			}
		})
	}
}

func TestPortalExportsOfAudit(t *testing.T) {
	got := decodetest.File(t, Streams(), "AuditLogs.csv", auditCSV)
	if len(got.Events) != 2 || len(got.Reasons) != 0 {
		t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
	}
	a, b := got.Events[0], got.Events[1]
	if a.Actor.Name != "adm@b.de" || a.Cloud.HomeTenant != "T-PARTNER" || a.Cloud.Resource != "Backup" || a.Fields.Value("ConsentContext.IsAdminConsent") != "False" || a.Fields.Value("additionalDetails.0.value") != "x" {
		t.Errorf("%s %v", decodetest.CloudLine(a), a.Fields)
	}
	if b.Actor.Name != "isarlink baseline" || !b.Cloud.ServicePrin || b.User.Name != "eve@b.de" || b.Activity != "password reset" || b.Src.IP.String() != "81.76.245.171" {
		t.Errorf("%s by %v", decodetest.CloudLine(b), b.Actor)
	}
}

// Spreadsheets show times as their office writes them. A day with dots comes before the month; slashes are an American's.
func TestTimesThatAnOfficeRewrote(t *testing.T) {
	for name, c := range map[string]struct{ from, text, want string }{
		"dots":                 {signinCSV, "21.09.2026, 10:10:20", "2026-09-21T10:10:20Z"},
		"dots without zeros":   {signinCSV, "1.9.2026 7:05:00", "2026-09-01T07:05:00Z"},
		"dots without seconds": {signinCSV, "21.09.2026 10:10", "2026-09-21T10:10:00Z"},
		"dots with a fraction": {signinCSV, "21.09.2026 10:10:20.5", "2026-09-21T10:10:20.5Z"},
		"slashes":              {signinCSV, "9/21/2026 10:10:20 AM", "2026-09-21T10:10:20Z"},
		"a zone":               {signinCSV, "2026-09-21T12:10:20+02:00", "2026-09-21T10:10:20Z"},
		"dots in an audit":     {auditCSV, "21.09.2026 10:10:20", "2026-09-21T10:10:20Z"},
		"dots in a table":      {strings.Replace(tableCSV+tableCSV[strings.Index(tableCSV, "\n")+1:], "9/21/2026, 10:10:20.500 AM", "2026-09-21T10:10:20Z", 1), "21.09.2026 10:10:20", "2026-09-21T10:10:20Z"},
		"no day":               {signinCSV, "32.09.2026 10:10:20", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := decodetest.File(t, Streams(), "x.csv", strings.Replace(strings.ReplaceAll(c.from, `","`, `";"`), "2026-09-21T10:10:20Z", c.text, 1))
			if c.want == "" {
				if len(got.Reasons) != 1 || !strings.Contains(got.Reasons[0], "not a time") {
					t.Errorf("bad %q", got.Reasons)
				}
				return
			}
			if len(got.Reasons) != 0 || len(got.Events) != 2 || got.Events[0].Time.Format(time.RFC3339Nano) != c.want {
				t.Errorf("%d events, bad %q", len(got.Events), got.Reasons)
			}
		})
	}
}

func TestExportsOfManagedIdentitiesAndOfWhatNobodyTyped(t *testing.T) {
	const msi = "IP address;Status;Date (UTC);Service principal name;Service principal ID;Sign-in error code;Managed identity ID;Request ID;Resource;Home tenant ID;Resource tenant ID\n" +
		";Success;2026-09-21T10:10:20Z;vm1;sp-1;0;mi-1;r1;Vault;T-C;T-C\n"
	const silent = `"Username","Request ID","Date (UTC)","IP address","User ID","Home tenant ID","Resource tenant ID","Cross tenant access type","Status","Sign-in error code","Application ID"` + "\n" +
		`"A@p.de","r2","2026-09-21T10:10:20Z","81.76.245.0/24","u","T-P","T-C","serviceProvider","Success","0","app"` + "\n"
	for name, c := range map[string]struct{ file, text, want string }{
		"managed identities":                    {"MSISignIns_2026.csv", msi, "entra/signin 2026-09-21T10:10:20Z 3002 logon success id=r1 user=vm1 src= home=T-C resource=T-C cross= app=  0 mfa= sp=true int=false err=0 keys=[{entra-request r1}]"},
		"non-interactive, with its address cut": {"NonInteractiveSignIns_2026.csv", silent, "entra/signin 2026-09-21T10:10:20Z 3002 logon success id=r2 user=a@p.de src= home=T-P resource=T-C cross=serviceProvider app=app  0 mfa= sp=false int=false err=0 keys=[{entra-request r2}]"},
	} {
		t.Run(name, func(t *testing.T) {
			got := decodetest.File(t, Streams(), c.file, c.text)
			if len(got.Events) != 1 || len(got.Reasons) != 0 {
				t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
			}
			if line := decodetest.CloudLine(got.Events[0]); line != c.want {
				t.Errorf("got  %s\nwant %s", line, c.want)
			}
		})
	}
}

// A file that was cut short, and rows that are broken, cost themselves and no more.
func TestBrokenRowsAreToldOnce(t *testing.T) {
	lines := strings.SplitAfterN(signinCSV, "\n", 3)
	header, good := lines[0], lines[1]
	for name, c := range map[string]struct {
		text   string
		events int
		bad    []string
	}{
		"a quote that never closes":     {header + `"2026-09-21T10:10:20Z","8a5d` + "\n" + good + good, 2, []string{"a quote opens"}},
		"cut inside a row":              {header + good + good[:90], 1, []string{"a quote opens"}},
		"a row without its time":        {header + strings.Replace(good, "2026-09-21T10:10:20Z", "", 1) + good, 1, []string{"no time"}},
		"a row with a day that is none": {header + strings.Replace(good, "2026-09-21T10:10:20Z", "21/9/2026, 10:10:20 AM", 1) + good, 1, []string{"not a time"}},
		"more cells than columns":       {header + strings.TrimSuffix(good, "\n") + `,"x"` + "\n" + good, 1, []string{"more cells"}},
		"empty lines":                   {header + "\n\n" + good + "\r\n\r\n", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := decodetest.File(t, Streams(), "x.csv", c.text)
			if len(got.Events) != c.events || len(got.Reasons) != len(c.bad) {
				t.Fatalf("%d events, bad %q", len(got.Events), got.Reasons)
			}
			for i, want := range c.bad {
				if !strings.Contains(got.Reasons[i], want) {
					t.Errorf("reason %q, want %q", got.Reasons[i], want)
				}
			}
		})
	}
}
