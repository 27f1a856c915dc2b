package netconfig

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// program finds a program of Debian's, or skips.
func program(t testing.TB, name, pkg string) string {
	t.Helper()
	for _, p := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed: apt-get install %s", name, pkg)
	return ""
}

// inNamespace runs a script in a network of its own, or skips where that isn't allowed.
func inNamespace(t testing.TB, script, input string) []byte {
	t.Helper()
	unshare := program(t, "unshare", "util-linux")
	try := []string{"-n"}
	if err := exec.Command(unshare, "-n", "true").Run(); err != nil {
		try = []string{"-rn"}
		if err := exec.Command(unshare, "-rn", "true").Run(); err != nil {
			t.Skipf("no network namespace may be made here (unshare: %v); root or user namespaces are needed", err)
		}
	}
	cmd := exec.Command(unshare, append(try, "sh", "-ec", script)...)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	return out
}

const nftPlanted = `table inet fw {
  set partners { type ipv4_addr; flags interval; elements = { 203.0.113.0/24, 198.51.100.5-198.51.100.9 } }
  set doors { type inet_service; elements = { 22, 3389 } }
  set pairs { type ipv4_addr . inet_service; elements = { 198.51.100.77 . 22 } }
  chain inbound {
    type filter hook input priority 0; policy drop;
    ct state established,related accept
    iifname "lo" accept
    ip saddr @partners tcp dport @doors accept comment "partner"
    ip saddr 203.0.113.64/26 tcp dport 22 accept comment "hidden by the partner's"
    ip saddr != 10.0.0.0/8 tcp dport { 443, 5985-5986 } accept comment "winrm for all but ours"
    ip saddr . tcp dport @pairs accept comment "pair"
    ip6 saddr ::/0 tcp dport 22 accept comment "forgotten"
    tcp dport vmap { 5900 : jump consoles, 25 : accept }
    meta l4proto tcp ip saddr 192.0.2.0/25 th dport 8041 accept comment "nobody's"
    iifname "lo" tcp dport 23 accept comment "after lo"
  }
  chain consoles {
    ip saddr 10.0.0.0/8 return
    accept comment "vnc"
  }
  chain through {
    type filter hook forward priority 0; policy drop;
    ip daddr 10.0.0.9 tcp dport 3389 accept comment "inside rdp"
  }
  chain pre {
    type nat hook prerouting priority -100;
    iifname "wan0" tcp dport 53389 dnat ip to 10.0.0.9:3389 comment "moved door"
  }
}
`

func TestNftablesLoadedByTheKernel(t *testing.T) {
	nft := program(t, "nft", "nftables")
	list := inNamespace(t, nft+" -f - && "+nft+" list ruleset", nftPlanted)
	asJSON := inNamespace(t, nft+" -f - && "+nft+" -j list ruleset", nftPlanted)
	for name, data := range map[string][]byte{"ruleset.nft": list, "ruleset.json": asJSON, "as written": []byte(nftPlanted)} {
		t.Run(name, func(t *testing.T) {
			got := read(t, data, model(), at)
			got.wantRules(t, map[string]string{
				"partner":                 "",
				"hidden by the partner's": "shadowed",
				"winrm for all but ours":  "management 5985 5986",
				"pair":                    "",
				"forgotten":               "management 22, ipv6",
				"vnc":                     "management 5900",
				"nobody's":                "",
				"after lo":                "shadowed",
				"inside rdp":              "management 3389",
				"moved door":              "management 3389",
			})
			got.wantAccess(t, map[string]string{
				"partner": "t-msp", "hidden by the partner's": "t-msp", "nobody's": "nobody", "pair": "nobody",
			})
			if got.config["ipv6_filtered"] != true || got.config["broken"] != int64(0) {
				t.Errorf("config %v", got.config)
			}
		})
	}
}

// The corresponding ruleset without any hole gives none.
func TestNftablesWithoutHoles(t *testing.T) {
	nft := program(t, "nft", "nftables")
	const clean = `table inet fw {
  chain inbound {
    type filter hook input priority 0; policy drop;
    ct state vmap { established : accept, related : accept, invalid : drop }
    iifname "lo" accept
    meta l4proto { icmp, ipv6-icmp } accept
    ip saddr 203.0.113.0/24 tcp dport { 22, 3389 } accept comment "partner"
    tcp dport { 80, 443 } accept comment "web"
    tcp dport 22 drop comment "told to the log"
    ip saddr 10.0.0.0/8 accept comment "ours"
  }
  chain through {
    type filter hook forward priority 0; policy drop;
    iifname "lan0" oifname "wan0" accept comment "out"
    ct status dnat tcp dport 443 accept
  }
  chain post { type nat hook postrouting priority 100; oifname "wan0" masquerade; }
}
`
	for _, flag := range []string{"", "-j "} {
		data := inNamespace(t, nft+" -f - && "+nft+" "+flag+"list ruleset", clean)
		got := read(t, data, model(), at)
		got.wantRules(t, map[string]string{"partner": "", "web": "", "ours": "", "out": "", "rule 3": ""})
		got.wantAccess(t, map[string]string{"partner": "t-msp"})
	}
}

func TestIptablesLoadedByTheKernel(t *testing.T) {
	restore, save := program(t, "iptables-restore", "iptables"), program(t, "iptables-save", "iptables")
	program(t, "ipset", "ipset")
	const rules = `*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:partner - [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -s 203.0.113.0/24 -m comment --comment "to partner" -j partner
-A INPUT -s 203.0.113.7/32 -p tcp -m tcp --dport 8080 -m comment --comment "hidden" -j ACCEPT
-A INPUT ! -s 10.0.0.0/8 -p tcp -m multiport --dports 443,5985:5986 -m comment --comment "winrm" -j ACCEPT
-A INPUT -m iprange --src-range 192.0.2.5-192.0.2.9 -p tcp --dport 22 -m comment --comment "nobody's" -j ACCEPT
-A INPUT -p tcp -m tcp --dport 23 -m comment --comment "odd \"one\"" -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -m set --match-set offices src -m comment --comment "offices" -j ACCEPT
-A partner -p tcp -m tcp --dport 445 -j DROP
-A partner -d 10.0.0.5/32 -j RETURN
-A partner -m comment --comment "all of theirs" -j ACCEPT
COMMIT
`
	data := inNamespace(t, "ipset create offices hash:net && ipset add offices 10.1.0.0/16 && "+restore+" && ipset save && "+save+" -c", rules)
	got := read(t, data, model(), at.AddDate(5, 0, 0))
	got.wantRules(t, map[string]string{
		"winrm": "management 5985 5986", "nobody's": "", `odd "one"`: "management 23", "offices": "", "all of theirs": "",
	})
	// The packets of 203.0.113.7 to 10.0.0.5 return, so the hidden rule is not quite hidden.
	if got.rules["hidden"]["shadowed"] != false {
		t.Errorf("the rule behind a return is called hidden: %v", got.rules["hidden"])
	}
	got.wantAccess(t, map[string]string{"all of theirs": "t-msp", "hidden": "t-msp", "nobody's": "nobody"})
	if got.at.Before(time.Now().Add(-48*time.Hour)) || got.at.After(time.Now().Add(48*time.Hour)) {
		t.Errorf("the time of the dump is %v, not that of its header", got.at)
	}
}

func TestIp6tablesLoadedByTheKernel(t *testing.T) {
	restore, save := program(t, "ip6tables-restore", "iptables"), program(t, "ip6tables-save", "iptables")
	data := inNamespace(t, restore+" && "+save, `*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
-A INPUT -p ipv6-icmp -j ACCEPT
-A INPUT -s 2001:db8:5::/48 -p tcp -m tcp --dport 22 -m comment --comment "partner" -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j DROP
COMMIT
`)
	four := "# Generated by iptables-save v1.8.9 on Mon Jun  1 00:00:00 2026\n*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 3389 -s 203.0.113.0/24 -m comment --comment four -j ACCEPT\nCOMMIT\n"
	got := read(t, append([]byte(four), data...), model(), at.AddDate(5, 0, 0))
	if v := got.rules["policy accept"]; v["any_any"] != true || v["ipv6_forgotten"] != true || v["management_open"] != true {
		t.Errorf("the open policy of IPv6: %v", v)
	}
	if ports := got.rules["policy accept"]["management_ports"]; ports == nil || contains(ports, 22) || !contains(ports, 3389) {
		t.Errorf("ports %v: 22 is dropped before, 3389 is not", ports)
	}
}
