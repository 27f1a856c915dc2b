package entra

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isRisk matches risk detections of identity protection in any wrapping, and the alerts of privileged identity
// management, which rules tell by the same field.
func isRisk(o *decode.JSON) bool {
	if o.Has("riskEventType") || o.Has("RiskEventType") || o.Has("properties.riskEventType") {
		return !isSignin(o) && !isAudit(o)
	}
	return endsFold(o.Str("@odata.type"), "alertincident")
}

func risk(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "entra/risk", "azure", "activityDateTime", "properties.activityDateTime", "ActivityDateTime",
		"detectedDateTime", "properties.detectedDateTime", "DetectedDateTime", "createdDateTime", "lastModifiedDateTime", "time", "TimeGenerated"); err != nil {
		return err
	}
	v := &decode.View{Event: e, Pascal: true}
	if o.Has("properties") {
		v.Prefix = "properties."
		decode.Lift(e, v.Prefix)
	}
	c := e.Cloud
	c.Operation = v.Value("riskEventType")
	if c.Operation == "" {
		kind := o.Str("@odata.type")
		c.Operation = kind[strings.LastIndexByte(kind, '.')+1:]
		decode.AddFields(e, ocsf.Field{Name: "riskEventType", Value: c.Operation})
	}
	if endsFold(c.Operation, "alertincident") {
		e.Source = "entra/pim"
	}
	e.SourceID = v.Value("id")
	e.Class, e.Activity = ocsf.ClassAuthentication, "risk"
	c.ResourceTenant = v.Value("AADTenantId", "aadTenantId", "tenantId")
	c.HomeTenant = v.Value("homeTenantId")
	c.AppID, c.AppName = v.Value("appId"), v.Value("appDisplayName", "servicePrincipalDisplayName")
	c.Resource = v.Value("riskDetail")
	c.Country = strings.ToUpper(v.Value("location.countryOrRegion"))
	c.UserAgent = v.Value("userAgent")
	c.ServicePrin = v.Value("servicePrincipalId") != "" && v.Value("userPrincipalName") == ""
	v.Source("ipAddress", "IPAddress", "callerIpAddress")
	e.User = ocsf.User{Name: strings.ToLower(v.Value("userPrincipalName", "servicePrincipalDisplayName", "userDisplayName", "assigneeUserPrincipalName")),
		UID: v.Value("userId", "servicePrincipalId", "assigneeId")}
	decode.AddJoinKey(e, "entra-request", v.Value("requestId"))
	decode.AddJoinKey(e, "entra-request", v.Value("correlationId"))
	return nil
}
