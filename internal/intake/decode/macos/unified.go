package macos

import (
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// isUnified matches an entry of the unified log.
func isUnified(o *decode.JSON) bool {
	return o.Has("eventMessage") && o.Has("processImagePath") && o.Has("timestamp")
}

// unifiedTime is how log(1) writes times, with the zone of the host: 2026-09-21 10:00:00.000000+0200.
const unifiedTime = "2006-01-02 15:04:05.999999999-0700"

func unified(o *decode.JSON, e *ocsf.Event) error {
	at, err := time.Parse(unifiedTime, o.Str("timestamp"))
	if err == nil && at.Year() >= 1971 && at.Year() < 2100 {
		e.Time = at.UTC()
	} else if e.Time, err = o.Time("timestamp"); err != nil {
		return err
	}
	e.Layer, e.Source, e.Class, e.Activity = tenant.LayerEndpoint, "macos/unified", ocsf.ClassBase, "log"
	e.Process = &ocsf.Process{Image: o.First("processImagePath"), PID: o.First("processID")}
	if uid := o.First("userID"); uid != "" {
		e.User = user("", uid)
	}
	a := &adding{e: e}
	a.add("Image", e.Process.Image)
	a.add("ProcessId", e.Process.PID)
	if strings.HasSuffix(e.Process.Image, "/sudo") {
		a.sudoLine(o.Str("eventMessage"))
	}
	a.done()
	return nil
}

// sudoLine reads what sudo logs: "   ana : TTY=ttys001 ; PWD=/Users/ana ; USER=root ; COMMAND=/bin/ls".
func (a *adding) sudoLine(message string) {
	who, rest, ok := strings.Cut(message, " : ")
	if !ok || !strings.Contains(rest, "COMMAND=") {
		return
	}
	a.e.Actor.Name = strings.TrimSpace(who)
	for rest != "" {
		var pair string
		if strings.HasPrefix(rest, "COMMAND=") { // the last, and it may hold the mark
			pair, rest = rest, ""
		} else {
			pair, rest, _ = strings.Cut(rest, " ; ")
		}
		switch key, value, _ := strings.Cut(pair, "="); key {
		case "USER":
			a.e.User = ocsf.User{Name: value}
			a.add("USER", value)
		case "PWD":
			a.add("PWD", value)
		case "COMMAND":
			a.e.Activity = "sudo"
			a.e.Process.CommandLine = value
			a.add("COMMAND", value)
		}
	}
}
