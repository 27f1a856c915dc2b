//go:build race

package scenario

// raceEnabled is set where the race detector makes everything ten times slower.
const raceEnabled = true
