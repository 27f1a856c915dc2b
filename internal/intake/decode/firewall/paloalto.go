package firewall

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// The fields of the three kinds by their variable names ("Syslog Field Descriptions"); "" is FUTURE_USE. Versions
// after 8.1 only add fields behind these, which are kept as field.<place>.
var (
	paloAltoStart = strings.Split(",receive_time,serial,type,subtype,,time_generated,src,dst,natsrc,natdst,rule,srcuser,dstuser,app,vsys,from,to,inbound_if,outbound_if,logset,,sessionid,repeatcnt,sport,dport,natsport,natdport,flags,proto,action", ",")
	paloAltoKinds = map[string][]string{
		"TRAFFIC":       append(paloAltoStart[:len(paloAltoStart):len(paloAltoStart)], strings.Split("bytes,bytes_sent,bytes_received,packets,start,elapsed,category,,seqno,actionflags,srcloc,dstloc,,pkts_sent,pkts_received,session_end_reason,dg_hier_level_1,dg_hier_level_2,dg_hier_level_3,dg_hier_level_4,vsys_name,device_name,action_source", ",")...),
		"THREAT":        append(paloAltoStart[:len(paloAltoStart):len(paloAltoStart)], strings.Split("misc,threatid,category,severity,direction,seqno,actionflags,srcloc,dstloc,,contenttype,pcap_id,filedigest,cloud,url_idx,user_agent,filetype,xff,referer,sender,subject,recipient,reportid,dg_hier_level_1,dg_hier_level_2,dg_hier_level_3,dg_hier_level_4,vsys_name,device_name", ",")...),
		"GLOBALPROTECT": strings.Split(",receive_time,serial,type,subtype,,time_generated,vsys,eventid,stage,auth_method,tunnel_type,srcuser,srcregion,machinename,public_ip,public_ipv6,private_ip,private_ipv6,hostid,serialnumber,client_ver,client_os,client_os_ver,repeatcnt,reason,error,opaque,status,location,login_duration,connect_method,error_code,portal,seqno,actionflags", ","),
	}
)

// paloAltoRecord cuts off what stands before the first field; false where the line is no record.
func paloAltoRecord(line string) (record string, ok bool) {
	if line == "" || line[0] == '<' || line[0] == '{' {
		return "", false
	}
	comma := strings.IndexByte(line, ',')
	if comma < 0 || comma > farthest {
		return "", false
	}
	record = line[strings.LastIndexByte(line[:comma], ' ')+1:]
	parts := strings.SplitN(record, ",", 8)
	if len(parts) < 8 || len(parts[1]) != len("2006/01/02 15:04:05") || parts[1][4] != '/' {
		return "", false
	}
	return record, paloAltoKinds[parts[3]] != nil
}

func isPaloAlto(line string) bool { _, ok := paloAltoRecord(line); return ok }

func paloAltoLine(c clock, line string) (*ocsf.Event, error) {
	record, ok := paloAltoRecord(line)
	if !ok {
		return nil, errors.New("no TRAFFIC, THREAT or GLOBALPROTECT record in the line")
	}
	cr := csv.NewReader(strings.NewReader(record))
	cr.LazyQuotes, cr.FieldsPerRecord = true, -1
	row, err := cr.Read()
	if err != nil {
		return nil, fmt.Errorf("not CSV: %w", err)
	}
	if len(row) > maxFields {
		return nil, fmt.Errorf("more than %d fields", maxFields)
	}
	names := paloAltoKinds[row[3]]
	if names == nil || len(row) < 15 {
		return nil, fmt.Errorf("the record has %d fields, and at least 15 were expected", len(row))
	}
	var x pairs
	for i, v := range row {
		switch {
		case v == "":
		case i >= len(names):
			x = append(x, ocsf.Field{Name: fmt.Sprintf("field.%d", i+1), Value: v})
		case names[i] != "":
			x = append(x, ocsf.Field{Name: names[i], Value: v})
		}
	}
	when, err := c.parse(x.get("time_generated", "receive_time"))
	if err != nil {
		return nil, fmt.Errorf("time_generated: %w", err)
	}
	e := newEvent("paloalto/"+strings.ToLower(row[3]), when)
	e.Fields = append(e.Fields, x...)
	e.Device = strings.ToLower(firstOf(x.get("device_name"), x.get("serial")))
	if seq := x.get("seqno"); seq != "" && seq != "0" && x.get("serial") != "" {
		e.SourceID = strings.Join([]string{x.get("serial"), row[3], seq, when.Format(time.RFC3339)}, "|")
	}
	r := &reader{}
	if row[3] == "GLOBALPROTECT" {
		paloAltoTunnel(e, x, r)
		return e, r.err
	}
	e.Src.IP, e.Dst.IP = r.addr("src", x.get("src")), r.addr("dst", x.get("dst"))
	if ports(x.get("proto")) {
		e.Src.Port, e.Dst.Port = r.port("sport", x.get("sport")), r.port("dport", x.get("dport"))
	}
	e.User = account(x.get("srcuser"))
	if row[3] == "TRAFFIC" {
		paloAltoTraffic(c, e, x, r)
		return e, r.err
	}
	if x.get("subtype") == "url" {
		e.URL = x.get("misc")
	}
	if verdictOf(x.get("action")) == refused {
		e.Activity, e.Status = "refuse", ocsf.StatusFailure
	}
	if x.get("subtype") == "scan" || x.get("subtype") == "flood" { // zone protection counts packets, not sessions
		return e, r.err
	}
	return e, r.err
}

func paloAltoTraffic(c clock, e *ocsf.Event, x pairs, r *reader) {
	n := counts{orig: r.count("bytes_sent", x.get("bytes_sent")), resp: r.count("bytes_received", x.get("bytes_received")),
		origPkts: r.count("pkts_sent", x.get("pkts_sent")), respPkts: r.count("pkts_received", x.get("pkts_received"))}
	n.both = x.get("bytes_sent") != "" && x.get("bytes_received") != ""
	lasted := r.seconds("elapsed", x.get("elapsed"))
	v, state := verdictOf(x.get("action")), ""
	switch x.get("subtype") {
	case "start": // one packet each way at most was counted by then
		n.both = false
	case "end":
		if v == passed {
			v = ended
		}
	}
	switch x.get("session_end_reason") {
	case "tcp-rst-from-client":
		state = "RSTO"
	case "tcp-rst-from-server":
		if state = "RSTR"; n.respPkts == 1 && n.origPkts <= 3 { // a single RST was the answer
			state = "REJ"
		}
	case "aged-out":
		state = "S1"
	}
	if t, err := c.parse(x.get("start")); err == nil && v != refused {
		e.Time = t
	}
	settle(e, x.get("proto"), v, n, lasted, state)
	if state == "REJ" && n.any() && n.both {
		e.Status = ocsf.StatusFailure
	}
	e.Flow.Service = strings.ToLower(x.get("app"))
	translate(e, x.get("proto"), v, x.get("subtype") == "start", lasted, r.addr("natsrc", x.get("natsrc")), r.port("natsport", x.get("natsport")))
}

// paloAltoTunnel reads what the export as a table with a header holds too (package vpn); its sessions have the same ids.
func paloAltoTunnel(e *ocsf.Event, x pairs, r *reader) {
	e.Layer, e.Class = tenant.LayerAccess, ocsf.ClassTunnelActivity
	e.User = account(x.get("srcuser"))
	e.Src.IP = r.addr("public_ip", x.get("public_ip"))
	if !e.Src.IP.IsValid() {
		e.Src.IP = r.addr("public_ipv6", x.get("public_ipv6"))
	}
	e.Src.Host = strings.ToLower(x.get("machinename"))
	inner := r.addr("private_ip", x.get("private_ip"))
	if !inner.IsValid() {
		inner = r.addr("private_ipv6", x.get("private_ipv6"))
	}
	switch strings.ToLower(x.get("status")) {
	case "success":
		e.Status = ocsf.StatusSuccess
	case "failure", "failed":
		e.Status = ocsf.StatusFailure
	}
	l := &ocsf.Lease{Kind: "vpn", Addr: inner, Public: e.Src.IP, Holder: e.User, Device: e.Src.Host}
	if e.User.Name != "" && e.Src.IP.IsValid() {
		l.ID = strings.ToLower(e.User.Name) + "/" + e.Src.IP.String()
	}
	switch id := strings.ToLower(x.get("eventid")); {
	case strings.HasSuffix(id, "-auth") || id == "portal-login" || id == "gateway-login":
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon"
	case id == "gateway-connected" && e.Status != ocsf.StatusFailure:
		e.Activity, e.Status, l.Start, e.Lease = "open", ocsf.StatusSuccess, true, l
	case id == "gateway-logout":
		e.Activity, l.End, e.Lease = "close", true, l
	}
}
