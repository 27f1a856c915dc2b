package lateral

import "github.com/breakwater-project/breakwater/internal/record/ocsf"

// manyHosts is how many new hosts somebody who landed must reach by connections alone, which do not tell who made them,
// for that to weigh.
const manyHosts = 5

// grade sets severity, confidence, outcome, rule and technique from what is known.
func (o *open) grade() {
	f := o.Finding
	sev, confidence, outcome := o.alone()
	together := 0
	for _, x := range [...]bool{o.Ran && o.Both, o.Switched && o.Kind != kindSwitch, o.Hopped && o.Kind != kindHop, o.Executed && o.Kind != kindExecution} {
		if x {
			together++
		}
	}
	if together > 0 && sev >= ocsf.SeverityLow && f.Suppressed == nil {
		// Each is done by honest people too; together they are the way of somebody who moves on.
		switch {
		case f.Partner != "" && (o.Kind != kindExecution || o.Both) && (sev >= ocsf.SeverityMedium || !o.Known):
			sev = ocsf.SeverityHigh
		case sev < ocsf.SeverityMedium:
			sev = ocsf.SeverityMedium
		}
		confidence = min(confidence+15, 90)
	}
	f.Severity, f.Confidence, f.Outcome = sev, confidence, outcome
	switch o.Kind {
	case kindExecution:
		f.Rule, f.Title, f.Technique = "lateral/remote-exec", "One host makes another execute something", o.way()
		if o.Both {
			f.Rule, f.Title, f.Technique = "lateral/admin-share-exec", "A file on an administrative share, and an order to execute on the same host", "T1021.002"
		}
	case kindSwitch:
		f.Title, f.Technique = "Within one session another account is used, on hosts new to it", "T1078"
	case kindHop:
		f.Title, f.Technique = "A session goes on from the host on which it landed", o.way()
		if len(o.Crossing) > 0 {
			f.Title, f.Technique = "A session goes on from the host on which it landed into somebody else's network", "T1199"
		}
	case kindDisarm:
		f.Title, f.Technique = "Protection was stopped in a session from another host", "T1562.001"
	case kindRelay:
		f.Title, f.Technique = "A host asks for the relay of a remote tool that is not sanctioned here", "T1219"
	}
}

// alone is what the finding weighs by itself.
func (o *open) alone() (ocsf.Severity, int, ocsf.Outcome) {
	switch o.Kind {
	case kindSwitch:
		return o.aloneSwitch()
	case kindHop:
		return o.aloneHop()
	case kindDisarm:
		return o.aloneDisarm()
	case kindRelay:
		sev := ocsf.SeverityInformational
		if o.Warm {
			sev = ocsf.SeverityLow
		}
		return sev, 30, ocsf.OutcomeUnknown
	}
	return o.aloneExecution()
}

func (o *open) aloneExecution() (ocsf.Severity, int, ocsf.Outcome) {
	partner := o.Finding.Partner != ""
	habit := o.HabitDays >= HabitDays
	outcome, confidence := ocsf.OutcomeAttempted, 40
	if o.Both {
		confidence = 60
	}
	if o.Writes > 0 {
		confidence += 15
	}
	if o.Made > 0 || o.Both && o.Writes > 0 {
		outcome = ocsf.OutcomeSucceeded
	}
	known := o.Known && o.HabitDays > 0
	switch {
	case o.Both && partner:
		switch {
		case !o.Warm || known || habit && o.HabitHosts >= HabitHosts:
			return ocsf.SeverityLow, confidence, outcome
		case o.HabitDays > 0 && o.Person > 0:
			return ocsf.SeverityLow, confidence, outcome // this person does it here, on one host more
		}
		return ocsf.SeverityMedium, confidence, outcome
	case partner:
		if known || habit {
			return ocsf.SeverityInformational, confidence, outcome
		}
		return ocsf.SeverityLow, confidence, outcome
	case o.Both:
		switch {
		case known || habit:
			return ocsf.SeverityInformational, confidence, outcome
		case o.Warm && o.HabitDays == 0:
			return ocsf.SeverityMedium, confidence, outcome
		}
		return ocsf.SeverityLow, confidence, outcome
	case o.Warm && o.HabitDays == 0 && !known:
		return ocsf.SeverityLow, confidence, outcome
	case o.Warm && !habit:
		return ocsf.SeverityInformational, confidence, outcome
	}
	return ocsf.SeverityUnknown, confidence, outcome // daily work, or nothing to compare with
}

func (o *open) aloneSwitch() (ocsf.Severity, int, ocsf.Outcome) {
	hosts := o.hosts()
	weighty := o.Privileged || o.Elsewhere > 0
	switch {
	case o.Declared:
		return ocsf.SeverityLow, 30, ocsf.OutcomeSucceeded
	case o.Finding.Partner != "" && o.Guessed:
		if o.Warm && o.Privileged {
			return ocsf.SeverityMedium, 40, ocsf.OutcomeSucceeded
		}
		return ocsf.SeverityLow, 30, ocsf.OutcomeSucceeded
	case o.Finding.Partner != "":
		switch {
		case o.Privileged && hosts >= 2 || o.Warm && weighty && hosts >= 2:
			return ocsf.SeverityHigh, 75, ocsf.OutcomeSucceeded
		case o.Warm || o.Privileged:
			return ocsf.SeverityMedium, 60, ocsf.OutcomeSucceeded
		}
		return ocsf.SeverityLow, 40, ocsf.OutcomeSucceeded
	case o.Warm && weighty && hosts >= 2:
		return ocsf.SeverityMedium, 50, ocsf.OutcomeSucceeded
	case o.Warm:
		return ocsf.SeverityLow, 40, ocsf.OutcomeSucceeded
	}
	return ocsf.SeverityUnknown, 0, ocsf.OutcomeSucceeded // nothing to compare with yet
}

func (o *open) aloneHop() (ocsf.Severity, int, ocsf.Outcome) {
	habit := o.HabitDays >= HabitDays
	switch {
	case o.Finding.Partner == "":
		if o.Warm && !habit && len(o.Linked) > 0 {
			return ocsf.SeverityInformational, 30, ocsf.OutcomeSucceeded
		}
		return ocsf.SeverityUnknown, 30, ocsf.OutcomeSucceeded
	case o.Jump && len(o.Crossing) == 0, habit && len(o.Crossing) == 0:
		return ocsf.SeverityLow, 40, ocsf.OutcomeSucceeded
	case len(o.Crossing) > 0 && o.Warm && !habit:
		return ocsf.SeverityMedium, 60, ocsf.OutcomeSucceeded
	case len(o.Crossing) > 0:
		return ocsf.SeverityLow, 50, ocsf.OutcomeSucceeded
	case len(o.Linked) > 0 && o.Warm && !o.ByTool: // beside a tool's operator there is who sits at the host
		return ocsf.SeverityMedium, 55, ocsf.OutcomeSucceeded
	case len(o.Linked) > 0:
		return ocsf.SeverityLow, 40, ocsf.OutcomeSucceeded
	case o.Warm && o.hosts() >= manyHosts:
		return ocsf.SeverityMedium, 40, ocsf.OutcomeSucceeded
	}
	return ocsf.SeverityUnknown, 30, ocsf.OutcomeSucceeded
}

// way is the technique of the mechanism that was seen most; of several the one named first among the mechanisms.
func (o *open) way() ocsf.Technique {
	best := byNone
	for m := byNone; m <= byConsole; m++ {
		if o.Ways[m] > o.Ways[best] {
			best = m
		}
	}
	return ways[best].technique
}
