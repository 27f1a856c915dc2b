package quarantine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

func newDesk(t *testing.T, m Movers) (*Store, *Desk) {
	t.Helper()
	s := open(t, t.TempDir())
	return s, NewDesk(s, m, DeskOptions{Now: func() time.Time { return noon }})
}

func names(list []Item) (out []string) {
	for _, it := range list {
		out = append(out, it.Subject)
	}
	return out
}

// TestIsolationOfTheDesk: every verb answers for another tenant's message as for one that never was.
func TestIsolationOfTheDesk(t *testing.T) {
	m := &mover{}
	s, d := newDesk(t, Movers{MTA: m, Store: m})
	mine := keep(t, box(t, s, "acme"), Item{Place: PlaceMTA, QueueID: "Q1", Subject: "Invoice overdue now"}, "Subject: a\r\n\r\na")
	other := keep(t, box(t, s, "borg"), Item{Place: PlaceMTA, QueueID: "Q2", Subject: "Invoice overdue now"}, "Subject: b\r\n\r\nb")
	scope := tenant.ScopeOf("acme")
	verbs := map[string]func(name string) error{
		"get":     func(n string) error { _, err := d.Get(scope, n); return err },
		"show":    func(n string) error { _, _, err := d.Show(scope, "eve", n); return err },
		"release": func(n string) error { _, err := d.Release(t.Context(), scope, "eve", n); return err },
		"delete":  func(n string) error { _, err := d.Delete(t.Context(), scope, "eve", n); return err },
		"report":  func(n string) error { _, err := d.Report(scope, "eve", n, Missed); return err },
		"similar": func(n string) error { _, err := d.Similar(scope, n, 10); return err },
	}
	for verb, do := range verbs {
		foreign, unknown := do(other), do("0123456789abcdef")
		if !errors.Is(foreign, ErrNotFound) || !errors.Is(unknown, ErrNotFound) || strings.ReplaceAll(foreign.Error(), other, "0123456789abcdef") != unknown.Error() {
			t.Errorf("%s: another's says %v, one that never was %v", verb, foreign, unknown)
		}
		if err := do(other[:6]); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s by a beginning of the name: %v", verb, err)
		}
	}
	if len(m.released)+len(m.deleted) != 0 {
		t.Errorf("moved were %v, %v", m.released, m.deleted)
	}
	if l, _ := d.List(scope, "borg", Filter{}, ""); l.Total != 0 {
		t.Errorf("another tenant's list: %v", names(l.Items))
	}
	if l, _ := d.Similar(scope, mine, 10); len(l) != 0 {
		t.Errorf("another's message is called similar: %+v", l)
	}
	if l, _ := d.Similar(tenant.ScopeAll(), mine, 10); len(l) != 1 || l[0].Item.Tenant != "borg" {
		t.Errorf("who sees both is shown %+v", l)
	}
	for _, e := range must(d.Audit(scope, "", "", 100)) {
		if e.Tenant != "acme" {
			t.Errorf("the audit tells of %+v", e)
		}
	}
	if l := must(d.Audit(scope, "", other, 100)); len(l) != 0 {
		t.Errorf("the audit of another's message: %+v", l)
	}
	if c := d.Counts(scope); len(c) != 1 || c[0] != (Count{"acme", StateHeld, 1, 15}) {
		t.Errorf("counted %+v", c)
	}
	if got := s.Tenants(); !slices.Equal(got, []tenant.ID{"acme", "borg"}) {
		t.Errorf("asking made boxes: %v", got)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestListGoesOnWhereItLeftOff(t *testing.T) {
	s, d := newDesk(t, Movers{})
	for i, subject := range []string{"a", "b", "c", "d", "e"} {
		keep(t, box(t, s, []string{"acme", "borg"}[i%2]), Item{Subject: subject, Time: noon.Add(time.Duration(i/2) * time.Minute)}, subject)
	}
	var got []string
	after, n := "", 0
	for {
		l, err := d.List(tenant.ScopeAll(), "", Filter{Limit: 2}, after)
		if err != nil || l.Total != 5 {
			t.Fatalf("%+v, %v", l, err)
		}
		got = append(got, names(l.Items)...)
		if after = l.Next; after == "" {
			break
		}
		if n++; n == 1 { // what comes meanwhile is newer and shifts nothing
			keep(t, box(t, s, "acme"), Item{Subject: "late", Time: noon.Add(time.Hour)}, "late")
			if err := box(t, s, "acme").forget(must(d.List(tenant.ScopeAll(), "", Filter{Text: "late"}, "")).Items[0].Name, noon); err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(got[1:3])
	slices.Sort(got[3:])
	if !slices.Equal(got, []string{"e", "c", "d", "a", "b"}) {
		t.Errorf("listed %v", got)
	}
	for _, bad := range []string{"x", "zz.y", "1.2.=4", "..", "-"} {
		if _, err := d.List(tenant.ScopeAll(), "", Filter{}, bad); err == nil {
			t.Errorf("the place %q was taken", bad)
		}
	}
}

func TestWhatIsReportedIsLearntOnce(t *testing.T) {
	s := open(t, t.TempDir())
	var learnt []string
	d := NewDesk(s, Movers{}, DeskOptions{Learn: func(id tenant.ID, it Item, feedback string, raw []byte) {
		learnt = append(learnt, string(id)+" "+it.Subject+" "+feedback+" "+string(raw))
	}})
	name := keep(t, box(t, s, "acme"), Item{Subject: "x"}, "text")
	for _, feedback := range []string{FalseAlarm, FalseAlarm, Missed} {
		if it, err := d.Report(tenant.ScopeAll(), "ana", name, feedback); err != nil || it.Feedback != feedback {
			t.Errorf("%+v, %v", it, err)
		}
	}
	if _, err := d.Report(tenant.ScopeAll(), "ana", name, "nice"); err == nil {
		t.Error("an unknown word was taken")
	}
	if want := []string{"acme x false-alarm text", "acme x missed text"}; !slices.Equal(learnt, want) {
		t.Errorf("learnt %q, want %q", learnt, want)
	}
}

// TestIsolationOfAMessageOfSeveralTenants: what the mail server holds in one piece goes on for the one tenant alone that
// released it.
func TestIsolationOfAMessageOfSeveralTenants(t *testing.T) {
	two := func(t *testing.T, m Movers) (*Desk, string, string) {
		s, d := newDesk(t, m)
		a := keep(t, box(t, s, "acme"), Item{Place: PlaceMTA, QueueID: "QUEUE1", Recipients: []string{"a@acme.example"}}, "text")
		return d, a, keep(t, box(t, s, "borg"), Item{Place: PlaceMTA, QueueID: "QUEUE1", Recipients: []string{"b@borg.example"}}, "text")
	}
	acme, borg := tenant.ScopeOf("acme"), tenant.ScopeOf("borg")
	t.Run("each gives its own back, and the last deletes the mail server's", func(t *testing.T) {
		mta, back := &mover{}, &mover{}
		d, a, b := two(t, Movers{MTA: mta, Store: back})
		must(d.Release(t.Context(), acme, "ana", a))
		if len(back.released) != 1 || len(mta.released)+len(mta.deleted) != 0 {
			t.Errorf("given back %v; the mail server released %v, deleted %v", back.released, mta.released, mta.deleted)
		}
		must(d.Delete(t.Context(), borg, "bo", b))
		if len(back.released) != 1 || len(mta.released) != 0 || !slices.Equal(mta.deleted, []string{"QUEUE1"}) {
			t.Errorf("given back %v; the mail server released %v, deleted %v", back.released, mta.released, mta.deleted)
		}
	})
	t.Run("without a way back it goes on for nobody alone, and for all by who sees all", func(t *testing.T) {
		mta := &mover{}
		d, a, b := two(t, Movers{MTA: mta})
		if _, err := d.Release(t.Context(), acme, "ana", a); !errors.Is(err, ErrShared) || len(mta.released) != 0 {
			t.Errorf("%v; the mail server released %v", err, mta.released)
		}
		must(d.Release(t.Context(), tenant.ScopeAll(), "ops", a))
		if it := must(d.Get(borg, b)); it.State != StateReleased || it.By != "ops" || len(mta.released) != 1 {
			t.Errorf("the other is %s by %s; the mail server released %v", it.State, it.By, mta.released)
		}
	})
	t.Run("what one has deleted reaches it by no release of another", func(t *testing.T) {
		mta := &mover{}
		d, a, b := two(t, Movers{MTA: mta})
		must(d.Delete(t.Context(), acme, "ana", a))
		if _, err := d.Release(t.Context(), tenant.ScopeAll(), "ops", b); !errors.Is(err, ErrShared) || len(mta.released)+len(mta.deleted) != 0 {
			t.Errorf("%v; the mail server released %v, deleted %v", err, mta.released, mta.deleted)
		}
	})
}

// slow is a mover that waits until it may go on.
type slow struct {
	mover
	in, out chan struct{}
}

func (s *slow) Release(ctx context.Context, it Item, raw []byte) error {
	close(s.in)
	<-s.out
	return s.mover.Release(ctx, it, raw)
}

func TestAMessageIsReleasedOnceByTwoAtOnce(t *testing.T) {
	m := &slow{in: make(chan struct{}), out: make(chan struct{})}
	s, d := newDesk(t, Movers{Store: m})
	name := keep(t, box(t, s, "acme"), Item{Place: PlaceStore}, "text")
	first := make(chan error, 1)
	go func() {
		_, err := d.Release(context.Background(), tenant.ScopeAll(), "ana", name)
		first <- err
	}()
	<-m.in
	for verb, do := range map[string]func() (Item, error){
		"release": func() (Item, error) { return d.Release(t.Context(), tenant.ScopeAll(), "bo", name) },
		"delete":  func() (Item, error) { return d.Delete(t.Context(), tenant.ScopeAll(), "bo", name) },
	} {
		if _, err := do(); !errors.Is(err, ErrState) {
			t.Errorf("a %s at the same time: %v", verb, err)
		}
	}
	close(m.out)
	if err := <-first; err != nil || len(m.released) != 1 {
		t.Errorf("%v, released %v", err, m.released)
	}
}

func TestExpireOfAllTenants(t *testing.T) {
	s := open(t, t.TempDir())
	m := &mover{}
	now := noon
	d := NewDesk(s, Movers{MTA: m}, DeskOptions{Now: func() time.Time { return now }})
	for _, id := range []string{"acme", "borg"} {
		keep(t, box(t, s, id), Item{Place: PlaceMTA, QueueID: "QUEUE" + id, Recipients: []string{id}}, id)
		keep(t, box(t, s, id), Item{Place: PlaceReport, Mailbox: id}, id)
	}
	if n, err := d.Expire(t.Context()); n != 0 || err != nil {
		t.Errorf("at once %d expired, %v", n, err)
	}
	now = noon.Add(31 * 24 * time.Hour)
	if n, err := d.Expire(t.Context()); n != 4 || err != nil {
		t.Errorf("%d expired, %v", n, err)
	}
	slices.Sort(m.deleted)
	if !slices.Equal(m.deleted, []string{"QUEUEacme", "QUEUEborg"}) {
		t.Errorf("the mail server deleted %v", m.deleted)
	}
	var last []string
	for _, e := range must(d.Audit(tenant.ScopeOf("borg"), "", "", 2)) {
		last = append(last, e.Act+" "+e.By)
	}
	if !slices.Equal(last, []string{"expired retention", "expired retention"}) {
		t.Errorf("the audit ends with %v", last)
	}
}
