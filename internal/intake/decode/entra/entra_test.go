package entra

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

func decodeText(t testing.TB, text string) *decodetest.Collect {
	t.Helper()
	var c decodetest.Collect
	if err := decode.Objects(Objects()).Read(context.Background(), "x.json", strings.NewReader(text), &c); err != nil {
		t.Fatal(err)
	}
	return &c
}

func one(t testing.TB, text string) *ocsf.Event {
	t.Helper()
	c := decodeText(t, text)
	if len(c.Events) != 1 || len(c.Reasons) != 0 {
		t.Fatalf("%d events, bad %q from %s", len(c.Events), c.Reasons, text)
	}
	decodetest.Check(t, c.Events[0])
	return c.Events[0]
}

// records are one record of every wrapping, each with what must come out.
var records = []struct{ name, text, want string }{
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
	{"M365 of the Management API", `{"CreationTime":"2026-09-21T10:10:20","Id":"m-1","Operation":"MailItemsAccessed","OrganizationId":"T-CLIENT","RecordType":50,"ResultStatus":"Succeeded","UserType":0,"Workload":"Exchange","UserId":"A@b.de","ClientIPAddress":"[2001:db8::7]:51234","AppId":"app-1","ClientInfoString":"Client=REST"}`,
		"m365/audit 2026-09-21T10:10:20Z 6003 read success id=m-1 user=a@b.de src=[2001:db8::7]:51234 home= resource=T-CLIENT cross= app=app-1  0 mfa= sp=false int=false err= keys=[]"},
	{"M365 in a string", `{"RecordType":"AzureActiveDirectoryStsLogon","CreationDate":"2026-09-21T10:10:20Z","UserIds":"a@b.de","Operations":"UserLoginFailed","AuditData":"{\"CreationTime\":\"2026-09-21T10:10:20\",\"Id\":\"m-2\",\"Operation\":\"UserLoginFailed\",\"OrganizationId\":\"T-CLIENT\",\"Workload\":\"AzureActiveDirectory\",\"UserId\":\"a@b.de\",\"ClientIP\":\"81.76.245.170:4711\",\"LogonError\":\"InvalidUserNameOrPassword\"}"}`,
		"m365/audit 2026-09-21T10:10:20Z 3002 logon failure id=m-2 user=a@b.de src=81.76.245.170:4711 home= resource=T-CLIENT cross= app=  0 mfa= sp=false int=false err=InvalidUserNameOrPassword keys=[]"},
	{"Azure activity, REST", `{"authorization":{"action":"Microsoft.Authorization/roleAssignments/write"},"caller":"Adm@isarlink-it.de","claims":{"aud":"x","http://schemas.microsoft.com/identity/claims/tenantid":"T-PARTNER","http://schemas.microsoft.com/identity/claims/objectidentifier":"o-1","ipaddr":"81.76.245.170","uti":"tok"},"correlationId":"c-5","eventDataId":"e-5","eventTimestamp":"2026-09-21T10:10:20Z","operationName":{"value":"Microsoft.Authorization/roleAssignments/write","localizedValue":"Create role assignment"},"resourceId":"/subscriptions/s-1/x","status":{"value":"Succeeded"},"subscriptionId":"s-1","tenantId":"T-CLIENT"}`,
		"azure/activity 2026-09-21T10:10:20Z 6003 update success id=e-5 user=adm@isarlink-it.de src=81.76.245.170 home=T-PARTNER resource=T-CLIENT cross= app=  0 mfa= sp=false int=false err= keys=[{entra-request c-5} {entra-token tok}]"},
	{"Azure activity, diagnostic settings", `{"time":"2026-09-21T10:10:20Z","resourceId":"/SUBSCRIPTIONS/S-1/X","operationName":"MICROSOFT.COMPUTE/VIRTUALMACHINES/RUNCOMMAND/ACTION","category":"Administrative","resultType":"Failure","resultSignature":"Failed.Forbidden","callerIpAddress":"81.76.245.170","correlationId":"c-6","identity":{"claims":{"tid":"T-PARTNER","appid":"app-2","idtyp":"app","oid":"o-2"}},"tenantId":"T-CLIENT"}`,
		"azure/activity 2026-09-21T10:10:20Z 6003 other failure id= user=app-2 src=81.76.245.170 home=T-PARTNER resource=T-CLIENT cross= app=app-2  0 mfa= sp=true int=false err=Failed.Forbidden keys=[{entra-request c-6}]"},
	{"Azure activity, Log Analytics", `{"TimeGenerated":"2026-09-21T10:10:20Z","OperationNameValue":"MICROSOFT.KEYVAULT/VAULTS/DELETE","ActivityStatusValue":"Success","Caller":"a@b.de","CallerIpAddress":"81.76.245.170","CorrelationId":"c-7","EventDataId":"e-7","SubscriptionId":"s-1","TenantId":"W-1","Claims":"{\"http://schemas.microsoft.com/identity/claims/tenantid\":\"T-PARTNER\"}"}`,
		"azure/activity 2026-09-21T10:10:20Z 6003 delete success id=e-7 user=a@b.de src=81.76.245.170 home=T-PARTNER resource=W-1 cross= app=  0 mfa= sp=false int=false err= keys=[{entra-request c-7}]"},
	{"CloudTrail across accounts", `{"eventVersion":"1.08","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111111111111:assumed-role/PartnerOps/adm","accountId":"111111111111","accessKeyId":"ASIAX","sessionContext":{"sessionIssuer":{"type":"Role","userName":"PartnerOps"},"attributes":{"mfaAuthenticated":"true"}}},"eventTime":"2026-09-21T10:10:20Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.60","userAgent":"aws-cli","requestParameters":{"roleArn":"arn:aws:iam::222222222222:role/Ops","externalId":"x"},"errorCode":"AccessDenied","eventID":"a-1","recipientAccountId":"222222222222","sharedEventID":"sh-1"}`,
		"aws/cloudtrail 2026-09-21T10:10:20Z 3002 account switch failure id=a-1 user=partnerops src=203.0.113.60 home=111111111111 resource=222222222222 cross=crossAccount app=  0 mfa=multiFactorAuthentication sp=false int=false err=AccessDenied keys=[{aws-shared-event sh-1}]"},
	{"CloudTrail by a service", `{"eventVersion":"1.08","userIdentity":{"type":"AWSService","invokedBy":"ec2.amazonaws.com"},"eventTime":"2026-09-21T10:10:20Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","sourceIPAddress":"ec2.amazonaws.com","eventID":"a-2","recipientAccountId":"222222222222"}`,
		"aws/cloudtrail 2026-09-21T10:10:20Z 3002 account switch success id=a-2 user=ec2.amazonaws.com src=ec2.amazonaws.com home= resource=222222222222 cross= app=  0 mfa= sp=true int=false err= keys=[]"},
	{"CloudTrail console logon", `{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::222222222222:user/Pedro","accountId":"222222222222","userName":"Pedro"},"eventTime":"2026-09-21T10:10:20Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","sourceIPAddress":"203.0.113.60","responseElements":{"ConsoleLogin":"Failure"},"additionalEventData":{"MFAUsed":"No"},"eventID":"a-3","recipientAccountId":"222222222222"}`,
		"aws/cloudtrail 2026-09-21T10:10:20Z 3002 logon failure id=a-3 user=pedro src=203.0.113.60 home=222222222222 resource=222222222222 cross= app=  0 mfa= sp=false int=true err= keys=[]"},
}

func TestEveryWrapping(t *testing.T) {
	for _, c := range records {
		t.Run(c.name, func(t *testing.T) {
			e := one(t, c.text)
			k := e.Cloud
			if got := fmt.Sprintf("%s %s %d %s %s id=%s user=%s src=%s home=%s resource=%s cross=%s app=%s %s %d mfa=%s sp=%v int=%v err=%s keys=%v",
				e.Source, e.Time.Format(time.RFC3339Nano), e.Class, e.Activity, e.Status, e.SourceID, e.User, e.Src, k.HomeTenant, k.ResourceTenant, k.CrossTenant,
				k.AppID, k.Country, k.ASN, k.MFA, k.ServicePrin, k.Interactive, k.ErrorCode, e.JoinKeys); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestNoRecordMatchesTwoFormats(t *testing.T) {
	for _, c := range records {
		e := one(t, c.text)
		n := 0
		for _, f := range Objects() {
			var s decodetest.Collect
			if err := decode.Objects([]decode.Object{f}).Read(context.Background(), "", strings.NewReader(c.text), &s); err != nil {
				t.Fatal(err)
			}
			if n += len(s.Events); len(s.Events) > 0 && s.Events[0].Source != e.Source {
				t.Errorf("%s is taken for %s", c.name, f.Name)
			}
		}
		if n != 1 {
			t.Errorf("%s matches %d formats", c.name, n)
		}
	}
}

func TestWrappedListsAreUnwrapped(t *testing.T) {
	list := records[12].text + "," + records[13].text
	for _, text := range []string{`{"Records":[` + list + `]}`, "[" + list + "]", strings.ReplaceAll(list, "},{", "}\n{")} {
		if c := decodeText(t, text); len(c.Events) != 2 || len(c.Reasons) != 0 {
			t.Errorf("%d events, bad %q from %.60s", len(c.Events), c.Reasons, text)
		}
	}
}

func TestPartsInsideStringsBecomeFields(t *testing.T) {
	e := one(t, `{"TimeGenerated":"2026-09-21T10:10:20Z","Category":"AuditLogs","OperationName":"Update application","InitiatedBy":"{\"user\":{\"userPrincipalName\":\"A@b.de\"}}","TargetResources":"[{\"displayName\":\"App\",\"modifiedProperties\":[{\"displayName\":\"KeyDescription\"}]}]","Id":"x"}`)
	if e.Fields.Value("TargetResources.0.modifiedProperties.0.displayName") != "KeyDescription" || e.Actor.Name != "a@b.de" || e.Cloud.Resource != "App" {
		t.Errorf("actor %v resource %q fields %v", e.Actor, e.Cloud.Resource, e.Fields)
	}
}

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	good := records[0].text
	for name, c := range map[string]struct{ line, reason string }{
		"signin_missing_time":    {`{"createdDateTime":"","appId":"a","status":{"errorCode":0},"ipAddress":"1.2.3.4"}`, "time"},
		"signin_clock_of_1970":   {`{"createdDateTime":"1970-01-01T00:00:00Z","appId":"a","status":{"errorCode":0},"ipAddress":"1.2.3.4"}`, "not a time"},
		"signin_clock_of_2100":   {`{"createdDateTime":"2100-01-01T00:00:00Z","appId":"a","status":{"errorCode":0},"ipAddress":"1.2.3.4"}`, "not a time"},
		"signin_time_is_object":  {`{"createdDateTime":{"x":"y"},"appId":"a","status":{"errorCode":0},"ipAddress":"1.2.3.4"}`, "no time"},
		"m365_time_is_text":      {`{"CreationTime":"noon","Operation":"x","Workload":"y"}`, "no time"},
		"m365_inner_is_broken":   {`{"RecordType":1,"CreationDate":"2026-09-21T10:10:20Z","AuditData":"{\"Operation\":"}`, "AuditData"},
		"m365_inner_is_a_list":   {`{"RecordType":1,"CreationDate":"2026-09-21T10:10:20Z","AuditData":"[1]"}`, "AuditData"},
		"m365_inner_is_too_deep": {`{"RecordType":1,"CreationDate":"2026-09-21T10:10:20Z","AuditData":"` + strings.Repeat("[", 50) + `"}`, "deeper"},
		"trail_missing_time":     {`{"eventSource":"s","eventName":"n","awsRegion":"r"}`, "no time"},
		"of_no_cloud":            {`{"time":"2026-09-21T10:10:20Z","message":"hello"}`, "no known source"},
		"line_too_long":          {`{"eventSource":"` + strings.Repeat("x", decode.MaxRecord) + `"}`, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			s := decodeText(t, good+"\n"+c.line+"\n"+good+"\n")
			if len(s.Events) != 2 || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], c.reason) {
				t.Errorf("%d events, bad %.200q, want one bad with %q", len(s.Events), s.Reasons, c.reason)
			}
		})
	}
}

func TestOddTypesAreNoReasonToRefuse(t *testing.T) {
	for _, line := range []string{
		`{"createdDateTime":"2026-09-21T10:10:20Z","appId":17,"status":"broken {","ipAddress":["1.2.3.4"],"location":7,"userPrincipalName":{"a":1},"autonomousSystemNumber":"many"}`,
		`{"CreationTime":"2026-09-21T10:10:20","Operation":"x","Workload":"y","UserId":3,"ClientIP":"nowhere:99999"}`,
		`{"eventTime":"2026-09-21T10:10:20Z","eventSource":"s","eventName":"n","userIdentity":"root","sourceIPAddress":"\ud800"}`,
		`{"activityDisplayName":"x","activityDateTime":"2026-09-21T10:10:20Z","initiatedBy":[],"targetResources":"[[[{"}`,
		"{\"eventTime\":\"2026-09-21T10:10:20Z\",\"eventSource\":\"s\",\"eventName\":\"\xff\xfe\",\"awsRegion\":\"r\"}",
	} {
		one(t, line)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range records {
		f.Add([]byte(c.text))
	}
	f.Add([]byte(`{"TimeGenerated":"2026-09-21T10:10:20Z","Category":"AuditLogs","InitiatedBy":"{\"user\":{}}","TargetResources":"[{},{},{},{},{},{},{},{},{},{},{\"id\":\"x\"}]"}`))
	f.Add([]byte(`{"RecordType":1,"AuditData":{"Operation":"x","CreationTime":"2026-09-21T10:10:20"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c decodetest.Collect
		if err := decode.Objects(Objects()).Read(context.Background(), "x", strings.NewReader(string(b)), &c); err != nil {
			t.Skip()
		}
		for _, e := range c.Events {
			decodetest.Check(t, e)
			e.Summary()
		}
	})
}

func BenchmarkSignin(b *testing.B) {
	text := strings.Repeat(records[0].text+"\n", 1000)
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var c decodetest.Collect
		if err := decode.Objects(Objects()).Read(context.Background(), "x", strings.NewReader(text), &c); err != nil || len(c.Events) != 1000 {
			b.Fatal(err, c.Reasons)
		}
	}
}
