package product

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// KEVAddress is where CISA publishes its catalogue of known exploited vulnerabilities.
const KEVAddress = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"

// Limits on KEV's catalogue, which had 1 MB and 1,404 entries in August 2025.
const (
	MaxKEVBytes   = 64 << 20
	maxKEVEntries = 200_000
	maxKEVText    = 16 << 10 // of one field, bytes
)

// KEVOldAfter is the age from which a catalogue is called old: CISA adds to it several times a week.
const KEVOldAfter = 30 * 24 * time.Hour

// KEVEntry is one vulnerability that CISA knows to be exploited.
type KEVEntry struct {
	CVE        string
	Vendor     string
	Product    string
	Name       string
	Added      time.Time // the day it was listed, midnight UTC
	Due        time.Time
	Ransomware bool // known to be used for it
}

// KEV is one release of CISA's catalogue. It doesn't change once read.
type KEV struct {
	Version  string
	Released time.Time // as the catalogue says
	Entries  map[string]KEVEntry

	named map[KEVName][]KEVEntry // by vendor and product without blanks around them, in lower case
}

func (k KEVName) key() KEVName {
	return KEVName{strings.ToLower(strings.TrimSpace(k.Vendor)), strings.ToLower(strings.TrimSpace(k.Product))}
}

var cveForm = regexp.MustCompile(`^CVE-[0-9]{4}-[0-9]{4,19}$`)

// ParseKEV reads the catalogue's JSON and holds it against what CISA's own schema asks for: the fields that must be
// there, the form of ids and days, and a count that is true. Any fault refuses the whole, since half a catalogue would
// call exploited flaws harmless.
func ParseKEV(r io.Reader) (*KEV, error) {
	raw, err := bounded.ReadAll(r, MaxKEVBytes)
	if err != nil {
		return nil, fmt.Errorf("reading KEV's catalogue: %w", err)
	}
	var in struct {
		CatalogVersion  *string `json:"catalogVersion"`
		DateReleased    *string `json:"dateReleased"`
		Count           *int    `json:"count"`
		Vulnerabilities []struct {
			CVEID                      string `json:"cveID"`
			VendorProject              string `json:"vendorProject"`
			Product                    string `json:"product"`
			VulnerabilityName          string `json:"vulnerabilityName"`
			DateAdded                  string `json:"dateAdded"`
			ShortDescription           string `json:"shortDescription"`
			RequiredAction             string `json:"requiredAction"`
			DueDate                    string `json:"dueDate"`
			KnownRansomwareCampaignUse string `json:"knownRansomwareCampaignUse"`
		} `json:"vulnerabilities"`
	}
	raw = []byte(strings.TrimPrefix(string(raw), "\ufeff"))
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, fmt.Errorf("reading KEV's catalogue: it is not the JSON that CISA publishes: %w", err)
	}
	switch {
	case in.CatalogVersion == nil || in.DateReleased == nil || in.Count == nil || in.Vulnerabilities == nil:
		return nil, errors.New("reading KEV's catalogue: catalogVersion, dateReleased, count or vulnerabilities is missing: it is another file, or cut short")
	case len(in.Vulnerabilities) == 0:
		return nil, errors.New("reading KEV's catalogue: it has no entries")
	case len(in.Vulnerabilities) > maxKEVEntries:
		return nil, fmt.Errorf("reading KEV's catalogue: more than %d entries", maxKEVEntries)
	case *in.Count != len(in.Vulnerabilities):
		return nil, fmt.Errorf("reading KEV's catalogue: it says it has %d entries and has %d: it was cut short or changed", *in.Count, len(in.Vulnerabilities))
	}
	out := &KEV{Version: cutText(*in.CatalogVersion, 40), Entries: make(map[string]KEVEntry, len(in.Vulnerabilities)), named: map[KEVName][]KEVEntry{}}
	if out.Released, err = time.Parse(time.RFC3339Nano, *in.DateReleased); err != nil {
		return nil, fmt.Errorf("reading KEV's catalogue: dateReleased %q is not a time", cutText(*in.DateReleased, 40))
	}
	out.Released = out.Released.UTC()
	for i, v := range in.Vulnerabilities {
		e := KEVEntry{CVE: v.CVEID, Vendor: v.VendorProject, Product: v.Product, Name: v.VulnerabilityName, Ransomware: v.KnownRansomwareCampaignUse == "Known"}
		var err1, err2 error
		e.Added, err1 = time.Parse(time.DateOnly, v.DateAdded)
		e.Due, err2 = time.Parse(time.DateOnly, v.DueDate)
		switch {
		case !cveForm.MatchString(v.CVEID):
			return nil, fmt.Errorf("reading KEV's catalogue: entry %d: %q is no CVE id", i+1, cutText(v.CVEID, 40))
		case strings.TrimSpace(v.VendorProject) == "" || strings.TrimSpace(v.Product) == "":
			return nil, fmt.Errorf("reading KEV's catalogue: %s has no vendor or product", v.CVEID)
		case err1 != nil || err2 != nil:
			return nil, fmt.Errorf("reading KEV's catalogue: %s: dateAdded or dueDate is not a day", v.CVEID)
		case len(v.VendorProject)+len(v.Product)+len(v.VulnerabilityName)+len(v.ShortDescription)+len(v.RequiredAction) > maxKEVText:
			return nil, fmt.Errorf("reading KEV's catalogue: %s has more than %d KiB of text", v.CVEID, maxKEVText>>10)
		}
		if _, twice := out.Entries[e.CVE]; twice {
			return nil, fmt.Errorf("reading KEV's catalogue: %s is there twice", e.CVE)
		}
		out.Entries[e.CVE] = e
		key := KEVName{e.Vendor, e.Product}.key()
		out.named[key] = append(out.named[key], e)
	}
	return out, nil
}

func cutText(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// Age returns how old the catalogue is.
func (k *KEV) Age(now time.Time) time.Duration { return now.Sub(k.Released) }

// Old reports whether so much time has passed that entries are surely missing.
func (k *KEV) Old(now time.Time) bool { return k.Age(now) > KEVOldAfter }

// AgeInWords says which catalogue it is and how old, for every place that shows a conclusion from it. A nil KEV says
// that there is none.
func (k *KEV) AgeInWords(now time.Time) string {
	if k == nil {
		return "no KEV catalogue is there: run breakwater posture update " + KEVAddress
	}
	days := int(k.Age(now) / (24 * time.Hour))
	text := fmt.Sprintf("KEV %s, %d days old", k.Version, max(days, 0))
	if k.Old(now) {
		text += ": too old to speak for what was listed since; run breakwater posture update " + KEVAddress
	}
	return text
}

// of lists the entries about a product: those that KEV names so, and those whose ids the table gives it.
func (k *KEV) of(p *Product) []KEVEntry {
	var out []KEVEntry
	for _, n := range p.KEV {
		out = append(out, k.named[n.key()]...)
	}
	add := func(cve string) {
		if e, ok := k.Entries[cve]; ok && !slices.ContainsFunc(out, func(o KEVEntry) bool { return o.CVE == cve }) {
			out = append(out, e)
		}
	}
	for _, f := range p.Flaws {
		add(f.CVE)
	}
	for _, cve := range p.KEVCVEs {
		add(cve)
	}
	return out
}

// KEVMatch says what the table knows of one entry of KEV.
type KEVMatch struct {
	Products []string // ids, in the table's order; empty: none of the table's products
	Versions bool     // the table knows which versions have it, in at least one of them
	Reason   string   // why there are no products, or no versions
}

// MatchKEV finds the products that an entry is about: by its id first, since KEV's names are coarse ("Zoho
// ManageEngine" is five products), then by vendor and product.
func (c *Catalogue) MatchKEV(e KEVEntry) KEVMatch {
	list := c.byCVE[e.CVE]
	if len(list) == 0 {
		list = c.byKEV[KEVName{e.Vendor, e.Product}.key()]
	}
	var out KEVMatch
	for _, p := range list {
		out.Products = append(out.Products, p.ID)
		out.Versions = out.Versions || slices.ContainsFunc(p.Flaws, func(f Flaw) bool { return f.CVE == e.CVE })
	}
	switch {
	case len(list) == 0:
		out.Reason = fmt.Sprintf("%s %s is no product of the table", strings.TrimSpace(e.Vendor), strings.TrimSpace(e.Product))
	case !out.Versions:
		out.Reason = "the table has no versions for " + e.CVE + ": KEV gives none, so installations of " + strings.Join(out.Products, ", ") + " come to unknown"
	}
	return out
}

// KEVChange is what taking a new catalogue changes.
type KEVChange struct {
	Old, New       *KEV       // Old is nil where there was none
	Added, Removed []KEVEntry // by day and id
	OldUnreadable  string     // why there was nothing to compare with, though there was a file
}

// DefaultKEVFile returns where the catalogue is kept where nothing else is said: $BREAKWATER_KEV, else
// breakwater/kev.json in the user's folder for configuration.
func DefaultKEVFile() (string, error) {
	if name := os.Getenv("BREAKWATER_KEV"); name != "" {
		return name, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding where KEV's catalogue is kept: %w: set BREAKWATER_KEV to a file", err)
	}
	return filepath.Join(dir, "breakwater", "kev.json"), nil
}

// LoadKEV reads the catalogue that is kept in a file. The error is fs.ErrNotExist where there is none.
func LoadKEV(name string) (*KEV, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening KEV's catalogue: %w", err)
	}
	defer f.Close()
	k, err := ParseKEV(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return k, nil
}

// InstallKEV takes a new catalogue from r and puts it into a file in one step. Whatever is wrong with it, the old one
// stays: a file that is no catalogue, one that is older than the old one, or one that lacks more than a tenth of the
// old one's entries (force allows the last two). With dry it says what would change and changes nothing.
func InstallKEV(r io.Reader, name string, force, dry bool) (*KEVChange, error) {
	var raw strings.Builder
	fresh, err := ParseKEV(io.TeeReader(r, &raw))
	if err != nil {
		return nil, fmt.Errorf("%w; the old catalogue stays as it was", err)
	}
	change := &KEVChange{New: fresh}
	old, err := LoadKEV(name)
	switch {
	case err == nil:
		change.Old = old
	case !errors.Is(err, fs.ErrNotExist):
		change.OldUnreadable = err.Error()
	}
	if old != nil {
		if !force && fresh.Released.Before(old.Released) {
			return nil, fmt.Errorf("the catalogue %s is older than %s, which is there; the old one stays as it was (--force takes it)", fresh.Version, old.Version)
		}
		if lost := missingFrom(old, fresh); !force && len(lost)*10 > len(old.Entries) {
			return nil, fmt.Errorf("the catalogue %s lacks %d of %d entries that are there; the old one stays as it was (--force takes it)", fresh.Version, len(lost), len(old.Entries))
		}
		change.Removed = missingFrom(old, fresh)
		change.Added = missingFrom(fresh, old)
	} else {
		change.Added = missingFrom(fresh, &KEV{})
	}
	if dry {
		return change, nil
	}
	if err := replaceFile(name, raw.String()); err != nil {
		return nil, fmt.Errorf("keeping KEV's catalogue: %w; the old one stays as it was", err)
	}
	return change, nil
}

// missingFrom lists what a has and b hasn't.
func missingFrom(a, b *KEV) []KEVEntry {
	var out []KEVEntry
	for id, e := range a.Entries {
		if _, ok := b.Entries[id]; !ok {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(x, y KEVEntry) int { return cmp.Or(x.Added.Compare(y.Added), cmp.Compare(x.CVE, y.CVE)) })
	return out
}

// replaceFile writes beside the file and renames, so that a reader sees the old or the new one whole.
func replaceFile(name, content string) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".kev-*.part")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.WriteString(content); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
