//go:build !race

package enumeration

const floodSources = 1_000_000
