// Package inventory reads what tells of remote tools and of who may use them: software inventories, exports of the
// accounts of consoles, KEV's catalogue; and it draws from flows which consoles the internet reaches. Products,
// versions and flaws are package product's matter, what is declared is the model's.
//
// Facts are given for remote tools alone, not for all that is installed, so that an inventory of a million rows costs
// the memory of its remote tools. Every file is read through: a row that is broken costs itself. Text may be UTF-8,
// UTF-16 with or without a byte order mark, or Windows-1252. A value that is not known is absent.
//
// # remote-access.software
//
// One remote tool on one host. Subject: "HOST: PRODUCT", with the instance where the name tells it; without a host the
// file's name stands for it.
//
//	product          string     the product's name
//	product_id       string     its id in the table of products; "lolrmm-…" where LOLRMM alone has it
//	vendor           string     absent for LOLRMM's
//	tool             string     the word for it in a trust's remote tools
//	class            string     agent, server, tunnel, security-console
//	name             string     as the inventory has it
//	version          string     as the inventory has it; absent where it has none
//	publisher        string     as the inventory has it; absent where it has none
//	host             string     lower case; absent where the inventory doesn't tell
//	platform         string     windows, linux, macos; absent where not known
//	instance         string     the product's own id of the installation, such as the 16 hex of a ScreenConnect client
//	relay            string     host that it speaks to, where its command line is there
//	sanctioned       bool       a trust valid then declares it, or it is the tool of the tenant as a partner; absent
//	                            without a model, and where it is declared by instance and the row has none
//	foreign_instance bool       the product is declared, and this instance isn't; absent where that can't be told or
//	                            nobody declared the product
//	below_fixed      bool       a known flaw is in this version; absent where the version or its flaws are not known
//	lines            int        lines about flaws that the table has for the product; 0: nobody wrote any down
//	why              string     why below_fixed is absent
//	first_fixed      string     the first version without any of them; absent where none is open or it is not told
//	open_flaws       []string   CVE ids, where below_fixed is there
//	kev              []string   those of them that are known to be exploited, where below_fixed is there
//	kev_unjudged     []string   exploited flaws of the product that can't be told of this version; absent where none
//	kev_clear        bool       no exploited flaw is in it; absent where that is not known
//	kev_version      string     KEV's catalogue that was asked; absent without one
//	kev_released     timestamp  when it was released; absent without one
//	supported        bool       its maker mends this version, as of the fact's time; absent where not known
//	support_ends     timestamp  from when on it doesn't; absent where not told
//	support_source   string     of what supported says; absent without it
//	support_unverified bool     that source is general knowledge, to be checked before relying on it; absent without
//	sources          []string   of what was concluded about flaws
//	unverified       bool       one of them is general knowledge, to be checked before relying on it
//
// # remote-access.inventory
//
// One file that was read: a pass needs somebody to have looked. Subject: "software inventory", with the host where
// there is one alone.
//
//	rows        int     programs in it
//	found       int     remote tools among them
//	hosts       int     absent where the file doesn't tell, or above 200,000
//	unreadable  int     rows that could not be read
//	complete    bool    true: every row was read and the file has an end; else absent
//
// # remote-access.account and remote-access.console
//
// See account.go. remote-access.exposure and remote-access.exposure-watch: see exposure.go. remote-access.kev: see
// kevfile.go.
package inventory

import (
	"context"
	"maps"
	"path"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// The kinds of facts that this package gives.
const (
	KindSoftware      = "remote-access.software"
	KindInventory     = "remote-access.inventory"
	KindAccount       = "remote-access.account"
	KindConsole       = "remote-access.console"
	KindExposure      = "remote-access.exposure"
	KindExposureWatch = "remote-access.exposure-watch"
	KindKEV           = "remote-access.kev"
)

// maxHosts is up to where hosts are counted.
const maxHosts = 200_000

// Knowledge is what readers hold inventories against.
type Knowledge struct {
	Model    *tenant.Model      // what is declared; nil: nothing is called sanctioned or unsanctioned
	Products *product.Catalogue // nil: the table that ships
	KEV      *product.KEV       // nil: the table's own days of KEV alone
	Columns  AccountColumns     // of exports of accounts; nil: the default ones
}

// Formats lists the formats of this package, the ones that tell themselves best first.
func Formats(k Knowledge) []evidence.Format {
	if k.Products == nil {
		k.Products = product.Default()
	}
	if k.Columns == nil {
		k.Columns = DefaultAccountColumns()
	}
	return []evidence.Format{
		k.kevFormat(),
		k.osqueryLog(), k.entraFormat(), k.accountJSON(), k.wingetExport(), k.softwareJSON(),
		k.uninstallRegistry(), k.wingetList(), k.dpkgList(), k.dpkgQuery(), k.rpmList(),
		k.softwareCSV(), k.accountCSV(),
	}
}

// program is one row of an inventory, as far as it was there.
type program struct {
	name, version, publisher string
	pkg                      string // name of its package or bundle, for formats that have one
	host                     string
	path                     string // where it lies, or how it is started or removed
	platform                 product.Platform
	at                       time.Time // zero: as the file
	line                     int64
}

// report gives one file's facts to its sink.
type report struct {
	k          *Knowledge
	in         *evidence.Input
	sink       evidence.Sink
	declared   *Declared
	rows       int64
	found      int64
	unreadable int64
	cut        bool
	hosts      map[uint64]struct{} // nil: no longer counted
	host       string              // the one host, while there is one alone
	newest     time.Time
	assessed   map[version]map[string]any
}

func (k *Knowledge) report(in *evidence.Input, sink evidence.Sink) *report {
	return &report{k: k, in: in, sink: sink, declared: NewDeclared(k.Model, in.Tenant), hosts: map[uint64]struct{}{}}
}

// bad tells of a row that could not be read.
func (r *report) bad(line int64, reason string) {
	r.unreadable++
	if r.sink.Bad != nil {
		r.sink.Bad(line, reason)
	}
}

// match names the product of a program: by its package where formats have one, else by its name.
func (r *report) match(p *program) *product.Product {
	if p.pkg != "" {
		if found := r.k.Products.MatchPackage(p.pkg); found != nil {
			return found
		}
		if p.platform == product.PlatformLinux {
			return nil // names of packages are exact: libvncserver1 is not VNC's server
		}
	}
	return r.k.Products.Match(p.name, p.publisher)
}

// program looks at one row and gives a fact where it is a remote tool.
func (r *report) program(p *program) error {
	r.rows++
	r.countHost(p.host)
	if p.at.After(r.newest) {
		r.newest = p.at
	}
	found := r.match(p)
	if found == nil {
		return nil
	}
	r.found++
	return r.sink.Item(r.software(p, found))
}

func (r *report) countHost(host string) {
	if host == "" || r.hosts == nil {
		return
	}
	host = strings.ToLower(host)
	if len(r.hosts) == 0 {
		r.host = host
	} else if r.host != host {
		r.host = ""
	}
	r.hosts[xxh3.HashString(host)] = struct{}{}
	if len(r.hosts) > maxHosts {
		r.hosts = nil
	}
}

// software words one remote tool.
func (r *report) software(p *program, found *product.Product) evidence.Item {
	at := p.at
	if at.IsZero() {
		at = r.in.At
	}
	v := make(map[string]any, valuesOfSoftware)
	v["product"], v["product_id"], v["tool"], v["class"], v["name"] = found.Name, found.ID, found.Tool, string(found.Class), clip(p.name)
	set(v, "vendor", found.Vendor)
	set(v, "version", clip(strings.TrimSpace(p.version)))
	set(v, "publisher", clip(strings.TrimSpace(p.publisher)))
	set(v, "host", strings.ToLower(clip(p.host)))
	set(v, "platform", string(p.platform))
	instance, relay := instanceOf(found, p)
	set(v, "instance", instance)
	set(v, "relay", relay)
	r.assess(v, found, p, at)
	item := evidence.Item{Tenant: r.in.Tenant, Kind: KindSoftware, At: at, From: evidence.Origin{File: r.in.Name, Line: p.line}, Values: v}
	verdict := r.declared.Judge(found.Tool, instance, relay, at)
	item.Trust, item.Partner = verdict.Trust, verdict.Partner
	if b, known := verdict.Sanctioned.Bool(); known {
		v["sanctioned"] = b
	}
	if b, known := verdict.Foreign.Bool(); known {
		v["foreign_instance"] = b
	}
	where := strings.ToLower(clip(p.host))
	if where == "" {
		where = path.Base(r.in.Name)
	}
	item.Subject = where + ": " + found.Name
	if instance != "" {
		item.Subject += " (" + instance + ")"
	}
	return item
}

// valuesOfSoftware is how many values most facts about software have: a map that grows to it is made four times.
const valuesOfSoftware = 24

// version is what an assessment rests on, with the catalogue of exploited vulnerabilities.
type version struct {
	product  *product.Product
	text     string
	platform product.Platform
	at       time.Time
}

// maxAssessed bounds how many assessments are remembered; beyond, memory is begun anew.
const maxAssessed = 4096

// assess puts what is known of a program's version into a fact's values. A fleet has few versions on many hosts, so that
// each is judged once and the facts share what it came to.
func (r *report) assess(v map[string]any, found *product.Product, p *program, at time.Time) {
	key := version{found, p.version, p.platform, at}
	known, ok := r.assessed[key]
	if !ok {
		known = map[string]any{}
		assess(known, found.Assess(p.version, p.platform, r.k.KEV, at), r.k.KEV)
		if r.assessed == nil || len(r.assessed) >= maxAssessed {
			r.assessed = map[version]map[string]any{}
		}
		r.assessed[key] = known
	}
	maps.Copy(v, known)
}

// assess puts what is known of a version into a fact's values.
func assess(v map[string]any, a product.Assessment, kev *product.KEV) {
	if b, known := a.BelowFixed.Bool(); known {
		v["below_fixed"], v["open_flaws"], v["kev"] = b, list(a.Open), list(a.KEV)
		if !a.FirstFixed.IsZero() {
			v["first_fixed"] = a.FirstFixed.String()
		}
	} else {
		set(v, "why", a.Why)
	}
	if len(a.KEVUnjudged) > 0 {
		v["kev_unjudged"] = list(a.KEVUnjudged)
	}
	if b, known := a.KEVClear.Bool(); known {
		v["kev_clear"] = b
	}
	if kev != nil {
		v["kev_version"], v["kev_released"] = kev.Version, kev.Released
	}
	if b, known := a.Supported.Bool(); known {
		v["supported"] = b
	}
	if !a.SupportEnds.IsZero() {
		v["support_ends"] = a.SupportEnds
	}
	if a.SupportBy != "" {
		v["support_source"], v["support_unverified"] = a.SupportBy, strings.HasPrefix(a.SupportBy, product.GeneralKnowledge)
	}
	v["sources"], v["unverified"], v["lines"] = list(a.Sources), a.Unverified, int64(a.TableEntries)
}

// instanceOf returns whose installation it is and the relay, where a name or command line tells.
func instanceOf(found *product.Product, p *program) (instance, relay string) {
	if !found.Instances {
		return "", ""
	}
	for _, s := range []string{p.name, p.path} {
		if len(s) > 8<<10 {
			continue
		}
		if instance == "" {
			instance = remotetool.ScreenConnectInstance(s)
		}
		if args, ok := remotetool.ParseScreenConnectArgs(s); ok && relay == "" {
			relay = strings.ToLower(args.Relay)
		}
	}
	return instance, relay
}

// done words the file as a whole, once it was read.
func (r *report) done() error {
	v := map[string]any{"rows": r.rows, "found": r.found, "unreadable": r.unreadable}
	if len(r.hosts) > 0 {
		v["hosts"] = int64(len(r.hosts))
	}
	if r.unreadable == 0 && !r.cut && r.rows > 0 {
		v["complete"] = true
	}
	at := r.newest
	if at.IsZero() {
		at = r.in.At
	}
	subject := "software inventory"
	if r.host != "" {
		subject += " of " + clip(r.host)
	}
	return r.sink.Item(evidence.Item{Tenant: r.in.Tenant, Kind: KindInventory, Subject: subject, At: at, From: evidence.Origin{File: r.in.Name}, Values: v})
}

// maxText is how much of one text goes into a fact, bytes.
const maxText = 300

// clip shortens a text and takes control characters out of it.
func clip(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return strings.Map(func(c rune) rune {
		if c < 0x20 || c == 0x7f {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, "�"))
}

func set(v map[string]any, name, value string) {
	if value != "" {
		v[name] = value
	}
}

func list(s []string) []any {
	out := make([]any, len(s))
	for i := range s {
		out[i] = s[i]
	}
	return out
}

// every calls step for each of n until it says that there is no more, and looks at the context now and then.
func every(ctx context.Context, step func() (more bool, err error)) error {
	for n := 0; ; n++ {
		if n%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		more, err := step()
		if err != nil || !more {
			return err
		}
	}
}
