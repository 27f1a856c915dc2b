package entra

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isSignin matches Graph sign-ins in either case, and the sign-in tables of diagnostic settings and Log
// Analytics, by their category.
func isSignin(o *decode.JSON) bool {
	if c := category(o); c != "" {
		return strings.HasSuffix(c, "SignInLogs")
	}
	return (o.Has("createdDateTime") || o.Has("CreatedDateTime")) &&
		(o.Has("appId") || o.Has("AppId") || o.Has("appDisplayName") || o.Has("AppDisplayName")) &&
		(o.Has("ipAddress") || o.Has("IpAddress") || o.Has("IPAddress") || o.Has("status") || o.Has("Status")) &&
		!o.Has("activityDisplayName") && !o.Has("ActivityDisplayName")
}

func signin(o *decode.JSON, e *ocsf.Event) error {
	if err := start(o, e, "entra/signin", "azure", "createdDateTime", "properties.createdDateTime", "CreatedDateTime", "time", "TimeGenerated"); err != nil {
		return err
	}
	expand(e, "Status", "LocationDetails", "DeviceDetail", "properties.status", "status")
	v := &view{e: e, pascal: o.Has("CreatedDateTime") || o.Has("TimeGenerated")}
	if o.Has("properties") {
		v.prefix = "properties."
	}
	c := e.Cloud
	e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
	e.SourceID = v.s("id", "originalRequestId")
	c.Operation = "sign-in"
	c.AppID, c.AppName = v.s("appId"), v.s("appDisplayName")
	c.Resource = v.s("resourceDisplayName", "resourceId")
	c.HomeTenant = v.s("homeTenantId")
	c.ResourceTenant = v.s("resourceTenantId", "AADTenantId", "aadTenantId")
	if c.ResourceTenant == "" {
		c.ResourceTenant = v.e.Fields.Value("tenantId")
	}
	c.CrossTenant = v.s("crossTenantAccessType")
	c.AppOwnerTenant = v.s("appOwnerTenantId")
	c.CredentialID = v.s("servicePrincipalCredentialKeyId")
	c.Interactive = v.s("isInteractive") == "true"
	c.MFA = v.s("authenticationRequirement")
	c.ASN = number(v.s("autonomousSystemNumber"))
	c.Country = strings.ToUpper(v.s("location.countryOrRegion", "locationDetails.countryOrRegion"))
	if c.Country == "" {
		if code := v.s("location", "Location"); len(code) == 2 {
			c.Country = strings.ToUpper(code)
		}
	}
	c.UserAgent = v.s("userAgent")
	c.ErrorCode = v.s("status.errorCode", "resultType", "ResultType", "errorCode")
	switch c.ErrorCode {
	case "":
	case "0":
		e.Status = ocsf.StatusSuccess
	default:
		e.Status = ocsf.StatusFailure
	}
	v.src("ipAddress", "IPAddress", "callerIpAddress", "ipAddressFromResourceProvider")
	e.Device = strings.ToLower(v.s("deviceDetail.displayName"))
	v.principal()
	key(e, "entra-request", v.s("id"))
	key(e, "entra-request", v.s("correlationId"))
	key(e, "entra-token", v.s("uniqueTokenIdentifier"))
	return nil
}

// principal sets who signed in: a person by principal name, or an app by its name.
func (v *view) principal() {
	e := v.e
	upn := v.s("userPrincipalName")
	sp := v.s("servicePrincipalId", "managedIdentityId")
	name := v.s("servicePrincipalName")
	kinds := v.s("signInEventTypes", "category", "Category")
	c := e.Cloud
	c.ServicePrin = upn == "" && (sp != "" || name != "") ||
		strings.Contains(kinds, "servicePrincipal") || strings.Contains(kinds, "managedIdentity") ||
		strings.HasPrefix(kinds, "ServicePrincipal") || strings.HasPrefix(kinds, "ManagedIdentity")
	if c.ServicePrin {
		if name == "" {
			name = c.AppName
		}
		e.User = ocsf.User{Name: strings.ToLower(name), UID: sp}
		return
	}
	if upn == "" {
		upn = v.s("userDisplayName", "userId")
	}
	e.User = ocsf.User{Name: strings.ToLower(upn), UID: v.s("userId")}
}
