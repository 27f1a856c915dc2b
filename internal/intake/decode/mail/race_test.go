//go:build race

package mail

// raceEnabled is set where the race detector makes everything ten times slower.
const raceEnabled = true
