//go:build !unix

package mail

import "time"

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
