package zeek

import (
	"math"
	"strconv"
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// nothing is for logs whose endpoints and fields say it all, and whose names are no accounts.
func nothing(record, *ocsf.Event) error { return nil }

// known reads the logs of what was seen to exist: hosts, services, devices, certificates, software. It is the
// destination, since nobody did anything: a host that is known is not the source of an act.
func known(r record, e *ocsf.Event) (err error) {
	if e.Dst.IP.IsValid() {
		return nil
	}
	if e.Dst.IP, err = address(r, colHost); err != nil {
		return err
	}
	for _, c := range [...]column{colPortNum, colHostP} {
		p, err := number(r, c, 1<<16-1)
		if err != nil {
			return err
		}
		if p != 0 {
			e.Dst.Port = uint16(p)
		}
	}
	e.Dst.Host = r.get(colDHCPHostName)
	return nil
}

func notice(r record, e *ocsf.Event) (err error) {
	if !e.Src.IP.IsValid() {
		if e.Src.IP, err = address(r, colSrc); err != nil {
			return err
		}
	}
	if !e.Dst.IP.IsValid() {
		if e.Dst.IP, err = address(r, colDst); err != nil {
			return err
		}
		p, err := number(r, colP, 1<<16-1)
		if err != nil {
			return err
		}
		e.Dst.Port = uint16(p)
	}
	e.Activity = "notice"
	return nil
}

func files(r record, e *ocsf.Event) (err error) {
	e.File = &ocsf.File{Path: r.get(colFilename)}
	if e.File.Size, err = number(r, colSeenBytes, math.MaxInt64); err != nil {
		return err
	}
	for _, h := range [...]struct {
		name string
		c    column
	}{{"MD5=", colMD5}, {"SHA1=", colSHA1}, {"SHA256=", colSHA256}} {
		if v := r.get(h.c); v != "" {
			e.File.Hashes = append(e.File.Hashes, h.name+v)
		}
	}
	// The sender of a file is its source, whichever side opened the connection. Zeek has told the hosts as sets, and
	// from 5.1 on the connection and which side it was.
	if truth(r.get(colIsOrig)) == ocsf.StatusFailure && e.Src.IP.IsValid() {
		e.Src, e.Dst = e.Dst, e.Src
	}
	for _, x := range [...]struct {
		c   column
		dst *ocsf.Endpoint
	}{{colTxHosts, &e.Src}, {colRxHosts, &e.Dst}} {
		if hosts := r.list(x.c); len(hosts) > 0 {
			a, err := parseAddr(hosts[0], x.c)
			if err != nil {
				return err
			}
			*x.dst = ocsf.Endpoint{IP: a}
		}
	}
	return nil
}

func tunnel(r record, e *ocsf.Event) error {
	if action := r.get(colAction); strings.HasSuffix(action, "CLOSE") || strings.HasSuffix(action, "EXPIRE") {
		e.Activity = "close"
	}
	return nil
}

// socks reads whom a proxy was asked to reach.
func socks(r record, e *ocsf.Event) error {
	e.User = account(r.get(colUser))
	e.Dst.Domain = either(r.get(colRequestName), r.get(colRequestHost))
	switch status := r.get(colStatus); status {
	case "":
	case "succeeded":
		e.Status = ocsf.StatusSuccess
	default:
		e.Status = ocsf.StatusFailure
	}
	return nil
}

func rfb(r record, e *ocsf.Event) error {
	e.Status = truth(r.get(colAuthenticationSuccess))
	return nil
}

// ftp reads a command with its answer; a file that it moves is told by its address.
func ftp(r record, e *ocsf.Event) (err error) {
	e.User = account(r.get(colUser))
	if code, err := strconv.Atoi(r.get(colReplyCode)); err == nil && code >= 200 {
		e.Status = ocsf.StatusSuccess
		if code >= 400 {
			e.Status = ocsf.StatusFailure
		}
	}
	arg := r.get(colArg)
	if !strings.HasPrefix(arg, "ftp://") {
		return nil
	}
	e.URL, e.File = arg, &ocsf.File{Path: arg[strings.LastIndexByte(arg, '/')+1:]}
	e.File.Size, err = number(r, colFileSize, math.MaxInt64)
	return err
}

func dhcp(r record, e *ocsf.Event) (err error) {
	for _, x := range [...]struct {
		c   column
		dst *ocsf.Endpoint
	}{{colClientAddr, &e.Src}, {colServerAddr, &e.Dst}} {
		if x.dst.IP.IsValid() {
			continue
		}
		if x.dst.IP, err = address(r, x.c); err != nil {
			return err
		}
	}
	addr, err := address(r, colAssignedAddr)
	if err == nil && !addr.IsValid() {
		addr, err = address(r, colAssignedIP)
	}
	if err != nil {
		return err
	}
	e.Src.Host = either(r.get(colHostName), r.get(colClientFQDN))
	lease := &ocsf.Lease{Kind: "dhcp", Addr: addr, Device: e.Src.Host}
	types := r.list(colMsgTypes)
	for _, t := range types {
		switch t {
		case "ACK":
			lease.Start, e.Activity = true, "assign"
		case "RELEASE":
			lease.End, e.Activity = true, "release"
			if !addr.IsValid() {
				addr = e.Src.IP
				lease.Addr = addr
			}
		}
	}
	if len(types) == 0 && addr.IsValid() { // Zeek before 2.6 writes one line a lease
		lease.Start, e.Activity = true, "assign"
	}
	if addr.IsValid() && (lease.Start || lease.End) {
		e.Lease = lease
	}
	return nil
}
