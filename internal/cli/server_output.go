package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/show/report"
)

// printAnswer prints what a server sent: its JSON as it came, or rows of what T reads of it.
func printAnswer[T any](w io.Writer, format string, list []json.RawMessage, columns []listColumn[T]) error {
	var buf bytes.Buffer
	switch format {
	case "json":
		if list == nil {
			list = []json.RawMessage{}
		}
		b, err := json.Marshal(list)
		if err != nil {
			return err
		}
		return printIndented(w, b)
	case "jsonl":
		for _, raw := range list {
			if err := json.Compact(&buf, raw); err != nil {
				return err
			}
			buf.WriteByte('\n')
		}
		_, err := w.Write(report.Visible(buf.Bytes()))
		return err
	}
	rows, err := read[T](list)
	if err != nil {
		return err
	}
	return printList(w, format, rows, columns)
}

func read[T any](list []json.RawMessage) ([]T, error) {
	rows := make([]T, len(list))
	for i, raw := range list {
		if err := json.Unmarshal(raw, &rows[i]); err != nil {
			return nil, fmt.Errorf("reading what the server sent: %w", err)
		}
	}
	return rows, nil
}

// printIndented prints JSON as scan does, with what hides in terminals made visible.
func printIndented(w io.Writer, raw []byte) error {
	var buf bytes.Buffer
	if err := json.Indent(&buf, bytes.TrimSpace(raw), "", "  "); err != nil {
		return fmt.Errorf("reading what the server sent: %w", err)
	}
	buf.WriteByte('\n')
	_, err := w.Write(report.Visible(buf.Bytes()))
	return err
}

// printOneAnswer prints one object likewise.
func printOneAnswer[T any](w io.Writer, format string, raw json.RawMessage, columns []listColumn[T]) error {
	switch format {
	case "json":
		return printIndented(w, raw)
	case "table":
		rows, err := read[T]([]json.RawMessage{raw})
		if err != nil {
			return err
		}
		return printOne(w, format, rows[0], columns)
	}
	return printAnswer(w, format, []json.RawMessage{raw}, columns)
}

// printLines prints text of several lines, with what hides in terminals made visible.
func printLines(w io.Writer, text string) error {
	_, err := w.Write(report.Visible([]byte(text)))
	return err
}

// limitFlag is how many rows a list prints: 100 of a table, and all for programs, which would miss the word on
// standard error that there are more.
func limitFlag(cmd *cobra.Command, limit *int, which string) {
	cmd.Flags().IntVar(limit, "limit", 100, "print at most this many"+which+"; 0 for all, as -o json, jsonl and csv do unless told")
}

// checkLimit is what the limit comes to with a format.
func checkLimit(cmd *cobra.Command, format string, limit *int) error {
	if *limit < 0 {
		return usage("--limit: use a number, or 0 for all")
	}
	if format != "table" && !cmd.Flags().Changed("limit") {
		*limit = 0
	}
	return nil
}
