package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// Webhook delivers messages by HTTP POST, signed as Standard Webhooks 1.0 has it: webhook-id, webhook-timestamp and
// webhook-signature, an HMAC-SHA256 over "id.timestamp.body". Redirects aren't followed.
type Webhook struct {
	url    string
	host   string
	secret []byte
	client *http.Client
	now    func() time.Time
}

// minSecret is the shortest signing secret, in bytes.
const minSecret = 16

// NewWebhook returns a Webhook. The secret is whsec_ and base64, or any text of at least 16 bytes; space around it is
// taken away. Set private where the receiver may have a private or loopback address.
func NewWebhook(address string, secret []byte, private bool) (*Webhook, error) {
	return newWebhook(address, secret, private, (&bounded.Dialer{Private: private}).DialContext, nil)
}

func newWebhook(address string, secret []byte, private bool, dial func(context.Context, string, string) (net.Conn, error), roots *tls.Config) (*Webhook, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !private) {
		return nil, errors.New("a webhook needs an https:// address without user and password (http:// only with allow_private)")
	}
	secret = bytes.TrimSpace(secret)
	if b64, ok := bytes.CutPrefix(secret, []byte("whsec_")); ok {
		if secret, err = base64.StdEncoding.DecodeString(string(b64)); err != nil {
			return nil, fmt.Errorf("the signing secret of %s is not whsec_ and base64; make one with: echo whsec_$(openssl rand -base64 24)", u.Host)
		}
	}
	if len(secret) < minSecret {
		return nil, fmt.Errorf("the signing secret of %s has %d bytes and needs %d; make one with: echo whsec_$(openssl rand -base64 24)", u.Host, len(secret), minSecret)
	}
	if roots == nil {
		roots = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &Webhook{url: address, host: u.Host, secret: slices.Clone(secret), now: time.Now, client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dial, TLSClientConfig: roots, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
			MaxIdleConns: 2, MaxConnsPerHost: 2, IdleConnTimeout: 30 * time.Second,
			ResponseHeaderTimeout: 15 * time.Second, MaxResponseHeaderBytes: 32 << 10,
		},
	}}, nil
}

// Sign returns the value of the header webhook-signature for a message.
func Sign(secret []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Deliver implements Transport.
func (w *Webhook) Deliver(ctx context.Context, m *Message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(m.Body))
	if err != nil {
		return &Refused{"the address of the webhook can't be used"}
	}
	at := w.now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "breakwater")
	req.Header.Set("webhook-id", m.ID)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	req.Header.Set("webhook-signature", Sign(w.secret, m.ID, at, m.Body))
	resp, err := w.client.Do(req)
	if err != nil {
		// The address may hold a token of the receiver's in its path: it stays out of logs.
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("posting to %s: %w", w.host, err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again; what it says doesn't matter
	err = fmt.Errorf("posting to %s: it answered %d", w.host, resp.StatusCode)
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return &Refused{fmt.Sprintf("%s answered %d: redirects aren't followed; configure the address it leads to", w.host, code)}
	case slices.Contains([]int{400, 405, 410, 411, 413, 415, 422}, code):
		return &Refused{err.Error()}
	}
	if s, convErr := strconv.Atoi(strings.TrimSpace(resp.Header.Get("Retry-After"))); convErr == nil && s > 0 {
		return &Later{After: time.Duration(min(s, 3600)) * time.Second, Err: err}
	}
	return err
}
