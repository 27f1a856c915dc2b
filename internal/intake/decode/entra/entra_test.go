package entra

import (
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// records are one record of every wrapping, each with what must come out.
var records = []decodetest.Record{
	{"Graph sign-in of a guest", `{"id":"8a5d","createdDateTime":"2026-09-21T10:10:20Z","correlationId":"c-1","appId":"app-1","appDisplayName":"Office 365 Exchange Online","ipAddress":"81.76.245.170","autonomousSystemNumber":3209,"isInteractive":true,"signInEventTypes":["interactiveUser"],"resourceDisplayName":"Exchange","resourceTenantId":"T-CLIENT","homeTenantId":"T-PARTNER","crossTenantAccessType":"b2bCollaboration","status":{"errorCode":0,"failureReason":"Other."},"location":{"city":"Bonn","countryOrRegion":"DE"},"uniqueTokenIdentifier":"tok","userPrincipalName":"S.Romero@isarlink-it.de","userId":"u-1","userAgent":"Mozilla","authenticationRequirement":"multiFactorAuthentication","deviceDetail":{"displayName":"WS-7"}}`,
		"entra/signin 2026-09-21T10:10:20Z 3002 logon success id=8a5d user=s.romero@isarlink-it.de src=81.76.245.170 home=T-PARTNER resource=T-CLIENT cross=b2bCollaboration app=app-1 DE 3209 mfa=multiFactorAuthentication sp=false int=true err=0 keys=[{entra-request 8a5d} {entra-request c-1} {entra-token tok}]"},
	{"Graph sign-in of an app", `{"id":"2f3c","createdDateTime":"2026-09-21T06:25:15Z","correlationId":"c-2","appId":"app-2","appDisplayName":"Isarlink Baseline","ipAddress":"203.0.113.60","isInteractive":false,"signInEventTypes":["servicePrincipal"],"resourceTenantId":"T-CLIENT","homeTenantId":"T-PARTNER","crossTenantAccessType":"none","status":{"errorCode":7000215},"location":{"countryOrRegion":"DE"},"servicePrincipalId":"sp-1","servicePrincipalName":"Isarlink Baseline","servicePrincipalCredentialKeyId":"key-1","appOwnerTenantId":"T-PARTNER","userPrincipalName":null,"userId":null}`,
		"entra/signin 2026-09-21T06:25:15Z 3002 logon failure id=2f3c user=isarlink baseline src=203.0.113.60 home=T-PARTNER resource=T-CLIENT cross=none app=app-2 DE 0 mfa= sp=true int=false err=7000215 keys=[{entra-request 2f3c} {entra-request c-2}]"},
	{"PowerShell's PascalCase", `{"Id":"8a5d","CreatedDateTime":"/Date(1789985420000)/","CorrelationId":"c-1","AppId":"app-1","AppDisplayName":"X","IpAddress":"81.76.245.170","IsInteractive":true,"Status":{"ErrorCode":50126},"Location":{"CountryOrRegion":"DE"},"UserPrincipalName":"a@b.de","UserId":"u-1"}`,
		"entra/signin 2026-09-21T10:10:20Z 3002 logon failure id=8a5d user=a@b.de src=81.76.245.170 home= resource= cross= app=app-1 DE 0 mfa= sp=false int=true err=50126 keys=[{entra-request 8a5d} {entra-request c-1}]"},
	{"diagnostic settings", `{"time":"2026-09-21T10:10:21Z","resourceId":"/tenants/T-CLIENT/providers/Microsoft.aadiam","operationName":"Sign-in activity","category":"NonInteractiveUserSignInLogs","resultType":"0","tenantId":"T-CLIENT","callerIpAddress":"81.76.245.170","correlationId":"c-1","properties":{"id":"8a5d","createdDateTime":"2026-09-21T10:10:20Z","userPrincipalName":"a@b.de","appId":"app-1","ipAddress":"81.76.245.170","status":{"errorCode":0},"location":{"countryOrRegion":"DE"},"homeTenantId":"T-PARTNER","crossTenantAccessType":"serviceProvider","uniqueTokenIdentifier":"tok"}}`,
		"entra/signin 2026-09-21T10:10:20Z 3002 logon success id=8a5d user=a@b.de src=81.76.245.170 home=T-PARTNER resource=T-CLIENT cross=serviceProvider app=app-1 DE 0 mfa= sp=false int=false err=0 keys=[{entra-request 8a5d} {entra-request c-1} {entra-token tok}]"},
	{"Log Analytics sign-in", `{"TimeGenerated":"2026-09-21T10:10:20.5Z","OperationName":"Sign-in activity","Category":"SignInLogs","ResultType":"50053","Id":"8a5d","CorrelationId":"c-1","UserPrincipalName":"a@b.de","AppId":"app-1","AppDisplayName":"X","IPAddress":"81.76.245.170","Location":"DE","Status":"{\"errorCode\":50053}","AADTenantId":"T-CLIENT","HomeTenantId":"T-CLIENT","ResourceTenantId":"T-CLIENT","IsInteractive":true}`,
		"entra/signin 2026-09-21T10:10:20.5Z 3002 logon failure id=8a5d user=a@b.de src=81.76.245.170 home=T-CLIENT resource=T-CLIENT cross= app=app-1 DE 0 mfa= sp=false int=true err=50053 keys=[{entra-request 8a5d} {entra-request c-1}]"},
	{"Graph audit", `{"id":"Directory_x","category":"ApplicationManagement","correlationId":"c-3","result":"success","activityDisplayName":"Add service principal credentials","activityDateTime":"2026-09-21T10:10:20Z","initiatedBy":{"user":{"id":"u-1","userPrincipalName":"Adm@b.de","ipAddress":"81.76.245.170"},"app":null},"targetResources":[{"id":"sp-9","displayName":"Backup","type":"ServicePrincipal"}]}`,
		"entra/audit 2026-09-21T10:10:20Z 6003 create success id=Directory_x user=adm@b.de src=81.76.245.170 home= resource= cross= app=  0 mfa= sp=false int=false err= keys=[{entra-request Directory_x} {entra-request c-3}]"},
	{"Graph audit of a reset by an app", `{"id":"Directory_y","category":"UserManagement","correlationId":"c-4","result":"failure","resultReason":"denied","activityDisplayName":"Reset user password","activityDateTime":"2026-09-21T10:10:20Z","initiatedBy":{"app":{"appId":"app-2","displayName":"Isarlink Baseline","servicePrincipalId":"sp-1"}},"targetResources":[{"id":"u-2","userPrincipalName":"B@b.de","type":"User"}]}`,
		"entra/audit 2026-09-21T10:10:20Z 3001 password reset failure id=Directory_y user=b@b.de src= home= resource= cross= app=app-2  0 mfa= sp=true int=false err=denied keys=[{entra-request Directory_y} {entra-request c-4}]"},
	{"Azure activity, REST", `{"authorization":{"action":"Microsoft.Authorization/roleAssignments/write"},"caller":"Adm@isarlink-it.de","claims":{"aud":"x","http://schemas.microsoft.com/identity/claims/tenantid":"T-PARTNER","http://schemas.microsoft.com/identity/claims/objectidentifier":"o-1","ipaddr":"81.76.245.170","uti":"tok"},"correlationId":"c-5","eventDataId":"e-5","eventTimestamp":"2026-09-21T10:10:20Z","operationName":{"value":"Microsoft.Authorization/roleAssignments/write","localizedValue":"Create role assignment"},"resourceId":"/subscriptions/s-1/x","status":{"value":"Succeeded"},"subscriptionId":"s-1","tenantId":"T-CLIENT"}`,
		"azure/activity 2026-09-21T10:10:20Z 6003 update success id=e-5 user=adm@isarlink-it.de src=81.76.245.170 home=T-PARTNER resource=T-CLIENT cross= app=  0 mfa= sp=false int=false err= keys=[{entra-request c-5} {entra-token tok}]"},
	{"Azure activity, diagnostic settings", `{"time":"2026-09-21T10:10:20Z","resourceId":"/SUBSCRIPTIONS/S-1/X","operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/RUNCOMMAND/ACTION","category":"Administrative","resultType":"Failure","resultSignature":"Failed.Forbidden","callerIpAddress":"81.76.245.170","correlationId":"c-6","identity":{"claims":{"tid":"T-PARTNER","appid":"app-2","idtyp":"app","oid":"o-2"}},"tenantId":"T-CLIENT"}`,
		"azure/activity 2026-09-21T10:10:20Z 6003 other failure id= user=app-2 src=81.76.245.170 home=T-PARTNER resource=T-CLIENT cross= app=app-2  0 mfa= sp=true int=false err=Failed.Forbidden keys=[{entra-request c-6}]"},
	{"Azure activity, Log Analytics", `{"TimeGenerated":"2026-09-21T10:10:20Z","OperationNameValue":"MICROSOFT.KEYVAULT/VAULTS/DELETE","ActivityStatusValue":"Success","Caller":"a@b.de","CallerIpAddress":"81.76.245.170","CorrelationId":"c-7","EventDataId":"e-7","SubscriptionId":"s-1","TenantId":"W-1","Claims":"{\"http://schemas.microsoft.com/identity/claims/tenantid\":\"T-PARTNER\"}"}`,
		"azure/activity 2026-09-21T10:10:20Z 6003 delete success id=e-7 user=a@b.de src=81.76.245.170 home=T-PARTNER resource=W-1 cross= app=  0 mfa= sp=false int=false err= keys=[{entra-request c-7}]"},
	{"sign-in of a managed identity", `{"time":"2026-09-21T10:10:21Z","operationName":"Sign-in activity","category":"ManagedIdentitySignInLogs","resultType":"0","tenantId":"T-CLIENT","properties":{"id":"mi-1","createdDateTime":"2026-09-21T10:10:20Z","appId":"app-9","servicePrincipalId":"sp-9","servicePrincipalName":"vm-backup","resourceDisplayName":"Azure Key Vault","status":{"errorCode":0}}}`,
		"entra/signin 2026-09-21T10:10:20Z 3002 logon success id=mi-1 user=vm-backup src= home= resource=T-CLIENT cross= app=app-9  0 mfa= sp=true int=false err=0 keys=[{entra-request mi-1}]"},
	{"Graph risk detection", `{"id":"r-1","requestId":"req-1","correlationId":"c-8","riskEventType":"unfamiliarFeatures","riskState":"atRisk","riskLevel":"high","ipAddress":"81.76.245.170","activityDateTime":"2026-09-21T10:10:20Z","detectedDateTime":"2026-09-21T10:40:20Z","userId":"u-1","userPrincipalName":"A@b.de","location":{"countryOrRegion":"de"}}`,
		"entra/risk 2026-09-21T10:10:20Z 3002 risk unknown id=r-1 user=a@b.de src=81.76.245.170 home= resource= cross= app= DE 0 mfa= sp=false int=false err= keys=[{entra-request req-1} {entra-request c-8}]"},
	{"risk detection of diagnostic settings", `{"time":"2026-09-21T10:40:20Z","category":"UserRiskEvents","tenantId":"T-CLIENT","properties":{"id":"r-2","riskEventType":"leakedCredentials","activityDateTime":"2026-09-21T10:10:20Z","userPrincipalName":"a@b.de"}}`,
		"entra/risk 2026-09-21T10:10:20Z 3002 risk unknown id=r-2 user=a@b.de src= home= resource=T-CLIENT cross= app=  0 mfa= sp=false int=false err= keys=[]"},
	{"alert of privileged identity management", `{"@odata.type":"#microsoft.graph.staleSignInAlertIncident","id":"p-1","assigneeUserPrincipalName":"A@b.de","lastSignInDateTime":"2026-01-01T00:00:00Z","createdDateTime":"2026-09-21T10:10:20Z"}`,
		"entra/pim 2026-09-21T10:10:20Z 3002 risk unknown id=p-1 user=a@b.de src= home= resource= cross= app=  0 mfa= sp=false int=false err= keys=[]"},
}

func TestEveryWrapping(t *testing.T) { decodetest.Records(t, Objects(), records) }

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), records[0].Text, map[string]decodetest.BadRecord{
		"signin_missing_time":   {`{"createdDateTime":"","appId":"a","status":{"errorCode":0},"ipAddress":"1.2.3.4"}`, "time"},
		"signin_clock_of_1970":  {`{"createdDateTime":"1970-01-01T00:00:00Z","appId":"a","status":{"errorCode":0},"ipAddress":"1.2.3.4"}`, "not a time"},
		"signin_clock_of_2100":  {`{"createdDateTime":"2100-01-01T00:00:00Z","appId":"a","status":{"errorCode":0},"ipAddress":"1.2.3.4"}`, "not a time"},
		"signin_time_is_object": {`{"createdDateTime":{"x":"y"},"appId":"a","status":{"errorCode":0},"ipAddress":"1.2.3.4"}`, "no time"},
		"risk_missing_time":     {`{"riskEventType":"leakedCredentials","userPrincipalName":"a@b.de"}`, "no time"},
		"of_no_cloud":           {`{"time":"2026-09-21T10:10:20Z","message":"hello"}`, "no known source"},
		"line_too_long":         {`{"createdDateTime":"` + strings.Repeat("x", decode.MaxRecord) + `"}`, "longer than"},
		"nested_too_deep":       {`{"createdDateTime":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, "deeper"},
	})
}

func TestPartsInsideStringsBecomeFields(t *testing.T) {
	e := decodetest.One(t, Objects(), `{"TimeGenerated":"2026-09-21T10:10:20Z","Category":"AuditLogs","OperationName":"Update application","InitiatedBy":"{\"user\":{\"userPrincipalName\":\"A@b.de\"}}","TargetResources":"[{\"displayName\":\"App\",\"modifiedProperties\":[{\"displayName\":\"KeyDescription\"}]}]","Id":"x"}`)
	if e.Fields.Value("TargetResources.0.modifiedProperties.0.displayName") != "KeyDescription" || e.Actor.Name != "a@b.de" || e.Cloud.Resource != "App" {
		t.Errorf("actor %v resource %q fields %v", e.Actor, e.Cloud.Resource, e.Fields)
	}
}

func TestOddTypesAreNoReasonToRefuse(t *testing.T) {
	for _, line := range []string{
		`{"createdDateTime":"2026-09-21T10:10:20Z","appId":17,"status":"broken {","ipAddress":["1.2.3.4"],"location":7,"userPrincipalName":{"a":1},"autonomousSystemNumber":"many"}`,
		`{"activityDisplayName":"x","activityDateTime":"2026-09-21T10:10:20Z","initiatedBy":[],"targetResources":"[[[{"}`,
		`{"riskEventType":["a"],"detectedDateTime":"2026-09-21T10:10:20Z","location":"somewhere"}`,
	} {
		decodetest.One(t, Objects(), line)
	}
}

// What an envelope of Azure Monitor holds apart is found under the names that rules speak.
func TestEnvelopesAreOpened(t *testing.T) {
	e := decodetest.One(t, Objects(), `{"time":"2026-09-21T10:10:21Z","category":"SignInLogs","resultType":"0","properties":{"id":"8a5d","createdDateTime":"2026-09-21T10:10:20Z","userPrincipalName":"a@b.de","appId":"app-1","userAgent":"BAV2ROPC","clientAppUsed":"IMAP4","authenticationProtocol":"deviceCode","authenticationRequirement":"singleFactorAuthentication","status":{"errorCode":0,"failureReason":"Other."}}}`)
	for name, want := range map[string]string{"userAgent": "BAV2ROPC", "properties.userAgent": "BAV2ROPC", "ClientApp": "IMAP4", "Username": "a@b.de",
		"properties.message": "Device Code", "authenticationRequirement": "singleFactorAuthentication", "ResultDescription": "Other."} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestChangedPropertiesWithAPathStandUnderIt(t *testing.T) {
	e := decodetest.One(t, Objects(), `{"id":"x","category":"ApplicationManagement","result":"success","activityDisplayName":"Consent to application","activityDateTime":"2026-09-21T10:10:20Z","initiatedBy":{"user":{"userPrincipalName":"a@b.de"}},"targetResources":[{"id":"sp","modifiedProperties":[{"displayName":"ConsentContext.IsAdminConsent","oldValue":null,"newValue":"\"False\""}]}]}`)
	if got := e.Fields.Value("ConsentContext.IsAdminConsent"); got != "False" {
		t.Errorf("ConsentContext.IsAdminConsent is %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	seeds := []string{signinCSV, serviceCSV, auditCSV, tableCSV,
		`{"TimeGenerated":"2026-09-21T10:10:20Z","Category":"AuditLogs","InitiatedBy":"{\"user\":{}}","TargetResources":"[{},{},{},{},{},{},{},{},{},{},{\"id\":\"x\"}]"}`}
	for _, r := range records {
		seeds = append(seeds, r.Text)
	}
	decodetest.Fuzz(f, Objects(), Streams(), seeds...)
}

func BenchmarkSignin(b *testing.B) {
	text := strings.Repeat(records[0].Text+"\n", 1000)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if c := decodetest.Read(b, Objects(), text); len(c.Events) != 1000 {
			b.Fatal(c.Reasons)
		}
	}
}
