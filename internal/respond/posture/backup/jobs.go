package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/platform/bounded"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// maxJobs bounds a JSON report in bytes; tables are read row by row.
const maxJobs = 64 << 20

// columnsOf are the names under which products report the parts of a job; the first that is there counts. Names are
// compared without case, spaces, dots and underscores.
var columnsOf = map[string][]string{
	"subject":  {"jobname", "job", "entityfriendlyname", "backupitem", "backupitemname", "workloadname", "backup-id", "backupid", "vmname", "guest", "vmid", "name", "workerid"},
	"machine":  {"machine", "vm", "host", "hostname", "protecteditem", "client", "backupid", "containername"},
	"result":   {"result", "status", "jobresult", "state", "jobstatus"},
	"started":  {"creationtime", "starttime", "start", "started", "begin", "starttimeutc", "backuptime", "backup-time"},
	"ended":    {"endtime", "end", "finished", "completiontime", "endtimeutc", "ended", "stop"},
	"seconds":  {"durationseconds", "durationinsecs", "duration"},
	"bytes":    {"backupsize", "size", "transferredsize", "dataadded", "backupsizeinbytes", "datatransferredbytes", "totalsize"},
	"problem":  {"reason", "error", "errorcode", "errormessage", "message", "details", "description"},
	"jobtype":  {"jobtype", "operation", "worker_type", "workertype", "type"},
	"verified": {"verification", "verificationstate"},
}

// results are words of products for how a job ended.
// Sources: Veeam's VBRBackupSession.Result (Success, Warning, Failed, None), Azure's job status (Completed,
// CompletedWithWarnings, Failed, Cancelled, InProgress), Proxmox's task status ("OK", "WARNINGS: n", an error's text).
var results = map[string]string{
	"success": "success", "completed": "success", "ok": "success", "succeeded": "success", "successful": "success",
	"warning": "warning", "completedwithwarnings": "warning", "warnings": "warning", "partial": "warning", "partiallysucceeded": "warning",
	"failed": "failure", "failure": "failure", "error": "failure", "cancelled": "failure", "canceled": "failure", "aborted": "failure", "missed": "failure",
	"none": "running", "inprogress": "running", "running": "running", "working": "running", "started": "running",
}

func plainName(s string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "_", "", ".", "", "(utc)", "utc", "[utc]", "utc").Replace(strings.TrimSpace(s)))
}

// jobProduct is a product whose reports are known by names that others don't have.
type jobProduct struct {
	name, about string
	marks       [][]string // every name of one of these lists is there
}

var jobProducts = []jobProduct{
	{"veeam", "sessions of Veeam Backup & Replication: Get-VBRBackupSession | Export-Csv or ConvertTo-Json", [][]string{{"jobname", "result", "creationtime", "endtime"}, {"jobname", "result", "creationtime", "jobtype"}}},
	{"azure-backup", "jobs of Azure Backup: az backup job list, or the portal's export as CSV", [][]string{{"entityfriendlyname", "operation", "status", "starttime"}, {"backupitem", "operation", "status", "starttime"}, {"workloadname", "operation", "status", "starttime"}}},
	{"proxmox-tasks", "tasks of Proxmox VE or Proxmox Backup Server: pvesh get /nodes/NODE/tasks --typefilter vzdump --output-format json, or proxmox-backup-manager task list --output-format json", [][]string{{"upid", "starttime", "status"}, {"upid", "starttime", "type"}}},
	{"proxmox-snapshots", "snapshots of Proxmox Backup Server: proxmox-backup-client snapshot list --output-format json", [][]string{{"backup-id", "backup-time", "backup-type"}}},
}

func (p *jobProduct) knows(names []string) bool {
	have := map[string]bool{}
	for _, n := range names {
		have[plainName(n)] = true
	}
	for _, list := range p.marks {
		all := true
		for _, n := range list {
			all = all && have[plainName(n)]
		}
		if all {
			return true
		}
	}
	return false
}

func jobFormats() []evidence.Format {
	var out []evidence.Format
	for i := range jobProducts {
		p := &jobProducts[i]
		out = append(out, evidence.Format{
			Name: p.name, About: p.about,
			Recognise: func(_ string, head []byte) bool {
				if names := namesOf(head); names != nil {
					return p.knows(names)
				}
				return p.knows(decode.HeaderOf(head))
			},
			Read: func(ctx context.Context, in evidence.Input, sink evidence.Sink) error { return p.read(ctx, in, sink) },
		})
	}
	return append(out, resticCheck)
}

// namesOf returns the names of the members of the first object in JSON, those of its properties included; nil where the
// text is no JSON.
func namesOf(head []byte) []string {
	dec := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))))
	var names []string
	type level struct {
		object bool
		key    bool
	}
	var open []level
	for n := 0; n < 2000; n++ {
		t, err := dec.Token()
		if err != nil {
			break
		}
		top := len(open) - 1
		if d, ok := t.(json.Delim); ok {
			switch d {
			case '{', '[':
				if top >= 0 {
					open[top].key = false
				}
				open = append(open, level{object: d == '{'})
			case '}', ']':
				open = open[:top]
				if len(names) > 3 && d == '}' && len(open) <= 1 {
					return names
				}
				if len(open) == 0 {
					return names
				}
			}
			continue
		}
		if top < 0 {
			return nil
		}
		if open[top].object && !open[top].key {
			names = append(names, fmt.Sprint(t))
			open[top].key = true
		} else {
			open[top].key = false
		}
	}
	return names
}

func (p *jobProduct) read(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
	first := make([]byte, 1)
	for { // the text's first character says what it is
		if _, err := io.ReadFull(in.Reader, first); err != nil {
			return evidence.ErrNotThis
		}
		if !strings.Contains(" \t\r\n\xef\xbb\xbf", string(first)) {
			break
		}
	}
	in.Reader = io.MultiReader(bytes.NewReader(first), in.Reader)
	if first[0] == '{' || first[0] == '[' {
		return p.readJSON(ctx, in, sink)
	}
	rows, err := decode.NewRows(in.Reader, sink.Bad)
	if errors.Is(err, decode.ErrNoHeader) {
		return evidence.ErrNotThis
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", in.Name, err)
	}
	header := rows.Header()
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		cells, line, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", in.Name, err)
		}
		fields := map[string]string{}
		for i, c := range cells {
			if name := plainName(header[i]); c != "" && fields[name] == "" {
				fields[name] = c
			}
		}
		if err := p.give(in, line, fields, sink); err != nil {
			return err
		}
	}
}

func (p *jobProduct) readJSON(ctx context.Context, in evidence.Input, sink evidence.Sink) error {
	raw, err := bounded.ReadAll(in.Reader, maxJobs)
	if err != nil {
		return fmt.Errorf("reading %s: %w", in.Name, err)
	}
	var list []map[string]any
	if err := json.Unmarshal(raw, &list); err != nil {
		var one map[string]any
		if json.Unmarshal(raw, &one) != nil {
			return fmt.Errorf("reading %s as a report of jobs: %w", in.Name, err)
		}
		list = []map[string]any{one}
		for _, name := range [...]string{"data", "value"} { // Proxmox's API and Azure's wrap their lists
			if inner, ok := one[name].([]any); ok {
				list = nil
				for _, x := range inner {
					m, _ := x.(map[string]any)
					list = append(list, m)
				}
			}
		}
	}
	for i, one := range list {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		fields := map[string]string{}
		flatten(fields, one, 0)
		if err := p.give(in, int64(i+1), fields, sink); err != nil {
			return err
		}
	}
	return nil
}

// flatten takes an object's members; those of objects within it, such as Azure's properties, by their own names.
func flatten(into map[string]string, object map[string]any, depth int) {
	for name, v := range object {
		name = plainName(name)
		switch v := v.(type) {
		case string:
			into[name] = v
		case float64:
			into[name] = strconv.FormatFloat(v, 'f', -1, 64)
		case bool:
			into[name] = strconv.FormatBool(v)
		case map[string]any:
			if inner, ok := v["Value"].(string); ok { // PowerShell writes enumerations so
				into[name] = inner
			} else if depth < 3 {
				inner := map[string]string{}
				flatten(inner, v, depth+1)
				for k, x := range inner {
					if _, ok := into[k]; !ok {
						into[k] = x
					}
				}
			}
		}
	}
}

func field(fields map[string]string, part string) string {
	for _, n := range columnsOf[part] {
		if v := strings.TrimSpace(fields[plainName(n)]); v != "" {
			return v
		}
	}
	return ""
}

// give makes a fact of a job.
func (p *jobProduct) give(in evidence.Input, record int64, fields map[string]string, sink evidence.Sink) error {
	if len(fields) == 0 {
		sink.Bad(record, "no job")
		return nil
	}
	item := evidence.Item{Tenant: in.Tenant, Kind: KindJob, From: evidence.Origin{File: in.Name, Line: record}}
	v := map[string]any{"product": strings.TrimSuffix(strings.TrimSuffix(p.name, "-tasks"), "-snapshots")}
	item.Subject = field(fields, "subject")
	if p.name == "proxmox-tasks" && fields["id"] != "" {
		item.Subject = fields["id"]
	}
	if item.Subject == "" || len(item.Subject) > 300 {
		sink.Bad(record, "a job without a name")
		return nil
	}
	for _, part := range [...]string{"ended", "started"} {
		if t, ok := jobTime(field(fields, part)); ok && item.At.IsZero() {
			item.At = t
		}
	}
	if item.At.IsZero() {
		sink.Bad(record, "a job without a time")
		return nil
	}
	switch text := field(fields, "result"); {
	case p.name == "proxmox-snapshots": // a snapshot that is listed is there
		v["result"] = "success"
		if strings.EqualFold(fields["state"], "failed") {
			v["result"], v["problem"] = "failure", "its verification failed"
		}
	case text == "" && p.name == "proxmox-tasks":
		v["result"] = "running"
	default:
		word, _, _ := strings.Cut(strings.ToLower(strings.NewReplacer(" ", "", "_", "").Replace(text)), ":")
		result, ok := results[word]
		if !ok && p.name == "proxmox-tasks" { // an error's own words
			result, ok = "failure", true
			v["problem"] = lastWords(text)
		}
		if !ok {
			sink.Bad(record, fmt.Sprintf("%q does not say how the job ended", lastWords(text)))
			return nil
		}
		v["result"] = result
	}
	if n, err := strconv.ParseFloat(field(fields, "bytes"), 64); err == nil && n >= 0 && n < math.MaxInt64 {
		v["bytes"] = int64(n)
	}
	start, ok1 := jobTime(field(fields, "started"))
	end, ok2 := jobTime(field(fields, "ended"))
	if ok1 && ok2 && !end.Before(start) {
		v["seconds"] = end.Sub(start).Seconds()
	}
	if m := field(fields, "machine"); m != "" && m != item.Subject && len(m) <= 300 {
		v["machine"] = m
	}
	if text := field(fields, "problem"); text != "" && v["problem"] == nil && v["result"] != "success" {
		v["problem"] = lastWords(text)
	}
	item.Values = v
	return sink.Item(item)
}

// jobTime reads a time, also Unix seconds and what PowerShell 5 makes of a date in JSON.
func jobTime(text string) (time.Time, bool) {
	if ms, ok := strings.CutPrefix(text, "/Date("); ok {
		n, err := strconv.ParseInt(strings.TrimSuffix(ms, ")/"), 10, 64)
		t := time.UnixMilli(n).UTC()
		return t, err == nil && t.Year() > 1971 && t.Year() < 2100
	}
	if t, ok := decode.ParseTime(text); ok {
		return t, true
	}
	for _, layout := range [...]string{"02.01.2006 15:04:05", "2006-01-02 15:04", "2 Jan 2006 15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// integrityErrors is a count of damaged chunks that is not 0.
var integrityErrors = regexp.MustCompile(`[1-9][0-9]* integrity error`)

// resticCheck is the output of a program's own check, kept in a file. Whether it read the data stands in it: restic says
// "read all data" or "read 5.0% of data packs", borg "Verifying data" or "Completed cryptographic data integrity
// verification". Without, it looked at the index alone.
var resticCheck = evidence.Format{
	Name:  "backup-check",
	About: "what restic check or borg check -v --verify-data wrote, kept in a file",
	Recognise: func(_ string, head []byte) bool {
		return bytes.Contains(head, []byte("check snapshots, trees and blobs")) || bytes.Contains(head, []byte("Starting repository check"))
	},
	Read: func(_ context.Context, in evidence.Input, sink evidence.Sink) error {
		raw, err := bounded.ReadAll(in.Reader, maxOutput)
		if err != nil {
			return fmt.Errorf("reading %s: %w", in.Name, err)
		}
		text := string(raw)
		has := func(words ...string) bool {
			for _, w := range words {
				if strings.Contains(text, w) {
					return true
				}
			}
			return false
		}
		v := map[string]any{"tool": "restic"}
		if has("Starting repository check") {
			v["tool"] = "borg"
			v["read_data"] = has("Starting cryptographic data integrity verification", "Finished cryptographic data integrity verification")
			v["ok"] = has("no problems found") && !has("IntegrityError", "errors found", "Data integrity error") && !integrityErrors.MatchString(text)
		} else {
			v["read_data"] = has("read all data", "data packs")
			v["ok"] = has("no errors were found") && !has("Fatal:", "error for tree", "Pack ID does not match")
		}
		return sink.Item(evidence.Item{Tenant: in.Tenant, Kind: KindCheck, Subject: stemOf(in.Name), At: in.At, From: evidence.Origin{File: in.Name, Line: 1}, Values: v})
	},
}

// stemOf is a file's name without folders, archive and extension.
func stemOf(name string) string {
	name = name[strings.LastIndexAny(name, `/\!`)+1:]
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		name = name[:i]
	}
	return name
}
