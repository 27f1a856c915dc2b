package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxAllow bounds the allow-list, and maxAllowHosts the hosts of one entry.
const (
	maxAllow      = 10_000
	maxAllowHosts = 1_000
)

// Rules is how the matches of Sigma rules are tuned: the rules section of the file.
type Rules struct {
	Allow []RuleAllow
}

// RuleAllow is one entry of the allow-list: matches of a rule that somebody answers for. Parts that are empty fit
// anything, all others must fit.
type RuleAllow struct {
	Rule    string // id or name of a rule or correlation
	Tenant  tenant.ID
	Partner tenant.PartnerID
	Tool    string   // remote tool, lower case without spaces
	Hosts   []string // lower case; * stands for any characters
	Hours   tenant.Hours
	Until   time.Time // exclusive
	Owner   string
	Reason  string
}

// rules reads the rules section; nil where the file has none.
func (d *declared) rules(r *reader, root *object) *Rules {
	if !root.has("rules") {
		return nil
	}
	o, ok := r.object(root.fields["rules"], "rules", "allow")
	if !ok {
		return nil
	}
	if n := len(o.list("allow")); n > maxAllow {
		o.fail("allow", fmt.Sprintf("has %d entries", n), fmt.Sprintf("keep at most %d; * in hosts and an entry without tenant cover many", maxAllow))
		return nil
	}
	out := &Rules{}
	tenants := unique(d.tenants, func(i int) tenant.ID { return d.model.Tenants[i].ID })
	partners := unique(d.partners, func(i int) tenant.PartnerID { return d.model.Partners[i].ID })
	for _, x := range r.objects(o, "allow", "rule", "tenant", "partner", "tool", "hosts", "hours", "until", "owner", "reason") {
		a := x.ruleAllow()
		refer(x, "tenant", a.Tenant, tenants, "tenants")
		refer(x, "partner", a.Partner, partners, "partners")
		out.Allow = append(out.Allow, a)
	}
	return out
}

func (o *object) ruleAllow() RuleAllow {
	a := RuleAllow{
		Rule:    o.need("rule", "name the rule by its id or name, as `breakwater rule list` shows it").text,
		Tenant:  tenant.ID(o.text("tenant").text),
		Partner: tenant.PartnerID(o.text("partner").text),
		Tool:    strings.ToLower(strings.Join(strings.Fields(o.text("tool").text), "")),
		Hosts:   o.values("hosts", item.hostPattern),
		Hours:   o.hours("hours"),
		Owner:   o.need("owner", "name the person who answers for these matches").text,
		Reason:  o.need("reason", "say why these matches are expected").text,
	}
	if a.Tool != "" && len(a.Tool) < 4 {
		o.fail("tool", fmt.Sprintf("%q is part of too many names", printable(a.Tool)), "write the product, such as screenconnect")
	}
	if len(a.Hosts) > maxAllowHosts {
		o.fail("hosts", fmt.Sprintf("has %d entries", len(a.Hosts)), fmt.Sprintf("keep at most %d; * stands for any characters", maxAllowHosts))
	}
	if it := o.need("until", "every entry ends at a time, so that it is looked at again"); it.text != "" {
		a.Until = it.time()
	}
	if a.Tenant == "" && a.Partner == "" && a.Tool == "" && len(a.Hosts) == 0 {
		o.r.warn(o.line, o.path, "covers the rule at every tenant, whoever acts", "narrow it by tenant, partner, tool or hosts")
	}
	return a
}

// hostPattern reads a host name, or a part of one with *, in lower case.
func (it item) hostPattern() (string, bool) {
	s := strings.ToLower(it.text)
	if strings.Trim(s, "*.") == "" || !isHostName(strings.ReplaceAll(s, "*", "x")) {
		it.fail(fmt.Sprintf("%q is no host name", printable(it.text)), "write srv1, srv1.example.com or wks-*")
		return "", false
	}
	return s, true
}
