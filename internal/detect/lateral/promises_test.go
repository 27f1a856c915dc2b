package lateral

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/breakwater-project/breakwater/internal/detect"
	"github.com/breakwater-project/breakwater/internal/detect/detecttest"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// moving takes the shared stream and makes acts of moving on of some of its events, so that there is something to find:
// the stream has logons, but knows no shares, orders or explicit credentials.
type moving struct{ *Detector }

func fresh() detect.Detector { return moving{New(detect.Context{Model: detecttest.Model()})} }

func (m moving) Process(e *ocsf.Event, emit detect.Emit) { m.Detector.Process(turned(e), emit) }

// turned makes an act of every third event on the network or on a host; what it becomes hangs on the event alone.
func turned(e *ocsf.Event) *ocsf.Event {
	n := binary.BigEndian.Uint64(e.ID[:])
	if n%3 == 1 && n/3%8 < 2 && e.Layer == tenant.LayerEndpoint {
		return stopping(*e, n/3%8 == 0)
	}
	if n%3 != 0 || e.Layer != tenant.LayerNetwork && e.Layer != tenant.LayerEndpoint {
		return e
	}
	x := *e
	x.Remote, x.Process, x.Flow, x.Cloud = nil, nil, nil, nil
	low := byte(n / 3)
	if x.Tenant = "c0"; x.Trust != "" { // at one tenant, that pairs of hosts come together
		x.Trust = "isl-c0"
	}
	if !x.Src.IP.IsValid() {
		x.Src.IP = netip.AddrFrom4([4]byte{10, 0, 7, low})
	}
	x.Dst = ocsf.Endpoint{IP: netip.AddrFrom4([4]byte{10, 0, 5, low % 2}), Port: 445}
	set := func(source string, class ocsf.ClassUID, activity string, fields ...string) {
		x.Source, x.Class, x.Activity, x.Status, x.Fields = source, class, activity, ocsf.StatusSuccess, nil
		for i := 0; i+1 < len(fields); i += 2 {
			x.Fields = append(x.Fields, ocsf.Field{Name: fields[i], Value: fields[i+1]})
		}
		x.Fields.Sort()
	}
	switch n / 3 % 7 {
	case 0:
		set("zeek/smb_files", ocsf.ClassSMBActivity, "write", "path", `\\FS\ADMIN$`, "name", "x.exe")
	case 1:
		set("zeek/dce_rpc", ocsf.ClassNetworkActivity, "traffic", "endpoint", "svcctl", "operation", "CreateServiceW")
	case 2:
		set("zeek/ntlm", ocsf.ClassAuthentication, "logon")
		x.User.Name = []string{"isl-1", "root", "svc-x"}[n%5%3]
	case 3:
		set("zeek/ssh", ocsf.ClassSSHActivity, "open")
		x.User.Name = "isl-2"
	case 4:
		x.Device, x.User.Name, x.Actor.Name, x.Dst.Host = "HOST3", "root", "isl-1", "host"+string('0'+low%9)
		set("windows/security", ocsf.ClassAuthentication, "account switch")
	case 5:
		x.Device = "HOST1"
		set("windows/system", ocsf.ClassWindowsService, "create", "ServiceName", "x")
	case 6:
		x.Device = "HOST3"
		set("windows/security", ocsf.ClassAuthentication, "logon", "LogonType", "10", "TargetLogonId", "0x1")
	}
	return &x
}

// stopping makes protection stop on a host of the stream, or a program come to it.
func stopping(x ocsf.Event, stops bool) *ocsf.Event {
	x.Tenant, x.Device, x.Remote, x.Process, x.Flow = "c0", "HOST3", nil, nil, nil
	x.Source, x.Class, x.Activity, x.Fields = "windows/sysmon", ocsf.ClassFileActivity, "create", nil
	x.File = &ocsf.File{Path: `C:\Users\kim\Downloads\x.exe`}
	if stops {
		x.Source, x.Class, x.Activity, x.File = "windows/system", ocsf.ClassWindowsService, "update", nil
		x.Fields = ocsf.Fields{{Name: "param1", Value: "Endpoint Protection"}, {Name: "param2", Value: "stopped"}}
	}
	return &x
}

func TestItKeepsThePromisesOfADetector(t *testing.T) { detecttest.Promises(t, fresh) }

func TestStateStaysBoundedOverAYear(t *testing.T) { detecttest.StaysBounded(t, fresh, 60) }
