package remotetool

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isNinjaActivity matches an activity of NinjaOne's API (v2/activities, v2/device/{id}/activities) and its webhook.
func isNinjaActivity(o *decode.JSON) bool {
	return o.Has("activityTime") && o.Has("activityType") && o.Has("statusCode")
}

// ninjaActs say what status codes mean, by what they hold; the first counts. Codes that none fits come out without act.
var ninjaActs = []struct {
	has    []string
	act    string
	status ocsf.Status
}{
	{[]string{"NC_SESSION_FAILED_TO_START", "CONNECTION_FAILED"}, "connect", ocsf.StatusFailure},
	{[]string{"CONNECTION_TERMINATED", "NC_SESSION_TERMINATED", "NC_SESSION_SESSION_TERMINATION"}, "disconnect", ocsf.StatusSuccess},
	{[]string{"CONNECTION_ESTABLISHED", "NC_SESSION_STARTED"}, "connect", ocsf.StatusSuccess},
	{[]string{"CONNECTION_INITIATED", "NC_SESSION_REQUESTED"}, "connect", ocsf.StatusUnknown},
	{[]string{"LOGIN_FAILED", "LOGGED_IN_FAILED", "AUTHENTICATION_FAILED"}, "login", ocsf.StatusFailure},
	{[]string{"LOGGED_IN"}, "login", ocsf.StatusSuccess},
	{[]string{"LOGGED_OUT"}, "logout", ocsf.StatusSuccess},
	{[]string{"SOFTWARE_ADDED", "NODE_CREATED", "REGISTERED"}, "install", ocsf.StatusSuccess},
	{[]string{"FILE_TRANSFER", "FILE_UPLOAD", "FILE_DOWNLOAD"}, "file", ocsf.StatusSuccess},
	{[]string{"POLICY_", "USER_CREATED", "USER_DELETED", "USER_UPDATED", "ROLE_", "API_KEY", "CLIENT_CREATED", "CLIENT_UPDATED"}, "settings", ocsf.StatusSuccess},
}

// ninjaRuns are types of activities that run something on the device.
var ninjaRuns = map[string]bool{"ACTION": true, "ACTIONSET": true, "SCRIPTING": true, "SCRIPT": true, "SCHEDULED_TASK": true, "CONDITION_ACTION": true}

func ninjaActivity(o *decode.JSON, e *ocsf.Event) error {
	t, err := o.Time("activityTime")
	if err != nil {
		return err
	}
	r := &ocsf.RemoteSession{Tool: "ninjaone", SessionID: strings.ToLower(o.First("data.message.params.sessionId", "data.message.params.session_id")),
		Instance: o.First("deviceId"), Operator: o.First("data.message.params.appUserName", "data.message.params.userName", "userName", "user", "userId", "sourceName"),
		Target: shortHost(o.First("data.message.params.deviceName", "data.message.params.device", "deviceName")), Company: o.First("data.message.params.clientName", "organizationName")}
	fields := e.Fields
	*e = *newEvent("ninjaone/activity", t, r)
	e.Fields = fields
	code, kind := strings.ToUpper(o.First("statusCode")), strings.ToUpper(o.First("activityType"))
	for _, a := range ninjaActs {
		if r.Act == "" && containsAny(code, a.has) {
			act(e, a.act)
			e.Status = a.status
		}
	}
	if r.Act == "" && ninjaRuns[kind] && (strings.Contains(code, "START") || strings.Contains(code, "RUN") || strings.Contains(code, "COMPLETED")) {
		act(e, "command")
		r.CommandLine = o.First("data.message.params.scriptName", "data.message.params.actionName", "message")
		e.Status = ocsf.StatusSuccess
	}
	if result := strings.ToUpper(o.First("activityResult")); strings.Contains(result, "FAIL") {
		e.Status = ocsf.StatusFailure
	}
	e.Device, e.Actor.Name = r.Target, r.Operator
	if id := o.First("id"); id != "" {
		e.SourceID = "ninjaone|" + id
	}
	finish(e)
	return nil
}

func containsAny(s string, words []string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
