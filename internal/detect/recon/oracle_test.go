package recon

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fastjson"
	"go.yaml.in/yaml/v3"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/zeek"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The oracles are recordings that say themselves what is in them: labels.tsv, EXPECTED.tsv, NOTES.md. Tests
// take every folder of that kind that is there, so that other recordings of the same kind are tried too.

func dataRoot(t testing.TB) string {
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no recordings at %s: set BREAKWATER_DATA", root)
	}
	return root
}

// foldersWith returns every folder below the recordings that holds a file of that name.
func foldersWith(t testing.TB, file string) []string {
	var out []string
	err := filepath.WalkDir(dataRoot(t), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == file {
			out = append(out, filepath.Dir(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// declared is the part of breakwater.yaml that these tests need.
type declared struct {
	Tenants []struct {
		ID       tenant.ID
		Networks []string
	}
	Trusts []struct {
		ID       tenant.TrustID
		Partner  tenant.PartnerID
		Tenant   tenant.ID
		Networks []string
		From     time.Time `yaml:"valid_from"`
		Until    time.Time `yaml:"valid_until"`
	}
	Sensors []struct {
		Match  struct{ Path string }
		Tenant tenant.ID
	}
	Approvals []struct {
		Trust         tenant.TrustID
		Src, Dst      string
		Kind          string
		From, Until   time.Time
		Owner, Reason string
	}
}

func prefix(t testing.TB, s string) netip.Prefix {
	if !strings.Contains(s, "/") {
		a := netip.MustParseAddr(s)
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func prefixes(t testing.TB, list []string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, prefix(t, s))
	}
	return out
}

func loadModel(t testing.TB, path string) (*tenant.Model, declared) {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d declared
	if err := yaml.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	m := &tenant.Model{Version: "test"}
	for _, x := range d.Tenants {
		m.Tenants = append(m.Tenants, tenant.Tenant{ID: x.ID, Networks: prefixes(t, x.Networks)})
	}
	for _, x := range d.Trusts {
		m.Trusts = append(m.Trusts, tenant.Trust{ID: x.ID, Partner: x.Partner, Tenant: x.Tenant, Networks: prefixes(t, x.Networks), ValidFrom: x.From, ValidUntil: x.Until})
	}
	for _, x := range d.Approvals {
		m.Approvals = append(m.Approvals, tenant.Approval{Trust: x.Trust, Src: prefix(t, x.Src), Dst: prefix(t, x.Dst), Kind: x.Kind, From: x.From, Until: x.Until, Owner: x.Owner, Reason: x.Reason})
	}
	return m, d
}

// attribute does what intake does, as far as networks go: longest prefix of a trust into the tenant.
func attribute(m *tenant.Model, e *ocsf.Event) {
	best := -1
	for _, tr := range m.TrustsInto(e.Tenant) {
		for _, p := range tr.Networks {
			if p.Contains(e.Src.IP) && p.Bits() > best && tr.ValidAt(e.Time) {
				best, e.Trust, e.Partner, e.Direction = p.Bits(), tr.ID, tr.Partner, ocsf.DirectionIn
			}
		}
	}
}

type collect struct {
	t      testing.TB
	file   string
	events []*ocsf.Event
}

func (c *collect) Event(e *ocsf.Event, n int64, _ []byte) {
	e.Raw = ocsf.RawRef{File: c.file, Record: n}
	c.events = append(c.events, e)
}
func (c *collect) Bad(n int64, reason string, _ []byte) { c.t.Errorf("%s: %d: %s", c.file, n, reason) }

// flows reads one conn log in either form.
func flows(t testing.TB, path string) []*ocsf.Event {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	br := bufio.NewReaderSize(r, decode.MaxHead)
	head, _ := br.Peek(decode.MaxHead)
	c := &collect{t: t, file: path}
	if s := zeek.Stream(); s.Recognise(filepath.Base(path), head) {
		if err := s.Read(context.Background(), filepath.Base(path), br, c); err != nil {
			t.Fatal(err)
		}
		return c.events
	}
	var p fastjson.Parser
	format := zeek.Objects()[0]
	sc := bufio.NewScanner(br)
	for n := int64(1); sc.Scan(); n++ {
		o, err := decode.ParseJSON(&p, sc.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		e := &ocsf.Event{Fields: o.Fields()}
		if !format.Match(o) {
			t.Fatalf("%s:%d is not Zeek", path, n)
		}
		if err := format.Decode(o, e); err != nil {
			t.Fatal(err)
		}
		c.Event(e, n, nil)
	}
	return c.events
}

// byTime sorts as intake/order does.
func byTime(events []*ocsf.Event) {
	slices.SortStableFunc(events, func(a, b *ocsf.Event) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.SourceID, b.SourceID))
	})
}

// run returns the last saying of every finding, by id.
func run(m *tenant.Model, events []*ocsf.Event) []*ocsf.Finding {
	d := New(detect.Context{Model: m})
	last := map[string]*ocsf.Finding{}
	emit := func(f *ocsf.Finding) { last[f.ID] = f }
	for _, e := range events {
		d.Process(e, emit)
	}
	d.Advance(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), emit)
	return sorted(last)
}

func sorted(m map[string]*ocsf.Finding) []*ocsf.Finding {
	var out []*ocsf.Finding
	for _, f := range m {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *ocsf.Finding) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID)) })
	return out
}

func sourceOf(f *ocsf.Finding) string {
	for _, e := range f.Entities {
		if e.Type == ocsf.EntityIP && e.Role == ocsf.RoleSource {
			return e.Value
		}
	}
	return ""
}

func logFindings(t *testing.T, list []*ocsf.Finding) {
	for _, f := range list {
		s := ""
		if f.Suppressed != nil {
			s = " APPROVED by " + f.Suppressed.Owner
		}
		t.Logf("%s %s %s %s %s %s count %d%s\n    %s\n    %s", f.Time.Format("01-02 15:04:05"), f.Tenant, f.Trust, f.Severity, f.Rule, sourceOf(f), f.Count, s, f.Title, f.Reason)
	}
}

func TestLabScansAreFoundAndNothingElse(t *testing.T) {
	cases := 0
	for _, dir := range foldersWith(t, "labels.tsv") {
		m, events, _ := labEvents(t, dir)
		byTime(events)
		found := run(m, events)
		logFindings(t, found)
		cases += checkLab(t, dir, m, found)
	}
	fmt.Println("cases", cases)
	if cases == 0 {
		t.Fatal("no labelled scan was tried")
	}
}

// TestScansAreToldAfterFewOfTheirOwnFlows counts, for each labelled scan, its own flows until something was first said
// of it: the median may be five at most, and six for a slow one.
func TestScansAreToldAfterFewOfTheirOwnFlows(t *testing.T) {
	for _, dir := range foldersWith(t, "labels.tsv") {
		m, events, labels := labEvents(t, dir)
		byTime(events)
		counts := make([]int, len(labels))
		told := make([]bool, len(labels))
		for i := range labels {
			counts[i] = -1
		}
		d := New(detect.Context{Model: m})
		seen := map[string]bool{}
		same := map[string]bool{}
		for _, e := range events {
			k := fmt.Sprint(e.Src, e.Dst, e.Flow.Proto, e.Time.Truncate(2*time.Second))
			for i := range labels {
				if l := &labels[i]; !told[i] && l.holds(e) && !same[k] {
					counts[i] = max(counts[i], 0) + 1
				}
			}
			same[k] = true
			d.Process(e, func(f *ocsf.Finding) {
				if seen[f.ID] {
					return
				}
				seen[f.ID] = true
				for i := range labels {
					if l := &labels[i]; sourceOf(f) == l.src && l.holds(e) {
						told[i] = true
					}
				}
			})
		}
		var all []int
		for i, l := range labels {
			if !told[i] {
				t.Errorf("%s: nothing was said of %s while it went on", dir, l.id)
			}
			if slow := l.end.Sub(l.start) > time.Minute; slow && counts[i] > 6 {
				t.Errorf("%s: %s was said after %d flows", dir, l.id, counts[i])
			}
			all = append(all, counts[i])
			fmt.Printf("%s: scan %s was told after %d of its flows\n", filepath.Base(dir), l.id, counts[i])
		}
		slices.Sort(all)
		if len(all) > 0 && all[len(all)/2] > 5 {
			t.Errorf("%s: the median is %d flows (%v)", dir, all[len(all)/2], all)
		}
	}
}

// label is a scan of labels.tsv.
type label struct {
	id, src    string
	start, end time.Time
}

func (l *label) holds(e *ocsf.Event) bool {
	return e.Src.IP.String() == l.src && !e.Time.Before(l.start.Add(-time.Second)) && !e.Time.After(l.end.Add(time.Second))
}

// labEvents reads a lab's conn logs, attributed, and its labelled scans.
func labEvents(t *testing.T, dir string) (*tenant.Model, []*ocsf.Event, []label) {
	t.Helper()
	m, conf := loadModel(t, filepath.Join(dir, "breakwater.yaml"))
	var events []*ocsf.Event
	logs, _ := filepath.Glob(filepath.Join(dir, "*.conn.jsonl"))
	for _, path := range logs {
		for _, e := range flows(t, path) {
			for _, s := range conf.Sensors {
				if ok, _ := filepath.Match(s.Match.Path, filepath.Base(path)); ok {
					e.Tenant = s.Tenant
				}
			}
			attribute(m, e)
			events = append(events, e)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "labels.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	head := strings.Split(lines[0], "\t")
	var labels []label
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, v := range strings.Split(line, "\t") {
			row[head[i]] = v
		}
		if row["scanner"] != "yes" {
			continue
		}
		start, _ := strconv.ParseFloat(row["start"], 64)
		end, _ := strconv.ParseFloat(row["end"], 64)
		labels = append(labels, label{row["id"], row["src"], time.Unix(0, int64(start*1e9)), time.Unix(0, int64(end*1e9))})
	}
	return m, events, labels
}

// checkLab compares with labels.tsv and returns how many scans it tells of.
func checkLab(t *testing.T, dir string, m *tenant.Model, found []*ocsf.Finding) (cases int) {
	b, err := os.ReadFile(filepath.Join(dir, "labels.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	head := strings.Split(lines[0], "\t")
	scanners := map[string]bool{}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, v := range strings.Split(line, "\t") {
			row[head[i]] = v
		}
		if row["scanner"] != "yes" {
			continue
		}
		cases++
		scanners[row["src"]] = true
		start, _ := strconv.ParseFloat(row["start"], 64)
		end, _ := strconv.ParseFloat(row["end"], 64)
		i := slices.IndexFunc(found, func(f *ocsf.Finding) bool {
			return sourceOf(f) == row["src"] && (f.Suppressed != nil) == (row["authorised"] == "yes") &&
				float64(f.Time.UnixMicro())/1e6 < end+1 && float64(f.End.UnixMicro())/1e6 > start-1
		})
		if i < 0 {
			t.Errorf("%s: %s of %s by %s is not found", dir, row["kind"], row["dst_range"], row["src"])
		}
	}
	for _, f := range found {
		if !scanners[sourceOf(f)] && f.Severity > ocsf.SeverityLow {
			t.Errorf("%s: %s %s: %s", dir, f.Tenant, f.Severity, f.Title)
		}
	}
	others := map[string]bool{}
	for _, f := range found {
		if !scanners[sourceOf(f)] {
			others[sourceOf(f)] = true
		}
	}
	if len(others) > 1 {
		t.Errorf("%s: besides the scanners %v are named; at most one stale poller may be", dir, others)
	}
	return cases
}

func TestPublicRecordingsSayWhatIsExpected(t *testing.T) {
	cases := 0
	for _, dir := range foldersWith(t, "EXPECTED.tsv") {
		b, err := os.ReadFile(filepath.Join(dir, "EXPECTED.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
			cols := strings.Split(line, "\t")
			if name := cols[0]; strings.HasSuffix(name, ".pcap") || strings.HasSuffix(name, ".trace") || strings.HasSuffix(name, "flow") {
				continue // TestPublicCaptures scans all formats; here are the logs that this package's tests can decode
			}
			cases++
			checkPublic(t, filepath.Join(dir, cols[0]), cols[1])
		}
	}
	fmt.Println("cases", cases)
	if cases == 0 {
		t.Fatal("no public recording was tried")
	}
}

// checkPublic reads an expectation such as "192.168.1.9 vertical scan of 45.33.32.156" or "no …".
func checkPublic(t *testing.T, path, expected string) {
	m := &tenant.Model{Tenants: []tenant.Tenant{{ID: "t", Networks: prefixes(t, []string{"192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12"})}}}
	events := flows(t, path)
	for _, e := range events {
		e.Tenant = "t"
	}
	byTime(events)
	found := run(m, events)
	logFindings(t, found)
	var loud []string
	for _, f := range found {
		if f.Severity > ocsf.SeverityInformational {
			loud = append(loud, sourceOf(f)+" "+f.Rule)
		}
	}
	if strings.HasPrefix(expected, "no ") {
		if len(loud) != 0 {
			t.Errorf("%s: %v, expected nothing that alarms", path, loud)
		}
		return
	}
	words := strings.Fields(expected)
	ok := slices.ContainsFunc(found, func(f *ocsf.Finding) bool {
		return sourceOf(f) == words[0] && (f.Rule == "recon/"+words[1] || words[1] != "vertical" && words[1] != "horizontal") && f.Severity >= ocsf.SeverityMedium
	})
	if !ok || len(loud) != 1 {
		t.Errorf("%s: %v, expected %s", path, loud, expected)
	}
}

func TestQuietWeeksStayQuiet(t *testing.T) {
	cases := 0
	for _, dir := range foldersWith(t, "truth.json") {
		truth, err := os.ReadFile(filepath.Join(dir, "truth.json"))
		if err != nil || !strings.Contains(string(truth), `"false-alarm"`) {
			continue
		}
		m, _ := loadModel(t, filepath.Join(dir, "breakwater.yaml"))
		logs, _ := filepath.Glob(filepath.Join(dir, "telemetry", "*", "zeek", "conn.log"))
		var events []*ocsf.Event
		for _, path := range logs {
			for _, e := range flows(t, path) {
				e.Tenant = tenant.ID(filepath.Base(filepath.Dir(filepath.Dir(path))))
				attribute(m, e)
				events = append(events, e)
			}
		}
		byTime(events)
		found := run(m, events)
		logFindings(t, found)
		low := map[string]int{}
		for _, f := range found {
			cases++
			if f.Suppressed != nil {
				continue
			}
			if f.Severity > ocsf.SeverityLow {
				t.Errorf("%s: %s finding: %s", f.Tenant, f.Severity, f.Title)
			}
			if f.Severity == ocsf.SeverityLow {
				if low[string(f.Tenant)+sourceOf(f)]++; low[string(f.Tenant)+sourceOf(f)] > 1 {
					t.Errorf("%s: a second low finding of %s", f.Tenant, sourceOf(f))
				}
			}
		}
		for _, a := range m.Approvals {
			if !slices.ContainsFunc(found, func(f *ocsf.Finding) bool {
				return f.Suppressed != nil && a.Src.Contains(netip.MustParseAddr(sourceOf(f))) && f.Trust == a.Trust && !f.Time.Before(a.From) && f.Time.Before(a.Until)
			}) {
				t.Errorf("nothing shows the scan that %s approved from %s", a.Owner, a.From)
			}
		}
	}
	fmt.Println("cases", cases)
	if cases == 0 {
		t.Fatal("cases 0: no quiet scenario among the recordings")
	}
}

func BenchmarkRecordedDay(b *testing.B) {
	logs, _ := filepath.Glob(filepath.Join(dataRoot(b), "network", "public", "*.conn.log.gz"))
	if len(logs) == 0 {
		b.Skip("no recorded day of conn logs")
	}
	m := &tenant.Model{Tenants: []tenant.Tenant{{ID: "t", Networks: prefixes(b, []string{"64.225.56.201/32"})}}}
	events := flows(b, logs[0])
	for _, e := range events {
		e.Tenant = "t"
	}
	byTime(events)
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		run(m, events)
	}
	b.ReportMetric(float64(b.N)*float64(len(events))/(cpu()-start).Seconds(), "flows/CPU-s")
}
