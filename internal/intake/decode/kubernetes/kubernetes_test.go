package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
)

// records are one record of every wrapping, each with what must come out.
var records = []decodetest.Record{
	{"event of the server", `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"k-1","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/kube-system/pods","verb":"create","user":{"username":"Eve@b.de","uid":"u-1","groups":["system:authenticated"]},"sourceIPs":["203.0.113.60","10.0.0.1"],"userAgent":"kubectl","objectRef":{"resource":"pods","namespace":"kube-system","apiVersion":"v1"},"responseStatus":{"code":201},"requestObject":{"kind":"Pod","spec":{"volumes":[{"name":"v","hostPath":{"path":"/"}}],"containers":[{"name":"c","securityContext":{"capabilities":{"add":["SYS_ADMIN","NET_ADMIN"]}}}]}},"requestReceivedTimestamp":"2026-09-21T10:10:19.9Z","stageTimestamp":"2026-09-21T10:10:20.000001Z"}`,
		"kubernetes/audit 2026-09-21T10:10:20.000001Z 6003 create success id=k-1 ResponseComplete user=eve@b.de src=203.0.113.60 home= resource= cross= app=  0 mfa= sp=false int=false err= keys=[]"},
	{"refused exec for another user", `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"k-2","stage":"ResponseStarted","requestURI":"/api/v1/namespaces/a/pods/p/exec?command=%2Fbin%2Fsh","verb":"create","user":{"username":"system:serviceaccount:a:b"},"impersonatedUser":{"username":"Root"},"sourceIPs":["2001:db8::7"],"objectRef":{"resource":"pods","namespace":"a","name":"p","subresource":"exec"},"responseStatus":{"code":403},"stageTimestamp":"2026-09-21T10:10:20Z"}`,
		"kubernetes/audit 2026-09-21T10:10:20Z 6003 create failure id=k-2 ResponseStarted user=root src=2001:db8::7 home= resource= cross= app=  0 mfa= sp=true int=false err=403 keys=[]"},
	{"AKS", `{"time":"2026-09-21T10:10:21Z","resourceId":"/SUBSCRIPTIONS/S-1/AKS","category":"kube-audit-admin","operationName":"Microsoft.ContainerService/managedClusters/diagnosticLogs/Read","properties":{"log":"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"k-3\",\"verb\":\"delete\",\"user\":{\"username\":\"x\"},\"sourceIPs\":[\"203.0.113.60\"],\"objectRef\":{\"resource\":\"secrets\"},\"stageTimestamp\":\"2026-09-21T10:10:20Z\"}","stream":"stdout","pod":"kube-apiserver"}}`,
		"kubernetes/audit 2026-09-21T10:10:20Z 6003 delete unknown id=k-3 user=x src=203.0.113.60 home= resource=/SUBSCRIPTIONS/S-1/AKS cross= app=  0 mfa= sp=false int=false err= keys=[]"},
	{"EKS by CloudWatch", `{"logStreamName":"kube-apiserver-audit-1","timestamp":1789985425000,"message":"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"k-4\",\"verb\":\"delete\",\"user\":{\"username\":\"x\"},\"sourceIPs\":[\"203.0.113.60\"],\"objectRef\":{\"resource\":\"secrets\"},\"stageTimestamp\":\"2026-09-21T10:10:20Z\"}","ingestionTime":1789985426000,"eventId":"7"}`,
		"kubernetes/audit 2026-09-21T10:10:20Z 6003 delete unknown id=k-4 user=x src=203.0.113.60 home= resource= cross= app=  0 mfa= sp=false int=false err= keys=[]"},
	{"EKS by a subscription", `{"id":"3","timestamp":1789985425000,"message":"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"auditID\":\"k-5\",\"verb\":\"get\",\"user\":{\"username\":\"x\"},\"stageTimestamp\":\"2026-09-21T10:10:20Z\"}"}`,
		"kubernetes/audit 2026-09-21T10:10:20Z 6003 read unknown id=k-5 user=x src= home= resource= cross= app=  0 mfa= sp=false int=false err= keys=[]"},
}

func TestEveryWrapping(t *testing.T) { decodetest.Records(t, Objects(), records) }

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), records[0].Text, map[string]decodetest.BadRecord{
		"no_time":         {`{"apiVersion":"audit.k8s.io/v1","auditID":"k","verb":"get"}`, "no time"},
		"inner_is_broken": {`{"category":"kube-audit","properties":{"log":"{"}}`, "properties.log: not JSON"},
		"logged_broken":   {`{"id":"1","timestamp":1,"message":"{\"apiVersion\":\"audit.k8s.io/v1\""}`, "message: not JSON"},
		"of_other_kind":   {`{"kind":"Event","apiVersion":"v1","message":"x"}`, "no known source"},
		"too_deep":        {`{"auditID":"k","verb":"get","x":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}`, "deeper"},
	})
}

func TestNamesThatRulesSpeak(t *testing.T) {
	e := decodetest.One(t, Objects(), records[0].Text)
	for name, want := range map[string]string{"hostPath": "/", "capabilities": "SYS_ADMIN, NET_ADMIN"} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestTheObjectIsNamedWhole(t *testing.T) {
	if got := decodetest.One(t, Objects(), records[1].Text).Cloud.Resource; got != "a/pods/p/exec" {
		t.Errorf("resource %q", got)
	}
}

// A partner's role is known by its account, whatever user EKS maps it to.
func TestTheAccountBehindAUserOfEKS(t *testing.T) {
	const text = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"k","verb":"get","user":{"username":%q,"extra":{%s}},"stageTimestamp":"2026-09-21T10:10:20Z"}`
	for name, c := range map[string]struct{ user, extra, account, key string }{
		"by the authenticator":  {"kubernetes-admin", `"arn":["arn:aws:sts::999988887777:assumed-role/Partner/s"],"accessKeyId":["ASIA1"],"sessionName":["s"]`, "999988887777", "ASIA1"},
		"by the canonical name": {"x", `"canonicalArn":["arn:aws-cn:iam::999988887777:role/Partner"]`, "999988887777", ""},
		"by an access entry":    {"arn:aws:sts::999988887777:assumed-role/Partner/s", ``, "999988887777", ""},
		"no account":            {"x", `"arn":["arn:aws:sts::99:assumed-role/Partner/s"]`, "", ""},
		"no role":               {"system:node:n", ``, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if k := decodetest.One(t, Objects(), fmt.Sprintf(text, c.user, c.extra)).Cloud; k.AccountID != c.account || k.CredentialID != c.key {
				t.Errorf("account %q, key %q", k.AccountID, k.CredentialID)
			}
		})
	}
}

func TestListsOfAClusterAreUnwrapped(t *testing.T) {
	for _, text := range []string{`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[` + records[0].Text + `]}`, "[\n" + records[0].Text + "\n]",
		`{"messageType":"DATA_MESSAGE","owner":"123456789012","logGroup":"/aws/eks/c/cluster","subscriptionFilters":["f"],"logEvents":[` + records[4].Text + `]}`,
		`{"events":[` + records[3].Text + `],"searchedLogStreams":[]}`} {
		if c := decodetest.Read(t, Objects(), text); len(c.Events) != 1 || len(c.Reasons) != 0 {
			t.Errorf("%d events, bad %q from %.60s", len(c.Events), c.Reasons, text)
		}
	}
}

func FuzzDecode(f *testing.F) {
	seeds := []string{`{"category":"kube-audit","properties":{"log":"[]"}}`}
	for _, r := range records {
		seeds = append(seeds, r.Text)
	}
	decodetest.Fuzz(f, Objects(), nil, seeds...)
}
