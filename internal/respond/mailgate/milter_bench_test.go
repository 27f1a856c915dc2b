package mailgate

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-milter"

	"github.com/breakwater-project/breakwater/internal/detect"
	scorer "github.com/breakwater-project/breakwater/internal/detect/phish"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// letters are messages of several sizes, with HTML, links and an attachment, written for the benchmark.
func letters() []string {
	para := "Dear colleague, the delivery of last week's order has arrived, and the papers are at the desk. <a href=\"https://portal.partner%d.example/order/%d\">See the order</a>. "
	var out []string
	for i, n := range []int{1, 5, 20, 100} {
		html := "<html><body><p>" + strings.Repeat(fmt.Sprintf(para, i, i), n) + "</p><table><tr><td>1</td></tr></table></body></html>"
		out = append(out, "--b\r\nContent-Type: text/plain\r\n\r\n"+strings.Repeat("The order has arrived.\r\n", n)+"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"+html+
			"\r\n--b\r\nContent-Type: application/octet-stream; name=x.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"+strings.Repeat("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo0NTY3ODkwQUJDREVGR0hJSktMTU5P\r\n", 50*n)+"--b--\r\n")
	}
	return out
}

// BenchmarkMilter measures the answer to the end of a message over 20 concurrent connections, with the shipped scorer and
// the decoder, and without DNS: p99-ms is what the mail server waits for at most in 99 of 100.
func BenchmarkMilter(b *testing.B) {
	const connections = 20
	f := settings(b, enforce)
	s, err := NewScorer(f.Model, "", func(m *tenant.Model) (Detector, error) { return scorer.New(detect.Context{Model: m}), nil }, func(string) {})
	if err != nil {
		b.Fatal(err)
	}
	g := New(Options{Settings: f.Mail, Model: f.Model, Scorer: s, Authenticate: provenAs(claims{}), Publish: func(tenant.ID, time.Time, []byte) {}})
	l := listen(b, "127.0.0.1:0", g.Judge, g.Failed)
	bodies := letters()
	work := make(chan int)
	took := make([][]time.Duration, connections)
	var group sync.WaitGroup
	for w := range connections {
		client := milter.NewClientWithOptions("tcp", l.Addr().String(), milter.ClientOptions{ReadTimeout: time.Minute, WriteTimeout: time.Minute,
			ActionMask: milter.OptAddHeader | milter.OptChangeHeader | milter.OptQuarantine | milter.OptRemoveRcpt})
		c, err := client.Session()
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Conn("mail.sender.example", milter.FamilyInet, 42, "192.0.2.7"); err != nil {
			b.Fatal(err)
		}
		group.Go(func() {
			for i := range work {
				d, err := one(c, i, bodies[i%len(bodies)])
				if err != nil {
					b.Error(err)
					continue
				}
				took[w] = append(took[w], d)
			}
		})
	}
	b.ResetTimer()
	for i := range b.N {
		work <- i
	}
	close(work)
	group.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	if len(all) == 0 {
		return
	}
	at := func(p float64) float64 {
		return float64(all[min(len(all)-1, int(p*float64(len(all))))].Microseconds()) / 1000
	}
	b.ReportMetric(at(.5), "p50-ms")
	b.ReportMetric(at(.99), "p99-ms")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	if p99 := at(.99); len(all) >= 1000 && p99 > 250 {
		b.Errorf("the 99th percentile of the answer is %.0f ms, more than 250", p99)
	}
}

// one sends a message and measures from its end to the last word.
func one(c *milter.ClientSession, i int, body string) (time.Duration, error) {
	if _, err := c.Mail(fmt.Sprintf("sender%d@sender.example", i%500), nil); err != nil {
		return 0, err
	}
	if _, err := c.Rcpt("ann@acme.example", nil); err != nil {
		return 0, err
	}
	for _, h := range [][2]string{{"From", fmt.Sprintf("Sender <sender%d@sender.example>", i%500)}, {"To", "ann@acme.example"}, {"Subject", fmt.Sprintf("Order %d", i)},
		{"Message-ID", fmt.Sprintf("<%d@sender.example>", i)}, {"Date", "Mon, 4 May 2026 09:59:00 +0000"}, {"MIME-Version", "1.0"}, {"Content-Type", "multipart/mixed; boundary=b"}} {
		if _, err := c.HeaderField(h[0], h[1]); err != nil {
			return 0, err
		}
	}
	if _, err := c.HeaderEnd(); err != nil {
		return 0, err
	}
	for rest := []byte(body); len(rest) > 0; {
		n := min(len(rest), milter.MaxBodyChunk)
		if _, err := c.BodyChunk(rest[:n]); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	began := time.Now()
	_, act, err := c.End()
	if err != nil {
		return 0, err
	}
	if act.Code != milter.ActContinue {
		return 0, fmt.Errorf("the answer is %+v", act)
	}
	return time.Since(began), nil
}
