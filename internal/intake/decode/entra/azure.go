package entra

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isActivity matches the Azure activity log of the REST API, of diagnostic settings and of Log Analytics.
func isActivity(o *decode.JSON) bool {
	if isSignin(o) || isAudit(o) {
		return false
	}
	return o.Has("OperationNameValue") ||
		(o.Has("operationName") || o.Has("operationName.value") || o.Has("OperationName")) &&
			(o.Has("caller") || o.Has("Caller") || o.Has("callerIpAddress") || o.Has("CallerIpAddress") || o.Has("identity.claims") || o.Has("authorization")) &&
			(o.Has("resourceId") || o.Has("ResourceId") || o.Has("subscriptionId") || o.Has("SubscriptionId") || o.Has("eventDataId"))
}

const claim = "http://schemas.microsoft.com/identity/claims/"

func activity(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "azure/activity", "azure", "eventTimestamp", "time", "TimeGenerated", "EventSubmissionTimestamp"); err != nil {
		return err
	}
	decode.Expand(e, "Claims", "Authorization", "HTTPRequest", "Properties", "claims", "authorization", "httpRequest", "identity", "properties")
	v := &decode.View{Event: e, Pascal: true}
	if o.Has("properties") {
		decode.Lift(e, "properties.")
	}
	c := e.Cloud
	claims := func(names ...string) string {
		for _, n := range names {
			for _, p := range [...]string{"claims.", "identity.claims.", "Claims.", "Claims_d."} {
				if x := v.Value(p + n); x != "" {
					return x
				}
			}
		}
		return ""
	}
	c.Operation = v.Value("operationName.value", "OperationNameValue", "operationName", "OperationName")
	c.Resource = v.Value("resourceId", "_ResourceId")
	c.ResourceTenant = v.Value("tenantId", "properties.tenantId")
	c.HomeTenant = claims(claim+"tenantid", "tid")
	c.AppID = claims("appid", "azp")
	c.AppName = claims("app_displayname")
	e.SourceID = v.Value("eventDataId", "EventDataId")
	caller := v.Value("caller", "Caller")
	if caller == "" {
		caller = claims("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", "upn", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "name", "appid")
	}
	object := claims(claim+"objectidentifier", "oid")
	e.User = ocsf.User{Name: strings.ToLower(caller), UID: object}
	e.Actor = e.User
	c.ServicePrin = caller != "" && !strings.Contains(caller, "@") || claims("idtyp") == "app"
	v.Source("callerIpAddress", "httpRequest.clientIpAddress", "HTTPRequest.clientIpAddress", "CallerIpAddress")
	if !e.Src.IP.IsValid() {
		e.Src.IP, e.Src.Port = decode.Address(claims("ipaddr"))
	}
	status := v.Value("status.value", "ActivityStatusValue", "resultType", "ResultType", "ActivityStatus")
	if e.Status = decode.StatusOf(status); e.Status == ocsf.StatusFailure {
		c.ErrorCode = v.Value("subStatus.value", "ActivitySubstatusValue", "resultSignature")
	}
	e.Class, e.Activity = ocsf.ClassAPIActivity, decode.ActivityOf(c.Operation)
	decode.AddJoinKey(e, "entra-request", v.Value("correlationId"))
	decode.AddJoinKey(e, "entra-token", claims("uti"))
	return nil
}
