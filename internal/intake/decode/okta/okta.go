// Package okta decodes Okta's system log: events of the System Log API (lists and single ones, as log streaming to
// EventBridge and Splunk passes them on) and the CSV that the admin console downloads.
//
// Out come events of layer cloud with the actor, the target, the event type, the source address and the result.
// Sigma's rules speak the API's own names, which stay as they are; the CSV's are turned into them.
//
// Sources: Okta's reference of the System Log API's LogEvent and its catalogue of event types. No download of the
// console could be had to verify: its columns are taken to be the API's names with words apart by underscores
// (actor.alternate_id), and targets to be numbered from 0 (target0.alternate_id).
package okta

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Objects returns the format of this package.
func Objects() []decode.Object {
	return []decode.Object{{Name: "okta/system", Match: isEvent, Decode: event}}
}

// Streams returns the CSV export of the admin console.
func Streams() []decode.Stream {
	return []decode.Stream{(&decode.Table{Name: "okta/system-csv", Rename: column, Objects: Objects(), Knows: func(h decode.Header) bool {
		return (h.Has("event_type") || h.Has("eventType")) && (h.Has("actor.alternate_id") || h.Has("actor.alternateId"))
	}}).Stream()}
}

// isEvent matches an event, bare or in the detail of EventBridge.
func isEvent(o *decode.JSON) bool {
	return o.Has("eventType") && (o.Has("actor.alternateId") || o.Has("actor.id")) && (o.Has("published") || o.Has("legacyEventType")) ||
		o.Has("detail.eventType") && o.Has("detail.published")
}

// column turns security_context.as_number into securityContext.asNumber and target0.id into target.0.id.
func column(name string) string {
	if strings.EqualFold(name, "timestamp") {
		return "published"
	}
	if rest, ok := strings.CutPrefix(name, "target"); ok {
		if n, path, ok := strings.Cut(rest, "."); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			name = "target." + n + "." + path
		}
	}
	parts := strings.Split(name, "_")
	for i := 1; i < len(parts); i++ {
		if parts[i] != "" {
			parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
		}
	}
	return strings.Join(parts, "")
}

func event(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "okta/system", "okta", "published", "detail.published"); err != nil {
		return err
	}
	v := &decode.View{Event: e}
	if o.Has("detail.eventType") {
		v.Prefix = "detail."
		decode.Lift(e, v.Prefix)
	}
	c := e.Cloud
	c.Operation = v.Value("eventType")
	c.UserAgent = v.Value("client.userAgent.rawUserAgent")
	c.ASN = decode.Number(v.Value("securityContext.asNumber"))
	if code := v.Value("client.geographicalContext.country"); len(code) == 2 {
		c.Country = strings.ToUpper(code)
	}
	kind := v.Value("actor.type")
	c.ServicePrin = strings.Contains(kind, "App") || kind == "SystemPrincipal"
	e.Actor = ocsf.User{Name: strings.ToLower(v.Value("actor.alternateId", "actor.displayName")), UID: v.Value("actor.id")}
	e.SourceID = v.Value("uuid")
	v.Source("client.ipAddress", "request.ipChain.0.ip")
	switch result := v.Value("outcome.result"); result {
	case "SUCCESS", "ALLOW":
		e.Status = ocsf.StatusSuccess
	case "FAILURE", "DENY", "REJECTED", "ABANDONED", "RATE_LIMIT":
		e.Status, c.ErrorCode = ocsf.StatusFailure, v.Value("outcome.reason")
	}
	targets(v)
	classify(e, c.Operation)
	if c.Operation == "user.authentication.auth_via_mfa" && e.Status == ocsf.StatusSuccess {
		c.MFA = "multiFactorAuthentication"
	}
	return nil
}

// maxTargets is how many targets are looked at; the fields have them all.
const maxTargets = 16

// targets sets the account that was changed and the resource that was touched.
func targets(v *decode.View) {
	e := v.Event
	e.User = e.Actor
	var names []string
	for i := range maxTargets {
		t := "target." + decimal(i)
		kind, name := v.Value(t+".type"), v.Value(t+".displayName", t+".alternateId", t+".id")
		if kind == "" && name == "" {
			break
		}
		if kind == "User" && e.User == e.Actor {
			e.User = ocsf.User{Name: strings.ToLower(v.Value(t+".alternateId", t+".displayName")), UID: v.Value(t + ".id")}
		}
		names = append(names, name)
	}
	e.Cloud.Resource = strings.Join(names, ", ")
}

func decimal(i int) string {
	if i >= 10 {
		return "1" + string(rune('0'+i-10))
	}
	return string(rune('0' + i))
}

// classify tells which OCSF class an event type belongs to.
func classify(e *ocsf.Event, kind string) {
	last := kind[strings.LastIndexByte(kind, '.')+1:]
	switch {
	case kind == "user.session.start", kind == "user.authentication.sso", strings.HasPrefix(kind, "user.authentication."):
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
		e.Cloud.Interactive = kind == "user.session.start"
	case kind == "user.session.end":
		e.Class, e.Activity = ocsf.ClassAuthentication, "logoff"
	case strings.HasPrefix(kind, "group.user_membership.") || strings.HasPrefix(kind, "group.privilege."):
		e.Class, e.Activity = ocsf.ClassGroupManagement, decode.ActivityOf(last)
	case kind == "user.account.reset_password", kind == "user.account.update_password":
		e.Class, e.Activity = ocsf.ClassAccountChange, "password reset"
	case strings.HasPrefix(kind, "user.account."), strings.HasPrefix(kind, "user.lifecycle."), strings.HasPrefix(kind, "user.mfa."):
		e.Class, e.Activity = ocsf.ClassAccountChange, decode.ActivityOf(last)
	default:
		e.Class, e.Activity = ocsf.ClassAPIActivity, decode.ActivityOf(last)
	}
}
