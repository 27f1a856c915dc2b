package config

import (
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Serve is how `breakwater serve` takes telemetry in, what it may use, and whom it tells. File names in it are
// absolute once read: those of the file are relative to its folder.
type Serve struct {
	Listen  string // host:port of the page, the API and HTTP intake
	TLS     *TLS   // nil: plain HTTP, which is for loopback alone
	Syslog  []Syslog
	NetFlow []NetFlow
	Tail    []Tail
	Drop    string // folder whose files are taken in, bound by the sensors' path patterns; empty: none
	Reorder Reorder
	Limits  Limits
	Notify  Notify
	Alert   Alert
}

// TLS names the files of a certificate, its key, and the authority whose client certificates are believed.
type TLS struct {
	Cert, Key string
	ClientCA  string // empty: client certificates are not asked for
}

// The transports of a Syslog listener.
const (
	TransportUDP = "udp"
	TransportTCP = "tcp"
	TransportTLS = "tls"
)

// Syslog is one listener for syslog. A sender that no binding covers is refused, and counted.
type Syslog struct {
	Transport  string // TransportUDP, TransportTCP or TransportTLS
	Address    string // host:port
	Bindings   []Binding
	MaxMessage int64 // bytes
}

// NetFlow is one collector of flow exports over UDP: NetFlow v5 and v9, IPFIX and sFlow, told apart by content. An
// exporter that no binding covers is refused, and counted.
type NetFlow struct {
	Address  string // host:port of UDP
	Bindings []Binding
}

// Binding says whose telemetry a sender brings: by the address it comes from or the certificate it shows.
type Binding struct {
	Source      string // prefix; empty where Certificate is set
	Certificate string // SHA-256 fingerprint in 64 lower-case hex digits, or a name that the certificate holds
	Sensor      string
	Tenant      tenant.ID // empty where the declared sensor's map decides
	Layer       tenant.Layer
}

// Tail is files that are read as they grow, rotation included.
type Tail struct {
	Paths  []string // patterns of path/filepath.Match, absolute
	Sensor string
	Tenant tenant.ID // empty where the declared sensor's map decides
	Layer  tenant.Layer
}

// Reorder is how events that come out of order are put right.
type Reorder struct {
	Settle time.Duration // how long an event waits for earlier ones that are on their way
	Window time.Duration // how far behind its sensor's latest an event may lie before it counts as late
}

// Limits is what serve may use. A quota of 0 is no quota: tenants then share fairly.
type Limits struct {
	BusBytes              int64 // of the bus on disk
	MinFree               int64 // bytes of the disk that intake leaves alone
	Memory                int64 // bytes of the heap that the program aims to stay below
	RequestBytes          int64 // of one request, before and after it is unpacked
	TenantEventsPerSecond int64
	TenantBytesPerSecond  int64
	Connections           int // open at a time, of one listener
}

// Notify is whom to tell.
type Notify struct {
	Webhooks    []Webhook
	Mail        []Mail
	RepeatAfter time.Duration // the same matter is not told again before, unless it got worse
	PerHour     int           // messages of one channel; what is beyond goes into one summary
}

// Audience is whose matters a channel may carry.
type Audience struct {
	All     bool
	Tenants []tenant.ID // empty where All is set
}

// Scope returns the audience as a set of tenants.
func (a Audience) Scope() tenant.Scope {
	if a.All {
		return tenant.ScopeAll()
	}
	return tenant.ScopeOf(a.Tenants...)
}

// Webhook is a receiver of signed HTTP messages.
type Webhook struct {
	Audience
	Name         string
	URL          string
	SecretFile   string
	MinSeverity  ocsf.Severity // nothing below is told; SeverityUnknown: as the tenant's alert level says
	AllowPrivate bool          // the receiver may have a private or loopback address
}

// The ways in which a mail server is spoken to.
const (
	MailStartTLS = "starttls" // on the submission port; without the server's STARTTLS nothing is sent
	MailTLS      = "tls"      // from the first byte
	MailPlain    = "none"     // for a server on this machine alone
)

// Mail is a receiver of e-mail.
type Mail struct {
	Audience
	Name         string
	Host         string
	Port         int
	TLS          string // MailStartTLS, MailTLS or MailPlain
	Username     string // empty: no authentication
	PasswordFile string
	From         string // a bare address
	To           []string
	MinSeverity  ocsf.Severity
	AllowPrivate bool
}

// Alert is how alert levels behave.
type Alert struct {
	For time.Duration // how long a campaign keeps a level raised after its last evidence
}

// DefaultServe returns what holds where the file has no serve section, or leaves a key of it out.
func DefaultServe() *Serve {
	return &Serve{
		Listen:  "127.0.0.1:8460",
		Reorder: Reorder{Settle: 300 * time.Millisecond, Window: 2 * time.Minute},
		Limits: Limits{
			BusBytes: 4 << 30, MinFree: 1 << 30, Memory: 1 << 30, RequestBytes: 64 << 20, Connections: 1024,
		},
		Notify: Notify{RepeatAfter: 24 * time.Hour, PerHour: 30},
		Alert:  Alert{For: 72 * time.Hour},
	}
}

// defaultMaxMessage is the longest syslog message taken where the listener names no other.
const defaultMaxMessage = 64 << 10

// SensorNamed returns the first declared sensor of that name.
func (f *File) SensorNamed(name string) (*Sensor, bool) {
	for i := range f.Sensors {
		if f.Sensors[i].Name == name {
			return &f.Sensors[i], name != ""
		}
	}
	return nil, false
}
