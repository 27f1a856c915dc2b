package app

import (
	"fmt"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
)

// allowed gives the configuration's allow-list as the detector of Sigma rules takes it.
func (s *Setup) allowed() []sigma.Allow {
	if s.Config == nil || s.Config.Rules == nil {
		return nil
	}
	out := make([]sigma.Allow, len(s.Config.Rules.Allow))
	for i, a := range s.Config.Rules.Allow {
		out[i] = sigma.Allow{Rule: a.Rule, Tenant: a.Tenant, Partner: a.Partner, Tool: a.Tool, Hosts: a.Hosts, Hours: a.Hours, Until: a.Until, Owner: a.Owner, Reason: a.Reason}
	}
	return out
}

// maxUnknownAllowed bounds how many allow-list entries that act on nothing are told.
const maxUnknownAllowed = 5

// ruleNotes tells what tuning and correlations left out or could not act on.
func (p *stages) ruleNotes() []string {
	var out []string
	for i, name := range p.setup.Rules.Unknown(p.setup.allowed()) {
		if i == maxUnknownAllowed {
			out = append(out, "More entries of rules.allow name rules that aren't loaded.")
			break
		}
		out = append(out, fmt.Sprintf("rules.allow: no rule with the id or name %q is loaded, so that its entries act on nothing.", name))
	}
	for _, d := range p.detectors {
		if x, ok := d.(interface{ Left() sigma.Left }); ok {
			out = append(out, x.Left().Lines()...)
		}
	}
	return out
}
