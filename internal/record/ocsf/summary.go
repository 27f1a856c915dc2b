package ocsf

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// Summary is an event as evidence shows it: what identifies it and what a reader needs, not every field.
type Summary struct {
	ID        string         `json:"id"`
	Time      time.Time      `json:"time"`
	Tenant    tenant.ID      `json:"tenant"`
	Trust     tenant.TrustID `json:"trust,omitempty"`
	TrustRule string         `json:"trust_rule,omitempty"`
	Direction Direction      `json:"direction,omitempty"`
	Layer     tenant.Layer   `json:"layer"`
	Source    string         `json:"source"`
	Class     ClassUID       `json:"class_uid"`
	Activity  string         `json:"activity,omitempty"`
	Status    string         `json:"status,omitempty"`
	Src       string         `json:"src,omitempty"`
	Dst       string         `json:"dst,omitempty"`
	Device    string         `json:"device,omitempty"`
	User      string         `json:"user,omitempty"`
	Actor     string         `json:"actor,omitempty"`
	Owner     string         `json:"owner,omitempty"`
	Detail    string         `json:"detail,omitempty"`
}

// Summary returns the event as evidence shows it.
func (e *Event) Summary() *Summary {
	if e == nil {
		return nil
	}
	s := &Summary{ID: e.ID.String(), Time: e.Time.UTC(), Tenant: e.Tenant, Trust: e.Trust, TrustRule: e.Rule,
		Direction: e.Direction, Layer: e.Layer, Source: e.Source, Class: e.Class, Activity: e.Activity,
		Src: e.Src.String(), Dst: e.Dst.String(), Device: e.Device, User: e.User.String(), Actor: e.Actor.String(),
		Owner: e.Owner.String(), Detail: clip(e.Detail(), 300)}
	if e.Status != StatusUnknown {
		s.Status = e.Status.String()
	}
	return s
}

// String returns the endpoint as address:port, or name, whichever is known.
func (e Endpoint) String() string {
	name := e.Domain
	if name == "" {
		name = e.Host
	}
	switch {
	case e.IP.IsValid() && e.Port != 0:
		s := netip.AddrPortFrom(e.IP, e.Port).String()
		if name != "" {
			return name + " (" + s + ")"
		}
		return s
	case e.IP.IsValid():
		if name != "" {
			return name + " (" + e.IP.String() + ")"
		}
		return e.IP.String()
	case name != "" && e.Port != 0:
		return name + ":" + strconv.Itoa(int(e.Port))
	}
	return name
}

// String returns the account with its directory domain.
func (u User) String() string {
	if u.Domain != "" && u.Name != "" {
		return u.Domain + `\` + u.Name
	}
	if u.Name == "" {
		return u.UID
	}
	return u.Name
}

// Detail returns the one line that tells a reader most about the event.
func (e *Event) Detail() string {
	switch {
	case e.Mail != nil:
		return e.Mail.From + " → " + first(e.Mail.To) + ": " + e.Mail.Subject
	case e.Process != nil && e.Process.CommandLine != "":
		return e.Process.CommandLine
	case e.Process != nil && e.Process.Image != "":
		return e.Process.Image
	case e.Remote != nil:
		return words(e.Remote.Tool, e.Remote.Act, e.Remote.Instance, e.Remote.CommandLine)
	case e.Cloud != nil:
		return words(e.Cloud.Operation, e.Cloud.AppName, e.Cloud.Country)
	case e.Lease != nil && e.Lease.Addr.IsValid():
		return e.Lease.Holder.String() + " holds " + e.Lease.Addr.String()
	case e.URL != "":
		return e.URL
	case e.File != nil:
		return e.File.Path
	case e.Flow != nil:
		return words(e.Flow.Proto, e.Flow.Service, e.Flow.State)
	}
	return ""
}

// words joins what is known.
func words(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), " ")
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n] + "…"
}
