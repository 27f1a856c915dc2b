package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/app"
	"github.com/breakwater-project/breakwater/internal/scenario"
	"github.com/breakwater-project/breakwater/internal/show/report"
)

func newDemo(c *console) *cobra.Command {
	var noServe, noOpen bool
	var dir, listen string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Write a scenario, scan it, and show the answer",
		Long: `Demo writes the telemetry of a provider and its clients into a folder, with an intruder who hops from
the one to the others, scans it as it would your own files, prints the answer, and serves the report on a
loopback port until it is interrupted.`,
		Example: "  breakwater demo\n  breakwater demo --no-serve --dir ./demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !loopback(listen) {
				return usage("--listen %s: the demo is served on a loopback address only, such as 127.0.0.1:0", listen)
			}
			if dir == "" {
				tmp, err := os.MkdirTemp("", "breakwater-demo-")
				if err != nil {
					return err
				}
				if noServe {
					defer os.RemoveAll(tmp)
				}
				dir = filepath.Join(tmp, "scenario")
			}
			page, err := demo(cmd.Context(), c, dir, seed)
			if err != nil || noServe {
				return err
			}
			return serveReport(cmd.Context(), c, listen, page, !noOpen)
		},
	}
	cmd.Flags().BoolVar(&noServe, "no-serve", false, "end when the answer is printed")
	cmd.Flags().BoolVar(&noOpen, "no-open", false, "open no browser")
	cmd.Flags().StringVar(&dir, "dir", "", "where to write the scenario; it must be empty (default: a temporary folder)")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "address that the report is served on")
	cmd.Flags().Uint64Var(&seed, "seed", 2, "another seed, another story")
	return cmd
}

// demo writes and scans a scenario, prints the answer, and returns the report, which it also leaves in dir.
func demo(ctx context.Context, c *console, dir string, seed uint64) ([]byte, error) {
	start := time.Now()
	if _, err := scenario.Write(ctx, scenario.Options{Kind: "island-hop", Seed: seed}, dir); err != nil {
		return nil, fmt.Errorf("writing the scenario: %w", err)
	}
	fmt.Fprintf(c.err, "A provider, its clients and an intruder were written to %s (%.1f s).\n", dir, time.Since(start).Seconds())
	s, err := app.NewSetup(app.Options{Paths: []string{dir}})
	if err != nil {
		return nil, err
	}
	bar := newProgress(c.err, true)
	s.Progress = bar.update
	start = time.Now()
	k, err := app.Investigate(ctx, s, []string{dir}, nil)
	bar.done()
	if err != nil {
		return nil, err
	}
	r := k.Result
	fmt.Fprintf(c.err, "%d events of %d files were scanned (%.1f s).\n\n", r.Input.Events, r.Input.Files, time.Since(start).Seconds())
	if err := report.Table(c.out, r, s.Model, colour(c.out)); err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := report.HTML(&page, r, s.Model, report.Options{Title: "Breakwater demo", Version: version(), Traced: k.Ways()}); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "report.html")
	if err := os.WriteFile(name, page.Bytes(), 0o644); err != nil {
		return nil, fmt.Errorf("writing the report: %w", err)
	}
	return page.Bytes(), nil
}

// loopback reports whether an address to listen on is reached from this machine alone.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// serveReport serves one page on a loopback address until the context ends.
func serveReport(ctx context.Context, c *console, listen string, page []byte, open bool) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("opening %s: %w", listen, err)
	}
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.ServeContent(w, r, "report.html", time.Time{}, bytes.NewReader(page))
	})}
	url := "http://" + ln.Addr().String() + "/"
	fmt.Fprintf(c.err, "\nThe report is at %s (interrupt with Ctrl-C).\n", url)
	if open {
		openBrowser(url)
	}
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		srv.Shutdown(ctx)
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the report: %w", err)
	}
	return nil
}

// openBrowser opens the page where there is a desktop to open it on.
func openBrowser(url string) {
	for _, name := range []string{"xdg-open", "open"} {
		if name == "xdg-open" && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			if exec.Command(path, url).Start() == nil {
				return
			}
		}
	}
}
