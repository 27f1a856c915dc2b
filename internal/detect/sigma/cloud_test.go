package sigma

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/antivirus"
	"github.com/breakwater-project/breakwater/internal/intake/decode/cloudtrail"
	"github.com/breakwater-project/breakwater/internal/intake/decode/entra"
	"github.com/breakwater-project/breakwater/internal/intake/decode/gcp"
	"github.com/breakwater-project/breakwater/internal/intake/decode/github"
	"github.com/breakwater-project/breakwater/internal/intake/decode/kubernetes"
	"github.com/breakwater-project/breakwater/internal/intake/decode/m365"
	"github.com/breakwater-project/breakwater/internal/intake/decode/okta"
)

// TestCloudRecordsMeetTheirRules takes one record of each cloud service and wrapping through its decoder: the rule
// that was written for such a record must fire, whatever names the wrapping has.
func TestCloudRecordsMeetTheirRules(t *testing.T) {
	set := corpusSet(t)
	for _, c := range []struct{ name, title, text string }{
		{"device code sign-in of diagnostic settings", "Application Using Device Code Authentication Flow", `{"time":"2026-09-21T10:10:21Z","category":"SignInLogs","resultType":"0","properties":{"id":"x","createdDateTime":"2026-09-21T10:10:20Z","userPrincipalName":"a@b.de","appId":"app-1","authenticationProtocol":"deviceCode","status":{"errorCode":0}}}`},
		{"sign-in to a disabled account, of Graph", "Login to Disabled Account", `{"id":"x","createdDateTime":"2026-09-21T10:10:20Z","appId":"a","ipAddress":"1.2.3.4","userPrincipalName":"a@b.de","status":{"errorCode":50057,"failureReason":"User account is disabled. The account has been disabled by an administrator."}}`},
		{"consent of a user", "End User Consent", `{"id":"x","category":"ApplicationManagement","result":"success","activityDisplayName":"Consent to application","activityDateTime":"2026-09-21T10:10:20Z","initiatedBy":{"user":{"userPrincipalName":"a@b.de"}},"targetResources":[{"id":"sp","modifiedProperties":[{"displayName":"ConsentContext.IsAdminConsent","newValue":"\"False\""}]}]}`},
		{"risk detection of diagnostic settings", "Azure AD Account Credential Leaked", `{"time":"2026-09-21T10:40:20Z","category":"UserRiskEvents","properties":{"id":"r","riskEventType":"leakedCredentials","activityDateTime":"2026-09-21T10:10:20Z","userPrincipalName":"a@b.de"}}`},
		{"alert of privileged identity management", "Stale Accounts In A Privileged Role", `{"@odata.type":"#microsoft.graph.staleSignInAlertIncident","id":"p","createdDateTime":"2026-09-21T10:10:20Z"}`},
		{"Azure activity of diagnostic settings", "Azure Kubernetes Cluster Created or Deleted", `{"time":"2026-09-21T10:10:20Z","resourceId":"/SUBSCRIPTIONS/S-1/X","operationName":"MICROSOFT.KUBERNETES/CONNECTEDCLUSTERS/DELETE","category":"Administrative","resultType":"Success","callerIpAddress":"81.76.245.170","identity":{"claims":{"appid":"app-2"}},"tenantId":"T"}`},
		{"Microsoft 365, record in a string", "Disabling Multi Factor Authentication", `{"RecordType":"AzureActiveDirectory","CreationDate":"2026-09-21T10:10:20Z","UserIds":"a@b.de","Operations":"Disable Strong Authentication.","AuditData":"{\"CreationTime\":\"2026-09-21T10:10:20\",\"Id\":\"m\",\"Operation\":\"Disable Strong Authentication.\",\"Workload\":\"AzureActiveDirectory\",\"UserId\":\"a@b.de\"}"}`},
		{"CloudTrail of lookup-events", "AWS Root Credentials", `{"EventId":"a","EventName":"CreateUser","CloudTrailEvent":"{\"eventVersion\":\"1.08\",\"userIdentity\":{\"type\":\"Root\",\"accountId\":\"2\"},\"eventTime\":\"2026-09-21T10:10:20Z\",\"eventSource\":\"iam.amazonaws.com\",\"eventName\":\"CreateUser\",\"eventType\":\"AwsApiCall\"}"}`},
		{"Google audit", "Google Cloud Service Account Modified", `{"protoPayload":{"authenticationInfo":{"principalEmail":"a@b.de"},"serviceName":"iam.googleapis.com","methodName":"google.iam.admin.v1.projects.serviceAccounts.patch"},"insertId":"g","resource":{"type":"service_account","labels":{"project_id":"p"}},"timestamp":"2026-09-21T10:10:20Z"}`},
		{"Workspace's admin audit of the Reports API", "Google Workspace Granted Domain API Access", `{"kind":"admin#reports#activity","id":{"time":"2026-09-21T10:10:20Z","uniqueQualifier":"78","applicationName":"admin","customerId":"C0"},"actor":{"email":"adm@b.de"},"events":[{"type":"DOMAIN_SETTINGS","name":"AUTHORIZE_API_CLIENT_ACCESS"}]}`},
		{"Okta", "Okta MFA Reset or Deactivated", `{"uuid":"o","published":"2026-09-21T10:10:20Z","eventType":"user.mfa.factor.reset_all","actor":{"id":"1","type":"User","alternateId":"a@b.de"},"outcome":{"result":"SUCCESS"}}`},
		{"GitHub", "Github Outside Collaborator Detected", `{"@timestamp":1789985420123,"_document_id":"d","action":"org.remove_outside_collaborator","actor":"eve","created_at":1789985420123,"org":"client"}`},
		{"Kubernetes", "Container With A hostPath Mount Created", `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"k","verb":"create","user":{"username":"x"},"objectRef":{"resource":"pods","namespace":"a"},"requestObject":{"spec":{"volumes":[{"hostPath":{"path":"/"}}]}},"stageTimestamp":"2026-09-21T10:10:20Z"}`},
		{"Kubernetes of AKS", "Potential Remote Command Execution In Pod Container", `{"category":"kube-audit","properties":{"log":"{\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"k\",\"verb\":\"create\",\"user\":{\"username\":\"x\"},\"objectRef\":{\"resource\":\"pods\",\"subresource\":\"exec\"},\"stageTimestamp\":\"2026-09-21T10:10:20Z\"}"}}`},
		{"Defender's detection", "Antivirus - Password Dumper Signature", `{"Timestamp":"2026-09-21T10:10:20Z","DeviceName":"pc1","ActionType":"AntivirusDetection","FileName":"x.exe","FolderPath":"C:\\Temp","AdditionalFields":"{\"ThreatName\":\"HackTool:Win32/Mimikatz\"}"}`},
		{"Defender's process", "Whoami.EXE Execution With Output Option", `{"Timestamp":"2026-09-21T10:10:20Z","DeviceName":"pc1","ActionType":"ProcessCreated","FileName":"whoami.exe","FolderPath":"C:\\Windows\\System32\\whoami.exe","ProcessCommandLine":"whoami /all /FO CSV","ProcessVersionInfoOriginalFileName":"whoami.exe"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &sink{t: t}
			formats := decode.Objects(slices.Concat(entra.Objects(), m365.Objects(), cloudtrail.Objects(), gcp.Objects(), okta.Objects(),
				github.Objects(), kubernetes.Objects(), antivirus.Objects()))
			if err := formats.Read(context.Background(), "x.json", bytes.NewReader([]byte(c.text)), s); err != nil || len(s.events) != 1 {
				t.Fatalf("%d events, %v", len(s.events), err)
			}
			var titles []string
			set.Match(s.events, func(_ int, r *Rule) { titles = append(titles, r.Title) })
			if !slices.Contains(titles, c.title) {
				t.Errorf("%q does not fire; these do: %q; fields %v", c.title, titles, s.events[0].Fields)
			}
		})
	}
}
