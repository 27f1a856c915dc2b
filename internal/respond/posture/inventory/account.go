package inventory

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Accounts that may use a console come from its export of users. No two products have the same columns and few
// describe theirs, so that which column holds what is a table that a site may replace (AccountColumns).
//
// # remote-access.account
//
// One account of one console. Subject: "CONSOLE: ACCOUNT".
//
//	console             string     the console's column, else "entra", else the file's name without its ending
//	account             string     lower case
//	display_name        string     absent where the export has none
//	role                string     as the export has it; absent where it has none
//	admin               bool       its role, or a column of its own, makes it an administrator
//	enabled             bool       it may log in
//	mfa                 bool       a second factor is set up (Entra: registered); not that every log-in asks for it
//	mfa_method          string     where the export names methods
//	last_login          timestamp
//	never_logged_in     bool       true: the export says so; else absent
//	created             timestamp
//	guest               bool       Entra: the account is another organisation's
//	shared              bool       the export calls it a shared one, or a person's
//	generic_name        bool       it is called as no person is: admin, support, helpdesk …
//	address_restricted  bool       it may log in from some addresses alone
//	tells               []string   which of admin, enabled, mfa, last_login, address_restricted the export has columns
//	                               for: where a column is there and its cell says nothing, the value is absent
//
// # remote-access.console
//
// One console in one export. Subject: the console.
//
//	accounts                  int
//	enabled                   int   absent where the export doesn't tell for every account
//	admins                    int   enabled administrators; absent where the export doesn't tell for every account
//	admins_without_mfa        int   of them; absent where the export doesn't tell for every one of them
//	unreadable                int

// AccountColumns says under which column names an export holds what. Names are compared by their letters and digits
// alone, in any case. The fields are account, display_name, role, admin, enabled, disabled, mfa, last_login, created,
// address_restriction, shared, guest and console.
type AccountColumns map[string][]string

// accountFields lists the fields that there are.
var accountFields = []string{"account", "display_name", "role", "admin", "enabled", "disabled", "mfa", "last_login", "created", "address_restriction", "shared", "guest", "console"}

// DefaultAccountColumns returns the names that consoles and directories are known to use, Entra's among them.
func DefaultAccountColumns() AccountColumns {
	return AccountColumns{
		"account": {"userprincipalname", "username", "login", "loginname", "loginid", "email", "emailaddress", "useremail", "account", "accountname", "user", "technician", "technicianname", "benutzername",
			"benutzer", "anmeldename", "userid", "mail"},
		"display_name": {"displayname", "fullname", "name", "realname", "anzeigename"},
		"role":         {"role", "roles", "userrole", "rolename", "securityrole", "permissiongroup", "usertype", "usergroup", "group", "groups", "profile", "rolle", "accesslevel"},
		"admin":        {"isadmin", "admin", "administrator", "isadministrator", "superuser"},
		"enabled":      {"accountenabled", "enabled", "isenabled", "active", "isactive", "status", "accountstatus", "userstatus", "state", "aktiv"},
		"disabled":     {"disabled", "isdisabled", "locked", "blocked", "suspended", "blockcredential", "blocksignin", "deaktiviert", "gesperrt"},
		"mfa": {"ismfaregistered", "multifactorauthenticationregistered", "mfaregistered", "mfaenabled", "mfa", "mfastatus", "twofactorenabled", "twofactor", "twofactorauthentication", "2fa", "2faenabled",
			"2fastatus", "tfa", "tfaenabled", "twostepverification", "multifactor", "multifactorauthentication", "multifactorauthenticationcapable", "ismfacapable", "mfamethod", "mfatype", "otpenabled", "totp", "zweifaktor"},
		"last_login": {"lastlogin", "lastlogon", "lastlogindate", "lastlogintime", "lastlogondate", "lastsignin", "lastsignindate", "lastsignindatetime", "lastsuccessfulsignindatetime",
			"lastinteractivesignintime", "lastinteractivesignindatetime", "lastactive", "lastactivity", "lastaccess", "lastaccessed", "lastseen", "letzteanmeldung", "lastsigninattempt"},
		"created":             {"createddatetime", "created", "createdat", "createddate", "creationdate", "datecreated", "creationtime", "erstellt"},
		"address_restriction": {"iprestriction", "iprestrictions", "allowedips", "allowedipaddresses", "ipwhitelist", "ipallowlist", "iprange", "ipranges", "allowednetworks", "networkrestriction", "trustedlocations", "addressrestriction"},
		"shared":              {"shared", "isshared", "sharedaccount", "accounttype"},
		"guest":               {"usertypeguest", "isguest", "external", "isexternal"},
		"console":             {"console", "application", "instance", "portal", "system"},
	}
}

// ReadAccountColumns reads a site's own names: YAML, a field with its list of names a line. Fields that it doesn't
// name keep their default ones.
func ReadAccountColumns(r io.Reader) (AccountColumns, error) {
	raw, err := bounded.ReadAll(r, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("reading the columns of accounts: %w", err)
	}
	var own map[string][]string
	if err := yaml.Unmarshal(raw, &own); err != nil {
		return nil, fmt.Errorf("reading the columns of accounts: %w: write a field with a list of column names, such as mfa: [\"Two-factor\"]", err)
	}
	out := DefaultAccountColumns()
	for field, names := range own {
		if !slices.Contains(accountFields, field) {
			return nil, fmt.Errorf("reading the columns of accounts: there is no field %q: use %s", clip(field), strings.Join(accountFields, ", "))
		}
		out[field] = nil
		for _, n := range names {
			out[field] = append(out[field], simple(n))
		}
	}
	return out, nil
}

// isAccountTable tells an export of accounts from its header: an account and what tells how it may log in.
func isAccountTable(h *header, c AccountColumns) bool {
	has := func(field string) bool { return h.find(c[field]...) >= 0 }
	if !has("account") || h.find("dateutc", "requestid", "correlationid", "eventid", "eventtime") >= 0 {
		return false
	}
	return has("mfa") || has("last_login") && (has("role") || has("enabled") || has("disabled") || has("admin"))
}

// accountRow is one account's cells by field; a field that the export hasn't is absent.
type accountRow map[string]string

// accounts words the accounts of one file and counts them by console.
type accounts struct {
	in       *evidence.Input
	sink     evidence.Sink
	bads     int64
	standard string // the console's name where no column has it
	consoles map[string]*console
	order    []string
}

type console struct {
	accounts, enabled, admins, bare          int64
	enabledUnknown, adminUnknown, mfaUnknown bool
}

// maxConsoles bounds what one file can name; beyond, their accounts are counted under the file's name.
const maxConsoles = 1000

func newAccounts(in *evidence.Input, sink evidence.Sink, standard string) *accounts {
	if standard == "" {
		base := path.Base(in.Name)
		standard = strings.TrimSuffix(base, path.Ext(base))
	}
	return &accounts{in: in, sink: sink, standard: clip(standard), consoles: map[string]*console{}}
}

func (a *accounts) bad(line int64, reason string) {
	a.bads++
	if a.sink.Bad != nil {
		a.sink.Bad(line, reason)
	}
}

// add words one account.
func (a *accounts) add(row accountRow, line int64) error {
	name := strings.ToLower(clip(strings.TrimSpace(row["account"])))
	if name == "" {
		a.bad(line, "a row without an account")
		return nil
	}
	at := cmpString(clip(strings.TrimSpace(row["console"])), a.standard)
	v := map[string]any{"console": at, "account": name, "generic_name": genericName(name)}
	set(v, "display_name", clip(strings.TrimSpace(row["display_name"])))
	set(v, "role", clip(strings.TrimSpace(row["role"])))
	var tells []string
	tell := func(field string, columns ...string) {
		if slices.ContainsFunc(columns, func(c string) bool { _, ok := row[c]; return ok }) {
			tells = append(tells, field)
		}
	}
	tell("admin", "admin", "role")
	tell("enabled", "enabled", "disabled")
	tell("mfa", "mfa")
	tell("last_login", "last_login")
	tell("address_restricted", "address_restriction")
	v["tells"] = list(tells)
	setBool(v, "admin", adminOf(row))
	setBool(v, "enabled", enabledOf(row))
	mfa, method := factorOf(row["mfa"])
	setBool(v, "mfa", mfa)
	set(v, "mfa_method", method)
	login := strings.TrimSpace(row["last_login"])
	if t, ok := timeOf(login); ok {
		v["last_login"] = t
	} else if w := simple(login); w == "never" || w == "neverloggedin" || w == "nie" {
		v["never_logged_in"] = true
	}
	if t, ok := timeOf(row["created"]); ok {
		v["created"] = t
	}
	setBool(v, "shared", sharedOf(row["shared"]))
	setBool(v, "guest", wordBool(row["guest"]))
	if strings.EqualFold(strings.TrimSpace(row["role"]), "guest") {
		v["guest"] = true
	}
	setBool(v, "address_restricted", restrictedOf(row["address_restriction"]))
	a.count(at, v)
	return a.sink.Item(evidence.Item{Tenant: a.in.Tenant, Kind: KindAccount, Subject: at + ": " + name, At: a.in.At, From: evidence.Origin{File: a.in.Name, Line: line}, Values: v})
}

func cmpString(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (a *accounts) count(at string, v map[string]any) {
	c := a.consoles[at]
	if c == nil {
		if len(a.consoles) >= maxConsoles {
			at = a.standard
		}
		if c = a.consoles[at]; c == nil {
			c = &console{}
			a.consoles[at] = c
			a.order = append(a.order, at)
		}
	}
	c.accounts++
	enabled, known := v["enabled"].(bool)
	c.enabledUnknown = c.enabledUnknown || !known
	if known && !enabled {
		return
	}
	c.enabled++
	admin, known := v["admin"].(bool)
	c.adminUnknown = c.adminUnknown || !known
	if !admin {
		return
	}
	c.admins++
	mfa, known := v["mfa"].(bool)
	c.mfaUnknown = c.mfaUnknown || !known
	if known && !mfa {
		c.bare++
	}
}

// done words the consoles.
func (a *accounts) done() error {
	for _, name := range a.order {
		c := a.consoles[name]
		v := map[string]any{"accounts": c.accounts, "unreadable": a.bads}
		if !c.enabledUnknown {
			v["enabled"] = c.enabled
		}
		if !c.adminUnknown {
			v["admins"] = c.admins
			if !c.mfaUnknown {
				v["admins_without_mfa"] = c.bare
			}
		}
		if err := a.sink.Item(evidence.Item{Tenant: a.in.Tenant, Kind: KindConsole, Subject: name, At: a.in.At, From: evidence.Origin{File: a.in.Name}, Values: v}); err != nil {
			return err
		}
	}
	return nil
}

func setBool(v map[string]any, name string, b *bool) {
	if b != nil {
		v[name] = *b
	}
}

func known(b bool) *bool { return &b }

// wordBool reads yes and no as exports have them; nil: neither.
func wordBool(s string) *bool {
	switch simple(s) {
	case "true", "yes", "y", "1", "on", "enabled", "enforced", "active", "registered", "capable", "ja", "aktiv", "required", "configured", "setup":
		return known(true)
	case "false", "no", "n", "0", "off", "disabled", "inactive", "none", "never", "notregistered", "notcapable", "nein", "inaktiv", "notconfigured", "notset", "notenabled", "notsetup", "optional":
		return known(false)
	}
	return nil
}

// adminOf reads an administrator from a column of its own, else from the role.
func adminOf(row accountRow) *bool {
	if b := wordBool(row["admin"]); b != nil {
		return b
	}
	role := strings.ToLower(row["role"])
	if strings.TrimSpace(role) == "" {
		return nil
	}
	for _, w := range []string{"admin", "owner", "superuser", "super user", "root", "full control", "vollzugriff", "master"} {
		if strings.Contains(role, w) && !strings.Contains(role, "non-"+w) && !strings.Contains(role, "not "+w) && !strings.Contains(role, "no "+w) {
			return known(true)
		}
	}
	return known(false)
}

func enabledOf(row accountRow) *bool {
	if b := wordBool(row["disabled"]); b != nil {
		return known(!*b)
	}
	if b := wordBool(row["enabled"]); b != nil {
		return b
	}
	switch simple(row["enabled"]) {
	case "locked", "suspended", "blocked", "deleted", "archived", "deactivated", "gesperrt", "deaktiviert", "revoked", "expired":
		return known(false)
	case "ok", "normal", "valid", "confirmed", "online", "offline":
		return known(true)
	}
	return nil
}

// factorOf reads whether a second factor is set up: yes, no, or the names of methods.
func factorOf(s string) (b *bool, method string) {
	s = strings.TrimSpace(s)
	if b = wordBool(s); b != nil || s == "" {
		return b, ""
	}
	low := strings.ToLower(s)
	switch simple(s) {
	case "password", "passwordonly", "singlefactor", "singlefactorauthentication":
		return known(false), ""
	}
	for _, w := range []string{"totp", "otp", "authenticator", "app", "sms", "phone", "push", "duo", "fido", "webauthn", "passkey", "yubikey", "security key", "hello", "token", "certificate", "mail", "google", "microsoft", "okta", "multifactor", "sso"} {
		if strings.Contains(low, w) {
			return known(true), clip(s)
		}
	}
	return nil, ""
}

func sharedOf(s string) *bool {
	switch simple(s) {
	case "shared", "sharedmailbox", "service", "serviceaccount", "generic":
		return known(true)
	case "person", "personal", "individual", "named", "user":
		return known(false)
	}
	return wordBool(s)
}

// restrictedOf reads from which addresses an account may log in: none named, or everywhere, is no restriction. An
// empty cell isn't an answer.
func restrictedOf(s string) *bool {
	s = strings.TrimSpace(s)
	if b := wordBool(s); b != nil || s == "" {
		return b
	}
	switch simple(s) {
	case "any", "all", "everywhere", "alle", "norestriction", "unrestricted", "anyip", "anywhere":
		return known(false)
	}
	if s == "*" || strings.HasPrefix(s, "0.0.0.0/0") || strings.HasPrefix(s, "::/0") {
		return known(false)
	}
	return known(true)
}

// genericName tells a name that stands for a task and not for a person.
func genericName(account string) bool {
	local, _, _ := strings.Cut(account, "@")
	if i := strings.LastIndexAny(local, `\/`); i >= 0 {
		local = local[i+1:]
	}
	local = strings.TrimRight(local, "0123456789-_. ")
	for _, part := range strings.FieldsFunc(local, func(r rune) bool { return r == '.' || r == '-' || r == '_' || r == ' ' || r == '+' }) {
		switch part {
		case "admin", "administrator", "administrators", "root", "support", "helpdesk", "servicedesk", "service", "svc", "tech", "techs", "technician", "technik", "techniker", "office", "info", "team", "noc", "soc", "it",
			"msp", "shared", "user", "guest", "test", "backup", "monitoring", "operator", "oncall", "reception", "sysadmin", "remote", "kunde", "client", "default":
		default:
			return false
		}
	}
	return local != ""
}
