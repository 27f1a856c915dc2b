package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/detect/phish"
	"github.com/breakwater-project/breakwater/internal/detect/phish/learned"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

type mailScoreFlags struct {
	config, tenant, model, output string
	history                       []string
	threshold                     float64
	noLearn                       bool
}

// newMailScore is `breakwater mail score`.
func newMailScore(c *console) *cobra.Command {
	var f mailScoreFlags
	cmd := &cobra.Command{
		Use:   "score PATH…",
		Short: "Say of each message whether it is phishing, and why",
		Long: `Say of each message whether it is phishing, and why: one line a message, in the order in which they are read.
Messages are single files (.eml, maildirs), mboxes, and any of these in folders and archives. They are judged in the
order of their times, and each that is clean teaches the habits of its sender, as it does in service. What cannot be
read is suspicious, never clean. Nothing is fetched, shown or sent.

--history names earlier mail, of both directions, from which habits are learned and of which nothing is printed. The
score is a probability; see docs/mail.md for what each reason means and how to choose the threshold.`,
		Example: `  breakwater mail score suspicious.eml
  breakwater mail score --config breakwater.yaml --tenant acme --history Maildir.2026 -o jsonl Maildir/new
  breakwater mail score --model site.model --threshold 0.9 -o csv export.mbox`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("mail score needs at least one file or folder")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return scoreMail(cmd, c, f, args) },
	}
	cmd.Flags().StringVar(&f.config, "config", "", "`FILE` that declares tenants, partners and trusts; without it nobody is known")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "`TENANT` that received the mail; else the recipients' domains tell")
	cmd.Flags().StringArrayVar(&f.history, "history", nil, "`PATH` of earlier mail to learn habits from (may be repeated)")
	cmd.Flags().StringVar(&f.model, "model", "", "model `FILE` of `breakwater mail train`")
	cmd.Flags().Float64Var(&f.threshold, "threshold", 0, "probability from which a message is phish; 0: the model's, or the shipped one")
	cmd.Flags().BoolVar(&f.noLearn, "no-learn", false, "don't learn from the messages that are scored")
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "output format: table|json|jsonl|csv")
	return cmd
}

// mailLine is what is printed of one message.
type mailLine struct {
	File      string       `json:"file"`
	MessageID string       `json:"message_id"`
	Verdict   string       `json:"verdict"`
	Score     float64      `json:"score"`
	Reasons   []mailReason `json:"reasons"`
}

type mailReason struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"`
	Text   string  `json:"text"`
}

var mailColumns = []listColumn[mailLine]{
	{"file", func(l mailLine) string { return l.File }},
	{"message_id", func(l mailLine) string { return l.MessageID }},
	{"verdict", func(l mailLine) string { return l.Verdict }},
	{"score", func(l mailLine) string { return strconv.FormatFloat(l.Score, 'f', 4, 64) }},
	{"reasons", func(l mailLine) string {
		var b strings.Builder
		for i, r := range l.Reasons {
			if i > 0 {
				b.WriteString("; ")
			}
			fmt.Fprintf(&b, "%s (%s %+.1f)", r.Text, r.Name, r.Weight)
		}
		return b.String()
	}},
}

func scoreMail(cmd *cobra.Command, c *console, f mailScoreFlags, args []string) error {
	if err := checkFormat(f.output); err != nil {
		return err
	}
	if cmd.Flags().Changed("threshold") && !(f.threshold > 0 && f.threshold < 1) {
		return usage("--threshold %g: use a probability above 0 and below 1", f.threshold)
	}
	m, id, err := openModel(f.config, f.tenant)
	if err != nil {
		return err
	}
	d := newPhish(m)
	if f.model != "" {
		trained, err := readModel(f.model)
		if err != nil {
			return err
		}
		d.UseModel(trained)
	}
	d.SetThreshold(f.threshold)
	ctx := cmd.Context()
	if len(f.history) > 0 {
		earlier, err := spoolMail(ctx, c, m, id, f.history)
		if err != nil {
			return err
		}
		defer earlier.Close()
		if err := judgeInOrder(ctx, d, earlier, true, nil); err != nil {
			return err
		}
	}
	list, err := spoolMail(ctx, c, m, id, args)
	if err != nil {
		return err
	}
	defer list.Close()
	said, err := newAnswers(len(list.entries))
	if err != nil {
		return err
	}
	defer said.Close()
	if err := judgeInOrder(ctx, d, list, !f.noLearn, said); err != nil {
		return err
	}
	return said.print(c.out, f.output)
}

// spoolMail reads all messages below the paths.
func spoolMail(ctx context.Context, c *console, m *tenant.Model, id tenant.ID, paths []string) (*spool, error) {
	s, err := newSpool()
	if err != nil {
		return nil, err
	}
	r := &mailReader{model: m, tenant: id, note: func(format string, args ...any) { fmt.Fprintf(c.err, format+"\n", args...) }, visit: s.put}
	if err := r.read(ctx, paths); err != nil {
		_ = s.Close()
		return nil, err
	}
	if r.skipped > 0 {
		r.note("%d files are no mail and were left out", r.skipped)
	}
	return s, nil
}

// judgeInOrder judges messages in the order of their times; said, where it is not nil, gets the answers.
func judgeInOrder(ctx context.Context, d *phish.Detector, list *spool, learn bool, said *mailAnswers) error {
	return list.inOrder(func(n int, m *message) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if m.event != nil && strings.HasPrefix(m.broken, undated) { // it was read, and only has no time
			m.broken = ""
			m.event.Mail.ParseProblems = append(m.event.Mail.ParseProblems, "odd: "+undated)
		}
		var v ocsf.MailVerdict
		if m.event != nil {
			v = d.Judge(m.event)
		}
		if m.broken != "" {
			v = d.Unread(v, m.broken)
		}
		if said != nil {
			l := lineOf(m, &v)
			if err := said.put(n, &l); err != nil {
				return err
			}
		}
		if learn && m.event != nil {
			d.Learn(m.event, v)
			d.Advance(m.event.Time, nil)
		}
		return nil
	})
}

// undated begins the decoder's reason for a message that tells no time. A gateway knows when it came.
const undated = "no usable date"

func lineOf(m *message, v *ocsf.MailVerdict) mailLine {
	l := mailLine{File: m.file, Verdict: v.Verdict, Score: v.Score, Reasons: []mailReason{}}
	if m.event != nil {
		l.MessageID = m.event.Mail.MessageID
	}
	for _, r := range v.Reasons {
		l.Reasons = append(l.Reasons, mailReason{r.Name, r.Weight, r.Text})
	}
	return l
}

func readModel(name string) (*learned.Model, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the mail model: %w", err)
	}
	defer f.Close()
	m, err := learned.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// newMail is `breakwater mail`; each verb has a file of its own.
func newMail(c *console) *cobra.Command {
	return noun("mail", "Score mail, and train the score", newMailScore(c), newMailTrain(c), newMailLearn(c), newMailObserved(c), newMailQuarantine(c), newMailSweep(c), newMailReports(c), newMailJournal(c))
}
