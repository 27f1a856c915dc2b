package ocsf

import (
	"slices"
	"time"
)

// AppendBinary appends the finding's compact encoding, evidence included, to b. Nothing is lost but the time zone:
// times come back in UTC. The layout may change with any version of the program.
func (f *Finding) AppendBinary(b []byte) ([]byte, error) {
	c := coder{buf: b, write: true}
	f.code(&c)
	return c.buf, nil
}

// MarshalBinary returns the finding's compact encoding.
func (f *Finding) MarshalBinary() ([]byte, error) { return f.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary wrote. The finding's strings share one copy of data.
func (f *Finding) UnmarshalBinary(data []byte) error {
	c := coder{in: string(data)}
	*f = Finding{}
	f.code(&c)
	if c.err != nil || c.in != "" {
		return errShort
	}
	return nil
}

// Clone returns a copy that does not change when f grows. The events of the evidence are shared: nobody changes an
// event once it was attributed.
func (f *Finding) Clone() *Finding {
	c := *f
	c.Entities, c.Evidence = slices.Clone(f.Entities), slices.Clone(f.Evidence)
	if f.Suppressed != nil {
		s := *f.Suppressed
		c.Suppressed = &s
	}
	return &c
}

func (f *Finding) code(c *coder) {
	c.str(&f.ID)
	c.instant(&f.Time)
	c.instant(&f.End)
	str(c, &f.Tenant)
	str(c, &f.Trust)
	str(c, &f.Partner)
	str(c, &f.Layer)
	c.str(&f.Detector)
	c.str(&f.Rule)
	c.str(&f.Title)
	str(c, &f.Technique)
	num(c, &f.Severity)
	c.int(&f.Confidence)
	str(c, &f.Outcome)
	slice(c, &f.Entities, func(e *Entity) { str(c, &e.Type); c.str(&e.Value); c.str(&e.Role) })
	c.str(&f.Reason)
	slice(c, &f.Evidence, func(e *Evidence) {
		c.str(&e.File)
		num(c, &e.Record)
		if part(c, &e.Event) {
			e.Event.code(c)
		}
	})
	c.int(&f.Count)
	if part(c, &f.Suppressed) {
		c.str(&f.Suppressed.By)
		c.str(&f.Suppressed.Owner)
		c.str(&f.Suppressed.Reason)
		c.instant(&f.Suppressed.Until)
	}
	c.str(&f.Snapshot)
}

func (c *coder) int(n *int) {
	v := int64(*n)
	if num(c, &v); !c.write {
		*n = int(v)
	}
}

// instant codes times of any year: approvals may end when nobody alive will care, which nanoseconds don't hold.
func (c *coder) instant(t *time.Time) {
	sec, nsec := t.Unix(), int64(t.Nanosecond())
	num(c, &sec)
	num(c, &nsec)
	if c.write {
		return
	}
	if *t = time.Unix(sec, nsec).UTC(); t.IsZero() {
		*t = time.Time{}
	}
}
