// Package ocsf holds the records that every stage speaks: the event (one normalised record of something that
// happened), its observables, and the finding (what a detector says). Names and numbers are those of the
// Open Cybersecurity Schema Framework 1.x where it has them; the source's own fields stay beside them, since
// Sigma rules speak those.
package ocsf

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// EventID is the identity of an event: a 128-bit hash of the tenant and the source's own id, or of the record
// itself where the source has none. Equal ids are one event, however often it was delivered.
type EventID [16]byte

// String returns the id as 32 hexadecimal digits.
func (id EventID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the id was never set.
func (id EventID) IsZero() bool { return id == EventID{} }

// ClassUID is an OCSF class number.
type ClassUID uint32

// The OCSF classes that decoders produce.
const (
	ClassBase            ClassUID = 0
	ClassFileActivity    ClassUID = 1001
	ClassModuleActivity  ClassUID = 1005
	ClassScheduledJob    ClassUID = 1006
	ClassProcessActivity ClassUID = 1007
	ClassRegistryKey     ClassUID = 201001
	ClassWindowsService  ClassUID = 201004
	ClassAccountChange   ClassUID = 3001
	ClassAuthentication  ClassUID = 3002
	ClassGroupManagement ClassUID = 3006
	ClassNetworkActivity ClassUID = 4001
	ClassHTTPActivity    ClassUID = 4002
	ClassDNSActivity     ClassUID = 4003
	ClassDHCPActivity    ClassUID = 4004
	ClassRDPActivity     ClassUID = 4005
	ClassSMBActivity     ClassUID = 4006
	ClassSSHActivity     ClassUID = 4007
	ClassEmailActivity   ClassUID = 4009
	ClassTunnelActivity  ClassUID = 4014
	ClassAPIActivity     ClassUID = 6003
)

// Status is the OCSF status_id of an event, as far as the source tells.
type Status uint8

// The statuses.
const (
	StatusUnknown Status = iota
	StatusSuccess
	StatusFailure
)

// String returns unknown, success or failure.
func (s Status) String() string {
	return [...]string{"unknown", "success", "failure"}[min(s, StatusFailure)]
}

// Direction tells how an event crosses the tenant's border.
type Direction string

// The directions.
const (
	DirectionUnknown  Direction = ""
	DirectionIn       Direction = "in"
	DirectionOut      Direction = "out"
	DirectionInternal Direction = "internal"
)

// Endpoint is one side of an event.
type Endpoint struct {
	IP     netip.Addr
	Port   uint16
	Host   string // host name as the source gives it
	Domain string // requested or served name: TLS server name, HTTP host, DNS query
}

// IsZero reports whether nothing is known of the endpoint.
func (e Endpoint) IsZero() bool {
	return !e.IP.IsValid() && e.Port == 0 && e.Host == "" && e.Domain == ""
}

// User is an account as the source names it.
type User struct {
	Name   string // account name or principal name
	Domain string // directory domain, where given apart
	UID    string // SID, object id
}

// Process is a process with its parent.
type Process struct {
	Image        string // full path
	OriginalName string
	CommandLine  string
	PID          string
	GUID         string
	ParentImage  string
	ParentLine   string
	Hashes       []string // "SHA256=…" as the source writes them
}

// File is a file that was made, written, read or sent.
type File struct {
	Path   string
	Hashes []string
	Size   int64
}

// Flow is what a network sensor counted of a connection.
type Flow struct {
	Proto     string // tcp, udp, icmp
	Service   string // as the sensor recognised it
	State     string // Zeek conn_state: S0, S1, SF, REJ, RSTO …
	History   string // Zeek history letters
	Duration  time.Duration
	OrigBytes int64
	RespBytes int64
	OrigPkts  int64
	RespPkts  int64
}

// Mail is one message as it was received.
type Mail struct {
	MessageID     string
	InReplyTo     string
	From          string   // address of the From header, lower case
	FromName      string   // display name of the From header
	EnvelopeFrom  string   // Return-Path, lower case
	ReplyTo       string   // address, lower case
	To            []string // addresses of recipients, lower case
	Subject       string
	SPF           string // pass, fail, softfail, neutral, none, temperror, permerror; "" not evaluated
	DKIM          string
	DMARC         string
	DKIMDomain    string
	ARC           string // pass, fail, none; "" not evaluated
	ARCDomain     string // who sealed the chain last
	SendingHost   string // name in the border's Received header
	SendingIP     netip.Addr
	Bulk          bool // List-Unsubscribe or Precedence: bulk
	Links         []Link
	Attachments   []Attachment
	Text          string // visible text, at most 64 KiB
	BodyHash      string // hash of the normalised text: equal for the same text to many
	ParseProblems []string
	Verdict       *MailVerdict // what the gateway that took the message said of it; nil: nobody judged it yet
}

// MailVerdict is what a gateway decided of a message as it came in. Whoever reads the event later takes it as it is.
type MailVerdict struct {
	Verdict   string  // clean, suspicious or phish
	Action    string  // what was done: pass, tag, hold, reject, tempfail; "observe:" before it where it was not
	Score     float64 // probability of phishing, 0 to 1
	Threshold float64 // from which the tenant calls it phish
	Points    int     // of the points model, which name severity and rule
	Rule      string  // of the strongest reason
	Reasons   []MailReason
	HeldAs    string // name in quarantine; "" not held
}

// MailReason is one thing that speaks for or against a message.
type MailReason struct {
	Name   string  `json:"name"`           // stable, lower case with hyphens: link-mismatch
	Weight float64 `json:"weight"`         // log odds that it adds
	Text   string  `json:"text"`           // a sentence for people
	Apex   string  `json:"apex,omitempty"` // the registered domain it is about, or ""
}

// Link is one hyperlink of a message: what is shown and where it leads. It is never fetched.
type Link struct {
	URL  string
	Host string // lower case
	Text string
	From string // where it stands: "" body, qr, pdf, file, calendar
}

// Attachment is one part of a message that is a file.
type Attachment struct {
	Name   string
	Type   string
	Size   int64
	SHA256 string
}

// Cloud is a sign-in or an act in a cloud service.
type Cloud struct {
	Provider       string // azure, m365, aws, gcp …
	Operation      string
	AppID          string
	AppName        string
	Resource       string
	HomeTenant     string // the principal's own cloud tenant
	ResourceTenant string // the cloud tenant that was entered
	CrossTenant    string // Entra crossTenantAccessType
	AppOwnerTenant string
	CredentialID   string // key id of an app's credential
	AccountID      string // AWS account of the caller
	ServicePrin    bool   // an app, not a person
	Interactive    bool
	MFA            string // singleFactorAuthentication, multiFactorAuthentication, "" unknown
	ErrorCode      string
	ASN            int64
	Country        string // ISO 3166 alpha-2
	UserAgent      string
}

// RemoteSession is what a remote-support tool says of itself.
type RemoteSession struct {
	Tool        string // screenconnect, anydesk, teamviewer …, lower case
	Instance    string // product instance id
	SessionID   string
	Relay       string // relay host
	Operator    string // technician as the tool names them
	Target      string // host that is operated
	Company     string // the tool's own grouping, usually the client
	Act         string // install, connect, disconnect, command, file
	CommandLine string
	PeerID      string // id of the other side (AnyDesk, TeamViewer)
}

// Lease says who held an address when, as VPN, DHCP, RMM and NAT records tell.
type Lease struct {
	Kind   string // vpn, dhcp, nat, rmm
	ID     string // the source's session id; empty where it has none
	Addr   netip.Addr
	Public netip.Addr // where the holder came from
	Holder User
	Device string // host name of the holder
	Start  bool
	End    bool
	Lasts  time.Duration // for how long from this record on, where it says so: a DHCP lease, WireGuard's keys; else 0
}

// Translation is what a firewall says of one inside address that it shows as another (source NAT). An address is
// shared by as many inside hosts as it has ports, so it names its user by port and time alone.
type Translation struct {
	Proto   string   // tcp, udp, icmp
	Inside  Endpoint // address and port before; ports of ICMP are 0
	Outside Endpoint // and after
	Start   bool     // the record tells its beginning, at the event's time
	End     bool     // its end: at the event's time, or where both are told, Lasted later
	Lasted  time.Duration
}

// JoinKey is an id that both sides of a trust log, so that a hop is exact and not guessed by time.
type JoinKey struct {
	Kind  string // entra-request, entra-token, rmm-session, rmm-instance, vpn-session, message-id
	Value string
}

// RawRef says where an event was read.
type RawRef struct {
	File   string // path as it was given, slash-separated; members of archives after "!"
	Record int64  // 1-based number of the record in that file
}

// Attribution says through whose trust an event came, and by which rule that was decided.
type Attribution struct {
	Trust     tenant.TrustID
	Partner   tenant.PartnerID
	Rule      string // e.g. "account isl-*", "network 203.0.113.56/29", "vpn session"
	Direction Direction
	Owner     User       // who held the source address then, where a session tells
	OwnerFrom netip.Addr // where that session came from
	OwnerHost string     // the device the session named
	Inside    netip.Addr // who was behind the source address, where a translation record fits it by port and time
	SharedBy  uint16     // how many inside addresses shared the source address then, where no record fits; 0: none are known
	Session   string     // what one actor did without a break; set by the hop graph
}

// Event is one normalised record of something that happened. Fields that the source does not tell are zero.
type Event struct {
	ID       EventID
	SourceID string // the source's own id of the record; empty where it has none
	Time     time.Time
	Seen     time.Time
	Tenant   tenant.ID
	Attribution
	Layer    tenant.Layer
	Class    ClassUID
	Activity string // OCSF activity, lower case: open, logon, logoff, create, send …
	Status   Status
	Src, Dst Endpoint
	Device   string // the host that reports, or on which it happened
	User     User   // whom it concerns: who logs on, whose account is changed
	Actor    User   // who does it
	Process  *Process
	File     *File
	Flow     *Flow
	Mail     *Mail
	Cloud    *Cloud
	Remote   *RemoteSession
	Lease    *Lease
	NAT      *Translation
	URL      string
	Answers  []string // DNS answers
	JoinKeys []JoinKey
	Fields   Fields // the source's own fields, flattened
	Source   string // decoder and kind: zeek/conn, windows/security, mail, entra/signin …
	Sensor   string // the sensor that sent it: its match in the configuration
	Raw      RawRef
}

// Field is one of the source's own fields.
type Field struct{ Name, Value string }

// Fields are the source's own fields, sorted by name. Nested objects are joined with a dot.
type Fields []Field

// Sort puts the fields in order; a decoder calls it once when it has added them all.
func (f Fields) Sort() {
	slices.SortStableFunc(f, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
}

// Get returns the value of the field with exactly that name and whether it is there.
func (f Fields) Get(name string) (string, bool) {
	i, ok := slices.BinarySearchFunc(f, name, func(a Field, n string) int { return strings.Compare(a.Name, n) })
	if !ok {
		return "", false
	}
	return f[i].Value, true
}

// Value returns the value of the field, or "" where it is missing.
func (f Fields) Value(name string) string { v, _ := f.Get(name); return v }
