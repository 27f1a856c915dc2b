package ocsf

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"time"
)

// errShort is returned for an encoding that ends before its event does.
var errShort = errors.New("event encoding is truncated or damaged")

// AppendBinary appends the event's compact encoding to b. It is for spill files and checkpoints of one run of
// one version of the program, not for storage: the layout may change with any version.
func (e *Event) AppendBinary(b []byte) ([]byte, error) {
	c := coder{buf: b, write: true}
	e.code(&c)
	return c.buf, nil
}

// MarshalBinary returns the event's compact encoding.
func (e *Event) MarshalBinary() ([]byte, error) { return e.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary wrote. The event's strings share one copy of data.
func (e *Event) UnmarshalBinary(data []byte) error {
	c := coder{in: string(data)}
	*e = Event{}
	e.code(&c)
	if c.err != nil || c.in != "" {
		return errShort
	}
	return nil
}

// coder walks the fields of an event either way, so that writing and reading cannot drift apart.
type coder struct {
	buf   []byte
	in    string
	write bool
	err   error
}

func (e *Event) code(c *coder) {
	c.id(&e.ID)
	c.str(&e.SourceID)
	c.time(&e.Time)
	c.time(&e.Seen)
	str(c, &e.Tenant)
	e.Attribution.code(c)
	str(c, &e.Layer)
	num(c, &e.Class)
	c.str(&e.Activity)
	num(c, &e.Status)
	e.Src.code(c)
	e.Dst.code(c)
	c.str(&e.Device)
	e.User.code(c)
	e.Actor.code(c)
	if part(c, &e.Process) {
		e.Process.code(c)
	}
	if part(c, &e.File) {
		c.str(&e.File.Path)
		c.list(&e.File.Hashes)
		num(c, &e.File.Size)
	}
	if part(c, &e.Flow) {
		e.Flow.code(c)
	}
	if part(c, &e.Mail) {
		e.Mail.code(c)
	}
	if part(c, &e.Cloud) {
		e.Cloud.code(c)
	}
	if part(c, &e.Remote) {
		e.Remote.code(c)
	}
	if part(c, &e.Lease) {
		e.Lease.code(c)
	}
	if part(c, &e.NAT) {
		e.NAT.code(c)
	}
	c.str(&e.URL)
	c.list(&e.Answers)
	slice(c, &e.JoinKeys, func(k *JoinKey) { c.str(&k.Kind); c.str(&k.Value) })
	slice(c, (*[]Field)(&e.Fields), func(f *Field) { c.str(&f.Name); c.str(&f.Value) })
	c.str(&e.Source)
	c.str(&e.Sensor)
	c.str(&e.Raw.File)
	num(c, &e.Raw.Record)
}

func (a *Attribution) code(c *coder) {
	str(c, &a.Trust)
	str(c, &a.Partner)
	c.str(&a.Rule)
	str(c, &a.Direction)
	a.Owner.code(c)
	c.addr(&a.OwnerFrom)
	c.str(&a.OwnerHost)
	c.addr(&a.Inside)
	num(c, &a.SharedBy)
	c.str(&a.Session)
}

func (p *Endpoint) code(c *coder) {
	c.addr(&p.IP)
	num(c, &p.Port)
	c.str(&p.Host)
	c.str(&p.Domain)
}

func (u *User) code(c *coder) { c.str(&u.Name); c.str(&u.Domain); c.str(&u.UID) }

func (p *Process) code(c *coder) {
	for _, s := range [...]*string{&p.Image, &p.OriginalName, &p.CommandLine, &p.PID, &p.GUID, &p.ParentImage, &p.ParentLine} {
		c.str(s)
	}
	c.list(&p.Hashes)
}

func (f *Flow) code(c *coder) {
	for _, s := range [...]*string{&f.Proto, &f.Service, &f.State, &f.History} {
		c.str(s)
	}
	num(c, &f.Duration)
	for _, n := range [...]*int64{&f.OrigBytes, &f.RespBytes, &f.OrigPkts, &f.RespPkts} {
		num(c, n)
	}
}

func (m *Mail) code(c *coder) {
	for _, s := range [...]*string{&m.MessageID, &m.InReplyTo, &m.From, &m.FromName, &m.EnvelopeFrom, &m.ReplyTo, &m.Subject,
		&m.SPF, &m.DKIM, &m.DMARC, &m.DKIMDomain, &m.ARC, &m.ARCDomain, &m.SendingHost, &m.Text, &m.BodyHash} {
		c.str(s)
	}
	c.list(&m.To)
	c.addr(&m.SendingIP)
	c.bool(&m.Bulk)
	slice(c, &m.Links, func(l *Link) { c.str(&l.URL); c.str(&l.Host); c.str(&l.Text); c.str(&l.From) })
	slice(c, &m.Attachments, func(a *Attachment) { c.str(&a.Name); c.str(&a.Type); num(c, &a.Size); c.str(&a.SHA256) })
	c.list(&m.ParseProblems)
	if part(c, &m.Verdict) {
		m.Verdict.code(c)
	}
}

func (v *MailVerdict) code(c *coder) {
	for _, s := range [...]*string{&v.Verdict, &v.Action, &v.Rule, &v.HeldAs} {
		c.str(s)
	}
	c.float(&v.Score)
	c.float(&v.Threshold)
	points := int64(v.Points)
	num(c, &points)
	if !c.write {
		v.Points = int(points)
	}
	slice(c, &v.Reasons, func(r *MailReason) { c.str(&r.Name); c.float(&r.Weight); c.str(&r.Text); c.str(&r.Apex) })
}

func (x *Cloud) code(c *coder) {
	for _, s := range [...]*string{&x.Provider, &x.Operation, &x.AppID, &x.AppName, &x.Resource, &x.HomeTenant, &x.ResourceTenant,
		&x.CrossTenant, &x.AppOwnerTenant, &x.CredentialID, &x.AccountID, &x.MFA, &x.ErrorCode, &x.Country, &x.UserAgent} {
		c.str(s)
	}
	c.bool(&x.ServicePrin)
	c.bool(&x.Interactive)
	num(c, &x.ASN)
}

func (r *RemoteSession) code(c *coder) {
	for _, s := range [...]*string{&r.Tool, &r.Instance, &r.SessionID, &r.Relay, &r.Operator, &r.Target, &r.Company, &r.Act, &r.CommandLine, &r.PeerID} {
		c.str(s)
	}
}

func (l *Lease) code(c *coder) {
	c.str(&l.Kind)
	c.str(&l.ID)
	c.addr(&l.Addr)
	c.addr(&l.Public)
	l.Holder.code(c)
	c.str(&l.Device)
	c.bool(&l.Start)
	c.bool(&l.End)
	num(c, &l.Lasts)
}

func (t *Translation) code(c *coder) {
	c.str(&t.Proto)
	t.Inside.code(c)
	t.Outside.code(c)
	c.bool(&t.Start)
	c.bool(&t.End)
	num(c, &t.Lasted)
}

func (c *coder) uvarint(n uint64) uint64 {
	if c.write {
		c.buf = binary.AppendUvarint(c.buf, n)
		return n
	}
	var v uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if c.in == "" {
			break
		}
		b := c.in[0]
		c.in = c.in[1:]
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	c.err, c.in = errShort, ""
	return 0
}

func (c *coder) take(n uint64) string {
	if n > uint64(len(c.in)) {
		c.err, c.in = errShort, ""
		return ""
	}
	s := c.in[:n]
	c.in = c.in[n:]
	return s
}

func (c *coder) str(s *string) {
	n := c.uvarint(uint64(len(*s)))
	if c.write {
		c.buf = append(c.buf, *s...)
		return
	}
	*s = c.take(n)
}

func (c *coder) id(id *EventID) {
	if c.write {
		c.buf = append(c.buf, id[:]...)
		return
	}
	copy(id[:], c.take(uint64(len(id))))
}

func (c *coder) bool(b *bool) {
	var n uint64
	if *b {
		n = 1
	}
	if v := c.uvarint(n); !c.write { // others read what is encoded meanwhile
		*b = v == 1
	}
}

func (c *coder) float(f *float64) {
	if v := c.uvarint(math.Float64bits(*f)); !c.write {
		*f = math.Float64frombits(v)
	}
}

func (c *coder) time(t *time.Time) {
	if c.write {
		if t.IsZero() {
			c.uvarint(0)
			return
		}
		c.uvarint(1)
		c.uvarint(zigzag(t.UnixNano()))
		return
	}
	if *t = (time.Time{}); c.uvarint(0) == 1 {
		*t = time.Unix(0, unzigzag(c.uvarint(0))).UTC()
	}
}

func (c *coder) addr(a *netip.Addr) {
	if c.write {
		b, _ := a.MarshalBinary() // an address always encodes
		c.uvarint(uint64(len(b)))
		c.buf = append(c.buf, b...)
		return
	}
	if err := a.UnmarshalBinary([]byte(c.take(c.uvarint(0)))); err != nil {
		c.err = errShort
	}
}

func (c *coder) list(l *[]string) { slice(c, l, c.str) }

func str[S ~string](c *coder, s *S) {
	v := string(*s)
	if c.str(&v); !c.write {
		*s = S(v)
	}
}

func num[N ~uint8 | ~uint16 | ~uint32 | ~int64](c *coder, n *N) {
	v := c.uvarint(zigzag(int64(*n)))
	if !c.write {
		*n = N(unzigzag(v))
	}
}

func part[T any](c *coder, p **T) bool {
	has := *p != nil
	c.bool(&has)
	if has && !c.write {
		*p = new(T)
	}
	return has
}

func slice[T any](c *coder, l *[]T, each func(*T)) {
	n := c.uvarint(uint64(len(*l)))
	if !c.write {
		if n > uint64(len(c.in)) {
			c.err, c.in = errShort, ""
			return
		}
		*l = nil
		if n > 0 {
			*l = make([]T, n)
		}
	}
	for i := range *l {
		each(&(*l)[i])
	}
}

func zigzag(n int64) uint64   { return uint64(n<<1) ^ uint64(n>>63) }
func unzigzag(n uint64) int64 { return int64(n>>1) ^ -int64(n&1) }
