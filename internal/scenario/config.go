package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The shapes of breakwater.yaml, written as JSON flow, which is YAML.
type (
	tenantConf struct {
		ID       string   `json:"id"`
		Name     string   `json:"name"`
		Aliases  []string `json:"aliases,omitempty"`
		Role     string   `json:"role"`
		Domains  []string `json:"domains"`
		Networks []string `json:"networks"`
	}
	partnerConf struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Tenant string `json:"tenant,omitempty"`
	}
	toolConf struct {
		Tool     string   `json:"tool"`
		Instance string   `json:"instance,omitempty"`
		Hosts    []string `json:"hosts,omitempty"`
	}
	principalConf struct {
		HomeTenant string `json:"home_tenant,omitempty"`
		AppID      string `json:"app_id,omitempty"`
		AccountID  string `json:"account_id,omitempty"`
	}
	trustConf struct {
		ID          string          `json:"id"`
		Partner     string          `json:"partner"`
		Tenant      string          `json:"tenant"`
		Owner       string          `json:"owner"`
		Networks    []string        `json:"networks,omitempty"`
		Accounts    []string        `json:"accounts,omitempty"`
		MailDomains []string        `json:"mail_domains,omitempty"`
		RemoteTools []toolConf      `json:"remote_tools,omitempty"`
		JumpHosts   []string        `json:"jump_hosts,omitempty"`
		Principals  []principalConf `json:"cloud_principals,omitempty"`
		Rights      []string        `json:"rights,omitempty"`
		ValidFrom   string          `json:"valid_from"`
		ValidUntil  string          `json:"valid_until,omitempty"`
	}
	sensorConf struct {
		Match  map[string]string `json:"match"`
		Tenant string            `json:"tenant"`
		Layer  tenant.Layer      `json:"layer"`
	}
	approvalConf struct {
		Trust  string `json:"trust"`
		Src    string `json:"src"`
		Dst    string `json:"dst"`
		Kind   string `json:"kind"`
		From   string `json:"from"`
		Until  string `json:"until"`
		Owner  string `json:"owner"`
		Reason string `json:"reason"`
	}
)

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// providerNet is the block from which the provider reaches its clients.
func (w *world) providerNet() string {
	if w.natPool.IsValid() {
		return w.natPool.String()
	}
	return w.provider.gateway.String() + "/32"
}

func (c *org) owner() string { return "it@" + c.domain }

// declare writes down who may reach whom, from the casting.
func (w *world) declare() {
	p := w.provider
	self := partnerConf{ID: p.id, Name: p.name}
	if p.tenant {
		self.Tenant = p.id
	}
	w.partners = append(w.partners, self, partnerConf{ID: w.vendor.id, Name: w.vendor.name})
	for _, c := range w.clients {
		t := trustConf{ID: p.id + "-" + c.id, Partner: p.id, Tenant: c.id, Owner: c.owner(), ValidFrom: stamp(w.start.AddDate(-3, 0, 0))}
		if c.reach.vpn {
			t.Networks = []string{w.providerNet(), p.egress.String() + "/32", w.probe(c).String() + "/32", w.scanner(c).String() + "/32"}
			t.Accounts = []string{p.prefix + "-*"}
			for _, j := range p.jumps {
				t.JumpHosts = append(t.JumpHosts, p.servers[j].ip.String())
			}
			t.Rights = []string{"reset-password"}
		}
		if c.reach.mail {
			t.MailDomains = []string{p.domain}
		}
		if c.reach.rmm {
			t.RemoteTools = []toolConf{{"screenconnect", w.instance, []string{w.relay}}}
		}
		if c.fleet {
			t.RemoteTools = append(t.RemoteTools, w.declaredPlatform()...)
		}
		if c.reach.gdap {
			t.Principals = append(t.Principals, principalConf{HomeTenant: p.entra})
		}
		if c.reach.app {
			t.Principals = append(t.Principals, principalConf{AppID: w.appID})
			if c.apps["aws"] {
				t.Principals = append(t.Principals, principalConf{AccountID: p.aws})
			}
		}
		if c.reach != (reach{}) {
			w.trusts = append(w.trusts, t)
		}
		if c.hasVendor {
			w.trusts = append(w.trusts, trustConf{ID: w.vendor.id + "-" + c.id, Partner: w.vendor.id, Tenant: c.id, Owner: c.owner(),
				MailDomains: []string{w.vendor.domain}, RemoteTools: []toolConf{{"screenconnect", w.vendor.instance, []string{w.vendor.relay}}},
				ValidFrom: stamp(w.start.AddDate(-2, 0, 0))})
		}
	}
	w.declareFirms()
	// One of the provider's own staff is lent by another firm.
	n := newRNG(w.names, "other organisations")
	lent := p.people[p.techs]
	firm := pick(n, orgStems) + " Personal"
	w.lender = "l" + lower(firm[:len(firm)-len(" Personal")]) + "-personal"
	w.partners = append(w.partners, partnerConf{ID: w.lender, Name: firm})
	if p.tenant {
		w.trusts = append(w.trusts, trustConf{ID: w.lender + "-" + p.id, Partner: w.lender, Tenant: p.id, Owner: p.owner(), Accounts: []string{lent.mail, lent.login},
			MailDomains: []string{w.lender + ".de"}, ValidFrom: stamp(w.start.AddDate(-1, 0, 0))})
	}
	// The neighbour has a provider of its own, which the others do not know.
	other := pick(n, orgStems) + "netz"
	id := "x" + lower(other)
	w.partners = append(w.partners, partnerConf{ID: id, Name: other + " Systemhaus"})
	w.trusts = append(w.trusts, trustConf{ID: id + "-" + w.neighbour.id, Partner: id, Tenant: w.neighbour.id, Owner: w.neighbour.owner(),
		Networks: []string{n.public().String() + "/32"}, Accounts: []string{id + "-*"}, MailDomains: []string{id + ".de"}, ValidFrom: stamp(w.start.AddDate(-4, 0, 0))})
}

// probe is the address from which the provider's monitoring polls a client, inside the client's network.
func (w *world) probe(c *org) netip.Addr { return at(c.serverNet, 5) }

// scanner is the address of the provider's inventory in the client's network.
func (w *world) scanner(c *org) netip.Addr { return at(c.serverNet, 6) }

func (w *world) writeConfig(dir string) error {
	var b bytes.Buffer
	b.WriteString("# A generated scenario. Sensor paths are relative to this file.\n")
	section := func(name string, rows []any) {
		if len(rows) == 0 {
			fmt.Fprintf(&b, "%s: []\n", name)
			return
		}
		fmt.Fprintf(&b, "%s:\n", name)
		for _, row := range rows {
			b.WriteString("  - ")
			b.Write(jsonOf(row))
			b.WriteByte('\n')
		}
	}
	var tenants, sensors []any
	for _, o := range w.orgs {
		if !o.tenant {
			continue
		}
		c := tenantConf{ID: o.id, Name: o.name, Role: string(tenant.RoleClient), Domains: []string{o.domain},
			Networks: []string{o.serverNet.String(), o.deskNet.String(), o.poolNet.String()}}
		if !o.client {
			c.Role = string(tenant.RoleProvider)
		} else if o.hub {
			c.Role = string(tenant.RoleBoth)
		}
		if o.dual {
			c.Networks = appendTwin(appendTwin(appendTwin(c.Networks, o, o.serverNet), o, o.deskNet), o, o.poolNet)
		}
		tenants = append(tenants, c)
		for _, f := range folders {
			if w.keeps(o, f.layer) && o.hasFolder(w, f.name) {
				glob := "telemetry/" + o.id + "/" + f.name + "/*"
				if f.name == "mail" && o.maildir {
					glob = "telemetry/" + o.id + "/mail/new/*"
				}
				sensors = append(sensors, sensorConf{map[string]string{"path": glob}, o.id, f.layer})
			}
		}
	}
	section("tenants", tenants)
	section("partners", anys(w.partners))
	section("trusts", anys(w.trusts))
	section("sensors", sensors)
	section("approvals", anys(w.approvals))
	return os.WriteFile(filepath.Join(dir, "breakwater.yaml"), b.Bytes(), 0o644)
}

func anys[T any](xs []T) []any {
	out := make([]any, len(xs))
	for i, x := range xs {
		out[i] = x
	}
	return out
}

// plain reports whether s needs no escape in JSON.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// jsonOf renders v on one line, without escaping <, > and &.
func jsonOf(v any) []byte {
	if s, ok := v.(string); ok && plain(s) {
		return append(append(append(make([]byte, 0, len(s)+2), '"'), s...), '"')
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // only plain structs and maps of strings come here
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
