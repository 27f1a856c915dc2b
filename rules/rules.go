// Package rules holds Breakwater's own pack of Sigma rules, embedded into the program. It imports nothing of
// ours: package sigma reads FS. What each rule must and must not match stands in examples/, under the rule's
// file name, and runs as a test of package sigma.
package rules

import "embed"

// FS holds the rules (*.yml) and their examples (examples/*.yml).
//
//go:embed *.yml examples/*.yml
var FS embed.FS
