package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/platform/state"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func newUser(c *console) *cobra.Command {
	return noun("user", "Add, list and remove the people who log in with a password", newUserAdd(c), newUserList(c), newUserPassword(c), newUserRemove(c))
}

func newUserAdd(c *console) *cobra.Command {
	var data, role string
	var tenants []string
	var stdin bool
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Add a person; the password is asked for twice",
		Example: `  breakwater user add ann --data /var/lib/breakwater --role admin
  breakwater user add bob --data ./data --role viewer --tenant acme --password-stdin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := authz.ParseRole(role)
			if err != nil {
				return usage("--role: %w", err)
			}
			if r == authz.RoleSensor {
				return usage("--role %s: it is for tokens; a person is viewer, analyst or admin", role)
			}
			if err := state.CheckName("a user's name", args[0]); err != nil {
				return usage("%w", err)
			}
			ids, err := tenantFlags(tenants)
			if err != nil {
				return err
			}
			password, err := readPassword(c, stdin)
			if err != nil {
				return err
			}
			s, err := openState(c, data)
			if err != nil {
				return err
			}
			defer s.Close()
			err = authz.New(s, nil).AddUser(cmd.Context(), args[0], password, r, ids, whoami())
			if errors.Is(err, state.ErrExists) {
				return fmt.Errorf("there is a user %s already; `breakwater user password` changes the password", args[0])
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.err, "Added %s as %s.\n", args[0], r)
			return nil
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&role, "role", "", "`ROLE`: viewer (also reader, read), analyst (operator) or admin")
	cmd.Flags().StringArrayVar(&tenants, "tenant", nil, "`TENANT` that the person sees; repeat it for several; all where none is named")
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input, to its first line end")
	_ = cmd.MarkFlagRequired("role")
	return cmd
}

// userJSON is a person as shown: never the password's hash.
type userJSON struct {
	Name    string      `json:"name"`
	Role    string      `json:"role"`
	Tenants []tenant.ID `json:"tenants,omitempty"`
	All     bool        `json:"all_tenants,omitempty"`
	Created string      `json:"created"`
	Changed string      `json:"password_changed"`
}

var userColumns = []listColumn[userJSON]{
	{"name", func(u userJSON) string { return u.Name }},
	{"role", func(u userJSON) string { return u.Role }},
	{"tenants", func(u userJSON) string { return tenantText(u.All, u.Tenants) }},
	{"created", func(u userJSON) string { return u.Created }},
	{"password_changed", func(u userJSON) string { return u.Changed }},
}

func newUserList(c *console) *cobra.Command {
	return stateList(c, "List the people who can log in", "  breakwater user list --data ./data -o csv", userColumns,
		func(ctx context.Context, s *state.Store) (rows []userJSON, err error) {
			list, err := s.Users(ctx, tenant.ScopeAll())
			for _, u := range list {
				rows = append(rows, userJSON{u.Name, u.Role, u.Tenants, u.All, utcText(u.Created), utcText(u.Changed)})
			}
			return rows, err
		})
}

func newUserPassword(c *console) *cobra.Command {
	var data string
	var stdin bool
	cmd := &cobra.Command{
		Use:     "password NAME",
		Short:   "Change a password, and end the person's sessions",
		Example: "  breakwater user password ann --data ./data",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := readPassword(c, stdin)
			if err != nil {
				return err
			}
			s, err := openState(c, data)
			if err != nil {
				return err
			}
			defer s.Close()
			if err := authz.New(s, nil).SetPassword(cmd.Context(), tenant.ScopeAll(), args[0], password, whoami()); err != nil {
				return unknownUser(err, args[0], data)
			}
			fmt.Fprintf(c.err, "Changed the password of %s.\n", args[0])
			return nil
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password from standard input, to its first line end")
	return cmd
}

func newUserRemove(c *console) *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:     "remove NAME",
		Short:   "Remove a person, and end the person's sessions",
		Example: "  breakwater user remove bob --data ./data",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openState(c, data)
			if err != nil {
				return err
			}
			defer s.Close()
			if err := s.RemoveUser(cmd.Context(), tenant.ScopeAll(), args[0], whoami()); err != nil {
				return unknownUser(err, args[0], data)
			}
			fmt.Fprintf(c.err, "Removed %s.\n", args[0])
			return nil
		},
	}
	dataFlag(cmd, &data)
	return cmd
}

func unknownUser(err error, name, data string) error {
	if errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("there is no user %s in %s; `breakwater user list` shows the names", clean(name), data)
	}
	return err
}

// readPassword asks twice on a terminal, or takes the first line of standard input. It checks the password before
// anything else is opened.
func readPassword(c *console, stdin bool) (string, error) {
	var password string
	if stdin {
		line, err := bufio.NewReader(io.LimitReader(c.in, authz.MaxPassword+2)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		password = strings.TrimRight(line, "\r\n")
	} else {
		f, ok := c.in.(*os.File)
		if !ok || !term.IsTerminal(int(f.Fd())) {
			return "", usage("--password-stdin: needed where there is no terminal to ask for the password on")
		}
		var asked [2]string
		for i, prompt := range []string{"Password: ", "Once more: "} {
			fmt.Fprint(c.err, prompt)
			b, err := term.ReadPassword(int(f.Fd()))
			fmt.Fprintln(c.err)
			if err != nil {
				return "", fmt.Errorf("reading the password: %w", err)
			}
			asked[i] = string(b)
		}
		if asked[0] != asked[1] {
			return "", errors.New("the two passwords differ: try again")
		}
		password = asked[0]
	}
	return password, authz.CheckPassword(password)
}
