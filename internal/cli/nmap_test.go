//go:build linux

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

const nmapListen = "BREAKWATER_NMAP_LISTEN"

// nmapScan is one run of nmap against a network of forty addresses, of which a few have hosts.
type nmapScan struct {
	name string
	args string
	rule []string // any of them
}

var nmapScans = []nmapScan{
	{"echo sweep", "-sn -PE 10.88.0.1-40", []string{"recon/icmp-sweep"}},
	{"timestamp sweep", "-sn -PP 10.88.0.1-40", []string{"recon/icmp-sweep"}},
	{"half-open", "-sS -p 80,443 10.88.0.1-40", []string{"recon/horizontal"}},
	{"connect", "-sT -p 22,445 10.88.0.1-40", []string{"recon/horizontal"}},
	{"FIN", "-sF -p 1-40 10.88.0.11,12", []string{"recon/vertical"}},
	{"NULL", "-sN -p 1-40 10.88.0.11,12", []string{"recon/vertical"}},
	{"Xmas", "-sX -p 1-40 10.88.0.11,12", []string{"recon/vertical"}},
	{"ACK", "-sA -p 1-40 10.88.0.11,12", []string{"recon/vertical"}},
	{"Maimon", "-sM -p 1-40 10.88.0.11,12", []string{"recon/vertical"}},
	{"fragments", "-sS -f -p 1-40 10.88.0.13", []string{"recon/vertical"}},
	{"UDP", "-sU --top-ports 20 10.88.0.11-13", []string{"recon/udp-sweep"}},
	{"versions", "-sS -sV --version-intensity 1 -p 22,80,443,445 10.88.0.11-14", []string{"recon/walk", "recon/vertical", "recon/horizontal"}},
	{"slow", "-sS --max-rate 0.7 -p 3389 10.88.0.1-25", []string{"recon/horizontal"}},
	{"IPv6", "-6 -sS -p 1-40 fd00:88::11", []string{"recon/vertical"}},
}

// TestNmapListens is no test of its own: TestNmapScansAreFound starts it in the namespace of the hosts that are scanned.
func TestNmapListens(t *testing.T) {
	ports := os.Getenv(nmapListen)
	if ports == "" {
		t.Skip("only TestNmapScansAreFound runs it")
	}
	for port := range strings.SplitSeq(ports, ",") {
		l, err := net.Listen("tcp", ":"+port)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, "SSH-2.0-test\r\n")
				c.Close()
			}
		}()
	}
	fmt.Println("listening")
	select {}
}

// TestNmapScansAreFound runs nmap between two network namespaces of this machine, captures what crosses, and scans the
// capture: each kind of scan must be told of its own source, within its own time.
func TestNmapScansAreFound(t *testing.T) {
	if os.Getenv("BREAKWATER_LONG") == "" {
		t.Skip("a minute of nmap; BREAKWATER_LONG=1 runs it")
	}
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, program := range []string{"nmap", "tcpdump", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s: apt-get install nmap tcpdump iproute2", program)
		}
	}
	scanner, hosts := fmt.Sprintf("bws%d", os.Getpid()), fmt.Sprintf("bwh%d", os.Getpid())
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	for _, ns := range []string{scanner, hosts} {
		ip("netns", "add", ns)
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", ns).Run() })
		ip("-n", ns, "link", "set", "lo", "up")
	}
	ip("-n", scanner, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", hosts)
	ip("-n", scanner, "link", "set", "out", "up")
	ip("-n", hosts, "link", "set", "in", "up")
	ip("-n", hosts, "addr", "add", "10.77.0.1/24", "dev", "in")
	ip("-n", hosts, "addr", "add", "fd00:77::1/64", "dev", "in", "nodad")
	for i := 11; i <= 18; i++ {
		ip("-n", hosts, "addr", "add", fmt.Sprintf("10.88.0.%d/32", i), "dev", "lo")
		ip("-n", hosts, "addr", "add", fmt.Sprintf("fd00:88::%d/128", i), "dev", "lo", "nodad")
	}
	capture := filepath.Join(t.TempDir(), "hosts.pcap")
	dump := inNamespace(t, hosts, nil, "tcpdump", "-Z", "root", "-i", "in", "-U", "--immediate-mode", "-w", capture, "not", "icmp6")
	inNamespace(t, hosts, []string{nmapListen + "=22,80"}, os.Args[0], "-test.run=^TestNmapListens$")
	eventually(t, "tcpdump captures", patience, func() bool { _, err := os.Stat(capture); return err == nil })

	type span struct{ start, end time.Time }
	spans, said := make([]span, len(nmapScans)), make([]string, len(nmapScans))
	for i, x := range nmapScans {
		ip("-n", scanner, "addr", "flush", "dev", "out")
		ip("-n", scanner, "addr", "add", fmt.Sprintf("10.77.0.%d/24", 20+i), "dev", "out")
		ip("-n", scanner, "addr", "add", fmt.Sprintf("fd00:77::%d/64", 20+i), "dev", "out", "nodad")
		ip("-n", scanner, "route", "replace", "10.88.0.0/24", "via", "10.77.0.1")
		ip("-n", scanner, "-6", "route", "replace", "fd00:88::/64", "via", "fd00:77::1")
		spans[i].start = time.Now()
		args := append([]string{"netns", "exec", scanner, "nmap", "-n", "-T4", "--max-retries", "1"}, strings.Fields(x.args)...)
		if !strings.Contains(x.args, "-sn") {
			args = append(args, "-Pn")
		}
		out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("nmap %s: %v: %s", x.args, err, out)
		}
		said[i] = string(out)
		spans[i].end = time.Now()
	}
	_ = dump.Process.Signal(syscall.SIGINT)
	_ = dump.Wait()

	conf := filepath.Join(t.TempDir(), "breakwater.yaml")
	if err := os.WriteFile(conf, []byte(`tenants: [{id: hosts, name: Hosts, role: client, networks: [10.88.0.0/24, "fd00:88::/64"]}]
partners: [{id: supplier, name: Supplier}]
trusts: [{id: supplier-hosts, partner: supplier, tenant: hosts, owner: it@hosts.example, networks: [10.77.0.0/24, "fd00:77::/64"]}]
sensors: [{match: {path: "*.pcap"}, tenant: hosts, layer: network}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	var found []scannedFinding
	for line := range bytes.Lines([]byte(must(t, "scan", "--config", conf, "-o", "jsonl", capture))) {
		var f scannedFinding
		if err := json.Unmarshal(line, &f); err != nil {
			t.Fatal(err)
		}
		found = append(found, f)
	}
	for i, x := range nmapScans {
		source := fmt.Sprintf("10.77.0.%d", 20+i)
		if strings.HasPrefix(x.args, "-6") {
			source = fmt.Sprintf("fd00:77::%d", 20+i)
		}
		var of []string
		for _, f := range found {
			if f.Detector == "recon" && f.source(source) && !f.Time.Before(spans[i].start.Add(-time.Second)) && !f.End.After(spans[i].end.Add(time.Second)) {
				of = append(of, f.Rule)
			}
		}
		if len(of) != 1 || !slices.Contains(x.rule, of[0]) {
			t.Errorf("nmap %s: %v, want one of %v; nmap said %s", x.args, of, x.rule, said[i])
		}
	}
	for _, f := range found {
		if f.Severity >= ocsf.SeverityMedium && !slices.ContainsFunc(f.Entities, func(e ocsf.Entity) bool {
			return e.Role == ocsf.RoleSource && (strings.HasPrefix(e.Value, "10.77.0.") || strings.HasPrefix(e.Value, "fd00:77::"))
		}) {
			t.Errorf("%s accuses another: %v", f.Rule, f.Entities)
		}
	}
}

// inNamespace starts a program there, and ends it with the test.
func inNamespace(t *testing.T, ns string, env []string, program ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", ns}, program...)...)
	c.Env = append(os.Environ(), env...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = c.Wait() })
	return c
}
