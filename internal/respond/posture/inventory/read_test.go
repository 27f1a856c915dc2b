package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
	"github.com/breakwater-project/breakwater/internal/respond/posture/product"
)

var fileTime = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// declaredModel has a provider with one ScreenConnect instance, AnyDesk as a whole and an ended TeamViewer.
func declaredModel() *tenant.Model {
	return &tenant.Model{
		Tenants:  []tenant.Tenant{{ID: "acme"}, {ID: "msp"}},
		Partners: []tenant.Partner{{ID: "p-msp", Tenant: "msp"}, {ID: "old"}},
		Trusts: []tenant.Trust{
			{ID: "t1", Partner: "p-msp", Tenant: "acme", RemoteTools: []tenant.RemoteTool{
				{Tool: "connectwisecontrol", Instance: "0A1B2C3D4E5F6071", Hosts: []string{"help.msp.example"}}, {Tool: "anydesk"}}},
			{ID: "t2", Partner: "old", Tenant: "acme", ValidUntil: fileTime.AddDate(0, -1, 0), RemoteTools: []tenant.RemoteTool{{Tool: "teamviewer"}}},
		},
	}
}

type result struct {
	format string
	items  []evidence.Item
	bad    []string
	err    error
}

// read reads a file with the first format that recognises it, as the caller of Formats does.
func read(t testing.TB, k Knowledge, name, content string) result {
	t.Helper()
	head := content[:min(len(content), maxHead)]
	var out result
	for _, f := range Formats(k) {
		if !f.Recognise(name, []byte(head)) {
			continue
		}
		out.format = f.Name
		in := evidence.Input{Tenant: "acme", Name: name, At: fileTime, Reader: strings.NewReader(content)}
		out.err = f.Read(context.Background(), in, evidence.Sink{
			Item: func(i evidence.Item) error { out.items = append(out.items, i); return nil },
			Bad:  func(n int64, reason string) { out.bad = append(out.bad, fmt.Sprintf("%d: %s", n, reason)) },
		})
		if errors.Is(out.err, evidence.ErrNotThis) {
			continue
		}
		return out
	}
	return result{}
}

// tell words the remote tools of a result: subject, version, what is known of them.
func (r result) tell() []string {
	var out []string
	for _, i := range r.items {
		v := i.Values
		switch i.Kind {
		case KindSoftware:
			s := fmt.Sprintf("%d %s %v", i.From.Line, i.Subject, v["version"])
			for _, name := range []string{"below_fixed", "sanctioned", "foreign_instance"} {
				if b, ok := v[name]; ok {
					s += fmt.Sprintf(" %s=%v", name, b)
				}
			}
			if i.Trust != "" {
				s += " by " + string(i.Trust)
			}
			out = append(out, s)
		case KindInventory:
			out = append(out, fmt.Sprintf("%s: %v rows %v found %v hosts %v bad complete=%v", i.Subject, v["rows"], v["found"], v["hosts"], v["unreadable"], v["complete"]))
		case KindAccount, KindConsole:
			var parts []string
			for _, k := range slices.Sorted(maps.Keys(v)) {
				if k != "console" && k != "account" && k != "tells" && k != "display_name" && k != "role" {
					parts = append(parts, fmt.Sprintf("%s=%v", k, v[k]))
				}
			}
			out = append(out, i.Subject+" "+strings.Join(parts, " "))
		}
	}
	return out
}

func same(t *testing.T, r result, format string, want []string, bad ...string) {
	t.Helper()
	if r.err != nil || r.format != format {
		t.Errorf("read as %q: %v; want %s", r.format, r.err, format)
	}
	if got := r.tell(); !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if len(r.bad) != len(bad) {
		t.Errorf("bad %q, want %d", r.bad, len(bad))
		return
	}
	for i, b := range bad {
		if !strings.Contains(r.bad[i], b) {
			t.Errorf("bad %q, want %q", r.bad[i], b)
		}
	}
}

func utf16le(t testing.TB, s string, bom unicode.BOMPolicy) string {
	t.Helper()
	out, err := unicode.UTF16(unicode.LittleEndian, bom).NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const rmmCSV = `Device Name,Software Name,Version,Publisher,Operating System,Last Seen
PC-1,ScreenConnect Client (0a1b2c3d4e5f6071),25.2.4.9229,ConnectWise,Windows 11 Pro,2026-11-19T10:00:00Z
PC-1,Mozilla Firefox (x64 en-US),132.0,Mozilla,Windows 11 Pro,2026-11-19T10:00:00Z
PC-2,ScreenConnect Client (ffffffffffffffff),23.9.7.8804,ScreenConnect Software,Windows 11 Pro,2026-11-19T10:00:00Z
PC-2,TeamViewer,15.70.6,TeamViewer,Windows 11 Pro,2026-11-19T10:00:00Z
PC-3,"AnyDesk, portable",n/a,AnyDesk,Windows 10,19/11/2026 10:00
`

var rmmWant = []string{
	"2 pc-1: ConnectWise ScreenConnect (0a1b2c3d4e5f6071) 25.2.4.9229 below_fixed=false sanctioned=true foreign_instance=false by t1",
	"4 pc-2: ConnectWise ScreenConnect (ffffffffffffffff) 23.9.7.8804 below_fixed=true sanctioned=false foreign_instance=true",
	"5 pc-2: TeamViewer 15.70.6 below_fixed=false sanctioned=false",
	"6 pc-3: AnyDesk n/a sanctioned=true foreign_instance=false by t1",
	"software inventory: 5 rows 4 found 3 hosts 0 bad complete=true",
}

func TestInventoryTablesInEverySpelling(t *testing.T) {
	k := Knowledge{Model: declaredModel()}
	german := strings.NewReplacer("Device Name", "Gerätename", "Software Name", "Anwendung", "Publisher", "Hersteller", "Operating System", "Betriebssystem", "Last Seen", "Letzter Kontakt").Replace(rmmCSV)
	latin1, err := charmap.Windows1252.NewEncoder().String(german)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"as it is":                    rmmCSV,
		"byte order mark":             "\ufeff" + rmmCSV,
		"CRLF":                        strings.ReplaceAll(rmmCSV, "\n", "\r\n"),
		"UTF-16":                      utf16le(t, rmmCSV, unicode.UseBOM),
		"UTF-16 without a mark":       utf16le(t, rmmCSV, unicode.IgnoreBOM),
		"semicolons":                  strings.ReplaceAll(strings.ReplaceAll(rmmCSV, ",", ";"), "AnyDesk; portable", "AnyDesk, portable"),
		"tabs":                        strings.ReplaceAll(strings.ReplaceAll(rmmCSV, ",", "\t"), "AnyDesk\t portable", "AnyDesk, portable"),
		"German in Windows-1252":      latin1,
		"no line end at the end":      strings.TrimSuffix(rmmCSV, "\n"),
		"the header again at the end": rmmCSV + rmmCSV[:strings.IndexByte(rmmCSV, '\n')+1],
	} {
		t.Run(name, func(t *testing.T) { same(t, read(t, k, "inventory.csv", text), "software-csv", rmmWant) })
	}
	titled := "Software report\n\nCreated by somebody\n" + rmmCSV
	var shifted []string
	for i, w := range rmmWant {
		if i < len(rmmWant)-1 {
			n := int(w[0] - '0')
			w = fmt.Sprint(n+3) + w[1:]
		}
		shifted = append(shifted, w)
	}
	same(t, read(t, k, "inventory.csv", titled), "software-csv", shifted)
}

func TestARowIsNeverFresherThanItSays(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-19T10:00:00Z": "2026-11-19", "": "2026-11-20", "3/4/2026 10:00": "2026-03-04", "4/3/2026 10:00": "2026-03-04",
		"25/3/2026": "2026-03-25", "3/25/2026 1:02:03 PM": "2026-03-25", "2027-01-01T00:00:00Z": "2026-11-20", "last Tuesday": "0001-01-01", "20260301": "2026-03-01", "1.3.2026": "2026-03-01",
	} {
		r := read(t, Knowledge{}, "x.csv", "Computer,Software,Version,Last Seen\nPC-1,AnyDesk,9.1.0,"+text+"\n")
		if len(r.items) != 2 || r.items[0].At.Format(time.DateOnly) != want {
			t.Errorf("%q: %v, want %s", text, r.items[0].At, want)
		}
	}
}

func TestBrokenRowsCostThemselves(t *testing.T) {
	want := func(rows, found, bad int, complete string) string {
		return fmt.Sprintf("software inventory of pc-1: %d rows %d found 1 hosts %d bad complete=%s", rows, found, bad, complete)
	}
	head := "Computer;Software;Version;Publisher\n"
	good := "PC-1;AnyDesk;9.1.0;AnyDesk\n"
	for name, c := range map[string]struct {
		text, want string
		bad        []string
	}{
		"a quote that never closes": {head + `PC-1;"AnyDesk;9.1.0;AnyDesk` + "\n" + good + good, want(2, 2, 1, "<nil>"), []string{"2: a quote opens"}},
		"cut inside a quote":        {head + good + `PC-1;"Any`, want(1, 1, 1, "<nil>"), []string{"3: a quote opens"}},
		"a cell with line ends":     {head + "PC-1;\"Some\nthing\";1;X\n" + good, want(2, 1, 0, "true"), nil},
		"too many cells":            {head + "PC-1;AnyDesk;9;1;0;AnyDesk\n" + good, want(1, 1, 1, "<nil>"), []string{"2: 6 cells"}},
		"one cell":                  {head + good + "PC-1", want(1, 1, 1, "<nil>"), []string{"3: one cell"}},
		"a line too long":           {head + strings.Repeat("x", maxLine+10) + "\n" + good, want(1, 1, 1, "<nil>"), []string{"2: a line of more than"}},
		"empty lines, a row twice":  {head + "\n\n" + good + good, want(2, 2, 0, "true"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := read(t, Knowledge{}, "x.csv", c.text)
			if got := r.tell(); len(got) == 0 || got[len(got)-1] != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if len(r.bad) != len(c.bad) {
				t.Fatalf("bad %q", r.bad)
			}
			for i := range c.bad {
				if !strings.HasPrefix(r.bad[i], c.bad[i]) {
					t.Errorf("bad %q, want %q", r.bad[i], c.bad[i])
				}
			}
		})
	}
}

func TestOtherTablesAreNotInventories(t *testing.T) {
	for name, text := range map[string]string{
		"sign-ins":  "Date (UTC),Request ID,User,Username,Status,Last Login,Enabled\n2026-09-21T10:10:20Z,8a5d,u,s,Success,,\n",
		"a roster":  "Email,Name,Department\na@b.example,A,Sales\n",
		"prose":     "Dear all,\nplease find the version of the name below.\n",
		"versions":  "id,name,version,state\n1,api,2,up\n",
		"empty":     "",
		"binary":    "\x7fELF\x02\x01\x01\x00\x00\x00\x00",
		"any array": `[{"id":1,"name":"x"}]`,
		"a rule":    `{"nftables":[{"rule":{"family":"ip","version":"1"}}]}`,
		"a drill":   `{"time":"2026-01-01T00:00:00Z","hostname":"x","paths":["/"],"program_version":"restic 0.14.0"}`,
	} {
		if r := read(t, Knowledge{}, "file.csv", text); r.format != "" {
			t.Errorf("%s is read as %s", name, r.format)
		}
	}
}

func TestAMillionRowsTakeTheMemoryOfTheirRemoteTools(t *testing.T) {
	if testing.Short() {
		t.Skip("a million rows")
	}
	const rows = bigRows
	r := &repeated{head: "Computer,Software,Version,Publisher\n", n: rows}
	var format evidence.Format
	for _, f := range Formats(Knowledge{Model: declaredModel()}) {
		if f.Name == "software-csv" {
			format = f
		}
	}
	found, bad := 0, 0
	var last evidence.Item
	err := format.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "big.csv", At: fileTime, Reader: r}, evidence.Sink{
		Item: func(i evidence.Item) error { found++; last = i; return nil },
		Bad:  func(int64, string) { bad++ },
	})
	if err != nil || last.Values["rows"] != int64(rows) || found != rows/1000+1 || bad != 0 || last.Values["complete"] != true {
		t.Errorf("%v: %d facts, %d bad, %v", err, found, bad, last.Values)
	}
	if r.heap > 48<<20 {
		t.Errorf("%d MiB were in use", r.heap>>20)
	}
	t.Logf("%d rows with at most %d MiB in use", rows, r.heap>>20)
}

// repeated makes an inventory of n rows, of which every thousandth is a remote tool, without holding it.
type repeated struct {
	head string
	i, n int
	rest []byte
	heap uint64 // the most that was in use after a collection, looked at now and then
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.head != "" {
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	}
	if len(r.rest) == 0 {
		if r.i == r.n {
			return 0, io.EOF
		}
		if r.i++; r.i%(bigRows/5) == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			r.heap = max(r.heap, m.HeapInuse)
		}
		name := "Microsoft Visual C++ 2019 X64 Minimum Runtime"
		if r.i%1000 == 0 {
			name = "AnyDesk"
		}
		r.rest = fmt.Appendf(r.rest[:0], "PC-%d,%s,14.29.%d,Some Maker\n", r.i/100, name, r.i%100)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func BenchmarkSoftwareCSV(b *testing.B) {
	var format evidence.Format
	for _, f := range Formats(Knowledge{Products: product.Default()}) {
		if f.Name == "software-csv" {
			format = f
		}
	}
	const rows = 100_000
	for b.Loop() {
		err := format.Read(context.Background(), evidence.Input{Tenant: "acme", Name: "big.csv", Reader: &repeated{head: "Computer,Software,Version,Publisher\n", n: rows}},
			evidence.Sink{Item: func(evidence.Item) error { return nil }})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
