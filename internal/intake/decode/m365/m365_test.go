package m365

import (
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// records are one record of every wrapping, each with what must come out.
var records = []decodetest.Record{
	{"M365 of the Management API", `{"CreationTime":"2026-09-21T10:10:20","Id":"m-1","Operation":"MailItemsAccessed","OrganizationId":"T-CLIENT","RecordType":50,"ResultStatus":"Succeeded","UserType":0,"Workload":"Exchange","UserId":"A@b.de","ClientIPAddress":"[2001:db8::7]:51234","AppId":"app-1","ClientInfoString":"Client=REST"}`,
		"m365/audit 2026-09-21T10:10:20Z 6003 read success id=m-1 user=a@b.de src=[2001:db8::7]:51234 home= resource=T-CLIENT cross= app=app-1  0 mfa= sp=false int=false err= keys=[]"},
	{"M365 in a string", `{"RecordType":"AzureActiveDirectoryStsLogon","CreationDate":"2026-09-21T10:10:20Z","UserIds":"a@b.de","Operations":"UserLoginFailed","AuditData":"{\"CreationTime\":\"2026-09-21T10:10:20\",\"Id\":\"m-2\",\"Operation\":\"UserLoginFailed\",\"OrganizationId\":\"T-CLIENT\",\"Workload\":\"AzureActiveDirectory\",\"UserId\":\"a@b.de\",\"ClientIP\":\"81.76.245.170:4711\",\"LogonError\":\"InvalidUserNameOrPassword\"}"}`,
		"m365/audit 2026-09-21T10:10:20Z 3002 logon failure id=m-2 user=a@b.de src=81.76.245.170:4711 home= resource=T-CLIENT cross= app=  0 mfa= sp=false int=false err=InvalidUserNameOrPassword keys=[]"},
}

func TestEveryWrapping(t *testing.T) { decodetest.Records(t, Objects(), records) }

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), records[0].Text, map[string]decodetest.BadRecord{
		"time_is_text":      {`{"CreationTime":"noon","Operation":"x","Workload":"y"}`, "no time"},
		"inner_is_broken":   {`{"RecordType":1,"CreationDate":"2026-09-21T10:10:20Z","AuditData":"{\"Operation\":"}`, "AuditData"},
		"inner_is_a_list":   {`{"RecordType":1,"CreationDate":"2026-09-21T10:10:20Z","AuditData":"[1]"}`, "AuditData"},
		"inner_is_too_deep": {`{"RecordType":1,"CreationDate":"2026-09-21T10:10:20Z","AuditData":"` + strings.Repeat("[", 50) + `"}`, "deeper"},
	})
}

const searchCSV = "#TYPE Deserialized.Microsoft.Exchange\r\n" + `"PSComputerName","RecordType","CreationDate","UserIds","Operations","AuditData","ResultIndex"
"outlook.office365.com","ExchangeAdmin","9/21/2026 10:10:20 AM","a@b.de","New-InboxRule","{""CreationTime"":""2026-09-21T10:10:20"",""Id"":""m-3"",""Operation"":""New-InboxRule"",""OrganizationId"":""T-CLIENT"",""Workload"":""Exchange"",""UserId"":""A@b.de"",""ClientIP"":""81.76.245.170:4711"",""Parameters"":[{""Name"":""ForwardTo"",""Value"":""x@evil.example""}],""ResultStatus"":""True""}","1"
"outlook.office365.com","ExchangeItem","9/21/2026 10:10:21 AM","a@b.de","MailItemsAccessed","{""CreationTime"":""2026-09-21T10:10:21"",""Id"":""m-4"",""Oper","2"
"outlook.office365.com","AzureActiveDirectoryStsLogon","9/21/2026 10:10:22 AM","a@b.de","UserLoggedIn","{""CreationTime"":""2026-09-21T10:10:22"",""Id"":""m-5"",""Operation"":""UserLoggedIn"",""OrganizationId"":""T-CLIENT"",""Workload"":""AzureActiveDirectory"",""UserId"":""a@b.de"",""ExtendedProperties"":[{""Name"":""RequestType"",""Value"":""Cmsi:Cmsi""}]}","3"
`

const purviewCSV = `RecordId;CreationDate;RecordType;Operation;UserId;AuditData;AssociatedAdminUnits
m-6;2026-09-21T10:10:20.0000000Z;6;FileDownloaded;a@b.de;"{""CreationTime"":""2026-09-21T10:10:20"",""Id"":""m-6"",""Operation"":""FileDownloaded"",""Workload"":""SharePoint"",""UserId"":""a@b.de"",""ObjectId"":""https://x.example/plan;v2.docx""}";
`

func TestExportsGiveTheirRecords(t *testing.T) {
	c := decodetest.File(t, Streams(), "AuditLog.csv", searchCSV)
	if len(c.Events) != 2 || len(c.Reasons) != 1 || !strings.Contains(c.Reasons[0], "AuditData: not JSON") {
		t.Fatalf("%d events, bad %q; want the record that was cut short told and the others read", len(c.Events), c.Reasons)
	}
	e := c.Events[0]
	if c.Records[0] != 3 || e.SourceID != "m-3" || e.User.Name != "a@b.de" || e.Cloud.Operation != "New-InboxRule" || e.Src.IP.String() != "81.76.245.170" || e.Fields.Value("Parameters.0.Name") != "ForwardTo" {
		t.Errorf("record %d: %s %v", c.Records[0], decodetest.CloudLine(e), e.Fields)
	}
	if got := c.Events[1].Fields.Value("RequestType"); got != "Cmsi:Cmsi" {
		t.Errorf("RequestType is %q", got)
	}
	c = decodetest.File(t, Streams(), "x.csv", purviewCSV)
	if len(c.Events) != 1 || len(c.Reasons) != 0 || c.Events[0].Cloud.Resource != "https://x.example/plan;v2.docx" {
		t.Errorf("%d events, bad %q: %v", len(c.Events), c.Reasons, c.Events)
	}
}

func TestRecordsOfGraphAreOpened(t *testing.T) {
	e := decodetest.One(t, Objects(), `{"id":"g-1","createdDateTime":"2026-09-21T10:10:20Z","auditLogRecordType":"ExchangeItem","operation":"MailItemsAccessed","organizationId":"T-CLIENT","userType":"Regular","userId":"A@b.de","service":"Exchange","clientIp":"81.76.245.170","auditData":{"Operation":"MailItemsAccessed","AppId":"app-1","UserId":"A@b.de"}}`)
	if e.Cloud.AppID != "app-1" || e.User.Name != "a@b.de" || e.SourceID != "g-1" || e.Fields.Value("Operation") != "MailItemsAccessed" {
		t.Errorf("%s %v", decodetest.CloudLine(e), e.Fields)
	}
}

// A provider's people and apps are known by the fields that the schema names for it.
func TestPrincipalsOfOtherOrganisations(t *testing.T) {
	const record = `{"CreationTime":"2026-09-21T10:10:20","Id":"m-7","Operation":"Add member to role.","RecordType":8,"Workload":"AzureActiveDirectory","OrganizationId":"T-CLIENT","ObjectId":"eve@b.de",%s}`
	for name, c := range map[string]struct{ fields, home, cross, user string }{
		"the actor's own organisation":     {`"UserId":"t@msp.example","UserType":0,"ActorContextId":"T-PARTNER","TargetContextId":"T-CLIENT"`, "T-PARTNER", "", "t@msp.example false"},
		"a partner's technician":           {`"UserId":"user_00@msp.example","UserType":9`, "", "serviceProvider", "user_00@msp.example false"},
		"the same by its name":             {`"UserId":"user_00@msp.example","UserType":"PartnerTechnician"`, "", "serviceProvider", "user_00@msp.example false"},
		"a service principal":              {`"UserId":"ServicePrincipal_5f","UserType":6,"ActorContextId":"T-CLIENT"`, "T-CLIENT", "", "serviceprincipal_5f true"},
		"a service principal, type untold": {`"UserId":"ServicePrincipal_5f"`, "", "", "serviceprincipal_5f true"},
		"a guest":                          {`"UserId":"a@b.de","UserType":10`, "", "", "a@b.de false"},
	} {
		t.Run(name, func(t *testing.T) {
			e := decodetest.One(t, Objects(), fmt.Sprintf(record, c.fields))
			k := e.Cloud
			if got := fmt.Sprintf("%s %v", e.Actor.Name, k.ServicePrin); k.HomeTenant != c.home || k.CrossTenant != c.cross || k.ResourceTenant != "T-CLIENT" || k.Resource != "eve@b.de" || got != c.user {
				t.Errorf("%s, by %s", decodetest.CloudLine(e), got)
			}
		})
	}
}

// Whatever order the columns have, whatever the wrapper's time looks like and whatever parts the cells: the record
// within tells all.
func TestAnExportOfAnotherOfficeGivesTheSame(t *testing.T) {
	const text = "\xef\xbb\xbf" + `AuditData;UserIds;Operations;CreationDate;RecordType
"{""CreationTime"":""2026-09-21T10:10:20"",""Id"":""m-8"",""Operation"":""FileDownloaded"",""Workload"":""SharePoint"",""OrganizationId"":""T-CLIENT"",""UserId"":""a@b.de"",""ClientIP"":""81.76.245.170"",""ObjectId"":""plan;\""v2\"".docx""}";a@b.de;FileDownloaded;21.09.2026 12:10:20;SharePointFileOperation
`
	c := decodetest.File(t, Streams(), "Export.csv", text)
	if len(c.Events) != 1 || len(c.Reasons) != 0 {
		t.Fatalf("%d events, bad %q", len(c.Events), c.Reasons)
	}
	const want = "m365/audit 2026-09-21T10:10:20Z 6003 read unknown id=m-8 user=a@b.de src=81.76.245.170 home= resource=T-CLIENT cross= app=  0 mfa= sp=false int=false err= keys=[]"
	if e := c.Events[0]; decodetest.CloudLine(e) != want || e.Cloud.Resource != `plan;"v2".docx` {
		t.Errorf("got  %s of %s\nwant %s", decodetest.CloudLine(e), e.Cloud.Resource, want)
	}
}

func FuzzDecode(f *testing.F) {
	seeds := []string{searchCSV, purviewCSV, `{"RecordType":1,"AuditData":{"Operation":"x","CreationTime":"2026-09-21T10:10:20"}}`,
		`{"CreationTime":"2026-09-21T10:10:20","Operation":"x","Workload":"y","UserId":3,"ClientIP":"nowhere:99999"}`}
	for _, r := range records {
		seeds = append(seeds, r.Text)
	}
	decodetest.Fuzz(f, Objects(), Streams(), seeds...)
}
