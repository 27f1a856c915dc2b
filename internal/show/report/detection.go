package report

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// ocsfVersion is the version of the schema that the output is validated against.
const ocsfVersion = "1.9.0-dev"

// OCSF writes every finding as one OCSF Detection Finding (class 2004) a line. What OCSF has no place for
// (trust, partner, layer, outcome) stands under unmapped; a finding's campaign is its correlation_uid.
func OCSF(w io.Writer, res *campaign.Result, model *tenant.Model) error {
	if model == nil {
		model = &tenant.Model{}
	}
	campaigns := map[string]string{}
	for _, c := range res.Campaigns {
		for _, t := range c.Tenants {
			for _, id := range t.Findings {
				campaigns[id] = c.ID
			}
		}
		for _, h := range c.Hops {
			for _, id := range h.Findings {
				campaigns[id] = c.ID
			}
		}
	}
	var buf bytes.Buffer
	out := json.NewEncoder(&buf)
	for _, f := range res.List {
		buf.Reset()
		if err := out.Encode(newDetection(f, model, campaigns[f.ID])); err != nil {
			return err
		}
		if err := write(w, buf.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// detection is an OCSF Detection Finding; the keys are the standard's.
type detection struct {
	ActivityID      int                 `json:"activity_id"`
	ActivityName    string              `json:"activity_name"`
	CategoryUID     int                 `json:"category_uid"`
	CategoryName    string              `json:"category_name"`
	ClassUID        int                 `json:"class_uid"`
	ClassName       string              `json:"class_name"`
	TypeUID         int                 `json:"type_uid"`
	TypeName        string              `json:"type_name"`
	Time            int64               `json:"time"`
	StartTime       int64               `json:"start_time"`
	EndTime         int64               `json:"end_time"`
	Count           int                 `json:"count,omitempty"`
	SeverityID      int                 `json:"severity_id"`
	Severity        string              `json:"severity"`
	StatusID        int                 `json:"status_id"`
	Status          string              `json:"status"`
	ConfidenceID    int                 `json:"confidence_id"`
	Confidence      string              `json:"confidence"`
	ConfidenceScore int                 `json:"confidence_score"`
	IsAlert         bool                `json:"is_alert"`
	Message         string              `json:"message,omitempty"`
	StatusDetail    string              `json:"status_detail,omitempty"`
	Metadata        detectionMetadata   `json:"metadata"`
	FindingInfo     detectionInfo       `json:"finding_info"`
	Observables     []observable        `json:"observables,omitempty"`
	Evidences       []detectionEvidence `json:"evidences,omitempty"`
	Resources       []resource          `json:"resources,omitempty"`
	Unmapped        unmapped            `json:"unmapped"`
}

type detectionMetadata struct {
	Version        string  `json:"version"`
	UID            string  `json:"uid"`
	TenantUID      string  `json:"tenant_uid,omitempty"`
	CorrelationUID string  `json:"correlation_uid,omitempty"`
	Product        product `json:"product"`
	LogName        string  `json:"log_name"`
}

type product struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor_name"`
}

type detectionInfo struct {
	UID           string   `json:"uid"`
	Title         string   `json:"title"`
	Desc          string   `json:"desc,omitempty"`
	Types         []string `json:"types,omitempty"`
	FirstSeenTime int64    `json:"first_seen_time"`
	LastSeenTime  int64    `json:"last_seen_time"`
	Analytic      analytic `json:"analytic"`
	Attacks       []attack `json:"attacks,omitempty"`
}

type analytic struct {
	UID      string `json:"uid"`
	Name     string `json:"name"`
	Category string `json:"category,omitempty"`
	TypeID   int    `json:"type_id"`
	Type     string `json:"type"`
}

type attack struct {
	Technique    *uid `json:"technique,omitempty"`
	SubTechnique *uid `json:"sub_technique,omitempty"`
}

type uid struct {
	UID string `json:"uid"`
}

type observable struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

type detectionEvidence struct {
	UID  string       `json:"uid,omitempty"`
	Name string       `json:"name"`
	Src  *endpoint    `json:"src_endpoint,omitempty"`
	Dst  *endpoint    `json:"dst_endpoint,omitempty"`
	User *user        `json:"user,omitempty"`
	Data evidenceData `json:"data"`
}

type evidenceData struct {
	File   string        `json:"file"`
	Record int64         `json:"record"`
	Event  *ocsf.Summary `json:"event"`
}

type endpoint struct {
	IP       string `json:"ip,omitempty"`
	Port     int    `json:"port,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	Domain   string `json:"domain,omitempty"`
}

type user struct {
	Name   string `json:"name,omitempty"`
	UID    string `json:"uid,omitempty"`
	Domain string `json:"domain,omitempty"`
}

type resource struct {
	UID  string `json:"uid"`
	Name string `json:"name"`
	Type string `json:"type"`
}

type unmapped struct {
	Trust    tenant.TrustID    `json:"trust,omitempty"`
	Partner  tenant.PartnerID  `json:"partner,omitempty"`
	Layer    tenant.Layer      `json:"layer,omitempty"`
	Outcome  ocsf.Outcome      `json:"outcome,omitempty"`
	Snapshot string            `json:"snapshot,omitempty"`
	Approved *ocsf.Suppression `json:"approved,omitempty"`
}

func newDetection(f *ocsf.Finding, model *tenant.Model, campaignID string) *detection {
	start, end := millis(f.Time), millis(f.End)
	end = max(start, end)
	d := &detection{ActivityID: 1, ActivityName: "Create", CategoryUID: 2, CategoryName: "Findings", ClassUID: 2004, ClassName: "Detection Finding",
		TypeUID: 200401, TypeName: "Detection Finding: Create", Time: end, StartTime: start, EndTime: end, Count: f.Count,
		SeverityID: int(min(f.Severity, ocsf.SeverityCritical)), Severity: capital(f.Severity.String()), StatusID: 1, Status: "New",
		ConfidenceScore: f.Confidence, IsAlert: f.Suppressed == nil, Message: f.Reason,
		Metadata: detectionMetadata{Version: ocsfVersion, UID: f.ID, TenantUID: string(f.Tenant), CorrelationUID: campaignID,
			Product: product{"Breakwater", "Breakwater"}, LogName: "findings"},
		FindingInfo: detectionInfo{UID: f.ID, Title: f.Title, Desc: f.Reason, FirstSeenTime: start, LastSeenTime: end,
			Analytic: analytic{UID: f.Rule, Name: f.Rule, Category: f.Detector, TypeID: 1, Type: "Rule"}},
		Unmapped: unmapped{f.Trust, f.Partner, f.Layer, f.Outcome, f.Snapshot, f.Suppressed},
	}
	switch c := f.Confidence; {
	case c >= 70:
		d.ConfidenceID, d.Confidence = 3, "High"
	case c >= 40:
		d.ConfidenceID, d.Confidence = 2, "Medium"
	default:
		d.ConfidenceID, d.Confidence = 1, "Low"
	}
	if s := f.Suppressed; s != nil {
		d.StatusID, d.Status = 3, "Suppressed"
		d.StatusDetail = s.By + " by " + s.Owner + ": " + s.Reason
	}
	if f.Layer != "" {
		d.FindingInfo.Types = []string{string(f.Layer)}
	}
	if t := string(f.Technique); t != "" {
		a := attack{Technique: &uid{t}}
		if base, _, sub := strings.Cut(t, "."); sub {
			a = attack{Technique: &uid{base}, SubTechnique: &uid{t}}
		}
		d.FindingInfo.Attacks = []attack{a}
	}
	for _, e := range f.Entities {
		id, name := observableType(e.Type)
		d.Observables = append(d.Observables, observable{Name: "evidences[].data.event", Value: e.Value, TypeID: id, Type: name})
	}
	for i := range f.Evidence {
		d.Evidences = append(d.Evidences, newEvidence(&f.Evidence[i]))
	}
	if f.Tenant != "" {
		d.Resources = []resource{{string(f.Tenant), namer{model}.tenant(f.Tenant), "tenant"}}
	}
	return d
}

func newEvidence(e *ocsf.Evidence) detectionEvidence {
	out := detectionEvidence{Name: e.File + "#" + strconv.FormatInt(e.Record, 10), Data: evidenceData{e.File, e.Record, e.Event.Summary()}}
	if e.Event == nil {
		return out
	}
	out.UID = e.Event.ID.String()
	out.Src, out.Dst = newEndpoint(e.Event.Src), newEndpoint(e.Event.Dst)
	if u := e.Event.User; u.Name != "" || u.UID != "" {
		out.User = &user{u.Name, u.UID, u.Domain}
	}
	return out
}

func newEndpoint(e ocsf.Endpoint) *endpoint {
	out := endpoint{Hostname: e.Host, Domain: e.Domain}
	if e.IP.IsValid() {
		out.IP = e.IP.Unmap().WithZone("").String()
	}
	if out == (endpoint{}) { // a port alone identifies nothing
		return nil
	}
	out.Port = int(e.Port)
	return &out
}

// observableType is the OCSF observable type of an entity: its type_id and that number's caption, or Other (99)
// with our own word, as the standard asks.
func observableType(t ocsf.EntityType) (int, string) {
	switch t {
	case ocsf.EntityHost, ocsf.EntityDomain:
		return 1, "Hostname"
	case ocsf.EntityIP:
		return 2, "IP Address"
	case ocsf.EntityUser:
		return 4, "User Name"
	case ocsf.EntityMailbox:
		return 5, "Email Address"
	case ocsf.EntityURL:
		return 6, "URL String"
	case ocsf.EntityHash:
		return 8, "Hash"
	case ocsf.EntityProcess:
		return 9, "Process Name"
	case ocsf.EntityResource:
		return 10, "Resource UID"
	case ocsf.EntityCertKey:
		return 19, "User Credential ID"
	case ocsf.EntityMessage:
		return 42, "Message UID"
	}
	return 99, string(t)
}

// millis is an OCSF timestamp_t: milliseconds since 1970; 0 where the time is unknown.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
