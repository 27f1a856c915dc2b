//go:build race

package enumeration

// floodSources is fewer where the race detector makes each of them ten times as slow.
const floodSources = 100_000
