package training

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// report is a line of `breakwater mail reports -o jsonl`, as far as it says who reported what.
type report struct {
	Time     time.Time `json:"time"`
	Reporter string    `json:"reporter"`
	Thanked  *bool     `json:"thanked"`
	Verdict  *struct {
		Verdict string `json:"verdict"`
	} `json:"verdict"`
}

// mailReports are the messages that users really reported, as the mail layer lists them.
var mailReports = evidence.Format{
	Name:  "mail-reports",
	About: "mail that users reported as phishing, from breakwater mail reports -o jsonl",
	Recognise: func(_ string, head []byte) bool {
		line, _, _ := bytes.Cut(bytes.TrimSpace(head), []byte("\n"))
		var r map[string]json.RawMessage
		return json.Unmarshal(line, &r) == nil && r["reporter"] != nil && r["mailbox"] != nil && r["thanked"] != nil && r["verdict"] != nil
	},
	Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
		lines := bounded.NewLineReader(in.Reader, bounded.DefaultMaxLine)
		for {
			if lines.Lines()%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			line, n, tooLong, err := lines.Next()
			switch {
			case err == io.EOF:
				return nil
			case err != nil:
				return fmt.Errorf("reading %s: %w", in.Name, err)
			case tooLong:
				sink.Bad(n, "a line that is too long")
				continue
			case len(bytes.TrimSpace(line)) == 0:
				continue
			}
			var r report
			if err := json.Unmarshal(line, &r); err != nil {
				sink.Bad(n, "no report: "+withoutContent(err))
				continue
			}
			if r.Time.IsZero() || !strings.Contains(r.Reporter, "@") || r.Verdict == nil || r.Thanked == nil {
				sink.Bad(n, "a report without time, reporter or verdict")
				continue
			}
			switch r.Verdict.Verdict {
			case "clean", "suspicious", "phish":
			default:
				sink.Bad(n, "a report whose verdict is none of clean, suspicious and phish")
				continue
			}
			item := evidence.Item{Tenant: in.Tenant, Kind: KindReport, Subject: Pseudonym(in.Tenant, r.Reporter), At: r.Time.UTC(),
				From:   evidence.Origin{File: in.Name, Line: n},
				Values: map[string]any{"verdict": r.Verdict.Verdict, "thanked": *r.Thanked}}
			if err := sink.Item(item); err != nil {
				return err
			}
		}
	},
}
