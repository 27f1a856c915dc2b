package entra

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isTrail matches one CloudTrail record, bare or as Logstash and Filebeat pass it on.
func isTrail(o *decode.JSON) bool {
	return o.Has("eventSource") && o.Has("eventName") && (o.Has("userIdentity") || o.Has("eventVersion") || o.Has("awsRegion"))
}

func trail(o *decode.JSON, e *ocsf.Event) error {
	if err := start(o, e, "aws/cloudtrail", "aws", "eventTime", "@timestamp"); err != nil {
		return err
	}
	v := &view{e: e}
	c := e.Cloud
	c.Operation = v.s("eventName")
	c.Resource = v.s("eventSource")
	c.AccountID = v.s("userIdentity.accountId", "userIdentity.sessionContext.sessionIssuer.accountId")
	c.HomeTenant = c.AccountID
	c.ResourceTenant = v.s("recipientAccountId")
	if c.HomeTenant != "" && c.ResourceTenant != "" && c.HomeTenant != c.ResourceTenant {
		c.CrossTenant = "crossAccount"
	}
	c.CredentialID = v.s("userIdentity.accessKeyId")
	c.UserAgent = v.s("userAgent")
	c.ErrorCode = v.s("errorCode")
	if v.s("userIdentity.sessionContext.attributes.mfaAuthenticated", "additionalEventData.MFAUsed") == "true" || v.s("additionalEventData.MFAUsed") == "Yes" {
		c.MFA = "multiFactorAuthentication"
	}
	kind := v.s("userIdentity.type")
	c.ServicePrin = kind == "AWSService" || kind == "AWSAccount" && v.s("userIdentity.invokedBy") != ""
	arn := v.s("userIdentity.arn", "userIdentity.principalId")
	name := v.s("userIdentity.userName", "userIdentity.sessionContext.sessionIssuer.userName", "userIdentity.invokedBy")
	if name == "" {
		name = arn[strings.LastIndexAny(arn, ":/")+1:]
	}
	if name == "" {
		name = c.AccountID
	}
	e.User = ocsf.User{Name: strings.ToLower(name), UID: arn}
	e.Actor = e.User
	e.SourceID = v.s("eventID")
	e.Status = ocsf.StatusSuccess
	if c.ErrorCode != "" {
		e.Status = ocsf.StatusFailure
	}
	if from := v.s("sourceIPAddress"); from != "" {
		if e.Src.IP, e.Src.Port = addr(from); !e.Src.IP.IsValid() {
			e.Src.Domain = strings.ToLower(from) // the service that calls for the principal
		}
	}
	e.Class, e.Activity = ocsf.ClassAPIActivity, activityOf(c.Operation)
	switch {
	case c.Operation == "ConsoleLogin":
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
		c.Interactive = true
		if r := result(v.s("responseElements.ConsoleLogin")); r != ocsf.StatusUnknown {
			e.Status = r
		}
	case strings.HasPrefix(c.Operation, "AssumeRole"):
		e.Class, e.Activity = ocsf.ClassAuthentication, "account switch"
		if role := v.s("requestParameters.roleArn"); role != "" {
			c.Resource = role
		}
	case c.Operation == "SwitchRole":
		e.Class, e.Activity = ocsf.ClassAuthentication, "account switch"
		if role := v.s("additionalEventData.SwitchTo", "additionalEventData.SwitchFrom"); role != "" {
			c.Resource = role
		}
	}
	// Both accounts of a cross-account act log it under the same id (CloudTrail's sharedEventID).
	key(e, "aws-shared-event", v.s("sharedEventID"))
	return nil
}
