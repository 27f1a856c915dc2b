package netconfig

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// planted is a configuration with holes in it, beside the same without them.
type planted struct {
	name   string
	data   string
	rules  map[string]string // name of a rule → what is the matter with it
	access map[string]string
	lines  map[string]string // name of a rule → what its line begins with
}

const pfPlanted = `<?xml version="1.0"?>
<pfsense>
 <system><hostname>gate</hostname></system>
 <interfaces>
  <wan><if>em0</if><ipaddr>203.0.114.2</ipaddr><subnet>29</subnet><gateway>WANGW</gateway></wan>
  <lan><if>em1</if><ipaddr>10.1.0.1</ipaddr><subnet>16</subnet></lan>
  <opt1><if>em2</if><descr>DMZ</descr><ipaddr>10.9.0.1</ipaddr><subnet>24</subnet></opt1>
 </interfaces>
 <aliases>
  <alias><name>msp</name><type>network</type><address>203.0.113.0/24</address></alias>
  <alias><name>vendors</name><type>network</type><address>msp 192.0.2.130</address></alias>
  <alias><name>doors</name><type>port</type><address>22 3389</address></alias>
  <alias><name>blocked</name><type>urltable</type><address>https://example.com/list</address></alias>
 </aliases>
 <filter>
  <rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><address>vendors</address></source><destination><any/><port>doors</port></destination><descr>vendors</descr></rule>
  <rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><address>203.0.113.9</address></source><destination><address>10.1.0.5</address><port>22</port></destination><descr>hidden</descr></rule>
  <rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><not/><address>msp</address></source><destination><address>10.1.0.7</address><port>5900</port></destination><descr>all but msp</descr></rule>
  <rule><disabled/><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><source><any/></source><destination><any/></destination><descr>off</descr></rule>
  <rule><type>pass</type><interface>wan</interface><ipprotocol>inet6</ipprotocol><protocol>tcp</protocol><source><any/></source><destination><any/><port>3389</port></destination><descr>six</descr></rule>
  <rule><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol><source><network>lan</network></source><destination><any/></destination><descr>lan to any</descr></rule>
  <rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><any/></source><destination><address>10.9.0.5</address><port>443</port></destination><descr>web</descr></rule>
  <rule><type>block</type><interface>wan</interface><ipprotocol>inet</ipprotocol><source><address>blocked</address></source><destination><any/></destination><descr>list</descr></rule>
 </filter>
 <nat>
  <rule><source><any/></source><destination><network>wanip</network><port>8022</port></destination><protocol>tcp</protocol><target>10.9.0.8</target><local-port>22</local-port><interface>wan</interface><descr>moved ssh</descr><associated-rule-id>pass</associated-rule-id></rule>
 </nat>
</pfsense>
`

const fortiPlanted = `#config-version=FG100F-7.2.5-FW-build1517-230606:opmode=0:vdom=0:user=admin
config system global
    set hostname "edge"
end
config system interface
    edit "port1"
        set role wan
    next
    edit "port2"
        set role lan
    next
    edit "port3"
        set alias "servers"
    next
end
config router static
    edit 1
        set gateway 198.51.101.1
        set device "port1"
    next
end
config firewall address
    edit "msp"
        set subnet 203.0.113.0 255.255.255.0
    next
    edit "old vendor"
        set type iprange
        set start-ip 192.0.2.130
        set end-ip 192.0.2.140
    next
    edit "srv"
        set subnet 10.2.0.10 255.255.255.255
    next
    edit "updates"
        set type fqdn
        set fqdn "updates.example"
    next
end
config firewall addrgrp
    edit "partners"
        set member "msp"
    next
    edit "everyone who may"
        set member "partners" "old vendor"
    next
end
config firewall service custom
    edit "winrm"
        set tcp-portrange 5985-5986
    next
end
config firewall service group
    edit "admin"
        set member "SSH" "RDP" "winrm"
    next
end
config firewall vip
    edit "to-rdp"
        set extip 198.51.101.5
        set mappedip "10.2.0.20"
        set extintf "port1"
        set portforward enable
        set extport 53389
        set mappedport 3389
    next
end
config firewall schedule onetime
    edit "last year"
        set end 00:00 2025/06/01
    next
end
config firewall policy
    edit 1
        set name "partners in"
        set srcintf "port1"
        set dstintf "port2"
        set srcaddr "everyone who may"
        set dstaddr "srv"
        set action accept
        set schedule "always"
        set service "admin"
    next
    edit 2
        set name "hidden"
        set srcintf "port1"
        set dstintf "port2"
        set srcaddr "msp"
        set dstaddr "srv"
        set action accept
        set schedule "always"
        set service "winrm"
    next
    edit 3
        set name "vip"
        set srcintf "port1"
        set dstintf "port2"
        set srcaddr "all"
        set dstaddr "to-rdp"
        set action accept
        set schedule "always"
        set service "ALL"
    next
    edit 4
        set name "all but msp"
        set srcintf "port1"
        set dstintf "port3"
        set srcaddr "msp"
        set srcaddr-negate enable
        set dstaddr "srv"
        set action accept
        set schedule "always"
        set service "admin"
    next
    edit 5
        set name "off"
        set srcintf "any"
        set dstintf "any"
        set srcaddr "all"
        set dstaddr "all"
        set action accept
        set status disable
        set schedule "always"
        set service "ALL"
    next
    edit 6
        set name "over"
        set srcintf "any"
        set dstintf "any"
        set srcaddr "all"
        set dstaddr "all"
        set action accept
        set schedule "last year"
        set service "ALL"
    next
    edit 7
        set name "out"
        set srcintf "port2"
        set dstintf "port1"
        set srcaddr "all"
        set dstaddr "all"
        set action accept
        set schedule "always"
        set service "ALL"
    next
    edit 8
        set name "six"
        set srcintf "port1"
        set dstintf "port2"
        set srcaddr6 "all"
        set dstaddr6 "all"
        set action accept
        set schedule "always"
        set service "VNC"
        set comments "over
two lines"
    next
    edit 9
        set name "any any"
        set srcintf "port1"
        set dstintf "any"
        set srcaddr "all"
        set dstaddr "all"
        set action accept
        set schedule "always"
        set service "ALL"
    next
end
`

const asaPlanted = `: Saved
ASA Version 9.16(4)
hostname edge
names
name 10.3.0.9 dbserver
interface GigabitEthernet0/0
 nameif outside
 security-level 0
 ip address 198.51.102.2 255.255.255.248
interface GigabitEthernet0/1
 nameif inside
 security-level 100
 ip address 10.3.0.1 255.255.255.0
object network msp-net
 subnet 203.0.113.0 255.255.255.0
object network jump
 host 10.3.0.8
object-group network msp-hosts
 network-object host 203.0.113.7
 network-object host 203.0.113.8
object-group network allowed
 network-object object msp-net
 network-object 192.0.2.128 255.255.255.128
 group-object msp-hosts
object-group service admin tcp
 port-object eq ssh
 port-object range 5985 5986
object-group service mixed
 service-object tcp destination eq 3389
 service-object udp destination eq 161
time-range gone
 absolute end 12:00 01 January 2026
access-list OUT extended permit tcp object-group allowed object jump object-group admin
access-list OUT remark hidden
access-list OUT extended permit tcp object-group msp-hosts host 10.3.0.8 eq ssh
access-list OUT remark rdp to all
access-list OUT extended permit object-group mixed any host dbserver
access-list OUT remark off
access-list OUT extended permit ip any any inactive
access-list OUT remark over
access-list OUT extended permit tcp any any eq telnet time-range gone
access-list OUT remark six
access-list OUT extended permit tcp any6 any6 eq ssh
access-list OUT remark web
access-list OUT extended permit tcp any4 host 10.3.0.10 eq https
access-list OUT remark barred
access-list OUT extended deny ip any any log
access-list OUT remark behind the bar
access-list OUT extended permit tcp any any eq 5900
access-list IN extended permit ip any any
access-list UNUSED extended permit ip any any
access-group OUT in interface outside
access-group IN in interface inside
route outside 0.0.0.0 0.0.0.0 198.51.102.1 1
ssh 10.3.0.0 255.255.255.0 inside
ssh 0.0.0.0 0.0.0.0 outside
ssh timeout 5
`

const panPlanted = `<?xml version="1.0"?>
<config version="10.2.0" urldb="paloaltonetworks">
 <shared><address><entry name="everywhere"><ip-netmask>0.0.0.0/0</ip-netmask></entry></address></shared>
 <devices><entry name="localhost.localdomain"><deviceconfig><system><hostname>pa</hostname></system></deviceconfig>
  <network><virtual-router><entry name="default"><routing-table><ip><static-route><entry name="d"><destination>0.0.0.0/0</destination><interface>ethernet1/1</interface></entry></static-route></ip></routing-table></entry></virtual-router></network>
  <vsys><entry name="vsys1">
   <zone><entry name="z-a"><network><layer3><member>ethernet1/1</member></layer3></network></entry><entry name="z-b"><network><layer3><member>ethernet1/2</member></layer3></network></entry></zone>
   <address>
    <entry name="msp"><ip-netmask>203.0.113.0/24</ip-netmask></entry>
    <entry name="one"><ip-netmask>203.0.113.9</ip-netmask></entry>
    <entry name="srv"><ip-range>10.4.0.5-10.4.0.9</ip-range></entry>
   </address>
   <address-group><entry name="inner group"><static><member>msp</member></static></entry><entry name="partners"><static><member>inner group</member></static></entry></address-group>
   <service><entry name="tcp-22"><protocol><tcp><port>22</port></tcp></protocol></entry><entry name="tcp-winrm"><protocol><tcp><port>5985,5986</port></tcp></protocol></entry></service>
   <service-group><entry name="admin"><members><member>tcp-22</member><member>tcp-winrm</member></members></entry></service-group>
   <rulebase><security><rules>
    <entry name="partners"><from><member>z-a</member></from><to><member>z-b</member></to><source><member>partners</member></source><destination><member>srv</member></destination><service><member>admin</member></service><application><member>any</member></application><action>allow</action></entry>
    <entry name="hidden"><from><member>z-a</member></from><to><member>z-b</member></to><source><member>one</member></source><destination><member>10.4.0.7</member></destination><service><member>tcp-22</member></service><application><member>ssh</member></application><action>allow</action></entry>
    <entry name="all but msp"><from><member>z-a</member></from><to><member>z-b</member></to><source><member>msp</member></source><negate-source>yes</negate-source><destination><member>srv</member></destination><service><member>tcp-winrm</member></service><application><member>any</member></application><action>allow</action></entry>
    <entry name="app"><from><member>z-a</member></from><to><member>z-b</member></to><source><member>everywhere</member></source><destination><member>any</member></destination><service><member>application-default</member></service><application><member>ms-rdp</member></application><action>allow</action></entry>
    <entry name="web"><from><member>z-a</member></from><to><member>z-b</member></to><source><member>any</member></source><destination><member>any</member></destination><service><member>service-https</member></service><application><member>ssl</member></application><action>allow</action></entry>
    <entry name="off"><from><member>any</member></from><to><member>any</member></to><source><member>any</member></source><destination><member>any</member></destination><service><member>any</member></service><application><member>any</member></application><action>allow</action><disabled>yes</disabled></entry>
    <entry name="out"><from><member>z-b</member></from><to><member>z-a</member></to><source><member>any</member></source><destination><member>any</member></destination><service><member>any</member></service><application><member>any</member></application><action>allow</action></entry>
    <entry name="any any"><from><member>any</member></from><to><member>any</member></to><source><member>any</member></source><destination><member>any</member></destination><service><member>any</member></service><application><member>any</member></application><action>allow</action></entry>
   </rules></security></rulebase>
  </entry></vsys>
 </entry></devices>
</config>
`

const awsPlanted = `{
 "SecurityGroups": [
  {"GroupId": "sg-1", "GroupName": "web", "OwnerId": "111111111111", "VpcId": "vpc-1",
   "IpPermissions": [
    {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "web"}], "Ipv6Ranges": []},
    {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
     "IpRanges": [{"CidrIp": "203.0.113.0/24", "Description": "msp"}],
     "Ipv6Ranges": [
      {"CidrIpv6": "::/0", "Description": "six"}]},
    {"IpProtocol": "tcp", "FromPort": 3380, "ToPort": 3390, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "rdp in a range"}]}
   ]},
  {"GroupId": "sg-2", "GroupName": "all", "OwnerId": "111111111111",
   "IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "any any"}]},
    {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": "sg-9", "UserId": "222222222222"}], "IpRanges": [{"CidrIp": "192.0.2.200/32", "Description": "old"}]}]}
 ],
 "Reservations": [{"Instances": [
  {"InstanceId": "i-1", "State": {"Name": "running"}, "PublicIpAddress": "198.51.100.200", "SecurityGroups": [{"GroupId": "sg-1"}]},
  {"InstanceId": "i-2", "State": {"Name": "running"}, "SecurityGroups": [{"GroupId": "sg-2"}]},
  {"InstanceId": "i-3", "State": {"Name": "running"}, "PublicIpAddress": "198.51.100.201", "SecurityGroups": [{"GroupId": "sg-7"}]}
 ]}]
}
`

const azurePlanted = `[{"name": "nsg-web", "type": "Microsoft.Network/networkSecurityGroups", "securityRules": [
 {"name": "late", "priority": 400, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "203.0.113.20", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "22"},
 {"name": "msp", "priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefixes": ["203.0.113.0/24"], "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRanges": ["22", "3389"]},
 {"name": "from the internet", "priority": 200, "direction": "Inbound", "access": "Allow", "protocol": "*", "sourceAddressPrefix": "Internet", "sourcePortRange": "*", "destinationAddressPrefix": "10.5.0.0/24", "destinationPortRange": "5985-5986"},
 {"name": "closed first", "priority": 210, "direction": "Inbound", "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "445"},
 {"name": "after", "priority": 220, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "445"},
 {"name": "web", "priority": 300, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "443"},
 {"name": "tag", "priority": 310, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourceAddressPrefix": "GatewayManager", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "3389"},
 {"name": "out", "priority": 100, "direction": "Outbound", "access": "Allow", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*"}
]}]
`

func TestHolesOfFirewallsAreNamed(t *testing.T) {
	for _, c := range []planted{
		{name: "pfSense", data: pfPlanted,
			rules: map[string]string{"vendors": "", "hidden": "shadowed", "all but msp": "management 5900", "six": "management 3389, ipv6", "lan to any": "", "web": "", "moved ssh": "management 22"},
			// moved ssh lets everybody in, whoever is declared
			access: map[string]string{"vendors": "t-msp; t-old ended", "hidden": "t-msp"}, lines: map[string]string{"vendors": "  <rule><type>pass</type><interface>wan</interface><ipprotocol>inet</ipprotocol><protocol>tcp</protocol><source><address>vendors", "moved ssh": "  <rule><source><any/></source><destination><network>wanip"}},
		{name: "FortiGate", data: fortiPlanted,
			rules:  map[string]string{"1 partners in": "", "2 hidden": "shadowed", "3 vip": "management 3389", "4 all but msp": "management 22 3389 5985 5986", "7 out": "", "8 six": "management 5900, ipv6", "9 any any": "any-any"},
			access: map[string]string{"1 partners in": "t-msp; t-old ended", "2 hidden": "t-msp"}, lines: map[string]string{"1 partners in": "    edit 1\n        set name", "9 any any": "    edit 9\n"}},
		{name: "Cisco ASA", data: asaPlanted,
			rules:  map[string]string{"line 33": "", "hidden": "shadowed", "rdp to all": "management 161 3389", "six": "management 22, ipv6", "web": "", "behind the bar": "shadowed", "ssh 0.0.0.0 0.0.0.0 outside": "management 22", "ssh 10.3.0.0 255.255.255.0 inside": ""},
			access: map[string]string{"line 33": "t-msp; t-old ended", "hidden": "t-msp"}, lines: map[string]string{"hidden": "access-list OUT extended permit tcp object-group msp-hosts", "rdp to all": "access-list OUT extended permit object-group mixed"}},
		{name: "PAN-OS", data: panPlanted,
			rules:  map[string]string{"partners": "", "hidden": "shadowed", "all but msp": "management 5985 5986", "app": "management 3389", "web": "", "out": "", "any any": "any-any"},
			access: map[string]string{"partners": "t-msp", "hidden": "t-msp"}, lines: map[string]string{"partners": `    <entry name="partners"><from>`, "any any": `    <entry name="any any">`}},
		{name: "AWS", data: awsPlanted,
			rules:  map[string]string{"web": "", "msp": "", "six": "management 22, ipv6", "rdp in a range": "management 3389", "any any": "any-any", "old": ""},
			access: map[string]string{"msp": "t-msp", "old": "t-old ended", "222222222222": "nobody"}, lines: map[string]string{"six": `      {"CidrIpv6": "::/0"`, "rdp in a range": `    {"IpProtocol": "tcp", "FromPort": 3380`}},
		{name: "Azure", data: azurePlanted,
			rules:  map[string]string{"late": "shadowed", "msp": "", "from the internet": "management 5985 5986", "after": "shadowed", "web": "", "tag": ""},
			access: map[string]string{"msp": "t-msp", "late": "t-msp"}, lines: map[string]string{"msp": ` {"name": "msp"`, "from the internet": ` {"name": "from the internet"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := read(t, []byte(c.data), model(), at)
			got.wantRules(t, c.rules)
			got.wantAccess(t, c.access)
			for _, it := range got.items {
				if mark, ok := c.lines[fmt.Sprint(it.Values["rule"])]; ok {
					at := strings.Index(c.data, "\n"+mark)
					if want := int64(strings.Count(c.data[:at+1], "\n") + 1); at < 0 || it.From.Line != want {
						t.Errorf("%s stands on line %d, told is %d", it.Values["rule"], want, it.From.Line)
					}
				}
				if it.Tenant != "client" || it.From.File != "a file" || !it.At.Equal(at) {
					t.Errorf("the fact is of %q, %q, %v", it.Tenant, it.From.File, it.At)
				}
			}
		})
	}
}

// The same configurations with their holes closed give none.
func TestClosedFirewallsHaveNoHoles(t *testing.T) {
	for name, c := range map[string]struct {
		data    string
		replace []string
	}{
		"pfSense": {pfPlanted, []string{"<not/>", "", "<address>203.0.113.9</address>", "<address>203.0.113.9</address><port>1024</port>", "<source><any/></source><destination><any/><port>3389</port>", "<source><address>2001:db8:5::1</address></source><destination><any/><port>3389</port>",
			"vendors</name><type>network</type><address>msp 192.0.2.130", "vendors</name><type>network</type><address>203.0.113.0/25", "203.0.113.9", "203.0.113.200", "<source><any/></source><destination><network>wanip</network>", "<source><address>msp</address></source><destination><network>wanip</network>"}},
		"FortiGate": {fortiPlanted, []string{"        set srcaddr-negate enable\n", "", `set srcaddr "msp"
        set dstaddr "srv"
        set action accept
        set schedule "always"
        set service "winrm"`, `set srcaddr "msp"
        set dstaddr "srv"
        set action accept
        set schedule "always"
        set service "HTTPS"`, `set srcaddr "all"
        set dstaddr "to-rdp"`, `set srcaddr "msp"
        set dstaddr "to-rdp"`, `set srcaddr6 "all"`, `set srcaddr6 "none"`, `"port1"
        set dstintf "any"
        set srcaddr "all"`, `"port1"
        set dstintf "any"
        set srcaddr "msp"`, `"partners" "old vendor"`, `"partners"`}},
		"Cisco ASA": {asaPlanted, []string{"msp-hosts host 10.3.0.8 eq ssh", "msp-hosts host 10.3.0.8 eq https", "mixed any host", "mixed object msp-net host", "tcp any6 any6 eq ssh", "tcp any6 any6 eq https", "any4 host 10.3.0.10 eq https", "any host 10.3.0.10 eq https", " network-object 192.0.2.128 255.255.255.128\n", "",
			"access-list OUT extended permit tcp any any eq 5900\n", "", "ssh 0.0.0.0 0.0.0.0 outside", "ssh 203.0.113.0 255.255.255.0 outside"}},
		"PAN-OS": {panPlanted, []string{"<negate-source>yes</negate-source><destination><member>srv</member></destination><service><member>tcp-winrm</member>", "<destination><member>srv</member></destination><service><member>service-https</member>", "10.4.0.7", "10.4.0.77", "<member>everywhere</member>", "<member>msp</member>", `<entry name="any any"><from><member>any</member></from>`, `<entry name="any any"><from><member>z-b</member></from>`}},
		"AWS":    {awsPlanted, []string{`"::/0"`, `"2001:db8:5::/64"`, `"0.0.0.0/0", "Description": "rdp`, `"203.0.113.7/32", "Description": "rdp`, `"0.0.0.0/0", "Description": "any`, `"203.0.113.7/32", "Description": "any`, "192.0.2.200/32", "203.0.113.200/32", `"UserId": "222222222222"`, `"UserId": "111111111111"`}},
		"Azure":  {azurePlanted, []string{`"203.0.113.20"`, `"198.51.100.5"`, `"Internet"`, `"203.0.113.0/28"`, `"name": "after", "priority": 220, "direction": "Inbound", "access": "Allow"`, `"name": "after", "priority": 90, "direction": "Outbound", "access": "Allow"`}},
	} {
		t.Run(name, func(t *testing.T) {
			data := c.data
			for i := 0; i < len(c.replace); i += 2 {
				if !strings.Contains(data, c.replace[i]) {
					t.Fatalf("the planted configuration does not hold %q", c.replace[i])
				}
				data = strings.ReplaceAll(data, c.replace[i], c.replace[i+1])
			}
			got := read(t, []byte(data), model(), at)
			for rule, v := range got.rules {
				if h := holes(v); h != "" && rule != "hidden" {
					t.Errorf("%s: %s, and nothing is the matter with it: %v", rule, h, v)
				}
			}
			for _, it := range got.access {
				for _, key := range []string{"ended", "wider_source", "wider_destination", "wider_service"} {
					if it.Values["declared"] != true || it.Values[key] == true {
						t.Errorf("%v: %s is told of a rule that is as declared", it.Values, key)
					}
				}
			}
			if len(got.bad) > 0 {
				t.Errorf("not read: %v", got.bad)
			}
		})
	}
}

func TestAWSInstancesAreHeldAgainstTheirGroups(t *testing.T) {
	got := read(t, []byte(awsPlanted), model(), at)
	want := map[string]any{"i-1": true, "i-2": false, "i-3": nil}
	for _, it := range got.items {
		if it.Kind != KindInstance {
			continue
		}
		if it.Values["management_open"] != want[it.Subject] {
			t.Errorf("%s: management_open %v, want %v", it.Subject, it.Values["management_open"], want[it.Subject])
		}
		delete(want, it.Subject)
	}
	if len(want) > 0 {
		t.Errorf("no fact about %v", want)
	}
}

func TestWiderThanDeclared(t *testing.T) {
	m := model()
	m.Trusts[0].Networks = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/26"), netip.MustParsePrefix("10.3.200.0/24")}
	m.Trusts[0].Destinations = []string{"10.3.0.8", "dbserver.client.example"}
	m.Trusts[0].Rights = []string{"ssh", "reset-password"}
	const head = "ASA Version 9.16(4)\nname 10.3.0.9 dbserver\ninterface GigabitEthernet0/0\n nameif outside\n security-level 0\n"
	const tail = "access-group OUT in interface outside\n"
	for _, c := range []struct{ name, lines, want string }{
		{"as declared", "access-list OUT extended permit tcp 203.0.113.0 255.255.255.192 host 10.3.0.8 eq ssh\n", "t-msp"},
		{"by the configuration's name", "access-list OUT extended permit tcp host 203.0.113.5 host dbserver eq ssh\n", "t-msp"},
		{"a wider source", "access-list OUT extended permit tcp 203.0.113.0 255.255.255.0 host 10.3.0.8 eq ssh\n", "t-msp wider_source"},
		{"a wider source within our own networks", "access-list OUT extended permit tcp 10.3.0.0 255.255.0.0 host 10.3.0.8 eq ssh\n", "t-msp wider_source"},
		{"wider, but what is wider is denied before", "access-list OUT extended deny ip 203.0.113.64 255.255.255.192 any\naccess-list OUT extended deny ip 203.0.113.128 255.255.255.128 any\naccess-list OUT extended permit tcp 203.0.113.0 255.255.255.0 host 10.3.0.8 eq ssh\n", "t-msp"},
		{"a wider destination", "access-list OUT extended permit tcp host 203.0.113.5 10.3.0.0 255.255.255.0 eq ssh\n", "t-msp wider_destination"},
		{"a wider service", "access-list OUT extended permit tcp host 203.0.113.5 host 10.3.0.8\n", "t-msp wider_service"},
		{"everything wider", "access-list OUT extended permit ip 203.0.113.0 255.255.255.0 any\n", "t-msp wider_source wider_destination wider_service"},
		{"a stranger", "access-list OUT extended permit tcp host 198.51.100.77 host 10.3.0.8 eq ssh\n", "nobody"},
		{"a stranger with a private address, by the way in", "access-list OUT extended permit tcp 172.20.0.0 255.255.0.0 host 10.3.0.8 eq ssh\n", "nobody"},
		{"the partner and a stranger", "access-list OUT remark r\n" + "access-list OUT extended permit tcp object-group both host 10.3.0.8 eq ssh\nobject-group network both\n network-object host 203.0.113.5\n network-object host 198.51.100.77\n", "t-msp; nobody"},
		{"everybody", "access-list OUT extended permit tcp any host 10.3.0.8 eq https\n", ""},
		{"our own", "access-list OUT extended permit tcp host 10.8.0.5 host 10.3.0.8 eq https\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := read(t, []byte(head+c.lines+tail), m, at)
			var text []string
			for _, it := range got.access {
				s := string(it.Trust)
				if it.Values["declared"] != true {
					s = "nobody"
				}
				for _, key := range []string{"ended", "wider_source", "wider_destination", "wider_service"} {
					if it.Values[key] == true {
						s += " " + key
					}
				}
				text = append(text, s)
			}
			if s := strings.Join(text, "; "); s != c.want {
				t.Errorf("%q, want %q\n%v", s, c.want, got.access)
			}
		})
	}
}

// Where the time of a file is not known, nothing is said of what has ended.
func TestWithoutATimeNothingHasEnded(t *testing.T) {
	const line = "ASA Version 9.16(4)\naccess-list OUT extended permit tcp host 192.0.2.200 any eq ssh\naccess-group OUT in interface outside\n"
	got := read(t, []byte(line), model(), time.Time{})
	if len(got.access) != 1 || got.access[0].Trust != "t-old" {
		t.Fatalf("%v", got.access)
	}
	if v, ok := got.access[0].Values["ended"]; ok {
		t.Errorf("ended is told as %v", v)
	}
}
