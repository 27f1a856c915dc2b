package vpn

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// npsColumns are the first columns of a record in the database-compatible format of Windows' Network Policy Server
// (Microsoft, "Interpret NPS Database Format Log Files").
var npsColumns = strings.Split("Computer-Name,Service-Name,Record-Date,Record-Time,Packet-Type,User-Name,Fully-Qualified-Distinguished-Name,Called-Station-ID,Calling-Station-ID,Callback-Number,Framed-IP-Address,NAS-Identifier,NAS-IP-Address,NAS-Port,Client-Vendor,Client-IP-Address,Client-Friendly-Name,Event-Timestamp,Port-Limit,NAS-Port-Type,Connect-Info,Framed-Protocol,Service-Type,Authentication-Type,Policy-Name,Reason-Code,Class,Session-Timeout,Idle-Timeout,Termination-Action,EAP-Friendly-Name,Acct-Status-Type,Acct-Delay-Time,Acct-Input-Octets,Acct-Output-Octets,Acct-Session-Id,Acct-Authentic,Acct-Session-Time,Acct-Input-Packets,Acct-Output-Packets,Acct-Terminate-Cause,Acct-Multi-Session-Id,Acct-Link-Count,Acct-Interim-Interval,Tunnel-Type,Tunnel-Medium-Type,Tunnel-Client-Endpt,Tunnel-Server-Endpt", ",")

// maxNPS is how many attributes a record may have.
const maxNPS = 256

// isNPS wants records of the Network Policy Server in either format.
func isNPS(_ string, head []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), []byte("\n"))
	if len(line) < 8 || line[0] != '<' && line[0] != '"' {
		return false
	}
	s := string(line[:min(len(line), 400)])
	if strings.HasPrefix(s, "<Event>") {
		return strings.Contains(s, "<Timestamp data_type=") || strings.Contains(s, "<Computer-Name data_type=")
	}
	cols := strings.SplitN(s, ",", 6)
	return len(cols) == 6 && (cols[1] == `"IAS"` || cols[1] == `"RAS"`) && strings.Count(cols[2], "/") == 2
}

// readNPS reads the logs of Windows' Network Policy Server and of Routing and Remote Access (IN*.log, iaslog*.log),
// DTS-compliant XML or the database format, a record a line. An accepted request that is given an address begins a
// session, and so does an accounting record "start"; its "stop" ends it.
func readNPS(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimSpace(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"))
		if line == "" {
			return nil
		}
		get, err := npsRecord(line)
		if err != nil {
			return err
		}
		e, err := npsEvent(get)
		if err != nil {
			return err
		}
		for k, v := range get {
			field(e, k, v)
		}
		e.Fields.Sort()
		sink.Event(e, n, raw)
		return nil
	})
}

func npsRecord(line string) (map[string]string, error) {
	if strings.HasPrefix(line, "<") {
		return npsXML(line)
	}
	c := csv.NewReader(strings.NewReader(line))
	c.LazyQuotes, c.FieldsPerRecord = true, -1
	row, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("not CSV: %w", err)
	}
	if len(row) < 6 || len(row) > maxNPS {
		return nil, fmt.Errorf("the record has %d columns, and 6 to %d were expected", len(row), maxNPS)
	}
	get := map[string]string{}
	for i, v := range row {
		if v != "" && i < len(npsColumns) {
			get[npsColumns[i]] = v
		}
	}
	get["Timestamp"] = get["Record-Date"] + " " + get["Record-Time"]
	return get, nil
}

// npsXML reads <Event><Name data_type="1">value</Name>…</Event>.
func npsXML(line string) (map[string]string, error) {
	d := xml.NewDecoder(strings.NewReader(line))
	get := map[string]string{}
	name, depth := "", 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			return get, nil
		}
		if err != nil {
			return nil, errors.New("not XML: the record is cut short or damaged")
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth++; depth > 2 || len(get) >= maxNPS {
				return nil, fmt.Errorf("more than %d attributes, or attributes within others", maxNPS)
			}
			name = t.Name.Local
		case xml.EndElement:
			name = ""
			depth--
		case xml.CharData:
			if depth == 2 && name != "" && len(t) > 0 {
				get[name] += string(t)
			}
		}
	}
}

func npsEvent(get map[string]string) (*ocsf.Event, error) {
	at, err := npsTime(get["Timestamp"])
	if err != nil {
		return nil, err
	}
	e := newEvent("windows/nps", at)
	e.Device = strings.ToLower(get["Computer-Name"])
	e.User = account(firstOf(get["User-Name"], get["SAM-Account-Name"]))
	e.Src.IP = addr(firstOf(get["Tunnel-Client-Endpt"], get["Calling-Station-ID"], get["Calling-Station-Id"]))
	l := &ocsf.Lease{Kind: "vpn", ID: sessionID(e.User.Name, e.Src.IP), Addr: addr(get["Framed-IP-Address"]), Public: e.Src.IP, Holder: e.User}
	if id := get["Acct-Session-Id"]; id != "" {
		l.ID = strings.ToLower(firstOf(get["NAS-Identifier"], get["NAS-IP-Address"])) + "/" + id
	}
	switch get["Packet-Type"] {
	case "1":
		e.Class, e.Activity = ocsf.ClassAuthentication, "logon" // what comes of it is told by the next
	case "2", "3":
		e.Class, e.Activity, e.Status = ocsf.ClassAuthentication, "logon", ocsf.StatusSuccess
		if get["Packet-Type"] == "3" {
			e.Status = ocsf.StatusFailure
		}
	case "4":
		switch get["Acct-Status-Type"] {
		case "1":
			if l.Addr.IsValid() {
				opened(e, l)
			} else {
				e.Activity, e.Status = "open", ocsf.StatusSuccess
			}
		case "2":
			n := func(name string) int64 { v, _ := strconv.ParseInt(get[name], 10, 62); return max(v, 0) }
			e.Flow = &ocsf.Flow{Duration: time.Duration(min(n("Acct-Session-Time"), 366*86400)) * time.Second, OrigBytes: n("Acct-Input-Octets"), RespBytes: n("Acct-Output-Octets")}
			closed(e, l)
		}
	}
	return e, nil
}

// npsTime reads 09/24/2026 07:30:00.123, which Windows writes in the zone of the server; it is taken for UTC.
func npsTime(s string) (time.Time, error) {
	for _, layout := range [...]string{"01/02/2006 15:04:05.999", "2006-01-02 15:04:05.999"} {
		if t, err := time.Parse(layout, s); err == nil {
			if t.Year() < 1971 || t.Year() >= 2100 {
				return t, errors.New("the clock was never set: the year is before 1971 or after 2099")
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("no time: neither a Timestamp nor a Record-Date and Record-Time as in 09/24/2026 07:30:00")
}
