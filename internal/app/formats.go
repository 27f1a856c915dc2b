package app

import (
	"fmt"
	"io"
	"slices"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/antivirus"
	"github.com/breakwater-project/breakwater/internal/intake/decode/auditd"
	"github.com/breakwater-project/breakwater/internal/intake/decode/binetflow"
	"github.com/breakwater-project/breakwater/internal/intake/decode/cloudtrail"
	"github.com/breakwater-project/breakwater/internal/intake/decode/dhcp"
	"github.com/breakwater-project/breakwater/internal/intake/decode/entra"
	"github.com/breakwater-project/breakwater/internal/intake/decode/envelope"
	"github.com/breakwater-project/breakwater/internal/intake/decode/eve"
	"github.com/breakwater-project/breakwater/internal/intake/decode/evtx"
	"github.com/breakwater-project/breakwater/internal/intake/decode/firewall"
	"github.com/breakwater-project/breakwater/internal/intake/decode/flowlog"
	"github.com/breakwater-project/breakwater/internal/intake/decode/gcp"
	"github.com/breakwater-project/breakwater/internal/intake/decode/generic"
	"github.com/breakwater-project/breakwater/internal/intake/decode/github"
	"github.com/breakwater-project/breakwater/internal/intake/decode/kubernetes"
	"github.com/breakwater-project/breakwater/internal/intake/decode/m365"
	"github.com/breakwater-project/breakwater/internal/intake/decode/macos"
	"github.com/breakwater-project/breakwater/internal/intake/decode/mail"
	"github.com/breakwater-project/breakwater/internal/intake/decode/mailverdict"
	"github.com/breakwater-project/breakwater/internal/intake/decode/netflow"
	"github.com/breakwater-project/breakwater/internal/intake/decode/okta"
	"github.com/breakwater-project/breakwater/internal/intake/decode/pcap"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/intake/decode/syslog"
	"github.com/breakwater-project/breakwater/internal/intake/decode/sysmonlinux"
	"github.com/breakwater-project/breakwater/internal/intake/decode/vpn"
	"github.com/breakwater-project/breakwater/internal/intake/decode/w3c"
	"github.com/breakwater-project/breakwater/internal/intake/decode/windows"
	"github.com/breakwater-project/breakwater/internal/intake/decode/zeek"
)

// Formats returns every format that files are recognised as, in the order in which they are asked: those with a
// mark of their own before those that are told by their look. Shippers' envelopes and syslog lines carry records of
// the same formats in turn.
func Formats() []decode.Stream { return formatsWith(nil) }

// formatsWith returns the formats with a site's schemas of remote tools' logs before the built-in ones.
func formatsWith(site *remotetool.Schemas) []decode.Stream {
	var carried []decode.Stream
	inner := func() []decode.Stream { return carried }
	var objects []decode.Object
	objects = append(objects, zeek.Objects()...)
	objects = append(objects, eve.Objects()...)
	objects = append(objects, windows.Objects()...)
	objects = append(objects, remotetool.Objects(site)...)
	objects = append(objects, macos.Objects()...)
	objects = append(objects, netflow.Objects()...)
	objects = append(objects, flowlog.Objects()...)
	objects = append(objects, cloudObjects()...)
	objects = append(objects, envelope.Objects(inner, generic.Object())...)
	objects = append(objects, generic.Object())
	carried = append(carried, decode.Objects(objects))
	carried = append(carried, w3c.Streams()...)
	carried = append(carried, flowlog.Streams()...)
	carried = append(carried, firewall.Streams()...)
	carried = append(carried, dhcp.Streams()...)
	carried = append(carried, auditd.Stream(), sysmonlinux.Stream())
	carried = append(carried, syslog.Lines(inner))
	carried = append(carried, vpn.Streams()...)
	carried = append(carried, remotetool.Streams(site)...)
	carried = append(carried, syslog.Files(inner))
	list := []decode.Stream{pcap.Stream(), evtx.Stream(), netflow.Stream(), zeek.Stream(), binetflow.Stream(), mailverdict.Stream()}
	list = append(list, cloudExports()...)
	list = append(list, carried...)
	return append(list, mail.Stream())
}

// cloudObjects returns the records of cloud services and of endpoint protection that is run from the cloud.
func cloudObjects() []decode.Object {
	return slices.Concat(entra.Objects(), m365.Objects(), cloudtrail.Objects(), gcp.Objects(), okta.Objects(), github.Objects(), kubernetes.Objects(),
		antivirus.Objects())
}

// cloudExports returns the tables that people export from cloud services. Whole files alone are recognised, by their
// header; no other record carries one.
func cloudExports() []decode.Stream {
	return slices.Concat(entra.Streams(), m365.Streams(), cloudtrail.Streams(), gcp.Streams(), okta.Streams(), github.Streams(), antivirus.Streams())
}

// recognise returns the format of a file by its first bytes, and a reader that gives them again.
func recognise(formats []decode.Stream, name string, r io.Reader) (*decode.Stream, []byte, error) {
	head := make([]byte, decode.MaxHead)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, nil, fmt.Errorf("reading the beginning of %s: %w", name, err)
	}
	head = head[:n]
	for i := range formats {
		if formats[i].Recognise(name, head) {
			return &formats[i], head, nil
		}
	}
	return nil, head, nil
}
