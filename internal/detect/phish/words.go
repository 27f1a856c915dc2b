package phish

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// ask is what a text wants of its reader.
type ask struct {
	credential string // the words that ask for a sign-in, password or confirmation
	urgency    string
	payment    string // a change of where money goes
	code       string // an approval, one-time code or device code
	handOver   string // give me that code
	signIn     string // any talk of signing in
	scare      string // a charge or an incident that frightens
	secrecy    string // keep it quiet, do not call
	callback   string // call this number
	open       string // open, run or scan what is enclosed
	bait       string // a subject of consumer phishing
	command    string // a command to run
	scan       string // scan a code
}

// newText returns what the sender wrote, without quotations of earlier mail, in lower case with single spaces.
func newText(subject, text string) string {
	if !ascii(subject) {
		subject = norm.NFKC.String(subject) // letters of mathematics are letters to the reader
	}
	if !ascii(text) {
		text = norm.NFKC.String(text)
	}
	var b folder
	b.out = make([]byte, 0, min(len(subject)+len(text)+4, 18<<10))
	b.add(subject)
	b.add(" | ")
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '>' {
			continue
		}
		if quoteStarts(lines, i, line) {
			break
		}
		b.add(line)
		b.space = true
		if len(b.out) > 16<<10 {
			break
		}
	}
	return string(b.out)
}

// folder writes text in lower case with single spaces, without invisible characters.
type folder struct {
	out   []byte
	space bool // one is due before the next letter
}

func (f *folder) add(s string) {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == ' ' || c >= '\t' && c <= '\r':
				f.space = true
				continue
			case c >= 'A' && c <= 'Z':
				c |= 0x20
			}
			f.due()
			f.out = append(f.out, c)
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '’' || r == '‘':
			f.due()
			f.out = append(f.out, '\'')
		case r == '\u00ad' || r == '\u200b':
		case unicode.IsSpace(r):
			f.space = true
		default:
			f.due()
			f.out = utf8.AppendRune(f.out, unicode.ToLower(r))
		}
	}
}

func (f *folder) due() {
	if f.space && len(f.out) > 0 {
		f.out = append(f.out, ' ')
	}
	f.space = false
}

// quoteStarts reports whether the line begins the quotation of an earlier message, as mail programs write it.
func quoteStarts(lines []string, i int, line string) bool {
	if line[0] != '-' && line[len(line)-1] != ':' && !strings.Contains(line[:min(len(line), 6)], ":") {
		return false // none of the marks below
	}
	low := strings.ToLower(line)
	switch {
	case strings.HasPrefix(low, "-----original"), strings.HasPrefix(low, "-----ursprüngliche"), strings.HasPrefix(low, "-----message d"),
		strings.HasPrefix(low, "----- forwarded"), strings.HasPrefix(low, "---------- forwarded"):
		return true
	case strings.HasSuffix(low, ":") && i > 0 && len(low) < 200 && saysWrote(low):
		return true
	case strings.HasPrefix(low, "from:"), strings.HasPrefix(low, "von:"), strings.HasPrefix(low, "de :"), strings.HasPrefix(low, "de:"):
		for j := i + 1; j < len(lines) && j < i+4; j++ {
			next := strings.ToLower(strings.TrimSpace(lines[j]))
			for _, w := range [...]string{"sent:", "gesendet:", "envoyé", "date:", "datum:", "to:", "an:", "à :"} {
				if strings.HasPrefix(next, w) {
					return true
				}
			}
		}
	}
	return false
}

// saysWrote reports whether a line that ends in a colon says who wrote what follows. German and Dutch name the writer
// after the verb.
func saysWrote(low string) bool {
	low = strings.TrimRight(low, ": \u00a0")
	for _, w := range [...]string{"wrote", "schrieb", "a écrit", "escribió", "escribio", "ha scritto", "escreveu", "schreef"} {
		if strings.HasSuffix(low, w) {
			return true
		}
	}
	return strings.HasPrefix(low, "am ") && strings.Contains(low, " schrieb ") || strings.HasPrefix(low, "op ") && strings.Contains(low, " schreef ")
}

// The wording lists name what phishing asks for, in English, German and French, with some Spanish, Italian and
// Dutch. They are phrases, not words, since single words occur in any office's mail; none counts by itself.
var (
	credentialWords = []string{"verify your", "confirm your account", "confirm your identity", "confirm your password", "confirm your mailbox", "confirm your details",
		"confirm your e", "update your account", "update your password", "update your payment", "update your billing", "validate your", "re-authenticate",
		"reauthenticate", "re-validate", "revalidate", "sign in to", "sign in here", "sign in with", "sign in again", "sign-in is required", "log in to", "log in here", "log in with", "log in again", "login to your", "login here",
		"log on to", "log on with", "log on once", "log on here", "sign on to", "with your mailbox", "with your e-mail", "with your email", "with your office", "with your work", "with your windows", "with your usual password", "with your usual account", "with your company account", "with your domain account", "with your microsoft", "your credentials", "your password expires", "password expires", "password will expire", "password has expired", "expiration of your password", "keep your password",
		"keep the same password", "keep current password", "keep same password", "reset your password", "change your password", "unlock your", "restore your account", "restore access", "reactivate", "account has been suspended", "account was suspended", "account is suspended",
		"account has been limited", "account has been locked", "account will be", "mailbox will be", "mailbox is full", "mailbox is almost full", "mailbox quota", "storage quota", "quota", "undelivered messages", "pending messages",
		"messages are held", "held messages", "release the message", "release your", "unusual sign-in", "unusual activity", "suspicious activity", "security alert",
		"view the document", "view document", "review document", "review the document", "review and sign", "access the document", "shared a file", "shared a document", "has shared", "secure message", "encrypted message", "secure document", "read the message", "voice message", "voicemail", "re-register", "re-enrol", "re-enroll", "register again", "enrol again", "enrol your", "enroll your", "migrate your mailbox", "mailbox migration",
		"bestätigen sie ihr", "bestätigen sie bitte", "ihr konto", "ihr passwort", "ihre zugangsdaten", "ihre anmeldedaten", "melden sie sich", "anmelden mit", "mit ihrem passwort", "mit ihrem konto", "mit ihrem postfach", "mit ihrem firmenkonto", "mit ihrem üblichen", "postfach ist voll", "ihr postfach", "passwort läuft ab", "passwort ändern", "verifizieren", "aktualisieren sie ihre", "dokument ansehen", "konto wurde", "entsperren", "jetzt anmelden", "hier anmelden", "wie gewohnt anmelden", "einloggen",
		"vérifiez votre", "vérifier votre", "confirmez votre", "confirmer votre", "votre compte", "votre mot de passe", "vos identifiants", "connectez-vous", "se connecter", "vous connecter", "vous identifier", "identifiez-vous", "mettre à jour vos", "boîte aux lettres est pleine", "avec votre compte", "avec votre adresse",
		"verifique su", "su cuenta", "su contraseña", "iniciar sesión", "verifica il tuo", "il tuo account", "accedi", "uw account", "uw wachtwoord", "inloggen"}
	urgencyWords = []string{"immediately", "urgent", "as soon as possible", "asap", "within 24 hours", "within 48 hours", "within 12 hours", "within the hour", "within the next", "in the next hour", "by tonight", "by this evening", "by today", "still today", "today before", "before today", "by noon", "by the end of", "before the end of", "by end of", "end of today", "end of business", "by close of", "until tonight", "until tomorrow", "by tomorrow", "before tomorrow", "this afternoon", "right away", "final notice", "final reminder", "last reminder", "last warning",
		"will be suspended", "will be locked", "will be closed", "will be deleted", "will be deactivated", "will be disabled", "will lose", "will expire", "expires today", "expires in", "expires tonight", "otherwise your", "or your account", "failure to", "act now", "action required", "time sensitive", "time-sensitive", "only valid until", "valid for 24", "link expires",
		"sofort", "dringend", "umgehend", "innerhalb von", "binnen", "noch heute", "bis heute", "heute noch", "bis morgen", "letzte mahnung", "letzte erinnerung", "gesperrt", "läuft ab", "unverzüglich", "schnellstmöglich",
		"immédiatement", "urgence", "d'urgence", "dans les 24", "sous 24", "avant ce soir", "d'ici ce soir", "avant midi", "dès que possible", "dernier rappel", "sera suspendu", "sera bloqué", "expire", "aujourd'hui même",
		"urgente", "inmediatamente", "entro 24", "subito", "onmiddellijk", "dringend"}
	paymentWords = []string{"new bank", "bank details have changed", "bank details changed", "changed our bank", "change of bank", "changed bank", "updated bank", "new account details", "new account number", "our new account", "new iban", "bank account has changed", "banking details", "changed our account", "account for payments", "payment details have", "pay to the new", "to the new account", "to the account below", "to the following account", "to this account", "old account", "previous account", "account is being closed", "account is closed", "under audit", "update the vendor", "update our vendor", "vendor master", "supplier record", "supplier master", "master data", "second account", "incoming payments", "remit to", "wire transfer", "direct deposit", "payroll", "payroll account", "my salary", "salary account", "salary to", "gehaltskonto", "gehalt ", "salaire",
		"neue bankverbindung", "bankverbindung geändert", "geänderte bankverbindung", "bankverbindung hat sich", "neue iban", "neues konto", "auf das neue konto", "auf folgendes konto", "kontoverbindung", "altes konto", "alte konto", "stammdaten",
		"nouveau rib", "nouvel iban", "coordonnées bancaires", "nouveau compte", "ancien compte", "changement de banque", "changé de banque", "domiciliation"}
	approveWords = []string{"approve the", "approve it", "please approve", "press approve", "tap approve", "accept the prompt", "accept the push", "accept it", "accept the request", "confirm the prompt", "confirm the push", "confirm it on your phone", "push request", "push notification", "push message", "sign-in request", "login request", "one-time code", "verification code", "device code", "enter the code", "enter this code", "type the code", "code is valid for", "code you receive", "code you get", "code that you", "code by sms", "sms code", "number matching",
		"geben sie den code", "code eingeben", "anfrage bestätigen", "push-nachricht", "bestätigen sie die anfrage", "saisissez le code", "entrez le code", "validez la notification", "approuvez"}
	handOverWords = []string{"send me the code", "send me the number", "send me the digits", "tell me the code", "tell me the number", "text me the", "forward me the code", "forward the code", "reply with the code", "reply with the number", "read me the", "give me the code", "give me the number", "send it to me", "send the code to me", "send me what",
		"senden sie mir den code", "schicken sie mir den code", "nennen sie mir den code", "schick mir den code", "envoyez-moi le code", "donnez-moi le code", "renvoyez-moi le code"}
	secrecyWords = []string{"keep this between", "between us", "confidential for now", "discreet", "quietly", "answer here only", "reply here only", "only answer here", "cannot phone", "can't phone", "no need to call", "don't call", "do not call", "can't talk", "cannot talk", "not reachable by phone", "can't be reached by phone", "in a meeting", "in meetings all day", "no calls", "reply only", "only by mail", "only by e-mail", "only by email", "gift card", "gift cards", "vouchers", "are you available", "are you at your desk", "a small favour", "a favour", "quick favor", "private number", "private address", "my personal",
		"vertraulich", "gutschein", "unter uns", "nicht anrufen", "telefonisch nicht erreichbar", "discrétion", "confidentiel", "carte cadeau", "cartes cadeaux"}
	signInWords = []string{"log in", "log-in", "login", "logged in", "logging in", "log on", "logon", "logging on", "sign in", "sign-in", "signin", "signs in", "signing in", "sign on", "single sign", "password", "passcode", "credential", "your account", "normal account", "usual account", "work account", "company account", "domain account", "office account", "authenticat", "register once", "enrol", "consent",
		"anmelden", "anmeldung", "melden sie sich", "melde dich", "einloggen", "passwort", "kennwort", "zugangsdaten", "firmenkonto", "benutzerkonto", "authentifizier", "mot de passe", "identifiant", "connecter", "connectez", "connexion", "authentifi", "contraseña", "iniciar sesión", "wachtwoord", "accedi"}
	scareWords = []string{"will be charged", "will be collected", "will be renewed", "will be debited", "has been charged", "automatic renewal", "auto-renew", "cancellation line", "to cancel", "if you did not order", "did not authorise", "did not authorize", "unauthorised", "unauthorized", "sign-ins from abroad", "sign-in from abroad", "has seen sign-ins", "suspicious", "compromised", "hacked", "infected", "may be affected", "breach",
		"wird abgebucht", "wurde abgebucht", "verlängert sich", "verdächtig", "gehackt", "sera débité", "sera prélevé", "compromis", "suspect"}
	callbackWords = []string{"response line", "cancellation line", "support line", "call us", "call our", "call the number", "call this number", "call back", "please call", "call me on", "call me at", "ring us", "ring the", "dial ", "phone our", "by phone on", "under the number", "hotline", "toll free", "toll-free", "rufen sie", "unter der nummer", "appelez", "contactez-nous au"}
	openWords     = []string{"see attached", "see the attached", "open the attach", "open the enclosed", "attached file", "open the file", "enable content", "enable editing", "password for the", "password of the", "password to open", "the password is", "password is", "password:", "passwort:", "passwort lautet", "passwort ist", "kennwort", "mot de passe :", "mot de passe est", "scan the code", "scan the qr", "qr code", "qr-code", "with your phone", "mit dem handy", "scannez", "run the", "run this", "start the file", "execute", "install the", "install this", "double-click", "paste", "powershell", "command line", "im anhang", "anlage", "ci-joint", "pièce jointe"}
)

// baitWords are the subjects of consumer phishing.
var baitWords = []string{"your parcel", "your package", "delivery failed", "delivery attempt", "could not be delivered", "customs fee", "tracking number", "you have won", "you've won", "congratulations", "your reward",
	"claim your", "gift card", "lottery", "bitcoin", "crypto wallet", "your wallet", "tax refund", "refund", "subscription has expired", "subscription expires", "renew your", "membership", "payment declined", "payment failed", "payment method",
	"unpaid invoice", "overdue", "antivirus", "cloud storage", "your photos", "ihr paket", "zustellung", "zoll", "gewonnen", "gutschein", "rückerstattung", "mitgliedschaft", "abgelaufen", "votre colis", "livraison", "remboursement", "su paquete", "il tuo pacco", "uw pakket"}

// The lists by number; a phrase of the text is looked up in all of them at once.
const (
	listCredential = iota
	listUrgency
	listPayment
	listApprove
	listHandOver
	listSignIn
	listScare
	listSecrecy
	listCallback
	listOpen
	listBait
	listCommand
	listScan
	listGreeting
	listRun
	lists // one list follows for each of lures
)

var commandWords = []string{"powershell", "iex ", "irm ", "mshta", "cmd.exe", "win+r", "windows+r", "curl "}

// runWords are how lures say to run what they put on the clipboard (ClickFix).
var runWords = []string{"win+r", "win + r", "windows+r", "windows + r", "windows key + r", "windows key and r", "press ctrl+v", "press ctrl + v", "ctrl+v", "ctrl + v", "run dialog", "run box", "run window", "open terminal", "paste the command", "paste this command", "paste the following",
	"windows-taste", "strg+v", "strg + v", "ausführen-fenster", "fügen sie den befehl", "touche windows", "collez la commande", "tecla windows", "pegue el comando", "cole o comando", "tasto windows", "incolla il comando", "windows-toets", "plak de opdracht"}

var scanWords = []string{"scan the", "scans the", "scanning the", "scan this", "scannen sie", "scanne den", "scannez"}

// entry is one phrase and the list it is of.
type entry struct {
	list   int
	phrase string
}

// phrases are all listed phrases by their first three bytes.
var phrases = index(map[int][]string{listGreeting: greetings, listCredential: credentialWords, listUrgency: urgencyWords, listPayment: paymentWords, listApprove: approveWords,
	listHandOver: handOverWords, listSignIn: signInWords, listScare: scareWords, listSecrecy: secrecyWords, listCallback: callbackWords, listOpen: openWords,
	listBait: baitWords, listCommand: commandWords, listRun: runWords, listScan: scanWords})

func index(all map[int][]string) map[[3]byte][]entry {
	for i := range lures {
		all[lists+i] = lures[i].phrases
	}
	for list, more := range furtherPhrases {
		all[list] = append(all[list], more...)
	}
	m := map[[3]byte][]entry{}
	for list := range lists + len(lures) {
		for _, w := range all[list] {
			k := [3]byte{w[0], w[1], w[2]}
			m[k] = append(m[k], entry{list, w})
		}
	}
	return m
}

// maxLures is how many stories lures may hold.
const maxLures = 20

// found is the first phrase of each list that stands in a text, and how many different ones do.
type found struct {
	first [lists + maxLures]string
	hits  [lists + maxLures]uint8
	last  [lists + maxLures]string
}

// phrasesIn reads the text once and looks at the start of each word.
func phrasesIn(text string) (out found) {
	for i := 0; i+3 <= len(text); i++ {
		if text[i] == ' ' || i > 0 && letter(text[i-1]) {
			continue
		}
		for _, e := range phrases[[3]byte{text[i], text[i+1], text[i+2]}] {
			if !strings.HasPrefix(text[i:], e.phrase) {
				continue
			}
			if out.first[e.list] == "" {
				out.first[e.list] = strings.TrimSpace(e.phrase)
			}
			if e.phrase != out.last[e.list] && out.hits[e.list] < 200 {
				out.last[e.list] = e.phrase
				out.hits[e.list]++
			}
		}
	}
	return out
}

// asksOf finds the first phrase of each kind.
func asksOf(text string) ask {
	a, _ := asksAndLures(text)
	return a
}

func asksAndLures(text string) (ask, *found) {
	all := phrasesIn(text)
	f := &all.first
	return ask{credential: f[listCredential], urgency: f[listUrgency], payment: f[listPayment], code: f[listApprove], handOver: f[listHandOver], signIn: f[listSignIn],
		scare: f[listScare], secrecy: f[listSecrecy], callback: f[listCallback], open: f[listOpen], bait: f[listBait], command: f[listCommand], scan: f[listScan]}, &all
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 0x80 }

// ibansIn returns the international bank account numbers (ISO 13616) whose check digits hold, at most ten.
func ibansIn(text string) []string {
	var out []string
	up := strings.ToUpper(text)
	for i := 0; i+15 < len(up) && len(out) < 10; i++ {
		if !(isLetter(up[i]) && isLetter(up[i+1]) && isDigit(up[i+2]) && isDigit(up[i+3])) || i > 0 && (isLetter(up[i-1]) || isDigit(up[i-1])) {
			continue
		}
		iban := make([]byte, 0, 34)
		for j := i; j < len(up) && len(iban) < 34; j++ {
			c := up[j]
			if c == ' ' || c == '\u00a0'&0xff {
				continue
			}
			if !isLetter(c) && !isDigit(c) {
				break
			}
			iban = append(iban, c)
			if n := ibanLength[string(iban[:2])]; n == len(iban) && ibanValid(iban) {
				out = append(out, string(iban))
				i = j
				break
			}
		}
	}
	return out
}

var ibanLength = map[string]int{"AT": 20, "BE": 16, "CH": 21, "CZ": 24, "DE": 22, "DK": 18, "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GR": 27, "HU": 28,
	"IE": 22, "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "SE": 24, "SI": 19, "SK": 24, "TR": 26,
	"BG": 22, "HR": 21, "EE": 20, "CY": 28, "AE": 23, "IL": 23, "SA": 24, "RS": 22, "MC": 27}

func ibanValid(iban []byte) bool {
	rem := 0
	for k := range iban {
		c := iban[(k+4)%len(iban)]
		if isDigit(c) {
			rem = (rem*10 + int(c-'0')) % 97
		} else {
			rem = (rem*100 + int(c-'A') + 10) % 97
		}
	}
	return rem == 1
}

func isLetter(c byte) bool { return c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// phonesIn returns the telephone numbers of the text as digits, at most ten. A number begins with + or 0 and has
// 8 to 15 digits.
func phonesIn(text string) []string {
	var out []string
	for i := 0; i < len(text) && len(out) < 10; i++ {
		if text[i] != '+' && text[i] != '0' || i > 0 && (isDigit(text[i-1]) || letter(text[i-1]) || strings.IndexByte("-/.=_@", text[i-1]) >= 0) {
			continue
		}
		var d []byte
		j := i
		for ; j < len(text) && len(d) < 16; j++ {
			if isDigit(text[j]) {
				d = append(d, text[j])
			} else if strings.IndexByte(" +()-/.", text[j]) < 0 {
				break
			}
		}
		if len(d) >= 8 && len(d) <= 15 {
			out = append(out, strings.TrimLeft(string(d), "0"))
		}
		i = j
	}
	return out
}
