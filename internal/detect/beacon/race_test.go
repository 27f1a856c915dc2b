//go:build race

package beacon

// raceEnabled is set where the race detector makes everything ten times slower.
const raceEnabled = true
