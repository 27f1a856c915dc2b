package sweep

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// graphBatch is how many requests Microsoft Graph takes in one batch (Microsoft Learn, "Combine multiple HTTP requests
// using JSON batching").
const graphBatch = 20

// WriteCSV writes copies as a table: mailbox, message_id, time, from, subject, verdict, why.
func WriteCSV(w io.Writer, list []Listed) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"mailbox", "message_id", "time", "from", "subject", "verdict", "why"}}
	for _, l := range list {
		rows = append(rows, []string{l.Mailbox, "<" + l.MessageID + ">", l.Time.UTC().Format(time.RFC3339), l.From, l.Subject, l.Verdict, l.Why})
	}
	for _, r := range rows {
		for i := range r {
			// A spreadsheet must not run what an intruder wrote.
			if r[i] != "" && strings.ContainsRune("=+-@\t\r", rune(r[i][0])) {
				r[i] = "'" + r[i]
			}
		}
		if err := out.Write(r); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

type graphRequest struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    map[string]string `json:"body,omitempty"`
}

// WriteGraphSearch writes the requests that find copies in their mailboxes, for Microsoft Graph: one JSON object a line,
// each the body of one POST to https://graph.microsoft.com/v1.0/$batch. A Message-ID is not the id by which Graph moves a
// message, and a batch can't use one answer in another request, so that finding and moving are two steps. Source:
// Microsoft Learn, "List messages" ($filter on internetMessageId).
func WriteGraphSearch(w io.Writer, list []Listed) error {
	var reqs []graphRequest
	for i, l := range list {
		q := url.QueryEscape("internetMessageId eq '" + strings.ReplaceAll("<"+l.MessageID+">", "'", "''") + "'")
		reqs = append(reqs, graphRequest{ID: strconv.Itoa(i + 1), Method: "GET",
			URL: "/users/" + url.PathEscape(l.Mailbox) + "/messages?$select=id,internetMessageId,parentFolderId&$filter=" + strings.ReplaceAll(q, "+", "%20")})
	}
	return writeBatches(w, reqs)
}

func writeBatches(w io.Writer, reqs []graphRequest) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for len(reqs) > 0 {
		n := min(len(reqs), graphBatch)
		if err := enc.Encode(map[string]any{"requests": reqs[:n]}); err != nil {
			return err
		}
		reqs = reqs[n:]
	}
	return nil
}

// Bounds of Graph's answers.
const (
	maxGraphAnswers = 64 << 20
	maxGraphID      = 1024
)

// WriteGraphMoves reads Graph's answers to the requests of WriteGraphSearch for the same list, one after the other, and
// writes those that move what was found to a folder: an id, or a well-known name such as junkemail, deleteditems or
// recoverableitemsdeletions. It returns how many copies were found, and what Graph could not answer. Source: Microsoft
// Learn, "message: move".
func WriteGraphMoves(w io.Writer, list []Listed, answers io.Reader, folder string) (found int, problems []string, err error) {
	if folder == "" || strings.ContainsAny(folder, "\r\n\"\\/") {
		return 0, nil, fmt.Errorf("%q is no folder of Graph: use its id, or junkemail, deleteditems or recoverableitemsdeletions", clip(folder))
	}
	var reqs []graphRequest
	d := json.NewDecoder(io.LimitReader(answers, maxGraphAnswers))
	for {
		var a struct {
			Responses []struct {
				ID     string `json:"id"`
				Status int    `json:"status"`
				Body   struct {
					Value []struct {
						ID        string `json:"id"`
						MessageID string `json:"internetMessageId"`
					} `json:"value"`
					Error struct {
						Code string `json:"code"`
					} `json:"error"`
				} `json:"body"`
			} `json:"responses"`
		}
		if err := d.Decode(&a); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return 0, nil, fmt.Errorf("reading Graph's answers: %w", err)
		}
		for _, r := range a.Responses {
			n, err := strconv.Atoi(r.ID)
			if err != nil || n < 1 || n > len(list) {
				return 0, nil, fmt.Errorf("reading Graph's answers: %q is no request of this list; use the same list for both steps", clip(r.ID))
			}
			l := list[n-1]
			if r.Status != 200 {
				problems = append(problems, fmt.Sprintf("%s: Graph answers %d %s", l.Mailbox, r.Status, clip(r.Body.Error.Code)))
				continue
			}
			for _, m := range r.Body.Value {
				if strings.Trim(m.MessageID, "<>") != l.MessageID || m.ID == "" || len(m.ID) > maxGraphID {
					continue
				}
				found++
				reqs = append(reqs, graphRequest{ID: strconv.Itoa(len(reqs) + 1), Method: "POST", URL: "/users/" + url.PathEscape(l.Mailbox) + "/messages/" + url.PathEscape(m.ID) + "/move",
					Headers: map[string]string{"Content-Type": "application/json"}, Body: map[string]string{"destinationId": folder}})
			}
		}
	}
	return found, problems, writeBatches(w, reqs)
}
