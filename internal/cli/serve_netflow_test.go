package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/show/api"
)

// TestRealExportersAreCollected lets softflowd make flows of a recorded capture and export them as NetFlow v5, v9 and
// IPFIX to the listening collectors of a serve. Every record arrives, and the scans in it are found.
func TestRealExportersAreCollected(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"softflowd", "softflowctl"} {
		if _, err := exec.LookPath(program); err != nil {
			if _, err := exec.LookPath("/usr/sbin/" + program); err != nil {
				t.Skipf("%s is missing: apt-get install softflowd", program)
			}
		}
	}
	capture := filepath.Join(dataRoot(t, "network"), "lab", "provider.pcap")
	versions := []string{"5", "9", "10"}
	ports := map[string]string{}
	text := "tenants:\n"
	for _, v := range versions {
		text += "  - {id: v" + v + ", role: provider, networks: [10.10.0.0/24]}\n"
	}
	text += "serve:\n  netflow:\n"
	for _, v := range versions {
		ports[v] = freePort(t)
		text += `    - {udp: "127.0.0.1:` + ports[v] + `", bindings: [{source: 127.0.0.1, sensor: edge` + v + `, tenant: v` + v + ", layer: network}]}\n"
	}
	data := t.TempDir() + "/data"
	must(t, "apply", "--data", data, configFile(t, text))
	s := begin(t, data, false)
	exported := map[string][2]int64{}
	for _, v := range versions {
		exported[v] = export(t, capture, "127.0.0.1:"+ports[v], v)
	}
	metric := func(name, port, what string) int64 {
		a, err := s.ask("GET", "/metrics", s.admin, "")
		if err != nil || a.status != 200 {
			t.Fatalf("metrics: %v %d", err, a.status)
		}
		m := regexp.MustCompile(`(?m)^breakwater_netflow_` + name + `\{listener="127\.0\.0\.1:` + port + `"(?:,what="` + what + `")?\} (\d+)$`).FindStringSubmatch(a.body)
		if m == nil {
			t.Fatalf("no metric %s %s of %s in\n%s", name, what, port, a.body)
		}
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, v := range versions {
		records, datagrams := exported[v][0], exported[v][1]
		eventually(t, fmt.Sprintf("%d records of version %s", records, v), patience, func() bool {
			return metric("records_total", ports[v], "exported") >= records && metric("flows_total", ports[v], "kept") == metric("flows_total", ports[v], "given") &&
				metric("flows_total", ports[v], "given")*2 >= records
		})
		for _, x := range []struct {
			name, what string
			want       int64
		}{{"records_total", "exported", records}, {"datagrams_total", "taken", datagrams}, {"datagrams_total", "bad", 0}, {"datagrams_total", "kernel_dropped", 0},
			{"datagrams_total", "lost", 0}, {"flows_total", "dropped", 0}, {"templates_missing_total", "never_came", 0}} {
			if got := metric(x.name, ports[v], x.what); got != x.want {
				t.Errorf("version %s: %s %s: %d, want %d", v, x.name, x.what, got, x.want)
			}
		}
	}
	s.quiet()
	rows := s.rows()
	var list struct {
		Findings []struct{ Tenant, Rule, Title string }
	}
	s.get("/findings?limit=1000", &list)
	for _, v := range versions {
		flows := metric("flows_total", ports[v], "kept")
		if n := events(rows, func(r api.Row) bool { return r.Sensor == "edge"+v }); n != flows || n*2 < exported[v][0] {
			t.Errorf("version %s: %d events of %d flows, %d records", v, n, flows, exported[v][0])
		}
		scans := 0
		for _, f := range list.Findings {
			if f.Tenant == "v"+v && strings.HasPrefix(f.Rule, "recon/") {
				scans++
			}
		}
		if scans == 0 {
			t.Errorf("version %s: no scan is found: %+v", v, list.Findings)
		}
	}
	if dead := s.deadletters(); len(dead) != 0 {
		t.Errorf("dead letters: %.2000s", fmt.Sprint(dead))
	}
	if code := s.stop(); code != exitDone {
		t.Errorf("exit %d", code)
	}
	kept, err := filepath.Glob(filepath.Join(data, "netflow", "*.templates.json"))
	if err != nil || len(kept) != 2 {
		t.Errorf("templates of v9 and IPFIX are kept in %v, %v", kept, err)
	}
}

// export runs softflowd over a capture and returns how many records and datagrams it says that it has sent.
func export(t *testing.T, capture, to, version string) [2]int64 {
	t.Helper()
	dir, err := os.MkdirTemp("", "bw") // short enough for the path of a Unix socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	var out bytes.Buffer
	socket := filepath.Join(dir, "ctl")
	cmd := exec.Command(sender(t, "softflowd"), "-r", capture, "-n", to, "-v", version, "-d", "-c", socket, "-p", filepath.Join(dir, "pid"))
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	answer := []byte(nil)
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("softflowd says:\n%s\nand softflowctl:\n%s", out.String(), answer)
		}
	})
	control := sender(t, "softflowctl")
	// It reads on from the capture with each order that it gets, and exports and ends behind the capture's end.
	eventually(t, "softflowd has read the capture", patience, func() bool {
		answer, _ = exec.Command(control, "-c", socket, "statistics").CombinedOutput() // fails before it listens and after it ended
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	m := regexp.MustCompile(`Flows exported: \d+ \((\d+) records\) in (\d+) packets \(0 failures\)`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("softflowd says:\n%s", out.String())
	}
	var n [2]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(m[i+1], 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return n
}
