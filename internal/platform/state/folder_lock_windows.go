package state

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// folderLock says who has the data folder open: many share it, and one alone may check and rebuild. Windows lets go
// of it when its process ends, however it ends; the file is empty, so that nothing in it can be damaged.
type folderLock struct{ f *os.File }

func openFolderLock(path string) (*folderLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return &folderLock{f}, nil
}

// exclusive reports whether the lock was free of all others; it does not wait.
func (l *folderLock) exclusive() (bool, error) { return l.take(windows.LOCKFILE_EXCLUSIVE_LOCK) }

// shared reports whether nobody holds it alone; it does not wait.
func (l *folderLock) shared() (bool, error) { return l.take(0) }

func (l *folderLock) take(how uint32) (bool, error) {
	err := windows.LockFileEx(windows.Handle(l.f.Fd()), how|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return false, nil
	}
	return false, fmt.Errorf("locking %s: %w", l.f.Name(), err)
}

func (l *folderLock) release() error {
	if err := windows.UnlockFileEx(windows.Handle(l.f.Fd()), 0, 1, 0, &windows.Overlapped{}); err != nil {
		return fmt.Errorf("letting go of %s: %w", l.f.Name(), err)
	}
	return nil
}

func (l *folderLock) close() error { return l.f.Close() }
