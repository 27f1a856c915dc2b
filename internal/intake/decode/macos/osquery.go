package macos

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// isOSQuery matches a row of a result log: the query's name, the host and the row's columns.
func isOSQuery(o *decode.JSON) bool {
	return o.Has("columns") && o.Has("hostIdentifier") && o.Has("name") && (o.Has("unixTime") || o.Has("calendarTime"))
}

func osquery(o *decode.JSON, e *ocsf.Event) error {
	at, err := rowTime(o)
	if err != nil {
		return err
	}
	e.Time, e.Layer, e.Class, e.Activity, e.Source = at, tenant.LayerEndpoint, ocsf.ClassBase, "row", "osquery/row"
	e.Device = strings.ToLower(o.First("decorations.hostname", "decorations.host_name", "hostIdentifier"))
	if short, _, ok := strings.Cut(e.Device, "."); ok && short != "" {
		e.Device = short
	}
	row := &row{adding: &adding{e: e}, o: o}
	if o.Str("action") == "removed" { // a row that a state query no longer returns, not an act
		return nil
	}
	switch {
	case row.has("cmdline") && row.has("path") && row.has("pid"):
		row.started()
	case row.has("remote_address") && row.has("action"):
		row.socket()
	case row.has("target_path") || row.has("filename") && row.has("event_type"):
		row.file()
	}
	row.done()
	return nil
}

// rowTime prefers the time of the act, which event tables have, over that of the query.
func rowTime(o *decode.JSON) (at time.Time, err error) {
	if t, ok := decode.ParseTime(o.Str("columns.time")); ok {
		return t, nil
	}
	if t, ok := decode.ParseTime(o.Str("unixTime")); ok {
		return t, nil
	}
	if o.First("unixTime") == "" {
		return at, errors.New("no time: neither columns.time nor unixTime is there")
	}
	return at, errors.New("unixTime is not a time between 1971 and 2099")
}

// row is one row of one of the event tables.
type row struct {
	*adding
	o *decode.JSON
}

func (r *row) has(column string) bool { return r.o.Has("columns." + column) }

func (r *row) s(columns ...string) string {
	for _, c := range columns {
		if v := r.o.First("columns." + c); v != "" {
			return v
		}
	}
	return ""
}

// product tells macOS from Linux: by what the host says of itself, by columns that one of the two alone has, else by
// folders that macOS alone has.
func (r *row) product() string {
	platform := strings.ToLower(r.o.First("decorations.platform", "decorations.os_platform", "decorations.platform_like"))
	switch {
	case platform == "darwin" || strings.Contains(platform, "mac"):
		return "macos"
	case platform != "":
		return "linux"
	case r.has("signing_id") || r.has("team_id") || r.has("cdhash") || r.has("platform_binary"):
		return "macos"
	case r.has("syscall") || r.has("fsuid") || r.has("cgroup_id") || r.has("ntime"):
		return "linux"
	}
	for _, path := range [...]string{r.s("path"), r.s("cwd"), r.s("target_path"), r.s("filename")} {
		for _, root := range [...]string{"/System/", "/Applications/", "/Library/", "/Users/", "/private/"} {
			if strings.HasPrefix(strings.Trim(path, `"`), root) {
				return "macos"
			}
		}
	}
	return "linux"
}

func (r *row) started() {
	e := r.e
	switch kind := r.s("event_type"); kind {
	case "", "exec":
	default: // fork, exit
		e.Source, e.Class, e.Activity = r.product()+"/process_"+kind, ocsf.ClassProcessActivity, kind
		return
	}
	r.is(r.product()+"/process_creation", ocsf.ClassProcessActivity, "launch")
	e.User = user(r.s("username"), r.s("euid", "uid"))
	e.Actor = login(r.o, "columns.auid")
	e.Process = &ocsf.Process{Image: r.s("path"), CommandLine: r.s("cmdline"), PID: r.s("pid")}
	e.Status = ocsf.StatusSuccess
	r.process()
	r.add("ParentProcessId", r.s("parent", "ppid"))
	r.add("CurrentDirectory", strings.Trim(r.s("cwd"), `"`))
	r.add("LogonId", r.s("uid"))
}

func (r *row) file() {
	path := r.s("dest_path", "dest_filename", "target_path", "filename")
	category, activity := "file_change", "update"
	switch strings.ToLower(r.s("action", "event_type")) {
	case "created", "create", "moved_to", "rename":
		category, activity = "file_event", "create"
	case "deleted", "unlink":
		category, activity = "file_delete", "delete"
	}
	r.is(r.product()+"/"+category, ocsf.ClassFileActivity, activity)
	r.e.File = &ocsf.File{Path: path}
	if sum := r.s("sha256"); sum != "" {
		r.e.File.Hashes = []string{"SHA256=" + sum}
	}
	if image := r.s("path", "executable"); image != "" {
		r.e.Process = &ocsf.Process{Image: image, PID: r.s("pid")}
	}
	r.process()
	r.add("TargetFilename", path)
}

func (r *row) socket() {
	e := r.e
	r.is(r.product()+"/network_connection", ocsf.ClassNetworkActivity, "open")
	e.Process = &ocsf.Process{Image: r.s("path"), PID: r.s("pid")}
	e.User = user("", r.s("auid", "uid"))
	remote, local := endpoint(r.s("remote_address"), r.s("remote_port")), endpoint(r.s("local_address"), r.s("local_port"))
	e.Src, e.Dst = local, remote
	out := r.s("action") == "connect"
	if !out {
		e.Src, e.Dst = remote, local
		if r.s("action") != "accept" {
			e.Activity = r.s("action")
		}
	}
	switch r.s("status", "success") {
	case "succeeded", "1":
		e.Status = ocsf.StatusSuccess
	case "failed", "0":
		e.Status = ocsf.StatusFailure
	}
	r.process()
	if e.Dst.IP.IsValid() {
		r.add("DestinationIp", e.Dst.IP.String())
		r.add("DestinationPort", strconv.Itoa(int(e.Dst.Port)))
	}
	if e.Src.IP.IsValid() {
		r.add("SourceIp", e.Src.IP.String())
	}
	r.add("Initiated", strconv.FormatBool(out))
}

func endpoint(ip, port string) (out ocsf.Endpoint) {
	if a, err := netip.ParseAddr(ip); err == nil && !a.IsUnspecified() {
		out.IP = a.Unmap().WithZone("")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err == nil {
		out.Port = uint16(n)
	}
	return out
}
