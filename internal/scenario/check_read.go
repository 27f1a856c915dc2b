package scenario

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// field is one value of a native record, under the product's own name.
type field struct{ name, value string }

// native is one record as Check reads it.
type native struct {
	source string // folder and format: zeek/conn, windows, vpn/asa …
	number int    // from 1
	hour   string // UTC
	fields []field
}

func (n *native) get(name string) string {
	for _, f := range n.fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

const maxLine = 4 << 20

// rotatedDay is what a late source's file has in its name.
var rotatedDay = regexp.MustCompile(`-\d{8}$`)

// eachFile calls yield for every file of the telemetry, in order of name, with its path relative to dir.
func eachFile(dir string, yield func(rel, tenantID, source string) error) error {
	return filepath.WalkDir(filepath.Join(dir, "telemetry"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		parts := strings.Split(rel, "/")
		if len(parts) < 4 {
			return fmt.Errorf("%s lies in no source's folder", rel)
		}
		return yield(rel, parts[1], parts[2])
	})
}

// eachRecord calls yield for every record of one file.
func eachRecord(dir, rel, source string, yield func(*native) error) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(rel)))
	if err != nil {
		return err
	}
	defer f.Close()
	base := rotatedDay.ReplaceAllString(strings.TrimSuffix(filepath.Base(rel), filepath.Ext(rel)), "")
	if err := readRecords(f, source, base, yield); err != nil {
		return fmt.Errorf("reading %s: %w", rel, err)
	}
	return nil
}

func readRecords(f io.Reader, source, base string, yield func(*native) error) error {
	switch {
	case source == "mail":
		b, err := io.ReadAll(io.LimitReader(f, maxLine))
		if err != nil {
			return err
		}
		return yield(readMail(b))
	case base == "globalprotect":
		return readCSV(f, yield)
	}
	sc := bufio.NewScanner(f)
	sc.Buffer(make([]byte, 1<<16), maxLine)
	var names []string
	for n := 0; sc.Scan(); {
		line := sc.Text()
		if strings.HasPrefix(line, "#") {
			if rest, ok := strings.CutPrefix(line, "#fields\t"); ok {
				names = strings.Split(rest, "\t")
			} else if rest, ok := strings.CutPrefix(line, "#Fields: "); ok {
				names = strings.Fields(rest)
			}
			continue
		}
		n++
		r := &native{source: source + "/" + base, number: n}
		switch {
		case strings.HasPrefix(line, "{"):
			if err := r.flatten(line); err != nil {
				return fmt.Errorf("record %d: %w", n, err)
			}
		case source == "web":
			for i, v := range strings.Fields(line) {
				if i >= len(names) {
					return fmt.Errorf("record %d has more values than the header has fields", n)
				}
				switch {
				case names[i] == "time":
					r.fields = append(r.fields, field{"hour", v[:min(2, len(v))]})
				case v != "-" && names[i] != "date" && names[i] != "time-taken":
					r.fields = append(r.fields, field{names[i], v})
				}
			}
		case source == "zeek":
			for i, v := range strings.Split(line, "\t") {
				if i >= len(names) {
					return fmt.Errorf("record %d has more values than the header has fields", n)
				}
				if v != "-" {
					r.fields = append(r.fields, field{names[i], v})
				}
			}
		default:
			r.readLine(source, base, line)
		}
		r.setHour()
		if err := yield(r); err != nil {
			return err
		}
	}
	return sc.Err()
}

func (n *native) flatten(line string) error {
	var m map[string]any
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return err
	}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				walk(strings.TrimPrefix(prefix+"."+k, "."), x)
			}
		case []any:
			if len(v) > 0 {
				if _, ok := v[0].(map[string]any); ok {
					for _, x := range v {
						walk(prefix, x)
					}
					return
				}
			}
			n.fields = append(n.fields, field{prefix, fmt.Sprint(v)})
		case nil:
		default:
			n.fields = append(n.fields, field{prefix, fmt.Sprint(v)})
		}
	}
	walk("", m)
	return nil
}

var (
	openVPNUser = regexp.MustCompile(`username '([^']+)'|^([^/ ]+)/\d`)
	openVPNIP   = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+):\d+`)
	openVPNPool = regexp.MustCompile(`IPv4=(\S+),|Learn: (\S+) `)
	asaID       = regexp.MustCompile(`%ASA-\d-(\d+)`)
	asaUser     = regexp.MustCompile(`User <([^>]+)>|(?:user|Username) = ([^ ,]+)`)
	asaIP       = regexp.MustCompile(` IP <([^>]+)>|(?:user IP| IP) = ([0-9.]+)`)
	asaPool     = regexp.MustCompile(`IPv4 Address <([^>]+)>`)
	asaGroup    = regexp.MustCompile(`Group <([^>]+)>|Group = ([^,]+)`)
	asaEnds     = regexp.MustCompile(`outside:([0-9a-f.:]+)/\d+.*?inside:([0-9a-f.:]+)/(\d+)`)
	fortiPair   = regexp.MustCompile(`\b(srcip|dstip|dstport|action|service|policyid|trandisp|transip|srcintf)="?([^" ]+)`)
	fortiHour   = regexp.MustCompile(` time=(\d\d):`)
	asaTime     = regexp.MustCompile(`\d{4} (\d\d):\d\d:\d\d`)
)

func (n *native) take(name string, re *regexp.Regexp, text string) {
	if m := re.FindStringSubmatch(text); m != nil {
		for _, v := range m[1:] {
			if v != "" {
				n.fields = append(n.fields, field{name, v})
				return
			}
		}
	}
}

// readLine takes apart the text logs of gateways: VPN sessions and what passes the firewall.
func (n *native) readLine(source, base, line string) {
	if base == "fortigate" {
		for _, m := range fortiPair.FindAllStringSubmatch(line, -1) {
			n.fields = append(n.fields, field{m[1], m[2]})
		}
		n.take("hour", fortiHour, line)
		return
	}
	if base == "asa" && source == "firewall" {
		n.take("event", asaID, line)
		if m := asaEnds.FindStringSubmatch(line); m != nil {
			n.fields = append(n.fields, field{"srcip", m[1]}, field{"dstip", m[2]}, field{"dstport", m[3]})
		}
		n.take("hour", asaTime, line)
		return
	}
	if base == "asa" {
		n.take("event", asaID, line)
		n.take("user", asaUser, line)
		n.take("ip", asaIP, line)
		n.take("pool", asaPool, line)
		n.take("group", asaGroup, line)
		n.take("hour", asaTime, line)
		return
	}
	if len(line) < 20 {
		return
	}
	text := line[20:]
	n.fields = append(n.fields, field{"hour", line[11:13]})
	n.take("user", openVPNUser, text)
	n.take("ip", openVPNIP, text)
	n.take("pool", openVPNPool, text)
	for _, w := range []string{"Initial packet", "authentication succeeded", "Peer Connection", "pool returned", "Learn:", "primary virtual", "PUSH_REQUEST", "exiting", "verification failed"} {
		if strings.Contains(text, w) {
			n.fields = append(n.fields, field{"event", w})
			break
		}
	}
}

func readCSV(f io.Reader, yield func(*native) error) error {
	r := csv.NewReader(f)
	names, err := r.Read()
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		rec := &native{source: "vpn/globalprotect", number: n}
		for i, v := range row {
			if v != "" {
				rec.fields = append(rec.fields, field{names[i], v})
			}
		}
		rec.setHour()
		if err := yield(rec); err != nil {
			return err
		}
	}
}

var (
	mailAddress = regexp.MustCompile(`<([^>]+)>`)
	mailLink    = regexp.MustCompile(`https?://[^\s"<]+`)
	mailFrom    = regexp.MustCompile(`^from (\S+) \(\S+ \[([0-9.]+)\]\)`)
	mailDMARC   = regexp.MustCompile(`dmarc=(\w+)`)
)

func readMail(b []byte) *native {
	n := &native{source: "mail", number: 1}
	head, body, _ := bytes.Cut(b, []byte("\n\n"))
	text := strings.ReplaceAll(string(head), "\n\t", " ")
	for _, line := range strings.Split(text, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Received":
			if m := mailFrom.FindStringSubmatch(value); m != nil {
				n.fields = append(n.fields, field{"helo", m[1]}, field{"ip", m[2]})
			}
		case "Authentication-Results":
			n.take("dmarc", mailDMARC, value)
		case "From", "Return-Path":
			n.take(name, mailAddress, value)
		case "Subject", "To", "Precedence":
			n.fields = append(n.fields, field{name, value})
		case "Date":
			if i := strings.IndexByte(value, ':'); i > 1 {
				n.hour = value[i-2 : i]
			}
		}
	}
	body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("=\n"), nil), []byte("=3D"), []byte("=")) // quoted-printable, as far as links go
	link := "no"
	if m := mailLink.Find(body); m != nil {
		link = "yes"
		if u, err := url.Parse(string(m)); err == nil {
			n.fields = append(n.fields, field{"link host", u.Host})
		}
	}
	n.fields = append(n.fields, field{"link", link})
	return n
}

// setHour finds the hour of the day in the record's own time field.
func (n *native) setHour() {
	if n.source == "github/audit" { // milliseconds since 1970
		if ms, err := strconv.ParseInt(n.get("created_at"), 10, 64); err == nil {
			n.hour = fmt.Sprintf("%02d", ms/3_600_000%24)
		}
		return
	}
	for _, name := range []string{"hour", "@timestamp", "published", "eventTime", "createdDateTime", "activityDateTime", "CreationTime", "time", "EventTime", "Receive Time"} {
		v := n.get(name)
		if len(v) >= 13 {
			n.hour = v[11:13]
			return
		}
		if v != "" {
			n.hour = v
			return
		}
	}
	if ts, _, ok := strings.Cut(n.get("ts"), "."); ok {
		var secs int64
		if _, err := fmt.Sscan(ts, &secs); err == nil {
			n.hour = fmt.Sprintf("%02d", secs/3600%24)
		}
	}
}
