package scenario

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

func everyWord() words {
	r := newRNG(1, "words")
	return wordsAt(r, "de", defaultStart).with(words{"to": "Jana", "toMail": "j@x.example", "from": "Uwe Kern", "client": "Klient", "partner": "Partner", "owner": "Ida Holm",
		"colleague": "Bo Falk", "colleague2": "Ada Lang", "partnerMail": "p@y.example", "known": "https://y.example/", "foehost": "z.example", "link": "https://z.example/a"})
}

// TestEveryTemplateExpands walks all texts many times: no word is missing, no bracket stays open, nothing stays marked.
func TestEveryTemplateExpands(t *testing.T) {
	t.Parallel()
	w, r := everyWord(), newRNG(2, "expand")
	n := 0
	try := func(where, text string) {
		for range 12 {
			n++
			if got := asPlain(w.say(r, text)); strings.ContainsAny(got, "{}\x02\x03\x04") {
				t.Errorf("%s: %q became %q", where, text, got)
			}
		}
	}
	for _, lang := range languages {
		for _, set := range []map[string][]script{lures, honest, machineMails, spamMails, newsletters} {
			if len(set[lang]) == 0 {
				t.Errorf("%s: a set of scripts is empty", lang)
			}
			for _, sc := range set[lang] {
				try(lang+" "+sc.kind, sc.subject)
				try(lang+" "+sc.kind, sc.body)
				try(lang+" "+sc.kind, sc.path)
				if !sc.reply && sc.subject == "" {
					t.Errorf("%s %s: neither a subject nor a thread: %q", lang, sc.kind, sc.body)
				}
				if strings.Contains(sc.body, "{link") != (sc.path != "" && !strings.HasPrefix(sc.file, "qr") && sc.file != "html-form" && sc.file != "ics-link") && sc.path == "" {
					t.Errorf("%s %s: a link that leads nowhere: %q", lang, sc.kind, sc.body)
				}
			}
		}
		for _, tk := range talks[lang] {
			try(lang+" talk", tk.subject)
			for _, turn := range tk.turns {
				try(lang+" talk", turn)
			}
		}
	}
	if n < 3000 {
		t.Errorf("only %d expansions", n)
	}
}

func TestLuresHaveTheirKindsInEveryLanguage(t *testing.T) {
	t.Parallel()
	wanted := strings.Fields(`thread-link shared-document credential-page mailbox-quota mfa-push oauth-consent device-code callback bank-change invoice-redirect payroll-change
		gift-card remote-tool qr-code html-form encrypted-zip meeting-invite e-signature command mass-mailing supplier-portal`)
	for _, lang := range languages {
		for _, kind := range wanted {
			if len(ofKind(lures[lang], kind)) == 0 {
				t.Errorf("no %s in %s", kind, lang)
			}
		}
	}
}

// leaf is one part of a message that holds content.
type leaf struct {
	kind, name string
	content    []byte
}

// leaves takes a message apart as the standard library reads it.
func leaves(t *testing.T, header func(string) string, body io.Reader) []leaf {
	t.Helper()
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		t.Fatalf("Content-Type %q: %v", header("Content-Type"), err)
	}
	if strings.HasPrefix(kind, "multipart/") {
		var out []leaf
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", kind, err)
			}
			out = append(out, leaves(t, p.Header.Get, p)...)
		}
		if len(out) == 0 {
			t.Fatalf("%s without parts", kind)
		}
		return out
	}
	switch header("Content-Transfer-Encoding") {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = newBase64(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return []leaf{{kind, params["name"], b}}
}

// TestPartnerMailIsCorrectMIME reads every message of a folder and follows its threads.
func TestPartnerMailIsCorrectMIME(t *testing.T) {
	t.Parallel()
	dir, truth := write(t, Options{Kind: PartnerMail, Seed: 5})
	type seen struct {
		at time.Time
		id string
	}
	ids := map[string]time.Time{}
	var replies []struct {
		file, parent string
		at           time.Time
	}
	last := map[string]seen{}
	kinds := map[string]map[string]bool{}
	codes, zips := 0, 0
	for _, mt := range truth.Mail {
		raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(mt.File)))
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw { // header and structure are ASCII; text is encoded
			if raw[i] >= 0x80 || raw[i] == 0 {
				t.Fatalf("%s: byte %#x at %d", mt.File, raw[i], i)
			}
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", mt.File, err)
		}
		for _, name := range []string{"From", "To"} {
			if _, err := m.Header.AddressList(name); err != nil && m.Header.Get(name) != "undisclosed-recipients:;" {
				t.Errorf("%s: %s: %v", mt.File, name, err)
			}
		}
		at, err := m.Header.Date()
		if err != nil {
			t.Fatalf("%s: %v", mt.File, err)
		}
		for i := len(m.Header["Received"]) - 1; i >= 0; i-- { // the last is the oldest
			hop := m.Header["Received"][i]
			stamp, err := mail.ParseDate(strings.TrimSpace(hop[strings.LastIndexByte(hop, ';')+1:]))
			if err != nil || stamp.Before(at.Add(-time.Second)) {
				t.Errorf("%s: hop %d of %v before the message of %v (%v)", mt.File, i, stamp, at, err)
			}
		}
		folder, _, _ := strings.Cut(mt.File, "/")
		if at.Before(last[folder].at.Add(-20 * time.Second)) {
			t.Errorf("%s: %v, after one of %v", mt.File, at, last[folder].at)
		}
		id := m.Header.Get("Message-ID")
		last[folder] = seen{at, id}
		if _, ok := ids[id]; ok || id == "" {
			t.Errorf("%s: Message-ID %q comes twice", mt.File, id)
		}
		ids[id] = at
		if parent := m.Header.Get("In-Reply-To"); parent != "" {
			replies = append(replies, struct {
				file, parent string
				at           time.Time
			}{mt.File, parent, at})
			if !strings.HasSuffix(m.Header.Get("References"), parent) {
				t.Errorf("%s: the references don't end with what is answered", mt.File)
			}
		}
		if folder != "history" {
			if ar := m.Header.Get("Authentication-Results"); !strings.Contains(ar, "spf=pass") || !strings.Contains(ar, "dmarc=pass") {
				t.Errorf("%s: %q", mt.File, ar)
			}
		}
		for _, l := range leaves(t, m.Header.Get, m.Body) {
			switch l.kind {
			case "image/png":
				codes++
				readCode(t, mt.File, l.content)
			case "application/zip":
				zips++
				z, err := zip.NewReader(bytes.NewReader(l.content), int64(len(l.content)))
				if err != nil || len(z.File) != 1 || z.File[0].Flags&1 == 0 {
					t.Errorf("%s: %s is no encrypted archive: %v", mt.File, l.name, err)
				}
			case "application/pdf":
				if !bytes.HasPrefix(l.content, []byte("%PDF-1.4")) {
					t.Errorf("%s: %s is no PDF", mt.File, l.name)
				}
				start, _ := strconv.Atoi(strings.TrimSpace(string(between(l.content, "startxref\n", "\n%%EOF"))))
				if start <= 0 || !bytes.HasPrefix(l.content[start:], []byte("xref")) {
					t.Errorf("%s: %s: startxref leads elsewhere", mt.File, l.name)
				}
			}
		}
		if kinds[mt.Label] == nil {
			kinds[mt.Label] = map[string]bool{}
		}
		kinds[mt.Label][mt.Kind] = true
	}
	known := 0
	for _, r := range replies {
		if at, ok := ids[r.parent]; ok {
			known++
			if at.After(r.at) {
				t.Errorf("%s answers what came later", r.file)
			}
		}
	}
	if len(replies) < 150 || known < len(replies)*9/10-cleanMails/2 {
		t.Errorf("%d replies, %d of them to messages that are here", len(replies), known)
	}
	if len(kinds["lure"]) < 16 || codes < 2 || zips < 2 {
		t.Errorf("%d kinds of lures, %d codes, %d archives", len(kinds["lure"]), codes, zips)
	}
}

func between(b []byte, from, to string) []byte {
	_, rest, _ := bytes.Cut(b, []byte(from))
	out, _, _ := bytes.Cut(rest, []byte(to))
	return out
}

func newBase64(r io.Reader) io.Reader { return base64.NewDecoder(base64.StdEncoding, r) }

func readCode(t *testing.T, file string, content []byte) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	m, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	text, err := qrcode.NewQRCodeReader().Decode(m, nil)
	if err != nil || !strings.HasPrefix(text.GetText(), "https://") {
		t.Errorf("%s: the picture holds no link: %v", file, err)
	}
}

func TestPartnerMailHasItsSizes(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for seed := range uint64(6) {
		dir, truth := write(t, Options{Kind: PartnerMail, Seed: seed})
		counts, languages := map[string]int{}, map[string]int{}
		for _, m := range truth.Mail {
			folder, _, _ := strings.Cut(m.File, "/")
			counts[folder]++
			if m.Label == "lure" {
				languages[m.Language]++
			}
			if (m.Label == "lure") != (folder == "lure") {
				t.Errorf("seed %d: %s is %s", seed, m.File, m.Label)
			}
		}
		if counts["history"] < 330 || counts["history"] > 400 || counts["clean"] < 140 || counts["clean"] > 160 || counts["lure"] < 55 || counts["lure"] > lureMails {
			t.Errorf("seed %d: %v", seed, counts)
		}
		if languages["en"] < 5 || languages["de"] < 5 || languages["fr"] < 5 {
			t.Errorf("seed %d: lures %v", seed, languages)
		}
		labels, err := os.ReadFile(filepath.Join(dir, "labels.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		if rows := bytes.Count(labels, []byte("\n")); rows != len(truth.Mail)+1 {
			t.Errorf("seed %d: %d rows for %d messages", seed, rows, len(truth.Mail))
		}
		config, err := os.ReadFile(filepath.Join(dir, "breakwater.yaml"))
		if err != nil || seen[string(config)] {
			t.Errorf("seed %d: the configuration is another seed's, %v", seed, err)
		}
		seen[string(config)] = true
	}
}

func TestPartnerMailIsTheSameBytes(t *testing.T) {
	t.Parallel()
	a, _ := write(t, Options{Kind: PartnerMail, Seed: 9})
	b, _ := write(t, Options{Kind: PartnerMail, Seed: 9})
	if digest(tree(t, a)) != digest(tree(t, b)) {
		t.Error("two runs of one seed differ")
	}
	c, truth := write(t, Options{Kind: PartnerMail, Seed: 9, WithoutAttack: true})
	for name := range tree(t, c) {
		if strings.HasPrefix(name, "lure/") {
			t.Errorf("without attack there is %s", name)
		}
	}
	if slices.ContainsFunc(truth.Mail, func(m MailTruth) bool { return m.Label == "lure" }) {
		t.Error("the truth has lures where none were written")
	}
	if _, err := Write(context.Background(), Options{Kind: PartnerMail, Overlap: true}, t.TempDir()); err == nil || !strings.Contains(err.Error(), "mail alone") {
		t.Errorf("an option of telemetry with mail alone: %v", err)
	}
}

// TestTruthNamesEveryMessage compares the truth's list with the folder and with attack.tsv.
func TestTruthNamesEveryMessage(t *testing.T) {
	t.Parallel()
	dir, truth := write(t, small("island-hop", 3))
	attack, err := readAttack(filepath.Join(dir, "attack.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range truth.Mail {
		named[m.File] = true
		if (len(attack[m.File]) > 0) != (m.Label == "lure") || m.Kind == "" || m.Language == "" {
			t.Errorf("%+v, and attack.tsv has %v", m, attack[m.File])
		}
	}
	mails := 0
	for name, raw := range tree(t, dir) {
		if !strings.Contains(name, "/mail/") {
			continue
		}
		mails++
		if !named[name] {
			t.Errorf("the truth does not name %s", name)
		}
		if m, err := mail.ReadMessage(bytes.NewReader(raw)); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if len(leaves(t, m.Header.Get, m.Body)) == 0 {
			t.Errorf("%s holds nothing", name)
		}
	}
	if mails == 0 || mails != len(truth.Mail) {
		t.Errorf("%d messages, the truth names %d", mails, len(truth.Mail))
	}
}
