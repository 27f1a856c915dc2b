package httpin

import (
	"net/http"
	"strings"
)

// elasticVersion is what we say we are: senders of the same major version, and older ones, accept it.
const elasticVersion = "8.19.0"

type object = map[string]any

// handshake answers what senders ask before they send. Whatever they would set up exists already.
func (h *Handler) handshake(w http.ResponseWriter, r *http.Request, parts []string) error {
	binding, err := h.sender(r)
	if err != nil {
		return err
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	name := strings.Join(parts[1:], "/")
	switch first := parts[0]; {
	case first == "" && read:
		replyElastic(w, r, http.StatusOK, rootAnswer)
	case first == "_license" && read:
		replyElastic(w, r, http.StatusOK, object{"license": licence})
	case first == "_xpack" && read:
		replyElastic(w, r, http.StatusOK, xpackAnswer)
	case first == "_cluster" && name == "health" && read:
		replyElastic(w, r, http.StatusOK, healthAnswer)
	case first == "_cat" && read:
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		_, _ = w.Write([]byte("breakwater green 1 1 0 0 0 0 0 0 - 100.0%\n"))
	case first == "_nodes" && read: // no addresses, so that a sender stays with the one that it has
		replyElastic(w, r, http.StatusOK, object{"_nodes": object{"total": 1, "successful": 1, "failed": 0}, "cluster_name": "breakwater", "nodes": object{}})
	case first == "_security":
		return h.security(w, r, name, binding.Sensor)
	case setUp[first] != nil:
		return h.setting(w, r, setUp[first], first, name)
	case len(parts) == 1 && !strings.HasPrefix(first, "_"):
		return h.setting(w, r, indexAnswer, first, first)
	default:
		return noSuch(r)
	}
	return nil
}

// setting answers for something that a sender would set up: it is there, and may be set to anything.
func (h *Handler) setting(w http.ResponseWriter, r *http.Request, get func(string) object, kind, name string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		replyElastic(w, r, http.StatusOK, get(lastOf(name)))
	case http.MethodPut, http.MethodPost:
		if err := h.drain(w, r); err != nil {
			return err
		}
		answer := object{"acknowledged": true}
		if kind == name { // an index
			answer["shards_acknowledged"], answer["index"] = true, name
		}
		replyElastic(w, r, http.StatusOK, answer)
	default:
		return method(w, r, http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost)
	}
	return nil
}

// lastOf is the name in policy/NAME, pipeline/NAME or NAME.
func lastOf(name string) string {
	return name[strings.LastIndexByte(name, '/')+1:]
}

// setUp is how each kind of thing that senders set up is shown.
var setUp = map[string]func(name string) object{
	"_index_template": func(name string) object {
		return object{"index_templates": []object{{"name": name, "index_template": object{"index_patterns": []string{name + "*"}, "composed_of": []string{}, "priority": 150, "data_stream": object{}}}}}
	},
	"_component_template": func(name string) object {
		return object{"component_templates": []object{{"name": name, "component_template": object{"template": object{}}}}}
	},
	"_template": func(name string) object {
		return object{name: object{"order": 1, "index_patterns": []string{name + "*"}, "settings": object{}, "mappings": object{}, "aliases": object{}}}
	},
	"_ilm": func(name string) object {
		if name == "status" {
			return object{"operation_mode": "RUNNING"}
		}
		return object{name: object{"version": 1, "modified_date": "2026-01-01T00:00:00.000Z", "policy": object{"phases": object{}}}}
	},
	"_ingest": func(name string) object {
		return object{name: object{"description": "taken as it is sent", "processors": []object{}}}
	},
	"_data_stream": func(name string) object {
		return object{"data_streams": []object{{"name": name, "timestamp_field": object{"name": "@timestamp"}, "indices": []object{}, "generation": 1, "status": "GREEN", "template": name}}}
	},
	"_alias": func(name string) object {
		return object{name: object{"aliases": object{name: object{"is_write_index": true}}}}
	},
}

func indexAnswer(name string) object {
	return object{name: object{"aliases": object{}, "mappings": object{}, "settings": object{}}}
}

// security answers who a sender is and that it may do what it asks about: send.
func (h *Handler) security(w http.ResponseWriter, r *http.Request, name, sensor string) error {
	switch {
	case name == "_authenticate" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		replyElastic(w, r, http.StatusOK, object{
			"username": sensor, "roles": []string{"sensor"}, "enabled": true, "authentication_type": "token",
			"authentication_realm": object{"name": "breakwater", "type": "breakwater"}, "lookup_realm": object{"name": "breakwater", "type": "breakwater"},
		})
	case name == "user/_has_privileges" && (r.Method == http.MethodPost || r.Method == http.MethodGet):
		if err := h.drain(w, r); err != nil {
			return err
		}
		replyElastic(w, r, http.StatusOK, object{"username": sensor, "has_all_requested": true, "cluster": object{}, "index": object{}, "application": object{}})
	default:
		return noSuch(r)
	}
	return nil
}

var rootAnswer = object{
	"name": "breakwater", "cluster_name": "breakwater", "cluster_uuid": "YnJlYWt3YXRlci1jbHVzdA",
	"version": object{
		"number": elasticVersion, "build_flavor": "default", "build_type": "tar", "build_hash": "unknown",
		"build_date": "2026-01-01T00:00:00.000000000Z", "build_snapshot": false, "lucene_version": "9.12.1",
		"minimum_wire_compatibility_version": "7.17.0", "minimum_index_compatibility_version": "7.0.0",
	},
	"tagline": "You Know, for Search", // clients look for these words
}

var licence = object{
	"status": "active", "uid": "00000000-0000-0000-0000-000000000000", "type": "basic", "issue_date": "2026-01-01T00:00:00.000Z",
	"issue_date_in_millis": 1767225600000, "max_nodes": 1000, "max_resource_units": nil, "issued_to": "breakwater", "issuer": "breakwater", "start_date_in_millis": -1,
}

var xpackAnswer = object{
	"build":    object{"hash": "unknown", "date": "2026-01-01T00:00:00.000Z"},
	"license":  object{"uid": "00000000-0000-0000-0000-000000000000", "type": "basic", "mode": "basic", "status": "active"},
	"features": object{"ilm": object{"available": true, "enabled": true}, "security": object{"available": true, "enabled": true}, "monitoring": object{"available": false, "enabled": false}},
	"tagline":  "You know, for X",
}

var healthAnswer = object{
	"cluster_name": "breakwater", "status": "green", "timed_out": false, "number_of_nodes": 1, "number_of_data_nodes": 1,
	"active_primary_shards": 1, "active_shards": 1, "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0,
	"delayed_unassigned_shards": 0, "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0,
	"task_max_waiting_in_queue_millis": 0, "active_shards_percent_as_number": 100.0,
}
