package gcp

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// records are one record of every wrapping, each with what must come out.
var records = []decodetest.Record{
	{"entry of Cloud Logging", `{"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","authenticationInfo":{"principalEmail":"Backup@partner-prj.iam.gserviceaccount.com","serviceAccountKeyName":"//iam.googleapis.com/keys/k-1"},"requestMetadata":{"callerIp":"203.0.113.60","callerSuppliedUserAgent":"gcloud"},"serviceName":"iam.googleapis.com","methodName":"google.iam.admin.v1.CreateServiceAccount","resourceName":"projects/client-prj","authorizationInfo":[{"resource":"projects/client-prj","permission":"iam.serviceAccounts.create","granted":true}]},"insertId":"g-1","resource":{"type":"service_account","labels":{"project_id":"client-prj"}},"timestamp":"2026-09-21T10:10:20.123Z","severity":"NOTICE","logName":"projects/client-prj/logs/cloudaudit.googleapis.com%2Factivity"}`,
		"gcp/audit 2026-09-21T10:10:20.123Z 6003 create success id=g-1 user=backup@partner-prj.iam.gserviceaccount.com src=203.0.113.60 home=partner-prj resource=client-prj cross= app=  0 mfa= sp=true int=false err= keys=[]"},
	{"entry of a subscriber, denied", `{"data":{"protoPayload":{"authenticationInfo":{"principalEmail":"Eve@b.de"},"requestMetadata":{"callerIp":"2001:db8::7"},"serviceName":"compute.googleapis.com","methodName":"v1.compute.instances.insert","status":{"code":7,"message":"denied"}},"insertId":"g-2","resource":{"labels":{"project_id":"client-prj"}},"timestamp":"2026-09-21T10:10:20Z"}}`,
		"gcp/audit 2026-09-21T10:10:20Z 6003 create failure id=g-2 user=eve@b.de src=2001:db8::7 home= resource=client-prj cross= app=  0 mfa= sp=false int=false err=7 keys=[]"},
	{"row of BigQuery", `{"logName":"projects/client-prj/logs/cloudaudit.googleapis.com%2Factivity","resource":{"type":"service_account","labels":{"project_id":"client-prj"}},"protopayload_auditlog":{"serviceName":"iam.googleapis.com","methodName":"google.iam.admin.v1.CreateServiceAccountKey","resourceName":"projects/-/serviceAccounts/1","authenticationInfo":{"principalEmail":"Backup@partner-prj.iam.gserviceaccount.com"},"requestMetadata":{"callerIp":"203.0.113.60"},"requestJson":"{}"},"timestamp":"2026-09-21 10:10:20.500000 UTC","receiveTimestamp":"2026-09-21 10:10:21 UTC","insertId":"g-4"}`,
		"gcp/audit 2026-09-21T10:10:20.5Z 6003 create success id=g-4 user=backup@partner-prj.iam.gserviceaccount.com src=203.0.113.60 home=partner-prj resource=client-prj cross= app=  0 mfa= sp=true int=false err= keys=[]"},
	{"message of Pub/Sub", `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(`{"protoPayload":{"authenticationInfo":{"principalEmail":"Eve@b.de"},"requestMetadata":{"callerIp":"203.0.113.60"},"serviceName":"compute.googleapis.com","methodName":"v1.compute.instances.insert"},"insertId":"g-5","resource":{"labels":{"project_id":"client-prj"}},"timestamp":"2026-09-21T10:10:20Z"}`)) + `","messageId":"7","publishTime":"2026-09-21T10:10:22Z"},"subscription":"projects/s"}`,
		"gcp/audit 2026-09-21T10:10:20Z 6003 create success id=g-5 user=eve@b.de src=203.0.113.60 home= resource=client-prj cross= app=  0 mfa= sp=false int=false err= keys=[]"},
	{"Workspace's admin audit in Cloud Logging", `{"protoPayload":{"authenticationInfo":{"principalEmail":"adm@b.de"},"requestMetadata":{"callerIp":"203.0.113.60"},"serviceName":"admin.googleapis.com","methodName":"google.admin.AdminService.changeApplicationSetting","resourceName":"organizations/1","metadata":{"event":[{"eventType":"APPLICATION_SETTINGS","eventName":"CHANGE_APPLICATION_SETTING","parameter":[{"name":"SETTING_NAME","value":"ContextAwareAccess x"},{"name":"NEW_VALUE","value":"false"}]}]}},"insertId":"g-3","resource":{"type":"audited_resource","labels":{}},"timestamp":"2026-09-21T10:10:20Z"}`,
		"google/admin 2026-09-21T10:10:20Z 6003 update success id=g-3 user=adm@b.de src=203.0.113.60 home= resource= cross= app=  0 mfa= sp=false int=false err= keys=[]"},
	{"login of the Reports API", `{"kind":"admin#reports#activity","id":{"time":"2026-09-21T10:10:20.000Z","uniqueQualifier":"77","applicationName":"login","customerId":"C0"},"actor":{"email":"Eve@b.de","profileId":"1","callerType":"USER"},"ipAddress":"203.0.113.60","events":[{"type":"login","name":"login_failure","parameters":[{"name":"login_type","value":"google_password"},{"name":"is_suspicious","boolValue":true}]}]}`,
		"google/login 2026-09-21T10:10:20Z 3002 logon failure id=2026-09-21T10:10:20.000Z 77 user=eve@b.de src=203.0.113.60 home= resource=C0 cross= app=  0 mfa= sp=false int=false err= keys=[]"},
	{"admin of the Reports API", `{"kind":"admin#reports#activity","id":{"time":"2026-09-21T10:10:20Z","uniqueQualifier":"78","applicationName":"admin","customerId":"C0"},"actor":{"email":"adm@b.de"},"events":[{"type":"DELEGATED_ADMIN_SETTINGS","name":"GRANT_ADMIN_PRIVILEGE","parameters":[{"name":"USER_EMAIL","value":"Eve@b.de"}]}]}`,
		"google/admin 2026-09-21T10:10:20Z 3001 other success id=2026-09-21T10:10:20Z 78 user=eve@b.de src= home= resource=C0 cross= app=  0 mfa= sp=false int=false err= keys=[]"},
}

func TestEveryWrapping(t *testing.T) { decodetest.Records(t, Objects(), records) }

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), records[0].Text, map[string]decodetest.BadRecord{
		"no_time":       {`{"protoPayload":{"methodName":"x"},"timestamp":""}`, "no time"},
		"time_is_text":  {`{"protoPayload":{"methodName":"x"},"timestamp":"noon"}`, "not a time"},
		"row_time":      {`{"protopayload_auditlog":{"methodName":"x"},"timestamp":"noon"}`, "not a time"},
		"pushed_broken": {`{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(`{"protoPayload":`)) + `","messageId":"1"}}`, "message.data: not JSON"},
		"pushed_empty":  {`{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(`{"protoPayload":{}}`)) + `","messageId":"1"}}`, "without a method"},
		"pushed_other":  {`{"message":{"data":"aGVsbG8=","messageId":"1"}}`, "no known source"},
		"of_other_kind": {`{"textPayload":"x","timestamp":"2026-09-21T10:10:20Z"}`, "no known source"},
		"too_deep":      {`{"protoPayload":{"methodName":"x","request":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}}`, "deeper"},
	})
}

// A partner's person who has the client's own service account act is the one that acted.
func TestWhoeverDelegatesActs(t *testing.T) {
	const text = `{"protoPayload":{"authenticationInfo":{"principalEmail":"ci@client-prj.iam.gserviceaccount.com","serviceAccountDelegationInfo":[%s]},"serviceName":"iam.googleapis.com","methodName":"SetIamPolicy"},"resource":{"labels":{"project_id":"client-prj"}},"timestamp":"2026-09-21T10:10:20Z"}`
	for name, c := range map[string]struct{ chain, actor, home string }{
		"a person":                     {`{"firstPartyPrincipal":{"principalEmail":"T@msp.example"}}`, "t@msp.example", ""},
		"a person by subject":          {`{"principalSubject":"user:T@msp.example"}`, "t@msp.example", ""},
		"a service account of another": {`{"principalSubject":"serviceAccount:x@partner-prj.iam.gserviceaccount.com"}`, "x@partner-prj.iam.gserviceaccount.com", "partner-prj"},
		"a chain":                      {`{"firstPartyPrincipal":{"principalEmail":"t@msp.example"}},{"firstPartyPrincipal":{"principalEmail":"b@client-prj.iam.gserviceaccount.com"}}`, "t@msp.example", ""},
		"another cloud's identity":     {`{"principalSubject":"principal://iam.googleapis.com/projects/1/x/subject/Y"}`, "principal://iam.googleapis.com/projects/1/x/subject/y", ""},
		"nobody":                       {``, "ci@client-prj.iam.gserviceaccount.com", "client-prj"},
	} {
		t.Run(name, func(t *testing.T) {
			e := decodetest.One(t, Objects(), fmt.Sprintf(text, c.chain))
			if e.Actor.Name != c.actor || e.Cloud.HomeTenant != c.home || e.User.Name != "ci@client-prj.iam.gserviceaccount.com" || !e.Cloud.ServicePrin {
				t.Errorf("%s by %s", decodetest.CloudLine(e), e.Actor.Name)
			}
		})
	}
}

func TestNamesThatRulesSpeakOfARow(t *testing.T) {
	e := decodetest.One(t, Objects(), records[2].Text)
	for name, want := range map[string]string{"gcp.audit.method_name": "google.iam.admin.v1.CreateServiceAccountKey", "protoPayload.methodName": "google.iam.admin.v1.CreateServiceAccountKey", "data.protoPayload.serviceName": "iam.googleapis.com"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestNamesThatRulesSpeak(t *testing.T) {
	e := decodetest.One(t, Objects(), records[0].Text)
	for name, want := range map[string]string{"gcp.audit.method_name": "google.iam.admin.v1.CreateServiceAccount", "data.protoPayload.logName": "projects/client-prj/logs/cloudaudit.googleapis.com%2Factivity", "data.protoPayload.authorizationInfo.0.granted": "true", "data.protoPayload.resource.type": "service_account"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestNamesThatRulesSpeakOfWorkspace(t *testing.T) {
	e := decodetest.One(t, Objects(), records[4].Text)
	for name, want := range map[string]string{"eventService": adminService, "eventName": "CHANGE_APPLICATION_SETTING", "SETTING_NAME": "ContextAwareAccess x", "NEW_VALUE": "false"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestBothWaysOfWorkspaceSpeakAlike(t *testing.T) {
	e := decodetest.One(t, Objects(), records[5].Text)
	for name, want := range map[string]string{"protoPayload.serviceName": loginService, "protoPayload.metadata.event.0.eventName": "login_failure", "is_suspicious": "true"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

const explorerCSV = "insertId,timestamp,severity,logName,resource.type,resource.labels.project_id,protoPayload.methodName,protoPayload.serviceName,protoPayload.authenticationInfo.principalEmail,protoPayload.requestMetadata.callerIp,protoPayload.request\n" +
	`g-9,2026-09-21T10:10:20Z,NOTICE,l,project,client-prj,SetIamPolicy,cloudresourcemanager.googleapis.com,eve@b.de,203.0.113.60,"{""policy"":{""version"":1}}"` + "\n"

func TestExportOfTheLogsExplorer(t *testing.T) {
	c := decodetest.File(t, Streams(), "downloaded-logs.csv", explorerCSV)
	if len(c.Events) != 1 || len(c.Reasons) != 0 {
		t.Fatalf("%d events, bad %q", len(c.Events), c.Reasons)
	}
	if e := c.Events[0]; e.User.Name != "eve@b.de" || e.Cloud.ResourceTenant != "client-prj" || e.Fields.Value("protoPayload.request.policy.version") != "1" {
		t.Errorf("%s %v", decodetest.CloudLine(e), e.Fields)
	}
}

func TestListsOfTheAPIsAreUnwrapped(t *testing.T) {
	for _, text := range []string{`{"kind":"admin#reports#activities","etag":"x","items":[` + records[5].Text + `]}`, `{"nextPageToken":"n","entries":[` + records[0].Text + `]}`} {
		if c := decodetest.Read(t, Objects(), text); len(c.Events) != 1 || len(c.Reasons) != 0 {
			t.Errorf("%d events, bad %q from %.60s", len(c.Events), c.Reasons, text)
		}
	}
}

func FuzzDecode(f *testing.F) {
	seeds := []string{explorerCSV, `{"kind":"admin#reports#activity","id":{"time":"2026-09-21T10:10:20Z"},"events":[{"name":""}]}`}
	for _, r := range records {
		seeds = append(seeds, r.Text)
	}
	decodetest.Fuzz(f, Objects(), Streams(), seeds...)
}
