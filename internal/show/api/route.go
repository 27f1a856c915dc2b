package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
)

// call is one authorised request.
type call struct {
	*http.Request
	w   http.ResponseWriter
	who *authz.Principal
}

// route is one operation; OpenAPI is built from the same table that is served.
type route struct {
	Method, Path string // Path below /api/v1, in ServeMux's patterns
	Least        authz.Role
	Summary      string
	Query        []param
	Body         []param // of the JSON object sent; nil: none
	Gives        string  // name of the schema of what is answered
	Long         bool    // a watch: no timeout
	do           func(*Handler, *call) error
}

// param is a query parameter, or a key of a body.
type param struct {
	Name, Type, Says string
	Needed           bool
}

// prefix is where the API's paths begin.
const prefix = "/api/v1"

// table lists every operation.
func table() []route {
	page := []param{{Name: "limit", Type: "integer", Says: "at most this many, 1 to 1000; 100 where it is left out"}, {Name: "cursor", Type: "string", Says: "what the last answer called next"}}
	word := []param{{Name: "reason", Type: "string", Says: "why, for those who ask later", Needed: true}, {Name: "by", Type: "string", Says: "the person who decides, where the credentials are not that person's own"}}
	return append([]route{
		{"GET", "/campaigns", authz.RoleViewer, "List the campaigns that concern the caller's tenants", nil, nil, "Campaigns", false, (*Handler).campaigns},
		{"GET", "/campaigns/{id}", authz.RoleViewer, "Show one campaign", nil, nil, "Campaign", false, (*Handler).campaign},
		{"GET", "/incidents", authz.RoleViewer, "List incidents", nil, nil, "Incidents", false, (*Handler).incidents},
		{"GET", "/incidents/{id}", authz.RoleViewer, "Show one incident", nil, nil, "Incident", false, (*Handler).incident},
		{"GET", "/findings", authz.RoleViewer, "List findings by time", append([]param{
			{Name: "tenant", Type: "string", Says: "of this tenant alone"},
			{Name: "severity", Type: "string", Says: "at least informational, low, medium, high or critical"},
			{Name: "layer", Type: "string", Says: "mail, network, endpoint, cloud or access"},
			{Name: "since", Type: "string", Says: "ending at this time or later: RFC 3339, or how long ago, such as 24h"},
			{Name: "partner", Type: "string", Says: "through this partner alone"},
			{Name: "order", Type: "string", Says: "asc (oldest first) or desc"},
		}, page...), nil, "Findings", false, (*Handler).findings},
		{"GET", "/findings/{id}", authz.RoleViewer, "Show one finding with its evidence", nil, nil, "Finding", false, (*Handler).finding},
		{"GET", "/result", authz.RoleViewer, "Show everything, as scan -o json prints it", nil, nil, "Result", false, (*Handler).result},
		{"GET", "/trace", authz.RoleViewer, "Walk back from a finding, or from an address at a time, to where it began", []param{
			{Name: "subject", Type: "string", Says: "a finding's id or the first 6 or more digits of it, or an address or host", Needed: true},
			{Name: "at", Type: "string", Says: "when the address was at work: RFC 3339, or so long before the end of the telemetry, such as 2h; needed where subject is no finding"},
			{Name: "tenant", Type: "string", Says: "whose telemetry names the address; needed where it means something to several"},
			{Name: "user", Type: "string", Says: "the account that acted, where it is known"},
			{Name: "paths", Type: "integer", Says: "ways of each source, 1 to 8; 3 where it is left out"},
		}, nil, "Traces", false, (*Handler).trace},
		{"GET", "/blast", authz.RoleViewer, "Say which tenants and hosts somebody could reach, and did", []param{
			{Name: "subject", Type: "string", Says: "a partner, an account, a remote tool (product or instance) or an address", Needed: true},
			{Name: "as", Type: "string", Says: "partner, account, tool or address; whichever it is known as where it is left out"},
			{Name: "since", Type: "string", Says: "from when on: RFC 3339, a day, or so long before the end of the telemetry, such as 24h; all that is held where it is left out"},
		}, nil, "Blast", false, (*Handler).blast},
		{"POST", "/trace/asks", authz.RoleAnalyst, "Sign the request by which another organisation is asked where a trace goes on", nil, []param{
			{Name: "subject", Type: "string", Says: "as of /trace", Needed: true}, {Name: "at", Type: "string", Says: "as of /trace"}, {Name: "tenant", Type: "string", Says: "as of /trace"},
			{Name: "user", Type: "string", Says: "as of /trace"}, {Name: "tlp", Type: "string", Says: "how far it may be passed on, by TLP 2.0; TLP:AMBER where it is left out"},
		}, "TraceSigned", false, (*Handler).traceAsk},
		{"POST", "/trace/answers", authz.RoleAnalyst, "Take another organisation's answer to a request of this server, so that traces go on through it", nil,
			[]param{{Name: "document", Type: "object", Says: "the answer as it came", Needed: true}}, "TraceTaken", false, (*Handler).traceTake},
		{"GET", "/trace/requests", authz.RoleViewer, "List the trace requests of other organisations, those that wait for a person first", nil, nil, "TraceRequests", false, (*Handler).traceRequests},
		{"POST", "/trace/requests", authz.RoleAnalyst, "Take another organisation's trace request: it is answered where the trust says so, and else waits for a person", nil,
			[]param{{Name: "document", Type: "object", Says: "the request as it came", Needed: true}}, "TraceRequest", false, (*Handler).traceReceive},
		{"GET", "/trace/requests/{id}", authz.RoleViewer, "Show one trace request, with its answer or with what would be answered now", nil, nil, "TraceRequest", false, (*Handler).traceRequest},
		{"POST", "/trace/requests/{id}/approve", authz.RoleAnalyst, "Answer a trace request that waits", nil, word, "TraceRequest", false, (*Handler).traceApprove},
		{"POST", "/trace/requests/{id}/decline", authz.RoleAnalyst, "Decline a trace request that waits", nil, word, "TraceRequest", false, (*Handler).traceDecline},
		{"GET", "/coverage", authz.RoleViewer, "List what each sensor sent, and which fell silent", nil, nil, "Coverage", false, (*Handler).coverage},
		{"GET", "/status", authz.RoleViewer, "Say how the pipeline does; counters are shown to callers who see every tenant", nil, nil, "Status", false, (*Handler).status},
		{"GET", "/watch", authz.RoleViewer, "Follow changes as server-sent events: ready, reset, campaign, incident, finding, coverage, level, status", []param{
			{Name: "only", Type: "string", Says: "these kinds alone, with commas between"},
			{Name: "brief", Type: "boolean", Says: "send ids in place of objects"},
			{Name: "after", Type: "string", Says: "as the header Last-Event-ID: the id of the last event that was seen"},
		}, nil, "Watch", true, (*Handler).watch},
		{"GET", "/deadletters", authz.RoleAnalyst, "List records that could not be taken in", append([]param{
			{Name: "tenant", Type: "string", Says: "of this tenant alone"}, {Name: "sensor", Type: "string", Says: "from this sensor alone"}}, page...), nil, "Deadletters", false, (*Handler).deadletters},
		{"GET", "/deadletters/{id}", authz.RoleAnalyst, "Show one such record as it came", nil, nil, "Deadletter", false, (*Handler).deadletter},
		{"POST", "/replays", authz.RoleAnalyst, "Hand such records to the pipeline again", nil, []param{{Name: "ids", Type: "array", Says: "ids of dead letters, at most 1000", Needed: true}}, "Replayed", false, (*Handler).replay},
		{"GET", "/quarantine", authz.RoleViewer, "List held mail, newest first", append([]param{
			{Name: "tenant", Type: "string", Says: "of this tenant alone"},
			{Name: "state", Type: "string", Says: "held, releasing, released, deleting or deleted"},
			{Name: "from", Type: "string", Says: "part of the sender's address or name"},
			{Name: "text", Type: "string", Says: "part of subject, sender or recipient"},
			{Name: "since", Type: "string", Says: "held at this time or later: RFC 3339, a day, or how long ago, such as 24h or 7d"},
		}, page...), nil, "HeldMails", false, (*Handler).heldList},
		{"GET", "/quarantine/{id}", authz.RoleAnalyst, "Show one held message: header, text, links and files, never as HTML; that it was read is noted", nil, nil, "HeldText", false, (*Handler).heldShow},
		{"GET", "/quarantine/{id}/similar", authz.RoleViewer, "List held messages of the caller's tenants that resemble one, most alike first", nil, nil, "HeldAlike", false, (*Handler).heldSimilar},
		{"POST", "/quarantine/{id}/release", authz.RoleAnalyst, "Let a held message go on to its recipients", nil, nil, "HeldMail", false, (*Handler).heldRelease},
		{"POST", "/quarantine/{id}/delete", authz.RoleAnalyst, "Delete a held message", nil, nil, "HeldMail", false, (*Handler).heldDelete},
		{"POST", "/quarantine/{id}/report", authz.RoleAnalyst, "Say that a message was held wrongly, or should have been; the scorer learns from it", nil,
			[]param{{Name: "feedback", Type: "string", Says: "false-alarm or missed", Needed: true}}, "HeldMail", false, (*Handler).heldReport},
		{"GET", "/quarantine-audit", authz.RoleAnalyst, "List what was done with held mail and by whom, oldest first", []param{
			{Name: "tenant", Type: "string", Says: "of this tenant alone"}, {Name: "name", Type: "string", Says: "of this message alone; one that has expired by its whole name"},
			{Name: "limit", Type: "integer", Says: "the last so many, 1 to 1000; 100 where it is left out"}}, nil, "HeldAudit", false, (*Handler).heldAudit},
		{"GET", "/levels", authz.RoleViewer, "List the alert level of each tenant", nil, nil, "Levels", false, (*Handler).levels},
		{"PUT", "/levels/{tenant}", authz.RoleAnalyst, "Set a tenant's alert level for a time", nil, []param{
			{Name: "level", Type: "string", Says: "elevated or heightened", Needed: true}, {Name: "reason", Type: "string", Says: "why, for those who ask later", Needed: true},
			{Name: "until", Type: "string", Says: "RFC 3339: when it falls back by itself", Needed: true}}, "Level", false, (*Handler).setLevel},
		{"DELETE", "/levels/{tenant}", authz.RoleAnalyst, "Let a tenant fall back to normal now", []param{{Name: "reason", Type: "string", Says: "why", Needed: true}}, nil, "Level", false, (*Handler).endLevel},
	}, postureRoutes()...)
}

func (h *Handler) routes() {
	paths := map[string][]string{}
	for _, rt := range table() {
		paths[rt.Path] = append(paths[rt.Path], rt.Method)
		h.mux.HandleFunc(rt.Method+" "+prefix+rt.Path, func(w http.ResponseWriter, r *http.Request) { h.serve(rt, w, r) })
	}
	for path, methods := range paths { // other methods of the same path
		slices.Sort(methods)
		h.mux.HandleFunc(prefix+path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			h.fail(w, r, &Problem{Status: http.StatusMethodNotAllowed, Says: "use " + strings.Join(methods, " or ")})
		})
	}
	h.mux.HandleFunc("GET "+prefix+"/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		h.send(w, r, http.StatusOK, "application/json", h.spec)
	})
	h.mux.HandleFunc(prefix+"/", func(w http.ResponseWriter, r *http.Request) { h.fail(w, r, ErrNotFound) })
	if h.opt.Pages != nil {
		h.pages()
	}
}

// serve authorises a request and runs its operation.
func (h *Handler) serve(rt route, w http.ResponseWriter, r *http.Request) {
	if !rt.Long {
		ctx, cancel := context.WithTimeout(r.Context(), h.opt.Timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	who, err := h.principal(r)
	if err == nil && !who.May(rt.Least) {
		err = &Problem{Status: http.StatusForbidden, Says: "this needs the role " + string(rt.Least)}
	}
	if err == nil {
		err = rt.do(h, &call{Request: r, w: w, who: who})
	}
	if err != nil {
		h.fail(w, r, err)
	}
}

// principal tells who asks: by bearer token, else by the cookie of a login.
func (h *Handler) principal(r *http.Request) (*authz.Principal, error) {
	var who *authz.Principal
	err := ErrRefused
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") && token != "" {
		who, err = h.opt.Authz.Token(r.Context(), strings.TrimSpace(token))
	} else if c, cerr := r.Cookie(h.cookie(r)); cerr == nil && c.Value != "" {
		who, err = h.opt.Authz.Session(r.Context(), c.Value)
	}
	if err == nil && who == nil {
		err = errors.New("the authenticator named nobody")
	}
	return who, err
}
