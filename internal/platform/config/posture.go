package config

import (
	"fmt"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Bounds of the posture section.
const (
	maxPostureFolders    = 100
	maxPostureStatements = 1_000
	leastPostureEvery    = time.Minute
	mostPostureEvery     = 7 * 24 * time.Hour
)

// Posture is how a running server judges whether doors are locked: the posture section of the file. File names in it
// are absolute once read: those of the file are relative to its folder.
type Posture struct {
	Folders    []string        // of evidence; the first name below each is a tenant's
	Tenants    []PostureTenant // further folders, each of one tenant
	Controls   string          // folder of the site's own controls; empty: none
	Policy     string          // file of the site's settings and exceptions; empty: none
	KEV        string          // CISA's catalogue of exploited vulnerabilities; empty: what `posture update` has kept
	Every      time.Duration   // between two judgements; what changes in a folder is judged within minutes
	Issuer     string          // how the organisation calls itself in statements; empty: the tenant's name
	Statements []PostureStatement
}

// PostureTenant is folders whose files are all about one tenant.
type PostureTenant struct {
	Tenant  tenant.ID
	Folders []string
}

// PostureStatement is a partner's signed statement, which is held against what is known of that partner here.
type PostureStatement struct {
	Partner tenant.PartnerID
	File    string
	Key     string // fingerprint of the key that must have signed it: SHA256: and 43 characters
}

// DefaultPosture returns what holds where the section leaves a key out.
func DefaultPosture() *Posture { return &Posture{Every: 6 * time.Hour} }

// FoldersOf returns the folders whose files are about one tenant, in declared order.
func (p *Posture) FoldersOf(id tenant.ID) []string {
	var out []string
	for _, t := range p.Tenants {
		if t.Tenant == id {
			out = append(out, t.Folders...)
		}
	}
	return out
}

// posture reads the posture section; nil where the file has none.
func (d *declared) posture(r *reader, root *object) *Posture {
	if !root.has("posture") {
		return nil
	}
	o, ok := r.object(root.fields["posture"], "posture", "folders", "tenants", "controls", "policy", "kev", "every", "issuer", "statements")
	if !ok {
		return nil
	}
	p := DefaultPosture()
	p.Folders = o.folders("folders")
	tenants := unique(d.tenants, func(i int) tenant.ID { return d.model.Tenants[i].ID })
	partners := unique(d.partners, func(i int) tenant.PartnerID { return d.model.Partners[i].ID })
	for _, x := range r.objects(o, "tenants", "tenant", "folders") {
		t := PostureTenant{Tenant: tenant.ID(x.need("tenant", "name the tenant whom the files are about").text), Folders: x.folders("folders")}
		refer(x, "tenant", t.Tenant, tenants, "tenants")
		if len(t.Folders) == 0 {
			x.fail("folders", "missing", "name the folders of this tenant's evidence")
		}
		p.Tenants = append(p.Tenants, t)
	}
	p.Controls, p.Policy, p.KEV = o.text("controls").file(), o.text("policy").file(), o.text("kev").file()
	o.duration("every", &p.Every, leastPostureEvery, mostPostureEvery)
	p.Issuer = o.text("issuer").text
	if n := len(o.list("statements")); n > maxPostureStatements {
		o.fail("statements", fmt.Sprintf("has %d entries", n), fmt.Sprintf("keep at most %d", maxPostureStatements))
		return p
	}
	for _, x := range r.objects(o, "statements", "partner", "file", "key") {
		s := PostureStatement{Partner: tenant.PartnerID(x.need("partner", "name the partner who made the statement").text),
			File: x.need("file", "name the file of the statement").file()}
		refer(x, "partner", s.Partner, partners, "partners")
		if it := x.need("key", "give the fingerprint of the partner's key, as its `breakwater trace key show` prints it"); !it.bad {
			s.Key = it.fingerprint()
		}
		p.Statements = append(p.Statements, s)
	}
	return p
}

// folders reads the list of folders at key.
func (o *object) folders(key string) []string {
	var out []string
	names := o.texts(key)
	if len(names) > maxPostureFolders {
		o.fail(key, fmt.Sprintf("has %d folders", len(names)), fmt.Sprintf("keep at most %d; one folder holds many tenants' and many files", maxPostureFolders))
		return nil
	}
	for _, n := range names {
		out = append(out, n.file())
	}
	return out
}
