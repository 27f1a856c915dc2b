package netconfig

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// cloudFormats are exports of Microsoft Graph: who may come in as whom, rather than from where.
func cloudFormats(m *tenant.Model) []evidence.Format {
	list := []struct {
		name, about string
		keys        [2]string
		item        func(s *source, m *tenant.Model, n *node) (evidence.Item, error)
	}{
		{"conditional-access", "Microsoft Entra: GET /identity/conditionalAccess/policies", [2]string{`"conditions"`, `"grantControls"`}, conditionalAccess},
		{"gdap", "Microsoft partner delegations: GET /tenantRelationships/delegatedAdminRelationships", [2]string{`"accessDetails"`, `"autoExtendDuration"`}, delegation},
		{"cross-tenant-access", "Microsoft Entra: GET /policies/crossTenantAccessPolicy/partners", [2]string{`"tenantId"`, `"isServiceProvider"`}, crossTenant},
	}
	var out []evidence.Format
	for _, f := range list {
		out = append(out, evidence.Format{
			Name: f.name, About: f.about,
			Recognise: func(_ string, head []byte) bool {
				head = bytes.TrimSpace(text(head))
				return (bytes.HasPrefix(head, []byte("{")) || bytes.HasPrefix(head, []byte("["))) && bytes.Contains(head, []byte(f.keys[0])) && bytes.Contains(head, []byte(f.keys[1]))
			},
			Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
				s, err := openFile(ctx, in, sink)
				if err != nil {
					return err
				}
				root, err := readJSON(s.data)
				if err != nil {
					return fmt.Errorf("reading %s as JSON of Microsoft Graph: %w", in.Name, err)
				}
				list := root.items()
				if v := root.get("value"); v != nil {
					list = v.items()
				} else if root.kind == 'o' {
					list = []*node{root}
				}
				if root.get("@odata.nextLink") != nil {
					s.bad(root.line, "the export is one page of several: ask for the others too")
				}
				for i, n := range list {
					if i%256 == 0 {
						if err := ctx.Err(); err != nil {
							return err
						}
					}
					it, err := f.item(s, m, n)
					if err != nil {
						s.bad(n.line, "%v", err)
						continue
					}
					it.Tenant, it.At, it.From = in.Tenant, in.At, evidence.Origin{File: in.Name, Line: n.line}
					if err := sink.Item(it); err != nil {
						return err
					}
				}
				return nil
			},
		})
	}
	return out
}

// conditionalAccess reads a policy (Graph, conditionalAccessPolicy).
func conditionalAccess(_ *source, _ *tenant.Model, n *node) (evidence.Item, error) {
	it := evidence.Item{Kind: KindConditionalAccess, Subject: short(n.get("displayName").string())}
	state := n.get("state").string()
	if state == "" || n.get("conditions") == nil {
		return it, fmt.Errorf("a policy of conditional access without state or conditions")
	}
	users, apps := n.get("conditions", "users"), n.get("conditions", "applications")
	grant := n.get("grantControls")
	controls := lower(grant.get("builtInControls").strings())
	or := strings.EqualFold(grant.get("operator").string(), "OR")
	mfa := slices.Contains(controls, "mfa") || grant.get("authenticationStrength") != nil
	if or && len(controls) > 1 { // something else will do instead
		mfa = !slices.ContainsFunc(controls, func(c string) bool { return c != "mfa" && c != "block" })
	}
	include, kinds := lower(users.get("includeUsers").strings()), users.get("includeGuestsOrExternalUsers", "guestOrExternalUserTypes").strings()
	excluded := 0
	for _, key := range []string{"excludeUsers", "excludeGroups", "excludeRoles"} {
		excluded += len(users.get(key).strings())
	}
	all := slices.Contains(include, "all")
	providers := mentions(kinds, "serviceProvider") || all
	if mentions(users.get("excludeGuestsOrExternalUsers", "guestOrExternalUserTypes").strings(), "serviceProvider") {
		providers = false
	}
	clients := lower(n.get("conditions", "clientAppTypes").strings())
	legacy := slices.Contains(clients, "other") || slices.Contains(clients, "exchangeactivesync") || slices.Contains(clients, "all") || len(clients) == 0
	it.Values = map[string]any{
		"policy": it.Subject, "state": state, "enabled": strings.EqualFold(state, "enabled"), "mfa": mfa, "block": slices.Contains(controls, "block"),
		"all_users": all, "all_applications": slices.Contains(lower(apps.get("includeApplications").strings()), "all"), "guests": all || len(kinds) > 0 || slices.Contains(include, "guestsorexternalusers"),
		"service_providers": providers, "administrators": all || len(users.get("includeRoles").strings()) > 0, "excluded": int64(excluded), "excluded_applications": int64(len(apps.get("excludeApplications").strings())),
		"legacy_clients": legacy, "only_legacy": legacy && len(clients) > 0 && !slices.Contains(clients, "browser") && !slices.Contains(clients, "mobileappsanddesktopclients") && !slices.Contains(clients, "all"),
		"trusted_locations_exempt": mentions(n.get("conditions", "locations", "excludeLocations").strings(), "AllTrusted") || len(n.get("conditions", "locations", "excludeLocations").strings()) > 0,
	}
	return it, nil
}

func lower(list []string) []string {
	for i := range list {
		list[i] = strings.ToLower(list[i])
	}
	return list
}

// mentions looks for a word in texts, each of which may list several with commas.
func mentions(list []string, word string) bool {
	return slices.ContainsFunc(list, func(s string) bool {
		return slices.ContainsFunc(strings.Split(s, ","), func(w string) bool { return strings.EqualFold(strings.TrimSpace(w), word) })
	})
}

// strongRoles are the roles of Microsoft Entra by which a whole tenant can be taken over, by the ids of their
// templates (Microsoft Entra built-in roles).
var strongRoles = map[string]string{
	"62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
	"e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
	"7be44c8a-adaf-4e2a-84d6-ab2649e08a13": "Privileged Authentication Administrator",
	"9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
	"158c047a-c907-4556-b7ef-446551a6b5f7": "Cloud Application Administrator",
	"8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2": "Hybrid Identity Administrator",
	"b1be1c3e-b65d-4f19-8427-f6fa0d97feb9": "Conditional Access Administrator",
}

const globalAdministrator = "62e90394-69f5-4237-9190-012177145e10"

// delegation reads a granular delegation to a partner (Graph, delegatedAdminRelationship).
func delegation(s *source, m *tenant.Model, n *node) (evidence.Item, error) {
	it := evidence.Item{Kind: KindDelegation, Subject: short(n.get("displayName").string())}
	status := n.get("status").string()
	if status == "" {
		return it, fmt.Errorf("a delegation without status")
	}
	var roles []any
	global := false
	for _, r := range n.get("accessDetails", "unifiedRoles").items() {
		id := strings.ToLower(r.get("roleDefinitionId").string())
		global = global || id == globalAdministrator
		if name, ok := strongRoles[id]; ok {
			roles = append(roles, name)
		}
	}
	extend, known := days(n.get("autoExtendDuration").string())
	v := map[string]any{
		"name": it.Subject, "form": "gdap", "status": status, "active": strings.EqualFold(status, "active") || strings.EqualFold(status, "expiring"),
		"roles": int64(len(n.get("accessDetails", "unifiedRoles").items())), "strong_roles": int64(len(roles)), "global_administrator": global,
	}
	if known {
		v["auto_extend"] = extend > 0
	}
	if len(roles) > 0 {
		v["strong_role_names"] = roles
	}
	if d, ok := days(n.get("duration").string()); ok {
		v["duration_days"] = d
	}
	if end, err := time.Parse(time.RFC3339, n.get("endDateTime").string()); err == nil {
		v["ends"] = end.UTC()
		if !s.in.At.IsZero() {
			v["ended"] = !s.in.At.Before(end)
		}
	}
	if customer := n.get("customer", "tenantId").string(); customer != "" {
		v["customer"] = short(customer)
	}
	if partner := partnerTenant(n); partner != "" {
		v["partner_tenant"] = short(partner)
		declareCloud(&it, v, s, m, func(p tenant.CloudPrincipal) bool { return strings.EqualFold(p.HomeTenant, partner) })
	}
	it.Values = v
	return it, nil
}

// partnerTenant is the partner's own tenant, where an export tells it: those of the partner itself don't.
func partnerTenant(n *node) string {
	for _, path := range [][]string{{"partner", "tenantId"}, {"partnerTenantId"}, {"partner", "id"}} {
		if s := n.get(path...).string(); s != "" {
			return s
		}
	}
	return ""
}

// crossTenant reads what is agreed with another tenant (Graph, crossTenantAccessPolicyConfigurationPartner).
func crossTenant(s *source, m *tenant.Model, n *node) (evidence.Item, error) {
	id := n.get("tenantId").string()
	it := evidence.Item{Kind: KindDelegation, Subject: short(id)}
	if id == "" {
		return it, fmt.Errorf("an agreement across tenants without tenantId")
	}
	v := map[string]any{"name": it.Subject, "form": "cross-tenant", "active": true, "partner_tenant": it.Subject}
	if p := n.get("isServiceProvider"); p != nil {
		v["service_provider"] = p.kind == 't'
	}
	if p := n.get("inboundTrust", "isMfaAccepted"); p != nil {
		v["foreign_mfa_accepted"] = p.kind == 't'
	}
	if p := n.get("automaticUserConsentSettings", "inboundAllowed"); p != nil {
		v["automatic_consent"] = p.kind == 't'
	}
	declareCloud(&it, v, s, m, func(p tenant.CloudPrincipal) bool { return strings.EqualFold(p.HomeTenant, id) })
	it.Values = v
	return it, nil
}

// declareCloud says whether a trust of the tenant declares who comes by the cloud, and whether it still holds. A model
// that declares no principal at all says nothing.
func declareCloud(it *evidence.Item, v map[string]any, s *source, m *tenant.Model, is func(tenant.CloudPrincipal) bool) {
	if m == nil {
		return
	}
	var found *tenant.Trust
	for _, t := range m.TrustsInto(s.in.Tenant) {
		if slices.ContainsFunc(t.CloudPrincipals, is) && (found == nil || !found.ValidAt(s.in.At)) {
			found = t
		}
	}
	v["declared"] = found != nil
	if found == nil {
		return
	}
	it.Partner, it.Trust = found.Partner, found.ID
	if !s.in.At.IsZero() {
		v["trust_ended"] = !found.ValidAt(s.in.At)
	}
}

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T[0-9HMS.]*)?$`)

// days is the length of a duration of ISO 8601, a year being 365 days and a month 30; parts of days are left out.
func days(s string) (int64, bool) {
	m := isoDuration.FindStringSubmatch(s)
	if m == nil || s == "P" {
		return 0, false
	}
	total := int64(0)
	for i, each := range []int64{365, 30, 7, 1} {
		n, _ := strconv.ParseInt(m[i+1], 10, 64)
		total += n * each
	}
	return total, true
}
