// Package evidence holds the facts that posture is judged on, and what a reader of such facts is. A fact is one
// measured thing about one tenant's doors: an installed program, a line of a firewall's configuration, a restored
// backup. It says when it was true and where it was read; a control (package posture) says what must hold of it.
//
// Readers lie in packages of their own beside this one and know nothing of controls.
package evidence

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Pillar is one of the four sorts of doors that posture watches.
type Pillar string

// The four pillars.
const (
	PillarRemoteAccess Pillar = "remote-access"
	PillarNetwork      Pillar = "network"
	PillarTraining     Pillar = "training"
	PillarBackup       Pillar = "backup"
)

// Pillars lists the four pillars in the order in which they are shown.
var Pillars = []Pillar{PillarRemoteAccess, PillarNetwork, PillarTraining, PillarBackup}

// Item is one fact about one tenant.
type Item struct {
	Tenant  tenant.ID
	Partner tenant.PartnerID // whose access it is about; empty where it is the tenant's own matter
	Trust   tenant.TrustID   // where it is about one declared relationship
	Kind    string           // pillar and sort, such as remote-access.software; each reader's package lists its own
	Subject string           // what it is about, as a person would name it: a host and product, a rule, a repository
	At      time.Time        // when it was true; zero: not known, and then no control passes on it
	From    Origin
	Values  map[string]any // string, bool, int64, float64, time.Time, or []any and map[string]any of these
}

// Origin says where a fact was read.
type Origin struct {
	File   string // as the user named it; empty for facts drawn from telemetry
	Line   int64  // of the file, from 1; for formats without lines the record's number; 0: the file as a whole
	SHA256 string // of the file, hexadecimal; filled in by whoever opened it
	// What was not read of the file, filled in by whoever opened it: whether it breaks off, and how many of its records
	// were left out. What a file does not show may stand there.
	Cut     bool
	LeftOut int64
}

// Input is one file to read and what is known of it from where it lies.
type Input struct {
	Tenant tenant.ID
	Name   string    // the file's name as the user sees it, for messages and Origin
	At     time.Time // when the file was written, for formats that don't say when they were made
	Reader io.Reader // of the content, already without compression; capped by whoever opened it
}

// Sink takes what a reader finds. Both are called from one goroutine, in the order of the file.
type Sink struct {
	Item func(Item) error // an error ends the reading and is returned by it
	Bad  func(line int64, reason string)
}

// Format reads one sort of file.
type Format struct {
	Name      string                              // lower case with hyphens, such as osquery-programs
	About     string                              // one line: what the file is and how one gets it
	Recognise func(name string, head []byte) bool // by content first; head holds the first 64 KiB or the whole file
	// Read gives every fact to the sink. What is broken in one record goes to Sink.Bad and the rest is read on;
	// the error is for what ends the reading.
	Read func(ctx context.Context, in Input, sink Sink) error
}

// ErrNotThis is returned by Format.Read where a file turns out, past its head, to be of another format. No fact may
// have been given to the sink before.
var ErrNotThis = errors.New("the file is of another format")
