// Package scenario writes the telemetry of several organisations in the products' own formats, together with the
// truth about it: honest daily life of a provider and its clients and, where the kind has one, an intruder who
// comes to the clients through the provider.
//
// In go the options (kind, seed, size); out comes a folder: breakwater.yaml, telemetry, truth.json and
// attack.tsv, as docs/scenario-format.md fixes it. The same options give the same bytes. Background and intruder
// draw from separate streams of chance: leaving the attack out leaves every other record as it was. Memory holds
// at most an hour of the bulk of one tenant, however many events are asked for. Check reads such a folder and
// says whether it is fair. On an error the folder is left incomplete, without truth.json, and Check refuses it.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The size of a scenario.
const (
	MinClients = 3
	MaxClients = 40
	MinDays    = 3
	MaxDays    = 366
	MaxEvents  = 1_000_000_000
	MaxSkew    = time.Hour // beyond it a clock is set to another time zone rather than off
)

// Options says what to write; the zero value of a field asks for its default.
type Options struct {
	Kind          string         // one of Kinds; default island-hop
	Clients       int            // clients of the provider, 3 to 40, some kinds want 4; default 7
	Days          int            // 3 to 366, slow-espionage wants 10; default 11, slow-espionage 45
	Seed          uint64         // another seed, another story
	Rename        uint64         // not 0: other names, addresses, accounts, ids and dates for the same story
	Start         time.Time      // first day, cut to midnight UTC; zero: a fixed Monday
	Events        int64          // not 0: the background grows to about this many events
	WithoutAttack bool           // write the background alone
	WithoutLayers []tenant.Layer // layers that no tenant sends
	Overlap       bool           // the clients share RFC 1918 space
	SharedNAT     bool           // a partner's people come from one pool of addresses, some clients keep the translations
	Skew          time.Duration  // some sensors' clocks are off by up to this, at most MaxSkew; they drift
	Late          bool           // some sensors deliver late and out of order, in files rotated by the day of arrival
	IPv6          bool           // some clients' networks and VPN pools are dual stack
}

// defaultStart is a Monday; a renamed scenario moves by whole weeks, so that working days stay working days.
var defaultStart = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// kind is one sort of scenario: plan casts the organisations and says what the intruder does.
type kind struct {
	name       string
	cast       func(w *world) // decides trusts, sensors and outcomes before names are written anywhere
	plan       func(w *world) // writes the intruder's records into w.plan and the campaigns into w.campaigns
	days       int            // default; 0: 11
	minDays    int            // 0: MinDays
	minClients int            // 0: MinClients
	directory  bool           // the sensors log the directory's protocols, and some firewalls what passes them
	pace       float64        // office traffic, where a long story wants it thinner; 0: 1
	platforms  []platform     // the provider runs its clients' hosts with one of these
	web        bool           // the log of the web server before the platform's own server is kept
	apps       bool           // some clients have Okta, AWS and GitHub beside Microsoft's clouds
	maker      bool           // the maker's product is updated by itself
	extra      []twin         // benign twins that the other kinds don't need
}

var kinds = []kind{islandHop, delegatedAdmin, falseAlarm, slowEspionage, smallSupplier, supportOutsourcer, twoProviders, twoHops,
	rmmFlash, rmmServerTakeover, consoleNotCalledRMM, appOrKey, helpDeskReset, contractorLaptop, trojanUpdate}

// Kinds lists the kinds of telemetry that Write knows; beside them there is PartnerMail.
func Kinds() []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = k.name
	}
	return out
}

// Check says what of the options can't be had.
func (o Options) Check() error {
	_, err := o.normalise()
	return err
}

func (o *Options) normalise() (*kind, error) {
	if o.Kind == "" {
		o.Kind = islandHop.name
	}
	if o.Kind == PartnerMail {
		if o.Events != 0 || len(o.WithoutLayers) > 0 || o.Overlap || o.SharedNAT || o.Skew != 0 || o.Late || o.IPv6 {
			return nil, fmt.Errorf("%s holds mail alone: only seed, rename, start and without-attack can be chosen", PartnerMail)
		}
		return &kind{name: PartnerMail}, nil
	}
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == o.Kind })
	if i < 0 {
		return nil, fmt.Errorf("unknown kind %q, known are %s and %s", o.Kind, strings.Join(Kinds(), ", "), PartnerMail)
	}
	if o.Clients == 0 {
		o.Clients = 7
	}
	k := &kinds[i]
	if least := max(MinClients, k.minClients); o.Clients < least || o.Clients > MaxClients {
		return nil, fmt.Errorf("%d clients asked for, %d to %d are possible with %s", o.Clients, least, MaxClients, k.name)
	}
	if o.Days == 0 {
		o.Days = max(11, k.days)
	}
	if least := max(MinDays, k.minDays); o.Days < least || o.Days > MaxDays {
		return nil, fmt.Errorf("%d days asked for, %d to %d are possible with %s", o.Days, least, MaxDays, k.name)
	}
	if o.Skew < 0 || o.Skew > MaxSkew {
		return nil, fmt.Errorf("clocks off by %v asked for, 0s to %v are possible", o.Skew, MaxSkew)
	}
	if o.Events < 0 || o.Events > MaxEvents {
		return nil, fmt.Errorf("%d events asked for, at most %d are possible", o.Events, MaxEvents)
	}
	for _, l := range o.WithoutLayers {
		if !slices.Contains(tenant.Layers, l) {
			return nil, fmt.Errorf("unknown layer %q, known are %v", l, tenant.Layers)
		}
	}
	return k, nil
}

// Write writes the scenario into dir, which must be empty or absent, and returns its truth.
func Write(ctx context.Context, o Options, dir string) (*Truth, error) {
	k, err := o.normalise()
	if err != nil {
		return nil, fmt.Errorf("writing a scenario: %w", err)
	}
	if err := emptyDir(dir); err != nil {
		return nil, fmt.Errorf("writing a scenario: %w", err)
	}
	if k.name == PartnerMail {
		t, err := writePartnerMail(ctx, o, dir)
		if err != nil {
			return nil, fmt.Errorf("writing a scenario: %w", err)
		}
		return t, nil
	}
	w := newWorld(o, k)
	w.tell()
	if err := w.writeConfig(dir); err != nil {
		return nil, fmt.Errorf("writing a scenario: %w", err)
	}
	if err := w.writeTelemetry(ctx, dir); err != nil {
		return nil, fmt.Errorf("writing a scenario: %w", err)
	}
	t := w.truth()
	if err := t.write(dir); err != nil {
		return nil, fmt.Errorf("writing a scenario: %w", err)
	}
	return t, nil
}

// tell settles who is who, who may do what and what happens beside daily life.
func (w *world) tell() {
	w.kind.cast(w)
	w.equip()
	w.grow()
	w.declare()
	w.twins()
	w.carrier()
	w.conversations()
	w.kind.plan(w)
	w.controls()
	w.declareDualStack()
}

func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.ReadDir(1); err == nil {
		return fmt.Errorf("%s is not empty", filepath.Clean(dir))
	} else if !errors.Is(err, io.EOF) {
		return fmt.Errorf("looking into %s: %w", dir, err)
	}
	return nil
}
