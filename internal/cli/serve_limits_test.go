package cli

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

const oneTenant = "tenants: [{id: acme, name: Acme, role: client}]\n"

// TestAFullDiskStopsIntakeAlone fills a small file system. Senders are told to wait, what is read goes on, and once
// there is room intake does too, without anybody's help and without a loss.
func TestAFullDiskStopsIntakeAlone(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("a small file system needs root on Linux to be mounted; run as root, or in a container with CAP_SYS_ADMIN")
	}
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("mounting a small file system is not allowed here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", disk).CombinedOutput(); err != nil {
			t.Errorf("unmounting: %v: %s", err, out)
		}
	})
	ballast, data := filepath.Join(disk, "ballast"), filepath.Join(disk, "data")
	if err := os.WriteFile(ballast, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "apply", "--data", data, configFile(t, oneTenant+"serve: {limits: {min_free: 12MiB}}\n"))
	token, _ := tokenFor(t, data, "sensor", "--sensor", "fw", "--tenant", "acme")
	s := begin(t, data, false)
	acknowledged := 0
	part := func() string {
		var b strings.Builder
		for range 200 {
			acknowledged++
			var random [750]byte
			_, _ = rand.Read(random[:])
			fmt.Fprintf(&b, "{\"@timestamp\":\"2026-03-02T10:00:00Z\",\"n\":%d,\"x\":%q}\n", acknowledged, base64.StdEncoding.EncodeToString(random[:]))
		}
		return b.String()
	}
	var refused answered
	var body string
	for refused.status == 0 {
		if acknowledged > 100_000 {
			t.Fatal("the disk does not get full")
		}
		body = part()
		a, err := s.ask("POST", "/ingest/ndjson", token, body)
		if err != nil {
			t.Fatal(err)
		}
		if a.status != http.StatusOK {
			refused = a
			acknowledged -= 200
		}
	}
	if refused.status != http.StatusServiceUnavailable || refused.header.Get("Retry-After") == "" {
		t.Errorf("a sender on a full disk is told %d, Retry-After %q: %s", refused.status, refused.header.Get("Retry-After"), refused.body)
	}
	if a, err := s.ask("POST", "/_bulk", token, "{\"create\":{}}\n{\"a\":1}\n"); err != nil || a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("_bulk on a full disk: %v %+v", err, a)
	}
	if a, err := s.ask("GET", "/readyz", "", ""); err != nil || a.status != http.StatusServiceUnavailable {
		t.Errorf("readyz on a full disk: %v %+v", err, a)
	}
	for _, path := range []string{"/healthz", "/api/v1/result", "/api/v1/coverage", "/api/v1/findings", "/metrics"} {
		if a, err := s.ask("GET", path, s.admin, ""); err != nil || a.status != http.StatusOK {
			t.Errorf("GET %s on a full disk: %v %d %.100s", path, err, a.status, a.body)
		}
	}
	s.quiet()
	if n := s.everyEvent(); n < int64(acknowledged) {
		t.Errorf("%d events of %d acknowledged ones on a full disk", n, acknowledged)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.send("/ingest/ndjson", token, body) // push waits as a sender would
	acknowledged += 200
	s.send("/ingest/ndjson", token, part())
	if a, err := s.ask("GET", "/readyz", "", ""); err != nil || a.status != http.StatusOK {
		t.Errorf("readyz with room again: %v %+v", err, a)
	}
	s.quiet()
	s.stop()
	s = begin(t, data, false)
	s.quiet()
	if n := s.everyEvent(); n != int64(acknowledged) && n != int64(acknowledged)+1 { // the one of _bulk was refused, and may be kept all the same
		t.Errorf("%d events after a restart, %d were acknowledged", n, acknowledged)
	}
}

// TestBombHostileRequestsAreCut sends what grows, what never ends, and what is too much, beside an honest sender.
func TestBombHostileRequestsAreCut(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	must(t, "apply", "--data", data, configFile(t, oneTenant+"serve: {limits: {connections: 48}}\n"))
	token, _ := tokenFor(t, data, "sensor", "--sensor", "fw", "--tenant", "acme")
	s := begin(t, data, false)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 80 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	for _, path := range []string{"/ingest/ndjson", "/ingest/file?name=x.log", "/_bulk", "/ingest/file?name=x.gz"} {
		headers := []string{"Content-Encoding", "gzip"}
		if strings.HasSuffix(path, ".gz") {
			headers = nil
		}
		a, err := s.ask("POST", path, token, bomb.String(), headers...)
		if err != nil || a.status != http.StatusRequestEntityTooLarge && a.status != http.StatusBadRequest {
			t.Errorf("a bomb to %s: %v %d %.200s", path, err, a.status, a.body)
		}
	}
	raw := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(patience))
		return c
	}
	flood := raw()
	_, _ = fmt.Fprintf(flood, "GET / HTTP/1.1\r\nHost: x\r\n")
	for i := range 3000 {
		if _, err := fmt.Fprintf(flood, "X-%d: %s\r\n", i, strings.Repeat("a", 60)); err != nil {
			break // cut already
		}
	}
	if b, _ := io.ReadAll(flood); len(b) > 0 && !bytes.Contains(b, []byte(" 431 ")) { // the answer may be lost with the connection
		t.Errorf("a flood of headers is told %.200s", b)
	}
	// Those who send a byte now and then, each way of them.
	began := time.Now()
	slow := []net.Conn{raw(), raw(), raw()}
	_, _ = fmt.Fprintf(slow[0], "POST /ingest/ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000\r\n\r\n{", token)
	_, _ = fmt.Fprintf(slow[1], "POST /ingest/ndjson HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	_, _ = fmt.Fprintf(slow[2], "POST /ingest/ndjson HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{") // nobody's
	ends := make(chan string, len(slow))
	for i, c := range slow {
		go func() {
			stop := make(chan struct{})
			go func() {
				clock := time.NewTicker(500 * time.Millisecond)
				defer clock.Stop()
				for {
					select {
					case <-clock.C:
						_, _ = c.Write([]byte("a"))
					case <-stop:
						return
					}
				}
			}()
			_, _ = io.ReadAll(c)
			close(stop)
			if took := time.Since(began); took > 25*time.Second {
				ends <- fmt.Sprintf("slow sender %d was cut after %s", i, took)
				return
			}
			ends <- ""
		}()
	}
	// Many who say nothing: they take what connections there are, and are cut.
	var idle []net.Conn
	for range 60 {
		idle = append(idle, raw())
	}
	s.send("/ingest/ndjson", token, "{\"@timestamp\":\"2026-03-02T10:00:00Z\"}\n")
	for range slow {
		if wrong := <-ends; wrong != "" {
			t.Error(wrong)
		}
	}
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("an honest sender waited %s for those who send nothing", took)
	}
	for _, c := range idle {
		_ = c.Close()
	}
	s.settled()
	if n := s.everyEvent(); n != 1 {
		t.Errorf("%d events, one was sent whole", n)
	}
}

// certificateFiles makes a certificate of its own for loopback.
func certificateFiles(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	rewriteWith(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	rewriteWith(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return cert, key
}

// TestTLSAndSecrets speaks TLS with serve on every address of this machine, gives it every secret that there is, and
// looks for them in what it logs.
func TestTLSAndSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	cert, key := certificateFiles(t, dir)
	hook := filepath.Join(dir, "hook.secret")
	const hookSecret, password, wrong = "hook-secret-5f1c0b9a2d44", "correct horse battery staple", "wrong-password-7c1a"
	rewriteWith(t, hook, hookSecret+"\n")
	must(t, "apply", "--data", data, configFile(t, oneTenant+fmt.Sprintf(`serve:
  tls: {cert: %s, key: %s}
  notify: {webhooks: [{name: soc, url: "https://127.0.0.1:1/in?key=url-secret-91", secret_file: %s, tenants: [acme], allow_private: true}]}
`, cert, key, hook)))
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"user", "add", "ann", "--data", data, "--role", "admin", "--password-stdin"}, &console{strings.NewReader(password + "\n"), &out, &errs}); code != exitDone {
		t.Fatalf("user add: %s", &errs)
	}
	sensor, _ := tokenFor(t, data, "sensor", "--sensor", "fw", "--tenant", "acme")
	s := begin(t, data, false, "--listen", "0.0.0.0:0", "--log-format", "json")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://127.0.0.1:" + port
	pool := x509.NewCertPool()
	b, err := os.ReadFile(cert)
	if err != nil || !pool.AppendCertsFromPEM(b) {
		t.Fatal(err)
	}
	s.http.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("TLS %x: %v", version, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	if a, err := http.Get("http://127.0.0.1:" + port + "/healthz"); err == nil && a.StatusCode == http.StatusOK {
		t.Error("plain HTTP is answered where TLS is set")
	}
	s.send("/ingest/ndjson", sensor, "{\"@timestamp\":\"2026-03-02T10:00:00Z\"}\nnot json, and Bearer "+sensor+"\n")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.http.Jar = jar
	for _, form := range []string{"name=ann&password=" + wrong, "token=" + sensor, "name=ann&password=" + url.QueryEscape(password)} {
		if _, err := s.ask("POST", "/login", "", form, "Content-Type", "application/x-www-form-urlencoded"); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(s.url)
	if err != nil || len(jar.Cookies(u)) == 0 {
		t.Fatalf("no session after a login: %v", err)
	}
	session := jar.Cookies(u)[0].Value
	if a, err := s.ask("GET", "/?fragment", "", ""); err != nil || a.status != http.StatusOK {
		t.Errorf("the page with a session: %v %d", err, a.status)
	}
	for _, x := range [][2]string{{"GET", "/api/v1/findings?token=" + s.admin}, {"GET", "/open/" + s.admin}, {"POST", "/ingest/ndjson?token=" + sensor}, {"GET", "/" + sensor}, {"POST", "/_bulk"}} {
		if _, err := s.ask(x[0], x[1], "bw_made-up-"+sensor, "{\"broken", "Cookie", "breakwater=made-up"+session, "Content-Encoding", "gzip"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.ask("PUT", "/api/v1/levels/acme", s.admin, `{"level":"heightened","reason":"x","until":"2099-01-01T00:00:00Z"}`, "Content-Type", "application/json"); err != nil {
		t.Fatal(err)
	}
	s.quiet()
	s.stop()
	log := s.log.String()
	if !strings.Contains(log, `"msg":"ready"`) {
		t.Fatalf("nothing was logged: %s", log)
	}
	for name, secret := range map[string]string{"the administrator's token": s.admin, "a sender's token": sensor, "a password": password, "a wrong password": wrong, "a webhook's secret": hookSecret,
		"a webhook's key": "url-secret-91", "a session": session, "a token without its mark": strings.TrimPrefix(sensor, "bw_")} {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the log:\n%s", name, log)
		}
	}
	// Nor are they in what is kept: a copy of the data folder opens no door.
	_ = filepath.WalkDir(data, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.HasPrefix(name, filepath.Join(data, "bus")) || strings.Contains(name, "state.db") { // the sender wrote its own token into a record
			return nil
		}
		b, err := os.ReadFile(name)
		if err == nil && (bytes.Contains(b, []byte(s.admin)) || bytes.Contains(b, []byte(password))) {
			t.Errorf("%s holds a secret", name)
		}
		return nil
	})
}
