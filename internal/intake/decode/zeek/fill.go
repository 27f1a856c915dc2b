package zeek

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// kind is how one log becomes events.
type kind struct {
	source   string // set for all kinds
	class    ocsf.ClassUID
	activity string
	single   bool // one record a connection
	flow     bool
	fill     func(r record, e *ocsf.Event) error // beyond what all logs share; may be nil
}

// fill fills the event from a record of the named log.
func fill(r jsonRecord, path string, e *ocsf.Event) error {
	k, known := kinds[path]
	if e.Source = k.source; !known {
		e.Source = "zeek/" + path
	}
	if k.flow && e.Flow == nil {
		e.Flow = r.o.Flow()
	}
	return fillKind(r, path, k, e)
}

func fillKind(r record, path string, k kind, e *ocsf.Event) error {
	ts := r.get(colTS)
	var ok bool
	if e.Time, ok = parseTime(ts); !ok {
		if e.Time, ok = decode.ParseTime(ts); !ok {
			return fmt.Errorf("ts: %s is not a time", quote(ts))
		}
	}
	e.Layer, e.Class, e.Activity = tenant.LayerNetwork, k.class, k.activity
	if err := endpoints(r, e); err != nil {
		return err
	}
	if k.fill != nil {
		if err := k.fill(r, e); err != nil {
			return err
		}
	} else if e.User.Name == "" {
		e.User.Name = either(r.get(colUsername), r.get(colUser))
	}
	if id := recordID(r, path); id != "" {
		e.SourceID = id + "|" + path + "|" + ts
		if !k.single {
			e.SourceID += "|" + strconv.FormatUint(digest(e.Fields), 36)
		}
	}
	return nil
}

// recordID is the id that Zeek gives a record: of the connection, else of the file or the first connection.
func recordID(r record, path string) string {
	if path == "files" {
		if id := r.get(colFUID); id != "" {
			return id // one connection moves many
		}
	}
	if id := r.get(colUID); id != "" {
		return id
	}
	if id := r.get(colFUID); id != "" {
		return id
	}
	for _, c := range [...]column{colUIDs, colConnUIDs} {
		if l := r.list(c); len(l) > 0 {
			return l[0]
		}
	}
	return ""
}

// digest tells the records of one connection apart that were written for one packet, such as the opening and the
// reading of a file in one SMB message. It is FNV-1a.
func digest(fields ocsf.Fields) uint64 {
	h := uint64(14695981039346656037)
	for _, f := range fields {
		for _, s := range [...]string{f.Name, f.Value} {
			for i := 0; i < len(s); i++ {
				h = (h ^ uint64(s[i])) * 1099511628211
			}
			h = (h ^ 0xff) * 1099511628211 // no byte of UTF-8: "ab","c" is not "a","bc"
		}
	}
	return h
}

func endpoints(r record, e *ocsf.Event) (err error) {
	if e.Src.IP, err = address(r, colOrigH); err != nil {
		return err
	}
	if e.Dst.IP, err = address(r, colRespH); err != nil {
		return err
	}
	src, err := number(r, colOrigP, 1<<16-1)
	if err != nil {
		return err
	}
	dst, err := number(r, colRespP, 1<<16-1)
	if err != nil {
		return err
	}
	if strings.HasPrefix(r.get(colProto), "icmp") {
		return nil // Zeek writes the type and code there; they are no ports
	}
	e.Src.Port, e.Dst.Port = uint16(src), uint16(dst)
	return nil
}

func address(r record, c column) (netip.Addr, error) {
	v := r.get(c)
	if v == "" {
		return netip.Addr{}, nil
	}
	return parseAddr(v, c)
}

func parseAddr(v string, c column) (netip.Addr, error) {
	a, err := netip.ParseAddr(v)
	if err != nil {
		return a, fmt.Errorf("%s: %s is not an address", columnNames[c], quote(v))
	}
	return a.Unmap().WithZone(""), nil
}

// number reads a count; the unset count is 0.
func number(r record, c column, limit int64) (int64, error) {
	v := r.get(c)
	if v == "" {
		return 0, nil
	}
	var n int64
	for i := 0; i < len(v); i++ {
		d := int64(v[i]) - '0'
		if d < 0 || d > 9 || n > (limit-d)/10 {
			return 0, fmt.Errorf("%s: %s is not a number up to %d", columnNames[c], quote(v), limit)
		}
		n = n*10 + d
	}
	return n, nil
}

// seconds reads an interval such as 0.403788; Zeek never writes one beyond some days.
func seconds(r record, c column) (time.Duration, error) {
	v := r.get(c)
	if v == "" {
		return 0, nil
	}
	if sec, nsec, ok := decimal(v); ok && sec < 1<<31 {
		return time.Duration(sec)*time.Second + time.Duration(nsec), nil
	}
	f, err := strconv.ParseFloat(v, 64) // 6e-06 in JSON
	if err != nil || !(f >= -1e9 && f <= 1e9) {
		return 0, fmt.Errorf("%s: %s is not an interval", columnNames[c], quote(v))
	}
	return time.Duration(max(f, 0) * 1e9), nil
}

// parseTime reads seconds since 1970 with up to nine decimals, exactly.
func parseTime(v string) (time.Time, bool) {
	sec, nsec, ok := decimal(v)
	if !ok || sec < 365*86400 || sec >= 4102444800 { // 1971 to 2100
		return time.Time{}, false
	}
	return time.Unix(sec, nsec).UTC(), true
}

// decimal splits a plain decimal into whole and 1e-9 parts; further digits are cut.
func decimal(v string) (whole, nano int64, ok bool) {
	i := 0
	for ; i < len(v) && v[i] >= '0' && v[i] <= '9'; i++ {
		if i >= 12 {
			return 0, 0, false
		}
		whole = whole*10 + int64(v[i]-'0')
	}
	if i == 0 || i == len(v) {
		return whole, 0, i > 0
	}
	if v[i] != '.' {
		return 0, 0, false
	}
	unit := int64(100_000_000)
	for i++; i < len(v); i++ {
		if v[i] < '0' || v[i] > '9' {
			return 0, 0, false
		}
		nano += int64(v[i]-'0') * unit
		unit /= 10
	}
	return whole, nano, true
}

func quote(v string) string {
	if len(v) > 40 {
		v = v[:40]
	}
	return strconv.QuoteToASCII(v)
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
