package httpin

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
	"github.com/breakwater-project/breakwater/internal/intake/listen"
)

// store is a submitter that keeps frames, or answers with an error.
type store struct {
	mu     sync.Mutex
	err    error
	frames []bus.Frame
	calls  int
}

func (s *store) Submit(_ context.Context, frames ...bus.Frame) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.err != nil {
		return s.err
	}
	for _, f := range frames {
		f.Data = bytes.Clone(f.Data)
		s.frames = append(s.frames, f)
	}
	return nil
}

func (s *store) set(err error) { s.mu.Lock(); s.err = err; s.mu.Unlock() }

func (s *store) data() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, f := range s.frames {
		b.Write(f.Data)
	}
	return b.String()
}

const token = "bw_0123456789"

func authenticate(_ context.Context, t string) (*listen.Binding, error) {
	switch t {
	case token:
		return &listen.Binding{Sensor: "edr", Tenant: "acme", Layer: "endpoint", Authenticated: true}, nil
	case "viewer":
		return nil, ErrNotSender
	case "broken":
		return nil, errors.New("database is locked")
	}
	return nil, ErrUnknown
}

func handler(s listen.Submitter, change func(*Options)) *Handler {
	opt := Options{Submit: s, Authenticate: authenticate, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&opt)
	}
	return New(opt)
}

func request(method, path string, body io.Reader, headers ...string) *http.Request {
	r := httptest.NewRequest(method, path, body)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("User-Agent", "test")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func do(h *Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func zlibbed(s string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func deflated(s string) string {
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, 6)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func zstded(s string) string {
	z, _ := zstd.NewWriter(nil)
	return string(z.EncodeAll([]byte(s), nil))
}

func TestLinesAreTaken(t *testing.T) {
	many := strings.Repeat("{\"a\":1}\n", 30_000)
	for _, c := range []struct {
		name, body, encoding string
		want, answer         string
	}{
		{"one a line", "{\"a\":1}\n{\"a\":2}\n", "", "{\"a\":1}\n{\"a\":2}\n", `{"accepted":2}`},
		{"no end of the last", "{\"a\":1}\nx", "", "{\"a\":1}\nx\n", `{"accepted":2}`},
		{"CRLF", "a\r\nb\r\n", "", "a\r\nb\r\n", `{"accepted":2}`},
		{"empty lines", "\n\r\na\n \nb\n\n", "", "a\n \nb\n\n", `{"accepted":2}`},
		{"nothing", "", "", "", `{"accepted":0}`},
		{"nothing but empty lines", "\n\n\n", "", "", `{"accepted":0}`},
		{"bytes that are no text", "\xff\x00\xfe\n", "", "\xff\x00\xfe\n", `{"accepted":1}`},
		{"many", many, "", many, `{"accepted":30000}`},
		{"many in gzip", gzipped(many), "gzip", many, `{"accepted":30000}`},
		{"two gzips in one", gzipped("a\n") + gzipped("b\n"), "x-gzip", "a\nb\n", `{"accepted":2}`},
		{"many in zstd", zstded(many), "zstd", many, `{"accepted":30000}`},
		{"in deflate", zlibbed("a\nb"), "deflate", "a\nb\n", `{"accepted":2}`},
		{"in deflate without its zlib", deflated("a\nb\n"), "Deflate", "a\nb\n", `{"accepted":2}`},
		{"identity", "a\n", "identity", "a\n", `{"accepted":1}`},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/length unknown %v", c.name, stream), func(t *testing.T) {
				s := &store{}
				var body io.Reader = strings.NewReader(c.body)
				if stream {
					body = struct{ io.Reader }{body}
				}
				r := request("POST", "/ingest/ndjson", body)
				if c.encoding != "" {
					r.Header.Set("Content-Encoding", c.encoding)
				}
				h := handler(s, nil)
				w := do(h, r)
				if w.Code != 200 || strings.TrimSpace(w.Body.String()) != c.answer || w.Header().Get("Content-Type") != "application/json" {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				if got := s.data(); got != c.want {
					t.Errorf("kept %.80q of %d bytes, want %.80q of %d", got, len(got), c.want, len(c.want))
				}
				if s.calls > 1 {
					t.Errorf("%d calls: a request is taken whole", s.calls)
				}
				if h.memory.left != h.opt.MaxMemory {
					t.Errorf("%d bytes are not given back", h.opt.MaxMemory-h.memory.left)
				}
			})
		}
	}
}

func TestFramesSayWhoseTheyAreAndWhereTheyStood(t *testing.T) {
	s := &store{}
	long := strings.Repeat("y", 300<<10)
	body := "\na\n\n" + long + "\nb\n" + strings.Repeat("z", 2<<20) + "\nc\n" + strings.Repeat(long+"\n", 4) + "d\n"
	w := do(handler(s, nil), request("POST", "/ingest/ndjson", strings.NewReader(body), "Idempotency-Key", "k-1"))
	if w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"accepted":9,"refused":1,"errors":[{"line":6,"error":"longer than 1048576 bytes`) {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	all := strings.SplitAfter(body, "\n")
	records := 0
	for _, f := range s.frames {
		if f.Sensor != "edr" || f.Tenant != "acme" || f.Layer != "endpoint" || !f.Authenticated || f.Key != "k-1" || f.Received.IsZero() || f.Peer == "" || f.Whole || f.Name != "" {
			t.Errorf("%+v", f)
		}
		records += f.Records
		want := strings.Join(all[f.First-1:], "")
		if f.First == 6 {
			want = want[:keptOfLongLine] + "\n"
		}
		if !strings.HasPrefix(want, string(f.Data)) || len(f.Data) > bus.MaxBytes {
			t.Errorf("the frame of line %d holds %.20q, %d bytes", f.First, f.Data, len(f.Data))
		}
	}
	if records != 10 {
		t.Errorf("%d records", records)
	}
}

func TestRefusals(t *testing.T) {
	small := func(o *Options) { o.MaxBody, o.MaxRecords = 1<<20, 1000 }
	for _, c := range []struct {
		name   string
		r      *http.Request
		status int
		want   string
	}{
		{"no credentials", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Authorization", ""), 401, "token is needed"},
		{"an unknown token", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Authorization", "Bearer x"), 401, "not known"},
		{"another role's token", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Authorization", "Bearer viewer"), 403, "may not send"},
		{"tokens can't be looked up", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Authorization", "Bearer broken"), 503, "send the request again"},
		{"GET", request("GET", "/ingest/ndjson", nil), 405, "use POST"},
		{"an encoding that nobody knows", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Content-Encoding", "br"), 415, "gzip, zstd and deflate"},
		{"a form", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Content-Type", "multipart/form-data; boundary=x"), 415, "--data-binary"},
		{"no gzip", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Content-Encoding", "gzip"), 400, "can't be decompressed"},
		{"gzip of nothing", request("POST", "/ingest/ndjson", strings.NewReader(""), "Content-Encoding", "gzip"), 400, "can't be decompressed"},
		{"gzip cut short", request("POST", "/ingest/ndjson", strings.NewReader(gzipped(strings.Repeat("abc\n", 1000))[:30]), "Content-Encoding", "gzip"), 400, "ends too early"},
		{"no zstd", request("POST", "/ingest/ndjson", strings.NewReader("hello"), "Content-Encoding", "zstd"), 400, "can't be decompressed"},
		{"too large, as it says", request("POST", "/ingest/ndjson", strings.NewReader(strings.Repeat("a\n", 1<<20))), 413, "in parts"},
		{"too large, as it turns out", request("POST", "/ingest/ndjson", struct{ io.Reader }{strings.NewReader(strings.Repeat("aaaaaaaa\n", 1<<20))}), 413, "in parts"},
		{"too many records", request("POST", "/ingest/ndjson", strings.NewReader(strings.Repeat("a\n", 1001))), 413, "1000 records"},
		{"a key that is too long", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Idempotency-Key", strings.Repeat("k", 257)), 400, "Idempotency-Key"},
		{"a key that can't be shown", request("POST", "/ingest/ndjson", strings.NewReader("a\n"), "Idempotency-Key", "k\xff"), 400, "Idempotency-Key"},
		{"a name that can't be shown", request("POST", "/ingest/file?name=a%0Ab", strings.NewReader("a\n")), 400, "name must be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store{}
			h := handler(s, small)
			w := do(h, c.r)
			var answer struct{ Error string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != c.status || !strings.Contains(answer.Error, c.want) {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, c.status, c.want)
			}
			if s.calls > 0 || h.memory.left != h.opt.MaxMemory {
				t.Errorf("%d calls, %d of %d bytes left", s.calls, h.memory.left, h.opt.MaxMemory)
			}
			if (c.status == 401) != (w.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate: %q", w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

func TestTheGatesAnswersReachTheSender(t *testing.T) {
	bulk := "{\"create\":{\"_index\":\"x\"}}\n{\"a\":1}\n"
	for _, c := range []struct {
		name    string
		err     error
		status  int
		elastic int
		kind    string
		retry   string
	}{
		{"over its share", &listen.Busy{Reason: "over its share", Retry: 1200 * time.Millisecond}, 429, 429, "es_rejected_execution_exception", "2"},
		{"for a moment", &listen.Busy{Reason: "wait", Retry: time.Millisecond}, 429, 429, "es_rejected_execution_exception", "1"},
		{"the disk is full", &listen.Busy{Reason: "no room", Retry: 5 * time.Second, Full: true}, 503, 429, "cluster_block_exception", "5"},
		{"wrapped", fmt.Errorf("so: %w", &listen.Busy{Retry: time.Second}), 429, 429, "es_rejected_execution_exception", "1"},
		{"a record that fits nowhere", &listen.TooLarge{Sensor: "edr", Bytes: 8 << 20}, 413, 413, "illegal_argument_exception", ""},
		{"a key used twice", listen.ErrKeyReused, 422, 422, "illegal_argument_exception", ""},
		{"anything else", errors.New("disk /var/lib/secret broke"), 503, 429, "unavailable_shards_exception", "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := handler(&store{err: c.err}, nil)
			for path, body := range map[string]string{"/ingest/ndjson": "a\n", "/ingest/file?name=x": "a\n", "/_bulk": bulk, "/x/_doc": "{}"} {
				w := do(h, request("POST", path, strings.NewReader(body)))
				status := c.status
				if !strings.HasPrefix(path, "/ingest") {
					status = c.elastic
					var answer struct {
						Error  struct{ Type, Reason string }
						Status int
					}
					if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Error.Type != c.kind || answer.Status != status {
						t.Errorf("%s: %s", path, w.Body)
					}
				}
				if w.Code != status || w.Header().Get("Retry-After") != c.retry {
					t.Errorf("%s: %d, retry %q", path, w.Code, w.Header().Get("Retry-After"))
				}
				if strings.Contains(w.Body.String(), "secret") {
					t.Errorf("%s tells what only the log should: %s", path, w.Body)
				}
			}
		})
	}
}

func TestCredentialsAreTakenAsSendersHaveThem(t *testing.T) {
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for header, want := range map[string]string{
		"Bearer " + token:                    token,
		"bearer  " + token:                   token,
		"Basic " + b64("filebeat:"+token):    token + " filebeat",
		"Basic " + b64(token+":"):            token,
		"Basic " + b64(token):                token,
		"Basic " + b64("u:pass:word"):        "pass:word u",
		"Basic !":                            "",
		"ApiKey " + b64("id:"+token):         token + " " + b64("id:"+token),
		"ApiKey " + token:                    token,
		"ApiKey id:" + token:                 token + " id:" + token,
		"Digest " + token:                    "",
		"":                                   "",
		"Bearer":                             "",
		"Bearer " + strings.Repeat("x", 5e3): "",
	} {
		if got := strings.Join(tokensOf(header), " "); got != want {
			t.Errorf("%.40q: %q, want %q", header, got, want)
		}
	}
}

func TestWantsASendersRequestsAndNoOthers(t *testing.T) {
	for path, want := range map[string]bool{
		"/ingest/ndjson": true, "/ingest/file": true, "/_bulk": true, "/logs-x/_bulk": true, "/es": true, "/es/": true, "/es/logs/_bulk": true,
		"/_license": true, "/x/_doc": true, "/x/_doc/1": true, "/x/_create/1": true, "/_cluster/health": true,
		"/": false, "/ingest": false, "/api/findings": false, "/api/_bulk/x": false, "/esx": false, "/healthz": false, "//_bulk": false, "/login": false,
	} {
		if got := Wants(httptest.NewRequest("POST", "http://x"+path, nil)); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	for accept, want := range map[string]bool{"application/json": true, "": true, "text/html,*/*": false} {
		if got := Wants(request("GET", "/", nil, "Accept", accept)); got != want {
			t.Errorf("/ for %q: %v", accept, got)
		}
	}
}

func TestMemoryOfAllRequestsIsBounded(t *testing.T) {
	s := &store{}
	h := handler(s, func(o *Options) { o.MaxMemory = 4 << 20 })
	server := httptest.NewServer(h)
	defer server.Close()
	body := strings.Repeat(strings.Repeat("x", 1023)+"\n", 3<<10)
	in, out := io.Pipe() // holds 3 of the 4 MiB
	r := request("POST", server.URL+"/ingest/ndjson", in)
	r.RequestURI = ""
	first := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			first <- 0
			return
		}
		_ = resp.Body.Close()
		first <- resp.StatusCode
	}()
	if _, err := io.WriteString(out, body); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		h.memory.mu.Lock()
		left := h.memory.left
		h.memory.mu.Unlock()
		if left < 1<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes are left while 3 MiB are read", left)
		}
		time.Sleep(time.Millisecond) // asks again until the server has read what was sent
	}
	w := do(h, request("POST", "/ingest/ndjson", strings.NewReader(body)))
	if w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := do(h, request("POST", "/ingest/ndjson", strings.NewReader("small\n"))); w.Code != 200 {
		t.Errorf("a small one: %d %s", w.Code, w.Body)
	}
	_ = out.Close()
	if status := <-first; status != 200 {
		t.Errorf("the first: %d", status)
	}
}

func TestASenderThatIsTooSlowIsCutOff(t *testing.T) {
	s := &store{}
	server := httptest.NewServer(handler(s, func(o *Options) { o.Grace, o.MinRate = 200*time.Millisecond, 1000 }))
	defer server.Close()
	for _, c := range []struct {
		name  string
		bytes int // every 20 ms
		want  string
	}{
		{"nothing", 0, "HTTP/1.1 408"},
		{"a byte now and then", 1, "HTTP/1.1 408"},
		{"slowly, but fast enough", 100, "HTTP/1.1 200"},
		{"nothing, and without credentials", -1, "HTTP/1.1 401"},
	} {
		t.Run(c.name, func(t *testing.T) {
			secret := token
			if c.bytes < 0 {
				c.bytes, secret = 0, "x"
			}
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			const length = 4000
			_, _ = fmt.Fprintf(conn, "POST /ingest/ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", secret, length)
			go func() {
				tick := time.NewTicker(20 * time.Millisecond)
				defer tick.Stop()
				for sent := 0; sent < length; sent += c.bytes {
					if _, err := conn.Write(bytes.Repeat([]byte("x"), c.bytes)); err != nil {
						return
					}
					<-tick.C
				}
			}()
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			answer := make([]byte, 12)
			if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != c.want {
				t.Errorf("%q, %v; want %q", answer, err, c.want)
			}
		})
	}
}

func TestTheRestOfAConnectionHasNoDeadlineLeft(t *testing.T) {
	release := make(chan struct{})
	s := submitFunc(func(ctx context.Context, _ ...bus.Frame) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	server := httptest.NewServer(handler(s, func(o *Options) { o.Grace = 50 * time.Millisecond }))
	defer server.Close()
	time.AfterFunc(250*time.Millisecond, func() { close(release) })
	for range 2 { // the second on the same connection
		r := request("POST", server.URL+"/ingest/ndjson", strings.NewReader("a\n"))
		r.RequestURI = ""
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%d: the wait for the bus was cut off", resp.StatusCode)
		}
	}
}

type submitFunc func(ctx context.Context, frames ...bus.Frame) error

func (f submitFunc) Submit(ctx context.Context, frames ...bus.Frame) error { return f(ctx, frames...) }

func TestFilesAreTaken(t *testing.T) {
	zeekHead := "#separator \\x09\n#fields\tts\tuid\n"
	rows := strings.Repeat("1772413323.1\t"+strings.Repeat("C", 1000)+"\n", 4000)
	object := `{"a":"` + strings.Repeat("x", 1000) + "\"}\n"
	mail := "From: a@example.com\r\nSubject: #x\r\n\r\nhello\r\n"
	for _, c := range []struct {
		name, path, body string
		status           int
		want             string // of each frame: name first+records whole head data
	}{
		{"a mail", "/ingest/file?name=m.eml", mail, 200, fmt.Sprintf("m.eml 1+1 true 0 %d\n", len(mail))},
		{"a small Zeek log", "/ingest/file?name=conn.log", zeekHead + "1\t2\n", 200, "conn.log 1+1 true 0 35\n"},
		{"in gzip by itself", "/ingest/file?name=logs/conn.log.gz", gzipped(zeekHead + "1\t2\n"), 200, "conn.log 1+1 true 0 35\n"},
		{"in zstd by itself", `/ingest/file?name=C:\logs\conn.log.zst`, zstded(zeekHead + "1\t2\n"), 200, "conn.log 1+1 true 0 35\n"},
		{"without a name", "/ingest/file", "x", 200, " 1+1 true 0 1\n"},
		{"a name that climbs", "/ingest/file?name=../..", "x", 200, " 1+1 true 0 1\n"},
		{"nothing", "/ingest/file", "\n", 200, ""},
		{"a large Zeek log", "/ingest/file?name=conn.log", zeekHead + rows + rows + "#close\n", 200, fmt.Sprintf("conn.log 3+8000 false %d %d\n", len(zeekHead), 2*len(rows)+7)},
		{"two large ones behind one another", "/ingest/file?name=conn.log", zeekHead + rows + "#close\n" + "#fields\tuid\n" + rows + zeekHead + rows, 200,
			fmt.Sprintf("conn.log 3+4000 false %d %d\nconn.log 4005+4000 false %d %d\nconn.log 8007+4000 false %d %d\n", len(zeekHead), len(rows), 19, len(rows), len(zeekHead), len(rows))},
		{"many objects", "/ingest/file?name=x.json", strings.Repeat(object, 8000), 200, fmt.Sprintf("x.json 1+8000 false 0 %d\n", 8000*len(object))},
		{"a large file of something else", "/ingest/file?name=x.bin", strings.Repeat("xxxxxxxx", 1<<20), 413, ""},
		{"a large array", "/ingest/file?name=x.json", "[\n" + strings.Repeat(object, 8000), 413, ""},
		{"a header without end", "/ingest/file?name=x.log", strings.Repeat("#fields\tx\n", 1<<20), 413, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store{}
			h := handler(s, nil)
			r := request("POST", "/ingest/file", strings.NewReader(c.body))
			if _, name, found := strings.Cut(c.path, "?name="); found {
				q := r.URL.Query()
				q.Set("name", name)
				r.URL.RawQuery = q.Encode()
			}
			w := do(h, r)
			got, records := "", 0
			for _, f := range s.frames {
				got += fmt.Sprintf("%s %d+%d %v %d %d\n", f.Name, f.First, f.Records, f.Whole, len(f.Head), len(f.Data))
				records += f.Records
			}
			if d := cmp.Diff(c.want, got); d != "" || w.Code != c.status {
				t.Errorf("%d %s (-want +got):\n%s", w.Code, w.Body, d)
			}
			if want := fmt.Sprintf("{\"accepted\":%d}\n", records); w.Code == 200 && w.Body.String() != want {
				t.Errorf("%s, want %s", w.Body, want)
			}
			if h.memory.left != h.opt.MaxMemory {
				t.Errorf("%d bytes are not given back", h.opt.MaxMemory-h.memory.left)
			}
		})
	}
}
