package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/platform/authz"
	"github.com/breakwater-project/breakwater/internal/scenario"
	"github.com/breakwater-project/breakwater/internal/show/report"
)

// serveFlags are what a user says to serve.
type serveFlags struct {
	data, config, rules, listen, logs string
	indicators                        []string
	demo                              demoFlags
}

// demoFlags are how the demo is played.
type demoFlags struct {
	on, end, noOpen bool
	seed            uint64
	within          time.Duration
}

func newServe(c *console) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Watch constantly: take telemetry in and answer as it comes",
		Long: `Serve takes telemetry in over HTTP (lines, files, Elasticsearch's _bulk), syslog, followed files and a
folder, keeps it on disk before it acknowledges, and runs the same pipeline as scan over it without a pause.
The page, the API and the commands campaign, incident, finding and coverage show what it concludes.

The data folder holds everything; a start takes up where the last one ended. On the first start a token for
the administrator is written to DATA/admin.token. Who sends needs a token too:
breakwater token create. Tenants, trusts and sensors are declared in breakwater.yaml: breakwater apply.

--demo writes a scenario, plays its eleven days in about a minute, and shows the campaign unfold.`,
		Example: `  breakwater serve --demo
  breakwater serve --data /var/lib/breakwater --config /etc/breakwater/breakwater.yaml
  breakwater token create --data /var/lib/breakwater --role sensor --tenant acme --sensor fw-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLog(c, f.logs)
			if err != nil {
				return err
			}
			if f.demo.on {
				return serveDemo(cmd.Context(), c, &f, log)
			}
			if f.data == "" {
				return usage("--data is needed: the folder that holds everything that is kept")
			}
			if name := filepath.Join(f.data, app.ConfigName); f.config == "" && isFile(name) {
				f.config = name
			}
			return app.Serve(cmd.Context(), f.options(log, func(r *app.Running) { firstToken(cmd.Context(), c, r, f.data) }))
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "", "folder of everything that is kept; made where it is missing")
	fl.StringVar(&f.config, "config", "", "breakwater.yaml to apply now and whenever it changes (default: that of the data folder, else what was applied last)")
	fl.StringVar(&f.rules, "rules", "", "folder or zip of Sigma rules beside our own; taken anew when it changes")
	fl.StringArrayVar(&f.indicators, "indicators", nil, "file of indicators (may be repeated); taken anew when it changes")
	fl.StringVar(&f.listen, "listen", "", "host:port of page, API and HTTP intake (default: the configuration's, else 127.0.0.1:8460)")
	fl.StringVar(&f.logs, "log-format", "text", "how to write what happens on stderr: text|json")
	fl.BoolVar(&f.demo.on, "demo", false, "play a written scenario to a pipeline of its own")
	fl.DurationVar(&f.demo.within, "demo-time", time.Minute, "with --demo: how long the story takes")
	fl.Uint64Var(&f.demo.seed, "demo-seed", 2, "with --demo: another seed, another story")
	fl.BoolVar(&f.demo.end, "demo-end", false, "with --demo: print the answer when the story is told, and end")
	fl.BoolVar(&f.demo.noOpen, "no-open", false, "with --demo: open no browser")
	return cmd
}

func (f *serveFlags) options(log *slog.Logger, ready func(*app.Running)) app.ServeOptions {
	return app.ServeOptions{Data: f.data, Config: f.config, Rules: f.rules, Indicators: f.indicators, Listen: f.listen, Version: version(), Log: log, Ready: ready}
}

func isFile(name string) bool {
	st, err := os.Stat(name)
	return err == nil && st.Mode().IsRegular()
}

func newLog(c *console, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(c.err, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.err, nil)), nil
	}
	return nil, usage("--log-format %s: use text or json", format)
}

// adminToken is the file in the data folder that holds the first administrator's token.
const adminToken = "admin.token"

// firstToken writes a token for the administrator where nobody could log in else.
func firstToken(ctx context.Context, c *console, r *app.Running, dir string) {
	has, err := r.Watched(ctx)
	if err != nil || has {
		return
	}
	secret, _, err := r.Authority.CreateToken(ctx, authz.Grant{Role: authz.RoleAdmin, By: "first start"})
	name := filepath.Join(dir, adminToken)
	if err == nil {
		err = os.WriteFile(name, []byte(secret+"\n"), 0o600)
	}
	if err != nil {
		fmt.Fprintf(c.err, "No token for the administrator could be written: %v. Use `breakwater token create --role admin`.\n", err)
		return
	}
	fmt.Fprintf(c.err, "Log in at %s with the token in %s, or add a person: breakwater user add.\n", r.URL, name)
}

// serveDemo plays a scenario to a serve in a folder of its own.
func serveDemo(ctx context.Context, c *console, f *serveFlags, log *slog.Logger) error {
	if f.config != "" {
		return usage("--demo brings its own configuration")
	}
	if f.data == "" {
		tmp, err := os.MkdirTemp("", "breakwater-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		f.data = tmp
	}
	dir := filepath.Join(f.data, "scenario")
	if _, err := scenario.Write(ctx, scenario.Options{Kind: "island-hop", Seed: f.demo.seed}, dir); err != nil {
		return fmt.Errorf("writing the scenario: %w", err)
	}
	s, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		return err
	}
	feed, err := app.ReadFeed(ctx, s, dir)
	if err != nil {
		return fmt.Errorf("reading the scenario: %w", err)
	}
	if f.listen == "" {
		f.listen = "127.0.0.1:0"
	}
	f.config = filepath.Join(dir, app.ConfigName)
	fmt.Fprintf(c.err, "A provider, its clients and an intruder were written to %s.\n", dir)
	ctx, end := context.WithCancel(ctx)
	defer end()
	played := make(chan error, 1)
	err = app.Serve(ctx, f.options(log, func(r *app.Running) {
		secret, _, err := r.Authority.CreateToken(ctx, authz.Grant{Role: authz.RoleAdmin, By: "demo"})
		if err != nil {
			played <- err
			end()
			return
		}
		link := r.Door(secret)
		fmt.Fprintf(c.err, "\nWatch it at %s (this link works once; interrupt with Ctrl-C).\n\n", link)
		if !f.demo.noOpen && !f.demo.end {
			openBrowser(link)
		}
		go func() {
			err := play(ctx, c, r, feed, f.demo.within)
			if err == nil {
				err = report.Table(c.out, r.Answer().Result, r.Answer().Model, colour(c.out))
			}
			played <- err
			if f.demo.end || err != nil {
				end()
			}
		}()
	}))
	select {
	case perr := <-played:
		if ctx.Err() != nil && perr != nil && err == nil && !f.demo.end {
			return nil // interrupted
		}
		return firstError(err, perr)
	default:
		return err
	}
}

func firstError(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// play submits a feed in its own order within about a time, and waits until everything is concluded.
func play(ctx context.Context, c *console, r *app.Running, feed []app.Fed, within time.Duration) error {
	const steps = 600
	clock := time.NewTicker(max(within/steps, time.Millisecond))
	defer clock.Stop()
	bar, done := newProgress(c.err, true), int64(0)
	for chunk := range slices.Chunk(feed, max(1, len(feed)/steps)) {
		frames := app.Join(chunk)
		for i := range frames {
			frames[i].Received = time.Now().UTC()
		}
		if err := r.Submit.Submit(ctx, frames...); err != nil {
			return fmt.Errorf("playing the scenario: %w", err)
		}
		done += int64(len(chunk))
		bar.update(done, int64(len(feed)))
		select {
		case <-clock.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	bar.done()
	for {
		if a := r.Answer(); a.Settled && a.Seq >= r.Last() {
			return nil
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
