package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/detect/phish/learned"
)

type mailTrainFlags struct {
	config, tenant, model string
	fpr                   float64
	withoutWords          bool
}

// newMailTrain is `breakwater mail train`.
func newMailTrain(c *console) *cobra.Command {
	var f mailTrainFlags
	cmd := &cobra.Command{
		Use:   "train HAM SPAM",
		Short: "Train a model on a site's own mail",
		Long: `Train a model on a site's own mail: HAM is a file, folder or archive of legitimate mail, SPAM one of phishing.
The model adds to the reasons that ship. Its threshold is chosen so that the wanted share of legitimate mail lies above
it, by cross-validation over blocks of time of this mail alone; what that gave is printed, with the groups of features
that carry it and how far the held-out scores are probabilities. At least 20 messages of each
class are needed, and a few hundred are better. Take whole weeks as they came, not a choice.`,
		Example: `  breakwater mail train Maildir/.Archive Maildir/.Phishing --model site.model
  breakwater mail train ham.mbox.zst phish.mbox.zst --model site.model --fpr 0.001`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("mail train needs two paths: legitimate mail and phishing")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return trainMail(cmd, c, f, args[0], args[1]) },
	}
	mailModelFlags(cmd, &f)
	cmd.Flags().Float64Var(&f.fpr, "fpr", 0.01, "wanted share of legitimate mail above the threshold")
	cmd.Flags().BoolVar(&f.withoutWords, "without-words", false, "learn from links and shape alone, to see what words carry")
	return cmd
}

func mailModelFlags(cmd *cobra.Command, f *mailTrainFlags) {
	cmd.Flags().StringVar(&f.model, "model", "", "model `FILE`")
	cmd.Flags().StringVar(&f.config, "config", "", "`FILE` that declares tenants, partners and trusts")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "`TENANT` that received the mail")
	_ = cmd.MarkFlagRequired("model")
}

func trainMail(cmd *cobra.Command, c *console, f mailTrainFlags, ham, spam string) error {
	if !(f.fpr > 0 && f.fpr < 0.5) {
		return usage("--fpr %g: use a share above 0 and below 0.5", f.fpr)
	}
	m, id, err := openModel(f.config, f.tenant)
	if err != nil {
		return err
	}
	d := newPhish(m)
	examples, err := readExamples(cmd.Context(), c, d, m, id, ham, false, nil)
	if err != nil {
		return err
	}
	if examples, err = readExamples(cmd.Context(), c, d, m, id, spam, true, examples); err != nil {
		return err
	}
	trained, r, err := learned.Train(cmd.Context(), examples, learned.Options{FPR: f.fpr, WithoutWords: f.withoutWords})
	if err != nil {
		return fmt.Errorf("training on %s and %s: %w", ham, spam, err)
	}
	if err := writeModel(f.model, trained); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "learned            %d legitimate, %d phishing\n", r.Ham, r.Spam)
	fmt.Fprintf(c.out, "cross-validation   %d blocks of time, %d messages held out\n", learned.Folds, r.HeldOut)
	fmt.Fprintf(c.out, "threshold          %.6f: recall %.3f at a false positive rate of %.4f\n", trained.Threshold, r.Recall, r.FPR)
	fmt.Fprintf(c.out, "strict threshold   %.6f: recall %.3f at a false positive rate of %.4f\n", trained.StrictThreshold, r.Strict, r.StrictFPR)
	fmt.Fprintf(c.out, "shipped reasons    recall %.3f at the same rate\n", r.Prior)
	fmt.Fprintf(c.out, "log loss           %.4f\n", r.LogLoss)
	fmt.Fprintf(c.out, "carried by         words %.1f, links %.1f, shape %.1f log odds between the classes\n", r.Carries.Words, r.Carries.Links, r.Carries.Shape)
	fmt.Fprintf(c.out, "score              messages   mean score   phishing, if one message in 55 were\n")
	for _, b := range r.Bins {
		fmt.Fprintf(c.out, "%4.2f to %4.2f       %8d   %10.4f   %.4f\n", b.From, b.To, b.Messages, b.Mean, b.Phish)
	}
	return nil
}

// writeModel puts the model in the place of an older one in one step.
func writeModel(name string, m *learned.Model) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".mail-model-*")
	if err != nil {
		return fmt.Errorf("writing the mail model: %w", err)
	}
	defer os.Remove(tmp.Name())
	err = m.Write(tmp)
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// newMailLearn is `breakwater mail learn`.
func newMailLearn(c *console) *cobra.Command {
	var f mailTrainFlags
	var ham, spam string
	cmd := &cobra.Command{
		Use:   "learn",
		Short: "Teach a model further mail",
		Long: `Teach a model further mail, such as what users reported or what was released from quarantine. The thresholds stay;
train anew now and then, so that they fit again.`,
		Example: `  breakwater mail learn --model site.model --spam Maildir/.Reported
  breakwater mail learn --model site.model --ham released.mbox`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (ham == "") == (spam == "") {
				return usage("mail learn needs --ham PATH or --spam PATH, one of them")
			}
			m, id, err := openModel(f.config, f.tenant)
			if err != nil {
				return err
			}
			trained, err := readModel(f.model)
			if err != nil {
				return err
			}
			examples, err := readExamples(cmd.Context(), c, newPhish(m), m, id, ham+spam, spam != "", nil)
			if err != nil {
				return err
			}
			for i := range examples {
				trained.Learn(examples[i].Vector, spam != "", 1)
			}
			if err := writeModel(f.model, trained); err != nil {
				return err
			}
			fmt.Fprintf(c.out, "learned %d more: %d legitimate, %d phishing in all\n", len(examples), trained.Ham, trained.Spam)
			return nil
		},
	}
	mailModelFlags(cmd, &f)
	cmd.Flags().StringVar(&ham, "ham", "", "`PATH` of legitimate mail")
	cmd.Flags().StringVar(&spam, "spam", "", "`PATH` of phishing")
	return cmd
}
