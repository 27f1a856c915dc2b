package binetflow

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode/decodetest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

const columns = "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,Label\n"

func decoded(t testing.TB, text string) *decodetest.Collect {
	t.Helper()
	c := &decodetest.Collect{}
	if err := read(context.Background(), "x", strings.NewReader(text), c); err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Events {
		decodetest.Check(t, e)
	}
	return c
}

func show(e *ocsf.Event) string {
	f := e.Flow
	return fmt.Sprintf("%s > %s %s %q %d/%d %d/%d", e.Src, e.Dst, f.State, f.History, f.OrigPkts, f.RespPkts, f.OrigBytes, f.RespBytes)
}

func TestLineBecomesAFlow(t *testing.T) {
	c := decoded(t, columns+"2018/09/27 22:40:52.362768,193.831726,tcp,192.0.2.1,52893,   ->,198.51.100.2,22,FSPA_FSPA,16,,35,3766,1224,flow=Background\n")
	if len(c.Events) != 1 {
		t.Fatal(c.Reasons)
	}
	e := c.Events[0]
	if got, want := show(e), `192.0.2.1:52893 > 198.51.100.2:22 SF "ShADadFf" 11/24 1224/2542`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !e.Time.Equal(time.Date(2018, 9, 27, 22, 40, 52, 362768000, time.UTC)) || e.Flow.Duration != 193831726*time.Microsecond || c.Records[0] != 2 {
		t.Errorf("time %v, duration %v, line %d", e.Time, e.Flow.Duration, c.Records[0])
	}
	if v := e.Fields.Value("Label"); v != "flow=Background" || e.Fields.Value("sTos") != "16" || e.Source != "argus/flow" {
		t.Errorf("fields %v", e.Fields)
	}
}

func TestStatesBecomeThoseOfZeek(t *testing.T) {
	for _, c := range []struct{ proto, dir, state, counts, want string }{
		{"tcp", "->", "S_", "3,180,180", `10.0.0.1:40000 > 10.0.0.2:80 S0 "S" 3/0 0/0`},
		{"tcp", "->", "S_RA", "2,114,60", `10.0.0.1:40000 > 10.0.0.2:80 REJ "Sr" 1/1 0/0`},
		{"tcp", "->", "SR_SA", "3,174,114", `10.0.0.1:40000 > 10.0.0.2:80 RSTO "ShR" 1/2 0/0`},
		{"tcp", "->", "SRA_SA", "4,240,180", `10.0.0.1:40000 > 10.0.0.2:80 RSTO "ShAR" 3/1 0/0`},
		{"tcp", "->", "SR_", "2,114,114", `10.0.0.1:40000 > 10.0.0.2:80 RSTOS0 "SR" 2/0 0/0`},
		{"tcp", "->", "SPA_SRPA", "9,900,450", `10.0.0.1:40000 > 10.0.0.2:80 RSTR "ShADadr" 4/5 450/450`},
		{"tcp", "->", "FSPA_SPA", "9,900,450", `10.0.0.1:40000 > 10.0.0.2:80 S2 "ShADadF" 4/5 450/450`},
		{"tcp", "->", "SPA_FSPA", "9,900,450", `10.0.0.1:40000 > 10.0.0.2:80 S3 "ShADadf" 4/5 450/450`},
		{"tcp", "->", "SA_SA", "3,174,114", `10.0.0.1:40000 > 10.0.0.2:80 S1 "ShA" 1/2 0/0`},
		{"tcp", "->", "FS_", "2,114,114", `10.0.0.1:40000 > 10.0.0.2:80 SH "SF" 2/0 0/0`},
		{"tcp", "->", "SPA_", "9,900,900", `10.0.0.1:40000 > 10.0.0.2:80 OTH "SAD" 9/0 900/0`},
		{"tcp", "->", "F_", "1,60,60", `10.0.0.1:40000 > 10.0.0.2:80 OTH "F" 1/0 0/0`},
		{"tcp", "<?>", "PA_PA", "9,900,450", `10.0.0.1:40000 > 10.0.0.2:80 OTH "ADad" 4/5 450/450`},
		{"tcp", "?>", "SA_R", "2,114,60", `10.0.0.2:80 > 10.0.0.1:40000 OTH "^hR" 1/1 0/0`},
		{"tcp", "<-", "SA_S", "2,114,60", `10.0.0.2:80 > 10.0.0.1:40000 S1 "Sh" 1/1 0/0`},
		{"tcp", "->", "REQ", "1,60,60", `10.0.0.1:40000 > 10.0.0.2:80 S0 "S" 1/0 0/0`},
		{"tcp", "->", "CON", "9,900,450", `10.0.0.1:40000 > 10.0.0.2:80 S1 "" 4/5 450/450`},
		{"tcp", "<?>", "CON", "9,900,450", `10.0.0.1:40000 > 10.0.0.2:80 OTH "" 4/5 450/450`},
		{"tcp", "->", "RST", "2,114,60", `10.0.0.1:40000 > 10.0.0.2:80 REJ "Sr" 1/1 0/0`},
		{"tcp", "->", "RST", "9,900,450", `10.0.0.1:40000 > 10.0.0.2:80 RSTR "" 4/5 450/450`},
		{"tcp", "->", "CLO", "9,900,450", `10.0.0.1:40000 > 10.0.0.2:80 SF "" 4/5 450/450`},
		{"tcp", "->", "TIM", "2,120,120", `10.0.0.1:40000 > 10.0.0.2:80 S0 "" 2/0 120/0`},
		{"tcp", "->", "???", "2,120,120", `10.0.0.1:40000 > 10.0.0.2:80 OTH "" 2/0 120/0`},
		{"udp", "->", "INT", "1,60,60", `10.0.0.1:40000 > 10.0.0.2:80 S0 "D" 1/0 60/0`},
		{"udp", "<->", "CON", "2,208,72", `10.0.0.1:40000 > 10.0.0.2:80 SF "Dd" 1/1 72/136`},
		{"icmp", "<->", "ECO", "2,120,60", `10.0.0.1 > 10.0.0.2 OTH "Dd" 1/1 60/60`},
		{"icmp", "->", "URP", "1,60,60", `10.0.0.1 > 10.0.0.2 OTH "D" 1/0 60/0`},
	} {
		t.Run(c.proto+" "+c.dir+" "+c.state, func(t *testing.T) {
			got := decoded(t, columns+"2018/09/27 22:40:52.3,1.5,"+c.proto+",10.0.0.1,40000,"+c.dir+",10.0.0.2,80,"+c.state+",0,0,"+c.counts+",\n")
			if len(got.Events) != 1 || show(got.Events[0]) != c.want {
				t.Fatalf("got %s, bad %v\nwant %s", show(got.Events[0]), got.Reasons, c.want)
			}
		})
	}
}

func TestICMPSaysWhatWasAsked(t *testing.T) {
	for state, want := range map[string]string{"ECO": "8", "ECR": "0", "URP": "3", "URFIL": "3", "TXD": "11", "XYZ": "xyz"} {
		got := decoded(t, columns+"2018/09/27 22:40:52.3,0,icmp,10.0.0.1,0x0303,->,10.0.0.2,,"+state+",0,0,1,60,60,\n")
		if len(got.Events) != 1 || got.Events[0].Fields.Value("icmp_type") != want {
			t.Errorf("%s: want type %s; bad %v", state, want, got.Reasons)
		}
	}
}

func TestBadLinesAreCountedWithColumnAndReason(t *testing.T) {
	good := "2018/09/27 22:40:52.3,0,udp,10.0.0.1,53,->,10.0.0.2,53,INT,0,0,1,60,60,\n"
	for _, c := range []struct{ text, want string }{
		{good, "a line before the header: nothing says what its columns are"},
		{columns + strings.Replace(good, "2018", "0018", 1), `StartTime: "0018/09/27 22:40:52.3" is not a time`},
		{columns + strings.Replace(good, "10.0.0.1", "host", 1), `SrcAddr: "host" is not an address`},
		{columns + strings.Replace(good, ",53,", ",70000,", 1), `Sport: "70000" is not a port`},
		{columns + strings.Replace(good, ",0,udp", ",x,udp", 1), `field Dur: "x" is not a number of seconds`},
		{columns + strings.Replace(good, "1,60,60", "-1,60,60", 1), `TotPkts: "-1" is not a count`},
		{columns + strings.TrimSpace(good) + ",1,2,3\n", "18 columns, the header has 15"},
	} {
		if got := decoded(t, c.text); len(got.Events) != 0 || fmt.Sprint(got.Reasons) != fmt.Sprint([]string{c.want}) {
			t.Errorf("%q: bad %q, want %q", c.text, got.Reasons, c.want)
		}
	}
	if got := decoded(t, columns+columns+"2018/09/27 22:40:52.3,0,arp,00:11:22:33:44:55,,who,10.0.0.2,,CON,,,1,60,60,\n\n"+good); len(got.Events) != 2 || len(got.Reasons) != 0 {
		t.Errorf("%d events, bad %v", len(got.Events), got.Reasons)
	}
}

func TestOnlyTheHeaderTellsTheFormat(t *testing.T) {
	for head, want := range map[string]bool{columns: true, "\xef\xbb\xbf" + columns: true, "StartTime,Proto\n": false, "": false, "a\n" + columns: false} {
		if recognise("x.binetflow", []byte(head)) != want {
			t.Errorf("%q: want %v", head, want)
		}
	}
}

func TestRecordedFlowsAreAllRead(t *testing.T) {
	for _, path := range decodetest.Samples(t, func(path string) bool { return strings.HasSuffix(path, ".binetflow") }) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if c := decoded(t, string(text)); len(c.Events) == 0 || len(c.Reasons) != 0 || !recognise("x", text) {
			t.Errorf("%s: %d events, bad %v", path, len(c.Events), c.Reasons)
		}
	}
}

func FuzzFlows(f *testing.F) {
	f.Add([]byte(columns + "2018/09/27 22:40:52.362768,193.8,tcp,192.0.2.1,52893,<?>,198.51.100.2,22,FSPA_SRPA,16,,35,3766,1224,\n"))
	f.Add([]byte(columns + "1538088052.5,0,icmp,2001:db8::1,0x0008,<-,2001:db8::2,,ECO,,,2,120,60,\n"))
	f.Add([]byte("StartTime,Proto,SrcAddr,DstAddr,State,SrcPkts,DstPkts\n2018/09/27 22:40:52,udp,10.0.0.1,10.0.0.2,INT,9223372036854775807,9223372036854775807\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &decodetest.Collect{}
		_ = read(context.Background(), "x", strings.NewReader(string(b)), c)
		for _, e := range c.Events {
			decodetest.Check(t, e)
		}
	})
}
