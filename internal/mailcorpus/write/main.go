// Write puts the labelled mail into a folder, one .eml a message, so that every system that is compared reads the same
// bytes, and beside them corpus.tsv: file, id, family, label, part (train, test, dropped), block (of the
// training part by time within its family, 1 to 5; 0 outside), fresh (1: no campaign of it is in an earlier block), sample (1: in the fixed sample for slow systems), time, campaign's hash.
//
//	write DATA CACHE OUT
//
// DATA is the test data's folder, CACHE one for the npm package with the mail of 2002.
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/breakwater-project/breakwater/internal/mailcorpus"
)

// Sizes of the fixed sample, of each class.
const (
	sampled = 700
	folds   = 5
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: write DATA CACHE OUT")
		os.Exit(2)
	}
	if err := write(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "write:", err)
		os.Exit(1)
	}
}

func write(ctx context.Context, data, cache, out string) error {
	datasets, err := mailcorpus.FetchDatasets(ctx, cache)
	if err != nil {
		return err
	}
	all, err := mailcorpus.Load(filepath.Join(data, "mail"), datasets)
	if err != nil {
		return err
	}
	d := mailcorpus.ByTime(all)
	part, block, fresh, sample := map[string]string{}, map[string]int{}, map[string]int{}, map[string]int{}
	for i := range d.Train {
		part[d.Train[i].ID], block[d.Train[i].ID] = "train", folds
	}
	for k, f := range slices.Backward(mailcorpus.Folds(d.Train, folds)) {
		for i := range f.Train {
			block[f.Train[i].ID] = k + 1
		}
		for i := range f.Test {
			fresh[f.Test[i].ID] = 1
		}
	}
	var phish, ham []mailcorpus.Message
	for i := range d.Test {
		m := d.Test[i]
		part[m.ID] = "test"
		if m.Phish() {
			phish = append(phish, m)
		} else {
			ham = append(ham, m)
		}
	}
	for _, s := range [][]mailcorpus.Message{mailcorpus.Sample(phish, sampled), mailcorpus.Sample(ham, sampled)} {
		for i := range s {
			sample[s[i].ID] = 1
		}
	}
	if err := os.MkdirAll(filepath.Join(out, "eml"), 0o755); err != nil {
		return fmt.Errorf("making the corpus's folder: %w", err)
	}
	index, err := os.Create(filepath.Join(out, "corpus.tsv"))
	if err != nil {
		return fmt.Errorf("writing the corpus's index: %w", err)
	}
	w := bufio.NewWriter(index)
	for i := range all {
		m := &all[i]
		name := filepath.Join("eml", m.ID+".eml")
		if err := os.WriteFile(filepath.Join(out, name), m.Raw, 0o644); err != nil {
			return fmt.Errorf("writing a message of the corpus: %w", err)
		}
		label, campaign := "ham", sha256.Sum256([]byte(m.Campaign))
		if m.Phish() {
			label = "phish"
		}
		p := part[m.ID]
		if p == "" {
			p = "dropped"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%x\n", name, m.ID, m.Family, label, p, block[m.ID], fresh[m.ID], sample[m.ID], m.Time.Format(time.RFC3339), campaign[:8])
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the corpus's index: %w", err)
	}
	if err := index.Close(); err != nil {
		return fmt.Errorf("writing the corpus's index: %w", err)
	}
	fmt.Println("training set", mailcorpus.TrainingHash(d.Train))
	return nil
}
