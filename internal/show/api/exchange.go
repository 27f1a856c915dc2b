package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/correlate/campaign"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Exchanger asks other organisations where somebody came from, and answers them: trace requests of the server's own
// key. A request that is refused is a Problem with 422, or 429 where it came too often, whose text begins with the
// code of the refusal. What lies outside the scope is ErrNotFound.
type Exchanger interface {
	// Ask signs the request by which the likeliest way of a trace can go on; r is what the scope may see of the result.
	Ask(ctx context.Context, scope tenant.Scope, by *authz.Principal, r *campaign.Result, q TraceQuery, tlp string) (TraceAsk, error)
	// Take keeps another's answer to a request of ours, and returns what it says in words. Traces go on through it.
	Take(ctx context.Context, scope tenant.Scope, by *authz.Principal, document []byte) (string, error)
	// Receive takes another's request: it is answered where the trust says so, and else waits for a person.
	Receive(ctx context.Context, scope tenant.Scope, by *authz.Principal, document []byte) (TraceRequest, error)
	// Requests lists those that came, the waiting first.
	Requests(ctx context.Context, scope tenant.Scope) ([]TraceRequest, error)
	// Request shows one, with its answer, or with what the answer would be now.
	Request(ctx context.Context, scope tenant.Scope, id string) (TraceRequest, error)
	// Decide answers a request that waits, or declines it.
	Decide(ctx context.Context, scope tenant.Scope, by *authz.Principal, id string, d Decision) (TraceRequest, error)
}

// Decision is a person's word on a trace request.
type Decision struct {
	Answer bool   // else it is declined
	By     string // the person, where the credentials are not that person's own; may be empty
	Reason string
}

// TraceAsk is a signed request for another organisation.
type TraceAsk struct {
	Organisation string          `json:"organisation"`
	Document     json.RawMessage `json:"document"`
}

// TraceRequest is a request of another organisation, and what became of it.
type TraceRequest struct {
	ID        string          `json:"id"`
	State     string          `json:"state"` // waiting, answered, declined or expired
	Tenant    tenant.ID       `json:"tenant"`
	Trust     tenant.TrustID  `json:"trust"`
	Asker     string          `json:"asker"` // as it names itself
	Peer      string          `json:"peer"`  // fingerprint of the key that signed
	Address   string          `json:"address,omitempty"`
	Account   string          `json:"account,omitempty"`
	Target    string          `json:"target,omitempty"`
	Port      uint16          `json:"port,omitempty"`
	JoinKey   string          `json:"join_key,omitempty"`
	At        time.Time       `json:"at"`
	From      time.Time       `json:"from"`
	To        time.Time       `json:"to"`
	Expires   time.Time       `json:"expires"`
	TLP       string          `json:"tlp"`
	Received  time.Time       `json:"received"`
	By        string          `json:"by"` // who handed it in
	Decided   *time.Time      `json:"decided,omitempty"`
	DecidedBy string          `json:"decided_by,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Reply     *TraceReply     `json:"reply,omitempty"`  // what was answered; of one that waits, what would be now; only where one is shown
	Answer    json.RawMessage `json:"answer,omitempty"` // the signed document, only where one is shown
}

// TraceReply is what an answer says.
type TraceReply struct {
	Outcome string          `json:"outcome"` // hop, origin, elsewhere or unknown
	Reason  string          `json:"reason"`
	Shared  bool            `json:"shared,omitempty"`
	Hops    []TraceReplyHop `json:"hops"`
	Settled bool            `json:"settled"` // false: events that may change it were still being taken in
}

// TraceReplyHop is a candidate for the one next hop.
type TraceReplyHop struct {
	From       string    `json:"from"`
	Kind       string    `json:"kind"`
	Port       uint16    `json:"port,omitempty"`
	Account    string    `json:"account,omitempty"`
	Start      time.Time `json:"start"`
	End        time.Time `json:"end"`
	Confidence int       `json:"confidence"` // per cent
}

// tlps are the marks that a request may bear (TLP 2.0).
var tlps = []string{"TLP:RED", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:GREEN", "TLP:CLEAR"}

// traceAsk signs a request for another organisation.
func (h *Handler) traceAsk(c *call) error {
	var in struct {
		Subject string `json:"subject"`
		Tenant  string `json:"tenant"`
		At      string `json:"at"`
		User    string `json:"user"`
		TLP     string `json:"tlp"`
	}
	if err := h.exchange(c, &in); err != nil {
		return err
	}
	if err := h.question(in.Subject, "a finding, an address or a host", in.Tenant, in.At, in.User); err != nil {
		return err
	}
	if in.TLP == "" {
		in.TLP = "TLP:AMBER"
	}
	if !slices.Contains(tlps, in.TLP) {
		return misuse("tlp: use " + strings.Join(tlps, ", "))
	}
	n, err := h.sight(c)
	if err != nil {
		return err
	}
	out, err := h.opt.Exchanger.Ask(c.Context(), c.who.Scope, c.who, n.Result, TraceQuery{Subject: in.Subject, Tenant: tenant.ID(in.Tenant), At: in.At, User: in.User}, in.TLP)
	if err != nil {
		return err
	}
	h.opt.Log.Info("a trace request is signed", "organisation", out.Organisation, "by", c.who.ID)
	h.reply(c.w, c.Request, http.StatusOK, out)
	return nil
}

// traceTake keeps an answer to a request of ours.
func (h *Handler) traceTake(c *call) error {
	document, err := h.document(c)
	if err != nil {
		return err
	}
	says, err := h.opt.Exchanger.Take(c.Context(), c.who.Scope, c.who, document)
	if err != nil {
		return err
	}
	h.opt.Log.Info("an answer to a trace request is kept", "by", c.who.ID)
	h.reply(c.w, c.Request, http.StatusOK, map[string]string{"says": says})
	return nil
}

// traceReceive takes another's request.
func (h *Handler) traceReceive(c *call) error {
	document, err := h.document(c)
	if err != nil {
		return err
	}
	out, err := h.opt.Exchanger.Receive(c.Context(), c.who.Scope, c.who, document)
	if err != nil {
		return err
	}
	h.reply(c.w, c.Request, http.StatusOK, out)
	return nil
}

func (h *Handler) traceRequests(c *call) error {
	if h.opt.Exchanger == nil {
		return ErrNotFound
	}
	list, err := h.opt.Exchanger.Requests(c.Context(), c.who.Scope)
	if err != nil {
		return err
	}
	out := []TraceRequest{}
	for _, r := range list {
		if c.who.Scope.Sees(r.Tenant) {
			r.Reply, r.Answer = nil, nil
			out = append(out, r)
		}
	}
	h.reply(c.w, c.Request, http.StatusOK, map[string][]TraceRequest{"requests": out})
	return nil
}

func (h *Handler) traceRequest(c *call) error {
	if h.opt.Exchanger == nil {
		return ErrNotFound
	}
	r, err := h.opt.Exchanger.Request(c.Context(), c.who.Scope, c.PathValue("id"))
	if err != nil {
		return err
	}
	if !c.who.Scope.Sees(r.Tenant) {
		return ErrNotFound
	}
	h.reply(c.w, c.Request, http.StatusOK, r)
	return nil
}

func (h *Handler) traceApprove(c *call) error { return h.decide(c, true) }

func (h *Handler) traceDecline(c *call) error { return h.decide(c, false) }

// decide has a request answered or declined.
func (h *Handler) decide(c *call, answer bool) error {
	var in struct {
		By     string `json:"by"`
		Reason string `json:"reason"`
	}
	if err := h.exchange(c, &in); err != nil {
		return err
	}
	in.Reason, in.By = strings.TrimSpace(in.Reason), strings.TrimSpace(in.By)
	if in.Reason == "" || len(in.Reason) > maxReason || len(in.By) > MaxSubject {
		return misuse("reason: say why, in at most 1000 bytes; by: who, in at most 256")
	}
	r, err := h.opt.Exchanger.Decide(c.Context(), c.who.Scope, c.who, c.PathValue("id"), Decision{Answer: answer, By: in.By, Reason: in.Reason})
	if err != nil {
		return err
	}
	h.opt.Log.Info("a trace request is decided", "request", r.ID, "state", r.State, "tenant", r.Tenant, "by", c.who.ID)
	h.reply(c.w, c.Request, http.StatusOK, r)
	return nil
}

// document reads the signed document of a body.
func (h *Handler) document(c *call) ([]byte, error) {
	var in struct {
		Document json.RawMessage `json:"document"`
	}
	if err := h.exchange(c, &in); err != nil {
		return nil, err
	}
	if len(in.Document) == 0 || in.Document[0] != '{' {
		return nil, misuse("document: send the signed document as it came, a JSON object")
	}
	return in.Document, nil
}

// exchange reads a body, where there is somebody to act on it.
func (h *Handler) exchange(c *call, v any) error {
	if h.opt.Exchanger == nil {
		return ErrNotFound
	}
	return decode(c.Request, v)
}
