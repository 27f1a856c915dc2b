// Evalmail measures Breakwater, rspamd and SpamAssassin on the same messages with the same training set, offline, and
// prints the figures as Markdown.
//
//	evalmail FLAGS peer      fill the kept scores of SpamAssassin, which takes long
//	evalmail FLAGS eval      print docs/evaluation-mail.md
//	evalmail FLAGS bench     print docs/benchmarks-mail.md
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

type options struct {
	corpus, data, work, script, cache, binary, milter string
	commit                                            string
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func main() {
	var o options
	flag.StringVar(&o.corpus, "corpus", "", "folder with corpus.tsv")
	flag.StringVar(&o.data, "data", "", "the data folder")
	flag.StringVar(&o.work, "work", "", "folder for models and databases")
	flag.StringVar(&o.script, "script", "", "spamassassin.pl")
	flag.StringVar(&o.cache, "cache", "", "SpamAssassin's kept scores")
	flag.StringVar(&o.binary, "breakwater", "", "the program")
	flag.StringVar(&o.milter, "milter", "", "what the milter's benchmark printed")
	flag.StringVar(&o.commit, "commit", "unknown", "the commit that is measured")
	flag.Parse()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		closeAll()
		os.Exit(1)
	}()
	err := run(o, flag.Arg(0))
	closeAll()
	if err != nil {
		fmt.Fprintln(os.Stderr, "evalmail:", err)
		os.Exit(1)
	}
}

func run(o options, what string) error {
	for _, dir := range []*string{&o.corpus, &o.data, &o.work} {
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return fmt.Errorf("finding %s: %w", *dir, err)
		}
		*dir = abs
	}
	s, err := readSets(o)
	if err != nil {
		return err
	}
	switch what {
	case "peer":
		_, _, err := s.spamassassin(o)
		return err
	case "eval":
		return evaluate(o, s)
	case "bench":
		return bench(o, s)
	}
	return fmt.Errorf("%q is none of peer, eval and bench", what)
}
