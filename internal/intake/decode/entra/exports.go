package entra

import (
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isSigninExport matches the sign-in CSV of the portal, of people and of service principals.
func isSigninExport(h decode.Header) bool {
	return (h.Has("Date (UTC)") || h.Has("Date")) && h.Has("Request ID", "IP address") &&
		(h.Has("Username") || h.Has("User ID") || h.Has("Service principal ID") || h.Has("Managed identity ID"))
}

// signinColumns gives the Graph names of the portal's columns, which are in lower case here.
var signinColumns = map[string]string{
	"date (utc)": "createdDateTime", "date": "createdDateTime", "request id": "id", "user agent": "userAgent",
	"correlation id": "correlationId", "user id": "userId", "user": "userDisplayName", "username": "userPrincipalName",
	"user type": "userType", "cross tenant access type": "crossTenantAccessType", "incoming token type": "incomingTokenType",
	"authentication protocol": "authenticationProtocol", "unique token identifier": "uniqueTokenIdentifier",
	"original transfer method": "originalTransferMethod", "client credential type": "clientCredentialType",
	"application": "appDisplayName", "application id": "appId", "app owner tenant id": "appOwnerTenantId",
	"resource": "resourceDisplayName", "resource id": "resourceId", "resource tenant id": "resourceTenantId",
	"resource owner tenant id": "resourceOwnerTenantId", "home tenant id": "homeTenantId", "home tenant name": "homeTenantName",
	"ip address": "ipAddress", "location": "location", "status": "Status", "sign-in error code": "errorCode",
	"failure reason": "ResultDescription", "client app": "clientAppUsed", "device id": "deviceDetail.deviceId",
	"browser": "deviceDetail.browser", "operating system": "deviceDetail.operatingSystem", "compliant": "deviceDetail.isCompliant",
	"managed": "deviceDetail.isManaged", "join type": "deviceDetail.trustType",
	"multifactor authentication result": "mfaDetail.authResult", "multifactor authentication auth method": "mfaDetail.authMethod",
	"multifactor authentication auth detail": "mfaDetail.authDetail", "authentication requirement": "authenticationRequirement",
	"sign-in identifier": "signInIdentifier", "session id": "sessionId", "ip address (seen by resource)": "ipAddressFromResourceProvider",
	"autonomous system number": "autonomousSystemNumber", "flagged for review": "flaggedForReview", "token issuer type": "tokenIssuerType",
	"token issuer name": "tokenIssuerName", "latency": "processingTimeInMilliseconds", "conditional access": "conditionalAccessStatus",
	"managed identity type": "managedIdentityType", "managed identity id": "managedIdentityId", "associated resource id": "managedServiceIdentity.associatedResourceId",
	"federated token id": "federatedTokenId", "federated token issuer": "federatedTokenIssuer",
	"service principal id": "servicePrincipalId", "service principal name": "servicePrincipalName",
	"service principal credential key id": "servicePrincipalCredentialKeyId", "credential key id": "servicePrincipalCredentialKeyId",
	"service principal credential thumbprint": "servicePrincipalCredentialThumbprint", "credential thumbprint": "servicePrincipalCredentialThumbprint",
}

func signinColumn(column string) string {
	if to := signinColumns[strings.ToLower(strings.Join(strings.Fields(column), " "))]; to != "" {
		return to
	}
	return column
}

// fitSignin makes a row look like Graph's record. Portal files are named by the kind of sign-in, which no column
// tells.
func fitSignin(name string, fields ocsf.Fields) ocsf.Fields {
	success, code := false, ""
	kept := fields[:0]
	for _, f := range fields {
		switch {
		case f.Name == "createdDateTime":
			f.Value = dotted(f.Value)
		case f.Name == "Status":
			success = strings.EqualFold(f.Value, "Success")
		case f.Name == "errorCode":
			if strings.EqualFold(f.Value, "None") {
				continue
			}
			code = f.Value
		}
		kept = append(kept, f)
	}
	if code == "" && success {
		kept = append(kept, ocsf.Field{Name: "errorCode", Value: "0"})
	}
	switch low := strings.ToLower(name); {
	case strings.Contains(low, "noninteractivesignin"):
		kept = append(kept, ocsf.Field{Name: "isInteractive", Value: "false"})
	case strings.Contains(low, "interactivesignin"):
		kept = append(kept, ocsf.Field{Name: "isInteractive", Value: "true"})
	}
	return kept
}

// dottedTimes are how spreadsheets of offices that write dates with dots show a time: the day is always first.
var dottedTimes = [...]string{"2.1.2006, 15:04:05", "2.1.2006 15:04:05", "2.1.2006, 15:04", "2.1.2006 15:04"}

// dotted returns a time with dots as RFC 3339 writes it, and any other text as it is. The column is in UTC.
func dotted(text string) string {
	for _, layout := range dottedTimes {
		if at, err := time.Parse(layout, text); err == nil {
			return at.Format(time.RFC3339Nano)
		}
	}
	return text
}

// fitTable reads the time of a row that a spreadsheet has rewritten.
func fitTable(_ string, fields ocsf.Fields) ocsf.Fields {
	for i, f := range fields {
		if f.Name == "TimeGenerated" {
			fields[i].Value = dotted(f.Value)
		}
	}
	return fields
}

// isAuditExport matches the audit CSV of the portal.
func isAuditExport(h decode.Header) bool {
	return (h.Has("Date (UTC)") || h.Has("Date")) && h.Has("Activity", "CorrelationId") && (h.Has("ActorType") || h.Has("ActorDisplayName"))
}

var auditColumns = map[string]string{
	"date (utc)": "activityDateTime", "date": "activityDateTime", "correlationid": "correlationId", "service": "loggedByService",
	"category": "category", "activity": "activityDisplayName", "result": "result", "resultreason": "resultReason",
	"user agent": "userAgent", "useragent": "userAgent", "actordisplayname": "initiatedBy.user.displayName", "actorobjectid": "initiatedBy.user.id",
	"actoruserprincipalname": "initiatedBy.user.userPrincipalName", "ipaddress": "initiatedBy.user.ipAddress",
	"actorhometenantid": "initiatedBy.user.homeTenantId", "actorhometenantname": "initiatedBy.user.homeTenantName",
	"actorserviceprincipalid": "initiatedBy.app.servicePrincipalId", "actorserviceprincipalname": "initiatedBy.app.servicePrincipalName",
}

// auditParts gives the Graph names of what follows a target's number in a column's name.
var auditParts = map[string]string{"type": "type", "displayname": "displayName", "objectid": "id", "userprincipalname": "userPrincipalName"}

// auditColumn gives the Graph name of a column: Target1ModifiedProperty2NewValue is
// targetResources.0.modifiedProperties.1.newValue.
func auditColumn(column string) string {
	low := strings.ToLower(strings.TrimSpace(column))
	if to := auditColumns[low]; to != "" {
		return to
	}
	if n, rest, ok := numbered(low, "additionaldetail"); ok && (rest == "key" || rest == "value") {
		return "additionalDetails." + n + "." + rest
	}
	n, rest, ok := numbered(low, "target")
	if !ok {
		return column
	}
	if part := auditParts[rest]; part != "" {
		return "targetResources." + n + "." + part
	}
	if m, rest, ok := numbered(rest, "modifiedproperty"); ok {
		if part := map[string]string{"name": "displayName", "oldvalue": "oldValue", "newvalue": "newValue"}[rest]; part != "" {
			return "targetResources." + n + ".modifiedProperties." + m + "." + part
		}
	}
	return column
}

// numbered parts "target12type" into the number counted from 0 and what follows it.
func numbered(s, word string) (n, rest string, ok bool) {
	s, ok = strings.CutPrefix(s, word)
	rest = strings.TrimLeft(s, "0123456789")
	k := decode.Number(s[:len(s)-len(rest)])
	if !ok || k < 1 || k > decode.MaxFields {
		return "", "", false
	}
	return strconv.FormatInt(k-1, 10), rest, true
}

// fitAudit tells an app that acts from a person: the portal writes both into the same columns.
func fitAudit(_ string, fields ocsf.Fields) ocsf.Fields {
	app, person := "", false
	for i, f := range fields {
		switch f.Name {
		case "activityDateTime":
			fields[i].Value = dotted(f.Value)
		case "ActorType":
			if strings.Contains(strings.ToLower(f.Value), "app") || strings.Contains(strings.ToLower(f.Value), "service") {
				app = "app"
			}
		case "initiatedBy.user.userPrincipalName":
			person = true
		}
	}
	if app == "" || person {
		return fields
	}
	for i := range fields {
		switch fields[i].Name {
		case "initiatedBy.user.displayName":
			fields[i].Name = "initiatedBy.app.displayName"
		case "initiatedBy.user.ipAddress":
			fields[i].Name = "initiatedBy.app.ipAddress"
		case "initiatedBy.user.id":
			fields[i].Name = "initiatedBy.app.servicePrincipalId"
		}
	}
	return fields
}
