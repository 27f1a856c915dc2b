package decode

import "github.com/breakwater-project/breakwater/internal/record/ocsf"

// TCPFlags are flags of TCP as RFC 9293 3.1 numbers them; others are ignored.
type TCPFlags uint8

// The flags that a state is told by.
const (
	FlagFIN TCPFlags = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
)

// TCPState returns conn_state and history, in the words of Zeek's conn log, of a connection by the flags that its
// sides ever set; the letters say who did what but not in which order. Resp is 0 where the
// responder sent nothing. Turned says that the originator only answered (SYN-ACK), so that the sides are to be
// exchanged; the history then begins with ^. The table:
//
//	S0 SYN alone · REJ SYN, answered by RST alone · S1 SYN of both · RSTOS0 SYN and RST alone · SH SYN and FIN alone
//	RSTO, RSTR, S2, S3, SF: SYN of both or data, then RST of one side, or FIN of one or both
//	OTH: no SYN of the originator; or it went on though no answer was seen
func TCPState(orig, resp TCPFlags) (state, history string, turned bool) {
	o := func(f TCPFlags) bool { return orig&f != 0 }
	r := func(f TCPFlags) bool { return resp&f != 0 }
	if o(FlagSYN) && o(FlagACK) && !o(FlagPSH|FlagFIN) && !r(FlagSYN|FlagPSH|FlagFIN|FlagACK) {
		if r(FlagRST) {
			return "OTH", "^hR", true
		}
		return "OTH", "^h", true
	}
	met := r(FlagSYN | FlagPSH | FlagFIN)
	var h []byte
	note := func(is bool, c byte) {
		if is {
			h = append(h, c)
		}
	}
	note(o(FlagSYN), 'S')
	note(r(FlagSYN), 'h')
	note(o(FlagACK) && (met || !o(FlagRST)), 'A') // a RST may carry ACK
	note(o(FlagPSH), 'D')
	note(r(FlagACK) && r(FlagPSH|FlagFIN), 'a')
	note(r(FlagPSH), 'd')
	note(o(FlagFIN), 'F')
	note(r(FlagFIN), 'f')
	note(o(FlagRST), 'R')
	note(r(FlagRST), 'r')
	return tcpStateOf(o, r, met, resp == 0), string(h), false
}

func tcpStateOf(o, r func(TCPFlags) bool, met, silent bool) string {
	switch {
	case !o(FlagSYN):
	case r(FlagRST) && met:
		return "RSTR"
	case r(FlagRST):
		return "REJ"
	case o(FlagRST) && met:
		return "RSTO"
	case o(FlagRST) && silent:
		return "RSTOS0"
	case o(FlagFIN) && r(FlagFIN):
		return "SF"
	case o(FlagFIN) && met:
		return "S2"
	case o(FlagFIN) && silent && !o(FlagPSH|FlagACK):
		return "SH"
	case r(FlagFIN):
		return "S3"
	case met:
		return "S1"
	case silent && !o(FlagPSH|FlagACK):
		return "S0"
	}
	return "OTH"
}

// FlowOutcome returns what a conn_state means in OCSF's words.
func FlowOutcome(state string) (activity string, status ocsf.Status) {
	switch state {
	case "S0", "SH", "RSTOS0":
		return "fail", ocsf.StatusFailure
	case "REJ":
		return "refuse", ocsf.StatusFailure
	case "SF":
		return "close", ocsf.StatusSuccess
	case "S1", "S2", "S3":
		return "open", ocsf.StatusSuccess
	case "RSTO", "RSTR":
		return "reset", ocsf.StatusSuccess
	}
	return "traffic", ocsf.StatusUnknown // OTH, SHR, RSTRH: only a part was seen
}
