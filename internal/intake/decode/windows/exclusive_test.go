package windows_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/breakwater-project/breakwater/internal/intake/decode"
	"github.com/breakwater-project/breakwater/internal/intake/decode/antivirus"
	"github.com/breakwater-project/breakwater/internal/intake/decode/auditd"
	"github.com/breakwater-project/breakwater/internal/intake/decode/cloudtrail"
	"github.com/breakwater-project/breakwater/internal/intake/decode/entra"
	"github.com/breakwater-project/breakwater/internal/intake/decode/gcp"
	"github.com/breakwater-project/breakwater/internal/intake/decode/github"
	"github.com/breakwater-project/breakwater/internal/intake/decode/kubernetes"
	"github.com/breakwater-project/breakwater/internal/intake/decode/m365"
	"github.com/breakwater-project/breakwater/internal/intake/decode/macos"
	"github.com/breakwater-project/breakwater/internal/intake/decode/okta"
	"github.com/breakwater-project/breakwater/internal/intake/decode/remotetool"
	"github.com/breakwater-project/breakwater/internal/intake/decode/sysmonlinux"
	"github.com/breakwater-project/breakwater/internal/intake/decode/vpn"
	"github.com/breakwater-project/breakwater/internal/intake/decode/windows"
	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// once counts, for each record, how many formats took it.
type once struct{ taken map[int64]int }

func (o *once) Event(_ *ocsf.Event, n int64, _ []byte) { o.taken[n]++ }
func (o *once) Bad(int64, string, []byte)              {}

// TestNobodyClaimsAnothersFiles reads every sample file: text formats of these packages claim their own files
// only, and no JSON record is of two formats.
func TestNobodyClaimsAnothersFiles(t *testing.T) {
	root := os.Getenv("BREAKWATER_DATA")
	if root == "" {
		root = "../../../../../shared/data"
	}
	if _, err := os.Stat(root); err != nil {
		t.Skip("no sample data: set BREAKWATER_DATA to its folder")
	}
	own := map[string]string{"openvpn.log": "openvpn", "asa.log": "cisco/asa", "globalprotect.csv": "globalprotect"}
	objects := slices.Concat(windows.Objects(), entra.Objects(), m365.Objects(), cloudtrail.Objects(), gcp.Objects(), okta.Objects(), github.Objects(),
		kubernetes.Objects(), antivirus.Objects(), remotetool.Objects(nil), macos.Objects())
	streams := slices.Concat(vpn.Streams(), remotetool.Streams(nil), entra.Streams(), m365.Streams(), cloudtrail.Streams(), gcp.Streams(), okta.Streams(),
		github.Streams(), antivirus.Streams(), []decode.Stream{auditd.Stream(), sysmonlinux.Stream()})
	files, records := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		head := raw[:min(len(raw), decode.MaxHead)]
		for _, s := range streams {
			if is := s.Recognise(d.Name(), head); is != (own[d.Name()] == s.Name) {
				t.Errorf("%s: recognised as %s: %v", path, s.Name, is)
			}
		}
		if ext := filepath.Ext(path); ext != ".json" && ext != ".jsonl" || len(raw) > 8<<20 || !strings.Contains(path, "telemetry") && !strings.Contains(path, "endpoint") {
			return nil
		}
		o := once{map[int64]int{}}
		for _, f := range objects {
			if err := decode.Objects([]decode.Object{f}).Read(context.Background(), path, strings.NewReader(string(raw)), &o); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		for n, k := range o.taken {
			if records++; k != 1 {
				t.Errorf("%s record %d is taken by %d formats", path, n, k)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cases %d files, %d records", files, records)
}
