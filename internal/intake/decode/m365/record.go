package m365

import (
	"errors"
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// isRecord matches records of the Management API, those of Search-UnifiedAuditLog with the record as a string in
// AuditData, those of Graph with the record as an object in auditData, and the OfficeActivity table.
func isRecord(o *decode.JSON) bool {
	if o.Has("AuditData") || o.Has("AuditData.Operation") {
		return o.Has("RecordType") || o.Has("Operations") || o.Has("Operation") || o.Has("CreationDate")
	}
	if o.Has("auditLogRecordType") {
		return o.Has("createdDateTime")
	}
	return o.Has("Operation") && (o.Has("Workload") || o.Has("OfficeWorkload")) &&
		(o.Has("CreationTime") || o.Has("TimeGenerated")) && !o.Has("Channel")
}

var errNoTime = errors.New("no time: none of CreationTime, CreationDate, TimeGenerated, createdDateTime holds one")

// jsonParts are the fields that come as JSON in a string.
var jsonParts = []string{"Folders", "Parameters", "AppAccessContext", "ExtendedProperties", "DeviceProperties", "OperationProperties", "AffectedItems", "Item"}

func record(o *decode.JSON, e *ocsf.Event) error {
	if o.Str("AuditData") != "" {
		if err := unwrap(o, e); err != nil {
			return err
		}
	}
	v := &decode.View{Event: e}
	switch {
	case o.Has("AuditData.Operation"):
		v.Prefix = "AuditData."
		decode.Lift(e, v.Prefix)
	case o.Has("auditLogRecordType"):
		v.Prefix = "auditData."
		decode.Lift(e, v.Prefix)
	}
	t, ok := decode.ParseTime(v.Value("CreationTime", "CreationDate", "TimeGenerated", "createdDateTime"))
	if !ok {
		return errNoTime
	}
	e.Time, e.Source, e.Layer = t, "m365/audit", tenant.LayerCloud
	decode.Expand(e, jsonParts...)
	c := &ocsf.Cloud{Provider: "m365", Operation: v.Value("Operation", "Operations", "operation"),
		Resource:       v.Value("ObjectId", "OfficeObjectId", "objectId", "MailboxOwnerUPN", "Workload", "OfficeWorkload", "service"),
		HomeTenant:     v.Value("ActorContextId"), // the organisation that the actor belongs to
		ResourceTenant: v.Value("OrganizationId", "organizationId"), AppID: v.Value("AppId", "ClientAppId", "AppAccessContext.ClientAppId", "ApplicationId"),
		AppName: v.Value("AppAccessContext.ClientAppName", "ApplicationDisplayName"), UserAgent: v.Value("UserAgent", "ClientInfoString"),
		ErrorCode: v.Value("ErrorNumber", "LogonError")}
	e.Cloud = c
	named(e, "ExtendedProperties")
	e.SourceID = v.Value("Id", "OfficeId", "id")
	e.User = ocsf.User{Name: strings.ToLower(v.Value("UserId", "UserIds", "userPrincipalName", "userId")), UID: v.Value("UserKey")}
	e.Actor = e.User
	v.Source("ClientIP", "ClientIPAddress", "Client_IPAddress", "ActorIpAddress", "ClientIP_", "clientIp")
	e.Status = decode.StatusOf(v.Value("ResultStatus"))
	e.Class, e.Activity = ocsf.ClassAPIActivity, decode.ActivityOf(c.Operation)
	switch c.Operation {
	case "UserLoggedIn":
		e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", ocsf.StatusSuccess
	case "UserLoginFailed":
		e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", ocsf.StatusFailure
	}
	switch v.Value("UserType", "userType") { // the API's numbers and the tables' words
	case "4", "5", "6", "Application", "System", "application", "system", "ServicePrincipal", "servicePrincipal":
		c.ServicePrin = true
	case "9", "PartnerTechnician", "partnerTechnician": // a provider's person who acts for this organisation
		c.CrossTenant = "serviceProvider"
	}
	c.ServicePrin = c.ServicePrin || strings.HasPrefix(e.User.Name, "serviceprincipal_")
	decode.AddJoinKey(e, "entra-request", v.Value("InterSystemsId", "AppAccessContext.CorrelationId"))
	decode.AddJoinKey(e, "entra-token", v.Value("AppAccessContext.UniqueTokenId"))
	if device := v.Value("DeviceName", "ClientMachineName"); device != "" {
		e.Device = strings.ToLower(device)
	}
	return nil
}

// unwrap puts the record that is a string in AuditData in the wrapper's place. The record's own fields go before
// the wrapper's.
func unwrap(o *decode.JSON, e *ocsf.Event) error {
	inner, err := decode.Inner(o.Str("AuditData"))
	if err != nil {
		return fmt.Errorf("AuditData: %w", err)
	}
	var outer ocsf.Fields
	for _, f := range o.Fields() {
		if f.Name != "AuditData" && !strings.HasPrefix(f.Name, "AuditData.") {
			outer = append(outer, f)
		}
	}
	e.Fields = inner.Fields()
	decode.AddFields(e, outer...)
	return nil
}

// maxNamed is how many properties of a list are looked at.
const maxNamed = 32

// named gives the values of a list of names and values under those names.
func named(e *ocsf.Event, list string) {
	for i := range maxNamed {
		at := fmt.Sprintf("%s.%d.", list, i)
		name, ok := e.Fields.Get(at + "Name")
		if !ok {
			return
		}
		if name != "" {
			decode.AddFields(e, ocsf.Field{Name: name, Value: e.Fields.Value(at + "Value")})
		}
	}
}
