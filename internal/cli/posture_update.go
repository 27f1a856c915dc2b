package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

// Limits on fetching KEV's catalogue.
const (
	kevTimeout      = 2 * time.Minute
	maxKEVRedirects = 5
)

// kevRow is one entry that an update adds or removes.
type kevRow struct {
	Change     string    `json:"change"` // added, removed
	CVE        string    `json:"cve"`
	Vendor     string    `json:"vendor"`
	Product    string    `json:"product"`
	Added      time.Time `json:"date_added"`
	Ransomware bool      `json:"ransomware"`
	Products   []string  `json:"products,omitempty"` // of the table of remote tools that it is about
	Versions   bool      `json:"versions"`           // the table knows which versions have it
	Reason     string    `json:"reason,omitempty"`
}

var kevColumns = []listColumn[kevRow]{
	{"change", func(r kevRow) string { return r.Change }},
	{"cve", func(r kevRow) string { return r.CVE }},
	{"date_added", func(r kevRow) string { return r.Added.Format(time.DateOnly) }},
	{"vendor", func(r kevRow) string { return r.Vendor }},
	{"product", func(r kevRow) string { return r.Product }},
	{"remote_tools", func(r kevRow) string { return strings.Join(r.Products, " ") }},
	{"reason", func(r kevRow) string {
		if len(r.Products) == 0 {
			return ""
		}
		return r.Reason
	}},
}

// kevUpdate is what a run of posture update is asked for.
type kevUpdate struct {
	source, target, sum, format string
	force, dry, private, all    bool

	roots *tls.Config // for tests; nil: the system's
}

func newPostureUpdate(c *console) *cobra.Command {
	var u kevUpdate
	cmd := &cobra.Command{
		Use:   "update FILE|URL",
		Short: "Take a new catalogue of known exploited vulnerabilities (CISA's KEV)",
		Long: `Update takes CISA's catalogue of known exploited vulnerabilities, the JSON file, from a file or an https:// address
and keeps it for posture check. It is held against CISA's schema and replaces the kept one in one step; whatever
is wrong with it, the kept one stays. So it does where the new one is older, or lacks more than a tenth of what
the kept one has, unless --force is given. What changes for remote tools is shown, with --all every change.
Without --to it is kept in $BREAKWATER_KEV, else in breakwater/kev.json in the user's folder for configuration.`,
		Example: `  breakwater posture update ` + product.KEVAddress + `
  breakwater posture update ./known_exploited_vulnerabilities.json --dry-run -o jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(u.format); err != nil {
				return err
			}
			u.source = args[0]
			if u.target == "" {
				var err error
				if u.target, err = product.DefaultKEVFile(); err != nil {
					return err
				}
			}
			change, err := u.run(cmd.Context())
			if err != nil {
				return err
			}
			return u.print(c, change, time.Now())
		},
	}
	cmd.Flags().StringVar(&u.target, "to", "", "the `FILE` to keep it in")
	cmd.Flags().StringVar(&u.sum, "sha256", "", "the file's SHA-256 in hex, where somebody told it")
	cmd.Flags().BoolVar(&u.force, "force", false, "take it though it is older or much shorter than the kept one")
	cmd.Flags().BoolVar(&u.dry, "dry-run", false, "say what would change, and change nothing")
	cmd.Flags().BoolVar(&u.private, "allow-private", false, "the address may be a private or loopback one")
	cmd.Flags().BoolVar(&u.all, "all", false, "show every change, not those about remote tools alone")
	cmd.Flags().StringVarP(&u.format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

// run reads the new catalogue, all of it, before anything is changed.
func (u *kevUpdate) run(ctx context.Context) (*product.KEVChange, error) {
	r, err := u.open(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := bounded.ReadAll(r, product.MaxKEVBytes)
	if err != nil {
		return nil, fmt.Errorf("reading KEV's catalogue from %s: %w; the kept one stays as it was", u.source, err)
	}
	if sum := sha256.Sum256(raw); u.sum != "" && !strings.EqualFold(u.sum, hex.EncodeToString(sum[:])) {
		return nil, fmt.Errorf("the checksum of %s is %x and should be %s: it is not the file that was meant", u.source, sum, strings.ToLower(u.sum))
	}
	return product.InstallKEV(strings.NewReader(string(raw)), u.target, u.force, u.dry)
}

func (u *kevUpdate) open(ctx context.Context) (io.ReadCloser, error) {
	if !strings.Contains(u.source, "://") {
		f, err := os.Open(u.source)
		if err != nil {
			return nil, fmt.Errorf("reading KEV's catalogue: %w", err)
		}
		if st, err := f.Stat(); err != nil || st.IsDir() {
			f.Close()
			return nil, errors.Join(err, fmt.Errorf("%s is a folder: name the catalogue's JSON file", u.source))
		}
		return f, nil
	}
	at, err := url.Parse(u.source)
	if err != nil || at.Scheme != "https" || at.Host == "" || at.User != nil {
		return nil, errors.New("the catalogue is fetched from an https:// address without user and password")
	}
	ctx, cancel := context.WithTimeout(ctx, kevTimeout)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.source, nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("fetching KEV's catalogue: %w", err)
	}
	resp, err := u.client().Do(req)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("fetching KEV's catalogue: %w; the kept one stays as it was", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		cancel()
		return nil, fmt.Errorf("fetching KEV's catalogue: %s answers %s; the kept one stays as it was", at.Host, resp.Status)
	}
	return &fetched{resp.Body, cancel}, nil
}

// fetched ends the request's time with its body.
type fetched struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (f *fetched) Close() error {
	defer f.cancel()
	return f.ReadCloser.Close()
}

func (u *kevUpdate) client() *http.Client {
	conf := u.roots
	if conf == nil {
		conf = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &http.Client{
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Scheme != "https" || len(via) > maxKEVRedirects {
				return errors.New("it redirects to an address that is not https://, or too often")
			}
			return nil
		},
		Transport: &http.Transport{
			DialContext: (&bounded.Dialer{Private: u.private}).DialContext, TLSClientConfig: conf, TLSHandshakeTimeout: 10 * time.Second,
			ForceAttemptHTTP2: true, ResponseHeaderTimeout: 30 * time.Second, MaxResponseHeaderBytes: 32 << 10, DisableKeepAlives: true,
		},
	}
}

// print shows what changed, and how old the catalogue is now.
func (u *kevUpdate) print(c *console, change *product.KEVChange, now time.Time) error {
	var rows []kevRow
	tools := 0
	add := func(word string, list []product.KEVEntry) {
		for _, e := range list {
			m := product.Default().MatchKEV(e)
			if len(m.Products) > 0 {
				tools++
			} else if !u.all {
				continue
			}
			rows = append(rows, kevRow{word, e.CVE, strings.TrimSpace(e.Vendor), strings.TrimSpace(e.Product), e.Added, e.Ransomware, m.Products, m.Versions, m.Reason})
		}
	}
	add("removed", change.Removed)
	add("added", change.Added)
	if len(rows) > 0 || u.format != "table" {
		if err := printList(c.out, u.format, rows, kevColumns); err != nil {
			return fmt.Errorf("writing what changed: %w", err)
		}
	}
	if change.OldUnreadable != "" {
		fmt.Fprintf(c.err, "The kept catalogue could not be read, so every entry counts as added: %s\n", clean(change.OldUnreadable))
	}
	done := "Kept"
	if u.dry {
		done = "Would keep"
	}
	was := "there was none"
	if change.Old != nil {
		was = "was " + change.Old.Version
	}
	fmt.Fprintf(c.err, "%s %s: %d entries (%s), %d added, %d removed, %d of these about remote tools. %s.\n",
		done, clean(change.New.AgeInWords(now)), len(change.New.Entries), clean(was), len(change.Added), len(change.Removed), tools, clean(u.target))
	return nil
}
