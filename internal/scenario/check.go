package scenario

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The limits that Check holds a scenario to.
const (
	minBackground = 0.95 // share of events that are not the intruder's
	minLegitimate = 5    // background records in which each trait of the intruder's must occur too
	minChance     = 5    // the same for sizes and counts, of which few different ones occur, so that some meet by chance
	minTelling    = 3    // intruder's records that make a value a give-away where no background record has it
)

// Report is what Check found. Lines are for people; the scenario is fair where Problems is empty.
type Report struct {
	Events   int64 // records in the telemetry
	Attack   int64 // of them the intruder's
	Lines    []string
	Problems []string
}

// OK reports whether nothing speaks against the scenario.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// String renders the lines and then the problems, one a line.
func (r *Report) String() string {
	out := slices.Clone(r.Lines)
	for _, p := range r.Problems {
		out = append(out, "problem: "+p)
	}
	return strings.Join(out, "\n") + "\n"
}

func (r *Report) say(format string, a ...any) { r.Lines = append(r.Lines, fmt.Sprintf(format, a...)) }

func (r *Report) problem(format string, a ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, a...))
}

// checker carries what one Check has read.
type checker struct {
	dir      string
	truth    *Truth
	conf     declared
	attack   map[string]map[int]string // file → record → technique
	report   *Report
	accounts []string
	own      []string          // infrastructure of all campaigns
	values   map[string]int    // source, field and value → intruder's records
	clean    map[string]bool   // of them those that the background has too
	traits   map[string]int    // traits of the intruder's records → background records that have them
	touched  map[string]int    // tenant → intruder's records
	layers   map[string]string // tenant/layer of the intruder's records
	sources  map[string][2]int // tenant and source → records, intruder's
}

type declared struct {
	Tenants  []struct{ ID string }
	Partners []struct{ ID, Tenant string }
	Trusts   []struct {
		Partner, Tenant string
		Accounts        []string
	}
}

// Check reads a scenario's folder and says whether it is fair: whether the truth is complete and the intruder can't
// be told by counting or by a single value. It returns an error only where the folder can't be read.
func Check(ctx context.Context, dir string) (Report, error) {
	c := &checker{dir: dir, report: &Report{}, values: map[string]int{}, clean: map[string]bool{}, traits: map[string]int{},
		touched: map[string]int{}, layers: map[string]string{}, sources: map[string][2]int{}}
	if err := c.read(); err != nil {
		return Report{}, fmt.Errorf("checking a scenario: %w", err)
	}
	for i, pass := range []func(string, string, *native){c.intruder, c.background} {
		err := eachFile(dir, func(rel, id, source string) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if i == 0 && len(c.attack[rel]) == 0 {
				return nil
			}
			return eachRecord(dir, rel, source, func(n *native) error { pass(rel, id, n); return nil })
		})
		if err != nil {
			return Report{}, fmt.Errorf("checking a scenario: %w", err)
		}
	}
	c.judge()
	return *c.report, nil
}

func (c *checker) read() error {
	t, err := readTruth(c.dir)
	if err != nil {
		return err
	}
	c.truth = t
	b, err := os.ReadFile(filepath.Join(c.dir, "breakwater.yaml"))
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if err := yaml.Unmarshal(b, &c.conf); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	for _, tr := range c.conf.Trusts {
		c.accounts = append(c.accounts, tr.Accounts...)
	}
	for _, cp := range t.Campaigns {
		c.own = append(c.own, cp.Infrastructure...)
	}
	c.attack, err = readAttack(filepath.Join(c.dir, "attack.tsv"))
	return err
}

func readAttack(name string) (map[string]map[int]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the intruder's records: %w", err)
	}
	defer f.Close()
	out := map[string]map[int]string{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		cols := strings.Split(sc.Text(), "\t")
		if len(cols) != 3 {
			return nil, fmt.Errorf("reading attack.tsv: %d columns in %q, not 3", len(cols), sc.Text())
		}
		n, err := strconv.Atoi(cols[1])
		if err != nil {
			return nil, fmt.Errorf("reading attack.tsv: %w", err)
		}
		if out[cols[0]] == nil {
			out[cols[0]] = map[int]string{}
		}
		out[cols[0]][n] = cols[2]
	}
	return out, sc.Err()
}

// keyFields are ids, callers' ports and times, in lower case: they tell one record or session from another, and the
// intruder from nobody.
var keyFields = func() map[string]bool {
	m := map[string]bool{"receive time": true, "generate time": true, "sequence number": true, "login duration": true}
	for _, f := range strings.Fields(`ts uid uids id time hour utctime creationutctime @timestamp eventtime createddatetime activitydatetime
		creationtime recordnumber logonid subjectlogonid targetlogonid logonguid processguid parentprocessguid processid
		parentprocessid newprocessid correlationid uniquetokenidentifier connectionid id.orig_p ipport sourceport srcport transport
		sessionid authenticationcontext.externalsessionid useridentity.accesskeyid published created_at fuid from till times.modified times.accessed times.created times.changed eventtime`) {
		m[f] = true
	}
	return m
}()

var innerGUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

func valueKey(n *native, f field) (string, bool) {
	if keyFields[lower(f.name)] {
		return "", false
	}
	v := f.value
	if len(v) > 40 && strings.Contains(v, "-4") {
		v = innerGUID.ReplaceAllString(v, "{guid}")
	}
	return n.source + "\t" + f.name + "\t" + v, true
}

func (c *checker) intruder(rel, id string, n *native) {
	if _, ok := c.attack[rel][n.number]; !ok {
		return
	}
	c.touched[id]++
	c.layers[id+"/"+string(layerOf(n.source+"/"))] = rel
	for _, f := range n.fields {
		if k, ok := valueKey(n, f); ok {
			c.values[k]++
		}
	}
	for _, t := range c.traitsOf(n) {
		c.traits[t] += 0
	}
}

func (c *checker) background(rel, id string, n *native) {
	c.report.Events++
	source, _, _ := strings.Cut(n.source, "/")
	s := c.sources[id+" "+source]
	s[0]++
	_, attack := c.attack[rel][n.number]
	if attack {
		s[1]++
		c.report.Attack++
		delete(c.attack[rel], n.number)
	}
	c.sources[id+" "+source] = s
	if attack {
		return
	}
	for _, f := range n.fields {
		if k, ok := valueKey(n, f); ok && c.values[k] > 0 {
			c.clean[k] = true
		}
	}
	for _, t := range c.traitsOf(n) {
		if _, ok := c.traits[t]; ok {
			c.traits[t]++
		}
	}
}

// traitsOf names what a record has in common with others of its technique: tool, protocol, kind of account, hour.
func (c *checker) traitsOf(n *native) []string {
	kind := func(user string) string {
		for _, a := range c.accounts {
			if ok, _ := path.Match(a, user); ok {
				return "partner account"
			}
		}
		return "own account"
	}
	out := []string{n.source + " at hour " + n.hour}
	add := func(parts ...string) { out = append(out, n.source+" "+strings.Join(parts, " ")) }
	g := n.get
	switch n.source {
	case "zeek/conn":
		add(g("proto"), g("id.resp_p"), g("service"))
		add("state", g("conn_state"))
	case "zeek/rdp":
		add(kind(g("cookie")))
	case "zeek/smb_mapping":
		add(g("share_type"))
	case "windows/events":
		add(g("Channel"), g("EventID"))
		if t := g("LogonType"); t != "" {
			add("logon", g("EventID"), t, kind(g("TargetUserName")))
		}
		if share := g("ShareName"); share != "" {
			add(g("EventID"), share, kind(g("SubjectUserName")))
		}
		if img := g("OriginalFileName"); img != "" {
			add("program", strings.ToLower(img))
		}
	case "zeek/kerberos":
		service, _, _ := strings.Cut(g("service"), "/")
		add(g("request_type"), service, g("success"))
	case "zeek/ntlm":
		add(kind(g("username")), g("success"))
	case "zeek/dce_rpc":
		add(g("endpoint"), g("operation"))
	case "zeek/smb_files":
		share := g("path")
		add(g("action"), share[strings.LastIndexByte(share, '\\')+1:])
	case "zeek/ldap_search":
		add(g("scope"), g("filter"))
	case "zeek/dns":
		add(g("qtype_name"), g("rcode_name"))
	case "firewall/fortigate":
		port := g("dstport")
		if n, err := strconv.Atoi(port); err == nil && n >= 49152 {
			port = "dynamic"
		}
		add(g("action"), port, g("srcintf"))
	case "firewall/asa":
		add(g("event"))
	case "entra/directory-audit":
		who := "own"
		if strings.HasPrefix(g("initiatedBy.user.userPrincipalName"), "user_") {
			who = "foreign"
		}
		add(g("activityDisplayName"), who)
	case "vpn/openvpn", "vpn/asa":
		add(g("event"), kind(g("user")))
	case "vpn/globalprotect":
		add(g("Event ID"), kind(g("Source User")), g("Status"))
	case "screenconnect/session-events":
		add(g("EventType"))
	case "entra/signins":
		add(g("crossTenantAccessType"), g("status.errorCode"), "interactive", g("isInteractive"))
	case "m365/unified-audit":
		add(g("Operation"), "external", g("ExternalAccess"))
	case "azure/activity":
		add(g("operationName"))
	case "console/audit":
		add(g("event"), g("result"), "second factor", g("second_factor"))
	case "web/iis":
		add(g("cs-method"), g("sc-status"))
	case "okta/system":
		add(g("eventType"), g("outcome.result"))
	case "aws/cloudtrail":
		add(g("eventName"), g("userIdentity.type"), g("errorCode"))
	case "github/audit":
		add(g("action"))
	case "mail":
		add("dmarc", g("dmarc"), "link", g("link"))
	}
	return out
}

func (c *checker) judge() {
	r := c.report
	for _, k := range slices.Sorted(maps.Keys(c.sources)) {
		r.say("%-40s %8d events, %5d of the intruder", k, c.sources[k][0], c.sources[k][1])
	}
	share := 1.0
	if r.Events > 0 {
		share = 1 - float64(r.Attack)/float64(r.Events)
	}
	r.say("%d events, %d of the intruder, background %.2f %%", r.Events, r.Attack, 100*share)
	if share < minBackground {
		r.problem("only %.2f %% of the events are background, %.0f %% are needed", 100*share, 100*minBackground)
	}
	for _, file := range slices.Sorted(maps.Keys(c.attack)) {
		if len(c.attack[file]) > 0 {
			r.problem("attack.tsv names %d records of %s that do not exist", len(c.attack[file]), file)
		}
	}
	if len(c.truth.Campaigns) == 0 && r.Attack > 0 {
		r.problem("there are intruder's records, but the truth has no campaign")
	}
	for i := range c.truth.Campaigns {
		c.judgeCampaign(&c.truth.Campaigns[i])
	}
	c.judgeTraits()
	c.judgeValues()
}

func (c *checker) judgeCampaign(cp *Campaign) {
	r := c.report
	seen, tenants := map[Outcome]int{}, map[string]Outcome{}
	for _, t := range cp.Tenants {
		seen[t.Outcome]++
		tenants[string(t.Tenant)] = t.Outcome
	}
	r.say("campaign through %s: %d succeeded, %d attempted, %d exposed, %d blind, %d clear", cp.Partner, seen[Succeeded], seen[Attempted], seen[Exposed], seen[Blind], seen[Clear])
	for _, t := range c.conf.Tenants {
		if _, ok := tenants[t.ID]; !ok {
			r.problem("the campaign does not name the tenant %s", t.ID)
		}
	}
	for _, o := range Outcomes {
		if seen[o] == 0 && len(c.truth.WithoutLayers) == 0 {
			r.problem("the outcome %s does not occur", o)
		}
	}
	if (cp.FirstFoothold == nil) == (cp.Ask == nil) {
		r.problem("the campaign needs a first foothold or a question, and not both")
	}
	if f := cp.FirstFoothold; f != nil && c.layers[string(f.Tenant)+"/"+string(f.Layer)] == "" {
		r.problem("no record of the intruder lies in the %s layer of %s, where the first foothold is", f.Layer, f.Tenant)
	}
	for _, t := range cp.Tenants {
		id := string(t.Tenant)
		acted := c.actedOn(t.Tenant)
		if acted != (c.touched[id] > 0) {
			r.problem("%s is %s but has %d records of the intruder", id, t.Outcome, c.touched[id])
		}
		if t.Outcome != Clear && t.Tenant != tenant.ID(cp.Partner) && !c.reached(cp.Partner, id) {
			r.problem("%s is %s but no trust leads there from %s", id, t.Outcome, cp.Partner)
		}
	}
}

// actedOn reports whether any campaign says that the intruder did something at a tenant.
func (c *checker) actedOn(id tenant.ID) bool {
	for _, cp := range c.truth.Campaigns {
		for _, t := range cp.Tenants {
			if t.Tenant == id && (t.Outcome == Succeeded || t.Outcome == Attempted) {
				return true
			}
		}
	}
	return false
}

// reached reports whether trusts lead from a partner to a tenant: one, or several by way of tenants that are partners
// of others.
func (c *checker) reached(p tenant.PartnerID, id string) bool {
	at, seen := []string{string(p)}, map[string]bool{string(p): true}
	for len(at) > 0 {
		from := at[0]
		at = at[1:]
		for _, t := range c.conf.Trusts {
			if t.Partner != from {
				continue
			}
			if t.Tenant == id {
				return true
			}
			for _, q := range c.conf.Partners {
				if q.Tenant == t.Tenant && !seen[q.ID] {
					seen[q.ID] = true
					at = append(at, q.ID)
				}
			}
		}
	}
	return false
}

func (c *checker) judgeTraits() {
	rare := 0
	for _, t := range slices.Sorted(maps.Keys(c.traits)) {
		if c.traits[t] < minLegitimate {
			rare++
			c.report.problem("%s: the intruder's, but only %d times in the background", t, c.traits[t])
		}
	}
	c.report.say("%d traits of the intruder's records, %d of them rare in the background", len(c.traits), rare)
}

// counted is a size or count in a value's key.
var counted = regexp.MustCompile(`\t(orig|resp)_(ip_)?(bytes|pkts)\t`)

func (c *checker) judgeValues() {
	told, own := 0, 0
	for _, k := range slices.Sorted(maps.Keys(c.values)) {
		least := minTelling
		if counted.MatchString(k) {
			least = minChance
		}
		if c.values[k] < least || c.clean[k] {
			continue
		}
		value := k[strings.LastIndexByte(k, '\t')+1:]
		if slices.ContainsFunc(c.own, func(o string) bool { return strings.Contains(value, o) }) {
			own++
			continue
		}
		told++
		c.report.problem("%s: in %d records of the intruder and in no other", strings.ReplaceAll(k, "\t", " "), c.values[k])
	}
	c.report.say("%d values in at least %d records of the intruder and in no other: %d its own infrastructure, %d give-aways", told+own, minTelling, own, told)
}
