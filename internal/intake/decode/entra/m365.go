package entra

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// isM365 matches the unified audit log: records of the Management API, those of Search-UnifiedAuditLog with the
// record as a string in AuditData, and the OfficeActivity table.
func isM365(o *decode.JSON) bool {
	if o.Has("AuditData") {
		return o.Has("RecordType") || o.Has("Operations") || o.Has("CreationDate")
	}
	return o.Has("Operation") && (o.Has("Workload") || o.Has("OfficeWorkload")) &&
		(o.Has("CreationTime") || o.Has("TimeGenerated")) && !o.Has("Channel")
}

func m365(o *decode.JSON, e *ocsf.Event) error {
	if o.Str("AuditData") != "" {
		if err := unwrap(o, e); err != nil {
			return err
		}
	}
	v := &view{e: e}
	if o.Has("AuditData.Operation") {
		v.prefix = "AuditData."
	}
	t, ok := decode.ParseTime(v.s("CreationTime", "CreationDate", "TimeGenerated"))
	if !ok {
		return errNoTime
	}
	e.Time, e.Source, e.Layer = t, "m365/audit", tenant.LayerCloud
	expand(e, "Folders", "Parameters", "AppAccessContext", "ExtendedProperties", "OperationProperties", "AffectedItems", "Item")
	c := &ocsf.Cloud{Provider: "m365", Operation: v.s("Operation", "Operations"), Resource: v.s("ObjectId", "OfficeObjectId", "MailboxOwnerUPN", "Workload", "OfficeWorkload"),
		ResourceTenant: v.s("OrganizationId"), AppID: v.s("AppId", "ClientAppId", "AppAccessContext.ClientAppId", "ApplicationId"),
		AppName: v.s("AppAccessContext.ClientAppName", "ApplicationDisplayName"), UserAgent: v.s("UserAgent", "ClientInfoString"),
		ErrorCode: v.s("ErrorNumber", "LogonError")}
	e.Cloud = c
	e.SourceID = v.s("Id", "OfficeId")
	e.User = ocsf.User{Name: strings.ToLower(v.s("UserId", "UserIds")), UID: v.s("UserKey")}
	e.Actor = e.User
	v.src("ClientIP", "ClientIPAddress", "Client_IPAddress", "ActorIpAddress", "ClientIP_")
	e.Status = result(v.s("ResultStatus"))
	e.Class, e.Activity = ocsf.ClassAPIActivity, activityOf(c.Operation)
	switch c.Operation {
	case "UserLoggedIn":
		e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", ocsf.StatusSuccess
	case "UserLoginFailed":
		e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", ocsf.StatusFailure
	}
	c.ServicePrin = v.s("UserType") == "Application" || v.s("UserType") == "5" || v.s("UserType") == "ServicePrincipal" || v.s("UserType") == "4"
	key(e, "entra-request", v.s("InterSystemsId", "AppAccessContext.CorrelationId"))
	key(e, "entra-token", v.s("AppAccessContext.UniqueTokenId"))
	if t := v.s("DeviceName", "ClientMachineName"); t != "" {
		e.Device = strings.ToLower(t)
	}
	return nil
}
