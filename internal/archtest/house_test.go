package archtest

// stage is a place on the way that data takes. What is imported must lie on an earlier stage.
type stage struct {
	packages []string // below the module; a trailing /* is every package below, without the parent
	why      string
}

// house lists the stages in the order of the data path. A package may import those of earlier stages; packages
// of the same stage don't know each other, save for besides.
var house = []stage{
	{[]string{"rules"}, "rule files, embedded: data without code"},
	{[]string{"record/tenant"}, "the words for organisations; everything speaks them"},
	{[]string{"record/ocsf"}, "the words for events and findings; each belongs to a tenant"},
	{[]string{"platform/bounded"}, "caps on what others wrote; knows nothing of its meaning"},
	{[]string{"platform/signing"}, "documents that the holder of a key stands by, and that key"},
	{[]string{"mailcorpus"}, "labelled mail for tests and measurements; no part of the program"},
	{[]string{"mailcorpus/write"}, "puts it into a folder, the same for all systems that are compared"},
	{[]string{"platform/config"}, "one file becomes a model of tenants and trusts"},
	{[]string{"platform/state"}, "the control plane's memory"},
	{[]string{"platform/authz"}, "who may see and do what; its tokens and roles are kept in state"},
	{[]string{"intake/bus"}, "holds batches until they are done with"},
	{[]string{"intake/listen"}, "bytes in, batches to the bus, nothing parsed: what all senders share"},
	{[]string{"intake/listen/*"}, "a kind of sender each; adding one is adding a folder"},
	{[]string{"intake/decode"}, "what all formats share; knows none of them"},
	{[]string{"intake/decode/*"}, "a format each, apart from each other, so that one can be added as a folder"},
	{[]string{"intake/attribute"}, "event to tenant and trust; no format is known any more"},
	{[]string{"intake/order"}, "events in event time, once each"},
	{[]string{"detect"}, "what a detector is, and the engine that runs any of them"},
	{[]string{"detect/phish/learned"}, "what training knows of mail: numbers alone, for the scorer beside it"},
	{[]string{"detect/*"}, "a detector each; one can be added, or switched off, without the others"},
	{[]string{"history/sightings", "history/events"}, "what was seen"},
	{[]string{"history/hunt"}, "asks the history again"},
	{[]string{"correlate/hop"}, "who moved where"},
	{[]string{"correlate/campaign"}, "what belongs together, and whom it concerns"},
	{[]string{"correlate/coverage", "correlate/alertlevel"}, "who has fallen silent; how watchful to be"},
	{[]string{"respond/mailgate/mailauth", "respond/mailgate/quarantine"}, "proof of who sent a mail; where held mail lies"},
	{[]string{"respond/mailgate/milter", "respond/mailgate/journal", "respond/mailgate/sweep"}, "the doors of the mail layer, a protocol each"},
	{[]string{"respond/posture/evidence"}, "what a fact about somebody's doors is"},
	{[]string{"respond/posture/*"}, "readers of such facts, a pillar or format each, and what is known of products"},
	{[]string{"respond/mailgate", "respond/share", "respond/notify", "respond/posture", "respond/enclave", "respond/tracing"}, "acts on the answer"},
	{[]string{"respond/advise"}, "tells each tenant its own; sends by share and notify"},
	{[]string{"show/api"}, "every operation once, authorised"},
	{[]string{"show/console", "show/report"}, "pages drawn from the answer"},
	{[]string{"scenario"}, "writes telemetry whose truth is known"},
	{[]string{"app"}, "wires the stages; the only one who sees them all"},
	{[]string{"cli"}, "one file a command"},
	{[]string{"cmd/breakwater"}, "main"},
	{[]string{"archtest"}, "looks at the others and is imported by none"},
}

// besides are arrows between packages of one stage.
var besides = map[[2]string]string{
	{"intake/decode/windows", "intake/decode/remotetool"}:    "remote tools write into the Application log of Windows; one package reads their messages wherever they lie",
	{"intake/decode/evtx", "intake/decode/windows"}:          "an event of Windows means the same whether it comes as Windows keeps it or as JSON",
	{"respond/posture/inventory", "respond/posture/product"}: "what an inventory names is judged by what is known of products; other readers have no products",
}

// only restricts packages to fewer imports than their stage would allow.
var only = map[string]struct {
	imports []string
	why     string
}{
	"rules":            {nil, "the pack must be readable by anything"},
	"record/tenant":    {nil, "everything stands on it"},
	"record/ocsf":      {[]string{"record/tenant"}, "everything stands on it"},
	"platform/bounded": {nil, "it reads bytes of unknown meaning"},
	"scenario":         {[]string{"record/*", "platform/bounded"}, "whoever writes the test must not see how the answer is found"},
	"cmd/breakwater":   {[]string{"cli"}, "main only starts"},
	"archtest":         {nil, "it reads source, not code"},
}

// importers restricts who may import a package.
var importers = map[string]struct {
	by  []string
	why string
}{
	"scenario":       {[]string{"cli"}, "nothing that finds intruders may know how they were written"},
	"app":            {[]string{"cli"}, "wiring is for commands alone"},
	"cli":            {[]string{"cmd/breakwater"}, "a command is an end, not a library"},
	"cmd/breakwater": {nil, "main"},
	"archtest":       {nil, "it has no code"},
	"mailcorpus":     {[]string{"mailcorpus/write", "detect/phish", "cli"}, "tests and measurements alone: what finds phishing must not know what it is measured on"},
	"rules":          {[]string{"app", "cli"}, "detectors take rules as values, so that others' rules work alike"},
}

// edge lists packages of the standard library that reach out of the process, and who may import them. Everyone
// else takes bytes and values and gives values.
var edge = []struct {
	imports []string
	by      []string
	why     string
}{
	{
		[]string{"net", "net/http", "net/http/*", "net/smtp", "net/rpc", "crypto/tls", "database/sql", "database/sql/*"},
		[]string{
			"platform/bounded", "platform/state", "platform/authz", "intake/bus", "intake/listen", "intake/listen/*", "history/*",
			"respond/mailgate", "respond/mailgate/*", "respond/share", "respond/notify", "respond/enclave", "respond/posture", "show/api", "app", "cli",
		},
		"the inside is pure: it can be replayed, tested and trusted not to call anyone",
	},
	{
		[]string{"net"}, []string{"intake/decode/*"},
		"for the address types that a library asks for",
	},
	{
		[]string{"os/exec"}, []string{"cli", "platform/*", "respond/*", "mailcorpus"},
		"starting a program is an act, and acts have a place",
	},
	{
		[]string{"unsafe", "plugin"}, nil,
		"everything here reads what an intruder may have written",
	},
}

// linked lists modules that cost seconds of linking, and the packages that link them, with what they import them by.
// Whoever comes to link one of them without a line here fails the test.
var linked = []struct {
	modules []string
	by      []string
	why     string
}{
	{
		[]string{"modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/uptrace/bun", "github.com/cockroachdb/pebble", "github.com/duckdb/duckdb-go"},
		[]string{"platform/state", "platform/authz", "history/*", "show/api", "show/console", "app", "cli", "cmd/breakwater"},
		"tokens and roles are kept in state, so authz links it, and the API and its pages link authz",
	},
	{
		[]string{"github.com/nats-io/nats-server"},
		[]string{"intake/bus", "intake/listen", "intake/listen/*", "app", "cli", "cmd/breakwater"},
		"the bus's interface and its embedded engine are one package, so senders, who speak bus.Frame, link the engine",
	},
}
