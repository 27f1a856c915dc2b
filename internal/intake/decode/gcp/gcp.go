// Package gcp decodes Google's audit logs: entries of Cloud Audit Logs as Cloud Logging gives them (gcloud, the
// Logs Explorer's JSON and CSV), as its sinks export them (files in Cloud Storage, messages of Pub/Sub with the entry
// in base64 or below "data." as subscribers write it, rows of BigQuery in JSON), the admin and login audit of Google
// Workspace where it is shared with Cloud Logging, and activities of Workspace's Reports API.
//
// Out come events of layer cloud with the principal, the method, the resource, the source address and the result. Where
// a service account acts for somebody else, the first of those is the actor, and the account the user.
// HomeTenant is the project of a service account, which its address names; ResourceTenant is the project, or for
// Workspace the customer id. People belong to no project, so theirs stays empty.
//
// Sigma's rules speak names of a shipper (gcp.audit.method_name, data.protoPayload.methodName) and, for Workspace,
// bare names of the event and its parameters (eventName, new_value); they are added where they are missing.
//
// Sources: Google's references of LogEntry, AuditLog, PubsubMessage and the Reports API's Activity, "View logs routed to
// BigQuery" (names of the columns), and "View and manage audit logs for Google Workspace". No export of the Logs Explorer could be had to verify; its columns are taken to be
// the paths of LogEntry's fields.
package gcp

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Objects returns the formats of this package. No record matches two of them.
func Objects() []decode.Object {
	return []decode.Object{
		{Name: "gcp/audit", Match: isEntry, Decode: entry},
		{Name: "gcp/audit", Match: isRow, Decode: row},
		{Name: "gcp/audit", Match: isPushed, Decode: pushed},
		{Name: "google/activity", Match: isActivity, Decode: activity},
	}
}

// Streams returns the CSV export of the Logs Explorer.
func Streams() []decode.Stream {
	return []decode.Stream{(&decode.Table{Name: "gcp/audit-csv", Objects: Objects()[:1], Knows: func(h decode.Header) bool {
		return h.Has("protoPayload.methodName", "timestamp")
	}}).Stream()}
}

// prefixes are what stands before LogEntry's fields in the wrappings.
var prefixes = [...]string{"", "data."}

func isEntry(o *decode.JSON) bool {
	for _, p := range prefixes {
		if o.Has(p+"protoPayload.methodName") && o.Has(p+"timestamp") {
			return true
		}
	}
	return false
}

// The services under which Workspace shares its audit with Cloud Logging.
const (
	adminService = "admin.googleapis.com"
	loginService = "login.googleapis.com"
)

func entry(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "gcp/audit", "gcp", "timestamp", "data.timestamp"); err != nil {
		return err
	}
	v := &decode.View{Event: e}
	if o.Has("data.protoPayload.methodName") {
		v.Prefix = "data."
		decode.Lift(e, v.Prefix)
	} else {
		addShipped(v)
	}
	audited(v)
	return nil
}

// audited fills the event of an entry whose fields stand under LogEntry's names.
func audited(v *decode.View) {
	const p = "protoPayload."
	e := v.Event
	c := e.Cloud
	c.Operation = v.Value(p + "methodName")
	c.Resource = v.Value(p+"resourceName", p+"serviceName")
	c.ResourceTenant = v.Value("resource.labels.project_id", "resource.labels.organization_id")
	c.UserAgent = v.Value(p + "requestMetadata.callerSuppliedUserAgent")
	c.CredentialID = v.Value(p + "authenticationInfo.serviceAccountKeyName")
	name := strings.ToLower(v.Value(p+"authenticationInfo.principalEmail", p+"authenticationInfo.principalSubject"))
	c.HomeTenant, c.ServicePrin = projectOf(name)
	e.User = ocsf.User{Name: name, UID: v.Value(p + "authenticationInfo.principalSubject")}
	e.Actor = e.User
	if by := delegator(v, p+"authenticationInfo.serviceAccountDelegationInfo.0."); by != "" {
		e.Actor = ocsf.User{Name: by}
		c.HomeTenant, _ = projectOf(by)
	}
	e.SourceID = v.Value("insertId")
	v.Source(p + "requestMetadata.callerIp")
	e.Status = ocsf.StatusSuccess
	if code := v.Value(p + "status.code"); code != "" && code != "0" {
		e.Status, c.ErrorCode = ocsf.StatusFailure, code
	}
	e.Class, e.Activity = ocsf.ClassAPIActivity, decode.ActivityOf(c.Operation[strings.LastIndexByte(c.Operation, '.')+1:])
	switch v.Value(p + "serviceName") {
	case adminService:
		e.Source = "google/admin"
	case loginService:
		e.Source = "google/login"
		logon(e, v.Value(p+"metadata.event.0.eventName"))
	default:
		decode.AddFields(e, ocsf.Field{Name: "gcp.audit.method_name", Value: c.Operation})
		return
	}
	c.Provider = "google"
	workspaceNames(e, v.Value(p+"serviceName"), p+"metadata.event", "eventName", "parameter")
}

// delegator returns who has a service account act for them: the first of a chain, which is in order.
func delegator(v *decode.View, first string) string {
	name := v.Value(first+"firstPartyPrincipal.principalEmail", first+"principalSubject")
	if kind, rest, ok := strings.Cut(name, ":"); ok && (kind == "user" || kind == "serviceAccount") {
		name = rest
	}
	return strings.ToLower(name)
}

// addShipped adds the names below "data." that rules speak of.
func addShipped(v *decode.View) {
	e := v.Event
	var more []ocsf.Field
	for _, f := range e.Fields {
		switch {
		case f.Name == "logName", f.Name == "resource.type":
			more = append(more, ocsf.Field{Name: "data.protoPayload." + f.Name, Value: f.Value})
		case f.Name == "protoPayload.methodName", f.Name == "protoPayload.serviceName", strings.HasPrefix(f.Name, "protoPayload.authorizationInfo."):
			more = append(more, ocsf.Field{Name: "data." + f.Name, Value: f.Value})
		}
	}
	decode.AddFields(e, more...)
}

// projectOf returns the project of a service account, and whether the address is one.
func projectOf(address string) (string, bool) {
	_, domain, _ := strings.Cut(address, "@")
	if project, ok := strings.CutSuffix(domain, ".iam.gserviceaccount.com"); ok {
		return project, true
	}
	return "", strings.HasSuffix(domain, ".gserviceaccount.com")
}

// logon makes the event a sign-in where the name of Workspace's event is one.
func logon(e *ocsf.Event, name string) {
	e.Class, e.Activity = ocsf.ClassAuthentication, "other"
	switch name {
	case "login_success":
		e.Activity, e.Status = "logon", ocsf.StatusSuccess
	case "login_failure":
		e.Activity, e.Status = "logon", ocsf.StatusFailure
	case "logout":
		e.Activity = "logoff"
	}
}
