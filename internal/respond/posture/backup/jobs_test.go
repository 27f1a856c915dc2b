package backup

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/breakwater-project/breakwater/internal/respond/posture/evidence"
)

var reported = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func readJobs(t testing.TB, name, content string) (format string, out, bad []string) {
	t.Helper()
	for _, f := range Formats() {
		if !f.Recognise(name, []byte(content)) {
			continue
		}
		err := f.Read(context.Background(), evidence.Input{Tenant: "acme", Name: name, At: reported, Reader: strings.NewReader(content)}, evidence.Sink{
			Item: func(i evidence.Item) error {
				out = append(out, fmt.Sprintf("%d %s %s %s %v", i.From.Line, i.Kind, i.Subject, i.At.UTC().Format(time.RFC3339), i.Values))
				return nil
			},
			Bad: func(line int64, reason string) { bad = append(bad, fmt.Sprintf("%d: %s", line, reason)) },
		})
		if err != nil {
			bad = append(bad, "error: "+err.Error())
		}
		return f.Name, out, bad
	}
	return "", nil, nil
}

func TestJobs(t *testing.T) {
	for _, tt := range []struct {
		name, text, format string
		out, bad           []string
	}{
		{"Veeam as CSV", "#TYPE Veeam.Backup.Core.CBackupSession\n\"JobName\";\"JobType\";\"CreationTime\";\"EndTime\";\"Result\";\"Reason\";\"BackupSize\"\n\"Daily VMs\";\"Backup\";\"30.05.2026 22:00:00\";\"30.05.2026 23:30:00\";\"Warning\";\"Disk nearly full\";\"1073741824\"\n\"Daily VMs\";\"Backup\";\"31.05.2026 22:00:00\";\"31.05.2026 22:10:00\";\"Failed\";\"No route\";\n\"x\";\"Backup\";\"soon\";\"\";\"Success\";\"\";\n\"y\";\"Backup\";\"31.05.2026 22:00:00\";\"\";\"Perhaps\";\"\";\n", "veeam",
			[]string{"3 backup.job Daily VMs 2026-05-30T23:30:00Z map[bytes:1073741824 problem:Disk nearly full product:veeam result:warning seconds:5400]", "4 backup.job Daily VMs 2026-05-31T22:10:00Z map[problem:No route product:veeam result:failure seconds:600]"},
			[]string{"5: a job without a time", `6: "Perhaps" does not say how the job ended`}},
		{"Veeam as JSON of PowerShell 5", `[{"JobName":"Daily","JobType":{"value":0,"Value":"Backup"},"Result":{"value":0,"Value":"Success"},"CreationTime":"/Date(1780171200000)/","EndTime":"/Date(1780174800000)/"}]`, "veeam",
			[]string{"1 backup.job Daily 2026-05-30T21:00:00Z map[product:veeam result:success seconds:3600]"}, nil},
		{"Azure's list", `[{"id":"/x","name":"guid","properties":{"entityFriendlyName":"sql01","operation":"Backup","status":"CompletedWithWarnings","startTime":"2026-05-31T01:00:00Z","endTime":"2026-05-31T01:30:00Z","containerName":"vault"}}]`, "azure-backup",
			[]string{"1 backup.job sql01 2026-05-31T01:30:00Z map[machine:vault product:azure-backup result:warning seconds:1800]"}, nil},
		{"Proxmox's tasks", `{"data":[{"upid":"UPID:pve:1","id":"101","type":"vzdump","starttime":1780185600,"endtime":1780189200,"status":"OK","node":"pve"},{"upid":"UPID:pve:2","id":"102","type":"vzdump","starttime":1780185600,"endtime":1780189200,"status":"unable to open file","node":"pve"},{"upid":"UPID:pve:3","id":"103","type":"vzdump","starttime":1780185600,"node":"pve"},null]}`, "proxmox-tasks",
			[]string{"1 backup.job 101 2026-05-31T01:00:00Z map[product:proxmox result:success seconds:3600]", "2 backup.job 102 2026-05-31T01:00:00Z map[problem:unable to open file product:proxmox result:failure seconds:3600]", "3 backup.job 103 2026-05-31T00:00:00Z map[product:proxmox result:running]"}, []string{"4: no job"}},
		{"Proxmox's snapshots", `[{"backup-id":"vm-101","backup-time":1780185600,"backup-type":"vm","size":1024,"verification":{"state":"ok"}},{"backup-id":"vm-102","backup-time":1780185600,"backup-type":"vm","verification":{"state":"failed"}}]`, "proxmox-snapshots",
			[]string{"1 backup.job vm-101 2026-05-31T00:00:00Z map[bytes:1024 product:proxmox result:success]", "2 backup.job vm-102 2026-05-31T00:00:00Z map[problem:its verification failed product:proxmox result:failure]"}, nil},
		{"restic's check of the index", "using temporary cache in /tmp/x\ncreate exclusive lock for repository\nload indexes\ncheck all packs\ncheck snapshots, trees and blobs\n[0:00] 100.00%  1 / 1 snapshots\nno errors were found\n", "backup-check",
			[]string{"1 backup.check restic's check of the index 2026-06-01T00:00:00Z map[ok:true read_data:false tool:restic]"}, nil},
		{"torn", `[{"JobName":"Daily","Result":"Success","CreationTime":"2026-05-31T01:00:00Z","EndTime":"2026-05-31T01:00:00Z"},{"Job`, "veeam", nil,
			[]string{"error: reading torn as a report of jobs: unexpected end of JSON input"}},
		{"something else", `{"a":1}`, "", nil, nil},
		{"nothing", "", "", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			format, out, bad := readJobs(t, tt.name, tt.text)
			if format != tt.format {
				t.Errorf("read as %q, want %q", format, tt.format)
			}
			if d := cmp.Diff(tt.out, out); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(tt.bad, bad); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestChecksOfRealPrograms keeps what restic and borg of this system say of a whole repository, with and without their
// data read.
func TestChecksOfRealPrograms(t *testing.T) {
	needs(t, "restic", "borg")
	dir, repos := house(t), t.TempDir()
	env := []string{"RESTIC_PASSWORD=x", "RESTIC_CACHE_DIR=" + t.TempDir(), "BORG_PASSPHRASE=x", "BORG_BASE_DIR=" + t.TempDir()}
	for _, c := range []struct {
		tool, repo string
		make       [][]string
		check      []string
		want       string
	}{
		{"restic", "r", [][]string{{"-r", "R", "init"}, {"-r", "R", "backup", "."}}, []string{"-r", "R", "check"}, "map[ok:true read_data:false tool:restic]"},
		{"restic", "r", nil, []string{"-r", "R", "check", "--read-data"}, "map[ok:true read_data:true tool:restic]"},
		{"restic", "r", nil, []string{"-r", "R", "check", "--read-data-subset=50%"}, "map[ok:true read_data:true tool:restic]"},
		{"borg", "b", [][]string{{"init", "-e", "repokey", "R"}, {"create", "R::a", "."}}, []string{"check", "-v", "R"}, "map[ok:true read_data:false tool:borg]"},
		{"borg", "b", nil, []string{"check", "-v", "--verify-data", "R"}, "map[ok:true read_data:true tool:borg]"},
	} {
		at := filepath.Join(repos, c.repo)
		var text string
		for _, args := range append(c.make, c.check) {
			for i := range args {
				args[i] = strings.Replace(args[i], "R", at, 1)
			}
			var err error
			if text, err = tool(t, dir, env, c.tool, args...); err != nil {
				t.Fatalf("%s %v: %v\n%s", c.tool, args, err, text)
			}
		}
		format, out, bad := readJobs(t, "check.log", text)
		if format != "backup-check" || len(out) != 1 || len(bad) > 0 || !strings.HasSuffix(out[0], c.want) {
			t.Errorf("%s %v: %s %v %v, want %s\n%s", c.tool, c.check, format, out, bad, c.want, text)
		}
	}
}

func FuzzJobs(f *testing.F) {
	for _, s := range []string{`[{"JobName":"a","Result":"Success","CreationTime":"2026-05-31T01:00:00Z","EndTime":""}]`, "JobName,Result,CreationTime,EndTime\na,Failed,2026-05-31T01:00:00Z,\n",
		`{"data":[{"upid":"a","id":"1","starttime":1,"status":"OK"}]}`, "check snapshots, trees and blobs\nno errors were found"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { readJobs(t, "f", s) })
}
