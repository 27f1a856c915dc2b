// Package product knows remote-support and remote-management products: how inventories spell their names and
// versions, which versions have known flaws and which are the first without, until when their makers mend them, and
// which flaws are known to be exploited (CISA's KEV).
//
// In: names, publishers and versions as inventories have them; KEV's catalogue as a file. Out: the product, and what
// is known of that version. It promises that what is not known is never called mended: a version that can't be read,
// a number that is counted otherwise, a distribution's package and a product without a line in the table all come to
// "not known". Each line of the table has its source and that source's date; a line from general knowledge says so,
// and so does whatever is concluded from it.
//
// LOLRMM (Apache-2.0) adds the names of some 200 further products without versions.
package product

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// GeneralKnowledge begins the source of a line that no document was read for.
const GeneralKnowledge = "general knowledge, check before relying"

// Class is what a product is to the machine it is on.
type Class string

// The classes.
const (
	ClassAgent           Class = "agent"            // lets somebody operate the machine it is on
	ClassServer          Class = "server"           // through which agents are operated
	ClassTunnel          Class = "tunnel"           // opens a way to the machine past the border
	ClassSecurityConsole Class = "security-console" // a security product whose console runs programs on the machine
)

// Platform is an operating system as far as flaws differ by it.
type Platform string

// The platforms; empty: not known.
const (
	PlatformWindows Platform = "windows"
	PlatformLinux   Platform = "linux"
	PlatformMacOS   Platform = "macos"
)

// Product is one product of the table. It doesn't change once read.
type Product struct {
	ID        string    `yaml:"id"`   // lower case with hyphens
	Name      string    `yaml:"name"` // as people say it
	Vendor    string    `yaml:"vendor"`
	Tool      string    `yaml:"tool"` // the word for it in a trust's remote tools
	Class     Class     `yaml:"class"`
	Instances bool      `yaml:"instances"` // its names tell whose installation it is
	Names     []string  `yaml:"names"`
	Generic   []Generic `yaml:"generic"`
	Packages  []string  `yaml:"packages"`
	KEV       []KEVName `yaml:"kev"`
	KEVCVEs   []string  `yaml:"kev_cves"`
	Ports     []uint16  `yaml:"ports"` // on which its console or server listens, beside 80 and 443
	Flaws     []Flaw    `yaml:"flaws"`
	Support   []Support `yaml:"support"`
	Listed    bool      `yaml:"-"` // from LOLRMM alone: nothing is known of its versions
}

// Generic is a name that other makers use too.
type Generic struct {
	Name      string `yaml:"name"`
	Publisher string `yaml:"publisher"` // with which the publisher begins
}

// KEVName is how KEV calls the product.
type KEVName struct {
	Vendor  string `yaml:"vendor"`
	Product string `yaml:"product"`
}

// Flaw is one line of the table: the versions that one vulnerability is in.
type Flaw struct {
	CVE          string     `yaml:"cve"`
	Any          bool       `yaml:"-"` // whatever version
	Affected     Bound      `yaml:"-"`
	Fixed        Version    `yaml:"fixed"`         // the first without it; zero: not told
	Branch       Version    `yaml:"branch"`        // the line speaks of these versions alone
	From         Version    `yaml:"from"`          // and of none before
	NumberedFrom int64      `yaml:"numbered_from"` // a lower first number belongs to another way of counting
	Build        bool       `yaml:"build"`         // the bound is of the build number
	Platforms    []Platform `yaml:"platforms"`     // empty: all
	KEVAdded     time.Time  `yaml:"kev"`           // when KEV took it up, as the source tells; zero: not
	Source       string     `yaml:"source"`
	Date         time.Time  `yaml:"date"` // of the source
}

// UnmarshalYAML reads "affected", which may be the word any.
func (f *Flaw) UnmarshalYAML(decode func(any) error) error {
	type plain Flaw
	in := struct {
		plain    `yaml:",inline"`
		Affected string `yaml:"affected"`
	}{}
	if err := decode(&in); err != nil {
		return err
	}
	*f = Flaw(in.plain)
	if in.Affected == "any" {
		f.Any = true
		return nil
	}
	var ok bool
	if f.Affected, ok = ParseBound(in.Affected); !ok {
		return fmt.Errorf("%s: %q is no bound: write <1.2.3, <=1.2.3 or any", f.CVE, in.Affected)
	}
	if f.Fixed.IsZero() && !f.Affected.With {
		f.Fixed = f.Affected.Version
	}
	return nil
}

// Policy is how long a maker mends a version.
type Policy string

// The policies.
const (
	PolicyCurrent   Policy = "current"   // the current version alone
	PolicyYears     Policy = "years"     // so many years from a version's release, whose year its first number tells
	PolicyAnnounced Policy = "announced" // until the maker announces the end, which has to be looked up
)

// Support is one line of the table about how long versions are mended.
type Support struct {
	Branch  Version   `yaml:"branch"` // versions it is about; zero: all
	Below   Version   `yaml:"below"`  // versions before this one
	Ends    time.Time `yaml:"ends"`   // last day; zero: not told
	Current bool      `yaml:"current"`
	Ended   time.Time `yaml:"ended"` // the product as a whole was given up on that day
	Policy  Policy    `yaml:"policy"`
	Years   int       `yaml:"years"`
	Source  string    `yaml:"source"`
	Date    time.Time `yaml:"date"`
}

//go:embed products.yaml
var table []byte

// Catalogue is the table of products, ready for look-ups; safe for several goroutines.
type Catalogue struct {
	products []*Product
	byID     map[string]*Product
	whole    map[string]*Product   // names without *
	prefix   []named               // names with *, the longest first
	generic  map[string][]named    // by first word
	packages map[string]*Product   // lower case
	listed   map[string]*Product   // names that LOLRMM alone has
	byCVE    map[string][]*Product // that the table has a flaw for, or is told KEV's id for
	byKEV    map[KEVName][]*Product
	ports    map[uint16][]*Product
	words    map[string]bool  // first words of names, packages and listed names
	starts   map[[2]byte]bool // first two bytes of names with *
}

type named struct {
	name, publisher string
	p               *Product
}

var shipped = sync.OnceValues(func() (*Catalogue, error) { return readCatalogue(table, lolrmmTable) })

// Default returns the table that ships. It panics never: the table is read by a test, and a table that can't be read
// is an empty one.
func Default() *Catalogue {
	c, err := shipped()
	if err != nil {
		return &Catalogue{}
	}
	return c
}

func readCatalogue(products, lolrmm []byte) (*Catalogue, error) {
	var list []*Product
	dec := yaml.NewDecoder(bytes.NewReader(products))
	dec.KnownFields(true)
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("reading the table of products: %w", err)
	}
	c := &Catalogue{products: list, byID: map[string]*Product{}, whole: map[string]*Product{}, generic: map[string][]named{}, packages: map[string]*Product{},
		listed: map[string]*Product{}, byCVE: map[string][]*Product{}, byKEV: map[KEVName][]*Product{}, ports: map[uint16][]*Product{}, words: map[string]bool{}, starts: map[[2]byte]bool{}}
	for _, p := range list {
		if err := c.add(p); err != nil {
			return nil, fmt.Errorf("reading the table of products: %s: %w", p.ID, err)
		}
	}
	slices.SortStableFunc(c.prefix, func(a, b named) int { return len(b.name) - len(a.name) })
	if err := c.addListed(lolrmm); err != nil {
		return nil, fmt.Errorf("reading the table of LOLRMM: %w", err)
	}
	return c, nil
}

func (c *Catalogue) add(p *Product) error {
	if p.ID == "" || p.Name == "" || p.Vendor == "" || p.Tool == "" || len(p.Names)+len(p.Packages)+len(p.Generic) == 0 {
		return fmt.Errorf("needs id, name, vendor, tool and at least one spelling")
	}
	for _, n := range p.Names {
		if len(strings.TrimSuffix(n, "*")) < 3 {
			return fmt.Errorf("the spelling %q is too short", n)
		}
	}
	if c.byID[p.ID] != nil {
		return fmt.Errorf("is there twice")
	}
	if p.Class == "" {
		p.Class = ClassAgent
	}
	c.byID[p.ID] = p
	for _, n := range p.Names {
		if rest, ok := strings.CutSuffix(n, "*"); ok {
			c.prefix = append(c.prefix, named{name: rest, p: p})
			c.starts[[2]byte{rest[0], rest[1]}] = true
		} else {
			c.whole[n] = p
			c.word(n)
		}
	}
	for _, g := range p.Generic {
		first, _, _ := strings.Cut(strings.TrimSuffix(g.Name, "*"), " ")
		c.generic[first] = append(c.generic[first], named{g.Name, g.Publisher, p})
	}
	for _, n := range p.Packages {
		c.packages[n] = p
		c.word(n)
	}
	for _, f := range p.Flaws {
		if f.CVE == "" || f.Source == "" || f.Date.IsZero() {
			return fmt.Errorf("a flaw needs cve, source and date")
		}
		if !slices.Contains(c.byCVE[f.CVE], p) {
			c.byCVE[f.CVE] = append(c.byCVE[f.CVE], p)
		}
	}
	for _, s := range p.Support {
		if s.Source == "" || s.Date.IsZero() {
			return fmt.Errorf("a line about support needs source and date")
		}
	}
	for _, k := range p.KEV {
		c.byKEV[k.key()] = append(c.byKEV[k.key()], p)
	}
	for _, cve := range p.KEVCVEs {
		if !slices.Contains(c.byCVE[cve], p) {
			c.byCVE[cve] = append(c.byCVE[cve], p)
		}
	}
	for _, port := range p.Ports {
		c.ports[port] = append(c.ports[port], p)
	}
	return nil
}

func (c *Catalogue) word(name string) {
	first, _, _ := strings.Cut(name, " ")
	c.words[first] = true
}

// Products lists the products of the table in its order; those of LOLRMM alone are not among them.
func (c *Catalogue) Products() []*Product { return c.products }

// Product returns the product of that id, or nil.
func (c *Catalogue) Product(id string) *Product { return c.byID[id] }

// ByPort returns the products whose console or server listens on a TCP port of its own.
func (c *Catalogue) ByPort(port uint16) []*Product { return c.ports[port] }
