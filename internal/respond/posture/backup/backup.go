// Package backup finds out whether a backup can be restored: it restores one, into a scratch folder of its own, and
// compares what came out with what should have. Nothing else proves a backup. A repository whose index is whole may
// hold damaged data, and a program's own check passes it unless it reads all of it.
//
// In: a drill (a YAML file that says where the repository lies, what to restore and what it must equal), the programs
// that made the backup, and reports of other products' jobs. Out: facts. It promises: nothing is written outside the
// scratch folder, which is removed; links and devices of a backup are never followed; a restore that grows or takes
// longer than its limits is ended with every program that it started; passwords stand in no argument list.
//
// Kinds of facts:
//
//   - backup.drill, subject the drill's name: tool (string: restic, borg, pg_dump, tree), restored (bool), read_data
//     (bool), snapshot_at (time), rpo_hours (float64, from the snapshot to the drill; absent where the snapshot is of the future), rto_seconds (float64), files,
//     bytes (int64), compared, missing, changed, extra (int64; absent without a manifest), rows_compared, rows_wrong
//     (int64; databases), encrypted (int64, files that look encrypted), signs (list of strings), canaries, canaries_broken
//     (int64; absent where none are declared), problem (string; absent where all went well)
//   - backup.copy, subject the drill's name and the copy's: set (string, the drill's name), name, medium (string),
//     offsite, offline (bool: offline or immutable), of each copy that the drill declares
//   - backup.copies, subject the drill's name: copies, media (int64), offsite, offline (bool), the sum of these
//   - backup.check, subject the repository: tool, read_data (bool), ok (bool), of a program's own check
//   - backup.job, subject the job: product, result (string: success, warning, failure, running), bytes (int64), seconds
//     (float64), machine (string), problem (string), of another product's report
//
// A value that is not known is absent.
package backup

import "github.com/breakwater-project/breakwater/internal/respond/posture/evidence"

// The kinds of facts that this package gives.
const (
	KindDrill  = "backup.drill"
	KindCopy   = "backup.copy"
	KindCopies = "backup.copies"
	KindCheck  = "backup.check"
	KindJob    = "backup.job"
)

// Formats returns the readers of this package: other products' reports on their jobs.
func Formats() []evidence.Format { return jobFormats() }
