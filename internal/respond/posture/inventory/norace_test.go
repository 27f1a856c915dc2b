//go:build !race

package inventory

// bigRows is how many rows the large inventory has.
const bigRows = 1_000_000
