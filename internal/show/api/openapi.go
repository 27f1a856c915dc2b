package api

import (
	"encoding/json"
	"maps"
	"regexp"
	"strings"
)

type object = map[string]any

var pathParam = regexp.MustCompile(`\{([a-z]+)\}`)

// openAPI writes the description of the API (OpenAPI 3.1) from the table of routes.
func openAPI(version string) []byte {
	paths := object{}
	for _, rt := range table() {
		at, _ := paths[rt.Path].(object)
		if at == nil {
			at = object{}
			paths[rt.Path] = at
		}
		at[strings.ToLower(rt.Method)] = operation(rt)
	}
	if version == "" {
		version = "0"
	}
	doc := object{
		"openapi":  "3.1.0",
		"info":     object{"title": "Breakwater", "version": version, "description": "What Breakwater concluded, and what people may do about it. Every operation sees the caller's tenants alone; what belongs to others answers as if it did not exist."},
		"servers":  []object{{"url": prefix}},
		"security": []object{{"token": []string{}}, {"session": []string{}}},
		"paths":    paths,
		"components": object{
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer", "description": "made by breakwater token create"},
				"session": object{"type": "apiKey", "in": "cookie", "name": "breakwater", "description": "set by a login; called __Host-breakwater over TLS"},
			},
			"schemas": schemas(),
		},
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return []byte(`{"openapi":"3.1.0"}`) // a tree of maps and strings can't fail
	}
	return append(b, '\n')
}

func operation(rt route) object {
	var params []object
	for _, m := range pathParam.FindAllStringSubmatch(rt.Path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, p := range rt.Query {
		params = append(params, object{"name": p.Name, "in": "query", "required": p.Needed, "description": p.Says, "schema": object{"type": p.Type}})
	}
	kind := "application/json"
	if rt.Long {
		kind = "text/event-stream"
	}
	op := object{
		"summary":     rt.Summary,
		"operationId": operationID(rt),
		"description": "Needs the role " + string(rt.Least) + ".",
		"responses": object{
			"200":     object{"description": "Done", "content": object{kind: object{"schema": object{"$ref": "#/components/schemas/" + rt.Gives}}}},
			"default": object{"description": "401: no valid credentials. 403: not allowed by role. 404: not there, or not the caller's. 409: its state does not allow it. 422: a trace request or answer is refused, with its code. 429: too often. 502: the mail server did not do it. 503: try again.", "content": object{"application/json": object{"schema": object{"$ref": "#/components/schemas/Error"}}}},
		},
	}
	if len(params) > 0 {
		op["parameters"] = params
	}
	if rt.Body != nil {
		keys, needed := object{}, []string{}
		for _, p := range rt.Body {
			s := object{"type": p.Type, "description": p.Says}
			if p.Type == "array" {
				s["items"] = object{"type": "string"}
			}
			keys[p.Name] = s
			if p.Needed {
				needed = append(needed, p.Name)
			}
		}
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": object{"type": "object", "properties": keys, "required": needed, "additionalProperties": false}}}}
	}
	return op
}

// operationID is a name for generated clients: getFindings, getFindingsId, putLevelsTenant.
func operationID(rt route) string {
	id := strings.ToLower(rt.Method)
	for part := range strings.FieldsFuncSeq(rt.Path, func(r rune) bool { return r < 'a' || r > 'z' }) {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

// schemas describe what is answered. Results, incidents, campaigns and findings are those of scan, whose schemas
// stand in docs/schema.
func schemas() object {
	text, number, whole, yes := object{"type": "string"}, object{"type": "number"}, object{"type": "integer"}, object{"type": "boolean"}
	moment := object{"type": "string", "format": "date-time"}
	texts := object{"type": "array", "items": text}
	reach := object{"type": "string", "enum": []string{"reached", "attempted", "possible"}}
	maybe := object{"type": []string{"string", "null"}, "format": "date-time"}
	ref := func(name string) object { return object{"$ref": "#/components/schemas/" + name} }
	list := func(name string) object { return object{"type": "array", "items": ref(name)} }
	shape := func(keys object, needed ...string) object {
		return object{"type": "object", "properties": keys, "required": needed}
	}
	out := object{
		"Error":     shape(object{"error": text}, "error"),
		"Result":    object{"type": "object", "description": "docs/schema/result.schema.json"},
		"Campaign":  object{"type": "object", "description": "an element of campaigns in docs/schema/result.schema.json"},
		"Incident":  object{"type": "object", "description": "an element of incidents in docs/schema/result.schema.json"},
		"Finding":   object{"type": "object", "description": "docs/schema/finding.schema.json"},
		"Campaigns": shape(object{"version": whole, "campaigns": list("Campaign")}, "version", "campaigns"),
		"Incidents": shape(object{"version": whole, "incidents": list("Incident")}, "version", "incidents"),
		"Findings":  shape(object{"version": whole, "findings": list("Finding"), "total": whole, "next": text}, "version", "findings", "total"),
		"Traces":    shape(object{"as_of": moment, "settled": yes, "traces": list("Trace")}, "as_of", "settled", "traces"),
		"Trace": shape(object{"subject": text, "finding": text, "tenant": text, "at": moment, "paths": list("TracePath"), "clocks": texts, "answers": texts},
			"subject", "tenant", "at", "paths"),
		"TracePath": shape(object{"rank": whole, "share": number, "origin": ref("TracePlace"), "hops": list("TraceHop"), "ask": ref("TraceAsk"), "shared": yes, "reason": text, "tied": text},
			"rank", "share", "origin", "hops", "reason"),
		"TracePlace": shape(object{"tenant": text, "partner": text, "name": text}, "name"),
		"TraceHop": shape(object{"from": ref("TracePlace"), "to": ref("TracePlace"), "start": moment, "end": moment, "kind": text, "port": whole, "packets": whole, "user": text, "seen": texts,
			"score": number, "share": number, "others": whole, "for": texts, "against": texts, "told": yes, "file": text, "record": whole},
			"from", "to", "start", "end", "kind", "score", "share", "others"),
		"TraceAsk": shape(object{"organisation": text, "address": text, "host": text, "account": text, "target": text, "port": whole, "join_key": text, "at": moment, "from": moment, "to": moment},
			"organisation", "at", "from", "to"),
		"TraceSigned":   shape(object{"organisation": text, "document": object{"type": "object", "description": "a signed request, as docs/trace.md describes it"}}, "organisation", "document"),
		"TraceTaken":    shape(object{"says": text}, "says"),
		"TraceRequests": shape(object{"requests": list("TraceRequest")}, "requests"),
		"TraceRequest": shape(object{"id": text, "state": object{"type": "string", "enum": []string{"waiting", "answered", "declined", "expired"}}, "tenant": text, "trust": text, "asker": text, "peer": text,
			"address": text, "account": text, "target": text, "port": whole, "join_key": text, "at": moment, "from": moment, "to": moment, "expires": moment, "tlp": text, "received": moment, "by": text,
			"decided": moment, "decided_by": text, "reason": text, "reply": ref("TraceReply"), "answer": object{"type": "object", "description": "the signed answer, as docs/trace.md describes it"}},
			"id", "state", "tenant", "trust", "asker", "peer", "at", "from", "to", "expires", "tlp", "received", "by"),
		"TraceReply": shape(object{"outcome": object{"type": "string", "enum": []string{"hop", "origin", "elsewhere", "unknown"}}, "reason": text, "shared": yes, "hops": list("TraceReplyHop"), "settled": yes},
			"outcome", "reason", "hops", "settled"),
		"TraceReplyHop": shape(object{"from": text, "kind": text, "port": whole, "account": text, "start": moment, "end": moment, "confidence": whole}, "from", "kind", "start", "end", "confidence"),
		"Blast":         shape(object{"as_of": moment, "settled": yes, "blast": ref("BlastAnswer")}, "as_of", "settled", "blast"),
		"BlastAnswer":   shape(object{"subject": text, "since": moment, "tenants": list("BlastTenant"), "clocks": texts, "notes": texts}, "subject", "tenants"),
		"BlastTenant": shape(object{"tenant": text, "reach": reach, "first": moment, "last": moment, "sessions": whole, "trusts": texts, "accounts": texts, "hosts": list("BlastHost"), "findings": texts},
			"tenant", "reach", "sessions", "trusts", "accounts", "hosts", "findings"),
		"BlastHost": shape(object{"host": text, "from": text, "time": moment, "kind": text, "user": text, "depth": whole, "reach": reach, "file": text, "record": whole},
			"host", "time", "kind", "depth", "reach"),
		"CoverageRow": shape(object{"tenant": text, "layer": text, "sensor": text, "events": whole, "first": maybe, "last": maybe, "late": whole, "unparsed": whole,
			"authenticated": yes, "silent_since": maybe}, "tenant", "layer", "sensor", "events", "first", "last", "late", "unparsed", "authenticated", "silent_since"),
		"Coverage": shape(object{"coverage": list("CoverageRow")}, "coverage"),
		"Status": shape(object{"ready": yes, "reason": text, "started": moment, "last_event": maybe, "lag_seconds": number, "waiting": whole,
			"counters": object{"type": "object", "additionalProperties": whole}}, "ready", "started", "last_event", "lag_seconds", "waiting"),
		"Deadletter": shape(object{"id": text, "at": moment, "tenant": text, "sensor": text, "source": text, "record": whole, "reason": text, "bytes": whole,
			"raw": object{"type": "string", "contentEncoding": "base64"}}, "id", "at", "tenant", "sensor", "reason", "bytes"),
		"Deadletters": shape(object{"deadletters": list("Deadletter"), "next": text}, "deadletters"),
		"Replayed":    shape(object{"replayed": whole}, "replayed"),
		"Level": shape(object{"tenant": text, "level": object{"type": "string", "enum": LevelNames}, "reason": text, "by": text, "campaign": text,
			"since": maybe, "until": maybe}, "tenant", "level", "reason", "since", "until"),
		"Levels": shape(object{"levels": list("Level")}, "levels"),
		"Watch":  object{"type": "string", "description": "server-sent events; the data of campaign, incident, finding, coverage and level is the object, or {id, removed: true}"},
	}
	maps.Copy(out, postureSchemas(text, whole, yes, moment, maybe, texts, list, ref, shape))
	maps.Copy(out, heldSchemas(text, number, whole, yes, moment, texts, list, shape))
	return out
}
