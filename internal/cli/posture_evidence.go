package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/respond/posture"
)

func newPostureEvidenceAdd(c *console) *cobra.Command {
	var f posture.Fact
	var at, attach, cfg string
	var values []string
	var r remote
	cmd := &cobra.Command{
		Use:   "add [DIR]",
		Short: "Write a fact down that no export tells",
		Long: `Add appends one fact to facts.jsonl in the tenant's folder below DIR. Values are NAME=VALUE: true, false, a number,
a time as RFC 3339, or a text; [a, b] is a list. With --attach the fact carries the name and the SHA-256 of a file
that shows it; keep the file. With --server and no folder the fact goes to a running server, which notes who added it.`,
		Example: `  breakwater posture evidence add --tenant acme --kind incident.exercise --subject stolen-remote-tool --value through_partner=true --value open_actions=0 ./evidence
  breakwater posture evidence add --tenant acme --kind logging.retention --subject firewall --value days=365 --by j.smith --attach ./screenshot.png ./evidence
  breakwater posture evidence add --server https://breakwater.example:8443 --tenant acme --kind logging.retention --subject firewall --value days=365`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && r.server == "" && os.Getenv("BREAKWATER_SERVER") == "" || len(args) == 1 && r.server != "" {
				return usage("name either a folder or a server with --server")
			}
			f.At = time.Now().UTC().Truncate(time.Second)
			if at != "" {
				var err error
				if f.At, err = moment(at); err != nil {
					return usage("--at: %v", err)
				}
			}
			if f.Tenant == "" || !plainName(string(f.Tenant)) {
				return usage("--tenant: name the tenant, as its folder is called")
			}
			if cfg != "" {
				file, err := config.Load(cfg)
				if err != nil {
					return err
				}
				if file.Model.Tenant(f.Tenant) == nil {
					return fmt.Errorf("--tenant: %s is no tenant of %s", f.Tenant, cfg)
				}
			}
			var err error
			if f.Values, err = valuesOf(values); err != nil {
				return err
			}
			if attach != "" {
				f.Attachment = filepath.Base(attach)
				if f.SHA256, err = hashFile(attach); err != nil {
					return err
				}
			}
			line, err := json.Marshal(f)
			if err != nil {
				return fmt.Errorf("writing the fact: %w", err)
			}
			if _, err := posture.ParseFact(line); err != nil {
				return usage("the fact is not taken: %v", err)
			}
			if len(args) == 0 {
				return addServerFact(cmd, c, &r, f)
			}
			name := filepath.Join(args[0], string(f.Tenant), "facts.jsonl")
			if err := appendLine(name, line); err != nil {
				return err
			}
			fmt.Fprintf(c.err, "Added to %s.\n", name)
			return nil
		},
	}
	cmd.Flags().StringVar((*string)(&f.Tenant), "tenant", "", "whom it is about")
	cmd.Flags().StringVar(&f.Kind, "kind", "", "the kind of fact, as `breakwater posture control show` names it under reads")
	cmd.Flags().StringVar(&f.Subject, "subject", "", "what it is about: a log, a plan, a host")
	cmd.Flags().StringVar(&at, "at", "", "when it was true (RFC 3339, or a date); now where it is left out")
	cmd.Flags().StringVar((*string)(&f.Partner), "partner", "", "the partner whose access it is about")
	cmd.Flags().StringVar((*string)(&f.Trust), "trust", "", "the trust that it is about")
	cmd.Flags().StringVar(&f.By, "by", "", "who says so")
	cmd.Flags().StringArrayVar(&values, "value", nil, "NAME=VALUE (may be repeated)")
	cmd.Flags().StringVar(&attach, "attach", "", "a file that shows it; its name and SHA-256 are kept, the file is not")
	cmd.Flags().StringVar(&cfg, "config", "", "the file that declares tenants, to check the tenant's name by")
	r.flags(cmd)
	return cmd
}

// plainName reports whether a tenant's id is one name of a folder and no way out of it.
func plainName(s string) bool {
	return filepath.Base(s) == s && s != "." && s != ".." && !strings.ContainsAny(s, `/\`)
}

// valuesOf reads NAME=VALUE as YAML reads a scalar or a list in brackets.
func valuesOf(list []string) (map[string]any, error) {
	out := map[string]any{}
	for _, x := range list {
		name, text, ok := strings.Cut(x, "=")
		if !ok || name == "" {
			return nil, usage("--value %q: write NAME=VALUE", x)
		}
		if _, twice := out[name]; twice {
			return nil, usage("--value %s: given twice", name)
		}
		var v any = text
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			v = text
		}
		switch v.(type) {
		case bool, int, int64, float64, string, time.Time, []any:
		default:
			v = text
		}
		out[name] = v
	}
	return out, nil
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("reading the attachment: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading the attachment %s: %w", name, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// appendLine adds one whole line to a file that others may add to at the same time, and waits until it is on disk.
func appendLine(name string, line []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return fmt.Errorf("making the tenant's folder: %w", err)
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("writing the fact: %w", err)
	}
	// A last line without its end is somebody's edit; the fact must not become part of it.
	var last [1]byte
	if st, err := f.Stat(); err == nil && st.Size() > 0 {
		if _, err := f.ReadAt(last[:], st.Size()-1); err == nil && last[0] != '\n' {
			line = append([]byte("\n"), line...)
		}
	}
	_, err = f.Write(append(line, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing the fact to %s: %w", name, err)
	}
	return nil
}

func newPostureEvidenceList(c *console) *cobra.Command {
	var f postureFlags
	var format string
	var files bool
	cmd := &cobra.Command{
		Use:   "list DIR…",
		Short: "List the facts that are read out of folders, or with --files what became of each file",
		Example: `  breakwater posture evidence list ./evidence
  breakwater posture evidence list --files -o csv ./evidence`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			p, err := f.read(cmd.Context(), c, args)
			if err != nil {
				return err
			}
			if files {
				return printList(c.out, format, p.reading.Files, fileColumns)
			}
			var rows []factRow
			for _, e := range p.reading.Tenants {
				for _, i := range e.Items {
					row := factRow{Tenant: e.Tenant, Subject: i.Subject, Kind: i.Kind, Partner: i.Partner, Trust: i.Trust,
						File: i.From.File, Line: i.From.Line, SHA256: i.From.SHA256, Values: i.Values}
					if !i.At.IsZero() {
						at := i.At.UTC()
						row.At = &at
					}
					rows = append(rows, row)
				}
			}
			return printList(c.out, format, rows, evidenceColumns)
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&files, "files", false, "list files with their format, facts and what was left out")
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

// evidenceColumns are those of facts that nothing was judged on.
var evidenceColumns = []listColumn[factRow]{factColumns[1], factColumns[3], factColumns[2], factColumns[4], factColumns[5], factColumns[7]}

var fileColumns = []listColumn[posture.FileRead]{
	{"tenant", func(f posture.FileRead) string { return string(f.Tenant) }},
	{"file", func(f posture.FileRead) string { return f.File }},
	{"format", func(f posture.FileRead) string { return f.Format }},
	{"facts", func(f posture.FileRead) string { return fmt.Sprint(f.Items) }},
	{"left out", func(f posture.FileRead) string { return fmt.Sprint(f.Bad) }},
	{"sha256", func(f posture.FileRead) string { return f.SHA256 }},
}

// formatRow is a format of evidence as it is printed.
type formatRow struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

func newPostureEvidenceFormats(c *console) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "formats",
		Short:   "List the formats of evidence that are read",
		Example: "  breakwater posture evidence formats",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			var rows []formatRow
			for _, f := range posture.Formats(posture.Knowledge{}) {
				rows = append(rows, formatRow{f.Name, f.About})
			}
			return printList(c.out, format, rows, []listColumn[formatRow]{
				{"format", func(r formatRow) string { return r.Name }}, {"about", func(r formatRow) string { return r.About }},
			})
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}
