package indicator

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

var (
	_ detect.Detector  = (*Detector)(nil)
	_ detect.Explainer = (*Detector)(nil)

	noon = time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
)

func values(s Set) (out []string) {
	for i := range s.Len() {
		in := s.At(i)
		v := string(in.Type) + " " + in.Value
		for _, t := range in.With {
			v += " with " + t.Value
		}
		out = append(out, v)
	}
	return out
}

func load(t testing.TB, text string) (Set, []string) {
	t.Helper()
	s, errs := Load(strings.NewReader(text), "list")
	var reasons []string
	for _, e := range errs {
		reasons = append(reasons, fmt.Sprintf("%d: %s", e.Record, e.Reason))
	}
	return s, reasons
}

func TestListsOfEveryFormLoad(t *testing.T) {
	bundle := func(objects ...string) string {
		return `{"type":"bundle","id":"bundle--1","objects":[` + strings.Join(objects, ",") + `]}`
	}
	pattern := func(p string) string {
		return `{"type":"indicator","id":"i","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","pattern":"` + strings.ReplaceAll(p, `"`, `\"`) + `"}`
	}
	md5 := strings.Repeat("ab", 16)
	sha := strings.Repeat("cd", 32)
	for _, c := range []struct {
		name, text string
		want, bad  []string
	}{
		{"plain", "# comment\nevil.example\n\n198.51.100.7 # why\n2001:DB8::1\n203.0.113.0/24\nhttp://Evil.example/A?b\n" + strings.ToUpper(md5) + "\nx@evil.example\n", []string{
			"domain evil.example", "ip 198.51.100.7", "ip 2001:db8::1", "ip 203.0.113.0/24", "url http://evil.example/A?b", "hash " + md5, "mailbox x@evil.example"}, nil},
		{"defanged", "hxxps://evil[.]example/x\nbad[.]example[.]com\n198.51.100[.]7\nx[@]evil(.)example\n", []string{
			"url https://evil.example/x", "domain bad.example.com", "ip 198.51.100.7", "mailbox x@evil.example"}, nil},
		{"a hosts file", "0.0.0.0 evil.example\n", []string{"domain evil.example"}, nil},
		{"plain with rubbish", "evil.example\nnot a value\nlocalhost\n0.0.0.0/0\n127.0.0.1\n999.1.1.1\n", []string{"domain evil.example"}, []string{
			`2: "not" is no address, domain, URL, e-mail address or hash`, `3: "localhost" is no address, domain, URL, e-mail address or hash`,
			"4: network 0.0.0.0/0 is too wide to mean anybody", "5: address 127.0.0.1 means no host", `6: "999.1.1.1" is no address, domain, URL, e-mail address or hash`}},
		{"CSV", "type,value,confidence\ndomain-name,Evil.example.,90\nipv4-addr,\"198.51.100.7\",high\nja3,x,1\nsha256,zz,1\n", []string{"domain evil.example", "ip 198.51.100.7"},
			[]string{`4: indicators of type "ja3" are not matched`, `5: "zz" is not a hash`}},
		{"CSV of another shape", "# feed\n\"indicator\";\"expires\"\nevil.example;2027-01-01\nworse.example;soon\n", []string{"domain evil.example"}, []string{`3: "soon" is not a time`}},
		{"one column with a header", "domain\nevil.example\n", []string{"domain evil.example"}, nil},
		{"STIX", bundle(`{"type":"identity","id":"x"}`, pattern("[domain-name:value = 'evil.example']"), pattern("[ipv4-addr:value = '198.51.100.7' OR ipv6-addr:value = '2001:db8::1']"),
			pattern("[ipv4-addr:value ISSUBSET '203.0.113.0/24'] OR [url:value IN ('http://a.example/x','http://b.example')]"),
			pattern("[file:hashes.MD5 = '"+md5+"' AND file:hashes.'SHA-256' = '"+sha+"']"),
			pattern("[email-addr:value = 'X@Evil.example' AND (domain-name:value = 'a.example' OR domain-name:value = 'b.example')]")), []string{
			"domain evil.example", "ip 198.51.100.7", "ip 2001:db8::1", "ip 203.0.113.0/24", "url http://a.example/x", "url http://b.example/",
			"hash " + md5, "hash " + sha, "mailbox x@evil.example with a.example", "mailbox x@evil.example with b.example"}, nil},
		{"STIX that is not supported", bundle(pattern("[file:name = 'x']"), pattern("[domain-name:value LIKE '%.evil.example']"), pattern("[domain-name:value = 'a.example'] FOLLOWEDBY [url:value = 'http://x']"),
			pattern("[domain-name:value = 'a.example'] WITHIN 5 MINUTES"), pattern("[domain-name:value = 'a.example'"), pattern(""), `{"type":"indicator","id":"y","pattern_type":"yara","pattern":"rule"}`,
			`{"type":"indicator","id":"r","revoked":true,"pattern":"[domain-name:value = 'a.example']"}`), nil, []string{
			`1: i: the object path "file:name" is not supported`, `2: i: the operator "LIKE" is not supported`, "3: i: FOLLOWEDBY between observations is not supported",
			"4: i: the qualifier WITHIN is not supported", "5: i: the end where ] was expected", "6: i: the end where [ was expected", `7: y: patterns of type "yara" are not supported`, "8: r: revoked"}},
		{"subjects", bundle(pattern("[email-message:subject = '  Your  Parcel WAITS ']"), pattern("[email-message:subject = 'Invoice']"), pattern("[email-message:subject = 'Payment of May' AND domain-name:value = 'evil.example']")),
			[]string{"subject your parcel waits", "domain evil.example with payment of may"}, []string{`2: i: the subject "Invoice" is too short to mean one sending`}},
		{"subjects in CSV", "type,value\nemail-subject,Your Parcel waits\n", []string{"subject your parcel waits"}, nil},
		{"a single object", pattern("[domain-name:value = 'evil.example']"), []string{"domain evil.example"}, nil},
		{"a TAXII envelope", `{"more":false,"objects":[` + pattern("[domain-name:value = 'evil.example']") + `]}`, []string{"domain evil.example"}, nil},
		{"a cut bundle", bundle(pattern("[domain-name:value = 'evil.example']"))[:150], nil, []string{"1: unexpected EOF"}},
		{"nothing", "", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, bad := load(t, c.text)
			if d := cmp.Diff(c.want, values(s)); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(c.bad, bad); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWhatAListSaysIsKept(t *testing.T) {
	s, _ := load(t, "type,value,context,source,confidence,tlp,valid_from,valid_until\ndomain,evil.example,phishing host,Feed X,medium,TLP:AMBER+STRICT,2026-01-02,2026-03-04T05:06:07Z\n")
	want := Indicator{Type: ocsf.EntityDomain, Value: "evil.example", Source: "Feed X", Confidence: 50, TLP: "amber+strict", Description: "phishing host",
		ValidFrom: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), ValidUntil: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	if d := cmp.Diff(want, s.At(0)); d != "" {
		t.Error(d)
	}
	s, _ = load(t, `{"type":"indicator","id":"indicator--1","name":"bad host","confidence":85,"pattern":"[domain-name:value = 'evil.example']","valid_from":"2026-01-02T00:00:00.000Z","object_marking_refs":["marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"]}`)
	want = Indicator{Type: ocsf.EntityDomain, Value: "evil.example", ID: "indicator--1", Source: "list", Confidence: 85, TLP: "clear", Description: "bad host", ValidFrom: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
	if d := cmp.Diff(want, s.At(0)); d != "" {
		t.Error(d)
	}
	if j := Join(s, Set{}, s); j.Len() != 2 || j.At(1).ID != "indicator--1" {
		t.Errorf("joined: %v", values(j))
	}
}

func TestEventsMatchAsPeopleMeanIt(t *testing.T) {
	list := "evil.example\n198.51.100.7\n203.0.113.0/24\nhttp://files.example/a.exe\nboss@evil.example\n" + strings.Repeat("ab", 32) + "\nsub.apex.example\napex.example\n"
	set, _ := load(t, list)
	ip := netip.MustParseAddr
	for _, c := range []struct {
		name  string
		event ocsf.Event
		want  string
	}{
		{"the domain itself", ocsf.Event{Dst: ocsf.Endpoint{Domain: "Evil.Example"}}, "evil.example"},
		{"a subdomain", ocsf.Event{Dst: ocsf.Endpoint{Domain: "secure.bank.com.evil.example"}}, "evil.example"},
		{"a name that only ends alike", ocsf.Event{Dst: ocsf.Endpoint{Domain: "notevil.example"}}, ""},
		{"the most specific of two", ocsf.Event{Dst: ocsf.Endpoint{Domain: "x.sub.apex.example"}}, "sub.apex.example"},
		{"an address", ocsf.Event{Dst: ocsf.Endpoint{IP: ip("198.51.100.7")}}, "198.51.100.7"},
		{"an address of a network", ocsf.Event{Src: ocsf.Endpoint{IP: ip("203.0.113.200")}}, "203.0.113.0/24"},
		{"an address beside it", ocsf.Event{Src: ocsf.Endpoint{IP: ip("203.0.114.1")}}, ""},
		{"a DNS answer", ocsf.Event{Answers: []string{"198.51.100.7"}}, "198.51.100.7"},
		{"a URL in other letters", ocsf.Event{URL: "HTTP://Files.example:80/a.exe#x"}, "http://files.example/a.exe"},
		{"another path", ocsf.Event{URL: "http://files.example/A.exe"}, ""},
		{"a URL of a bad host", ocsf.Event{URL: "https://www.evil.example/login"}, "evil.example"},
		{"a sender", ocsf.Event{Mail: &ocsf.Mail{From: "boss@evil.example"}}, "boss@evil.example evil.example"},
		{"a sender of a bad domain", ocsf.Event{Mail: &ocsf.Mail{From: "it@mail.evil.example"}}, "evil.example"},
		{"an attachment", ocsf.Event{Mail: &ocsf.Mail{Attachments: []ocsf.Attachment{{SHA256: strings.Repeat("AB", 32)}}}}, strings.Repeat("ab", 32)},
		{"a process", ocsf.Event{Process: &ocsf.Process{Hashes: []string{"SHA256=" + strings.Repeat("AB", 32)}}}, strings.Repeat("ab", 32)},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.event.Time = noon
			m := matcher{set: &set}
			var got []string
			for _, h := range m.match(&c.event) {
				got = append(got, set.At(int(h.entry)).Value)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
		})
	}
}

func TestPatternsWithANDNeedAll(t *testing.T) {
	set, _ := load(t, `{"type":"indicator","id":"i","pattern":"[email-addr:value = 'a@evil.example' AND domain-name:value = 'drop.example']"}`)
	m := matcher{set: &set}
	e := &ocsf.Event{Time: noon, Mail: &ocsf.Mail{From: "a@evil.example"}}
	if len(m.match(e)) != 0 {
		t.Error("half of a pattern matches")
	}
	e.Mail.Links = []ocsf.Link{{URL: "http://x.drop.example/", Host: "x.drop.example"}}
	if len(m.match(e)) != 1 {
		t.Error("the whole pattern does not match")
	}
}

func TestValidityEndsButPublicationDoesNotBegin(t *testing.T) {
	set, _ := load(t, "value,valid_from,valid_until\nold.example,2026-01-01,2026-08-01\nnew.example,2026-10-01,\n")
	d := New(detect.Context{}, set)
	var got []*ocsf.Finding
	for _, name := range []string{"old.example", "new.example"} {
		d.Process(&ocsf.Event{Time: noon, Tenant: "t", Dst: ocsf.Endpoint{Domain: name}}, func(f *ocsf.Finding) { got = append(got, f) })
	}
	if len(got) != 1 || !strings.Contains(got[0].Reason, "30 days before it was published") {
		t.Fatalf("%+v", got)
	}
}

func TestOneFindingForTenantIndicatorAndDay(t *testing.T) {
	set, _ := load(t, "evil.example\n198.51.100.7\n")
	run := func(restart bool) map[string]*ocsf.Finding {
		d := New(detect.Context{Model: &tenant.Model{Version: "v"}}, set)
		last := map[string]*ocsf.Finding{}
		emit := func(f *ocsf.Finding) { last[f.ID] = f }
		for i := range 30 {
			e := &ocsf.Event{Time: noon.Add(time.Duration(i) * time.Hour), Tenant: "a", Layer: tenant.LayerNetwork, Class: ocsf.ClassDNSActivity,
				Src: ocsf.Endpoint{IP: netip.MustParseAddr("10.0.0.5")}, Dst: ocsf.Endpoint{Domain: fmt.Sprintf("h%d.evil.example", i%3)}}
			if i%2 == 1 {
				e.Tenant = "b"
			}
			d.Process(e, emit)
			if restart {
				b, err := d.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				d = New(detect.Context{Model: &tenant.Model{Version: "v"}}, set)
				if err := d.Restore(b); err != nil {
					t.Fatal(err)
				}
			}
			d.Advance(e.Time, emit)
		}
		d.Advance(noon.Add(1000*time.Hour), emit)
		return last
	}
	got := run(false)
	if len(got) != 4 {
		t.Errorf("%d findings, want 2 tenants on 2 days", len(got))
	}
	for _, f := range got {
		if f.Outcome != ocsf.OutcomeUnknown || f.Severity != ocsf.SeverityHigh || f.Technique != "T1071" || len(f.Evidence) != f.Count {
			t.Errorf("%+v", f)
		}
		if want := (ocsf.Entity{Type: ocsf.EntityDomain, Value: "h0.evil.example", Role: ocsf.RoleInfrastructure}); !contains(f.Entities, want) {
			t.Errorf("no %v in %v", want, f.Entities)
		}
	}
	if d := cmp.Diff(got, run(true), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if err := New(detect.Context{}).Restore([]byte("x")); err == nil {
		t.Error("nonsense is restored")
	}
}

func contains(list []ocsf.Entity, e ocsf.Entity) bool {
	for _, x := range list {
		if x == e {
			return true
		}
	}
	return false
}

func TestOutcomeAndSeverityFollowTheEvent(t *testing.T) {
	for _, c := range []struct {
		name, list string
		event      ocsf.Event
		want       string
	}{
		{"a connection that was made", "198.51.100.7", ocsf.Event{Flow: &ocsf.Flow{}, Status: ocsf.StatusSuccess, Dst: ocsf.Endpoint{IP: netip.MustParseAddr("198.51.100.7")}}, "medium succeeded"},
		{"a connection that was refused", "198.51.100.7", ocsf.Event{Flow: &ocsf.Flow{}, Status: ocsf.StatusFailure, Dst: ocsf.Endpoint{IP: netip.MustParseAddr("198.51.100.7")}}, "medium attempted"},
		{"mail", "evil.example", ocsf.Event{Mail: &ocsf.Mail{From: "a@evil.example"}}, "high attempted"},
		{"a question", "evil.example", ocsf.Event{Class: ocsf.ClassDNSActivity, Status: ocsf.StatusSuccess, Dst: ocsf.Endpoint{Domain: "evil.example"}}, "high unknown"},
		{"a process", strings.Repeat("ab", 32), ocsf.Event{Process: &ocsf.Process{Hashes: []string{strings.Repeat("ab", 32)}}}, "high succeeded"},
		{"little confidence", "value,confidence\nevil.example,20", ocsf.Event{Dst: ocsf.Endpoint{Domain: "evil.example"}}, "low unknown"},
	} {
		set, _ := load(t, c.list)
		d := New(detect.Context{}, set)
		c.event.Time = noon
		got := ""
		d.Process(&c.event, func(f *ocsf.Finding) { got = fmt.Sprintf("%s %s", f.Severity, f.Outcome) })
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestRecordedListsLoad(t *testing.T) {
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	lists, _ := filepath.Glob(filepath.Join(root, "intel", "*_bundle.json"))
	csvs, _ := filepath.Glob(filepath.Join(root, "intel", "*_iocs.csv"))
	if lists = append(lists, csvs...); len(lists) == 0 {
		t.Skipf("no recorded lists at %s: set BREAKWATER_DATA", root)
	}
	for _, path := range lists {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, errs := Load(strings.NewReader(string(b)), filepath.Base(path))
		want := strings.Count(string(b), `"pattern":`)
		if strings.HasSuffix(path, ".csv") {
			want = strings.Count(strings.TrimSpace(string(b)), "\n")
		}
		if s.Len() != want || len(errs) != 0 {
			t.Errorf("%s: %d of %d loaded, %v", path, s.Len(), want, errs)
		}
	}
	fmt.Println("cases", len(lists))
}

func TestBombs(t *testing.T) {
	for name, text := range map[string]string{
		"brackets":        `{"type":"indicator","id":"i","pattern":"` + strings.Repeat("(", 60000) + `"}`,
		"alternatives":    `{"type":"indicator","id":"i","pattern":"[` + strings.Repeat("(url:value = 'http://a' OR url:value = 'http://b') AND ", 40) + `url:value = 'http://c']"}`,
		"a long line":     strings.Repeat("x", 1<<20),
		"nested JSON":     strings.Repeat(`{"objects":[`, 20000),
		"an open quote":   "value,type\n\"" + strings.Repeat("x\n", 100000),
		"a thousand errs": strings.Repeat("?\n", 5000),
	} {
		s, errs := Load(strings.NewReader(text), "bomb")
		if s.Len() != 0 || len(errs) == 0 || len(errs) > maxErrors {
			t.Errorf("%s: %d loaded, %d errors", name, s.Len(), len(errs))
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("evil[.]example\n198.51.100.7\n")
	f.Add("type,value\ndomain,\"evil.example\n")
	f.Add(`{"type":"bundle","objects":[{"type":"indicator","pattern":"[domain-name:value = 'a.example' AND (ipv4-addr:value IN ('198.51.100.7'))]"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, _ := Load(strings.NewReader(text), "fuzz")
		m := matcher{set: &s}
		for i := range s.Len() {
			in := s.At(i)
			e := &ocsf.Event{Time: noon}
			switch in.Type {
			case ocsf.EntityDomain:
				e.Dst.Domain = in.Value
			case ocsf.EntityURL:
				e.URL = in.Value
			case ocsf.EntityIP:
				p, err := netip.ParsePrefix(in.Value)
				if err != nil {
					p = netip.PrefixFrom(netip.MustParseAddr(in.Value), 0)
				}
				e.Src.IP = p.Addr()
			default:
				continue
			}
			if in.With == nil && in.ValidUntil.IsZero() && len(m.match(e)) == 0 {
				t.Fatalf("%s %q does not match itself", in.Type, in.Value)
			}
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("[file:hashes.'SHA-256' = 'x' OR NOT url:value != 'y'] FOLLOWEDBY [a:b > 5]")
	f.Add(`[url:value = 'it\'s']`)
	f.Fuzz(func(t *testing.T, s string) {
		if out, err := parsePattern(s); err == nil && (len(out) == 0 || len(out) > maxTerms) {
			t.Fatalf("%d alternatives", len(out))
		}
	})
}

func million(b *testing.B, n int) Set {
	var text strings.Builder
	for i := range n {
		switch i % 4 {
		case 0:
			fmt.Fprintf(&text, "host%d.bad%d.example\n", i, i%977)
		case 1:
			fmt.Fprintf(&text, "%d.%d.%d.%d\n", 11+i%150, i>>16&255, i>>8&255, i&255)
		case 2:
			fmt.Fprintf(&text, "%064x\n", i*7919)
		default:
			fmt.Fprintf(&text, "http://bad%d.example/path/%d/index.php\n", i%977, i)
		}
	}
	s, errs := Load(strings.NewReader(text.String()), "bench")
	if len(errs) > 0 {
		b.Fatal(errs[0])
	}
	return s
}

func BenchmarkMatchOneMillion(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	set := million(b, 1_000_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	m := matcher{set: &set}
	obs := make([]ocsf.Observable, 1<<18) // more than the caches hold
	for i := range obs {
		switch i % 4 {
		case 0:
			obs[i] = ocsf.Observable{Type: ocsf.EntityDomain, Value: fmt.Sprintf("www%d.good%d.example", i, i)}
		case 1, 2:
			obs[i] = ocsf.Observable{Type: ocsf.EntityIP, Value: fmt.Sprintf("10.%d.%d.%d", i&255, i>>8&255, i>>16)}
		default:
			obs[i] = ocsf.Observable{Type: ocsf.EntityHash, Value: fmt.Sprintf("%064x", i*31+1)}
		}
	}
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		for _, o := range obs {
			m.observable(o, 0)
		}
		m.hits = m.hits[:0]
	}
	b.ReportMetric(float64(b.N*len(obs))/(cpu()-start).Seconds(), "observables/CPU-s")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
	runtime.KeepAlive(set)
}

// cpu returns the processor time of this process, since the clock on the wall says little on a shared machine.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestSubjectsOfMailAreMatchedWhole: a subject in any case and with any space, and no other that holds it.
func TestSubjectsOfMailAreMatchedWhole(t *testing.T) {
	set, bad := load(t, "type,value,confidence\nemail-subject,Your Parcel waits,80\n")
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	d := New(detect.Context{Model: &tenant.Model{Version: "1"}}, set)
	for subject, want := range map[string]int{"YOUR parcel  waits": 1, "Your Parcel waits": 1, "your parcel waits for you": 0, "": 0, strings.Repeat("x", 5000): 0} {
		e := &ocsf.Event{Tenant: "acme", Time: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC), Layer: tenant.LayerMail, Class: ocsf.ClassEmailActivity, Mail: &ocsf.Mail{Subject: subject, From: "a@b.example"}}
		hits := d.Hits(e)
		if len(hits) != want || want > 0 && (hits[0].Indicator.Value != "your parcel waits" || hits[0].Indicator.Confidence != 80 || hits[0].Seen != subject) {
			t.Errorf("%q: %+v", clip(subject, 40), hits)
		}
		var found []*ocsf.Finding
		d.Process(e, func(f *ocsf.Finding) { found = append(found, f) })
		for _, f := range found {
			for _, x := range f.Entities {
				if x.Type == ocsf.EntitySubject && x.Role == ocsf.RoleInfrastructure {
					t.Errorf("a subject joins tenants: %+v", x)
				}
			}
		}
	}
}
