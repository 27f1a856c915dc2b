package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// declared keeps the parts of the file beside the places where they were declared, for the checks.
type declared struct {
	model                                         tenant.Model
	sensors                                       []Sensor
	tenants, partners, trusts, approvals, mapping []*object // mapping: one a sensor
}

// file reads the whole document and checks it; it is meaningful only when the reader has no errors.
func (r *reader) file(root *yaml.Node) *File {
	d := &declared{}
	o, ok := r.object(root, "", "tenants", "partners", "trusts", "sensors", "approvals", "serve", "mail", "rules", "remote_tools", "posture")
	if ok {
		d.tenants = r.objects(o, "tenants", "id", "name", "aliases", "role", "domains", "networks")
		d.partners = r.objects(o, "partners", "id", "name", "tenant")
		d.trusts = r.objects(o, "trusts", "id", "partner", "tenant", "owner", "through", "networks", "accounts",
			"mail_domains", "remote_tools", "jump_hosts", "cloud_principals", "rights", "hours", "destinations",
			"valid_from", "valid_until", "trace")
		d.mapping = r.objects(o, "sensors", "name", "match", "tenant", "tenant_by", "layer")
		d.approvals = r.objects(o, "approvals", "trust", "src", "dst", "kind", "from", "until", "owner", "reason")
		if len(d.tenants) == 0 && len(r.errs) == 0 {
			o.fail("tenants", "no tenant is declared", "declare at least the organisation whose telemetry this is")
		}
	}
	for _, t := range d.tenants {
		d.model.Tenants = append(d.model.Tenants, t.tenant())
	}
	for _, p := range d.partners {
		d.model.Partners = append(d.model.Partners, p.partner())
	}
	for _, t := range d.trusts {
		d.model.Trusts = append(d.model.Trusts, t.trust())
	}
	for _, s := range d.mapping {
		d.sensors = append(d.sensors, s.sensor())
	}
	for _, a := range d.approvals {
		d.model.Approvals = append(d.model.Approvals, a.approval())
	}
	d.check(r)
	f := &File{Model: &d.model, Sensors: d.sensors}
	if ok {
		f.Serve = d.serve(r, o)
		f.Mail = d.mailGate(r, o)
		f.Rules = d.rules(r, o)
		f.RemoteTools = d.remoteTools(r, o)
		f.Posture = d.posture(r, o)
	}
	r.warnings = sorted(r.warnings)
	return f
}

// objects reads the list of mappings at key. A mapping with an id is called by it in messages.
func (r *reader) objects(parent *object, key string, keys ...string) []*object {
	var out []*object
	for i, n := range parent.list(key) {
		path := fmt.Sprintf("%s[%d]", parent.field(key), i)
		if name := idOf(n); name != "" {
			path = fmt.Sprintf("%s[%s]", parent.field(key), name)
		}
		if o, ok := r.object(n, path, keys...); ok {
			out = append(out, o)
		}
	}
	return out
}

func idOf(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return ""
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "id" && n.Content[i+1].Kind == yaml.ScalarNode {
			return printable(n.Content[i+1].Value)
		}
	}
	return ""
}

func (o *object) tenant() tenant.Tenant {
	t := tenant.Tenant{}
	if id, ok := o.need("id", "give the tenant a short id").id(); ok {
		t.ID = tenant.ID(id)
	}
	if t.Name = o.text("name").text; t.Name == "" {
		t.Name = string(t.ID)
	}
	role := o.need("role", "write provider, client or both")
	switch t.Role = tenant.Role(role.text); t.Role {
	case tenant.RoleProvider, tenant.RoleClient, tenant.RoleBoth:
	default:
		if !role.bad {
			role.fail(fmt.Sprintf("%q is no role", printable(role.text)), "write provider, client or both")
		}
	}
	t.Aliases = o.values("aliases", item.plain)
	t.Domains = o.values("domains", item.domain)
	t.Networks = o.prefixes("networks")
	return t
}

func (o *object) partner() tenant.Partner {
	p := tenant.Partner{Tenant: tenant.ID(o.text("tenant").text)}
	if id, ok := o.need("id", "give the partner a short id").id(); ok {
		p.ID = tenant.PartnerID(id)
	}
	if p.Name = o.text("name").text; p.Name == "" {
		p.Name = string(p.ID)
	}
	return p
}

func (o *object) trust() tenant.Trust {
	t := tenant.Trust{
		Partner: tenant.PartnerID(o.need("partner", "name the partner whose access this is").text),
		Tenant:  tenant.ID(o.need("tenant", "name the tenant that is accessed").text),
		Owner:   o.text("owner").text,
		Through: tenant.PartnerID(o.text("through").text),
	}
	if id, ok := o.need("id", "give the trust a short id, such as partner-tenant").id(); ok {
		t.ID = tenant.TrustID(id)
	}
	t.Networks = o.prefixes("networks")
	t.Accounts = o.values("accounts", item.account)
	t.MailDomains = o.values("mail_domains", item.domain)
	for _, tool := range o.r.objects(o, "remote_tools", "tool", "instance", "hosts") {
		t.RemoteTools = append(t.RemoteTools, tool.remoteTool())
	}
	t.JumpHosts = o.values("jump_hosts", item.host)
	for _, p := range o.r.objects(o, "cloud_principals", "home_tenant", "app_id", "account_id", "role") {
		t.CloudPrincipals = append(t.CloudPrincipals, p.cloudPrincipal())
	}
	t.Rights = o.values("rights", item.word)
	t.Hours = o.hours("hours")
	t.Destinations = o.values("destinations", item.destination)
	t.ValidFrom, t.ValidUntil = o.interval("valid_from", "valid_until")
	t.Trace = o.trace()
	return t
}

func (o *object) remoteTool() tenant.RemoteTool {
	name := o.need("tool", "name the product, such as screenconnect")
	tool := tenant.RemoteTool{
		// Products are compared by name, so "Screen Connect" and "screenconnect" must be one.
		Tool:     strings.ToLower(strings.Join(strings.Fields(name.text), "")),
		Instance: o.text("instance").text,
		Hosts:    o.values("hosts", item.host),
	}
	if tool.Instance == "" {
		o.warn("instance", "missing: every instance of the product counts as the partner's, an intruder's too",
			"add the instance id that the product logs")
	}
	return tool
}

func (o *object) cloudPrincipal() tenant.CloudPrincipal {
	p := tenant.CloudPrincipal{
		HomeTenant: strings.ToLower(o.text("home_tenant").text),
		AppID:      strings.ToLower(o.text("app_id").text),
		AccountID:  o.text("account_id").text,
		Role:       o.text("role").text,
	}
	given := 0
	for _, v := range []string{p.HomeTenant, p.AppID, p.AccountID, p.Role} {
		if v != "" {
			given++
		}
	}
	if given != 1 {
		o.r.fail(o.line, o.path, fmt.Sprintf("%d keys are given where one is needed", given),
			"write one of home_tenant, app_id, account_id, role; a second principal is a second entry")
	}
	return p
}

// destination reads a prefix, an address or a host name that a trust may reach.
func (it item) destination() (string, bool) {
	if strings.Contains(it.text, "/") {
		p, ok := it.prefix()
		return p.String(), ok
	}
	return it.host()
}

func (o *object) approval() tenant.Approval {
	a := tenant.Approval{
		Trust:  tenant.TrustID(o.need("trust", "name the trust whose act is approved").text),
		Owner:  o.text("owner").text,
		Reason: o.text("reason").text,
	}
	a.Kind, _ = o.need("kind", "name the act, such as scan").word()
	if src := o.need("src", "name the address or prefix that acts"); !src.bad {
		a.Src, _ = src.prefix()
	}
	if dst := o.text("dst"); dst.text != "" {
		a.Dst, _ = dst.prefix()
	}
	o.need("from", "an approval begins at a time")
	o.need("until", "an approval ends at a time")
	a.From, a.Until = o.interval("from", "until")
	if a.Owner == "" {
		o.warn("owner", "missing: what this explains won't say who agreed", "name the person")
	}
	if a.Reason == "" {
		o.warn("reason", "missing: what this explains won't say why", "write it down")
	}
	return a
}
