package lateral

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// reason says in plain words what was seen, with the figures and limits that decided.
func (o *open) reason() string {
	var b strings.Builder
	switch o.Kind {
	case kindExecution:
		o.executionReason(&b)
	case kindSwitch:
		o.switchReason(&b)
	case kindHop:
		o.hopReason(&b)
	case kindDisarm:
		o.disarmReason(&b)
	case kindRelay:
		fmt.Fprintf(&b, "%s asked for %s, a relay of %s, %s; no trust of this tenant declares that tool, and nobody here was seen to ask for it before.", words(o.Targets, o.More), words(o.Details, 0), o.Used, times(o.Signs))
	}
	o.together(&b)
	for _, f := range o.Facts {
		b.WriteString(" " + f)
	}
	if !o.Warm {
		fmt.Fprintf(&b, " The tenant was watched for %s before, less than %s, so that being new means little yet.", span(o.Watched), WarmTime)
	}
	return b.String()
}

func (o *open) executionReason(b *strings.Builder) {
	b.WriteString(o.Source)
	switch {
	case o.Both && o.Writes > 0:
		fmt.Fprintf(b, " wrote to an administrative share of %s (%s)", words(o.Targets, o.More), times(o.Writes))
	case o.Both:
		fmt.Fprintf(b, " opened an administrative share of %s (%s)", words(o.Targets, o.More), times(o.Opened))
	default:
		fmt.Fprintf(b, " made %s execute something", words(o.Targets, o.More))
	}
	if o.Both {
		fmt.Fprintf(b, " and within %s made it execute something", Window)
	}
	fmt.Fprintf(b, " (%s; %s).", o.mechanisms(), times(o.Calls+o.Made))
	if len(o.Details) > 0 {
		fmt.Fprintf(b, " Seen: %s.", strings.Join(o.Details, ", "))
	}
	if len(o.Accounts) > 0 {
		fmt.Fprintf(b, " As %s.", strings.Join(o.Accounts, ", "))
	}
	if o.Made > 0 {
		b.WriteString(" The host's own log confirms it.")
	}
	whose, did := "this source", "this source"
	if o.Finding.Partner != "" {
		did = string(o.Finding.Partner)
		whose = "anybody of " + string(o.Finding.Partner)
	}
	switch {
	case o.HabitDays == 0:
		fmt.Fprintf(b, " It is the first day on which %s does it here by %s.", whose, o.Newest)
	case o.HabitDays >= HabitDays:
		fmt.Fprintf(b, " It is a habit: %s did it by %s on %s before, to %d hosts.", did, o.Newest, days(o.HabitDays), o.HabitHosts)
	default:
		fmt.Fprintf(b, " %s did it by %s on %s before, to %d hosts; %d days make a habit.", did, o.Newest, days(o.HabitDays), o.HabitHosts, HabitDays)
	}
	if o.Known && o.HabitDays > 0 {
		b.WriteString(" It was done to this host, too.")
	} else if o.HabitDays > 0 {
		b.WriteString(" To this host never.")
	}
	if o.Finding.Partner != "" && o.HabitDays > 0 && len(o.Accounts) > 0 {
		fmt.Fprintf(b, " This person gave such orders on %s before.", days(o.Person))
	}
	fmt.Fprintf(b, " %d other sources of this tenant do the same.", o.Others)
}

func (o *open) switchReason(b *strings.Builder) {
	fmt.Fprintf(b, "The session at %s was opened by %s", o.Source, o.Opener)
	if o.Guessed {
		b.WriteString(" (guessed: the first account seen from there)")
	}
	fmt.Fprintf(b, "; it then used %s on %s, which %s never reached before. The two accounts were never seen together.", o.Used, words(o.Targets, o.More), o.Opener)
	if o.Privileged {
		fmt.Fprintf(b, " %s is privileged.", o.Used)
	}
	if o.Elsewhere > 0 {
		fmt.Fprintf(b, " %s was used from %d other hosts before, from this one never.", o.Used, o.Elsewhere)
	}
	if o.Explicit {
		b.WriteString(" Its credentials were given explicitly.")
	}
}

func (o *open) hopReason(b *strings.Builder) {
	fmt.Fprintf(b, "%s landed on %s by %s", either(o.Opener, "Somebody"), o.Source, o.Landed)
	if o.From != "" {
		fmt.Fprintf(b, " from %s", o.From)
	}
	fmt.Fprintf(b, "; from there somebody reached %s (%s), where that host never was before.", words(o.Targets, o.More), o.mechanisms())
	if o.ByTool {
		b.WriteString(" Who sits at that host may have done it, too.")
	}
	if len(o.Linked) > 0 {
		fmt.Fprintf(b, " With the same account, or by a session: %s.", words(o.Linked, 0))
	} else {
		fmt.Fprintf(b, " The connections do not tell who made them; %d new hosts weigh.", manyHosts)
	}
	if len(o.Crossing) > 0 {
		fmt.Fprintf(b, " The way leads into %s.", strings.Join(o.Crossing, " and "))
	}
	switch {
	case o.HabitDays >= HabitDays:
		fmt.Fprintf(b, " It is a habit to go on from there: on %s before.", days(o.HabitDays))
	case o.HabitDays > 0:
		fmt.Fprintf(b, " Somebody went on from there on %s before; %d days make a habit.", days(o.HabitDays), HabitDays)
	}
}

// together names what else the source did.
func (o *open) together(b *strings.Builder) {
	var list []string
	if o.Ran && o.Both {
		list = append(list, fmt.Sprintf("at least %d hosts within %s, by somebody who never gave such orders here", RunHosts, RunTime))
	}
	if o.Switched && o.Kind != kindSwitch {
		list = append(list, "another account came into use")
	}
	if o.Hopped && o.Kind != kindHop {
		list = append(list, "it is reached by a session that goes on from it")
	}
	if o.Executed && o.Kind != kindExecution {
		list = append(list, "files were written to administrative shares and executed")
	}
	if len(list) > 0 {
		fmt.Fprintf(b, " In the same session from there: %s.", strings.Join(list, "; "))
	}
}

func (o *open) mechanisms() string {
	var list []string
	for m := byNone; m <= byConsole; m++ {
		if o.Ways[m] > 0 {
			list = append(list, m.String())
		}
	}
	return strings.Join(list, ", ")
}

func words(list []string, more int) string {
	if len(list) > 6 {
		more, list = more+len(list)-6, slices.Clone(list[:6])
	}
	out := strings.Join(list, ", ")
	if more > 0 {
		out += fmt.Sprintf(" and %d more", more)
	}
	return out
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func days(n int) string {
	switch n {
	case 0:
		return "no day"
	case 1:
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

func span(ns int64) string {
	if ns < int64(time.Minute) {
		return "less than a minute"
	}
	return time.Duration(ns).Round(time.Minute).String()
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
