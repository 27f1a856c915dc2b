//go:build race

package mailcorpus

// raceEnabled is set where the race detector makes everything ten times slower.
const raceEnabled = true
