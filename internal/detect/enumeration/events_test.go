package enumeration

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var (
	_ detect.Detector  = (*Detector)(nil)
	_ detect.Explainer = (*Detector)(nil)
	_ detect.Pender    = (*Detector)(nil)

	monday = time.Date(2026, 9, 7, 9, 0, 0, 0, time.UTC)
	days   = 24 * time.Hour
)

const (
	techie = "10.9.0.4"    // of the partner
	tester = "10.9.0.7"    // of the partner, with an approval
	desk   = "10.1.2.31"   // of the tenant
	server = "10.1.1.10"   // domain controller and name server of the tenant
	abroad = "198.51.7.99" // of the Internet
)

func model() *tenant.Model {
	return &tenant.Model{Version: "v1",
		Tenants: []tenant.Tenant{
			{ID: "client", Domains: []string{"client.example"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}},
			{ID: "provider", Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}},
		},
		Partners: []tenant.Partner{{ID: "isl", Tenant: "provider"}},
		Trusts:   []tenant.Trust{{ID: "isl-client", Partner: "isl", Tenant: "client"}},
		Approvals: []tenant.Approval{{Trust: "isl-client", Src: netip.MustParsePrefix(tester + "/32"), Dst: netip.MustParsePrefix("10.1.0.0/16"),
			Kind: "scan", From: monday, Until: monday.Add(4 * time.Hour), Owner: "it@client.example", Reason: "yearly test"}},
	}
}

// record makes an event of a source with fields given as name, value, name, value.
func record(at time.Time, source, src, dst string, port uint16, fields ...string) *ocsf.Event {
	e := &ocsf.Event{Time: at, Seen: at, Tenant: "client", Layer: tenant.LayerNetwork, Source: source, Raw: ocsf.RawRef{File: "events.log", Record: at.UnixNano()}}
	binary.BigEndian.PutUint64(e.ID[:], uint64(at.UnixNano()))
	copy(e.ID[8:], src+dst+strings.Join(fields, ""))
	if src != "" {
		e.Src = ocsf.Endpoint{IP: netip.MustParseAddr(src), Port: 40000 + uint16(at.UnixMicro()%20000)}
	}
	if dst != "" {
		e.Dst = ocsf.Endpoint{IP: netip.MustParseAddr(dst), Port: port}
	}
	for i := 0; i+1 < len(fields); i += 2 {
		e.Fields = append(e.Fields, ocsf.Field{Name: fields[i], Value: fields[i+1]})
	}
	e.Fields.Sort()
	if strings.HasPrefix(src, "10.9.") {
		e.Trust, e.Partner, e.Direction = "isl-client", "isl", ocsf.DirectionIn
		e.Owner, e.OwnerHost = ocsf.User{Name: "isl-anna"}, "ISL-WS3"
	}
	return e
}

func dns(at time.Time, src, qtype, query, rcode string, answers ...string) *ocsf.Event {
	e := record(at, "zeek/dns", src, server, 53, "qtype_name", qtype, "query", query, "rcode_name", rcode, "proto", "udp", "rejected", "F")
	e.Class, e.Dst.Domain, e.Answers, e.Status = ocsf.ClassDNSActivity, query, answers, ocsf.StatusSuccess
	if rcode != "NOERROR" {
		e.Status = ocsf.StatusFailure
	}
	return e
}

func reverse(a string) string {
	p := strings.Split(a, ".")
	return p[3] + "." + p[2] + "." + p[1] + "." + p[0] + ".in-addr.arpa"
}

func kerberos(at time.Time, src, kind, client, service, cipher, failure string) *ocsf.Event {
	e := record(at, "zeek/kerberos", src, server, 88, "request_type", kind, "client", client+"/CLIENT.LOCAL", "service", service, "cipher", cipher, "error_msg", failure)
	if e.Status = ocsf.StatusSuccess; failure != "" {
		e.Status = ocsf.StatusFailure
	}
	return e
}

func ldap(at time.Time, src, scope, filter string, results int) *ocsf.Event {
	return record(at, "zeek/ldap_search", src, server, 389, "scope", scope, "base_object", "DC=client,DC=local", "filter", filter, "result_count", fmt.Sprint(results), "result", "success")
}

func rpc(at time.Time, src, dst, endpoint, operation string) *ocsf.Event {
	return record(at, "zeek/dce_rpc", src, dst, 445, "endpoint", endpoint, "operation", operation, "named_pipe", `\pipe\`+endpoint)
}

func mapping(at time.Time, src, dst, share string) *ocsf.Event {
	return record(at, "zeek/smb_mapping", src, dst, 445, "path", `\\`+dst+`\`+share, "share_type", "DISK")
}

// audit is an event of a Windows Security channel as the decoder gives it.
func audit(at time.Time, device, src, id, activity string, fields ...string) *ocsf.Event {
	e := record(at, "windows/security", src, "", 0, append([]string{"EventID", id}, fields...)...)
	e.Layer, e.Device, e.Activity, e.Class = tenant.LayerEndpoint, device, activity, ocsf.ClassAuthentication
	e.User.Name, e.Actor.Name = e.Fields.Value("TargetUserName"), e.Fields.Value("SubjectUserName")
	if activity == "" {
		e.Class = ocsf.ClassBase
	}
	return e
}

// each makes n events, one each step.
func each(n int, at time.Time, step time.Duration, one func(i int, at time.Time) *ocsf.Event) (out []*ocsf.Event) {
	for i := range n {
		out = append(out, one(i, at.Add(time.Duration(i)*step)))
	}
	return out
}

// sweep asks for the names of n addresses.
func sweep(at time.Time, step time.Duration, src string, n int) []*ocsf.Event {
	return each(n, at, step, func(i int, at time.Time) *ocsf.Event {
		return dns(at, src, "PTR", reverse(fmt.Sprintf("10.1.%d.%d", 3+i/250, 1+i%250)), "NXDOMAIN")
	})
}

// watched is some event of each of the days before, so that the tenant has been watched.
func watched(n int) []*ocsf.Event {
	return each(n, monday.Add(-time.Duration(n)*days), days, func(_ int, at time.Time) *ocsf.Event {
		return kerberos(at, "10.1.2.99", "TGS", "eva", "cifs/fs1.client.local", "aes256-cts-hmac-sha1-96", "")
	})
}

func sorted(lists ...[]*ocsf.Event) []*ocsf.Event {
	var out []*ocsf.Event
	for _, l := range lists {
		out = append(out, l...)
	}
	byTime(out)
	return out
}

func run(t *testing.T, events []*ocsf.Event) []*ocsf.Finding {
	t.Helper()
	g := detect.NewEngine("v1", New(detect.Context{Model: model()}))
	for _, e := range events {
		g.Process(e)
	}
	g.Finish()
	return g.Findings()
}

// brief writes findings as "rule severity technique", with "approved" where they are.
func brief(list []*ocsf.Finding) string {
	var out []string
	for _, f := range list {
		s := strings.TrimPrefix(f.Rule, "enumeration/") + " " + f.Severity.String() + " " + string(f.Technique)
		if f.Suppressed != nil {
			s += " approved"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}
