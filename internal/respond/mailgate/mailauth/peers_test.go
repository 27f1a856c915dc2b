package mailauth

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

// opendkim-testmsg signs with SHA-1 alone, which is refused here (RFC 8301). Its hash and signature still tell
// whether what is hashed here is what OpenDKIM hashes.
func TestPeer_openDKIM(t *testing.T) {
	tool, err := exec.LookPath("opendkim-testmsg")
	if err != nil {
		t.Skip("opendkim-testmsg is not installed: apt-get install opendkim-tools")
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, keyFile(rsaKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string]string{
		"letter":  letter,
		"8bit":    strings.Replace(letter, "Hi.", "Grüße aus Köln.", 1),
		"folded":  strings.Replace(letter, "Subject:", "X-Folded: a\r\n\tb\r\n  c  d\r\nSubject:", 1),
		"no body": letter[:strings.Index(letter, "\r\n\r\n")+4],
		"long":    letter + strings.Repeat("A line of  words \t and spaces   \r\n\r\n", 2000),
	} {
		t.Run(name, func(t *testing.T) {
			out := run(t, raw, tool, "-C", "-d", "partner.example", "-s", "r", "-k", file, "-t", t.TempDir())
			m := readMessage([]byte(out))
			s := parseSignature(m, 0, true, false)
			if s.algorithm != "rsa-sha1" || !strings.Contains(s.problem, "too weak") {
				t.Fatalf("opendkim-testmsg signs with %q (%s): this test is for SHA-1", s.algorithm, s.problem)
			}
			body := bodyHash{h: sha1.New(), left: -1}
			if s.relaxedBody {
				body.relaxed(m.body)
			} else {
				body.simple(m.body)
			}
			if got := base64.StdEncoding.EncodeToString(body.h.Sum(nil)); got != s.tags.value("bh") {
				t.Errorf("the body's hash is %s here and %s by OpenDKIM", got, s.tags.value("bh"))
			}
			sig, err := base64.StdEncoding.DecodeString(s.tags.value("b"))
			if err != nil {
				t.Fatal(err)
			}
			sum := sha1.Sum(s.data(nil, m))
			if err := rsa.VerifyPKCS1v15(&rsaKey().PublicKey, crypto.SHA1, sum[:], sig); err != nil {
				t.Errorf("OpenDKIM's signature does not fit the header as it is hashed here: %v", err)
			}
		})
	}
}

// dkimpy adds seals for the domains that it is given, or says what it thinks of a message's. Its DNS is a file of
// names and records; a server's own result must lie in the message before it seals.
const dkimpy = `
import sys, dkim
what, zone = sys.argv[1], dict(l.rstrip("\n").split("\t") for l in open(sys.argv[2]))
def dns(name, timeout=5):
    return zone.get((name.decode() if isinstance(name, bytes) else name).rstrip("."), "").encode() or None
raw = sys.stdin.buffer.read()
if what == "seal":
    key, arc = open(sys.argv[3], "rb").read(), b"none"
    for domain in sys.argv[4:]:
        d = domain.encode()
        raw = b"Authentication-Results: " + d + b"; spf=pass smtp.mailfrom=partner.example; arc=" + arc + b"\r\n" + raw
        raw = b"".join(dkim.ARC(raw).sign(b"r", d, key, d, include_headers=[b"from", b"to", b"subject", b"date"])) + raw
        arc = b"pass"
    sys.stdout.buffer.write(raw)
else:
    print(dkim.arc_verify(raw, dnsfunc=dns)[0].decode(), dkim.verify(raw, dnsfunc=dns))
`

// python returns an interpreter that has dkimpy.
func python(t *testing.T) string {
	t.Helper()
	for _, p := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), p, "-c", "import dkim, authres").Run() == nil {
			return p
		}
	}
	t.Skip("dkimpy is not installed: apt-get install python3-dkim python3-authres")
	return ""
}

func run(t *testing.T, in string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(in)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, errs.Bytes())
	}
	return string(out)
}

func TestPeer_dkimpy(t *testing.T) {
	py := python(t)
	z := map[string]mockdns.Zone{}
	for _, d := range []string{"one.example", "two.example", "three.example", "partner.example"} {
		z["r._domainkey."+d+"."] = txt(keyRecord(t, rsaKey()))
	}
	zone, c := records(t, z), checker(t, z)
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, keyFile(rsaKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	// What it seals passes here, until it is changed.
	theirs := run(t, signed(t, letter, "partner.example"), py, "-c", dkimpy, "seal", zone, file, "one.example", "two.example", "three.example")
	r := c.Check(t.Context(), Envelope{}, []byte(theirs))
	if r.ARC.Result != Pass || strings.Join(r.ARC.Chain, " ") != "one.example two.example three.example" || r.ARC.OldestPass != 0 || r.DKIM[0].Result != Pass {
		t.Errorf("three hops of dkimpy's: %+v, %+v, want pass of both", r.ARC, r.DKIM)
	}
	for _, edit := range [][2]string{{"dinner", "invoice"}, {"lost", "won"}, {"smtp.mailfrom=partner.example", "smtp.mailfrom=bank.example"}} {
		changed := strings.ReplaceAll(theirs, edit[0], edit[1])
		if r := c.Check(t.Context(), Envelope{}, []byte(changed)); r.ARC.Result != Fail {
			t.Errorf("with %q for %q: %+v, want fail", edit[1], edit[0], r.ARC)
		}
		if got := run(t, changed, py, "-c", dkimpy, "verify", zone); !strings.HasPrefix(got, "fail") {
			t.Errorf("with %q for %q dkimpy says %s", edit[1], edit[0], got)
		}
	}
	// What is sealed here passes there.
	ours := signed(t, letter, "partner.example")
	cv := "none"
	for _, d := range []string{"one.example", "two.example"} {
		ours = sealBy(t, ours, d, cv, "arc="+cv, rsaKey(), "r")
		cv = "pass"
	}
	if got := run(t, ours, py, "-c", dkimpy, "verify", zone); got != "pass True\n" {
		t.Errorf("dkimpy says %q of two hops made here", got)
	}
}

func records(t *testing.T, z map[string]mockdns.Zone) string {
	t.Helper()
	var b strings.Builder
	for name, zone := range z {
		for _, r := range zone.TXT {
			b.WriteString(strings.TrimSuffix(name, ".") + "\t" + r + "\n")
		}
	}
	file := filepath.Join(t.TempDir(), "zone")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
