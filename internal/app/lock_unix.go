//go:build unix

package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder sees that no second serve works on the same data. The kernel lets go of the lock with the process.
func lockFolder(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, "serve.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("another serve works on %s already; stop it, or give --data another folder", dir)
	}
	return f, nil
}
