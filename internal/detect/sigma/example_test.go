package sigma_test

import (
	"fmt"

	"github.com/breakwater-project/breakwater/internal/detect/sigma"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// A rule is compiled once and matched against batches of events. What doesn't load is told; what doesn't match can be
// asked why.
func Example() {
	rules, problems := sigma.Options{Placeholders: map[string][]string{"jump_hosts": {"10.0.5.*"}}}.Compile([]sigma.Document{
		{Name: "logon.yml", Data: []byte(`
title: Administrator logs on from outside the jump hosts
id: 0b7e1a52-4a5e-4a5b-9d0e-0d3c6d0a9f11
logsource: {product: windows, service: security}
detection:
  logon: {EventID: 4624, TargetUserName|startswith: adm-}
  jump: {IpAddress|expand: '%jump_hosts%'}
  condition: logon and not jump
level: high
`)},
		{Name: "broken.yml", Data: []byte("title: Broken\nlogsource: {product: windows}\ndetection:\n  s: {A|near: x}\n  condition: s\n")},
	})
	for _, p := range problems {
		fmt.Println(p)
	}
	logon := func(user, from string) *ocsf.Event {
		return &ocsf.Event{Source: "windows/security", Fields: ocsf.Fields{
			{Name: "EventID", Value: "4624"}, {Name: "IpAddress", Value: from}, {Name: "TargetUserName", Value: user}}}
	}
	batch := []*ocsf.Event{logon("adm-jo", "10.0.5.7"), logon("ADM-jo", "192.0.2.1"), {Source: "zeek/conn"}}
	for m := range rules.Matches(batch) {
		fmt.Println("event", m.Event, "matches", m.Rule.Title, m.Selections)
	}
	for _, e := range batch {
		fmt.Println(rules.Explain(e, rules.Rules()[0]).Why)
	}
	// Output:
	// broken.yml:4: rule "Broken": field "A": modifier "near" is not supported
	// event 1 matches Administrator logs on from outside the jump hosts [logon]
	// doesn't match: condition "logon and not jump"; holds: logon, jump; doesn't hold: nothing
	// matches: condition "logon and not jump"; holds: logon; doesn't hold: jump
	// not tried: the rule is for windows/security; the event is of zeek/conn, which is product zeek, service conn, category firewall
}
