package phish

import "strings"

// A text's wants are told by phrases (words.go) and, in mail of a partner, where one sentence must be enough, by what
// stands together in a sentence or in two that follow each other: an act, a thing, and what makes it unusual. Words are
// matched by their beginnings, in English, German, French, Spanish, Italian, Dutch and Portuguese alike, since one mail
// may hold two of them.

// stems are beginnings of words; one that ends in a blank is a whole word.
type stems []string

var (
	stemCode    = stems{"code", "codes ", "ziffer", "digits", "chiffres", "código", "codigo", "codice", "cijfer", "pin ", "otp ", "tan ", "passcode", "einmalcode", "sms-code", "bestätigungscode", "sicherheitscode", "zahlencode"}
	stemGive    = stems{"reply", "answer", "send", "tell", "forward", "read", "antwort", "schick", "send", "nenn", "weiterleit", "durchgeb", "répond", "repond", "envoy", "transmet", "transfér", "donnez", "indiquez", "communiqu", "respond", "envía", "envia", "mánda", "rispond", "invia", "mand", "comunic", "antwoord", "stuur", "responda", "envie"}
	stemReceive = stems{"sms", "text message", "by text", "textnachricht", "phone", "mobile", "handy", "telefon", "téléphone", "portable", "móvil", "cellulare", "telefoon", "digits", "ziffer", "chiffres", "cijfers", "cifre", "dígitos", "six-", "authenticator", "one-time", "einmal", "minutes", "minuten", "minuti", "minutos"}
	stemPrompt  = stems{"prompt", "notification", "request", "push", "pop-up", "popup", "anfrage", "benachrichtigung", "aufforderung", "anmeldeanfrage", "mitteilung", "demande", "notification", "invite ", "solicitud", "notificación", "richiesta", "notifica", "melding", "verzoek", "pedido", "notificação"}
	stemApprove = stems{"approve", "accept", "allow", "tap ", "confirm", "bestätig", "genehmig", "akzeptier", "zustimm", "annehm", "nehmen", "erlaub", "freigeb", "tippen", "valid", "approuv", "autoris", "acept", "aprueb", "autoriz", "confirma", "approv", "accett", "conferm", "goedkeur", "bevestig", "accepteer", "aprov", "aceit"}
	stemFactor  = stems{"phone", "mobile", "authenticator", "mfa", "2fa", "two-factor", "multi-factor", "two-step", "second factor", "telefon", "handy", "smartphone", "zwei-faktor", "zweifaktor", "faktor", "authentifizierung", "double authentification", "authentification", "téléphone", "mobile", "portable", "autenticación", "móvil", "autenticazione", "cellulare", "telefoon", "tweestaps", "telemóvel", "sign-in", "login", "anmeld", "connexion"}
	stemCard    = stems{"gift card", "giftcard", "gift voucher", "gutscheinkarte", "geschenkkarte", "gutschein", "carte cadeau", "cartes cadeau", "carte-cadeau", "cartes-cadeau", "chèque-cadeau", "chèques-cadeaux", "tarjeta regalo", "tarjetas regalo", "tarjetas de regalo", "carta regalo", "carte regalo", "buoni regalo", "cadeaubon", "cadeaukaart", "cartão-presente", "cartões-presente", "vales-presente", "prepaid card", "itunes", "google play", "steam "}
	stemBuy     = stems{"buy", "get ", "purchase", "pick up", "codes", "scratch", "photo", "picture", "need", "kauf", "besorg", "brauch", "foto", "rubbel", "achet", "acheter", "procur", "faut", "faudrait", "besoin", "gratt", "compr", "necesit", "acquist", "koop", "kopen", "nodig", "precis", "reimburse", "erstatt", "rembours"}
	stemCall    = stems{"call ", "ring ", "phone us", "phone me", "dial", "anruf", "rufen", "ruf ", "rückruf", "zurückruf", "telefonisch", "par téléphone", "appel", "rappel", "téléphon", "llam", "chiam", "telefona", "bel ", "bellen", "belt ", "ligue", "ligar", "telefone"}
	stemCharge  = stems{"debited", "charged", "charge ", "renewal", "renewed", "subscription", "cancel", "refund", "abgebucht", "abbuch", "eingezogen", "verlängerung", "verlängert", "abonnement", "storn", "kündig", "widerruf", "prélev", "débit", "renouvel", "annul", "rembours", "cargo", "cobr", "renov", "cancel", "addebit", "rinnov", "annull", "afgeschreven", "verlengd", "verlenging", "annuleer", "cobrança", "incident", "breach", "compromised", "infected", "security", "vorfall", "sicherheit", "infiziert", "sécurité", "piraté", "seguridad", "sicurezza", "beveiliging", "can't explain", "cannot explain", "nicht per mail", "nicht schriftlich", "par mail", "by mail", "new number", "neue nummer", "neuen nummer", "nouveau numéro", "computer", "rechner", "ordinateur", "pc "}
	stemAccount = stems{"bank", "iban", "konto", "kontoverbindung", "bankverbindung", "compte", "rib ", "coordonnées bancaires", "cuenta", "conto ", "coordinate bancarie", "rekening", "conta ", "account"}
	stemYours   = stems{"your account", "your bank account", "your iban", "ihr konto", "ihre bankverbindung", "ihre iban", "votre compte", "votre iban", "su cuenta", "vostro conto", "suo conto", "uw rekening", "sua conta"}
	stemChanged = stems{"new ", "changed", "change ", "switched", "closed", "updated", "wrong account", "following account", "neu ", "neue", "neuen", "gewechselt", "geändert", "wechsel", "ändert", "geschlossen", "falsch", "folgend", "nouve", "changé", "changeons", "changement", "modifi", "fermé", "clôtur", "suivant", "erron", "nuev", "cambi", "cerrad", "siguiente", "nuov", "chius", "seguente", "nieuw", "gewijzigd", "volgend", "nov", "alterad", "mudou"}
	stemPay     = stems{"pay", "invoice", "remit", "transfer", "salary", "wage", "payroll", "reimburse", "book", "zahl", "rechnung", "überweis", "gehalt", "lohn", "erstatt", "buch", "pai", "factur", "virement", "virer", "vers", "salaire", "frais", "régl", "règl", "pag", "sueldo", "nómina", "transfer", "fattur", "stipend", "bonific", "betal", "factuur", "salaris", "fatura", "salário"}
	stemConsent = stems{"consent", "permission", "authorize", "authorise", "grant", "app ", "application", "berechtigung", "zustimm", "freigabe", "anwendung", "autoris", "application", "consent", "permiso", "autoriz", "aplicación", "permess", "autorizz", "toestemming", "machtig"}
	stemSignIn  = stems{"sign in", "sign-in", "signin", "log in", "log on", "login", "logon", "password", "credentials", "your account", "mailbox", "quota", "session", "anmeld", "einlogg", "kennwort", "passwort", "zugangsdaten", "postfach", "speicherplatz", "benutzerkonto", "connect", "identifi", "mot de passe", "messagerie", "boîte", "session", "compte ", "contraseña", "inicia", "buzón", "acceder", "acced", "password", "casella", "wachtwoord", "inlog", "aanmeld", "postvak", "senha", "caixa"}
	stemSign    = stems{"signature", "signed ", "sign it", "sign the", "sign here", "envelope", "unterschr", "unterzeich", "signatur", "signer", "signez", "signature", "firm", "firma", "onderteken", "assin"}
	stemTerms   = stems{"confirm", "accept", "agree", "terms", "register", "enrol", "activate", "verify", "update your", "bestätig", "akzeptier", "zustimm", "registrier", "aktivier", "verifizier", "hinterleg", "confirm", "accept", "valid", "activ", "inscri", "vérifi", "acept", "verific", "regist", "accett", "conferm", "attiv", "bevestig", "activeer", "confirme", "aceit"}
	stemHide    = stems{"phones are being moved", "only by mail", "by mail only", "not by phone", "can't talk", "cannot talk", "can't take calls", "in a meeting", "in meetings", "nicht telefonisch", "nur per mail", "nicht erreichbar", "in einer besprechung", "in einem termin", "kann nicht telefonieren", "que par mail", "uniquement par mail", "en réunion", "ne peux pas téléphoner", "pas joignable", "solo por correo", "en una reunión", "solo via mail", "in riunione", "alleen per mail", "in vergadering", "in overleg", "em reunião"}
)

// in returns the stem that begins a word of s, or "".
func (l stems) in(s string) string {
	for _, stem := range l {
		for from := 0; ; {
			i := strings.Index(s[from:], stem)
			if i < 0 {
				break
			}
			at := from + i
			if at == 0 || !inWord(s[at-1]) {
				return strings.TrimSpace(stem)
			}
			from = at + len(stem)
		}
	}
	return ""
}

// inWord reports whether a byte belongs to a word: ASCII letters, digits, and every byte of other scripts.
func inWord(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b >= 0x80
}

// maxWindows is how many pairs of sentences of one message are looked at.
const maxWindows = 80

// windows returns each sentence of a text with the one after it.
func windows(text string) []string {
	var ends []int
	for i := 0; i < len(text) && len(ends) < maxWindows; i++ {
		switch text[i] {
		case '.', '!', '?', ';', '|':
			if i+1 == len(text) || text[i+1] == ' ' {
				ends = append(ends, i+1)
			}
		}
	}
	if len(ends) == 0 || ends[len(ends)-1] < len(text) && len(ends) < maxWindows {
		ends = append(ends, len(text))
	}
	out := make([]string, 0, len(ends))
	from := 0
	for i, end := range ends {
		to := end
		if i+1 < len(ends) {
			to = ends[i+1]
		}
		out = append(out, text[from:to]+" ")
		from = end
	}
	return out
}

// widen fills what the phrases of words.go left empty, from what stands together in sentences of a partner's mail;
// numbers and accounts say whether it names a telephone number, a bank account.
func (a *ask) widen(text string, numbers, accounts bool) {
	both := func(w string, lists ...stems) string {
		var found []string
		for _, l := range lists {
			s := l.in(w)
			if s == "" {
				return ""
			}
			found = append(found, s)
		}
		return strings.Join(found, " … ")
	}
	take := func(field *string, words string) {
		if *field == "" {
			*field = words
		}
	}
	for _, w := range windows(text) {
		take(&a.handOver, both(w, stemCode, stemGive, stemReceive))
		take(&a.push, both(w, stemPrompt, stemApprove, stemFactor))
		take(&a.giftCard, both(w, stemCard, stemBuy))
		if numbers {
			if c := stemCall.in(w); c != "" && a.scare == "" {
				if s := stemCharge.in(w); s != "" {
					a.callback, a.scare = firstName(a.callback, c), s
				}
			}
		}
		if accounts && stemYours.in(w) == "" { // money that comes to the reader is no change of where theirs goes
			take(&a.payment, both(w, stemAccount, stemChanged, stemPay))
		}
		take(&a.account, stemSignIn.in(w))
		take(&a.sign, stemSign.in(w))
		take(&a.terms, stemTerms.in(w))
		take(&a.consent, both(w, stemConsent, stemApprove))
		take(&a.secrecy, stemHide.in(w))
	}
}

// registers are words of signing in that also mean to register for something that takes place.
var registers = map[string]bool{"anmelden": true, "anmeldung": true, "melden sie sich": true, "melde dich": true, "register once": true, "enrol": true, "hier anmelden": true}

var stemEvent = stems{"event", "workshop", "webinar", "seminar", "conference", "training day", "open day", "breakfast", "veranstaltung", "einladung", "tagung", "schulung", "kundentag", "frühstück", "messe", "sommerfest", "fête", "invitation", "conférence", "atelier", "séminaire", "portes ouvertes", "journée", "evento", "jornada", "convegno", "bijeenkomst", "evenement"}

// invites reports whether a text invites to something that takes place.
func invites(text string) bool { return stemEvent.in(text) != "" }
