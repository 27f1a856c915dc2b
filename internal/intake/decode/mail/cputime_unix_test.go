//go:build unix

package mail

import (
	"syscall"
	"time"
)

// cpuTime is what this process has used of processors, which a busy machine does not falsify as it does wall time.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
