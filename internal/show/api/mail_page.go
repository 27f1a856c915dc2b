package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// QuarantinePages draws the pages of held mail; show/console does.
type QuarantinePages interface {
	Quarantine(v QuarantineView) (Page, error)
	Held(v HeldView) (Page, error)
}

// Visitor is who looks at a page.
type Visitor struct {
	Who, Role string
	May       bool // read texts, release, delete and report; else only look at the list
	At        time.Time
	Held      bool // there is a page of held mail
	Posture   bool // there is a page of posture
}

// QuarantineView is what the list of held mail shows. The texts of the filter are as they were entered.
type QuarantineView struct {
	Visitor
	Tenant, State, From, Text, Since string // State is all where every state is listed
	Tenants                          []tenant.Tenant
	Messages                         []HeldMail
	Total                            int
	Next                             string // where the next part begins; empty: there is none
	Later                            bool   // this is not the first part
	Query                            string // the filter, as the URL has it
	Done                             string // released or deleted: what was just done, with
	Count, Failed                    int    // so many messages, and what was not done
	Problem                          string
}

// HeldView is what the page of one held message shows.
type HeldView struct {
	Visitor
	Mail    HeldText
	Found   bool // else Mail is empty, and Problem says why
	Similar []HeldSimilar
	Audit   []quarantine.Entry // newest first
	Query   string             // of the list that it was reached from
	Done    string             // released, deleted, false-alarm or missed: what was just done
	Problem string
}

// pageRows is how many messages a page lists; maxActs is how many one form may name.
const (
	pageRows = 100
	maxActs  = 200
)

func (h *Handler) quarantinePages(pages QuarantinePages) {
	h.mux.HandleFunc("GET /quarantine", func(w http.ResponseWriter, r *http.Request) { h.visit(w, r, pages, (*Handler).quarantinePage) })
	h.mux.HandleFunc("GET /quarantine/{id}", func(w http.ResponseWriter, r *http.Request) { h.visit(w, r, pages, (*Handler).heldPage) })
	h.mux.HandleFunc("POST /quarantine/{id}/{act}", func(w http.ResponseWriter, r *http.Request) { h.visit(w, r, pages, (*Handler).heldForm) })
	h.mux.HandleFunc("POST /quarantine", func(w http.ResponseWriter, r *http.Request) { h.visit(w, r, pages, (*Handler).quarantineForm) })
}

// visit lets those in who may look, and sends others to the login form.
func (h *Handler) visit(w http.ResponseWriter, r *http.Request, pages QuarantinePages, do func(*Handler, *call, QuarantinePages) error) {
	ctx, cancel := context.WithTimeout(r.Context(), h.opt.Timeout)
	defer cancel()
	r = r.WithContext(ctx)
	who, err := h.principal(r)
	if errors.Is(err, ErrRefused) {
		next := url.QueryEscape("/quarantine")
		if r.Method == http.MethodGet {
			next = url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, "/login?next="+next, http.StatusSeeOther)
		return
	}
	least := authz.RoleViewer
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		least = authz.RoleAnalyst
	}
	switch {
	case err != nil:
	case !who.May(least):
		err = &Problem{Status: http.StatusForbidden, Says: "this needs the role " + string(least)}
	default:
		err = do(h, &call{Request: r, w: w, who: who}, pages)
	}
	if err != nil {
		h.fail(w, r, err)
	}
}

func (h *Handler) visitor(who *authz.Principal) Visitor {
	return Visitor{Who: who.ID, Role: string(who.Role), May: who.May(authz.RoleAnalyst), At: time.Now().UTC(), Held: h.opt.Quarantine != nil, Posture: h.opt.Posture != nil}
}

// filterKeys are the keys of a list's URL that lead back to it.
var filterKeys = []string{"tenant", "state", "from", "text", "since"}

// filterOf returns what a URL says of the list, and nothing else.
func filterOf(in url.Values) url.Values {
	out := url.Values{}
	for _, k := range filterKeys {
		if v := in.Get(k); v != "" && len(v) <= maxFilter {
			out.Set(k, v)
		}
	}
	return out
}

func (h *Handler) quarantinePage(c *call, pages QuarantinePages) error {
	in := c.URL.Query()
	n, _ := strconv.Atoi(in.Get("count"))
	failed, _ := strconv.Atoi(in.Get("failed"))
	v := QuarantineView{Count: min(max(n, 0), maxActs), Failed: min(max(failed, 0), maxActs)}
	if slices.Contains([]string{"released", "deleted"}, in.Get("done")) {
		v.Done = in.Get("done")
	}
	return h.drawQuarantine(c, pages, v, http.StatusOK)
}

// drawQuarantine fills a view of the list in and answers with it.
func (h *Handler) drawQuarantine(c *call, pages QuarantinePages, v QuarantineView, status int) error {
	in := c.URL.Query()
	filter := filterOf(in)
	v.Visitor, v.Query = h.visitor(c.who), filter.Encode()
	v.Tenant, v.State, v.From, v.Text, v.Since = filter.Get("tenant"), filter.Get("state"), filter.Get("from"), filter.Get("text"), filter.Get("since")
	switch v.State {
	case "":
		v.State = string(quarantine.StateHeld)
		filter.Set("state", v.State)
	case "all":
		filter.Del("state")
	}
	if m := h.sights.of(c.who.Scope).current().Model; m != nil {
		v.Tenants = m.Tenants
	}
	filter.Set("limit", strconv.Itoa(pageRows))
	filter.Set("cursor", in.Get("cursor"))
	v.Later = in.Get("cursor") != ""
	q, err := newHeldQuery(filter)
	var l quarantine.Listing
	if err == nil {
		l, err = h.listHeld(c.who.Scope, q)
	}
	var p *Problem
	if errors.As(err, &p) {
		v.Problem, status = p.Says, p.Status
	} else if err != nil {
		return err
	}
	for i := range l.Items {
		v.Messages = append(v.Messages, heldMail(&l.Items[i], mostRecipients))
	}
	v.Total, v.Next = l.Total, l.Next
	page, err := pages.Quarantine(v)
	if err != nil {
		return err
	}
	h.page(c.w, c.Request, status, page)
	return nil
}

func (h *Handler) heldPage(c *call, pages QuarantinePages) error {
	v := HeldView{}
	if done := c.URL.Query().Get("done"); slices.Contains([]string{"released", "deleted", quarantine.FalseAlarm, quarantine.Missed}, done) {
		v.Done = done
	}
	return h.drawHeld(c, pages, v, http.StatusOK)
}

// drawHeld fills a view of one message in and answers with it.
func (h *Handler) drawHeld(c *call, pages QuarantinePages, v HeldView, status int) error {
	v.Visitor, v.Query = h.visitor(c.who), filterOf(c.URL.Query()).Encode()
	err := h.fillHeld(c, &v)
	var p *Problem
	switch {
	case errors.Is(err, ErrNotFound):
		v.Problem, status = ErrNotFound.Error(), http.StatusNotFound
	case errors.As(err, &p):
		v.Problem, status = p.Says, p.Status
	case err != nil:
		return err
	}
	page, err := pages.Held(v)
	if err != nil {
		return err
	}
	h.page(c.w, c.Request, status, page)
	return nil
}

func (h *Handler) fillHeld(c *call, v *HeldView) error {
	name, err := h.heldName(c)
	if err != nil {
		return err
	}
	var it quarantine.Item
	var text *quarantine.View
	if v.May {
		it, text, err = h.opt.Quarantine.Show(c.who.Scope, c.who.ID, name)
	} else {
		it, err = h.opt.Quarantine.Get(c.who.Scope, name)
	}
	if err != nil {
		return heldProblem(err)
	}
	if !c.who.Scope.Sees(it.Tenant) {
		return ErrNotFound
	}
	similar, err := h.similarTo(c.who.Scope, it.Name)
	if err != nil {
		return err
	}
	for i := range similar[:min(len(similar), 20)] {
		v.Similar = append(v.Similar, HeldSimilar{HeldMail: heldMail(&similar[i].Item, mostRecipients), Why: similar[i].Why})
	}
	if v.May {
		if v.Audit, err = h.auditOf(c.who.Scope, it.Tenant, it.Name, 50); err != nil {
			return err
		}
		slices.Reverse(v.Audit)
	}
	v.Mail, v.Found = heldText(&it, text), true
	return nil
}

// heldActs are what forms may ask for, with the word for what was done.
var heldActs = map[string]string{"release": "released", "delete": "deleted", quarantine.FalseAlarm: quarantine.FalseAlarm, quarantine.Missed: quarantine.Missed}

// act does what a form asks for with one message.
func (h *Handler) act(c *call, what, name string, falseAlarm bool) error {
	if name == "" || len(name) > 64 {
		return ErrNotFound
	}
	var it quarantine.Item
	var err error
	switch what {
	case "release":
		it, err = h.opt.Quarantine.Release(c.Context(), c.who.Scope, c.who.ID, name)
		if err == nil && falseAlarm {
			it, err = h.opt.Quarantine.Report(c.who.Scope, c.who.ID, name, quarantine.FalseAlarm)
		}
	case "delete":
		it, err = h.opt.Quarantine.Delete(c.Context(), c.who.Scope, c.who.ID, name)
	default:
		it, err = h.opt.Quarantine.Report(c.who.Scope, c.who.ID, name, what)
	}
	if err != nil {
		return heldProblem(err)
	}
	h.opt.Log.Info("held mail: "+heldActs[what], "tenant", it.Tenant, "name", it.Name, "by", c.who.ID)
	return nil
}

// heldForm takes a form of one message's page.
func (h *Handler) heldForm(c *call, pages QuarantinePages) error {
	name, err := h.heldName(c)
	what := c.PathValue("act")
	if err != nil || heldActs[what] == "" {
		return ErrNotFound
	}
	if err := c.ParseForm(); err != nil {
		return &Problem{Status: http.StatusBadRequest, Says: "the form cannot be read"}
	}
	err = h.act(c, what, name, c.PostForm.Get("false-alarm") != "")
	var p *Problem
	switch {
	case errors.Is(err, ErrNotFound):
		return h.drawHeld(c, pages, HeldView{}, http.StatusNotFound)
	case errors.As(err, &p):
		return h.drawHeld(c, pages, HeldView{Problem: p.Says}, p.Status)
	case err != nil:
		return err
	}
	back := filterOf(c.URL.Query())
	back.Set("done", heldActs[what])
	http.Redirect(c.w, c.Request, "/quarantine/"+url.PathEscape(name)+"?"+back.Encode(), http.StatusSeeOther)
	return nil
}

// quarantineForm takes the form of the list: the same for several messages.
func (h *Handler) quarantineForm(c *call, pages QuarantinePages) error {
	if h.opt.Quarantine == nil {
		return ErrNotFound
	}
	if err := c.ParseForm(); err != nil {
		return &Problem{Status: http.StatusBadRequest, Says: "the form cannot be read"}
	}
	what, names := c.PostForm.Get("act"), c.PostForm["name"]
	if what != "release" && what != "delete" {
		return misuse("act: use release or delete")
	}
	if len(names) == 0 || len(names) > maxActs {
		return h.drawQuarantine(c, pages, QuarantineView{Problem: "Choose the messages first, at most " + strconv.Itoa(maxActs) + "."}, http.StatusBadRequest)
	}
	v := QuarantineView{Done: heldActs[what]}
	var why []string
	for _, name := range names {
		err := c.Context().Err() // what hangs once hangs for all
		if err == nil {
			err = h.act(c, what, name, c.PostForm.Get("false-alarm") != "")
		}
		var p *Problem
		switch {
		case err == nil:
			v.Count++
			continue
		case errors.Is(err, ErrNotFound):
			p = &Problem{Says: ErrNotFound.Error()}
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			p = &Problem{Says: "those before took too long; try the rest again"}
		case !errors.As(err, &p):
			h.opt.Log.Error("an act on held mail failed", "name", quarantine.Printable(name), "error", err)
			p = &Problem{Says: "something went wrong here; the log says what"}
		}
		if v.Failed++; len(why) < 5 {
			why = append(why, p.Says)
		}
	}
	if v.Failed > 0 {
		v.Problem = strings.Join(slices.Compact(why), " / ")
		return h.drawQuarantine(c, pages, v, http.StatusConflict)
	}
	back := filterOf(c.URL.Query())
	back.Set("done", v.Done)
	back.Set("count", strconv.Itoa(v.Count))
	http.Redirect(c.w, c.Request, "/quarantine?"+back.Encode(), http.StatusSeeOther)
	return nil
}
