// Package github decodes GitHub's audit log of an organisation or enterprise: what the API, streaming and the
// export of the web pages give as JSON, and the CSV of that export.
//
// Out come events of layer cloud with the actor, the action, the repository or organisation, and where the
// enterprise shows them, the source address and the token's hash. Sigma's rules speak the log's own names, which
// stay as they are. The log holds what was done, so the result is success.
//
// Sources: GitHub's "Audit log events for your organization" and the reference of its REST endpoint. No CSV export
// could be had to verify: its columns are taken to be the JSON's names.
package github

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// Objects returns the format of this package.
func Objects() []decode.Object {
	return []decode.Object{{Name: "github/audit", Match: isEntry, Decode: entry}}
}

// Streams returns the CSV export.
func Streams() []decode.Stream {
	return []decode.Stream{(&decode.Table{Name: "github/audit-csv", Objects: Objects(), Knows: func(h decode.Header) bool {
		return h.Has("action", "actor") && (h.Has("created_at") || h.Has("@timestamp")) && (h.Has("org") || h.Has("repo") || h.Has("business") || h.Has("_document_id"))
	}}).Stream()}
}

// isEntry wants an action of two parts (repo.create) and what else only this log has together.
func isEntry(o *decode.JSON) bool {
	group, verb, ok := strings.Cut(o.Str("action"), ".")
	if !ok || !isWord(group) || verb == "" || !o.Has("created_at") && !o.Has("@timestamp") {
		return false
	}
	return o.Has("_document_id") || (o.Has("org") || o.Has("business") || o.Has("repo")) && (o.Has("actor") || o.Has("actor_id"))
}

func isWord(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func entry(o *decode.JSON, e *ocsf.Event) error {
	if err := decode.BeginCloud(o, e, "github/audit", "github", "created_at", "@timestamp"); err != nil {
		return err
	}
	v := &decode.View{Event: e}
	c := e.Cloud
	c.Operation = v.Value("action")
	c.Resource = v.Value("repo", "repository", "org", "business")
	c.ResourceTenant = v.Value("org", "business")
	c.AppName = v.Value("oauth_application_name", "application_name", "integration", "name")
	c.AppID = v.Value("oauth_application_id", "application_id")
	c.CredentialID = v.Value("hashed_token", "token_id")
	c.UserAgent = v.Value("user_agent")
	c.Country = strings.ToUpper(v.Value("actor_location.country_code", "country_code"))
	actor := strings.ToLower(v.Value("actor", "external_identity_nameid"))
	c.ServicePrin = v.Value("actor_is_bot") == "true" || strings.HasSuffix(actor, "[bot]")
	e.Actor = ocsf.User{Name: actor, UID: v.Value("actor_id")}
	e.User = e.Actor
	group, verb, _ := strings.Cut(c.Operation, ".")
	e.Class, e.Activity = ocsf.ClassAPIActivity, activities[v.Value("operation_type")]
	if e.Activity == "" {
		e.Activity = decode.ActivityOf(verb)
	}
	if user := strings.ToLower(v.Value("user")); user != "" && user != actor {
		e.User = ocsf.User{Name: user, UID: v.Value("user_id")}
		if group == "org" || group == "business" || group == "team" || group == "repo" {
			e.Class = ocsf.ClassGroupManagement
		}
	}
	e.SourceID = v.Value("_document_id")
	v.Source("actor_ip")
	e.Status = ocsf.StatusSuccess
	return nil
}

// activities gives OCSF's words for the log's operation types.
var activities = map[string]string{"create": "create", "modify": "update", "remove": "delete", "access": "read", "restore": "create", "transfer": "update", "authentication": "logon"}
