package posture

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// maxExceptions bounds the exceptions of one policy.
const maxExceptions = 10_000

// Exception excuses a control, or one subject of it, until a day. It never makes a pass: what it covers is excepted.
type Exception struct {
	Control string    `json:"control"`
	Tenant  tenant.ID `json:"tenant,omitempty"`  // empty: of every tenant
	Subject string    `json:"subject,omitempty"` // exact, or with a * at its end; empty: the control as a whole
	Owner   string    `json:"owner"`             // who answers for it
	Reason  string    `json:"reason"`
	Expires time.Time `json:"expires"` // from then on it excuses nothing
}

// covers reports whether the exception is about that subject.
func (e *Exception) covers(subject string) bool {
	if p, ok := strings.CutSuffix(e.Subject, "*"); ok {
		return strings.HasPrefix(subject, p)
	}
	return e.Subject == "" || e.Subject == subject
}

type exceptionFile struct {
	Control string    `yaml:"control"`
	Tenant  string    `yaml:"tenant"`
	Subject string    `yaml:"subject"`
	Owner   string    `yaml:"owner"`
	Reason  string    `yaml:"reason"`
	Expires time.Time `yaml:"expires"`
}

// exception checks one; control is taken where it names none.
func (f exceptionFile) exception(control string) (Exception, error) {
	e := Exception{f.Control, tenant.ID(f.Tenant), f.Subject, strings.TrimSpace(f.Owner), strings.TrimSpace(f.Reason), f.Expires.UTC()}
	if e.Control == "" {
		e.Control = control
	}
	switch {
	case e.Control == "":
		return e, fmt.Errorf("an exception names no control")
	case e.Owner == "" || e.Reason == "":
		return e, fmt.Errorf("the exception to %s needs an owner and a reason", e.Control)
	case f.Expires.IsZero():
		return e, fmt.Errorf("the exception to %s needs a day on which it expires, such as expires: 2026-12-31", e.Control)
	case e.Subject == "*":
		return e, fmt.Errorf("the exception to %s: leave subject out to except the whole control", e.Control)
	}
	return e, nil
}

// Policy is what a site says of the controls: settings of its own, and exceptions. The zero value says nothing. It is
// read by ParsePolicy and doesn't change.
type Policy struct {
	all     rules
	tenants map[tenant.ID]rules
}

type rules struct {
	settings   map[string]map[string]any // by control
	exceptions []Exception
}

type rulesFile struct {
	Settings   map[string]map[string]any `yaml:"settings"`
	Exceptions []exceptionFile           `yaml:"exceptions"`
}

type policyFile struct {
	rulesFile `yaml:",inline"`
	Tenants   map[string]rulesFile `yaml:"tenants"`
}

// maxPolicyFile bounds the file of a site's policy in bytes.
const maxPolicyFile = 4 << 20

// ParsePolicy reads a site's policy in YAML: settings by control, exceptions, and the same of each tenant under
// tenants. What it says of controls that the library doesn't hold is a problem, as is everything else that would be
// of no effect.
func (l *Library) ParsePolicy(file string, data []byte) (*Policy, []Problem) {
	r := &reading{file: file, most: maxPolicyFile}
	var f policyFile
	if !r.yaml(data, &f) {
		return nil, r.problems
	}
	p := &Policy{tenants: map[tenant.ID]rules{}}
	p.all = l.rules(r, f.rulesFile, "")
	names := make([]string, 0, len(f.Tenants))
	for name := range f.Tenants {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p.tenants[tenant.ID(name)] = l.rules(r, f.Tenants[name], tenant.ID(name))
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return p, nil
}

func (l *Library) rules(r *reading, f rulesFile, of tenant.ID) rules {
	out := rules{settings: map[string]map[string]any{}}
	whose := ""
	if of != "" {
		whose = fmt.Sprintf("tenants.%s: ", of)
	}
	ids := make([]string, 0, len(f.Settings))
	for id := range f.Settings {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		c := l.controls[id]
		if c == nil {
			r.bad(r.lines["settings"], "%ssettings: there is no control %q", whose, id)
			continue
		}
		if _, err := c.overridden(f.Settings[id]); err != nil {
			r.bad(r.lines["settings"], "%ssettings: %v", whose, err)
			continue
		}
		out.settings[id], _ = plainValues(f.Settings[id]) // checked above
	}
	if len(f.Exceptions) > maxExceptions {
		r.bad(r.lines["exceptions"], "%smore than %d exceptions", whose, maxExceptions)
		return out
	}
	for _, x := range f.Exceptions {
		e, err := x.exception("")
		switch {
		case err != nil:
			r.bad(r.lines["exceptions"], "%s%v", whose, err)
		case l.controls[e.Control] == nil:
			r.bad(r.lines["exceptions"], "%sexceptions: there is no control %q", whose, e.Control)
		case of != "" && e.Tenant != "" && e.Tenant != of:
			r.bad(r.lines["exceptions"], "%san exception to %s names the tenant %q", whose, e.Control, e.Tenant)
		default:
			if of != "" {
				e.Tenant = of
			}
			out.exceptions = append(out.exceptions, e)
		}
	}
	return out
}

// settings returns what holds of a control for a tenant: its defaults, then the site's, then the tenant's own.
func (p *Policy) settings(c *Control, of tenant.ID) map[string]any {
	out := c.Settings
	if p == nil {
		return out
	}
	for _, over := range []map[string]any{p.all.settings[c.ID], p.tenants[of].settings[c.ID]} {
		if len(over) == 0 {
			continue
		}
		merged := make(map[string]any, len(out))
		for k, v := range out {
			merged[k] = v
		}
		for k, v := range over {
			merged[k] = v
		}
		out = merged
	}
	return out
}

// exceptions returns those to a control for a tenant, in the order of the file.
func (p *Policy) exceptions(control string, of tenant.ID) []Exception {
	if p == nil {
		return nil
	}
	var out []Exception
	for _, e := range slices.Concat(p.all.exceptions, p.tenants[of].exceptions) {
		if e.Control == control && (e.Tenant == "" || e.Tenant == of) {
			out = append(out, e)
		}
	}
	return out
}
