package entra

import (
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
	if err := start(o, e, "entra/audit", "azure", "activityDateTime", "properties.activityDateTime", "ActivityDateTime", "time", "TimeGenerated"); err != nil {
		return err
	}
	expand(e, "InitiatedBy", "TargetResources", "AdditionalDetails")
	v := &view{e: e, pascal: true}
	if o.Has("properties") {
		v.prefix = "properties."
	}
	c := e.Cloud
	c.Operation = strings.TrimSpace(v.s("activityDisplayName", "operationName", "OperationName"))
	e.SourceID = v.s("id")
	c.ResourceTenant = v.s("AADTenantId", "aadTenantId")
	if c.ResourceTenant == "" {
		c.ResourceTenant = e.Fields.Value("tenantId")
	}
	c.HomeTenant = v.s("initiatedBy.user.homeTenantId")
	c.AppName = v.s("initiatedBy.app.displayName")
	c.AppID = v.s("initiatedBy.app.appId")
	e.Status = result(v.s("result"))
	if e.Status == ocsf.StatusFailure {
		c.ErrorCode = v.s("resultReason", "resultDescription")
	}
	v.src("initiatedBy.user.ipAddress", "callerIpAddress", "initiatedBy.app.ipAddress")
	e.Actor = ocsf.User{Name: strings.ToLower(v.s("initiatedBy.user.userPrincipalName")), UID: v.s("initiatedBy.user.id")}
	if e.Actor.Name == "" {
		e.Actor = ocsf.User{Name: strings.ToLower(v.s("initiatedBy.app.displayName", "initiatedBy.app.servicePrincipalName", "initiatedBy.user.displayName", "identity")),
			UID: v.s("initiatedBy.app.servicePrincipalId", "initiatedBy.user.id")}
		c.ServicePrin = v.s("initiatedBy.app.servicePrincipalId", "initiatedBy.app.appId", "initiatedBy.app.displayName") != ""
	}
	v.targets()
	e.Class, e.Activity = directoryClass(v.s("category", "Category"), c.Operation)
	key(e, "entra-request", v.s("id"))
	key(e, "entra-request", v.s("correlationId"))
	return nil
}

// maxTargets is how many target resources are looked at; the fields have them all.
const maxTargets = 16

// targets sets the account that was changed and the resource that was touched.
func (v *view) targets() {
	e := v.e
	var names []string
	for i := range maxTargets {
		t := "targetResources." + string(rune('0'+i%10))
		if i >= 10 {
			t = "targetResources.1" + string(rune('0'+i-10))
		}
		upn, name, id := v.s(t+".userPrincipalName"), v.s(t+".displayName"), v.s(t+".id")
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
		return ocsf.ClassGroupManagement, activityOf(operation)
	case "UserManagement":
		if strings.Contains(strings.ToLower(operation), "password") {
			return ocsf.ClassAccountChange, "password reset"
		}
		return ocsf.ClassAccountChange, activityOf(operation)
	}
	return ocsf.ClassAPIActivity, activityOf(operation)
}
