package lateral

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// DisarmedFor is how long after a host's protection was stopped in somebody's session a program that comes to it belongs
// to that.
const DisarmedFor = 30 * time.Minute

// disarmed looks for somebody who comes to a host from another, stops its protection and brings a program (ATT&CK
// T1562.001; the intruders at a support outsourcer in January 2022 began so). Updates stop protection, too, and people
// download programs: it weighs where both happen while one who came from another host is at work.
func (d *Detector) disarmed(e *ocsf.Event, emit detect.Emit) {
	if e.Layer != tenant.LayerEndpoint || e.Device == "" {
		return
	}
	what, stopped := stopsProtection(e)
	program := ""
	if !stopped {
		if program = brought(e); program == "" {
			return
		}
	}
	a := &act{event: e, target: host{Name: short(e.Device)}, account: person(e.User.Name)}
	d.complete(e.Tenant, &a.target)
	s := d.stands(a, a.target, false)
	if s == nil {
		return
	}
	if stopped {
		if l := s.atWork(e.Time); l != nil {
			l.Disarmed = e.Time.UnixNano()
			d.disarm(a, s, l, what, emit)
		}
		return
	}
	for i := range s.Landings { // who brought it is gone perhaps, the protection still off
		l := &s.Landings[i]
		if l.Disarmed == 0 || e.Time.UnixNano()-l.Disarmed > int64(DisarmedFor) {
			continue
		}
		if o := d.s.Found[l.DisarmFinding]; o != nil {
			o.Brought++
			o.Signs++
			o.Last = max(o.Last, e.Time.UnixNano())
			o.Finding.AddEvidence(e)
			o.Details = worded(o.Details, base(program), 4)
			d.grown(o, emit)
		}
	}
}

// atWork is the last who came to the host from another and is still there.
func (s *source) atWork(at time.Time) *landing {
	var best *landing
	for i := range s.Landings {
		l := &s.Landings[i]
		if l.Until >= at.UnixNano() && l.Start <= at.UnixNano() && l.How != byConsole && l.From.known() && (best == nil || l.Start >= best.Start) {
			best = l
		}
	}
	return best
}

// disarm opens the finding of a landing in which protection was stopped, or adds to it.
func (d *Detector) disarm(a *act, s *source, l *landing, what string, emit detect.Emit) {
	e := a.event
	from, _ := l.From.keys()
	to, _ := s.Host.keys()
	o := d.s.Found[l.DisarmFinding]
	if o == nil {
		f := &ocsf.Finding{Tenant: e.Tenant, Trust: l.Who.Trust, Partner: l.Who.Partner, Layer: e.Layer, Detector: d.Name(), Rule: "lateral/disarmed"}
		f.Identify(time.Unix(0, l.Start), to, from)
		o = &open{Finding: f, Kind: kindDisarm, Source: l.From.String(), Landed: l.How.String(), Opener: l.Account, Warm: true}
		o.ends(l.From, s.Host)
		o.target(s.Host)
		o.actor(l.Account)
		if l.Account != l.Who.Account {
			o.actor(l.Who.Account)
		}
		if l.Event != nil {
			f.AddEvidence(l.Event)
		}
		o.HabitDays = d.practise(e.Time, false, "disarm", string(e.Tenant), to, from).before(e.Time)
		l.DisarmFinding = f.ID
		d.open(o, emit)
	}
	o.Signs++
	o.Last = max(o.Last, e.Time.UnixNano())
	o.Finding.AddEvidence(e)
	o.Used = what
	x := *a
	x.source = l.From
	d.explainBy(o, &x)
	d.grown(o, emit)
}

func (o *open) aloneDisarm() (ocsf.Severity, int, ocsf.Outcome) {
	switch {
	case o.Brought > 0 && o.HabitDays < HabitDays:
		return ocsf.SeverityMedium, 55, ocsf.OutcomeSucceeded
	case o.Brought > 0:
		return ocsf.SeverityLow, 40, ocsf.OutcomeSucceeded
	}
	return ocsf.SeverityInformational, 30, ocsf.OutcomeSucceeded
}

func (o *open) disarmReason(b *strings.Builder) {
	fmt.Fprintf(b, "Somebody came from %s to %s by %s", o.Source, words(o.Targets, o.More), o.Landed)
	if o.Opener != "" {
		fmt.Fprintf(b, " as %s", o.Opener)
	}
	fmt.Fprintf(b, ", and while they were at work the protection of that host was stopped (%s).", o.Used)
	if o.Brought > 0 {
		fmt.Fprintf(b, " Within %s a program came to it (%s; %s).", DisarmedFor, strings.Join(o.Details, ", "), times(o.Brought))
	}
	switch {
	case o.HabitDays >= HabitDays:
		fmt.Fprintf(b, " It is a habit: the same was seen on %s before.", days(o.HabitDays))
	case o.HabitDays > 0:
		fmt.Fprintf(b, " The same was seen on %s before; %d days make a habit.", days(o.HabitDays), HabitDays)
	}
}

// protection are words of the names that makers give to what protects a host. A word counts as a whole.
var protection = []string{"antivirus", "antimalware", "defender", "windefend", "sense", "edr", "xdr", "sentinel", "sentinelone", "crowdstrike", "falcon", "csfalconservice",
	"cylance", "cylancesvc", "sophos", "symantec", "mcafee", "trellix", "kaspersky", "eset", "ekrn", "bitdefender", "malwarebytes", "mbamservice", "cybereason", "webroot", "wrsa",
	"huntress", "huntressagent", "cbdefense", "carbonblack", "sysmon", "sysmon64", "wdnissvc", "mssense", "avast", "avira", "fireeye", "xagt", "tanium", "withsecure", "f-secure"}

// pairs are two words one after the other that do so together.
var pairs = []string{"endpoint protection", "endpoint security", "endpoint defense", "threat protection", "threat prevention", "carbon black", "trend micro", "cortex xdr", "elastic endpoint",
	"elastic defend", "anti virus", "anti malware", "virus protection"}

// protects reports whether a service's or program's name is that of something that protects a host.
func protects(name string) bool {
	list := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return r == ' ' || r == '.' || r == ',' || r == '(' || r == ')' || r == '"' || r == '\'' || r == '_' || r == '-'
	})
	if slices.ContainsFunc(list, func(w string) bool { return slices.Contains(protection, w) }) {
		return true
	}
	joined := strings.Join(list, " ")
	return slices.ContainsFunc(pairs, func(p string) bool { return strings.Contains(joined, p) })
}

// stopped are the words by which the service control manager says that a service was stopped or may not start any more,
// in the languages in which Windows says it most (events 7036 and 7040 write them into the record).
var stopped = []string{"stopped", "disabled", "beendet", "deaktiviert", "arrêté", "désactivé", "detenido", "deshabilitado", "arrestato", "interrotto", "disabilitato", "gestopt", "uitgeschakeld"}

// stopsProtection reports whether an event says that what protects the host was stopped, and what that was.
func stopsProtection(e *ocsf.Event) (what string, ok bool) {
	switch {
	case e.Source == "windows/system" && e.Class == ocsf.ClassWindowsService && e.Activity == "update":
		name, state := e.Fields.Value("param1"), e.Fields.Value("param2")
		if new := e.Fields.Value("param3"); new != "" {
			state = new // 7040: from the old way of starting to the new
		}
		return name, slices.Contains(stopped, strings.ToLower(strings.TrimSpace(state))) && protects(name)
	case e.Source == "windows/defender":
		// Microsoft Defender Antivirus events: 5001 real-time protection is off, 5010 and 5012 scanning is.
		switch e.Fields.Value("EventID") {
		case "5001", "5010", "5012":
			return "Microsoft Defender Antivirus", true
		}
	case e.Class == ocsf.ClassProcessActivity && e.Activity == "launch" && e.Process != nil:
		line := strings.ToLower(e.Process.CommandLine)
		switch base(e.Process.Image) {
		case "sc.exe", "net.exe", "net1.exe", "taskkill.exe":
			verb := strings.Contains(line, " stop ") || strings.Contains(line, " delete ") || strings.Contains(line, "disabled") || strings.Contains(line, "/im ")
			return base(e.Process.Image), verb && protects(line)
		case "powershell.exe", "pwsh.exe":
			off := strings.Contains(line, "set-mppreference") && strings.Contains(line, "-disable") && (strings.Contains(line, "true") || strings.Contains(line, " 1"))
			return "Set-MpPreference", off || strings.Contains(line, "stop-service") && protects(line)
		}
	}
	return "", false
}

// brought returns the program that came to a host where people put programs: a file that was made in a person's or a
// temporary folder.
func brought(e *ocsf.Event) string {
	if e.Class != ocsf.ClassFileActivity || e.File == nil || e.Activity != "create" {
		return ""
	}
	p := strings.ToLower(e.File.Path)
	switch p[strings.LastIndexByte(p, '.')+1:] {
	case "exe", "dll", "msi", "ps1", "bat", "cmd", "vbs", "hta", "scr", "sys", "js", "jar":
	default:
		return ""
	}
	for _, folder := range [...]string{`\users\`, `\temp\`, `\tmp\`, `\programdata\`, `\perflogs\`, `\$recycle.bin\`} {
		if strings.Contains(p, folder) {
			return p
		}
	}
	return ""
}
