package gcp

import (
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// isActivity matches an activity of the Reports API.
func isActivity(o *decode.JSON) bool {
	return o.Str("kind") == "admin#reports#activity" || o.Has("id.applicationName") && o.Has("id.time") && o.Has("actor")
}

// services are the names that Cloud Logging has for the applications of the Reports API, which rules speak.
var services = map[string]string{"admin": adminService, "login": loginService}

func activity(o *decode.JSON, e *ocsf.Event) error {
	app := o.Str("id.applicationName")
	if err := decode.BeginCloud(o, e, "google/"+source(app), "google", "id.time"); err != nil {
		return err
	}
	v := &decode.View{Event: e}
	c := e.Cloud
	c.Operation = v.Value("events.0.name")
	c.Resource = app
	c.ResourceTenant = v.Value("id.customerId")
	c.ServicePrin = v.Value("actor.callerType") == "KEY" || v.Value("actor.callerType") == "APPLICATION"
	e.User = ocsf.User{Name: strings.ToLower(v.Value("actor.email", "actor.key", "actor.applicationInfo.applicationName")), UID: v.Value("actor.profileId")}
	e.Actor = e.User
	e.SourceID = strings.Trim(v.Value("id.time")+" "+v.Value("id.uniqueQualifier"), " ")
	v.Source("ipAddress")
	e.Status = ocsf.StatusSuccess
	e.Class, e.Activity = ocsf.ClassAPIActivity, decode.ActivityOf(c.Operation)
	if app == "login" {
		logon(e, c.Operation)
	}
	workspaceNames(e, services[app], "events", "name", "parameters")
	return nil
}

// source is the kind of an application's events; a name that is none gives activity.
func source(app string) string {
	if app == "" || len(app) > 64 || strings.Trim(app, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "activity"
	}
	return app
}

// maxEvents and maxParameters bound what is looked at of one record; the fields have it all.
const (
	maxEvents     = 16
	maxParameters = 64
)

// workspaceNames adds the names that rules speak for events that a record lists: the service, the events' names and
// their parameters by name.
func workspaceNames(e *ocsf.Event, service, list, name, parameters string) {
	more := []ocsf.Field{{Name: "eventService", Value: service}, {Name: "protoPayload.serviceName", Value: service}}
	get := e.Fields.Value
	for i := range maxEvents {
		at := list + "." + strconv.Itoa(i) + "."
		event := get(at + name)
		if event == "" {
			break
		}
		more = append(more, ocsf.Field{Name: "eventName", Value: event}, ocsf.Field{Name: "protoPayload.metadata.event." + strconv.Itoa(i) + ".eventName", Value: event})
		if i == 0 && e.Cloud.Operation != event && name == "eventName" {
			e.Cloud.Operation = event
			if e.Class == ocsf.ClassAPIActivity {
				e.Activity = decode.ActivityOf(event)
			}
		}
		for k := range maxParameters {
			p := at + parameters + "." + strconv.Itoa(k) + "."
			key := get(p + "name")
			if key == "" {
				break
			}
			for _, kind := range [...]string{"value", "stringValue", "boolValue", "intValue", "multiValue", "multiStrValue"} {
				if x := get(p + kind); x != "" {
					more = append(more, ocsf.Field{Name: key, Value: x})
					break
				}
			}
			if key == "USER_EMAIL" && e.User == e.Actor { // whom an administrator changes
				if who := get(p + "value"); who != "" {
					e.User = ocsf.User{Name: strings.ToLower(who)}
					e.Class = ocsf.ClassAccountChange
				}
			}
		}
	}
	decode.AddFields(e, more...)
}
