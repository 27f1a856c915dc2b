// Package kubernetes decodes the audit log of a Kubernetes API server: events of audit.k8s.io as the server writes
// them (a line each, or a list), as AKS wraps them (a string in properties.log of diagnostic settings), and as EKS
// gives them by CloudWatch (a string in message of what filter-log-events, exports and subscriptions write). Other
// shippers carry them in an envelope's message, which the envelope's decoder opens. GKE writes its own form into Cloud
// Audit Logs.
//
// Out come events of layer cloud with the user, the verb, the object, the first source address and the result. Where
// EKS tells the role behind a user, AccountID is the AWS account of it and CredentialID its access key, so that a
// partner's role is known whatever user it is mapped to.
// The server tells each request in stages; each stage is an event of its own. What a pod asks of its host stands
// also under the bare names that Sigma's rules speak: hostPath, capabilities, apiGroup.
//
// Sources: the reference of audit.k8s.io/v1 Event, Microsoft's reference of the AKS resource logs, the reference of
// CloudWatch Logs' FilteredLogEvent, and aws-iam-authenticator's extra fields of a user (arn, canonicalArn, accessKeyId).
package kubernetes

import (
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Objects returns the formats of this package. No record matches two of them.
func Objects() []decode.Object {
	return []decode.Object{
		{Name: "kubernetes/audit", Match: isEvent, Decode: event},
		{Name: "kubernetes/audit", Match: isWrapped, Decode: wrapped},
		{Name: "kubernetes/audit", Match: isLogged, Decode: logged},
	}
}

func isEvent(o *decode.JSON) bool {
	return o.Has("auditID") && o.Has("verb") && (strings.HasPrefix(o.Str("apiVersion"), "audit.k8s.io/") || o.Has("requestURI"))
}

// isWrapped matches a record of AKS' diagnostic settings.
func isWrapped(o *decode.JSON) bool {
	return strings.HasPrefix(o.First("category", "Category"), "kube-audit") && o.Has("properties.log")
}

// isLogged matches an event of CloudWatch Logs that holds one of the server.
func isLogged(o *decode.JSON) bool {
	if !o.Has("timestamp") || !o.Has("ingestionTime") && !o.Has("logStreamName") && !o.Has("eventId") && !o.Has("id") {
		return false
	}
	text := o.Str("message")
	return strings.HasPrefix(text, "{") && strings.Contains(text, `"audit.k8s.io/`)
}

func logged(o *decode.JSON, e *ocsf.Event) error { return unwrap(o, e, "message") }

// unwrap reads the event that is a string in a field of its wrapping. Its own fields go before the wrapping's.
func unwrap(o *decode.JSON, e *ocsf.Event, field string) error {
	inner, err := decode.Inner(o.Str(field))
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	var outer ocsf.Fields
	for _, f := range o.Fields() {
		if f.Name != field {
			outer = append(outer, f)
		}
	}
	e.Fields = inner.Fields()
	decode.AddFields(e, outer...)
	return event(inner, e)
}

func wrapped(o *decode.JSON, e *ocsf.Event) error {
	if err := unwrap(o, e, "properties.log"); err != nil {
		return err
	}
	e.Cloud.ResourceTenant = o.First("resourceId", "ResourceId")
	return nil
}

func event(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "kubernetes/audit", "kubernetes", "stageTimestamp", "requestReceivedTimestamp", "timestamp"); err != nil {
		return err
	}
	v := &decode.View{Event: e}
	c := e.Cloud
	c.Operation = v.Value("verb")
	c.Resource = object(v)
	c.UserAgent = v.Value("userAgent")
	name := v.Value("user.username")
	e.Actor = ocsf.User{Name: strings.ToLower(name), UID: v.Value("user.uid")}
	e.User = e.Actor
	if as := v.Value("impersonatedUser.username"); as != "" {
		e.User = ocsf.User{Name: strings.ToLower(as), UID: v.Value("impersonatedUser.uid")}
	}
	c.ServicePrin = strings.HasPrefix(name, "system:")
	c.AccountID = accountOf(v.Value("user.extra.arn", "user.extra.canonicalArn", "user.username"))
	c.CredentialID = v.Value("user.extra.accessKeyId")
	e.SourceID = v.Value("auditID")
	if stage := v.Value("stage"); stage != "" && e.SourceID != "" {
		e.SourceID += " " + stage
	}
	first, _, _ := strings.Cut(v.Value("sourceIPs"), ",")
	e.Src.IP, e.Src.Port = decode.Address(first)
	switch code := v.Value("responseStatus.code"); {
	case code == "":
	case decode.Number(code) >= 400:
		e.Status, c.ErrorCode = ocsf.StatusFailure, code
	default:
		e.Status = ocsf.StatusSuccess
	}
	e.Class, e.Activity = ocsf.ClassAPIActivity, decode.ActivityOf(c.Operation)
	decode.AddFields(e, bareNames(e.Fields)...)
	return nil
}

// accountOf returns the account of an ARN of AWS (arn:partition:service:region:account:resource), or "".
func accountOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[0] != "arn" || len(parts[4]) != 12 || strings.Trim(parts[4], "0123456789") != "" {
		return ""
	}
	return parts[4]
}

// object writes what a request is about: namespace/resource/name/subresource.
func object(v *decode.View) string {
	var parts []string
	for _, p := range [...]string{"namespace", "resource", "name", "subresource"} {
		if x := v.Value("objectRef." + p); x != "" {
			parts = append(parts, x)
		}
	}
	if len(parts) == 0 {
		return v.Value("requestURI")
	}
	return strings.Join(parts, "/")
}

// maxBare is how many values of each bare name are added.
const maxBare = 16

// bareNames gives what rules speak of without its path.
func bareNames(fields ocsf.Fields) []ocsf.Field {
	more := []ocsf.Field{{Name: "apiGroup", Value: fields.Value("objectRef.apiGroup")}}
	paths, capabilities := 0, 0
	for _, f := range fields {
		switch {
		case !strings.HasPrefix(f.Name, "requestObject."):
		case strings.HasSuffix(f.Name, ".hostPath.path") && paths < maxBare:
			paths++
			more = append(more, ocsf.Field{Name: "hostPath", Value: f.Value})
		case strings.HasSuffix(f.Name, ".capabilities.add") && capabilities < maxBare:
			capabilities++
			more = append(more, ocsf.Field{Name: "capabilities", Value: f.Value})
		}
	}
	return more
}
