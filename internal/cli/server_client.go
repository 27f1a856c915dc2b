package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/breakwater-project/breakwater/internal/show/report"
)

// Bounds of what a server may send us.
const (
	maxAnswer = 512 << 20 // bytes of one answer
	maxEvent  = 16 << 20  // bytes of one line of a watch
	maxSecret = 4 << 10   // bytes of a token file
)

// remote is where a running Breakwater is found, and who asks.
type remote struct {
	server, token, tokenFile, caFile string
	plain                            bool
}

// remoteFlags adds the flags that every command on a server takes.
func (r *remote) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.server, "server", "", "address of the server, such as https://breakwater.example:8443 (or BREAKWATER_SERVER)")
	cmd.Flags().StringVar(&r.token, "token", "", "token to ask with (or BREAKWATER_TOKEN; other users of this machine can see a flag)")
	cmd.Flags().StringVar(&r.tokenFile, "token-file", "", "a file that holds the token")
	cmd.Flags().StringVar(&r.caFile, "ca-file", "", "PEM file of the authority that signed the server's certificate")
	cmd.Flags().BoolVar(&r.plain, "plain-http", false, "send the token without TLS to another machine, too: anyone on the way can read it")
}

// client speaks with one server.
type client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// connect reads flags and environment. Nothing is sent yet.
func (r *remote) connect() (*client, error) {
	where := cmp.Or(r.server, os.Getenv("BREAKWATER_SERVER"))
	if where == "" {
		return nil, usage("which server? Name it with --server or BREAKWATER_SERVER")
	}
	if !strings.Contains(where, "://") {
		where = "https://" + where
	}
	base, err := url.Parse(where)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, usage("--server: use an address such as https://breakwater.example:8443, without a name, password or query")
	}
	if base.Scheme == "http" && !local(base.Hostname()) && !r.plain {
		return nil, usage("--server %s: without TLS anyone on the way could read the token; use https, or --plain-http where that is meant", base.Redacted())
	}
	token, err := r.secret()
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.caFile != "" {
		pem, err := os.ReadFile(r.caFile)
		if err != nil {
			return nil, fmt.Errorf("reading --ca-file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca-file %s holds no certificate in PEM", r.caFile)
		}
	}
	transport := &http.Transport{TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	return &client{base: base, token: token, http: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil // a token goes to the one server that was named
}

func (r *remote) secret() (string, error) {
	token := r.token
	if token != "" && r.tokenFile != "" {
		return "", usage("--token and --token-file: use one")
	}
	if r.tokenFile != "" {
		f, err := os.Open(r.tokenFile)
		if err != nil {
			return "", fmt.Errorf("reading --token-file: %w", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
		if err != nil {
			return "", fmt.Errorf("reading --token-file: %w", err)
		}
		if token = strings.TrimSpace(string(b)); token == "" || len(b) > maxSecret {
			return "", fmt.Errorf("--token-file %s holds no token", r.tokenFile)
		}
	}
	if token = cmp.Or(token, os.Getenv("BREAKWATER_TOKEN")); token == "" {
		return "", usage("which token? Give one with --token-file, BREAKWATER_TOKEN or --token; `breakwater token create` makes one")
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", usage("the token holds characters that none has; was it copied whole, and nothing else?")
	}
	return token, nil
}

// local reports whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// request begins a request below /api/v1.
func (c *client) request(ctx context.Context, method, path string, query url.Values, body any) (*http.Response, error) {
	at := c.base.JoinPath("/api/v1" + path)
	at.RawQuery = query.Encode()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, at.String(), r)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("User-Agent", "breakwater/"+version())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return res, nil
}

// unreachable says what to do where no answer came.
func (c *client) unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the address is said here
	}
	where := c.base.Redacted()
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &unknown):
		return fmt.Errorf("reaching %s: no authority known here signed its certificate; name its authority with --ca-file", where)
	case errors.As(err, &host):
		return fmt.Errorf("reaching %s: %w; use a name that its certificate has", where, host)
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Errorf("reaching %s: it does not speak TLS there; is the address right, or is it http:// ?", where)
	}
	return fmt.Errorf("reaching %s: %w; is `breakwater serve` running there, and is --server right?", where, err)
}

// refused turns an answer that is no success into an error.
func (c *client) refused(res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what can be read of the reason is enough
	var said struct{ Error string }
	if err := json.Unmarshal(body, &said); err != nil || said.Error == "" {
		said.Error = "it answers " + res.Status
	}
	says := string(report.Visible([]byte(strings.NewReplacer("\n", " ", "\r", " ").Replace(said.Error))))
	where := c.base.Redacted()
	switch res.StatusCode {
	case http.StatusUnauthorized:
		return fmt.Errorf("%s does not take this token: it is mistyped, ended or was taken back", where)
	case http.StatusForbidden:
		return fmt.Errorf("%s refuses: %s", where, says)
	case http.StatusBadRequest:
		return usage("%s", says)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if s := res.Header.Get("Retry-After"); s != "" {
			says += " in " + s + " s"
		}
	case http.StatusNotFound:
		if said.Error[0] == 'i' { // no JSON: this is not our API
			return fmt.Errorf("%s knows nothing of /api/v1: is --server the address of `breakwater serve`?", where)
		}
	}
	return fmt.Errorf("%s: %s", where, says)
}

// call asks, and reads the answer into a value.
func (c *client) call(ctx context.Context, method, path string, query url.Values, body, into any) error {
	res, err := c.request(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return c.refused(res)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", c.base.Redacted(), err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("the answer of %s is over %d MiB: ask for less", c.base.Redacted(), maxAnswer>>20)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading the answer of %s: %w; is it a Breakwater?", c.base.Redacted(), err)
	}
	return nil
}

// event is one event of a watch.
type event struct {
	kind, id string
	data     json.RawMessage
}

// Pauses between tries to watch again.
var (
	firstPause = time.Second
	mostPause  = 30 * time.Second
)

// watch follows a server's changes until the context ends, over lost connections; words says when one is lost. It
// ends with an error where the server refuses.
func (c *client) watch(ctx context.Context, only string, words io.Writer, each func(event) error) error {
	last, pause, up := "", firstPause, false
	for {
		err := c.watchOnce(ctx, only, &last, func(e event) error {
			if !up && pause != firstPause {
				fmt.Fprintln(words, "Watching again.")
			}
			up, pause = true, firstPause
			return each(e)
		})
		var final exitWith
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &final):
			return err
		case err == nil:
			err = errors.New("the server ended the watch")
		}
		up = false
		fmt.Fprintf(words, "%v. Trying again in %s.\n", err, pause)
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		pause = min(2*pause, mostPause)
	}
}

func (c *client) watchOnce(ctx context.Context, only string, last *string, each func(event) error) error {
	q := url.Values{"only": {only}}
	if *last != "" {
		q.Set("after", *last)
	}
	res, err := c.request(ctx, http.MethodGet, "/watch", q, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		err := c.refused(res)
		if res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests {
			var x exitWith
			if !errors.As(err, &x) {
				err = exitWith{exitError, err}
			}
		}
		return err
	}
	in := bufio.NewScanner(res.Body)
	in.Buffer(make([]byte, 0, 64<<10), maxEvent)
	var e event
	for in.Scan() {
		key, value, _ := strings.Cut(in.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			e.data = json.RawMessage(value)
		case "":
			if value == "" && e.kind != "" {
				if err := each(e); err != nil {
					return exitWith{exitError, err}
				}
				*last = e.id
			}
			if value == "" {
				e = event{}
			}
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("reading the watch: %w", err)
	}
	return nil
}
