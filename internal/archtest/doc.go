// Package archtest holds the house to its plan: which package may import which, and which may touch the network
// or a database, as Go maps with reasons, compared with what `go list` says; beside them the few rules of style
// that a machine can check. It has no code of its own. A test that fails names the package, the rule and the
// reason, so that either the code or the plan can be mended.
package archtest
