//go:build unix

package tail

import (
	"io/fs"
	"syscall"
)

// identityOf returns device and inode.
func identityOf(info fs.FileInfo) identity {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return identity{uint64(st.Dev), uint64(st.Ino)}
	}
	return identity{}
}
