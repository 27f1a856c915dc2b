//go:build unix

package sweep

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// tryLock holds a file alone, or says errHeld where somebody else does. The kernel lets go of it with the process.
func tryLock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errHeld
		}
		return nil, err
	}
	return heldLock{f}, nil
}

// heldLock gives the lock up by name: a process that was forked and has not come to its exec yet holds a copy of the
// file.
type heldLock struct{ f *os.File }

func (l heldLock) Close() error {
	return errors.Join(syscall.Flock(int(l.f.Fd()), syscall.LOCK_UN), l.f.Close())
}
