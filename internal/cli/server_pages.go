package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

// pages collects a list that the server gives page by page: path is where, field the member that holds the rows, query
// what narrows it. A limit of 0 is all; more says that there are others beyond it.
func pages(cmd *cobra.Command, s *client, path, field string, query url.Values, limit int) (list []json.RawMessage, more bool, err error) {
	for {
		ask := api.MaxPage
		if limit > 0 {
			ask = min(ask, limit-len(list))
		}
		query.Set("limit", strconv.Itoa(ask))
		var page map[string]json.RawMessage
		if err := s.call(cmd.Context(), http.MethodGet, path, query, nil, &page); err != nil {
			return nil, false, err
		}
		var rows []json.RawMessage
		var next string
		for name, to := range map[string]any{field: &rows, "next": &next} {
			if raw := page[name]; raw != nil {
				if err := json.Unmarshal(raw, to); err != nil {
					return nil, false, fmt.Errorf("reading what the server sent of %s: %w", path, err)
				}
			}
		}
		list = append(list, rows...)
		if next == "" || next == query.Get("cursor") || limit > 0 && len(list) >= limit {
			return list, next != "", nil
		}
		query.Set("cursor", next)
	}
}

// printPages prints such a list, and says where there is more.
func printPages[T any](c *console, format string, list []json.RawMessage, more bool, columns []listColumn[T]) error {
	if err := printAnswer(c.out, format, list, columns); err != nil {
		return err
	}
	if more {
		return printLines(c.err, "There are more; --limit 0 prints all.\n")
	}
	return nil
}

// checkList checks the flags of a command that prints such a list.
func checkList(cmd *cobra.Command, format string, limit *int) error {
	if err := checkFormat(format); err != nil {
		return err
	}
	return checkLimit(cmd, format, limit)
}
