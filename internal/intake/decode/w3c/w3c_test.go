package w3c

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

type sink struct {
	events []*ocsf.Event
	at     []int64
	bad    []string
}

func (s *sink) Event(e *ocsf.Event, n int64, _ []byte) {
	s.events, s.at = append(s.events, e), append(s.at, n)
}
func (s *sink) Bad(_ int64, reason string, _ []byte) { s.bad = append(s.bad, reason) }

// read gives text to the format that recognises it.
func read(t *testing.T, text string) (*sink, string) {
	t.Helper()
	for _, f := range Streams() {
		if f.Recognise("access.log", []byte(text)) {
			s := &sink{}
			if err := f.Read(context.Background(), "access.log", strings.NewReader(text), s); err != nil {
				t.Fatal(err)
			}
			return s, f.Name
		}
	}
	return &sink{}, ""
}

const iis = "#Software: Microsoft Internet Information Services 10.0\r\n#Version: 1.0\r\n#Date: 2024-02-20 00:00:01\r\n" +
	"#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\r\n" +
	"2024-02-20 03:04:05 10.1.2.3 POST /SetupWizard.aspx/x a=1 8040 - 198.51.100.7 Mozilla/5.0+(X11) - 200 0 0 31\r\n"

func TestExtendedLogsAreRead(t *testing.T) {
	s, format := read(t, iis+"2024-02-20 03:04:06 10.1.2.3 GET /a\r\n#Fields: time c-ip cs-uri-stem sc-status\r\n03:05:00 2001:db8::1 /b 404\r\n")
	if format != "w3c" || len(s.events) != 2 || len(s.bad) != 1 {
		t.Fatalf("format %q, %d events, bad %v", format, len(s.events), s.bad)
	}
	e := s.events[0]
	if s.at[0] != 5 || !e.Time.Equal(time.Date(2024, 2, 20, 3, 4, 5, 0, time.UTC)) || e.Src.IP.String() != "198.51.100.7" || e.Dst.Port != 8040 ||
		e.URL != "/SetupWizard.aspx/x?a=1" || e.Status != ocsf.StatusSuccess || e.Class != ocsf.ClassHTTPActivity || e.Source != "web/access" {
		t.Errorf("record %d: %+v", s.at[0], e)
	}
	for name, want := range map[string]string{"cs-uri-stem": "/SetupWizard.aspx/x", "sc-status": "200", "c-useragent": "Mozilla/5.0 (X11)", "cs-method": "POST", "cs-username": ""} {
		if got := e.Fields.Value(name); got != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if e = s.events[1]; e.Status != ocsf.StatusFailure || e.Src.IP.String() != "2001:db8::1" || e.Time.Day() != 20 {
		t.Errorf("after a second #Fields line: %+v", e)
	}
}

func TestCombinedLogsAreRead(t *testing.T) {
	for _, c := range []struct{ name, line, user, stem, agent, code string }{
		{"common", `203.0.113.9 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326`, "frank", "/apache_pb.gif", "", "200"},
		{"combined", `203.0.113.9 - - [10/Oct/2000:13:55:36 -0700] "POST /a?b=c HTTP/1.1" 500 - "http://x/" "curl \"8\""`, "", "/a", `curl "8"`, "500"},
	} {
		s, format := read(t, c.line+"\n")
		if format != "weblog" || len(s.events) != 1 {
			t.Errorf("%s: format %q, %d events, bad %v", c.name, format, len(s.events), s.bad)
			continue
		}
		e := s.events[0]
		if e.User.Name != c.user || e.Fields.Value("cs-uri-stem") != c.stem || e.Fields.Value("c-useragent") != c.agent || e.Fields.Value("sc-status") != c.code ||
			!e.Time.Equal(time.Date(2000, 10, 10, 20, 55, 36, 0, time.UTC)) {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

func TestOtherFilesAreLeftAlone(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "Zeek": "#separator \\x09\n#fields\tts\tuid\n", "a firewall's extended log": "#Version: 1.5\n#Fields: date time action src-ip\n2024-01-01 1:1:1 DROP 1.2.3.4\n",
		"syslog": "Mar  1 10:00:00 host sshd[1]: Accepted password for [x] \"y\"\n", "text": "one two [three] \"four\" five\n",
	} {
		if _, format := read(t, text); format != "" {
			t.Errorf("%s is taken for %s", name, format)
		}
	}
}

func TestBadLinesAreCounted(t *testing.T) {
	for name, line := range map[string]string{"no time": "#Fields: c-ip cs-uri-stem\n1.2.3.4 /\n", "never set clock": "#Fields: date time c-ip cs-uri-stem\n1900-01-01 00:00:00 1.2.3.4 /\n"} {
		if s, _ := read(t, line); len(s.bad) != 1 || len(s.events) != 0 {
			t.Errorf("%s: %d events, bad %v", name, len(s.events), s.bad)
		}
	}
	s := &sink{}
	if err := readExtended(context.Background(), "", strings.NewReader("1 2 3\n"), s); err != nil || len(s.bad) != 1 {
		t.Errorf("a line before #Fields: %v, bad %v", err, s.bad)
	}
}

func FuzzStreams(f *testing.F) {
	f.Add([]byte(iis))
	f.Add([]byte(`203.0.113.9 - - [10/Oct/2000:13:55:36 -0700] "POST /a?b=c HTTP/1.1" 500 - "http://x/" "curl \"8\""` + "\n"))
	f.Add([]byte("#Fields:\n\n\"\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, x := range Streams() {
			x.Recognise("", data)
			s := &sink{}
			if err := x.Read(context.Background(), "", strings.NewReader(string(data)), s); err != nil {
				t.Fatal(err)
			}
			for _, e := range s.events {
				if e.Time.IsZero() || e.Source != Source {
					t.Fatalf("an event without time or source: %+v", e)
				}
			}
		}
	})
}
