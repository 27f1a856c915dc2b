// Package netflow reads what routers, switches and firewalls export of the flows that pass them: NetFlow v5 (Cisco's
// format), NetFlow v9 (RFC 3954, with Cisco's NSEL), IPFIX (RFC 7011, bidirectional flows by RFC 5103) and sFlow v5
// (sflow.org), live by a Translator and from files.
//
// A Translator takes export datagrams and gives flows as lines of JSON of our own schema, which Objects read back into
// events of source netflow/flow. So a line stands for itself: whoever reads it needs no template. Files of datagrams,
// each behind its length in four bytes (big endian), go the same way.
//
// Most exporters tell each direction of a connection apart. The Translator holds a record for a while (Options.Hold) and
// pairs it with the opposite one: same ports and addresses, after translation where the exporter tells it, times that
// overlap or lie within 5 s. Who began: of TCP the side that sent SYN and never ACK; else the side that started
// earlier; else the higher port. A record whose opposite doesn't come is told as half. The state is Zeek's, by the
// flags that each side ever set (decode.TCPState):
//
//   - half of a connection that begins with SYN-ACK, or is a RST alone, is turned round, with ^ in History and state
//     OTH, so that backscatter accuses nobody; so is an answer over UDP from a port below 1024 to one from 32768 on (SHR)
//   - UDP is SF (both sides spoke) or S0; ICMP is OTH, and icmp_type says what was asked
//   - of an exporter that samples (sampling above 1) a missing answer says nothing: OTH
//   - where TCP flags are not told: S0 for few packets without data and without answer, REJ where a bare header
//     answered, SF where both sides sent data, S1 otherwise; a flow that a firewall denied is S0
//
// A connection that is exported in parts (active timeout) is known again by its addresses and ports: all parts have the
// uid of the first, and the second and later ones have part, are OTH, and keep the direction of the first.
//
// Counts are multiplied by the sampling factor. Exporters count bytes of IP; Flow has an estimate of the payload (IP
// and transport headers of 40 bytes and the like subtracted), the fields bytes and rbytes have what was exported. Times
// relative to the exporter's boot are computed modulo 2^32 ms; a record without times has that of its export, and field
// clock says export, or received where the exporter's clock is not set.
//
// Limits are constants of this package. Datagrams that can't be read are errors of Translator.Datagram; records whose
// template hasn't come wait within bounds (MaxPending), and what is dropped is counted by reason in Stats. The decoders
// of templates, NetFlow v5 and sFlow samples are goflow2's, behind checks of every count: v2.2.6 by itself allocates up
// to 128 GB for one hostile sFlow sample and loops for ever on a template of no length.
package netflow

import (
	"net/netip"
	"time"
)

// Limits of a Translator.
const (
	MaxExporters  = 4096             // addresses whose templates are kept; the one silent longest goes
	MaxTemplates  = 1024             // templates of one exporter, over all its observation domains
	MaxFields     = 512              // fields of one template
	MaxSamplers   = 256              // sampling factors of one observation domain
	MaxDomains    = 256              // observation domains of one exporter
	MaxPending    = 8 << 20          // bytes of records that wait for their template, of all exporters
	MaxPendingOne = 1 << 20          // the same, of one exporter
	PendingFor    = 10 * time.Minute // how long they wait
	MaxDatagram   = 64 << 10         // bytes
	MaxParts      = 1 << 16          // connections that are known again when their next part comes
	maxSampling   = 1 << 24          // factors beyond are taken for 1
)

// The defaults of Options.
const (
	DefaultHold = 2 * time.Second // live: both directions are exported within moments
	DefaultHeld = 1 << 17         // records, about 40 MB
	fileHold    = time.Minute     // of export time
	fileHeld    = 1 << 18
)

// Options are the limits of pairing; a zero field takes the default.
type Options struct {
	Hold time.Duration // how long a record waits for the opposite direction
	Held int           // records that wait; beyond, those that waited longest go on

	// Emit takes each flow as one line of JSON without its line end, valid during the call, and who exported it.
	Emit func(exporter netip.Addr, line []byte)

	// refuse, in files, takes what is given up: records whose template never came.
	refuse func(reason string, raw []byte)
	// each, in tests, sees every record before it is paired.
	each func(*record)
}

// Stats counts what a Translator did since it was made.
type Stats struct {
	Datagrams  int64 // taken
	Bad        int64 // of these, those that could not be read, in whole or from some set on
	Records    int64 // of one direction, or of both where the exporter tells them together
	Flows      int64 // given
	Halves     int64 // of these, those of which one direction was seen
	Repeated   int64 // records that told again what another observation point of the exporter told
	Skipped    int64 // records that tell of no flow, or only that one began (NSEL)
	Untimed    int64 // sFlow samples in a file, which nothing dates
	Early      int64 // records that waited less than Options.Hold because too many did
	NoTemplate int64 // sets dropped: their template did not come in time
	NoRoom     int64 // sets dropped: too much waited for templates
	TooMany    int64 // templates refused: too many, or with too many fields
	Lost       int64 // datagrams, or records of v5 and IPFIX, that the exporters' sequence numbers miss
	Waiting    int64 // bytes of records that wait for their template now
	Exporters  int64 // known now
	Templates  int64 // known now
}
