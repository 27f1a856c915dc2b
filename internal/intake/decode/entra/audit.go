package entra

import (
	"cmp"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isAudit matches Graph's directory audits in either case and the AuditLogs table.
func isAudit(o *decode.JSON) bool {
	if category(o) == "AuditLogs" {
		return true
	}
	if o.Has("activityDisplayName") || o.Has("ActivityDisplayName") {
		return true
	}
	return o.Has("InitiatedBy") && o.Has("TargetResources")
}

func audit(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "entra/audit", "azure", "activityDateTime", "properties.activityDateTime", "ActivityDateTime", "time", "TimeGenerated"); err != nil {
		return err
	}
	decode.Expand(e, "InitiatedBy", "TargetResources", "AdditionalDetails")
	v := &decode.View{Event: e, Pascal: true}
	if o.Has("properties") {
		v.Prefix = "properties."
		decode.Lift(e, v.Prefix)
	}
	c := e.Cloud
	c.Operation = strings.TrimSpace(v.Value("activityDisplayName", "operationName", "OperationName"))
	e.SourceID = v.Value("id")
	c.ResourceTenant = v.Value("AADTenantId", "aadTenantId")
	if c.ResourceTenant == "" {
		c.ResourceTenant = e.Fields.Value("tenantId")
	}
	c.HomeTenant = v.Value("initiatedBy.user.homeTenantId")
	c.AppName = v.Value("initiatedBy.app.displayName")
	c.AppID = v.Value("initiatedBy.app.appId")
	e.Status = decode.StatusOf(v.Value("result"))
	if e.Status == ocsf.StatusFailure {
		c.ErrorCode = v.Value("resultReason", "resultDescription")
	}
	v.Source("initiatedBy.user.ipAddress", "callerIpAddress", "initiatedBy.app.ipAddress")
	e.Actor = ocsf.User{Name: strings.ToLower(v.Value("initiatedBy.user.userPrincipalName")), UID: v.Value("initiatedBy.user.id")}
	if e.Actor.Name == "" {
		e.Actor = ocsf.User{Name: strings.ToLower(v.Value("initiatedBy.app.displayName", "initiatedBy.app.servicePrincipalName", "initiatedBy.user.displayName", "identity")),
			UID: v.Value("initiatedBy.app.servicePrincipalId", "initiatedBy.user.id")}
		c.ServicePrin = v.Value("initiatedBy.app.servicePrincipalId", "initiatedBy.app.appId", "initiatedBy.app.displayName") != ""
	}
	c.UserAgent = v.Value("userAgent")
	targets(v)
	changed(e)
	e.Class, e.Activity = directoryClass(v.Value("category", "Category"), c.Operation)
	decode.AddJoinKey(e, "entra-request", v.Value("id"))
	decode.AddJoinKey(e, "entra-request", v.Value("correlationId"))
	return nil
}

// maxTargets is how many target resources are looked at; the fields have them all.
const maxTargets = 16

// targets sets the account that was changed and the resource that was touched.
func targets(v *decode.View) {
	e := v.Event
	var names []string
	for i := range maxTargets {
		t := "targetResources." + string(rune('0'+i%10))
		if i >= 10 {
			t = "targetResources.1" + string(rune('0'+i-10))
		}
		upn, name, id := v.Value(t+".userPrincipalName"), v.Value(t+".displayName"), v.Value(t+".id")
		if upn == "" && name == "" && id == "" {
			break
		}
		if upn != "" && e.User.Name == "" {
			e.User = ocsf.User{Name: strings.ToLower(upn), UID: id}
		}
		if name == "" {
			if name = upn; name == "" {
				name = id
			}
		}
		names = append(names, name)
	}
	e.Cloud.Resource = strings.Join(names, ", ")
	if e.User == (ocsf.User{}) {
		e.User = e.Actor
	}
}

// directoryClass tells which OCSF class a directory operation belongs to.
func directoryClass(category, operation string) (ocsf.ClassUID, string) {
	switch category {
	case "GroupManagement":
		return ocsf.ClassGroupManagement, decode.ActivityOf(operation)
	case "UserManagement":
		if strings.Contains(strings.ToLower(operation), "password") {
			return ocsf.ClassAccountChange, "password reset"
		}
		return ocsf.ClassAccountChange, decode.ActivityOf(operation)
	}
	return ocsf.ClassAPIActivity, decode.ActivityOf(operation)
}

// maxChanged is how many changed properties are looked at.
const maxChanged = 64

// changed adds the new value of properties whose name is a path (ConsentContext.IsAdminConsent) under that name,
// as rules speak of them.
func changed(e *ocsf.Event) {
	var more []ocsf.Field
	for _, f := range e.Fields {
		if len(more) == maxChanged || !strings.Contains(f.Value, ".") || !endsFold(f.Name, ".displayName") || !strings.Contains(strings.ToLower(f.Name), "modifiedproperties.") {
			continue
		}
		base := f.Name[:len(f.Name)-len("displayName")]
		if value := cmp.Or(e.Fields.Value(base+"newValue"), e.Fields.Value(base+"NewValue")); value != "" {
			more = append(more, ocsf.Field{Name: f.Value, Value: strings.Trim(value, `"`)})
		}
	}
	for _, f := range more {
		decode.AddFields(e, f)
	}
}
