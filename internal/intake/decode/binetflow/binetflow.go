// Package binetflow reads bidirectional flows that Argus' ra prints as comma-separated values, the .binetflow files of
// research sets: a header with StartTime, Dur, Proto, SrcAddr, Sport, Dir, DstAddr, Dport, State and others in any
// order, then a flow a line. Out come events of source argus/flow; the columns stay in Fields under their names.
//
// The state becomes Zeek's. Of TCP Argus writes the flags of both sides (source_destination):
//
//	S_        S0        S_RA, S_R      REJ       S…_S…       S1
//	SR_       RSTOS0    S…R_S…         RSTO      S…_S…R      RSTR
//	FS_       SH        FS…_FS…        SF        FS…_S…, S…_FS…  S2, S3
//	SA_, SA_R OTH: an answer whose question was not seen, turned round, with ^h in History
//	all else without SYN of the source, or with one side's going on alone: OTH
//
// or a word: REQ S0, ACC and EST and CON S1, FIN and CLO SF, TIM S0 or S1, RST REJ (two packets), RSTOS0 (one side
// sent) or RSTR. UDP is S0 where one side sent (INT, REQ), else SF; all else is OTH. A flow whose direction Argus
// does not know (Dir <?>) and that has no SYN is OTH; one that it tells to run from right to left is turned.
// History says who did what, not in which order.
//
// Limits: Argus counts packets of both sides together unless SrcPkts and DstPkts are printed; they are then shared out
// by bytes. Its bytes have headers in them; a TCP side that never pushed counts none. Times without a zone are read as
// UTC. What ICMP asked is told by the state; it stands in the field icmp_type. A line that cannot be read is counted
// with the column and the reason; lines before the header are bad.
package binetflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Stream returns the format.
func Stream() decode.Stream {
	return decode.Stream{Name: "binetflow", Recognise: recognise, Read: read}
}

// needed are the columns without which nothing can be said.
var needed = []string{"StartTime", "Proto", "SrcAddr", "DstAddr", "State"}

func recognise(_ string, head []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), []byte("\n"))
	return isHeader(line)
}

func isHeader(line []byte) bool {
	for _, name := range needed {
		if !bytes.Contains(line, []byte(name)) {
			return false
		}
	}
	return bytes.IndexByte(line, ',') > 0
}

func read(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	var columns []string
	return decode.Lines(ctx, r, sink, func(n int64, line []byte) error {
		line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
		switch {
		case len(line) == 0 || line[0] == '#':
			return nil
		case isHeader(line):
			return header(line, &columns)
		case columns == nil:
			return errors.New("a line before the header: nothing says what its columns are")
		}
		e, err := flow(columns, strings.Split(string(line), ","))
		if err != nil {
			return err
		}
		sink.Event(e, n, line)
		return nil
	})
}

func header(line []byte, columns *[]string) error {
	names := strings.Split(string(line), ",")
	if len(names) > decode.MaxFields {
		return fmt.Errorf("header: more than %d columns", decode.MaxFields)
	}
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	*columns = names
	return nil
}

// flow makes the event of one line.
func flow(columns, values []string) (*ocsf.Event, error) {
	if len(values) > len(columns) {
		return nil, fmt.Errorf("%d columns, the header has %d", len(values), len(columns))
	}
	e := &ocsf.Event{Source: "argus/flow", Layer: tenant.LayerNetwork, Class: ocsf.ClassNetworkActivity, Flow: &ocsf.Flow{}}
	for i, v := range values {
		if v = strings.TrimSpace(v); v != "" && columns[i] != "" {
			e.Fields = append(e.Fields, ocsf.Field{Name: columns[i], Value: v})
		}
	}
	e.Fields.Sort()
	get := e.Fields.Value
	var err error
	if e.Time, err = start(get("StartTime")); err != nil {
		return nil, err
	}
	if v := get("Dur"); v != "" {
		sec, err := strconv.ParseFloat(v, 64)
		if err != nil || !(sec >= 0 && sec < 1e9) {
			return nil, fmt.Errorf("field Dur: %s is not a number of seconds", quote(v))
		}
		e.Flow.Duration = time.Duration(sec*1e6+0.5) * time.Microsecond
	}
	e.Flow.Proto = protocol(strings.ToLower(get("Proto")))
	if e.Src, err = endpoint(e, "SrcAddr", "Sport"); err != nil {
		return nil, err
	}
	if e.Dst, err = endpoint(e, "DstAddr", "Dport"); err != nil {
		return nil, err
	}
	if err := count(e); err != nil {
		return nil, err
	}
	outcome(e, strings.ToUpper(get("State")), get("Dir"))
	return e, nil
}

func protocol(p string) string {
	if p == "icmp6" || p == "ipv6-icmp" {
		return "icmp"
	}
	return p
}

func start(v string) (time.Time, error) {
	if t, err := time.Parse("2006/01/02 15:04:05.999999999", v); err == nil && t.Year() >= 1971 && t.Year() < 2100 {
		return t.UTC(), nil
	}
	if t, ok := decode.ParseTime(v); ok {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("StartTime: %s is not a time", quote(v))
}

// endpoint reads an address and a port. Protocols below IP have hardware addresses, which stay in Fields.
func endpoint(e *ocsf.Event, addrName, portName string) (ep ocsf.Endpoint, err error) {
	inet := e.Flow.Proto == "tcp" || e.Flow.Proto == "udp"
	v := e.Fields.Value(addrName)
	a, err := netip.ParseAddr(v)
	if err != nil && (inet || e.Flow.Proto == "icmp") {
		return ep, fmt.Errorf("%s: %s is not an address", addrName, quote(v))
	}
	ep.IP = a.Unmap().WithZone("")
	if v = e.Fields.Value(portName); inet && v != "" {
		n, err := strconv.ParseUint(v, 0, 16) // hexadecimal where ra prints so
		if err != nil {
			return ep, fmt.Errorf("%s: %s is not a port", portName, quote(v))
		}
		ep.Port = uint16(n)
	}
	return ep, nil
}

// count reads packets and bytes, and shares packets out that are counted together.
func count(e *ocsf.Event) error {
	f := e.Flow
	var total, bytes int64
	for _, x := range [...]struct {
		name string
		to   *int64
	}{{"TotPkts", &total}, {"TotBytes", &bytes}, {"SrcBytes", &f.OrigBytes}, {"DstBytes", &f.RespBytes}, {"SrcPkts", &f.OrigPkts}, {"DstPkts", &f.RespPkts}} {
		v := e.Fields.Value(x.name)
		if v == "" {
			continue
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%s: %s is not a count", x.name, quote(v))
		}
		*x.to = n
	}
	if _, told := e.Fields.Get("DstBytes"); !told {
		f.RespBytes = max(bytes-f.OrigBytes, 0)
	}
	if f.OrigPkts == 0 && f.RespPkts == 0 && total > 0 {
		f.OrigPkts = share(total, f.OrigBytes, f.RespBytes)
		f.RespPkts = total - f.OrigPkts
	}
	return nil
}

// share returns the originator's part of the packets: by bytes, at least one for a side that sent any.
func share(packets, orig, resp int64) int64 {
	switch {
	case resp == 0:
		return packets
	case orig == 0:
		return 0
	}
	n := int64(float64(packets) * (float64(orig) / (float64(orig) + float64(resp))))
	return max(min(n, packets-1), min(1, packets))
}

func quote(v string) string { return strconv.QuoteToASCII(v[:min(len(v), 40)]) }
