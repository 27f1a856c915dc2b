//go:build unix

package sweep

import (
	"os"
	"syscall"
)

// chownLike gives a file to the owner of another.
func chownLike(name string, like os.FileInfo) error {
	st := like.Sys().(*syscall.Stat_t)
	return os.Chown(name, int(st.Uid), int(st.Gid))
}
