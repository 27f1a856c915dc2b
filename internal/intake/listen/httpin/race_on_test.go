//go:build race

package httpin

const raceEnabled = true
