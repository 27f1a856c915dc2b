package vpn

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

var update = flag.Bool("update", false, "write the golden files anew")

// tell writes an event on one line.
func tell(e *ocsf.Event) string {
	class := map[ocsf.ClassUID]string{ocsf.ClassTunnelActivity: "tunnel", ocsf.ClassAuthentication: "auth", ocsf.ClassNetworkActivity: "net", ocsf.ClassBase: "base", ocsf.ClassAPIActivity: "api"}[e.Class]
	s := fmt.Sprintf("%s %s %s %s user=%s src=%s", e.Time.Format(time.RFC3339), class, e.Activity, e.Status, e.User, e.Src)
	if e.Dst.IP.IsValid() {
		s += " dst=" + e.Dst.String()
	}
	if l := e.Lease; l != nil {
		s += fmt.Sprintf(" lease=%v-%v %s addr=%s public=%s holder=%s device=%s", l.Start, l.End, l.ID, l.Addr, l.Public, l.Holder, l.Device)
	}
	return s
}

// TestGolden decodes testdata/*.in and compares what comes out, line by line.
func TestGolden(t *testing.T) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".in")
		if !ok {
			continue
		}
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile("testdata/" + f.Name())
			if err != nil {
				t.Fatal(err)
			}
			var c decodetest.Collect
			if err := read(t, raw, &c); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, e := range c.Events {
				decodetest.Check(t, e)
				b.WriteString(tell(e) + "\n")
			}
			for _, reason := range c.Reasons {
				b.WriteString("bad: " + reason + "\n")
			}
			golden := "testdata/" + name + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("got:\n%swant:\n%s", b.String(), want)
			}
		})
	}
}

func TestDatesOfEveryForm(t *testing.T) {
	for in, want := range map[string]string{
		"2026-09-21 14:58:56 x":                 "2026-09-21T14:58:56Z",
		"2026-09-21T14:58:56.123456+02:00 x":    "2026-09-21T12:58:56.123456Z",
		"2026-09-21T14:58:56Z x":                "2026-09-21T14:58:56Z",
		"Mon Sep 21 14:58:56 2026 x":            "2026-09-21T14:58:56Z",
		"Sep 21 2026 14:58:56: %ASA":            "2026-09-21T14:58:56Z",
		"Sep  1 2026 14:58:56.5 x":              "2026-09-01T14:58:56.5Z",
		"Sep 21 14:58:56 x":                     "no year",
		"Feb 29 14:58:56 x":                     "no year",
		"Feb 30 14:58:56 x":                     "none",
		"Sep 21 25:58:56 x":                     "none",
		"Sep":                                   "none",
		"2026-13-21 14:58:56 x":                 "none",
		"9999-09-2114:58:56 x and so on and on": "none",
		"":                                      "none",
	} {
		st, _, ok := parseStamp(in)
		got := st.t.Format(time.RFC3339Nano)
		if !ok {
			got = "none"
		} else if st.noYear {
			got = "no year"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestYearComesFromOtherLinesOnly(t *testing.T) {
	ok := "%ASA-6-113004: AAA user authentication Successful : server = 10.0.0.1 : user = a"
	for name, c := range map[string]struct{ in, want string }{
		"no line has a year":        {"Dec 31 23:59:00 fw " + ok + "\n", "bad no year: the line's date has none and no line of the file has one"},
		"a later line has one":      {"Dec 31 23:59:00 fw " + ok + "\n<166>Jan 01 2027 00:01:00 fw : " + ok + "\n", "2026-12-31T23:59:00Z 2027-01-01T00:01:00Z"},
		"an earlier line has one":   {"<166>Dec 31 2026 23:59:00 fw : " + ok + "\nJan  1 00:01:00 fw " + ok + "\n", "2026-12-31T23:59:00Z 2027-01-01T00:01:00Z"},
		"two years: the nearer one": {"Jan  2 10:00:00 fw " + ok + "\n<166>Dec 31 2024 23:00:00 fw : " + ok + "\n<166>Jul 01 2026 00:00:00 fw : " + ok + "\n", "2024-12-31T23:00:00Z 2025-01-02T10:00:00Z 2026-07-01T00:00:00Z"},
		"the relay's date has none": {"Sep 21 10:00:01 relay fw : Sep 21 2026 10:00:00 UTC: " + ok + "\n", "2026-09-21T10:00:00Z"},
		"leap day of another year":  {"<166>Mar 01 2026 00:00:00 fw : " + ok + "\nFeb 29 10:00:00 fw " + ok + "\n", "2026-03-01T00:00:00Z bad no such day in the year of the lines around it"},
	} {
		t.Run(name, func(t *testing.T) {
			var s decodetest.Collect
			if err := readASA(context.Background(), "", strings.NewReader(c.in), &s); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range s.Events {
				got = append(got, e.Time.Format(time.RFC3339))
			}
			slices.Sort(got)
			for _, b := range s.Reasons {
				got = append(got, "bad "+b)
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("got  %s\nwant %s", g, c.want)
			}
		})
	}
}

func TestBadRecordsAreNamedAndPassedBy(t *testing.T) {
	const (
		ov  = "2026-09-21 13:12:06 203.0.113.60:54384 TLS: Username/Password authentication succeeded for username 'isl-lemke'"
		asa = "<166>Sep 24 2026 07:30:00 fw1 : %ASA-6-113004: AAA user authentication Successful : server = 10.21.1.12 : user = isl-novak"
		gp  = "Receive Time,Serial #,Generate Time,Event ID,Source User,Machine Name,Public IP,Private IP,Status\n2026/09/21 10:31:26,1,2026/09/21 10:31:23,gateway-auth,isl-jansen,M,203.0.113.60,0.0.0.0,success"
	)
	long := strings.Repeat("x", decode.MaxRecord+1)
	for name, c := range map[string]struct{ before, line, reason string }{
		"openvpn/no_date":        {ov, "MULTI: hello", "no date"},
		"openvpn/clock_of_1970":  {ov, "1970-01-01 00:00:01 203.0.113.60:54384 TLS: x", "clock was never set"},
		"openvpn/clock_of_2100":  {ov, "2100-01-01 00:00:01 203.0.113.60:54384 TLS: x", "clock was never set"},
		"openvpn/line_too_long":  {ov, "2026-09-21 13:12:06 " + long, "longer than"},
		"openvpn/other_product":  {ov, "{\"json\":1}", "no date"},
		"asa/no_message":         {asa, "<166>Sep 24 2026 07:30:00 fw1 : hello", "no ASA message"},
		"asa/no_date":            {asa, "fw1 : %ASA-6-113004: AAA", "no date"},
		"asa/clock_of_1970":      {asa, "Jan 01 1970 00:00:00 fw1 : %ASA-6-113004: AAA", "clock was never set"},
		"asa/day_that_never_was": {asa, "Feb 30 2026 00:00:00 fw1 : %ASA-6-113004: AAA", "no date"},
		"asa/line_too_long":      {asa, asa + long, "longer than"},
		"globalprotect/no_time":  {gp, ",1,,gateway-auth,u,M,203.0.113.60,0.0.0.0,success", "neither Generate Time"},
		"globalprotect/1970":     {gp, "1970/01/01 00:00:00,1,1970/01/01 00:00:00,gateway-auth,u,M,1.2.3.4,,success", "clock was never set"},
		"globalprotect/no_event": {gp, "2026/09/21 10:31:26,1,2026/09/21 10:31:23,,u,M,203.0.113.60,0.0.0.0,success", "no Event ID"},
		"globalprotect/one_cell": {gp, "hello", "neither Generate Time"},
		"globalprotect/too_long": {gp, long, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			last := c.before[strings.LastIndexByte(c.before, '\n')+1:]
			var s decodetest.Collect
			if err := read(t, []byte(c.before+"\n"+c.line+"\n"+last+"\n"), &s); err != nil {
				t.Fatal(err)
			}
			if len(s.Events) != 2 || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], c.reason) {
				t.Errorf("%d events, bad %.200q, want one bad with %q", len(s.Events), s.Reasons, c.reason)
			}
		})
	}
	var s decodetest.Collect
	if err := read(t, []byte(ov+"\xff\xfe\n"), &s); err != nil || len(s.Events) != 1 {
		t.Errorf("invalid UTF-8: %v %v", err, s.Reasons)
	}
}

func TestRecogniseIsByContent(t *testing.T) {
	for name, head := range map[string]string{
		"empty":             "",
		"anydesk trace":     "   info 2026-09-21 14:58:56.123       gsvc   1234   5678    1               anynet.any_socket - Logged in from 203.0.113.7:1 on relay 1a2b3c4d.\n",
		"ordinary syslog":   "Sep 21 14:58:56 host sshd[1]: Accepted publickey for x\n",
		"dated application": "2026-09-21 14:58:56 server started\n2026-09-21 14:58:57 ready\n",
		"csv":               "time,user,action\n1,2,3\n",
		"zeek":              "#separator \\x09\n#path\tconn\n",
		"json":              `{"@timestamp":"2026-09-21T14:58:56Z","message":"TLS: Initial packet from [AF_INET]1.2.3.4:5"}` + "\n",
		"mail":              "From: a@b\nSubject: OpenVPN 2.6 is out\n\n2026-09-21 14:58:56 x\n",
	} {
		for _, s := range Streams() {
			if s.Recognise("openvpn.log", []byte(head)) {
				t.Errorf("%s is taken for %s", name, s.Name)
			}
		}
	}
}

// TestLinesMayStandInAnyOrder shuffles the lines of the golden logs below their header and expects the same events.
func TestLinesMayStandInAnyOrder(t *testing.T) {
	for _, name := range []string{"asa", "globalprotect", "openvpn", "openvpn-old", "openvpn-syslog"} {
		raw, err := os.ReadFile("testdata/" + name + ".in")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(strings.TrimSuffix(string(raw), "\n")+"\n", "\n")
		head := ""
		if name == "globalprotect" {
			head, lines = lines[0], lines[1:]
		}
		told := func(text string) []string {
			var c decodetest.Collect
			if err := read(t, []byte(text), &c); err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, e := range c.Events {
				out = append(out, tell(e)+" "+e.SourceID+fmt.Sprint(e.Fields))
			}
			slices.Sort(out)
			return append(out, c.Reasons...)
		}
		want := told(string(raw))
		for seed := range uint64(20) {
			rand.New(rand.NewPCG(seed, 1)).Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
			if diff := cmp.Diff(want, told(head+strings.Join(lines, ""))); diff != "" {
				t.Fatalf("%s: in another order (seed %d):\n%s", name, seed, diff)
			}
		}
	}
}

func TestLinesWithoutYearWaitWithinBounds(t *testing.T) {
	line := "Sep 21 10:00:00 fw %ASA-6-113004: AAA user authentication Successful : server = 10.0.0.1 : user = " + strings.Repeat("a", 1000) + "\n"
	many := strings.Repeat(line, 3*maxUndated/len(line))
	dated := "<166>Sep 21 2026 10:00:00 fw : %ASA-6-113012: AAA user authentication Successful : local database : user = b\n"
	all := strings.Count(many, "\n")
	for name, c := range map[string]struct {
		in          string
		least, most int // events
	}{
		"no year anywhere":    {many, 0, 0},
		"a year at the start": {dated + many, all + 1, all + 1},
		"a year at the end":   {many + dated, 2, maxUndated/len(line) + 1},
	} {
		var s decodetest.Collect
		d := asa{sink: &s}
		if err := d.dates.lines(context.Background(), strings.NewReader(c.in), &s, d.line); err != nil {
			t.Fatal(err)
		}
		if n := len(s.Events); n < c.least || n > c.most || n+len(s.Reasons) != strings.Count(c.in, "\n") {
			t.Errorf("%s: %d events and %d bad of %d lines", name, n, len(s.Reasons), strings.Count(c.in, "\n"))
		}
		held := 0
		for _, l := range d.dates.waiting {
			held += len(l.raw)
		}
		if held > maxUndated {
			t.Errorf("%s: %d bytes waited", name, held)
		}
	}
}

func FuzzStreams(f *testing.F) {
	for _, name := range []string{"openvpn.in", "openvpn-old.in", "openvpn-syslog.in", "asa.in", "globalprotect.in"} {
		raw, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	for _, c := range sessionLogs {
		f.Add([]byte(c.text))
	}
	f.Add([]byte("Sep 21 14:58:56 fw %ASA-6-302013: Built inbound TCP connection 1 for a:1.2.3.4/5 (1.2.3.4/5) to b:5.6.7.8/9\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range Streams() {
			s.Recognise("", b[:min(len(b), decode.MaxHead)])
			var c decodetest.Collect
			if err := s.Read(context.Background(), "", strings.NewReader(string(b)), &c); err != nil {
				t.Fatal(err)
			}
			for _, e := range c.Events {
				decodetest.Check(t, e)
				e.Summary()
			}
		}
	})
}
