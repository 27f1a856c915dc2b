package training

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Bounds of what is held of GoPhish's campaigns, which come as one JSON text each.
const (
	maxCampaignBytes = 256 << 20
	maxRecipients    = 1_000_000
)

// gophishCampaign is a campaign as GoPhish's API and its export give it.
type gophishCampaign struct {
	ID   json.Number `json:"id"`
	Name string      `json:"name"`
	// Each by itself, so that one that is broken costs no other.
	Results  []json.RawMessage `json:"results"`
	Timeline []json.RawMessage `json:"timeline"`
}

type recipient struct {
	Email    string    `json:"email"`
	Position string    `json:"position"`
	Status   string    `json:"status"`
	SendDate time.Time `json:"send_date"`
	Reported yesNo     `json:"reported"`
}

// yesNo is true or false, which some exports of GoPhish's data hold as a text or a number.
type yesNo bool

// UnmarshalJSON implements json.Unmarshaler.
func (y *yesNo) UnmarshalJSON(raw []byte) error {
	word := strings.ToLower(strings.TrimSpace(strings.Trim(string(raw), `"`)))
	switch {
	case slices.Contains(affirmativeWords, word):
		*y = true
	case slices.Contains(negativeWords, word), word == "null":
		*y = false
	default:
		return errors.New("neither yes nor no")
	}
	return nil
}

type event struct {
	Email   string    `json:"email"`
	Time    time.Time `json:"time"`
	Message string    `json:"message"`
}

// gophishJSON is one campaign, or a list of campaigns, as GoPhish's API gives them.
var gophishJSON = evidence.Format{
	Name:  "gophish-campaign",
	About: "campaigns from GoPhish's API (/api/campaigns/ or /api/campaigns/ID/results)",
	Recognise: func(_ string, head []byte) bool {
		head = bytes.TrimSpace(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")))
		return len(head) > 0 && (head[0] == '{' || head[0] == '[') && bytes.Contains(head, []byte(`"results"`)) &&
			bytes.Contains(head, []byte(`"send_date"`)) && bytes.Contains(head, []byte(`"status"`)) && bytes.Contains(head, []byte(`"email"`))
	},
	Read: readGophishJSON,
}

func readGophishJSON(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
	raw, err := bounded.ReadAll(in.Reader, maxCampaignBytes)
	if err != nil {
		return fmt.Errorf("reading %s: %w", in.Name, err)
	}
	raw = bytes.TrimSpace(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")))
	var list []json.RawMessage
	if len(raw) > 0 && raw[0] == '[' {
		if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("reading %s as campaigns of GoPhish: %s", in.Name, withoutContent(err))
		}
	} else {
		list = []json.RawMessage{raw}
	}
	for n, one := range list {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var c gophishCampaign
		if err := json.Unmarshal(one, &c); err != nil {
			if len(list) == 1 {
				return fmt.Errorf("reading %s as a campaign of GoPhish: %s", in.Name, withoutContent(err))
			}
			sink.Bad(int64(n+1), "a campaign that cannot be read: "+withoutContent(err))
			continue
		}
		if len(c.Results) > maxRecipients {
			sink.Bad(int64(n+1), fmt.Sprintf("a campaign of %d recipients; %d are allowed", len(c.Results), maxRecipients))
			continue
		}
		if err := c.facts(&in, int64(n+1), sink); err != nil {
			return err
		}
	}
	return nil
}

func (c *gophishCampaign) facts(in *evidence.Input, record int64, sink evidence.Sink) error {
	did, broken := happenings(c.Timeline)
	if broken > 0 {
		sink.Bad(record, fmt.Sprintf("%d events of the campaign cannot be read", broken))
	}
	name := c.Name
	if name == "" {
		name = stem(in.Name) + " " + c.ID.String()
	}
	for n, raw := range c.Results {
		var to recipient
		if err := json.Unmarshal(raw, &to); err != nil {
			sink.Bad(record, fmt.Sprintf("recipient %d: %s", n+1, withoutContent(err)))
			continue
		}
		if !strings.Contains(to.Email, "@") {
			sink.Bad(record, "a recipient without an address")
			continue
		}
		r := result{campaign: name, team: to.Position, sent: to.SendDate, reports: bool(to.Reported), knowsOpened: true, knowsEntered: true, knowsReports: true}
		if err := r.gophishStatus(to.Status); err != nil {
			sink.Bad(record, err.Error())
			continue
		}
		r.add(did[strings.ToLower(to.Email)])
		if err := give(in, record, to.Email, &r, sink); err != nil {
			return err
		}
	}
	return nil
}

// add takes what the events of one recipient say; the newest state alone hides what came before.
func (r *result) add(did []event) {
	for _, e := range did {
		switch strings.ToLower(e.Message) {
		case "email sent":
			r.delivered = true
			if r.sent.IsZero() {
				r.sent = e.Time
			}
		case "email opened":
			r.opened = true
		case "clicked link":
			r.clicked = true
		case "submitted data":
			r.entered = true
		case "email reported":
			r.reports = true
			if r.reportedAt.IsZero() || e.Time.Before(r.reportedAt) {
				r.reportedAt = e.Time
			}
		}
	}
	r.delivered = r.delivered || r.opened || r.clicked || r.entered || r.reports
}

// happenings sorts events by who they are about.
func happenings(list []json.RawMessage) (out map[string][]event, broken int) {
	out = map[string][]event{}
	for _, raw := range list {
		var e event
		if err := json.Unmarshal(raw, &e); err != nil {
			broken++
		} else if e.Email != "" {
			who := strings.ToLower(e.Email)
			out[who] = append(out[who], e)
		}
	}
	return out, broken
}

func give(in *evidence.Input, record int64, mail string, r *result, sink evidence.Sink) error {
	item, err := r.item(Pseudonym(in.Tenant, mail), in.At)
	if err != nil {
		sink.Bad(record, err.Error())
		return nil
	}
	item.Tenant, item.From = in.Tenant, evidence.Origin{File: in.Name, Line: record}
	return sink.Item(item)
}

// gophishEvents is GoPhish's export of raw events: a row for each thing that a recipient did.
var gophishEvents = evidence.Format{
	Name:  "gophish-events",
	About: "GoPhish's export of a campaign's raw events",
	Recognise: func(_ string, head []byte) bool {
		return decode.HeaderOf(head).Has("campaign_id", "email", "time", "message")
	},
	Read: readGophishEvents,
}

// readGophishEvents holds a line's number and what was done for each recipient of each campaign.
func readGophishEvents(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
	rows, err := decode.NewRows(in.Reader, sink.Bad)
	if errors.Is(err, decode.ErrNoHeader) {
		return evidence.ErrNotThis
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", in.Name, err)
	}
	type key struct{ campaign, mail string }
	type got struct {
		line int64
		r    result
	}
	people := map[key]*got{}
	at := [...]int{rows.Column("campaign_id"), rows.Column("email"), rows.Column("time"), rows.Column("message")}
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		cells, line, err := rows.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", in.Name, err)
		}
		mail := strings.TrimPrefix(strings.ToLower(cells[at[1]]), "'")
		if mail == "" {
			continue // about the campaign itself
		}
		t, ok := when(cells[at[2]])
		if !ok || !strings.Contains(mail, "@") {
			sink.Bad(line, "no address or no time of an event")
			continue
		}
		k := key{cells[at[0]], mail}
		p := people[k]
		if p == nil {
			if len(people) >= maxRecipients {
				sink.Bad(line, fmt.Sprintf("more than %d recipients in one file", maxRecipients))
				continue
			}
			name, exact := campaignOf(in.Name)
			if !exact {
				name += " " + k.campaign
			}
			p = &got{line: line, r: result{campaign: name, knowsOpened: true, knowsEntered: true, knowsReports: true}}
			people[k] = p
		}
		p.r.add([]event{{Email: mail, Time: t, Message: cells[at[3]]}})
	}
	keys := make([]key, 0, len(people))
	for k := range people {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int { return int(people[a].line - people[b].line) })
	for _, k := range keys {
		p := people[k]
		if !p.r.delivered {
			continue
		}
		if err := give(&in, p.line, k.mail, &p.r, sink); err != nil {
			return err
		}
	}
	return nil
}
