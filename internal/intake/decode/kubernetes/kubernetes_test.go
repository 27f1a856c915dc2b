package kubernetes

import (
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
}

func TestEveryWrapping(t *testing.T) { decodetest.Records(t, Objects(), records) }

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	decodetest.BadRecords(t, Objects(), records[0].Text, map[string]decodetest.BadRecord{
		"no_time":         {`{"apiVersion":"audit.k8s.io/v1","auditID":"k","verb":"get"}`, "no time"},
		"inner_is_broken": {`{"category":"kube-audit","properties":{"log":"{"}}`, "properties.log: not JSON"},
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

func FuzzDecode(f *testing.F) {
	seeds := []string{`{"category":"kube-audit","properties":{"log":"[]"}}`}
	for _, r := range records {
		seeds = append(seeds, r.Text)
	}
	decodetest.Fuzz(f, Objects(), nil, seeds...)
}
