//go:build unix

package backup

import (
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// alone gives a program a session of its own, which ends as a whole, and another user's rights where asked. Without a
// terminal it cannot ask anybody for a password and wait for ever.
func alone(cmd *exec.Cmd, as *account) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if as != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: as.uid, Gid: as.gid}
	}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

// quit lets PostgreSQL's server be ended by its own immediate shutdown. Its children are no part of its process group, so
// that a session which is busy would outlive a kill of that; the server ends them, after five seconds by force.
func quit(cmd *exec.Cmd) {
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
}

// accountOf looks a user of the system up; "" is ourselves.
func accountOf(name string) (*account, error) {
	if name == "" {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &account{uint32(uid), uint32(gid)}, nil
}

// own gives a folder and what is in it to a user.
func own(dir string, as *account) error {
	if as == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, int(as.uid), int(as.gid))
	})
}

// isRoot reports whether we may do everything, which PostgreSQL's server refuses.
func isRoot() bool { return os.Geteuid() == 0 }
