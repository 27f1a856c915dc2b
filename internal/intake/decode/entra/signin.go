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
		return endsFold(c, "SignInLogs")
	}
	return (o.Has("createdDateTime") || o.Has("CreatedDateTime")) &&
		(o.Has("appId") || o.Has("AppId") || o.Has("appDisplayName") || o.Has("AppDisplayName")) &&
		(o.Has("ipAddress") || o.Has("IpAddress") || o.Has("IPAddress") || o.Has("status") || o.Has("Status")) &&
		!o.Has("activityDisplayName") && !o.Has("ActivityDisplayName")
}

func signin(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "entra/signin", "azure", "createdDateTime", "properties.createdDateTime", "CreatedDateTime", "time", "TimeGenerated"); err != nil {
		return err
	}
	decode.Expand(e, "Status", "LocationDetails", "DeviceDetail", "properties.status", "status")
	v := &decode.View{Event: e, Pascal: o.Has("CreatedDateTime") || o.Has("TimeGenerated")}
	if o.Has("properties") {
		v.Prefix = "properties."
		decode.Lift(e, v.Prefix)
	}
	c := e.Cloud
	e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
	e.SourceID = v.Value("id", "originalRequestId")
	c.Operation = "sign-in"
	c.AppID, c.AppName = v.Value("appId"), v.Value("appDisplayName")
	c.Resource = v.Value("resourceDisplayName", "resourceId")
	c.HomeTenant = v.Value("homeTenantId")
	c.ResourceTenant = v.Value("resourceTenantId", "AADTenantId", "aadTenantId")
	if c.ResourceTenant == "" {
		c.ResourceTenant = e.Fields.Value("tenantId")
	}
	c.CrossTenant = spelled(v.Value("crossTenantAccessType"), "none", "b2bCollaboration", "b2bDirectConnect", "microsoftSupport", "serviceProvider", "passthrough")
	c.AppOwnerTenant = v.Value("appOwnerTenantId")
	c.CredentialID = v.Value("servicePrincipalCredentialKeyId")
	c.Interactive = v.Value("isInteractive") == "true"
	c.MFA = spelled(v.Value("authenticationRequirement"), "singleFactorAuthentication", "multiFactorAuthentication")
	c.ASN = decode.Number(v.Value("autonomousSystemNumber"))
	c.Country = strings.ToUpper(v.Value("location.countryOrRegion", "locationDetails.countryOrRegion"))
	if c.Country == "" {
		place := v.Value("location", "Location") // DE in tables; Bonn, Nordrhein-Westfalen, DE in portal exports
		if code := strings.TrimSpace(place[strings.LastIndexByte(place, ',')+1:]); len(code) == 2 {
			c.Country = strings.ToUpper(code)
		}
	}
	c.UserAgent = v.Value("userAgent")
	c.ErrorCode = v.Value("status.errorCode", "resultType", "ResultType", "errorCode")
	switch c.ErrorCode {
	case "":
	case "0":
		e.Status = ocsf.StatusSuccess
	default:
		e.Status = ocsf.StatusFailure
	}
	v.Source("ipAddress", "IPAddress", "callerIpAddress", "ipAddressFromResourceProvider")
	e.Device = strings.ToLower(v.Value("deviceDetail.displayName"))
	principal(v)
	portalNames(v)
	decode.AddJoinKey(e, "entra-request", v.Value("id"))
	decode.AddJoinKey(e, "entra-request", v.Value("correlationId"))
	decode.AddJoinKey(e, "entra-token", v.Value("uniqueTokenIdentifier"))
	return nil
}

// principal sets who signed in: a person by principal name, or an app by its name.
func principal(v *decode.View) {
	e := v.Event
	upn := v.Value("userPrincipalName")
	sp := v.Value("servicePrincipalId", "managedIdentityId")
	name := v.Value("servicePrincipalName")
	kinds := v.Value("signInEventTypes", "category", "Category")
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
		upn = v.Value("userDisplayName", "userId")
	}
	e.User = ocsf.User{Name: strings.ToLower(upn), UID: v.Value("userId")}
}

// protocols are the words that the portal shows for authentication protocols, which rules look for.
var protocols = map[string]string{"devicecode": "Device Code", "ropc": "ROPC"}

// portalNames adds the names that the portal shows where the record has others.
func portalNames(v *decode.View) {
	e := v.Event
	decode.AddFields(e,
		ocsf.Field{Name: "ActivityDetails", Value: "Sign-ins"},
		ocsf.Field{Name: "ClientApp", Value: v.Value("clientAppUsed")},
		ocsf.Field{Name: "Username", Value: v.Value("userPrincipalName")},
		ocsf.Field{Name: "ResultDescription", Value: v.Value("status.failureReason", "resultDescription")},
		ocsf.Field{Name: "properties.message", Value: protocols[strings.ToLower(strings.ReplaceAll(v.Value("authenticationProtocol"), " ", ""))]},
	)
}
