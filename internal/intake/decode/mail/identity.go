package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
)

// sourceID says which message this is: its Message-ID, the border's queue id, the recipient, and its content,
// since the sender chooses the first and a copy without Received lines lacks the second. A message that has
// neither has none: then the raw bytes say which it is.
func sourceID(messageID, queue, rcpt string, h header, body []byte) string {
	if messageID == "" && queue == "" {
		return ""
	}
	id := messageID + "|" + queue
	if rcpt != "" {
		id += "|" + rcpt
	}
	return id + "|" + contentHash(h, body)
}

// shownBy are the header fields that decide what a reader sees and whom he answers. Two copies of a message
// agree in them; they differ in trace fields (RFC 5322 3.6.7) and in what a mailbox adds.
var shownBy = [...]string{"from", "sender", "reply-to", "subject", "content-type", "content-transfer-encoding"}

// contentHash hashes those fields and the body, whichever way lines end and values are folded. It is as long as
// an event's id: one who may choose both messages must not find two that are equal.
func contentHash(h header, body []byte) string {
	sum := sha256.New()
	for _, name := range shownBy {
		for i := range h {
			if h[i].name == name {
				io.WriteString(sum, name)
				for w := range strings.FieldsSeq(h[i].value) {
					io.WriteString(sum, " ")
					io.WriteString(sum, w)
				}
				io.WriteString(sum, "\n")
			}
		}
	}
	for line := range bytes.Lines(bytes.TrimRight(body, "\r\n")) {
		io.WriteString(sum, "\n")
		sum.Write(bytes.TrimRight(line, "\r\n"))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
