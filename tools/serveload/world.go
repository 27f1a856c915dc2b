package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Sizes of each organisation. They are fixed, so that what is habit stays habit however long a run is.
const (
	hostsOf   = 120
	serversOf = 12
	usersOf   = 100
	sitesOf   = 60 // outside servers that an organisation visits
)

// org is an organisation whose sensors send.
type org struct {
	id, domain, entra    string
	index                int
	hosts, users, techs  []string
	addresses            []string // of hosts, servers first
	sites, siteAddresses []string
}

// world returns the organisations: a provider first, then its clients.
func world(tenants int) []*org {
	list := make([]*org, tenants)
	for i := range list {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		o := &org{index: i, id: fmt.Sprintf("client-%02d", i), entra: fmt.Sprintf("5ecaf0b2-a96c-4fc3-a88c-%012d", i)}
		if i == 0 {
			o.id = "provider"
		}
		o.domain = o.id + ".example"
		for h := range hostsOf {
			kind := "WS"
			if h < serversOf {
				kind = "SRV"
			}
			o.hosts = append(o.hosts, fmt.Sprintf("%s-%02d-%03d", kind, i, h))
			o.addresses = append(o.addresses, fmt.Sprintf("10.%d.%d.%d", 10+i, h/200, 10+h%200))
		}
		for range usersOf {
			o.users = append(o.users, fmt.Sprintf("%s.%s", firstNames[r.IntN(len(firstNames))], lastNames[r.IntN(len(lastNames))]))
		}
		for t := range 4 {
			o.techs = append(o.techs, fmt.Sprintf("prov-tech%d", t))
		}
		for s := range sitesOf {
			o.sites = append(o.sites, fmt.Sprintf("%s%d.%s", words[r.IntN(len(words))], s, []string{"example.com", "example.net", "example.org"}[s%3]))
			o.siteAddresses = append(o.siteAddresses, fmt.Sprintf("198.18.%d.%d", i, s+1))
		}
		list[i] = o
	}
	return list
}

// Sensors of each organisation, with their share of its events in percent.
var sensors = []struct {
	name  string
	share int
}{{"zeek", 45}, {"windows", 35}, {"cloud", 10}, {"linux", 10}}

// sharedInstance is the provider's remote support.
const sharedInstance = "c29058cec66ec3bc"

// writeConfiguration writes the breakwater.yaml of the world into a folder, with accesses of a provider and a vendor,
// so that every detector has something to look at.
func writeConfiguration(dir string, list []*org) error {
	var b strings.Builder
	b.WriteString("tenants:\n")
	for _, o := range list {
		role := "client"
		if o.index == 0 {
			role = "provider"
		}
		fmt.Fprintf(&b, "  - {id: %s, name: %s, role: %s, domains: [%s], networks: [10.%d.0.0/16]}\n", o.id, o.id, role, o.domain, 10+o.index)
	}
	b.WriteString("partners:\n  - {id: provider, name: provider, tenant: provider}\n  - {id: vendor, name: vendor}\ntrusts:\n")
	for _, o := range list[1:] {
		fmt.Fprintf(&b, "  - {id: provider-%s, partner: provider, tenant: %s, owner: it@%s, networks: [203.0.113.0/28], accounts: ['prov-*'], mail_domains: [provider.example], remote_tools: [{tool: screenconnect, instance: %s, hosts: [remote.provider.example]}], jump_hosts: [10.10.0.10], cloud_principals: [{home_tenant: %s}], valid_from: 2024-01-01T00:00:00Z}\n",
			o.id, o.id, o.domain, sharedInstance, list[0].entra)
		fmt.Fprintf(&b, "  - {id: vendor-%s, partner: vendor, tenant: %s, owner: it@%s, networks: [198.51.100.%d/32], accounts: ['vend-*'], mail_domains: [vendor.example], valid_from: 2024-01-01T00:00:00Z}\n",
			o.id, o.id, o.domain, o.index)
	}
	if err := os.WriteFile(filepath.Join(dir, "breakwater.yaml"), []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("writing the configuration: %w", err)
	}
	return nil
}

// writeFeed writes the configuration and ten seconds of telemetry into a folder, a file of each sensor.
func writeFeed(dir string, list []*org) error {
	if err := writeConfiguration(dir, list); err != nil {
		return err
	}
	const events = 100_000
	began, conn := time.Now().UTC(), uint64(0)
	for _, o := range list {
		for _, x := range sensors {
			conn++
			w, n := newWriter(uint64(began.UnixNano()), conn, 1024), events/len(list)*x.share/100
			var b []byte
			for i := range n {
				b = w.record(b, o, x.name, began.Add(time.Duration(i)*10*time.Second/time.Duration(n)))
			}
			if err := os.WriteFile(filepath.Join(dir, o.id+"."+x.name+".jsonl"), b, 0o600); err != nil {
				return fmt.Errorf("writing a feed: %w", err)
			}
		}
	}
	return nil
}

var (
	firstNames = []string{"mira", "kalle", "filip", "goran", "anna", "jonas", "lea", "paul", "ida", "emil", "nora", "hugo", "vera", "oskar", "tilda", "rune"}
	lastNames  = []string{"lang", "urban", "schenk", "falk", "berg", "holm", "keller", "vogt", "brandt", "roth", "stein", "wolf", "kraus", "lind", "mohr", "haas"}
	words      = []string{"account", "service", "policy", "session", "network", "logon", "request", "audit", "process", "security", "system", "update", "token", "group", "object",
		"client", "address", "server", "access", "handle", "privilege", "package", "workstation", "domain", "identifier", "record", "channel", "source", "target", "detail"}
)
