package sweep

import "errors"

// errHeld says that somebody else holds the lock.
var errHeld = errors.New("held by another")
