package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/platform/signing"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

func newPostureStatement(c *console) *cobra.Command {
	var f postureFlags
	var x exchangeFlags
	var issuer, to, out string
	var only []string
	var days int
	cmd := &cobra.Command{
		Use:   "statement DIR…",
		Short: "Sign what clients may see of one tenant's posture",
		Long: `Statement judges one tenant's evidence and writes a signed statement: each control with its status, how old its
evidence is, and the hashes of the files behind it. No subject, host, person or reason is in it. The key is the one
of ` + "`breakwater trace key create`" + `, whose fingerprint the other side may have pinned already.`,
		Example: `  breakwater posture statement --tenant msp --issuer north-msp --data ./data --out statement.json ./evidence
  breakwater posture statement --tenant msp --key ./key.pem --for acme --days 90 ./evidence > statement.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.tenant == "" {
				return usage("--tenant: say whose posture is stated")
			}
			if days < 1 || days > 400 {
				return usage("--days: 1 to 400")
			}
			name, err := x.keyFile()
			if err != nil {
				return err
			}
			key, err := signing.ReadKey(name)
			if err != nil {
				return err
			}
			p, err := f.read(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			if len(only) > 0 {
				if _, err := p.library.Only(only...); err != nil {
					return err
				}
			}
			reports, err := p.check(cmd.Context(), p.library)
			if err != nil {
				return err
			}
			s, err := reports[0].State(issuer, to, p.now, time.Duration(days)*24*time.Hour, only...)
			if err != nil {
				return err
			}
			doc, err := s.Sign(key)
			if err != nil {
				return err
			}
			if err := writeOut(c, out, doc); err != nil {
				return fmt.Errorf("writing the statement: %w", err)
			}
			counts := map[posture.Status]int{}
			for _, x := range s.Claims {
				counts[x.Status]++
			}
			fmt.Fprintf(c.err, "%d claims (%s), as of %s; holds until %s.\n", len(s.Claims), statusTally(counts), utcText(s.At), utcText(s.Expires))
			return nil
		},
	}
	f.flags(cmd)
	x.flags(cmd)
	cmd.Flags().StringVar(&issuer, "issuer", "", "the organisation, as it calls itself; the tenant's name where it is left out")
	cmd.Flags().StringVar(&to, "for", "", "to whom the statement is made")
	cmd.Flags().StringArrayVar(&only, "control", nil, "state only this control (may be repeated); the statement says that it is a part")
	cmd.Flags().IntVar(&days, "days", 35, "for how many days the statement holds")
	cmd.Flags().StringVar(&out, "out", "", "write it to this file instead of standard output")
	return cmd
}

func writeOut(c *console, name string, data []byte) error {
	if name == "" || name == "-" {
		_, err := c.out.Write(data)
		return err
	}
	return os.WriteFile(name, data, 0o644)
}

// verifiedRow is a statement as `posture verify` prints it.
type verifiedRow struct {
	Issuer   string             `json:"issuer"`
	For      string             `json:"for,omitempty"`
	Signer   string             `json:"signer"`
	Pinned   bool               `json:"pinned"`
	Partners []tenant.PartnerID `json:"partners,omitempty"` // whose key the configuration says it is
	At       time.Time          `json:"at"`
	Issued   time.Time          `json:"issued"`
	Expires  time.Time          `json:"expires"`
	Expired  bool               `json:"expired"`
	Partial  bool               `json:"part,omitempty"`
	SHA256   string             `json:"sha256"`
	Claims   []claimRow         `json:"claims"`

	Contradictions []*ocsf.Finding `json:"contradictions"`
}

// claimRow is one claim with what it is worth now.
type claimRow struct {
	posture.Claim
	Now    posture.Status `json:"now"`
	Reason string         `json:"reason,omitempty"`
	Known  bool           `json:"known"` // our control of this id is the same
}

var claimColumns = []listColumn[claimRow]{
	{"now", func(r claimRow) string { return string(r.Now) }},
	{"claimed", func(r claimRow) string { return string(r.Status) }},
	{"severity", func(r claimRow) string { return r.Severity.String() }},
	{"pillar", func(r claimRow) string { return string(r.Pillar) }},
	{"control", func(r claimRow) string { return r.Control }},
	{"newest", func(r claimRow) string {
		if r.Newest == nil {
			return ""
		}
		return r.Newest.Format(time.DateOnly)
	}},
	{"files", func(r claimRow) string { return fmt.Sprint(r.Files) }},
	{"reason", func(r claimRow) string { return r.Reason }},
}

func newPostureVerify(c *console) *cobra.Command {
	var f postureFlags
	var key, partner, format string
	var against []string
	cmd := &cobra.Command{
		Use:   "verify STATEMENT",
		Short: "Say who signed a statement, when, what is old, and what speaks against it",
		Long: `Verify checks the signature of a statement, whose key it is by the configuration (trace.peer of a trust) or --key, and
what each claim is worth now. With --against it is held against our own telemetry: a file of findings
(` + "`breakwater scan -o jsonl`" + `), or a folder with such files and our own evidence, a folder a tenant. A claim that
a finding about that partner or a fact contradicts is a finding itself. With --telemetry our logs say how the partner
really comes in, and that counts as a fact.
The exit code is 1 where the signature does not hold, the signer is another than --key, or the statement has expired;
3 where a claim is contradicted. With -o jsonl the contradictions are printed as findings, as scan prints them.`,
		Example: `  breakwater posture verify statement.json --key SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo
  breakwater posture verify statement.json --config breakwater.yaml --against findings.jsonl
  breakwater posture verify statement.json --config breakwater.yaml --against findings.jsonl --telemetry ./logs
  breakwater posture verify statement.json --config breakwater.yaml --partner north-msp --against ./evidence -o jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			p, err := f.open(c)
			if err != nil {
				return err
			}
			data, err := readBounded(args[0], posture.MaxStatement)
			if err != nil {
				return fmt.Errorf("reading the statement: %w", err)
			}
			v, err := posture.VerifyStatement(data)
			if err != nil {
				return err
			}
			row := verified(p, v)
			if key != "" && key != v.Signer {
				return fmt.Errorf("the statement is signed by %s and not by %s: ask its issuer by another way", v.Signer, key)
			}
			row.Pinned = row.Pinned || key != ""
			if len(against)+len(f.telemetry) > 0 {
				who, err := speaker(row, partner)
				if err != nil {
					return err
				}
				if row.Contradictions, err = p.hold(cmd.Context(), c, v, who, against, f.logs); err != nil {
					return err
				}
			}
			if err := printVerified(c, format, row); err != nil {
				return fmt.Errorf("writing the verification: %w", err)
			}
			if len(against)+len(f.telemetry) > 0 {
				known, by, passing := p.library.Holdable(&v.Statement)
				fmt.Fprintf(c.err, "%d claims pass; we know the controls of %d, and findings can speak against %d; %d are contradicted.\n", passing, known, by, len(row.Contradictions))
			}
			switch {
			case row.Expired:
				return exitWith{exitError, fmt.Errorf("the statement has expired on %s", utcText(row.Expires))}
			case len(row.Contradictions) > 0:
				return exitWith{exitFindings, nil}
			}
			return nil
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&key, "key", "", "the fingerprint that must have signed it")
	cmd.Flags().StringVar(&partner, "partner", "", "which partner made it, where the configuration pins no key")
	cmd.Flags().StringArrayVar(&against, "against", nil, "findings of a scan, or a folder of them and of evidence (may be repeated)")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl (contradictions)|csv (claims)")
	return cmd
}

// verified says what a statement is worth now, and whose key signed it.
func verified(p *posturing, v *posture.Verified) *verifiedRow {
	row := &verifiedRow{Issuer: v.Issuer, For: v.For, Signer: v.Signer, At: v.At, Issued: v.Issued, Expires: v.Expires, Expired: !p.now.Before(v.Expires),
		Partial: v.Partial, SHA256: v.SHA256, Contradictions: []*ocsf.Finding{}}
	if p.model != nil {
		for _, t := range p.model.Trusts {
			if t.Trace.Peer == v.Signer && !slices.Contains(row.Partners, t.Partner) {
				row.Partners = append(row.Partners, t.Partner)
			}
		}
	}
	row.Pinned = len(row.Partners) > 0
	for i := range v.Claims {
		x := claimRow{Claim: v.Claims[i]}
		x.Now, x.Reason = v.StandingAt(&v.Claims[i], p.now)
		if ours := p.library.Control(x.Control); ours == nil {
			x.Reason = joined(x.Reason, "we have no control of this id")
		} else if x.Known = ours.Digest == x.Judged; !x.Known {
			x.Reason = joined(x.Reason, "judged by another version of the control than ours")
		}
		row.Claims = append(row.Claims, x)
	}
	return row
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// speaker says which partner made a statement.
func speaker(row *verifiedRow, named string) (tenant.PartnerID, error) {
	switch {
	case named != "" && row.Pinned && len(row.Partners) > 0 && !slices.Contains(row.Partners, tenant.PartnerID(named)):
		return "", fmt.Errorf("--partner: by the configuration the key is %v's and not %s's", row.Partners, named)
	case named != "":
		return tenant.PartnerID(named), nil
	case len(row.Partners) == 1:
		return row.Partners[0], nil
	case len(row.Partners) > 1:
		return "", usage("the key is that of several partners (%v): say which with --partner", row.Partners)
	}
	return "", usage("whose statement is it? Pin its key as trace.peer of a trust in --config, or name the partner with --partner")
}

// hold reads what we have ourselves, and holds a statement against it, tenant by tenant.
func (p *posturing) hold(ctx context.Context, c *console, v *posture.Verified, who tenant.PartnerID, paths []string, logs func(context.Context) (*app.PostureTelemetry, error)) ([]*ocsf.Finding, error) {
	var sightings []posture.Sighting
	formats := append([]evidence.Format{findingsFile(&sightings)}, posture.Formats(p.knowledge)...)
	folder := posture.Folder{Dirs: paths, Formats: formats, Loose: p.only}
	if p.model != nil {
		folder.Known = func(id tenant.ID) bool { return p.model.Tenant(id) != nil }
	}
	var err error
	if p.reading, err = folder.Read(ctx); err != nil {
		return nil, err
	}
	tellReading(c.err, p.reading)
	if p.telemetry, err = logs(ctx); err != nil {
		return nil, err
	}
	tenants := p.tenants()
	for _, s := range sightings {
		known := slices.ContainsFunc(tenants, func(t tenant.Tenant) bool { return t.ID == s.Tenant })
		if !known && p.model == nil && (p.only == "" || s.Tenant == p.only) {
			tenants = append(tenants, tenant.Tenant{ID: s.Tenant, Name: string(s.Tenant)})
		}
	}
	slices.SortFunc(tenants, func(a, b tenant.Tenant) int { return strings.Compare(string(a.ID), string(b.ID)) })
	out := []*ocsf.Finding{}
	snapshot := ""
	if p.model != nil {
		snapshot = p.model.Version
	}
	for _, t := range tenants {
		list, err := p.library.For(t, p.policy).Against(ctx, v, who, sightings, slices.Concat(p.reading.Of(t.ID).Items, p.telemetry.Items(t.ID, p.reading.Of(t.ID).Items)), p.now)
		if err != nil {
			return nil, err
		}
		for i := range list {
			out = append(out, list[i].Finding(v, who, snapshot))
		}
	}
	return out, nil
}

// findingsFile takes the findings of a scan out of a folder; they are no facts.
func findingsFile(into *[]posture.Sighting) evidence.Format {
	return evidence.Format{
		Name:      "breakwater-findings",
		About:     "findings, one a line, as `breakwater scan -o jsonl` prints them",
		Recognise: func(_ string, head []byte) bool { return posture.AreFindings(head) },
		Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
			list, err := posture.ReadSightings(ctx, in.Reader, sink.Bad)
			others := 0
			for _, s := range list {
				if in.Tenant == "" || s.Tenant == in.Tenant {
					*into = append(*into, s)
				} else {
					others++
				}
			}
			if others > 0 {
				sink.Bad(0, fmt.Sprintf("%d findings are of other tenants than %s and don't count", others, in.Tenant))
			}
			return err
		},
	}
}

func printVerified(c *console, format string, row *verifiedRow) error {
	switch format {
	case "json":
		return printOne(c.out, format, row, nil)
	case "jsonl":
		return printList(c.out, format, row.Contradictions, nil)
	case "csv":
		return printList(c.out, format, row.Claims, claimColumns)
	}
	return verifiedTable(c.out, row)
}

func verifiedTable(w io.Writer, row *verifiedRow) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	whose := "a key that nobody here has pinned: compare the fingerprint by another way"
	if len(row.Partners) > 0 {
		whose = fmt.Sprintf("pinned for %v", row.Partners)
	} else if row.Pinned {
		whose = "the key that was asked for"
	}
	fmt.Fprintf(t, "issuer\t%s\n", clean(row.Issuer))
	if row.For != "" {
		fmt.Fprintf(t, "for\t%s\n", clean(row.For))
	}
	fmt.Fprintf(t, "signed by\t%s, %s\n", row.Signer, whose)
	fmt.Fprintf(t, "issued\t%s, holds until %s\n", utcText(row.Issued), utcText(row.Expires))
	fmt.Fprintf(t, "as of\t%s\n", utcText(row.At))
	if row.Partial {
		fmt.Fprintf(t, "note\tits issuer left controls out\n")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	rows := slices.Clone(row.Claims)
	slices.SortStableFunc(rows, func(a, b claimRow) int {
		return slices.Index(posture.Statuses, a.Now) - slices.Index(posture.Statuses, b.Now)
	})
	if err := printList(w, "table", rows, claimColumns); err != nil {
		return err
	}
	for _, f := range row.Contradictions {
		fmt.Fprintf(w, "\n%s: %s (%s)\n  %s\n", clean(string(f.Tenant)), clean(f.Title), f.Severity, clean(f.Reason))
	}
	return nil
}
