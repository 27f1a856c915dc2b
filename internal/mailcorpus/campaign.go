package mailcorpus

import (
	"mime"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// The years in which mail of the corpora can have been sent. The clock of a sender is often wrong.
var (
	firstTime = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
)

// receivedTime is the time of the last receiver's field, else the Date; zero where neither is believable.
func receivedTime(raw []byte) time.Time {
	f := readFields(header(raw))
	var words []string
	if r := f.get("received"); r != "" {
		if i := strings.LastIndexByte(r, ';'); i >= 0 {
			words = append(words, r[i+1:])
		}
	}
	words = append(words, f.get("date"))
	for _, w := range words {
		t, err := mail.ParseDate(strings.Join(strings.Fields(w), " "))
		if err == nil && t.After(firstTime) && t.Before(lastTime) {
			return t.UTC()
		}
	}
	return time.Time{}
}

var (
	replyMark = regexp.MustCompile(`(?i)^\s*(re|aw|sv|antw|fw|fwd|wg|tr|rv)\s*(\[\d+\])?\s*:\s*`)
	varying   = regexp.MustCompile(`[\pN_-]*\pN[\pL\pN_-]*|[^\s]+@[^\s]+`)
	notLetter = regexp.MustCompile(`[^\pL#]+`)
)

// campaign names what is likely one sending: the registered domain of From, and the subject with its numbers, codes,
// addresses, signs and reply marks taken out.
func campaign(raw []byte) string {
	f := readFields(header(raw))
	return organisation(f.get("from")) + "|" + subjectShape(f.get("subject"))
}

func organisation(from string) string {
	m := domainOf.FindAllStringSubmatch(from, -1)
	if len(m) == 0 {
		return "-"
	}
	host := strings.Trim(strings.ToLower(m[len(m)-1][1]), ".")
	if apex, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return apex
	}
	return host
}

// words decodes RFC 2047 words; charsets that the standard library doesn't know leave the text as it is.
var words = mime.WordDecoder{}

func subjectShape(subject string) string {
	s := strings.Join(strings.Fields(subject), " ")
	if d, err := words.DecodeHeader(s); err == nil {
		s = d
	}
	for range 8 {
		cut := replyMark.ReplaceAllString(s, "")
		if cut == s {
			break
		}
		s = cut
	}
	s = varying.ReplaceAllString(strings.ToLower(s), "#")
	return strings.Trim(notLetter.ReplaceAllString(s, " "), " ")
}
