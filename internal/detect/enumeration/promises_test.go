package enumeration

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/detecttest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// disguised is a detector to which each of the shared events is given as one that it looks at: of the same time,
// tenant and trust, from the same source, of a kind and with a target that depend on the event alone.
type disguised struct{ *Detector }

func (d disguised) Process(e *ocsf.Event, emit detect.Emit) { d.Detector.Process(disguise(e), emit) }

func disguise(e *ocsf.Event) *ocsf.Event {
	h := fnv.New32a()
	fmt.Fprint(h, e.ID, e.Src.IP, e.User.Name, e.Device, e.Dst.Domain)
	n := int(h.Sum32())
	c := *e
	if !c.Src.IP.IsValid() {
		c.Src.IP = record(e.Time, "", fmt.Sprintf("10.%d.7.%d", e.Tenant[len(e.Tenant)-1]-'0', n%5), "", 0).Src.IP
	}
	to := fmt.Sprintf("10.%d.3.%d", e.Tenant[len(e.Tenant)-1]-'0', n/32%200)
	if e.Tenant == "provider" {
		to = "10.200.3.1"
	}
	var x *ocsf.Event
	switch n % 8 {
	case 0, 1:
		x = dns(e.Time, "10.0.0.1", "PTR", reverse(to), "NXDOMAIN")
	case 2:
		x = dns(e.Time, "10.0.0.1", "A", fmt.Sprintf("n%d.client%d.example", n%100, e.Tenant[len(e.Tenant)-1]-'0'), "NXDOMAIN")
	case 3:
		x = kerberos(e.Time, "10.0.0.1", "AS", fmt.Sprintf("u%d", n/8%50), "krbtgt/X", "", []string{"KDC_ERR_PREAUTH_REQUIRED", "KDC_ERR_C_PRINCIPAL_UNKNOWN", ""}[n/8%3])
	case 4:
		x = ldap(e.Time, "10.0.0.1", "tree", []string{"(adminCount=1)", "(servicePrincipalName=*)", "(objectClass=user)", "(objectClass=trustedDomain)"}[n/8%4], n%2000)
	case 5:
		x = rpc(e.Time, "10.0.0.1", to, "srvsvc", []string{"NetrShareEnum", "NetrSessionEnum"}[n/8%2])
	case 6:
		x = rpc(e.Time, "10.0.0.1", to, "samr", []string{"SamrEnumerateUsersInDomain", "SamrGetMembersInAlias"}[n/8%2])
	default:
		x = audit(e.Time, fmt.Sprintf("fs%d", n/8%90), "10.0.0.1", "5140", "share", "ShareName", `\\*\C$`)
	}
	c.Source, c.Fields, c.Activity, c.Class, c.Status, c.Answers, c.Device = x.Source, x.Fields, x.Activity, x.Class, x.Status, x.Answers, x.Device
	c.Dst, c.User = x.Dst, x.User
	if c.Dst.IP.IsValid() {
		c.Dst.IP = record(e.Time, "", to, "", 0).Src.IP
	}
	c.Flow, c.Mail, c.Lease, c.Cloud, c.Remote, c.Process = nil, nil, nil, nil, nil, nil
	return &c
}

func fresh() detect.Detector {
	return disguised{New(detect.Context{Model: detecttest.Model()})}
}

func TestItKeepsThePromisesOfADetector(t *testing.T) { detecttest.Promises(t, fresh) }

func TestStateStaysBoundedOverAYear(t *testing.T) { detecttest.StaysBounded(t, fresh, 200) }

func TestNonsenseIsNotRestored(t *testing.T) {
	if err := New(detect.Context{Model: model()}).Restore([]byte("nonsense")); err == nil {
		t.Error("nonsense is restored")
	}
	d := New(detect.Context{Model: model()})
	for _, e := range sweep(monday, time.Second, techie, 40) {
		d.Process(e, func(*ocsf.Finding) {})
	}
	for k := range d.tenant("client").active {
		d.tenant("client").active[k].Episode.Kinds = nil
	}
	b, err := d.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := New(detect.Context{Model: model()}).Restore(b); err == nil {
		t.Error("an episode of nothing is restored")
	}
}
