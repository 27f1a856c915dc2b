//go:build race

package sigma

// raceEnabled is set where the race detector makes everything ten times slower and pools forget.
const raceEnabled = true
