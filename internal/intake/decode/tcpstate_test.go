package decode

import "testing"

func TestFlagsOfBothSidesTellTheState(t *testing.T) {
	for _, c := range []struct {
		orig, resp    TCPFlags
		state, letter string
	}{
		{FlagSYN, 0, "S0", "S"},
		{FlagSYN, FlagRST | FlagACK, "REJ", "Sr"},
		{FlagSYN | FlagRST, FlagSYN | FlagACK, "RSTO", "ShR"},
		{FlagSYN | FlagRST, 0, "RSTOS0", "SR"},
		{FlagSYN | FlagFIN, 0, "SH", "SF"},
		{FlagSYN | FlagACK | FlagPSH | FlagFIN, FlagSYN | FlagACK | FlagPSH | FlagFIN, "SF", "ShADadFf"},
		{FlagSYN | FlagACK | FlagPSH, 0, "OTH", "SAD"},
		{FlagSYN | FlagACK, 0, "OTH", "^h"},
		{FlagSYN | FlagACK, FlagRST, "OTH", "^hR"},
		{FlagSYN, FlagACK, "OTH", "S"},
		{FlagFIN, 0, "OTH", "F"},
		{0, FlagRST | FlagACK, "OTH", "r"},
		{0, 0, "OTH", ""},
	} {
		state, history, turned := TCPState(c.orig, c.resp)
		if state != c.state || history != c.letter || turned != (c.letter != "" && c.letter[0] == '^') {
			t.Errorf("%05b %05b: %s %s turned %v, want %s %s", c.orig, c.resp, state, history, turned, c.state, c.letter)
		}
	}
}
