package backup

import (
	"errors"
	"os/exec"
)

// alone leaves a program as it is: it ends with its parent's wish, its children by themselves.
func alone(*exec.Cmd, *account) {}

// quit leaves the server to be ended as any program.
func quit(*exec.Cmd) {}

// accountOf knows no other users.
func accountOf(name string) (*account, error) {
	if name == "" {
		return nil, nil
	}
	return nil, errors.New("as_user is not known on this system; leave it out")
}

func own(string, *account) error { return nil }

func isRoot() bool { return false }
