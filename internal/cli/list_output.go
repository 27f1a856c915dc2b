package cli

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/platform/state"
)

// listColumn is one column of a table or CSV.
type listColumn[T any] struct {
	name  string
	value func(T) string
}

func checkFormat(format string) error {
	switch format {
	case "table", "json", "jsonl", "csv":
		return nil
	}
	return usage("-o %s: use table, json, jsonl or csv", format)
}

// printOne prints one thing: as an object in JSON, one fact a line in a table.
func printOne[T any](w io.Writer, format string, row T, columns []listColumn[T]) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(row)
	case "table":
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, c := range columns {
			if v := c.value(row); v != "" {
				fmt.Fprintf(t, "%s\t%s\n", c.name, clean(v))
			}
		}
		return t.Flush()
	}
	return printList(w, format, []T{row}, columns)
}

// printList prints rows in the format that checkFormat let through.
func printList[T any](w io.Writer, format string, rows []T, columns []listColumn[T]) error {
	switch format {
	case "json":
		if rows == nil {
			rows = []T{}
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(rows)
	case "jsonl":
		enc := json.NewEncoder(w)
		for _, r := range rows {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		out := csv.NewWriter(w)
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = c.name
		}
		if err := out.Write(cells); err != nil {
			return err
		}
		for _, r := range rows {
			for i, c := range columns {
				cells[i] = noFormula(c.value(r))
			}
			if err := out.Write(cells); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, c := range columns {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, strings.ToUpper(c.name))
	}
	fmt.Fprintln(t)
	for _, r := range rows {
		for i, c := range columns {
			if i > 0 {
				fmt.Fprint(t, "\t")
			}
			fmt.Fprint(t, clean(c.value(r)))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// noFormula keeps a spreadsheet from running what a name says.
func noFormula(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

func utcText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// stateList is a command that lists rows of the state in a data folder.
func stateList[T any](c *console, short, example string, columns []listColumn[T], rows func(context.Context, *state.Store) ([]T, error)) *cobra.Command {
	var data, output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   short,
		Example: example,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(output); err != nil {
				return err
			}
			s, err := openState(c, data)
			if err != nil {
				return err
			}
			defer s.Close()
			list, err := rows(cmd.Context(), s)
			if err != nil {
				return err
			}
			return printList(c.out, output, list, columns)
		},
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}
