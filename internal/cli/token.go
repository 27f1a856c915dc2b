package cli

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/config"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func newToken(c *console) *cobra.Command {
	return noun("token", "Make, list and revoke the tokens of senders and programs", newTokenCreate(c), newTokenList(c), newTokenRevoke(c))
}

// roleUsage tells the roles with their other names; authz.ParseRole reads both.
const roleUsage = "`ROLE`: sensor (also ingest, sender, writer, write), viewer (reader, read), analyst (operator) or admin"

// dataFlag is the data folder of the commands that work on the state itself, beside a running serve or before it.
func dataFlag(cmd *cobra.Command, data *string) {
	cmd.Flags().StringVar(data, "data", "", "data folder of `breakwater serve`; made where it is missing")
	_ = cmd.MarkFlagRequired("data")
}

// openState opens the state of a data folder that a command changes.
func openState(c *console, data string) (*state.Store, error) {
	if data == "" {
		return nil, usage("--data: name the data folder of `breakwater serve`")
	}
	return state.Open(data, state.Options{Damage: func(line string) { fmt.Fprintln(c.err, "damage:", line) }})
}

// whoami is who stands in the audit for what a command does.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return "cli:" + u.Username
	}
	return "cli"
}

// tenantFlags reads --tenant as it was given.
func tenantFlags(names []string) ([]tenant.ID, error) {
	ids := make([]tenant.ID, len(names))
	for i, n := range names {
		ids[i] = tenant.ID(n)
		if err := state.CheckTenant(ids[i]); err != nil {
			return nil, usage("--tenant: %w", err)
		}
	}
	return ids, nil
}

type tokenFlags struct {
	data, sensor, role, config, output string
	tenants                            []string
	expires                            time.Duration
}

func newTokenCreate(c *console) *cobra.Command {
	var f tokenFlags
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make a token, and show it this once",
		Long: `Make a token, and show it this once: only its hash is kept. It works beside a running serve, which knows
the token at once, and before the first start.

A sender's token (role sensor) is bound to a sensor and to the tenant whose telemetry it sends. The tenant may be
left out only where the configuration declares the sensor as one that speaks for several (tenant_by). All other
tokens see the tenants named, or all where none is.`,
		Example: `  breakwater token create --data /var/lib/breakwater --role sensor --tenant acme --sensor acme-firewall
  breakwater token create --data ./data --role viewer --tenant acme --tenant borg --expires 720h
  breakwater token create --data ./data --role admin -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return createToken(cmd, c, f) },
	}
	dataFlag(cmd, &f.data)
	cmd.Flags().StringVar(&f.role, "role", "", roleUsage)
	cmd.Flags().StringArrayVar(&f.tenants, "tenant", nil, "`TENANT` that a sender speaks for or a reader sees; repeat it for several readers' tenants")
	cmd.Flags().StringVar(&f.sensor, "sensor", "", "name of the sender's `SENSOR`")
	cmd.Flags().DurationVar(&f.expires, "expires", 0, "how long the token holds, such as 720h; 0: until it is revoked")
	cmd.Flags().StringVar(&f.config, "config", "", "configuration `FILE` that declares the sensor, where serve has not read it yet")
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "output format: table|json|jsonl|csv")
	_ = cmd.MarkFlagRequired("role")
	return cmd
}

func createToken(cmd *cobra.Command, c *console, f tokenFlags) error {
	role, err := authz.ParseRole(f.role)
	if err != nil {
		return usage("--role: %w", err)
	}
	ids, err := tenantFlags(f.tenants)
	if err != nil {
		return err
	}
	if err := checkFormat(f.output); err != nil {
		return err
	}
	if f.expires < 0 || f.expires == 0 && cmd.Flags().Changed("expires") {
		return usage("--expires %s: use a time to come, such as 720h, or leave it out", f.expires)
	}
	g := authz.Grant{Role: role, Sensor: f.sensor, Expires: f.expires, By: whoami()}
	switch {
	case role == authz.RoleSensor && f.sensor == "":
		return usage("--sensor: a token of the role sensor needs the name of its sensor")
	case role == authz.RoleSensor && len(ids) > 1:
		return usage("--tenant: a sender speaks for one tenant; one that speaks for several is declared in the configuration (tenant_by)")
	case role != authz.RoleSensor && f.sensor != "":
		return usage("--sensor: it is for the role sensor, not for %s", role)
	case role != authz.RoleSensor:
		g.Tenants = ids
	case len(ids) == 1:
		g.Tenant = ids[0]
	}
	if f.sensor != "" {
		if err := state.CheckName("a sensor's name", f.sensor); err != nil {
			return usage("--sensor: %w", err)
		}
	}
	s, err := openState(c, f.data)
	if err != nil {
		return err
	}
	defer s.Close()
	if role == authz.RoleSensor && g.Tenant == "" {
		if err := speaksForSeveral(cmd, s, f); err != nil {
			return err
		}
	}
	secret, kept, err := authz.New(s, nil).CreateToken(cmd.Context(), g)
	if err != nil {
		return err
	}
	row := tokenRow(kept)
	row.Token = secret
	columns := tokenColumns
	if f.output == "table" {
		columns = []listColumn[tokenJSON]{{"token", func(t tokenJSON) string { return t.Token }}}
		columns = append(columns, tokenColumns...)
		fmt.Fprintln(c.err, "The token is shown this once. Keep it where only its user can read it.")
	} else if f.output == "csv" {
		columns = append([]listColumn[tokenJSON]{{"token", func(t tokenJSON) string { return t.Token }}}, tokenColumns...)
	}
	return printOne(c.out, f.output, row, columns)
}

// speaksForSeveral reports an error unless the sensor is declared as one that finds the tenant in the record.
func speaksForSeveral(cmd *cobra.Command, s *state.Store, f tokenFlags) error {
	var file *config.File
	if f.config != "" {
		var err error
		if file, err = config.Load(f.config); err != nil {
			return err
		}
	} else if d, err := s.LatestDocument(cmd.Context()); err == nil {
		if file, err = config.Parse(filepath.Base(d.Name), d.Text); err != nil {
			return fmt.Errorf("reading the configuration that serve applied: %w", err)
		}
	} else if !errors.Is(err, state.ErrNotFound) {
		return err
	}
	if file != nil {
		if x, ok := file.SensorNamed(f.sensor); ok && x.By != "" {
			return nil
		}
	}
	return usage("--tenant: name the tenant of %s; it may be left out only where the configuration declares %s with tenant_by (--config FILE, or as serve applied it)", f.sensor, f.sensor)
}

// tokenJSON is a token as it is shown; the secret only when it is made.
type tokenJSON struct {
	Token   string      `json:"token,omitempty"`
	ID      string      `json:"id"`
	Role    string      `json:"role"`
	Tenant  tenant.ID   `json:"tenant"`
	Sensor  string      `json:"sensor"`
	Tenants []tenant.ID `json:"tenants,omitempty"`
	All     bool        `json:"all_tenants,omitempty"`
	By      string      `json:"by"`
	Created string      `json:"created"`
	Expires string      `json:"expires,omitempty"`
	Revoked string      `json:"revoked,omitempty"`
	Used    string      `json:"used,omitempty"`
}

func tokenRow(t state.Token) tokenJSON {
	return tokenJSON{"", t.ID, t.Role, t.Tenant, t.Sensor, t.Tenants, t.All, t.By, utcText(t.Created), utcText(t.Expires), utcText(t.Revoked), utcText(t.Used)}
}

var tokenColumns = []listColumn[tokenJSON]{
	{"id", func(t tokenJSON) string { return t.ID }},
	{"role", func(t tokenJSON) string { return t.Role }},
	{"tenants", func(t tokenJSON) string {
		if t.Tenant != "" {
			return string(t.Tenant)
		}
		return tenantText(t.All, t.Tenants)
	}},
	{"sensor", func(t tokenJSON) string { return t.Sensor }},
	{"by", func(t tokenJSON) string { return t.By }},
	{"created", func(t tokenJSON) string { return t.Created }},
	{"expires", func(t tokenJSON) string { return t.Expires }},
	{"revoked", func(t tokenJSON) string { return t.Revoked }},
	{"used", func(t tokenJSON) string { return t.Used }},
}

func tenantText(all bool, ids []tenant.ID) string {
	if all {
		return "all"
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	return strings.Join(names, ",")
}

func newTokenList(c *console) *cobra.Command {
	return stateList(c, "List tokens, never their secrets", "  breakwater token list --data ./data -o jsonl", tokenColumns,
		func(ctx context.Context, s *state.Store) (rows []tokenJSON, err error) {
			list, err := s.Tokens(ctx, tenant.ScopeAll())
			for _, t := range list {
				rows = append(rows, tokenRow(t))
			}
			return rows, err
		})
}

func newTokenRevoke(c *console) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:     "revoke ID",
		Short:   "End a token for good; a running serve refuses it within two seconds",
		Example: "  breakwater token revoke 5f1c0b9a2d44 --data ./data",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openState(c, data)
			if err != nil {
				return err
			}
			defer s.Close()
			err = s.RevokeToken(cmd.Context(), tenant.ScopeAll(), args[0], whoami())
			if errors.Is(err, state.ErrNotFound) {
				return fmt.Errorf("there is no token %s in %s; `breakwater token list` shows the ids", clean(args[0]), data)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.err, "Revoked %s.\n", args[0])
			return nil
		},
	}
	dataFlag(cmd, &data)
	return cmd
}
