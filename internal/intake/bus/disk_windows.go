package bus

import (
	"fmt"

	"golang.org/x/sys/windows"
)

const (
	errDiskFull = windows.ERROR_DISK_FULL
	errQuota    = windows.ERROR_DISK_QUOTA_EXCEEDED
)

// space gives the bytes that are free for us and the size of a directory's file system.
func space(dir string) (free, total int64, err error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	var avail, size uint64
	if err := windows.GetDiskFreeSpaceEx(name, &avail, &size, nil); err != nil {
		return 0, 0, fmt.Errorf("asking for the free space of %s: %w", dir, err)
	}
	return int64(avail), int64(size), nil
}

// syncDir does nothing: NTFS keeps names in its journal, and no call for it is given to programs.
func syncDir(string) error { return nil }
