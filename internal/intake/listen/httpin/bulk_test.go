package httpin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/bus"
)

// bulkReply is what senders read of an answer.
type bulkReply struct {
	Took   *int
	Errors *bool
	Items  []map[string]struct {
		Index  string `json:"_index"`
		ID     string `json:"_id"`
		Status int
		Result string
		Shards *struct{ Successful int } `json:"_shards"`
		Error  *struct{ Type, Reason string }
	}
}

// shown is an item a line: action index id status.
func (r *bulkReply) shown() string {
	var out []string
	for _, it := range r.Items {
		for action, v := range it {
			id := v.ID
			if len(id) == 20 {
				id = "*"
			}
			out = append(out, fmt.Sprintf("%s %s %s %d", action, v.Index, id, v.Status))
		}
	}
	return strings.Join(out, "\n")
}

func TestBulkIsAnsweredItemByItemInOrder(t *testing.T) {
	long := `{"x":"` + strings.Repeat("x", 1<<20) + `"}`
	for _, c := range []struct {
		name, path, body string
		status           int
		kept, items      string
		errors           bool
	}{
		{"create", "/_bulk", "{\"create\":{\"_index\":\"logs-x\"}}\n{\"a\":1}\n", 200, "{\"a\":1}\n", "create logs-x * 201", false},
		{"index with an id, below /es", "/es/_bulk", "{\"index\":{\"_index\":\"i\",\"_id\":\"7\",\"_type\":\"_doc\"}}\n{\"a\":1}\n", 200, "{\"a\":1}\n", "index i 7 201", false},
		{"the index of the URL", "/winlogbeat-8/_bulk", "{\"create\":{}}\n{\"a\":1}\n{\"create\":{\"_index\":\"other\"}}\n{\"a\":2}\n", 200, "{\"a\":1}\n{\"a\":2}\n", "create winlogbeat-8 * 201\ncreate other * 201", false},
		{"index and type of the URL", "/system/events/_bulk", "{\"index\":{}}\n{\"a\":1}\n", 200, "{\"a\":1}\n", "index system * 201", false},
		{"no index", "/_bulk", "{\"index\":{}}\n{\"a\":1}\n", 200, "{\"a\":1}\n", "index breakwater * 201", false},
		{"no line end at the end, and empty lines between", "/_bulk", "\n{\"index\":{}}\r\n{\"a\":1}\r\n\n\n{\"index\":{}}\n{\"a\":2}", 200, "{\"a\":1}\r\n{\"a\":2}\n", "index breakwater * 201\nindex breakwater * 201", false},
		{"update and delete are refused alone", "/_bulk", "{\"index\":{\"_id\":\"1\"}}\n{\"a\":1}\n{\"delete\":{\"_id\":\"2\"}}\n{\"update\":{\"_id\":\"3\"}}\n{\"doc\":{}}\n{\"index\":{\"_id\":\"4\"}}\n{\"a\":4}\n", 200, "{\"a\":1}\n{\"a\":4}\n",
			"index breakwater 1 201\ndelete breakwater 2 400\nupdate breakwater 3 400\nindex breakwater 4 201", true},
		{"only delete", "/_bulk", "{\"delete\":{\"_id\":\"2\"}}\n", 200, "", "delete breakwater 2 400", true},
		{"an empty source", "/_bulk", "{\"index\":{\"_id\":\"1\"}}\n\n{\"index\":{\"_id\":\"2\"}}\n{}\n", 200, "{}\n", "index breakwater 1 400\nindex breakwater 2 201", true},
		{"a source over the limit", "/_bulk", "{\"index\":{\"_id\":\"1\"}}\n" + long + "\n{\"index\":{\"_id\":\"2\"}}\n{}\n", 200, long[:keptOfLongLine] + "\n{}\n", "index breakwater 1 400\nindex breakwater 2 201", true},
		{"a source that is no JSON is kept", "/_bulk", "{\"index\":{\"_id\":\"1\"}}\nhello\n", 200, "hello\n", "index breakwater 1 201", false},
		{"names with quotes", "/_bulk", `{"index":{"_index":"a\"\u00e4","_id":"\\\n"}}` + "\n{}\n", 200, "{}\n", "index a\"ä \\\n 201", false},
		{"an action that is none", "/_bulk", "{\"index\":{}}\n{\"a\":1}\n{\"upsert\":{}}\n{}\n", 400, "", "", false},
		{"an action that is a text", "/_bulk", "{\"index\":\"x\"}\n{}\n", 400, "", "", false},
		{"two actions in one", "/_bulk", "{\"index\":{},\"create\":{}}\n{}\n", 400, "", "", false},
		{"no JSON", "/_bulk", "hello\n", 400, "", "", false},
		{"a list", "/_bulk", "[]\n", 400, "", "", false},
		{"deep", "/_bulk", strings.Repeat(`{"index":`, 5000) + "\n", 400, "", "", false},
		{"an action that is too long", "/_bulk", `{"index":{"_id":"` + strings.Repeat("x", 70<<10) + "\"}}\n{}\n", 400, "", "", false},
		{"an id that is too long", "/_bulk", `{"index":{"_id":"` + strings.Repeat("x", 513) + "\"}}\n{}\n", 400, "", "", false},
		{"an index that is too long", "/_bulk", `{"index":{"_index":"` + strings.Repeat("x", 256) + "\"}}\n{}\n", 400, "", "", false},
		{"an action without its source", "/_bulk", "{\"index\":{}}\n{\"a\":1}\n{\"index\":{}}\n", 400, "", "", false},
		{"nothing", "/_bulk", "", 400, "", "", false},
		{"too many items", "/_bulk", strings.Repeat("{\"delete\":{}}\n", 5001), 413, "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store{}
			h := handler(s, func(o *Options) { o.MaxItems = 5000 })
			w := do(h, request("PUT", c.path, strings.NewReader(c.body)))
			if w.Code != c.status || w.Header().Get("X-Elastic-Product") != "Elasticsearch" {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if got := s.data(); got != c.kept {
				t.Errorf("kept %.100q, want %.100q", got, c.kept)
			}
			if h.memory.left != h.opt.MaxMemory {
				t.Errorf("%d bytes are not given back", h.opt.MaxMemory-h.memory.left)
			}
			var answer bulkReply
			if err := json.Unmarshal(w.Body.Bytes(), &answer); c.status == 200 && (err != nil || answer.Took == nil || answer.Errors == nil || *answer.Errors != c.errors) {
				t.Errorf("%v %s", err, w.Body)
			}
			if d := cmp.Diff(c.items, answer.shown()); c.status == 200 && d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for _, it := range answer.Items {
				for _, v := range it {
					if (v.Status == 201) != (v.Result == "created" && v.Shards != nil && v.Shards.Successful == 1 && v.Error == nil) || v.Status != 201 && v.Error.Reason == "" {
						t.Errorf("%+v", v)
					}
				}
			}
		})
	}
}

func TestBulkSourcesBecomeRunsOfRecords(t *testing.T) {
	var body, want strings.Builder
	for i := range 20_000 {
		source := fmt.Sprintf("{\"n\":%d,\"pad\":\"%s\"}\n", i, strings.Repeat("p", i%300))
		_, _ = body.WriteString("{\"create\":{\"_index\":\"x\"}}\n" + source)
		_, _ = want.WriteString(source)
	}
	s := &store{}
	w := do(handler(s, nil), request("POST", "/_bulk", strings.NewReader(body.String()), "Idempotency-Key", "k"))
	var answer bulkReply
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Items) != 20_000 {
		t.Fatalf("%d %v", w.Code, err)
	}
	ids := map[string]bool{}
	for _, it := range answer.Items {
		ids[it["create"].ID] = true
	}
	if s.data() != want.String() || len(ids) != 20_000 {
		t.Errorf("%d bytes of %d kept, %d ids", len(s.data()), want.Len(), len(ids))
	}
	next := int64(1)
	for _, f := range s.frames {
		if f.First != next || f.Records != bytes.Count(f.Data, []byte("\n")) || f.Key != "k" || len(f.Data) > bus.MaxBytes {
			t.Fatalf("a frame of %d records from %d on, want %d", f.Records, f.First, next)
		}
		next += int64(f.Records)
	}
	if len(s.frames) > 20 {
		t.Errorf("%d frames", len(s.frames))
	}
}

func TestFilterPathLeavesOutWhatIsNotAskedFor(t *testing.T) {
	good := "{\"create\":{\"_index\":\"x\",\"_id\":\"1\"}}\n{}\n"
	bad := "{\"delete\":{\"_index\":\"x\",\"_id\":\"2\"}}\n"
	reason := `{"type":"illegal_argument_exception","reason":"what was sent is kept: there is no delete, only index and create"}`
	for _, c := range []struct{ filter, body, want string }{
		{"errors,items.*.error,items.*.status", good + bad, `{"errors":true,"items":[{"create":{"status":201}},{"delete":{"status":400,"error":` + reason + `}}]}`},
		{"errors, items.*.error", good + bad, `{"errors":true,"items":[{"delete":{"error":` + reason + `}}]}`},
		{"errors,items.*.error.reason", good, `{"errors":false}`},
		{"items.create._id", good + bad, `{"items":[{"create":{"_id":"1"}}]}`},
		{"items.*._*", good + bad, `{"items":[{"create":{"_index":"x","_id":"1","_version":1,"_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1}},{"delete":{"_index":"x","_id":"2"}}]}`},
		{"items", good, `{"items":[{"create":{"_index":"x","_id":"1","_version":1,"result":"created","_shards":{"total":1,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1,"status":201}}]}`},
		{"-took,-items", good, `{"errors":false}`},
		{"-took,-items.*._shards,-items.*._seq_no,-items.*._primary_term,-**._version", good, `{"errors":false,"items":[{"create":{"_index":"x","_id":"1","result":"created","status":201}}]}`},
		{"**.status", good, `{"items":[{"create":{"status":201}}]}`},
		{"nothing", good, `{}`},
		{"[", good, `{}`},
	} {
		t.Run(c.filter, func(t *testing.T) {
			r := request("POST", "/_bulk", strings.NewReader(c.body))
			q := r.URL.Query()
			q.Set("filter_path", c.filter)
			r.URL.RawQuery = q.Encode()
			w := do(handler(&store{}, nil), r)
			if d := cmp.Diff(c.want, strings.TrimSpace(w.Body.String())); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestTheHandshakeLetsSendersStart(t *testing.T) {
	h := handler(&store{}, nil)
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/", 200, `"tagline":"You Know, for Search"`},
		{"HEAD", "/", 200, ""},
		{"GET", "/es", 200, `"number":"8.`},
		{"GET", "/es/", 200, `"number":"8.`},
		{"GET", "/_license?human=false", 200, `"status":"active"`},
		{"GET", "/_xpack", 200, `"ilm":{"available":true`},
		{"GET", "/_cluster/health", 200, `"status":"green"`},
		{"GET", "/_cat/health", 200, "green"},
		{"GET", "/_nodes/http", 200, `"nodes":{}`},
		{"HEAD", "/_index_template/winlogbeat-8.19.0", 200, ""},
		{"GET", "/_index_template/winlogbeat-8.19.0", 200, `"name":"winlogbeat-8.19.0"`},
		{"PUT", "/_index_template/winlogbeat-8.19.0", 200, `{"acknowledged":true}`},
		{"HEAD", "/_template/logstash", 200, ""},
		{"PUT", "/_template/logstash", 200, `{"acknowledged":true}`},
		{"GET", "/_ilm/policy/filebeat", 200, `{"filebeat":{`},
		{"PUT", "/_ilm/policy/filebeat", 200, `{"acknowledged":true}`},
		{"GET", "/_ingest/pipeline/filebeat-8-pipeline", 200, `"filebeat-8-pipeline":{`},
		{"PUT", "/es/_ingest/pipeline/x", 200, `{"acknowledged":true}`},
		{"GET", "/_data_stream/filebeat-8", 200, `"name":"filebeat-8"`},
		{"PUT", "/_data_stream/filebeat-8", 200, `{"acknowledged":true}`},
		{"HEAD", "/es/filebeat-8", 200, ""},
		{"PUT", "/es/filebeat-8", 200, `"index":"filebeat-8"`},
		{"HEAD", "/_alias/filebeat", 200, ""},
		{"GET", "/_security/_authenticate", 200, `"username":"edr"`},
		{"POST", "/_security/user/_has_privileges", 200, `"has_all_requested":true`},
		{"POST", "/logs/_doc", 201, `"result":"created"`},
		{"PUT", "/logs/_doc/7", 201, `"_id":"7"`},
		{"PUT", "/logs/_create/7", 201, `"_id":"7"`},
		{"GET", "/_search", 404, `"status":404`},
		{"POST", "/logs/_search", 404, `"status":404`},
		{"DELETE", "/es/logs", 405, `"status":405`},
		{"GET", "/_bulk", 405, `"status":405`},
	} {
		t.Run(c.method+c.path, func(t *testing.T) {
			w := do(h, request(c.method, c.path, strings.NewReader("{\n}"), "Accept", "application/vnd.elasticsearch+json; compatible-with=8"))
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) || w.Header().Get("X-Elastic-Product") != "Elasticsearch" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(c.path, "/_cat") && got != "application/vnd.elasticsearch+json;compatible-with=8" {
				t.Errorf("content type %q", got)
			}
			r := request(c.method, c.path, nil, "Authorization", "")
			if w := do(h, r); w.Code != 401 && w.Code != 405 && w.Code != 404 {
				t.Errorf("without credentials: %d", w.Code)
			}
		})
	}
}

func TestADocumentIsOneRecord(t *testing.T) {
	s := &store{}
	w := do(handler(s, nil), request("POST", "/logs/_doc", strings.NewReader("{\r\n \"a\": 1\n}\n")))
	if w.Code != 201 || s.data() != "{   \"a\": 1 } \n" || s.frames[0].Records != 1 || s.frames[0].Whole {
		t.Errorf("%d %q", w.Code, s.data())
	}
	for _, body := range []string{"", "\n", strings.Repeat("x", 2<<20)} {
		if w := do(handler(s, nil), request("POST", "/logs/_doc", strings.NewReader(body))); w.Code != 400 && w.Code != 413 {
			t.Errorf("%d for %d bytes", w.Code, len(body))
		}
	}
}

func FuzzBulk(f *testing.F) {
	for _, seed := range []string{
		"{\"index\":{}}\n{\"a\":1}\n", "{\"delete\":{\"_id\":\"1\"}}\n{\"create\":{\"_index\":\"x\"}}\nhello", "\n\n{\"update\":{}}\n{}\n{\"index\":{}}\n\n",
		"{\"index\":{\"_id\":\"\\ud83d\\ude00\\u0000\"}}\r\n{}\r\n", "{\"index\":{}}\n", "[[[[", "{\"index\":{}}\n" + strings.Repeat("x", 5000) + "\n{\"index\":{}}\n{}\n",
	} {
		f.Add(seed, uint8(7))
	}
	f.Fuzz(func(t *testing.T, text string, max uint8) {
		opt := Options{MaxLine: 64 + int(max), MaxRecords: 1000, MaxItems: 1000}
		memory := &budget{left: 64 << 20}
		l := &lease{of: memory}
		b, err := readBulk(&chunked{text: text, size: int(max)%7 + 1}, l, bus.Frame{}, "", &opt, 0)
		l.release()
		if memory.left != 64<<20 {
			t.Fatal("memory is not given back")
		}
		if err != nil {
			return
		}
		created, long, records := 0, 0, 0
		for _, it := range b.items {
			if it.status == 201 {
				created++
			} else if strings.Contains(it.reason, "longer") {
				long++
			}
		}
		next := int64(1)
		for _, f := range b.frames.out {
			if f.First != next || f.Records != bytes.Count(f.Data, []byte("\n")) || !bytes.HasSuffix(f.Data, []byte("\n")) {
				t.Fatalf("a frame of %d records from %d on: %q", f.Records, f.First, f.Data)
			}
			for line := range bytes.Lines(f.Data) {
				if !strings.Contains(text, strings.TrimRight(string(line), "\r\n")) {
					t.Fatalf("%q was not sent", line)
				}
			}
			records += f.Records
			next += int64(f.Records)
		}
		if records != created+long {
			t.Fatalf("%d records for %d items", records, created+long)
		}
		var out bytes.Buffer
		if err := newBulkAnswer(filterPath{}).write(&out, b, 0); err != nil || !json.Valid(out.Bytes()) {
			t.Fatalf("%v %s", err, out.Bytes())
		}
		var answer bulkReply
		if err := json.Unmarshal(out.Bytes(), &answer); err != nil || len(answer.Items) != len(b.items) {
			t.Fatalf("%v %s", err, out.Bytes())
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add("a\nb\n\nc", uint8(3))
	f.Add(strings.Repeat("x", 500)+"\ny\r\n", uint8(0))
	f.Fuzz(func(t *testing.T, text string, max uint8) {
		opt := func(o *Options) { o.MaxLine = 16 + int(max) }
		s := &store{}
		w := do(handler(s, opt), request("POST", "/ingest/ndjson", &chunked{text: text, size: int(max)%5 + 1}))
		want := 0
		for line := range strings.Lines(text) {
			if !isBlank([]byte(line)) {
				want++
			}
		}
		got := 0
		for _, f := range s.frames {
			got += f.Records
		}
		var answer taken
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 || got != want || answer.Accepted+answer.Refused != want {
			t.Fatalf("%d records of %d, %d %s", got, want, w.Code, w.Body)
		}
	})
}

// chunked gives a text a few bytes at a time.
type chunked struct {
	text string
	size int
}

func (c *chunked) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), c.size)], c.text)
	c.text = c.text[n:]
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
