package cloudtrail

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isQuery matches the CSV of a query over a table of records. It may have selected any columns beside these.
func isQuery(h decode.Header) bool { return h.Has("eventTime", "eventSource", "eventName") }

// isHistory matches the CSV of the console's event history.
func isHistory(h decode.Header) bool {
	return h.Has("Event name", "Event time", "Event source", "AWS region")
}

// names gives CloudTrail's spelling of names that Athena writes in lower case, of columns and of the parts of
// userIdentity.
var names = lowerCase("eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress", "userAgent",
	"errorCode", "errorMessage", "requestParameters", "responseElements", "additionalEventData", "requestID", "eventID", "readOnly",
	"eventType", "apiVersion", "managementEvent", "recipientAccountId", "serviceEventDetails", "sharedEventID", "vpcEndpointId",
	"vpcEndpointAccountId", "eventCategory", "sessionCredentialFromConsole", "edgeDeviceDetails", "tlsDetails", "insightDetails",
	"principalId", "accountId", "invokedBy", "accessKeyId", "userName", "sessionContext", "mfaAuthenticated", "creationDate",
	"sessionIssuer", "ec2RoleDelivery", "webIdFederationData", "federatedProvider", "sourceIdentity", "inScopeOf", "onBehalfOf",
	"tlsVersion", "cipherSuite", "clientProvidedHostHeader", "identityProvider", "credentialId")

func lowerCase(list ...string) map[string]string {
	out := make(map[string]string, len(list))
	for _, n := range list {
		out[strings.ToLower(n)] = n
	}
	return out
}

func queryColumn(column string) string {
	if to := names[strings.ToLower(column)]; to != "" {
		return to
	}
	return column
}

var historyColumns = map[string]string{
	"event id": "eventID", "event name": "eventName", "event time": "eventTime", "event source": "eventSource", "event type": "eventType",
	"user name": "userIdentity.userName", "aws access key": "userIdentity.accessKeyId", "aws region": "awsRegion", "error code": "errorCode",
	"source ip address": "sourceIPAddress", "request id": "requestID", "read-only": "readOnly", "read only": "readOnly",
	"recipient account id": "recipientAccountId", "account id": "recipientAccountId", "user agent": "userAgent",
}

func historyColumn(column string) string {
	if to := historyColumns[strings.ToLower(column)]; to != "" {
		return to
	}
	return column
}

// fitQuery opens cells that hold a structure as Athena writes it: {type=IAMUser, arn=…, sessioncontext={…}}.
func fitQuery(_ string, fields ocsf.Fields) ocsf.Fields {
	n := len(fields)
	for i := range n {
		v := fields[i].Value
		if len(v) > 2 && v[0] == '{' && v[len(v)-1] == '}' && v[1] != '"' && v[1] != '{' {
			s := structure{text: v}
			s.open(fields[i].Name, 1)
			fields = append(fields, s.fields...)
		}
	}
	return fields
}

// structure reads what Athena writes of a row type: names and values with = between and ", " after them, in
// braces. Values are not quoted, so a comma within one that is followed by a name and = ends it.
type structure struct {
	text   string
	at     int
	fields ocsf.Fields
}

// open reads from an opening brace to behind its closing one.
func (s *structure) open(prefix string, depth int) {
	s.at++
	for s.at < len(s.text) && len(s.fields) < decode.MaxFields && depth <= decode.MaxDepth {
		for s.at < len(s.text) && (s.text[s.at] == ' ' || s.text[s.at] == ',') {
			s.at++
		}
		if s.at == len(s.text) || s.text[s.at] == '}' {
			s.at++
			return
		}
		eq := strings.IndexByte(s.text[s.at:], '=')
		if eq < 0 {
			s.at = len(s.text)
			return
		}
		name := strings.TrimSpace(s.text[s.at : s.at+eq])
		s.at += eq + 1
		if to := names[strings.ToLower(name)]; to != "" {
			name = to
		}
		if s.at < len(s.text) && s.text[s.at] == '{' {
			s.open(prefix+"."+name, depth+1)
			continue
		}
		if v := s.value(); v != "" && v != "null" {
			s.fields = append(s.fields, ocsf.Field{Name: prefix + "." + name, Value: v})
		}
	}
}

// value reads to the brace or to the comma before the next name. Lists in brackets are one value.
func (s *structure) value() string {
	from, nested := s.at, 0
	for ; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == '[' || c == '{':
			nested++
		case nested > 0 && (c == ']' || c == '}'):
			nested--
		case nested > 0:
		case c == '}':
			return strings.TrimSpace(s.text[from:s.at])
		case c == ',' && isName(s.text[s.at+1:]):
			return strings.TrimSpace(s.text[from:s.at])
		}
	}
	return strings.TrimSpace(s.text[from:])
}

// maxName is how long a name in a structure may be, in bytes.
const maxName = 64

// isName reports whether text begins with a name and =.
func isName(text string) bool {
	text = strings.TrimLeft(text, " ")
	i := strings.IndexByte(text[:min(len(text), maxName)], '=')
	return i > 0 && strings.Trim(strings.ToLower(text[:i]), "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
