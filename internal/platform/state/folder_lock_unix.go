//go:build unix

package state

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// folderLock says who has the data folder open: many share it, and one alone may check and rebuild. The kernel lets
// go of it when its process ends, however it ends; the file is empty, so that nothing in it can be damaged.
type folderLock struct{ f *os.File }

func openFolderLock(path string) (*folderLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &folderLock{f}, nil
}

// exclusive reports whether the lock was free of all others; it does not wait.
func (l *folderLock) exclusive() (bool, error) { return l.take(syscall.LOCK_EX | syscall.LOCK_NB) }

// shared reports whether nobody holds it alone; it does not wait.
func (l *folderLock) shared() (bool, error) { return l.take(syscall.LOCK_SH | syscall.LOCK_NB) }

func (l *folderLock) release() error {
	_, err := l.take(syscall.LOCK_UN)
	return err
}

func (l *folderLock) take(how int) (bool, error) {
	for {
		switch err := syscall.Flock(int(l.f.Fd()), how); {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		default:
			return false, fmt.Errorf("locking %s: %w", l.f.Name(), err)
		}
	}
}

// close gives the lock up by name: a process that was forked and has not come to its exec yet holds a copy of the file.
func (l *folderLock) close() error { return errors.Join(l.release(), l.f.Close()) }
