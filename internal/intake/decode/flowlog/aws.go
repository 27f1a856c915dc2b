package flowlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// awsDefault is version 2, which is written where nobody asked for other fields.
var awsDefault = strings.Fields("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status")

// maxColumns is how many fields a custom format may have; AWS knows some forty.
const maxColumns = 128

func awsStream() decode.Stream {
	return decode.Stream{Name: "aws/vpcflow", Recognise: isAWS, Read: readAWS}
}

// awsObject reads the messages that CloudWatch Logs exports.
func awsObject() decode.Object {
	return decode.Object{
		Name:  "aws/vpcflow",
		Match: func(o *decode.JSON) bool { return o.Has("timestamp") && awsDefaultLine(o.Str("message")) },
		Decode: func(o *decode.JSON, e *ocsf.Event) error {
			t, err := o.Time("timestamp")
			begin(e, "aws/vpcflow", t)
			return err
		},
		Carries: func(o *decode.JSON) (decode.Carried, []decode.Stream) {
			return decode.Carried{Line: o.Str("message"), Field: "message", Prefix: "logEvent."}, []decode.Stream{awsStream()}
		},
	}
}

func isAWS(_ string, head []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), []byte("\n"))
	text := strings.TrimSpace(string(line[:min(len(line), 4096)]))
	return awsHeader(text) != nil || awsDefaultLine(text)
}

// awsHeader returns the columns that a header line names, or nil. Exports to Parquet write them with underscores.
func awsHeader(line string) []string {
	columns := strings.Fields(strings.ReplaceAll(line, "_", "-"))
	if len(columns) < 4 || len(columns) > maxColumns {
		return nil
	}
	known := 0
	for _, c := range columns {
		if strings.Trim(c, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return nil
		}
		if slices.Contains(awsDefault, c) {
			known++
		}
	}
	if !slices.Contains(columns, "srcaddr") && !slices.Contains(columns, "pkt-srcaddr") || !slices.Contains(columns, "start") || known < 4 {
		return nil
	}
	return columns
}

func awsDefaultLine(line string) bool {
	f := strings.Fields(line[:min(len(line), 1024)])
	if len(f) != len(awsDefault) || f[0] != "2" {
		return false
	}
	switch f[13] {
	case "OK", "NODATA", "SKIPDATA":
		return digits(f[10]) && digits(f[11])
	}
	return false
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func readAWS(ctx context.Context, _ string, r io.Reader, sink decode.Sink) error {
	columns := awsDefault
	return decode.Lines(ctx, r, sink, func(n int64, raw []byte) error {
		line := strings.TrimSpace(strings.ToValidUTF8(string(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))), "\uFFFD"))
		if line == "" {
			return nil
		}
		if h := awsHeader(line); h != nil {
			columns = h
			return nil
		}
		row := strings.Fields(line)
		if len(row) != len(columns) {
			return fmt.Errorf("%d fields where the header names %d", len(row), len(columns))
		}
		e, err := awsRecord(columns, row)
		if err != nil || e == nil {
			return err
		}
		e.Fields.Sort()
		sink.Event(e, n, raw)
		return nil
	})
}

// awsRecord returns the event of a row; nil where the row says that there is nothing to say.
func awsRecord(columns, row []string) (*ocsf.Event, error) {
	get := func(name string) string {
		if i := slices.Index(columns, name); i >= 0 && row[i] != "-" {
			return row[i]
		}
		return ""
	}
	switch get("log-status") {
	case "NODATA", "SKIPDATA":
		return nil, nil
	}
	if get("start") == "" {
		return nil, errors.New("start: the record has none")
	}
	v := &values{}
	start := v.seconds("start", get("start"))
	e := newEvent("aws/vpcflow", start)
	for i, name := range columns {
		if row[i] != "-" {
			addField(e, name, row[i])
		}
	}
	f := &ocsf.Flow{Proto: protocol(get("protocol")), OrigPkts: v.number("packets", get("packets"), most), OrigBytes: v.number("bytes", get("bytes"), most)}
	e.Flow = f
	if s := get("end"); s != "" {
		f.Duration = max(v.seconds("end", s).Sub(start), 0)
	}
	// The packet's own addresses, where a gateway or load balancer stands between.
	for _, name := range [...]string{"pkt-srcaddr", "srcaddr"} {
		if s := get(name); s != "" && !e.Src.IP.IsValid() {
			e.Src.IP = v.addr(name, s)
		}
	}
	for _, name := range [...]string{"pkt-dstaddr", "dstaddr"} {
		if s := get(name); s != "" && !e.Dst.IP.IsValid() {
			e.Dst.IP = v.addr(name, s)
		}
	}
	if hasPorts(f.Proto) {
		e.Src.Port, e.Dst.Port = v.port("srcport", get("srcport")), v.port("dstport", get("dstport"))
	}
	e.Device = get("instance-id")
	if e.Device == "" {
		e.Device = get("interface-id")
	}
	flags := v.number("tcp-flags", get("tcp-flags"), 255)
	switch get("action") {
	case "REJECT":
		refuse(e)
		if f.Proto == "tcp" && flags != 0 && flags&2 == 0 { // a late FIN or RST of a connection that was forgotten
			f.State, f.History = "OTH", "A"
		}
	case "ACCEPT", "":
		if oneWay(e); f.Proto == "tcp" && get("tcp-flags") != "" {
			awsFlags(e, flags)
		}
	default:
		v.wrong("action", get("action"), "ACCEPT or REJECT")
	}
	if flags&18 == 18 { // SYN and ACK: the answering side
		f.State, f.History = "OTH", "H"
	}
	return e, v.err
}

// awsFlags reads tcp-flags: those of all packets of the record together, ACK only beside SYN (4 RST, 2 SYN, 1 FIN).
func awsFlags(e *ocsf.Event, flags int64) {
	f := e.Flow
	data := f.OrigBytes > longest(e.Src.IP)*f.OrigPkts
	switch {
	case flags&18 == 2 && data && flags&4 != 0:
		f.State = "RSTO"
	case flags&18 == 2 && data && flags&1 != 0:
		f.State = "SF"
	case flags&18 == 2 && data:
		f.State = "S1"
	case flags == 2 && f.OrigPkts == 1:
		f.State, f.History, e.Status = "S0", "S", ocsf.StatusUnknown
	}
}
