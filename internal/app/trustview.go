package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of what is counted of a trust's use.
const (
	maxNames = 1_000 // accounts, addresses and hosts kept of one trust, each
	maxKin   = 1_000 // undeclared things kept that look like a partner's
	wideIPv4 = 16    // a network that is declared this wide, or wider, is told of
	wideIPv6 = 48
	wideDays = 400 // a validity longer than a year and a bit is never looked at again
)

// TrustUse is a declared trust with what was seen of it.
type TrustUse struct {
	Trust    *tenant.Trust  `json:"-"`
	ID       tenant.TrustID `json:"id"`
	Partner  string         `json:"partner"`
	Tenant   tenant.ID      `json:"tenant"`
	Owner    string         `json:"owner"`
	From     time.Time      `json:"valid_from,omitzero"`
	Until    time.Time      `json:"valid_until,omitzero"`
	Accesses []TrustAccess  `json:"accesses"`
	Events   int64          `json:"events"`
	First    time.Time      `json:"first,omitzero"`
	Last     time.Time      `json:"last,omitzero"`
	Outside  int64          `json:"outside_hours"`
	Invalid  int64          `json:"outside_validity"`
	Accounts []string       `json:"accounts_seen"`
	Sources  []string       `json:"sources_seen"`
	Hosts    []string       `json:"hosts_seen"`

	accounts, sources, hosts map[string]bool
	outsideFirst             time.Time
}

// TrustAccess is one declared access, with how often it was used.
type TrustAccess struct {
	Kind   string `json:"kind"` // network, account, mail domain, remote tool, jump host, cloud principal
	Value  string `json:"value"`
	Events int64  `json:"events"`
}

// TrustProblem is something about a trust that somebody should look at.
type TrustProblem struct {
	Trust tenant.TrustID `json:"trust"`
	Code  string         `json:"code"` // never-used, access-never-used, outside-hours, outside-validity, expired, no-end, too-wide, no-owner, undeclared-account, undeclared-address, undeclared-tool
	Text  string         `json:"text"`
}

// Uses counts what the telemetry shows of each trust; it takes events by Take, once they are attributed.
type Uses struct {
	model *tenant.Model
	list  []*TrustUse
	by    map[tenant.TrustID]*TrustUse
	kin   map[kin]*kinSeen
	suggestions
}

// kin is something undeclared that looks like a partner's.
type kin struct {
	trust       tenant.TrustID
	code, value string
}

type kinSeen struct {
	events int64
	first  time.Time
	why    string
}

// NewUses starts counting for the trusts of a model, in declared order.
func NewUses(m *tenant.Model) *Uses {
	u := &Uses{model: m, by: map[tenant.TrustID]*TrustUse{}, kin: map[kin]*kinSeen{}, suggestions: newSuggestions()}
	for i := range m.Trusts {
		t := &m.Trusts[i]
		x := &TrustUse{Trust: t, ID: t.ID, Partner: string(t.Partner), Tenant: t.Tenant, Owner: t.Owner, From: t.ValidFrom, Until: t.ValidUntil, Accesses: accesses(t),
			accounts: map[string]bool{}, sources: map[string]bool{}, hosts: map[string]bool{}}
		u.list, u.by[t.ID] = append(u.list, x), x
	}
	return u
}

func accesses(t *tenant.Trust) []TrustAccess {
	var out []TrustAccess
	add := func(kind, value string) { out = append(out, TrustAccess{Kind: kind, Value: value}) }
	for _, p := range t.Networks {
		add("network", p.String())
	}
	for _, a := range t.Accounts {
		add("account", a)
	}
	for _, d := range t.MailDomains {
		add("mail domain", d)
	}
	for _, r := range t.RemoteTools {
		name := r.Tool
		if r.Instance != "" {
			name += "/" + strings.ToLower(r.Instance)
		}
		add("remote tool", name)
	}
	for _, h := range t.JumpHosts {
		add("jump host", h)
	}
	for _, p := range t.CloudPrincipals {
		switch {
		case p.HomeTenant != "":
			add("cloud principal", "home_tenant "+p.HomeTenant)
		case p.AppID != "":
			add("cloud principal", "app_id "+p.AppID)
		case p.AccountID != "":
			add("cloud principal", "account_id "+p.AccountID)
		default:
			add("cloud principal", "role "+p.Role)
		}
	}
	return out
}

// Take counts an attributed event.
func (u *Uses) Take(e *ocsf.Event) {
	u.suggestions.take(e)
	x := u.by[e.Trust]
	if x == nil {
		u.stranger(e)
		return
	}
	x.Events++
	if x.First.IsZero() || e.Time.Before(x.First) {
		x.First = e.Time.UTC()
	}
	if e.Time.After(x.Last) {
		x.Last = e.Time.UTC()
	}
	if !x.Trust.Hours.Contains(e.Time) && e.Direction != ocsf.DirectionOut {
		if x.Outside++; x.outsideFirst.IsZero() {
			x.outsideFirst = e.Time.UTC()
		}
	}
	if !x.Trust.ValidAt(e.Time) {
		x.Invalid++
	}
	for i := range x.Accesses {
		if a := &x.Accesses[i]; e.Attribution.Rule == a.Kind+" "+a.Value || strings.HasSuffix(e.Attribution.Rule, "("+a.Kind+" "+a.Value+")") || sameTool(a, e.Attribution.Rule) {
			a.Events++
		}
	}
	if e.Direction != ocsf.DirectionOut {
		name(x.accounts, strings.ToLower(firstNonEmpty(e.User.Name, e.Actor.Name)))
		if e.Src.IP.IsValid() {
			name(x.sources, e.Src.IP.String())
		}
		name(x.hosts, strings.ToLower(e.Device))
	}
}

// sameTool holds a tool that is declared by product, with or without hosts, against the rule that names it.
func sameTool(a *TrustAccess, rule string) bool {
	return a.Kind == "remote tool" && strings.HasPrefix(rule, "remote tool "+a.Value+"/@")
}

func name(set map[string]bool, s string) {
	if s != "" && s != "-" && len(set) < maxNames {
		if !set[s] {
			set[strings.Clone(s)] = true
		}
	}
}

// stranger looks whether something that no trust covers looks like a partner's: an account with the beginning of
// its declared accounts, an address beside its networks on which somebody was at work, another instance of its tool.
func (u *Uses) stranger(e *ocsf.Event) {
	account := strings.ToLower(firstNonEmpty(e.User.Name, e.Actor.Name))
	for _, x := range u.list {
		t := x.Trust
		if t.Tenant != e.Tenant || e.Direction == ocsf.DirectionOut {
			continue
		}
		if e.Class == ocsf.ClassAuthentication && account != "" && e.Status != ocsf.StatusFailure {
			for _, p := range t.Accounts {
				if stem := accountStem(p); stem != "" && strings.HasPrefix(account, stem) {
					u.note(kin{t.ID, "undeclared-account", account}, e.Time, fmt.Sprintf("it begins as the declared %s does", p))
				}
			}
		}
		if e.Flow != nil && e.Src.IP.IsValid() && !e.Src.IP.IsPrivate() && e.Status != ocsf.StatusFailure && e.Flow.RespBytes > 0 {
			for _, p := range t.Networks {
				if beside(p, e.Src.IP.Unmap()) {
					u.note(kin{t.ID, "undeclared-address", e.Src.IP.Unmap().String()}, e.Time, fmt.Sprintf("it lies beside the declared %s", p))
				}
			}
		}
		if e.Remote != nil && e.Remote.Instance != "" {
			for _, r := range t.RemoteTools {
				if r.Tool == e.Remote.Tool && r.Instance != "" && !strings.EqualFold(r.Instance, e.Remote.Instance) {
					u.note(kin{t.ID, "undeclared-tool", e.Remote.Tool + "/" + strings.ToLower(e.Remote.Instance)}, e.Time, fmt.Sprintf("the declared instance of %s is %s", r.Tool, r.Instance))
				}
			}
		}
	}
}

func (u *Uses) note(k kin, at time.Time, why string) {
	s := u.kin[k]
	if s == nil {
		if len(u.kin) >= maxKin {
			return
		}
		k.value = strings.Clone(k.value)
		s = &kinSeen{first: at.UTC(), why: why}
		u.kin[k] = s
	}
	s.events++
}

// accountStem is what the accounts of an exact pattern or a glob begin with, up to the first separator; "" where that
// is too short to tell anything.
func accountStem(pattern string) string {
	if strings.HasPrefix(pattern, "@") || strings.HasPrefix(pattern, "*") {
		return ""
	}
	i := strings.IndexAny(pattern, "-_.")
	if i < 2 || strings.ContainsRune(pattern, '@') {
		return ""
	}
	return pattern[:i+1]
}

// beside reports whether an address lies in the block of the same size next to a network, which is no /8 or so.
func beside(p netip.Prefix, a netip.Addr) bool {
	if p.Addr().Is4() != a.Is4() || p.Contains(a) || p.Bits() == 0 || (a.Is4() && p.Bits() < 24) || (a.Is6() && p.Bits() < 48) {
		return false
	}
	wider := netip.PrefixFrom(p.Addr(), p.Bits()-1).Masked()
	return wider.Contains(a)
}

// List returns the trusts with what was seen of them, in declared order.
func (u *Uses) List() []*TrustUse {
	for _, x := range u.list {
		x.Accounts, x.Sources, x.Hosts = slices.Sorted(maps.Keys(x.accounts)), slices.Sorted(maps.Keys(x.sources)), slices.Sorted(maps.Keys(x.hosts))
	}
	return u.list
}

// Check holds what was declared against what was seen, at the end of the telemetry; seen is false where no telemetry
// was given, and then only what was declared is judged, at now.
func (u *Uses) Check(now time.Time, seen bool) []TrustProblem {
	var out []TrustProblem
	for _, x := range u.list {
		add := func(code, format string, args ...any) {
			out = append(out, TrustProblem{x.ID, code, fmt.Sprintf(format, args...)})
		}
		t := x.Trust
		if t.Owner == "" {
			add("no-owner", "nobody answers for it; name an owner")
		}
		switch {
		case !t.ValidUntil.IsZero() && !now.Before(t.ValidUntil):
			add("expired", "it ended %s; take it out, or extend it", t.ValidUntil.Format(time.DateOnly))
		case t.ValidUntil.IsZero():
			add("no-end", "it has no valid_until, so nobody will look at it again")
		case t.ValidUntil.Sub(now) > wideDays*24*time.Hour:
			add("no-end", "it holds until %s, more than %d days", t.ValidUntil.Format(time.DateOnly), wideDays)
		}
		for _, p := range t.Networks {
			if p.Addr().Is4() && p.Bits() <= wideIPv4 || p.Addr().Is6() && p.Bits() <= wideIPv6 {
				add("too-wide", "network %s is wide; declare what is really used", p)
			}
		}
		for _, p := range t.Destinations {
			if q, err := netip.ParsePrefix(p); err == nil && (q.Addr().Is4() && q.Bits() <= 8) {
				add("too-wide", "destination %s is wide; declare what is really reached", p)
			}
		}
		if !seen {
			continue
		}
		if x.Events == 0 {
			add("never-used", "nothing in this telemetry came through it")
		} else {
			for _, a := range x.Accesses {
				if a.Events == 0 {
					add("access-never-used", "%s %s was never used in this telemetry", a.Kind, a.Value)
				}
			}
		}
		if x.Outside > 0 {
			add("outside-hours", "%d events outside its hours, the first %s", x.Outside, x.outsideFirst.Format(time.RFC3339))
		}
		if x.Invalid > 0 {
			add("outside-validity", "%d events outside its validity", x.Invalid)
		}
		for _, k := range slices.SortedFunc(maps.Keys(u.kin), func(a, b kin) int {
			return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.value, b.value))
		}) {
			if s := u.kin[k]; k.trust == x.ID {
				add(k.code, "%s looks like this partner's and no trust covers it: %s; %d events, the first %s", k.value, s.why, s.events, s.first.Format(time.RFC3339))
			}
		}
	}
	return out
}

// Grave reports whether a problem means that something may be wrong, and not only untidy.
func (p TrustProblem) Grave() bool {
	switch p.Code {
	case "outside-hours", "outside-validity", "undeclared-account", "undeclared-address", "undeclared-tool":
		return true
	}
	return false
}

// TrustUses runs the paths through the pipeline and counts what was seen of each trust. Without paths only what was
// declared is known, and the case is nil.
func TrustUses(ctx context.Context, s *Setup, paths []string) (*Uses, *Case, error) {
	u := NewUses(s.Model)
	if len(paths) == 0 {
		return u, nil, nil
	}
	c, err := Investigate(ctx, s, paths, u.Take)
	return u, c, err
}

// DeclaredSetup reads a configuration alone: what the commands on trusts need where no telemetry is given.
func DeclaredSetup(name string) (*Setup, error) {
	f, err := config.Load(path.Clean(name))
	if err != nil {
		return nil, err
	}
	return &Setup{Config: f, Model: f.Model}, nil
}
