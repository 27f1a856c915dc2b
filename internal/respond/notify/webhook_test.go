package notify

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/platform/bounded"
)

// The secret, id, time and signature of the Standard Webhooks libraries' own test.
func TestSignIsThatOfStandardWebhooks(t *testing.T) {
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := Sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestWebhookPostsTheSignedBody(t *testing.T) {
	var got *http.Request
	var sent []byte
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		sent, _ = io.ReadAll(r.Body)
	}))
	defer srv.Close()
	w := hook(t, srv)
	if err := w.Deliver(t.Context(), &Message{ID: "id1", Body: []byte(`{"a":1}`)}); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || string(sent) != `{"a":1}` || got.Header.Get("webhook-id") != "id1" || got.Header.Get("webhook-timestamp") != "1772452800" ||
		got.Header.Get("webhook-signature") != Sign(raw, "id1", noon, sent) || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v %s", got.Method, got.Header, sent)
	}
}

// hook returns a webhook that believes the test server's certificate.
func hook(t *testing.T, srv *httptest.Server) *Webhook {
	t.Helper()
	var conf *tls.Config
	if srv.TLS != nil {
		conf = srv.Client().Transport.(*http.Transport).TLSClientConfig
	}
	w, err := newWebhook(srv.URL+"/token-in-the-path", []byte(secret), true, (&bounded.Dialer{Private: true}).DialContext, conf)
	if err != nil {
		t.Fatal(err)
	}
	w.now = func() time.Time { return noon }
	return w
}

func TestWebhookAnswers(t *testing.T) {
	hits := 0
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer inside.Close()
	for _, c := range []struct {
		name   string
		code   int
		header string
		final  bool
		later  time.Duration
	}{
		{"accepted", 202, "", false, 0},
		{"gone", 410, "", true, 0},
		{"not understood", 422, "", true, 0},
		{"a wrong secret may be mended", 401, "", false, 0},
		{"broken", 500, "", false, 0},
		{"busy", 429, "30", false, 30 * time.Second},
		{"busy for ever", 503, "999999999", false, time.Hour},
		{"busy until a date", 503, "Mon, 02 Mar 2026 12:00:00 GMT", false, 0},
		{"moved", 302, "", true, 0},
		{"moved for good", 308, "", true, 0},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", inside.URL)
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			w.WriteHeader(c.code)
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
		}))
		err := hook(t, srv).Deliver(t.Context(), &Message{ID: "id", Body: []byte("{}")})
		srv.Close()
		var refused *Refused
		var later *Later
		if (err == nil) != (c.code < 300) || errors.As(err, &refused) != c.final || errors.As(err, &later) != (c.later > 0) || later != nil && later.After != c.later {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil && (strings.Contains(err.Error(), "token-in-the-path") || strings.Contains(err.Error(), secret)) {
			t.Errorf("%s: the error tells a secret: %v", c.name, err)
		}
	}
	if hits > 0 {
		t.Errorf("redirects were followed %d times", hits)
	}
}

func TestSSRFWebhookReachesNoPrivateAddress(t *testing.T) {
	hits := 0
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer srv.Close()
	for _, address := range []string{srv.URL, strings.Replace(srv.URL, "127.0.0.1", "localhost", 1), "https://169.254.169.254/latest/meta-data", "https://[::ffff:127.0.0.1]:1/"} {
		w, err := NewWebhook(address, []byte(secret), false)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Deliver(t.Context(), &Message{ID: "id", Body: []byte("{}")}); !errors.Is(err, bounded.ErrAddressRefused) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if hits > 0 {
		t.Errorf("%d requests came through", hits)
	}
}

func TestWebhookSettings(t *testing.T) {
	for _, c := range []struct {
		name, address, secret string
		private, ok           bool
	}{
		{"all right", "https://a.example/x", secret, false, true},
		{"plain text secret", "https://a.example/x", "0123456789abcdef\n", false, true},
		{"in the clear inside", "http://10.0.0.1/x", secret, true, true},
		{"in the clear outside", "http://a.example/x", secret, false, false},
		{"a file", "file:///etc/passwd", secret, true, false},
		{"a user", "https://u:p@a.example/", secret, false, false},
		{"no secret", "https://a.example/", "", false, false},
		{"a short secret", "https://a.example/", "abc", false, false},
		{"a secret that is no base64", "https://a.example/", "whsec_%%%", false, false},
	} {
		_, err := NewWebhook(c.address, []byte(c.secret), c.private)
		if (err == nil) != c.ok || err != nil && c.secret != "" && strings.Contains(err.Error(), c.secret) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNoSecretInLogs(t *testing.T) {
	var out bytes.Buffer
	w, err := NewWebhook("https://127.0.0.1:1/hooks/token-in-the-path", []byte(secret), true)
	if err != nil {
		t.Fatal(err)
	}
	b := &box{}
	b.queue(Message{ID: "id", Channel: "c", Body: []byte(`{"text":"body text"}`), Created: time.Now()})
	s := &Sender{Outbox: b, Log: slog.New(slog.NewTextHandler(&out, nil)), state: map[string]*line{}}
	s.attempt(t.Context(), &line{}, w, &b.rows["id"].Message)
	if out.Len() == 0 {
		t.Fatal("nothing was logged")
	}
	for _, x := range []string{"whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "token-in-the-path", "body text"} {
		if strings.Contains(out.String(), x) {
			t.Errorf("the log tells %q:\n%s", x, out.String())
		}
	}
}
