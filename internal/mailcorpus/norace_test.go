//go:build !race

package mailcorpus

const raceEnabled = false
