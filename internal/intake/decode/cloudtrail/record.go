package cloudtrail

import (
	"errors"
	"fmt"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isTrail matches one CloudTrail record, bare or as Logstash and Filebeat pass it on.
func isRecord(o *decode.JSON) bool {
	if o.Has("insightDetails") {
		return o.Has("eventTime")
	}
	return o.Has("eventSource") && o.Has("eventName") && (o.Has("userIdentity") || o.Has("eventVersion") || o.Has("awsRegion"))
}

// isLookup matches an event of lookup-events, which holds the record as a string.
func isLookup(o *decode.JSON) bool { return o.Str("CloudTrailEvent") != "" }

func lookup(o *decode.JSON, e *ocsf.Event) error {
	inner, err := decode.Inner(o.Str("CloudTrailEvent"))
	if err != nil {
		return fmt.Errorf("CloudTrailEvent: %w", err)
	}
	e.Fields = inner.Fields()
	return record(inner, e)
}

// isLogged matches an event of CloudWatch Logs that holds a record.
func isLogged(o *decode.JSON) bool {
	return o.Has("timestamp") && (o.Has("ingestionTime") || o.Has("logStreamName") || o.Has("eventId") || o.Has("id")) && holdsRecord(o.Str("message"))
}

func logged(o *decode.JSON, e *ocsf.Event) error { return unwrap(o, e, "message") }

// isLake matches a row of CloudTrail Lake that holds the whole record.
func isLake(o *decode.JSON) bool { return holdsRecord(o.Str("eventJson")) }

func lake(o *decode.JSON, e *ocsf.Event) error { return unwrap(o, e, "eventJson") }

// holdsRecord tells a record in a string by what all of them have.
func holdsRecord(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	return strings.HasPrefix(text, "{") && strings.Contains(text, `"eventVersion"`) && strings.Contains(text, `"eventSource"`) && strings.Contains(text, `"awsRegion"`)
}

// unwrap reads the record that is a string in a field. Its own fields go before the wrapping's.
func unwrap(o *decode.JSON, e *ocsf.Event, field string) error {
	inner, err := decode.Inner(strings.TrimSpace(o.Str(field)))
	if err != nil {
		return fmt.Errorf("%s: %w", field, err)
	}
	var outer ocsf.Fields
	for _, f := range o.Fields() {
		if f.Name != field && !strings.HasPrefix(f.Name, field+".") {
			outer = append(outer, f)
		}
	}
	e.Fields = inner.Fields()
	decode.AddFields(e, outer...)
	return record(inner, e)
}

// isBridged matches an event of EventBridge, which holds the record in detail.
func isBridged(o *decode.JSON) bool {
	return o.Has("detail-type") && o.Str("detail.eventSource") != "" && o.Str("detail.eventName") != ""
}

func bridged(o *decode.JSON, e *ocsf.Event) error {
	const prefix = "detail."
	var inner, outer ocsf.Fields
	for _, f := range o.Fields() {
		if name, ok := strings.CutPrefix(f.Name, prefix); ok {
			inner = append(inner, ocsf.Field{Name: name, Value: f.Value})
		} else {
			outer = append(outer, f)
		}
	}
	e.Fields = inner
	decode.AddFields(e, outer...)
	return record(o, e)
}

// isDigest matches a digest file.
func isDigest(o *decode.JSON) bool { return o.Has("digestStartTime") && o.Has("digestS3Object") }

func digest(*decode.JSON, *ocsf.Event) error {
	return errors.New("a digest file, which proves log files and holds no events; it is left out")
}

func record(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "aws/cloudtrail", "aws", "eventTime", "detail.eventTime", "@timestamp"); err != nil {
		return err
	}
	v := &decode.View{Event: e}
	c := e.Cloud
	c.Operation = v.Value("eventName", "insightDetails.eventName")
	c.Resource = v.Value("eventSource", "insightDetails.eventSource")
	c.AccountID = v.Value("userIdentity.accountId", "userIdentity.sessionContext.sessionIssuer.accountId")
	c.HomeTenant = c.AccountID
	c.ResourceTenant = v.Value("recipientAccountId")
	if c.HomeTenant != "" && c.ResourceTenant != "" && c.HomeTenant != c.ResourceTenant {
		c.CrossTenant = "crossAccount"
	}
	c.CredentialID = v.Value("userIdentity.accessKeyId")
	c.UserAgent = v.Value("userAgent")
	c.ErrorCode = v.Value("errorCode")
	switch used := v.Value("additionalEventData.MFAUsed"); {
	case strings.EqualFold(used, "Yes"), v.Value("userIdentity.sessionContext.attributes.mfaAuthenticated") == "true":
		c.MFA = "multiFactorAuthentication"
	case strings.EqualFold(used, "No"):
		c.MFA = "singleFactorAuthentication"
	}
	kind := v.Value("userIdentity.type")
	c.ServicePrin = kind == "AWSService" || kind == "AWSAccount" && v.Value("userIdentity.invokedBy") != ""
	arn := v.Value("userIdentity.arn", "userIdentity.principalId")
	name := v.Value("userIdentity.userName", "userIdentity.sessionContext.sessionIssuer.userName", "userIdentity.invokedBy")
	if name == "" {
		name = arn[strings.LastIndexAny(arn, ":/")+1:]
	}
	if name == "" {
		name = c.AccountID
	}
	e.User = ocsf.User{Name: strings.ToLower(name), UID: arn}
	e.Actor = e.User
	e.SourceID = v.Value("eventID")
	e.Status = ocsf.StatusSuccess
	if c.ErrorCode != "" {
		e.Status = ocsf.StatusFailure
	}
	if from := v.Value("sourceIPAddress"); from != "" {
		if e.Src.IP, e.Src.Port = decode.Address(from); !e.Src.IP.IsValid() {
			e.Src.Domain = strings.ToLower(from) // the service that calls for the principal
		}
	}
	e.Class, e.Activity = ocsf.ClassAPIActivity, decode.ActivityOf(c.Operation)
	switch {
	case c.Operation == "ConsoleLogin":
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
		c.Interactive = true
		if r := decode.StatusOf(v.Value("responseElements.ConsoleLogin")); r != ocsf.StatusUnknown {
			e.Status = r
		}
	case strings.HasPrefix(c.Operation, "AssumeRole"):
		e.Class, e.Activity = ocsf.ClassAuthentication, "account switch"
		if role := v.Value("requestParameters.roleArn"); role != "" {
			c.Resource = role
		}
	case c.Operation == "SwitchRole":
		e.Class, e.Activity = ocsf.ClassAuthentication, "account switch"
		if role := v.Value("additionalEventData.SwitchTo", "additionalEventData.SwitchFrom"); role != "" {
			c.Resource = role
		}
	}
	changedAccount(v)
	// Both accounts of a cross-account act log it under the same id (CloudTrail's sharedEventID).
	decode.AddJoinKey(e, "aws-shared-event", v.Value("sharedEventID"))
	return nil
}

// changedAccount tells whose account an act of IAM changes.
func changedAccount(v *decode.View) {
	e := v.Event
	name := v.Value("requestParameters.userName")
	if name == "" || v.Value("eventSource") != "iam.amazonaws.com" || e.Activity == "read" {
		return
	}
	e.Class, e.User = ocsf.ClassAccountChange, ocsf.User{Name: strings.ToLower(name), UID: v.Value("responseElements.user.arn")}
	if strings.Contains(e.Cloud.Operation, "Group") {
		e.Class = ocsf.ClassGroupManagement
	}
}
