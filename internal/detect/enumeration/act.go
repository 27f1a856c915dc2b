package enumeration

import (
	"net/netip"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// kind is a way to learn what a network holds.
type kind uint8

const (
	kindReverse     kind = iota // names of addresses (PTR)
	kindService                 // where services are (SRV)
	kindGuess                   // names that don't exist, below a domain of the tenant's own
	kindTransfer                // a whole zone (AXFR, IXFR)
	kindDirectory               // broad LDAP searches
	kindPointed                 // LDAP searches for what an intruder needs
	kindUsers                   // Kerberos: accounts that don't exist
	kindPreauth                 // Kerberos: asked without a password and never signed in
	kindASREP                   // Kerberos: tickets given without a password
	kindRoast                   // Kerberos: service tickets under RC4
	kindTickets                 // Kerberos: service tickets under a strong cipher
	kindShares                  // lists of shares
	kindAdmin                   // admin shares opened
	kindIPC                     // IPC$ opened
	kindCrawl                   // many plain shares opened
	kindAccounts                // SAM accounts listed
	kindGroups                  // groups and who is in them
	kindTrusts                  // trusts between domains
	kindPolicy                  // domain and policy information
	kindLookups                 // names and SIDs looked up
	kindSessions                // who is signed in where
	kindFiles                   // files that are open
	kindHost                    // server and workstation information
	kindConfig                  // services and registry listed
	kindEndpoints               // RPC endpoints dumped
	kindReplication             // directory replication asked for (DCSync)
	kindAnonymous               // NTLM without an account, or refused
	kindPipes                   // discovery pipes opened
	kinds
)

// family groups kinds under one rule.
type family uint8

const (
	familyNames family = iota
	familyDirectory
	familyKerberos
	familyAccounts
	familyHosts
	familyReplication
	families
)

// ruleOf are the rules' names by family.
var ruleOf = [families]string{"enumeration/names", "enumeration/directory", "enumeration/kerberos", "enumeration/accounts", "enumeration/hosts", "enumeration/replication"}

// trait is what a kind is and from how many distinct things on it means something. The figures are per window (ten
// minutes): below hint it is nothing, from hint on it counts beside others, from few on it is told, and from many on
// it is clear. Zero is never. They lie above what the published behaviour of members and administrators' consoles
// does to one host, and below what the listing tools do by default.
type trait struct {
	what            string // in words: what was done to how many
	unit            string // of the things
	technique       ocsf.Technique
	family          family
	hint, few, many int
	points          int  // towards breadth
	weak            bool // daily life of administrators too: alone it is never more than medium
	hostile         bool // no honest program does it by habit: needs no warm-up
	perHost         bool // a thing is a host: looking at one of them in detail is work, not a search
	day             bool // counted over a day, too
	habit           int  // earlier days that make a habit, where these are not habitFrom: servers do it when they must
}

var traits = [kinds]trait{
	kindReverse:     {what: "asked for the names of %d addresses", unit: "address", technique: "T1018", family: familyNames, hint: 8, few: 20, many: 48, points: 2, day: true},
	kindService:     {what: "asked where %d kinds of service are", unit: "service", technique: "T1018", family: familyNames, hint: 4, few: 8, many: 14, points: 1},
	kindGuess:       {what: "guessed %d names that don't exist", unit: "name", technique: "T1590.002", family: familyNames, hint: 6, few: 15, many: 40, points: 2, day: true},
	kindTransfer:    {what: "asked for a whole zone (%d)", unit: "zone", technique: "T1590.002", family: familyNames, hint: 1, few: 1, many: 2, points: 2, habit: 1},
	kindDirectory:   {what: "searched the directory broadly for %d kinds of object", unit: "kind of object", technique: "T1087.002", family: familyDirectory, hint: 1, few: 4, many: 7, points: 2},
	kindPointed:     {what: "searched the directory for %d things that intruders look for", unit: "search", technique: "T1087.002", family: familyDirectory, hint: 1, few: 3, many: 5, points: 2},
	kindUsers:       {what: "asked Kerberos for %d accounts that don't exist", unit: "account", technique: "T1589", family: familyKerberos, hint: 3, few: 8, many: 20, points: 2, hostile: true, day: true},
	kindPreauth:     {what: "asked for tickets of %d accounts and never signed in with them", unit: "account", technique: "T1558.004", family: familyKerberos, hint: 5, few: 15, many: 30, points: 2, hostile: true},
	kindASREP:       {what: "got tickets of %d accounts that need no password for it", unit: "account", technique: "T1558.004", family: familyKerberos, hint: 1, few: 3, many: 5, points: 2, hostile: true},
	kindRoast:       {what: "asked for tickets of %d services under RC4", unit: "service", technique: "T1558.003", family: familyKerberos, hint: 2, few: 4, many: 8, points: 2, hostile: true},
	kindTickets:     {what: "asked for tickets of %d services", unit: "service", technique: "T1558.003", family: familyKerberos, hint: 5, few: 12, many: 30, points: 1, weak: true},
	kindShares:      {what: "listed the shares of %d hosts", unit: "host", technique: "T1135", family: familyHosts, hint: 3, few: 8, many: 20, points: 2, perHost: true, day: true},
	kindAdmin:       {what: "opened admin shares of %d hosts", unit: "host", technique: "T1135", family: familyHosts, hint: 5, few: 15, many: 40, points: 1, weak: true, perHost: true},
	kindIPC:         {what: "opened IPC$ of %d hosts", unit: "host", technique: "T1135", family: familyHosts, hint: 10, few: 30, many: 80, weak: true, perHost: true},
	kindCrawl:       {what: "opened %d shares", unit: "share", technique: "T1135", family: familyHosts, hint: 10, few: 25, many: 60, weak: true},
	kindAccounts:    {what: "listed accounts over SAMR (calls times hosts: %d)", unit: "call and host", technique: "T1087", family: familyAccounts, hint: 1, few: 6, many: 15, points: 2, day: true},
	kindGroups:      {what: "listed groups and their members (calls times hosts: %d)", unit: "call and host", technique: "T1069", family: familyAccounts, hint: 1, few: 6, many: 15, points: 2, day: true},
	kindTrusts:      {what: "listed the trusts between domains (calls times hosts: %d)", unit: "call and host", technique: "T1482", family: familyAccounts, hint: 1, few: 4, many: 10, points: 1},
	kindPolicy:      {what: "read domain and policy information (calls times hosts: %d)", unit: "call and host", technique: "T1082", family: familyAccounts, hint: 1, few: 12, many: 40, weak: true},
	kindLookups:     {what: "looked names and SIDs up %d times", unit: "look-up", technique: "T1087", family: familyAccounts, hint: 30, few: 120, many: 240, points: 1, weak: true},
	kindSessions:    {what: "asked %d hosts who is signed in", unit: "host", technique: "T1049", family: familyHosts, hint: 2, few: 6, many: 15, points: 2, perHost: true, day: true},
	kindFiles:       {what: "listed the open files of %d hosts", unit: "host", technique: "T1083", family: familyHosts, hint: 2, few: 8, many: 20, points: 2, perHost: true},
	kindHost:        {what: "asked %d hosts what they are", unit: "host", technique: "T1082", family: familyHosts, hint: 5, few: 25, many: 60, points: 1, weak: true, perHost: true},
	kindConfig:      {what: "listed services or registry of %d hosts", unit: "host", technique: "T1012", family: familyHosts, hint: 3, few: 12, many: 30, points: 1, weak: true, perHost: true},
	kindEndpoints:   {what: "dumped the RPC endpoints of %d hosts", unit: "host", technique: "T1046", family: familyHosts, hint: 2, few: 5, many: 12, points: 1, perHost: true},
	kindReplication: {what: "asked %d domain controllers to replicate secrets (DCSync)", unit: "controller", technique: "T1003.006", family: familyReplication, hint: 1, few: 1, many: 1, points: 6, habit: 1},
	kindAnonymous:   {what: "spoke NTLM without an account, or was refused, at %d hosts", unit: "host", technique: "T1018", family: familyHosts, hint: 5, few: 15, many: 40, points: 1, weak: true, perHost: true},
	kindPipes:       {what: "opened discovery pipes of %d hosts", unit: "host", technique: "T1135", family: familyHosts, hint: 5, few: 20, many: 50, points: 1, weak: true, perHost: true},
}

// act is one event as the analytics see it: what a source wanted to know, of whom, and whether it was told. It
// does not tell in which format it was read.
type act struct {
	kind      kind
	object    string          // what was asked: a name, an account, a service
	objType   ocsf.EntityType // "" where the object is no entity
	src       netip.Addr
	account   string         // the source where it has no address
	target    netip.Addr     // whom was asked
	host      string         // its name, where the record has no address
	actor     string         // the account that acted, where the record tells
	technique ocsf.Technique // "" for the kind's own
	granted   bool           // the answer gave what was asked
	byName    bool           // the object or host is named as endpoints name it, not as the network does
	thing     uint32
	about     netip.Addr // the address that was asked for, where that is an object
	undo      bool       // the thing was no sign: whoever asked signed in
}

// things are hashes of 31 bits with a last bit that says from which side they were named: a host that a sensor knows
// by address and an endpoint by name must not count as two.
func hashThing(byName bool, parts ...string) uint32 {
	h := uint64(len(parts))
	for _, p := range parts {
		h = xxh3.HashStringSeed(p, h)
	}
	t := uint32(h) &^ 1
	if byName {
		t |= 1
	}
	return t
}

// at returns the act as one whose thing is the host that was asked.
func (a act) atHost() act {
	if a.target.IsValid() {
		b := a.target.As16()
		a.thing = uint32(xxh3.Hash(b[:])) &^ 1
		return a
	}
	a.byName = true
	a.thing = hashThing(true, a.host)
	return a
}

// ofObject returns the act as one whose thing is its object.
func (a act) ofObject() act {
	a.thing = hashThing(a.byName, strings.ToLower(a.object))
	return a
}

// ofCall returns the act as one whose thing is the operation at the host.
func (a act) ofCall(operation string) act {
	a = a.atHost()
	b := a.target.As16()
	a.thing = hashThing(a.byName, operation, string(b[:]), a.host)
	return a
}

// usable reports whether it is known who did what to whom.
func (a *act) usable() bool {
	if a.src.IsValid() {
		return !a.src.IsLoopback() && !a.src.IsUnspecified() && !a.src.IsMulticast() && a.src != a.target
	}
	return a.account != ""
}

// targetName is whom was asked, in words; empty where nobody is known.
func (a *act) targetName() string {
	if a.target.IsValid() {
		return a.target.String()
	}
	return a.host
}
