//go:build race

package inventory

// bigRows is how many rows the large inventory has; the race detector makes each some ten times dearer.
const bigRows = 100_000
