package backup

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// What is looked at of a file, and from when on it looks encrypted. Text has about 4 to 5 bits a byte, code and tables
// 5 to 6; what is compressed or encrypted has nearly 8, and of a small file less, since few bytes can't show all values.
// Sources: C. Shannon, "Prediction and Entropy of Printed English" (1951); for files, J. Hall and T. Davis, "Entropy
// and file type" (2006).
const (
	lookedAt     = 64 << 10
	smallestLook = 512
	randomBits   = 7.2
	// manyOf is the share of all files with one strange ending from which that ending is a sign.
	manyOf     = 0.5
	fewestOf   = 10
	maxSigns   = 10
	textAsMost = 0.05 // share of bytes that are no text in a text file
)

// promised are the first bytes of files whose names end so.
var promised = map[string][][]byte{
	".docx": {[]byte("PK\x03\x04")}, ".xlsx": {[]byte("PK\x03\x04")}, ".pptx": {[]byte("PK\x03\x04")}, ".odt": {[]byte("PK\x03\x04")}, ".ods": {[]byte("PK\x03\x04")},
	".zip": {[]byte("PK\x03\x04"), []byte("PK\x05\x06")}, ".jar": {[]byte("PK\x03\x04"), []byte("PK\x05\x06")},
	".doc": {[]byte("\xd0\xcf\x11\xe0"), []byte("{\\rtf")}, ".xls": {[]byte("\xd0\xcf\x11\xe0"), []byte("PK\x03\x04")}, ".ppt": {[]byte("\xd0\xcf\x11\xe0")}, ".msg": {[]byte("\xd0\xcf\x11\xe0")},
	".pdf": {[]byte("%PDF")}, ".png": {[]byte("\x89PNG")}, ".jpg": {[]byte("\xff\xd8\xff")}, ".jpeg": {[]byte("\xff\xd8\xff")}, ".gif": {[]byte("GIF8")},
	".gz": {[]byte("\x1f\x8b")}, ".xz": {[]byte("\xfd7zXZ")}, ".7z": {[]byte("7z\xbc\xaf")}, ".zst": {[]byte("\x28\xb5\x2f\xfd")}, ".bz2": {[]byte("BZh")},
	".sqlite": {[]byte("SQLite format 3")}, ".db": {[]byte("SQLite format 3")}, ".pst": {[]byte("!BDN")}, ".exe": {[]byte("MZ")}, ".dll": {[]byte("MZ")},
}

// textual are endings of files that hold text.
var textual = set(".txt", ".csv", ".tsv", ".log", ".json", ".jsonl", ".xml", ".html", ".htm", ".css", ".js", ".ts", ".md", ".sql", ".ini", ".conf", ".cfg", ".yaml", ".yml",
	".toml", ".eml", ".ics", ".vcf", ".rtf", ".tex", ".sh", ".ps1", ".bat", ".cmd", ".py", ".go", ".c", ".h", ".cpp", ".cs", ".java", ".php", ".rb", ".pl", ".properties", ".svg")

// demand are names of the notes that extortionists leave, as in the cases that CISA's #StopRansomware advisories show:
// a file that tells how to restore or decrypt files.
var demand = regexp.MustCompile(`(?i)^((how|read).?(to|me).{0,20}(decrypt|restore|recover|back).{0,40}|.{0,40}(restore|decrypt|recover).?(my|your|the)?.?files?.{0,20}|.{1,16}-readme|_?readme_?for_?decrypt.{0,10}|decrypt.{0,5}(instructions?|info)|!+.?read.?me.?!+)\.(txt|html?|hta)$`)

// endingsOfFamilies are endings that ransomware gives files and hardly anything else does.
// Source: general knowledge of published advisories (LockBit, Ryuk, Phobos, Conti, Dharma); check before relying on
// the absence of one.
var endingsOfFamilies = set(".lockbit", ".ryk", ".phobos", ".conti", ".dharma", ".wncry", ".encrypted", ".locked", ".crypt", ".enc_robbinhood", ".gdcb", ".krab")

func set(list ...string) map[string]bool {
	out := make(map[string]bool, len(list))
	for _, s := range list {
		out[s] = true
	}
	return out
}

// head keeps the first bytes that are written to it.
type head struct{ data []byte }

func (h *head) Write(p []byte) (int, error) {
	if room := lookedAt - len(h.data); room > 0 {
		h.data = append(h.data, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// bits is the Shannon entropy in bits a byte.
func bits(data []byte) float64 {
	var count [256]int
	for _, b := range data {
		count[b]++
	}
	sum := 0.0
	for _, c := range count {
		if c > 0 {
			p := float64(c) / float64(len(data))
			sum -= p * math.Log2(p)
		}
	}
	return sum
}

// random reports whether bytes look as if they were encrypted.
func random(data []byte) bool {
	// Of n random bytes the expected entropy is about 8 - 255/(2 n ln 2) bits (G. Miller, 1955); half a bit is left for chance.
	return len(data) >= smallestLook && bits(data) >= min(randomBits, 8-255/(2*float64(len(data))*math.Ln2)-0.5)
}

// looksEncrypted reports whether a file's beginning is random where its name promises something else.
func looksEncrypted(name string, data []byte) bool {
	if !random(data) {
		return false
	}
	ending := strings.ToLower(path.Ext(name))
	if _, ok := promised[ending]; !ok && !textual[ending] || hasKnownHead(data) {
		return false
	}
	return !textual[ending] || !text(data)
}

// otherHeads begin sorts of files that are random by nature and often called by another sort's name: pictures of the web
// and of telephones, videos, certificates' stores, databases.
var otherHeads = [][]byte{[]byte("RIFF"), []byte("BM"), []byte("II*\x00"), []byte("MM\x00*"), []byte("\x1aE\xdf\xa3"), []byte("OggS"), []byte("ID3"), []byte("fLaC"), []byte("\x04\x22\x4d\x18"), []byte("Rar!"), []byte("LZIP")}

// hasKnownHead reports whether a file begins as some sort of file does, though perhaps not the one that its name
// promises: a picture that is called .jpg and is a PNG, a table that is called .xls and is an .xlsx, a document with a
// password, a log that is compressed. Whoever encrypts for a ransom leaves no such beginning.
func hasKnownHead(data []byte) bool {
	for _, heads := range promised {
		if slices.ContainsFunc(heads, func(h []byte) bool { return bytes.HasPrefix(data, h) }) {
			return true
		}
	}
	if slices.ContainsFunc(otherHeads, func(h []byte) bool { return bytes.HasPrefix(data, h) }) {
		return true
	}
	switch {
	case len(data) > 12 && string(data[4:8]) == "ftyp": // MP4, HEIC
		return true
	case len(data) > 376 && data[0] == 'G' && data[188] == 'G' && data[376] == 'G': // MPEG transport stream, called .ts
		return true
	}
	return bytes.Contains(data[:min(len(data), 1024)], []byte("%PDF-")) // readers of PDF allow for what stands before
}

// text reports whether bytes are text in UTF-8, UTF-16 or a code page.
func text(data []byte) bool {
	if utf8.Valid(data) || bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return true
	}
	odd := 0
	for _, b := range data {
		if b < ' ' && b != '\n' && b != '\r' && b != '\t' && b != '\f' {
			odd++
		}
	}
	return float64(odd) <= textAsMost*float64(len(data))
}

// signs gathers what speaks for encryption in a restored sample.
type signs struct {
	files     int
	encrypted int            // by content
	random    map[string]int // ending → files with it that are random, of endings that promise nothing
	demands   int
	families  map[string]int
}

func (s *signs) look(name string, data []byte) {
	s.files++
	base := path.Base(name)
	ending := strings.ToLower(path.Ext(base))
	if demand.MatchString(base) {
		s.demands++
	}
	if endingsOfFamilies[ending] {
		if s.families == nil {
			s.families = map[string]int{}
		}
		s.families[ending]++
	}
	if looksEncrypted(name, data) {
		s.encrypted++
	} else if _, known := promised[ending]; !known && !textual[ending] && random(data) {
		if s.random == nil {
			s.random = map[string]int{}
		}
		s.random[ending]++
	}
}

// words are the signs in plain words, the strongest first, and the number of files that look encrypted.
func (s *signs) words() (list []any, encrypted int) {
	encrypted = s.encrypted
	if s.encrypted > 0 {
		list = append(list, fmt.Sprintf("%d files hold random bytes where their names promise text, documents or pictures", s.encrypted))
	}
	for _, ending := range slices.Sorted(maps.Keys(s.families)) {
		list = append(list, fmt.Sprintf("%d files end in %s, as ransomware renames them", s.families[ending], ending))
		encrypted += s.families[ending]
	}
	for _, ending := range slices.Sorted(maps.Keys(s.random)) {
		if n := s.random[ending]; n >= fewestOf && float64(n) >= manyOf*float64(s.files) && !endingsOfFamilies[ending] {
			list = append(list, fmt.Sprintf("%d of %d files end in %q and hold random bytes", n, s.files, ending))
			encrypted += n
		}
	}
	if s.demands > 0 {
		list = append(list, fmt.Sprintf("%d files are named as notes that ask for a ransom", s.demands))
	}
	return list[:min(len(list), maxSigns)], encrypted
}
