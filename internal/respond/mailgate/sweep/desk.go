package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/mailgate/quarantine"
)

// How many reports of one hour are dealt with in full. What is beyond is put aside unread, and counted.
const (
	reportsEach  = 50 // of one reporter
	reportsAll   = 1_000
	thanksEach   = 5
	thanksAll    = 200
	outsidersAll = 20 // reports by others than the tenant's own people
)

// Keeper keeps a reported message: a quarantine.Box.
type Keeper interface {
	Keep(it quarantine.Item, raw []byte) (string, error)
}

// Sender answers those who report.
type Sender interface {
	Send(ctx context.Context, t Thanks) error
}

// Thanks is an answer to a report. It is sent once at most.
type Thanks struct {
	To        string
	Subject   string   // of the report
	InReplyTo string   // Message-ID of the report, with angle brackets; may be empty
	Text      []string // paragraphs
	Key       string   // the same for the same report
	Mailbox   string   // that the report came to: its name and its user
	Time      time.Time
}

// Report is what became of one reported message.
type Report struct {
	Tenant    tenant.ID        `json:"tenant"`
	Mailbox   string           `json:"mailbox"`
	Time      time.Time        `json:"time"`     // the report came
	Reporter  string           `json:"reporter"` // "" not known
	Subject   string           `json:"subject"`  // of the reported message
	From      string           `json:"from"`
	MessageID string           `json:"message_id"`
	Verdict   ocsf.MailVerdict `json:"verdict"`
	HeldAs    string           `json:"held_as,omitempty"` // its name in quarantine
	Thanked   bool             `json:"thanked"`
	Problem   string           `json:"problem,omitempty"` // why it was not dealt with in full: an outsider, a flood, nothing in it
	Similar   *Request         `json:"similar,omitempty"` // a dry run that finds the delivered copies
	Event     *ocsf.Event      `json:"-"`                 // the reported message; nil where it can't be decoded
	Raw       []byte           `json:"-"`
}

// DeskOptions are the options of a Desk. Judge is needed.
type DeskOptions struct {
	Tenant  tenant.ID
	Domains []string // of the tenant's own people
	State   string   // folder
	Judge   Judge
	Keep    Keeper // nil: reported messages are not kept
	Sender  Sender // nil: nobody is thanked
	// Publish is told of each message that the tenant's own people report, and Offer of those with delivered copies to
	// look for; both may be told again of the same after a cut. Told hears of every report, for counting.
	Publish func(context.Context, *Report) error
	Offer   func(context.Context, *Report) error
	Told    func(*Report)
	Log     *slog.Logger
	Now     func() time.Time
}

// Desk deals with reports of users, one tenant's. Its Handle is for a Taker.
type Desk struct {
	o     DeskOptions
	steps *steps
	lock  io.Closer
}

// OpenDesk opens a desk. A tenant has one at a time: a second is ErrBusy.
func OpenDesk(o DeskOptions) (*Desk, error) {
	if o.Tenant == "" || o.Judge == nil || o.State == "" {
		return nil, errors.New("taking reports: a tenant, a folder for the state and a judge are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir := filepath.Join(o.State, folderOf(o.Tenant), "reports")
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := tryLock(filepath.Join(dir, "lock"))
	if errors.Is(err, errHeld) {
		return nil, fmt.Errorf("taking reports of %s: another process takes them already, such as `breakwater serve`: %w", o.Tenant, ErrBusy)
	}
	if err != nil {
		return nil, fmt.Errorf("taking reports of %s: locking the state: %w", o.Tenant, err)
	}
	s, err := openSteps(filepath.Join(dir, "steps"), o.Now())
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Desk{o, s, lock}, nil
}

// Close closes the desk.
func (d *Desk) Close() error { return errors.Join(d.steps.close(), d.lock.Close()) }

// Handle deals with one mail of the reports' mailbox.
func (d *Desk) Handle(ctx context.Context, t Taken) error {
	r := ReadReport(t.Raw)
	base := Report{Tenant: d.o.Tenant, Mailbox: t.Mailbox, Time: t.Date, Reporter: r.Reporter}
	outsider := d.outsider(r.Reporter, t.Raw)
	if d.steps.has(t.Key, "report") == 0 {
		if why := d.flood(r, outsider); why != "" {
			base.Problem = why
			d.told(&base)
			return nil
		}
		by := r.Reporter
		if outsider != "" {
			by = "(outside)"
		}
		if err := d.steps.note(step{Key: t.Key, Step: "report", By: by, Time: d.o.Now()}); err != nil {
			return err
		}
	}
	if len(r.Messages) == 0 {
		base.Problem = strings.Join(append([]string{"it carries no message"}, r.Notes...), "; ")
		if r.Automatic == "" && outsider == "" {
			base.Thanked = d.thank(ctx, t, r, []string{"Thank you. Your mail carried no message that could be examined. Please forward the suspicious message as an attachment, without opening its links or files."})
		}
		d.told(&base)
		return nil
	}
	var done []*Report
	for i, m := range r.Messages {
		one := base
		if err := d.examine(ctx, t, m, i, outsider, &one); err != nil {
			return fmt.Errorf("dealing with a report of %s: %w", d.o.Tenant, err)
		}
		done = append(done, &one)
	}
	if r.Automatic == "" && outsider == "" {
		done[0].Thanked = d.thank(ctx, t, r, outcome(done))
	}
	for _, one := range done {
		d.told(one)
	}
	return nil
}

func (d *Desk) told(r *Report) {
	if d.o.Told != nil {
		d.o.Told(r)
	}
	if r.Problem != "" {
		d.o.Log.Info("a report was not dealt with in full", "tenant", d.o.Tenant, "mailbox", r.Mailbox, "why", r.Problem)
	}
}

// flood says why a report is put aside unread.
func (d *Desk) flood(r *ReportMail, outsider string) string {
	hour := d.o.Now().Add(-time.Hour)
	switch {
	case len(r.Messages) == 0 && r.Automatic != "":
		return "no report: " + r.Automatic
	case outsider != "" && d.steps.count("report", "(outside)", hour) >= outsidersAll:
		return "more reports by outsiders than are dealt with in an hour"
	case outsider == "" && d.steps.count("report", r.Reporter, hour) >= reportsEach:
		return "more reports of one reporter than are dealt with in an hour"
	case d.steps.count("report", "", hour) >= reportsAll:
		return "more reports than are dealt with in an hour"
	}
	return ""
}

// outsider says why a report is not believed to be the tenant's own people's. Mail of the own server has often no
// Authentication-Results at all, so only a failure counts.
func (d *Desk) outsider(reporter string, raw []byte) string {
	_, host, ok := strings.Cut(reporter, "@")
	own := map[string]bool{}
	for _, x := range d.o.Domains {
		own[strings.ToLower(x)] = true
	}
	if !ok || !below(own, host) {
		return "the reporter is not of the tenant's domains"
	}
	if e, _ := mail.Message(raw); e != nil && e.Mail.DMARC == "fail" {
		return "the report fails DMARC"
	}
	return ""
}

// examine judges and keeps one reported message.
func (d *Desk) examine(ctx context.Context, t Taken, m Reported, n int, outsider string, out *Report) error {
	raw := m.Raw
	e, reason := mail.Message(raw)
	if e == nil {
		// A forwarded text often has no date that can be read; the report's stands in.
		raw = append([]byte("Date: "+t.Date.UTC().Format(time.RFC1123Z)+"\r\n"), raw...)
		e, reason = mail.Message(raw)
	}
	out.Raw, out.Event = raw, e
	if e != nil {
		e.Tenant = d.o.Tenant
		out.Subject, out.From, out.MessageID = clip(e.Mail.Subject), clip(e.Mail.From), clip(e.Mail.MessageID)
	} else {
		out.Problem = "the reported message can't be read: " + reason
	}
	out.Verdict = d.o.Judge(ctx, d.o.Tenant, raw)
	if err := ctx.Err(); err != nil {
		return err // a verdict that was cut short is none
	}
	if outsider != "" {
		out.Problem = outsider
	}
	if d.o.Keep != nil {
		it := quarantine.Item{Time: t.Date, Place: quarantine.PlaceReport, QueueID: fmt.Sprintf("%.16s-%d", t.Key, n), Mailbox: t.Mailbox, MessageID: out.MessageID, From: out.From,
			Subject: out.Subject, Verdict: &out.Verdict}
		if out.Reporter != "" {
			it.Recipients = []string{out.Reporter}
		}
		if e != nil {
			it.FromName, it.BodyHash, it.Hosts = e.Mail.FromName, e.Mail.BodyHash, hostsOf(e)
		}
		name, err := d.o.Keep.Keep(it, raw)
		if errors.Is(err, quarantine.ErrFull) {
			out.Problem = add(out.Problem, "the quarantine is full; the reported message lies in the handled report alone")
		} else if err != nil {
			return err
		}
		out.HeldAs = name
	}
	if outsider != "" {
		return nil // what outsiders send must neither become evidence nor start a search
	}
	if d.o.Publish != nil && e != nil {
		if err := d.o.Publish(ctx, out); err != nil {
			return err
		}
	}
	if out.Similar = similar(d.o.Tenant, e, out.Verdict, m.Inline, t.Date); out.Similar != nil && d.o.Offer != nil {
		return d.o.Offer(ctx, out)
	}
	return nil
}

func hostsOf(e *ocsf.Event) []string {
	var out []string
	for _, l := range e.Mail.Links { // what is alike in a gateway that rewrites links is not alike
		if _, host, _ := l.Target(); host != "" && !slices.Contains(out, host) && len(out) < 50 {
			out = append(out, host)
		}
	}
	return out
}

// similar is a dry run for delivered copies: the same Message-ID or text, and of phishing the same links.
func similar(id tenant.ID, e *ocsf.Event, v ocsf.MailVerdict, inline bool, when time.Time) *Request {
	if e == nil {
		return nil
	}
	var wanted []string
	if x := e.Mail.MessageID; x != "" && !inline && !strings.ContainsAny(x, " \t<>") {
		wanted = append(wanted, "<"+x+">")
	}
	if e.Mail.BodyHash != "" && len(e.Mail.Text) >= 40 { // a few words are many people's
		wanted = append(wanted, e.Mail.BodyHash)
	}
	if v.Verdict == "phish" {
		for _, l := range e.Mail.Links {
			if len(wanted) < 50 && strings.Contains(l.URL, "://") && len(l.URL) < 2000 && !slices.Contains(wanted, l.URL) {
				wanted = append(wanted, l.URL)
			}
		}
	}
	// What could not be asked for is left out, so that the rest can.
	wanted = slices.DeleteFunc(wanted, func(x string) bool {
		_, err := newMatcher(Criteria{Indicators: []string{x}}, id, nil)
		return err != nil
	})
	if len(wanted) == 0 {
		return nil
	}
	return &Request{Criteria: Criteria{Indicators: wanted, Since: when.Add(-14 * 24 * time.Hour).UTC()}, By: "report", Why: "copies of a reported message: " + clip(e.Mail.Subject)}
}

// outcome says in plain words what was found.
func outcome(list []*Report) []string {
	worst := "clean"
	for _, r := range list {
		if r.Verdict.Verdict == "phish" || r.Verdict.Verdict == "suspicious" && worst == "clean" {
			worst = r.Verdict.Verdict
		}
	}
	text := map[string]string{
		"phish":      "Thank you for the report. The message is very probably phishing. Do not answer it, and open none of its links or files. If you have entered a password or opened a file, tell your security team now.",
		"suspicious": "Thank you for the report. The message is suspicious, and somebody will look at it. Until then do not answer it, and open none of its links or files.",
		"clean":      "Thank you for the report. Nothing was found in the message that speaks for phishing. This is no proof: if it asks for a password, a payment or something unusual, ask its sender by telephone.",
	}[worst]
	out := []string{text}
	for _, r := range list {
		if r.Subject != "" && len(out) < 6 {
			out = append(out, "Reported message: "+plainText(r.Subject))
		}
	}
	return out
}

// plainText keeps links in an intruder's subject from being clicked in our answer.
func plainText(s string) string {
	return strings.NewReplacer("://", ": //", "www.", "www .", "<", "(", ">", ")").Replace(clip(s))
}

// thank answers the reporter, once at most: it is noted before it is sent, so that a cut costs an answer and never sends
// two.
func (d *Desk) thank(ctx context.Context, t Taken, r *ReportMail, text []string) bool {
	if d.o.Sender == nil || d.steps.has(t.Key, "thanking") > 0 {
		return false
	}
	hour := d.o.Now().Add(-time.Hour)
	if d.steps.count("thanking", r.Reporter, hour) >= thanksEach || d.steps.count("thanking", "", hour) >= thanksAll {
		return false
	}
	if err := d.steps.note(step{Key: t.Key, Step: "thanking", By: r.Reporter, Time: d.o.Now()}); err != nil {
		d.o.Log.Warn("a reporter was not thanked", "tenant", d.o.Tenant, "err", err)
		return false
	}
	err := d.o.Sender.Send(ctx, Thanks{To: r.Reporter, Subject: r.Subject, InReplyTo: r.MessageID, Text: text, Key: t.Key, Mailbox: t.Mailbox, Time: d.o.Now()})
	if err != nil {
		d.o.Log.Warn("a reporter was not thanked", "tenant", d.o.Tenant, "err", err)
	}
	return err == nil
}
