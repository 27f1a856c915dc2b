package posture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

// Bounds of one judgement.
const (
	maxTime     = 30 * time.Second // for one control of one tenant
	maxTogether = 20_000           // facts that an expression over all of them sees
	maxKept     = 1000             // facts that a result keeps, the worst first
	clockSlack  = 24 * time.Hour   // by which a fact may be dated ahead of now
)

// Judged is one fact under a control.
type Judged struct {
	Item      *evidence.Item
	Status    Status
	Says      string // why it fails, or why it cannot be told; empty for a pass
	Exception *Exception
}

// Result is what one control comes to for one tenant.
type Result struct {
	Control    *Control
	Status     Status
	Reason     string // in one line
	Settings   map[string]any
	Items      []Judged       // the worst first, at most 1000
	Counts     map[Status]int // of all facts that counted
	Ignored    int            // facts that newer ones about the same subject replaced, or that are past
	Oldest     time.Time      // of the facts that counted; zero without any that says when it was
	Newest     time.Time
	Exceptions []Exception // that excuse something here
	Lapsed     []Exception // that have expired and would have excused something
}

// judgement is the work on one control for one tenant.
type judgement struct {
	c        *Control
	t        tenant.Tenant
	settings map[string]any
	now      time.Time
	live     []Exception
	lapsed   []Exception
	res      *Result
}

// judge holds the facts against the control. The items are those of its kinds. The error is the context's alone.
func (c *Control) judge(ctx context.Context, t tenant.Tenant, settings map[string]any, exceptions []Exception, items []*evidence.Item, now time.Time) (*Result, error) {
	j := &judgement{c: c, t: t, settings: settings, now: now.UTC(), res: &Result{Control: c, Settings: settings, Counts: map[Status]int{}}}
	for _, e := range exceptions {
		if now.Before(e.Expires) {
			j.live = append(j.live, e)
		} else {
			j.lapsed = append(j.lapsed, e)
		}
	}
	inner, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	err := j.run(inner, items)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("judging %s: %w", c.ID, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		j.res.Status, j.res.Reason = Unknown, fmt.Sprintf("it was not judged within %s", maxTime)
	case err != nil:
		return nil, fmt.Errorf("judging %s: %w", c.ID, err)
	}
	j.finish()
	return j.res, nil
}

func (j *judgement) vars() map[string]any {
	return map[string]any{
		"tenant":   &celTenant{string(j.t.ID), j.t.Name, string(j.t.Role)},
		"now":      j.now,
		"settings": j.settings,
	}
}

func (j *judgement) run(ctx context.Context, items []*evidence.Item) error {
	vars := j.vars()
	concerned, open, err := j.concerned(ctx, vars, items)
	if err != nil {
		return err
	}
	kept := j.counting(concerned)
	j.res.Ignored = len(concerned) - len(kept)
	for _, i := range open {
		j.add(i.Item, Unknown, i.Says)
	}
	switch {
	case len(kept) == 0 && len(open) == 0 && len(concerned) > 0: // counts: recent
		for _, i := range concerned {
			j.date(i)
		}
		j.res.Status = Stale
		j.res.Reason = fmt.Sprintf("the newest evidence is %s old, and %s are taken", ageText(j.now.Sub(j.res.Newest)), ageText(j.c.Fresh))
		return nil
	case len(kept) == 0 && len(open) == 0:
		j.none(items)
		return nil
	case j.c.require != nil:
		return j.each(ctx, vars, kept)
	}
	return j.together(ctx, vars, kept)
}

// concerned picks the facts that where names. Those of which it cannot be told are open.
func (j *judgement) concerned(ctx context.Context, vars map[string]any, items []*evidence.Item) (in []*evidence.Item, open []Judged, err error) {
	if j.c.where == nil {
		return items, nil, nil
	}
	var one celItem
	for _, i := range items {
		vars["item"] = one.of(i)
		yes, err := j.c.where.holds(ctx, vars)
		if reason, ok := isMissing(err); ok {
			open = append(open, Judged{Item: i, Says: "it cannot be told whether this is concerned: " + reason})
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if yes {
			in = append(in, i)
		}
	}
	return in, open, nil
}

// none says what it means that no fact is concerned.
func (j *judgement) none(items []*evidence.Item) {
	if !j.c.NonePass || len(items) == 0 {
		j.res.Status, j.res.Reason = Unknown, "no evidence of "+strings.Join(j.c.Reads, " or ")
		if len(items) > 0 {
			j.res.Reason = fmt.Sprintf("no fact concerns it, of %d that were looked at", len(items))
		}
		return
	}
	for _, i := range items {
		j.date(i)
	}
	j.res.Status, j.res.Reason = Pass, fmt.Sprintf("no fact shows what it looks for, of %d that were looked at", len(items))
	switch {
	case j.res.Newest.IsZero():
		j.res.Status, j.res.Reason = Unknown, "no evidence says when it was true"
	case unread(items, j.old) != nil:
		j.res.Status, j.res.Reason = Unknown, "no fact shows what it looks for, but "+partial(unread(items, j.old))
	case j.now.Sub(j.res.Newest) > j.c.Fresh:
		j.res.Status = Stale
		j.res.Reason = fmt.Sprintf("the newest evidence is %s old, and %s are taken", ageText(j.now.Sub(j.res.Newest)), ageText(j.c.Fresh))
	}
}

// unread returns a fact of a file that was not read whole, among those that no newer fact of the same matter replaces
// and that are not old; nil: there is none.
func unread(items []*evidence.Item, old func(*evidence.Item) bool) *evidence.Item {
	list := slices.Clone(items)
	inOrder(list) // of each matter the newest comes first
	for n, i := range list {
		if (n == 0 || !sameMatter(list[n-1], i)) && (i.From.Cut || i.From.LeftOut > 0) && !old(i) {
			return i
		}
	}
	return nil
}

// partial says what was not read of a fact's file.
func partial(i *evidence.Item) string {
	if i.From.Cut {
		return oneLine(i.From.File) + " was not read to its end"
	}
	return fmt.Sprintf("%s of %s could not be read", plural(int(i.From.LeftOut), "record"), oneLine(i.From.File))
}

// counting leaves the facts that count, by the control's way of counting.
func (j *judgement) counting(items []*evidence.Item) []*evidence.Item {
	if j.c.Counts == CountRecent {
		return slices.DeleteFunc(slices.Clone(items), func(i *evidence.Item) bool { return j.old(i) })
	}
	// In order, the facts of one matter lie together, and nothing need be remembered of the others.
	kept := slices.Clone(items)
	inOrder(kept)
	out := kept[:0]
	for at := 0; at < len(kept); {
		end := at + 1
		for end < len(kept) && sameMatter(kept[at], kept[end]) {
			end++
		}
		var newest time.Time
		for _, i := range kept[at:end] {
			if i.At.After(newest) && !j.ahead(i) {
				newest = i.At
			}
		}
		for _, i := range kept[at:end] {
			if !i.At.Before(newest) || j.c.Counts != CountLatest && !i.At.IsZero() && !j.old(i) {
				out = append(out, i)
			}
		}
		at = end
	}
	return out
}

// sameMatter reports whether two facts are of what facts may be replaced within.
func sameMatter(a, b *evidence.Item) bool {
	return a.Subject == b.Subject && a.Kind == b.Kind && a.Partner == b.Partner && a.Trust == b.Trust
}

func (j *judgement) old(i *evidence.Item) bool {
	return !i.At.IsZero() && j.now.Sub(i.At) > j.c.Fresh
}

func (j *judgement) ahead(i *evidence.Item) bool { return i.At.Sub(j.now) > clockSlack }

// dated says what a fact's date makes of a pass.
func (j *judgement) dated(i *evidence.Item) (Status, string) {
	switch {
	case i.At.IsZero():
		return Unknown, "the evidence does not say when it was true"
	case j.ahead(i):
		return Unknown, "the evidence is dated in the future: " + i.At.UTC().Format(time.RFC3339)
	case i.From.Cut && !j.old(i):
		return Unknown, partial(i) + ": what it says more is not known"
	case j.old(i):
		return Stale, fmt.Sprintf("it held %s ago; evidence of the last %s is needed", ageText(j.now.Sub(i.At)), ageText(j.c.Fresh))
	}
	return Pass, ""
}

// each holds require against every fact.
func (j *judgement) each(ctx context.Context, vars map[string]any, items []*evidence.Item) error {
	var one celItem
	for _, i := range items {
		vars["item"] = one.of(i)
		yes, err := j.c.require.holds(ctx, vars)
		if reason, ok := isMissing(err); ok {
			j.add(i, Unknown, reason)
			continue
		}
		if err != nil {
			return err
		}
		status, says := j.dated(i)
		if !yes {
			status, says = Fail, "" // worded below, for those that are kept
		}
		j.add(i, status, says)
	}
	j.order()
	for n := range j.res.Items {
		if g := &j.res.Items[n]; g.Says == "" && g.Status != Pass {
			vars["item"] = one.of(g.Item)
			g.Says = j.fails(ctx, vars, g.Item)
		}
	}
	return ctx.Err()
}

// fails words the failure of one fact.
func (j *judgement) fails(ctx context.Context, vars map[string]any, i *evidence.Item) string {
	says := j.c.says.words(ctx, vars)
	if says == "" {
		says = "it does not hold"
	}
	if j.old(i) {
		says += fmt.Sprintf(" (%s ago, and nothing newer shows otherwise)", ageText(j.now.Sub(i.At)))
	}
	return says
}

// together holds expect against all facts: over all of them for what they say, and over the fresh ones for whether
// that is still so.
func (j *judgement) together(ctx context.Context, vars map[string]any, items []*evidence.Item) error {
	if len(items) > maxTogether {
		j.res.Status, j.res.Reason = Unknown, fmt.Sprintf("%d facts, where %d can be looked at together", len(items), maxTogether)
		return nil
	}
	var all, fresh []*celItem
	var undated int
	for _, i := range items {
		if status, _ := j.dated(i); status == Pass {
			fresh = append(fresh, itemForCEL(i))
		} else if status == Unknown {
			undated++
		}
		all = append(all, itemForCEL(i))
	}
	vars["items"] = all
	yes, err := j.c.expect.holds(ctx, vars)
	if reason, ok := isMissing(err); ok {
		j.outcome(items, Unknown, reason)
		return nil
	}
	if err != nil {
		return err
	}
	if !yes {
		says := j.c.says.words(ctx, vars)
		if says == "" {
			says = "the evidence shows that it does not hold"
		}
		j.outcome(items, Fail, says)
		return nil
	}
	if len(fresh) == len(all) {
		j.outcome(items, Pass, "")
		return nil
	}
	if len(fresh) > 0 {
		vars["items"] = fresh
		still, err := j.c.expect.holds(ctx, vars)
		if _, ok := isMissing(err); err != nil && !ok {
			return err
		}
		if still {
			j.outcome(items, Pass, "")
			return nil
		}
	}
	if len(fresh) == 0 && undated == len(all) {
		j.outcome(items, Unknown, "the evidence does not say when it was true, is dated in the future, or was not read to its end")
		return nil
	}
	j.outcome(items, Stale, fmt.Sprintf("it holds only by evidence that is older than %s", ageText(j.c.Fresh)))
	return nil
}

// outcome gives all facts together one status. An exception excuses it where it names the whole control.
func (j *judgement) outcome(items []*evidence.Item, s Status, reason string) {
	for _, i := range items {
		j.date(i)
		j.res.Items = append(j.res.Items, Judged{Item: i, Status: s})
	}
	j.res.Counts[s] += len(items)
	// Facts of which it cannot be told whether they are concerned stand in Counts already.
	if s == Pass && j.res.Counts[Unknown] > 0 {
		s, reason = Unknown, j.res.Items[0].Says
	}
	j.res.Status, j.res.Reason = s, reason
}

// add notes one fact, excused where an exception names its subject.
func (j *judgement) add(i *evidence.Item, s Status, says string) {
	j.date(i)
	g := Judged{Item: i, Status: s, Says: says}
	if s != Pass {
		if e := covering(j.live, i.Subject); e != nil {
			g.Status, g.Exception = Excepted, e
			j.uses(e)
		} else if e := covering(j.lapsed, i.Subject); e != nil {
			j.lapses(e)
		}
	}
	j.res.Counts[g.Status]++
	j.res.Items = append(j.res.Items, g)
	// The worst are kept; a million passes need not be.
	if len(j.res.Items) >= 8*maxKept {
		j.order()
	}
}

// covering returns the exception for one subject of a control; those of the whole control come later.
func covering(list []Exception, subject string) *Exception {
	for i := range list {
		if list[i].Subject != "" && list[i].covers(subject) {
			return &list[i]
		}
	}
	return nil
}

func (j *judgement) uses(e *Exception) {
	if !slices.Contains(j.res.Exceptions, *e) {
		j.res.Exceptions = append(j.res.Exceptions, *e)
	}
}

func (j *judgement) lapses(e *Exception) {
	if !slices.Contains(j.res.Lapsed, *e) {
		j.res.Lapsed = append(j.res.Lapsed, *e)
	}
}

// date widens the time of the facts that counted.
func (j *judgement) date(i *evidence.Item) {
	if i.At.IsZero() || j.ahead(i) {
		return
	}
	if j.res.Oldest.IsZero() || i.At.Before(j.res.Oldest) {
		j.res.Oldest = i.At.UTC()
	}
	if i.At.After(j.res.Newest) {
		j.res.Newest = i.At.UTC()
	}
}

func (j *judgement) order() {
	slices.SortStableFunc(j.res.Items, func(a, b Judged) int {
		if x := a.Status.rank() - b.Status.rank(); x != 0 {
			return x
		}
		return compareItems(a.Item, b.Item)
	})
	if len(j.res.Items) > maxKept {
		clear(j.res.Items[maxKept:])
		j.res.Items = j.res.Items[:maxKept]
	}
}

// compareItems puts facts into an order that rests on what they say and not on when they were read.
func compareItems(a, b *evidence.Item) int {
	for _, x := range [...]int{
		strings.Compare(a.Kind, b.Kind), strings.Compare(a.Subject, b.Subject), strings.Compare(string(a.Partner), string(b.Partner)),
		strings.Compare(string(a.Trust), string(b.Trust)), b.At.Compare(a.At), strings.Compare(a.From.File, b.From.File),
	} {
		if x != 0 {
			return x
		}
	}
	return int(max(-1, min(1, a.From.Line-b.From.Line)))
}

// inOrder puts facts into the order of compareItems, so that an answer rests on no order of files.
func inOrder(list []*evidence.Item) {
	if !slices.IsSortedFunc(list, compareItems) {
		slices.SortStableFunc(list, compareItems)
	}
}

// finish draws the control's status from its facts, and excuses it as a whole.
func (j *judgement) finish() {
	j.order()
	r := j.res
	if r.Status == "" {
		for s, n := range r.Counts {
			if n > 0 {
				r.Status = worse(r.Status, s)
			}
		}
		r.Reason = j.because()
	}
	if r.Status == Pass || r.Status == Excepted {
		return
	}
	for i := range j.live {
		if e := &j.live[i]; e.Subject == "" {
			j.uses(e)
			r.Status, r.Reason = Excepted, fmt.Sprintf("%s answers for it until %s: %s; without that it is %s: %s",
				oneLine(e.Owner), e.Expires.Format(time.DateOnly), oneLine(e.Reason), r.Status, r.Reason)
			return
		}
	}
	for i := range j.lapsed {
		if e := &j.lapsed[i]; e.Subject == "" {
			j.lapses(e)
		}
	}
	for i := range r.Lapsed {
		e := &r.Lapsed[i]
		r.Reason += fmt.Sprintf("; the exception by %s ended on %s", oneLine(e.Owner), e.Expires.Format(time.DateOnly))
		if i == 2 {
			break
		}
	}
}

// because words a status that came from single facts.
func (j *judgement) because() string {
	r := j.res
	first := r.Items[0]
	switch r.Status {
	case Pass:
		said := fmt.Sprintf("holds for %s", plural(r.Counts[Pass], "fact"))
		for _, x := range r.Items {
			if x.Item.From.LeftOut > 0 {
				return said + "; " + partial(x.Item)
			}
		}
		return said
	case Excepted:
		return fmt.Sprintf("%s excepted, %d pass", plural(r.Counts[Excepted], "fact"), r.Counts[Pass])
	}
	s := oneLine(first.Item.Subject) + ": " + first.Says
	if n := r.Counts[r.Status]; n > 1 {
		s += fmt.Sprintf(" (and %d more)", n-1)
	}
	return s
}
