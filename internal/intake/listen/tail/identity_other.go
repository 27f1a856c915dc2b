//go:build !unix

package tail

import "io/fs"

// identityOf knows nothing here: a file is known by its first bytes.
func identityOf(fs.FileInfo) identity { return identity{} }
