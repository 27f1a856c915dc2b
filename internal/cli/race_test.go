//go:build race

package cli

// raceEnabled is set where the race detector makes everything ten times slower.
const raceEnabled = true
