package phish

import "strings"

// Requests are recognised by what stands together in a sentence or two, since there are more ways to ask than any
// list of phrases holds: who will get a code, and should hand it over; cards to be bought, and their codes; a sum
// that is debited, and a number to call. Every idea is a list of the beginnings of words, in English, German, French,
// Spanish, Italian, Portuguese and Dutch.
type idea uint32

const (
	ideaReceive idea = 1 << iota // something comes to the reader's telephone
	ideaPrompt                   // a request, prompt or code
	ideaApprove                  // to approve it
	ideaFactor                   // the second factor
	ideaGive                     // to hand something over
	ideaCode                     // a code
	ideaCards                    // gift cards
	ideaBuy                      // to buy
	ideaProof                    // codes, photos of the back
	ideaCharge                   // money is taken
	ideaCallNew                  // a new number
	ideaMoney                    // payments, invoices, wages
	ideaReplace                  // this one instead of the other
	ideaVerify                   // check it by another way
	ideaLogin                    // to sign in or register
	ideaOwn                      // with the reader's own account or password
	ideaNot                      // never, without
	ideaNotice                   // voice mail, full mailbox, held or protected messages: what machines tell
	ideaGrant                    // to grant an application
	ideaScan                     // with the camera
	ideaCall                     // to call
	ideaNow                      // at once, and not by mail
	ideaElse                     // it comes by post or text message
)

var ideas = []struct {
	idea  idea
	words []string
}{
	{ideaReceive, []string{"you will get", "you'll get", "you will receive", "you'll receive", "you are going to get", "will pop up", "pops up", "will appear on", "on your phone", "to your phone", "text message", "sms", "sie erhalten", "erhalten sie", "sie bekommen", "bekommen sie", "kommt gleich", "auf ihr telefon", "auf ihrem telefon", "auf ihr handy", "aufs handy", "vous allez recevoir", "vous recevrez", "sur votre téléphone", "recibirá", "en su teléfono", "riceverà", "sul telefono", "receberá", "no seu telefone", "u ontvangt", "u krijgt", "op uw telefoon"}},
	{ideaPrompt, []string{"request", "prompt", "notification", "code", "anfrage", "meldung", "mitteilung", "aufforderung", "zahl", "demande", "solicitud", "notificaci", "código", "richiesta", "notifica", "codice", "pedido", "verzoek", "melding"}},
	{ideaApprove, []string{"approve", "accept", "confirm", "allow", "tap ", "press yes", "enter it", "bestätig", "annehm", "nehmen sie", "akzeptier", "zustimm", "approuve", "valide", "aprueb", "acept", "approv", "accett", "conferm", "aprov", "aceit", "goedkeur", "accepte", "bevestig"}},
	{ideaFactor, []string{"second factor", "two-factor", "two factor", "2fa", "mfa", "multi-factor", "authenticator", "zweiten faktor", "zweiter faktor", "zwei-faktor", "double authentification", "deux facteurs", "second facteur", "segundo factor", "dos factores", "secondo fattore", "due fattori", "segundo fator", "dois fatores", "tweede factor", "tweestaps"}},
	{ideaGive, []string{"send it", "send me ", "send us", "send that", "forward it", "forward me", "read it", "read me ", "tell me ", "give me ", "text me ", "mail me ", "reply with", "schick", "send it back", "senden sie", "leiten sie", "nennen sie", "durchgeben", "geben sie mir", "teilen sie mir", "envoyer", "envoyez", "m'envoyer", "renvoy", "transmett", "communiqu", "donnez", "me donner", "dites-moi", "envíe", "envie", "reenv", "dígame", "mándeme", "inviami", "mi invi", "mandami", "mi mandi", "comunic", "mi dica", "stuur", "geef me ", "geeft u", "answer me with", "antworten sie mir", "répondez-moi", "respóndame", "responda", "rispondimi", "antwoord mij"}},
	{ideaCode, []string{"code", "digits", "ziffern", "zahlenfolge", "chiffres", "código", "codice", "cijfers"}},
	{ideaCards, []string{"gift card", "giftcard", "voucher", "prepaid card", "store card", "gutschein", "guthabenkarte", "geschenkkarte", "prepaidkarte", "carte cadeau", "cartes cadeau", "cartes-cadeau", "carte-cadeau", "bons d'achat", "chèques cadeau", "tarjetas regalo", "tarjetas de regalo", "tarjeta regalo", "buoni regalo", "carte regalo", "buono regalo", "cartões presente", "cartões-presente", "cartão presente", "vales-presente", "cadeaubon", "cadeaukaart"}},
	{ideaBuy, []string{"buy", "purchase", "get them", "get me", "get five", "pick up", "kauf", "besorg", "achet", "acheter", "procur", "il me faudrait", "compr", "acquist", "adquir", "koop", "kopen", "aanschaf"}},
	{ideaProof, []string{"code", "scratch", "photo", "picture", "rubbel", "freirubbel", "foto", "gratt", "código", "codici", "krassen"}},
	{ideaCharge, []string{"debited", "be charged", "been charged", "be collected", "be billed", "been billed", "be withdrawn", "abgebucht", "belastet", "eingezogen", "prélev", "débité", "se cargará", "se ha cargado", "será cobrado", "cobrará", "addebitat", "afgeschreven", "in rekening gebracht", "debitad"}},
	{ideaCallNew, []string{"new number", "new phone number", "my other number", "new mobile", "neuen nummer", "neue nummer", "neuen rufnummer", "neue rufnummer", "nouveau numéro", "nuevo número", "nuovo numero", "novo número", "nieuwe nummer", "ander nummer"}},
	{ideaMoney, []string{"pay", "payment", "transfer", "invoice", "salary", "wage", "expenses", "remit", "überweis", "zahlung", "zahlen", "rechnung", "gehalt", "lohn", "auslagen", "paiement", "payer", "virement", "facture", "salaire", "versement", "versé", "régler", "règlement", "pago", "pagar", "factura", "nómina", "transferencia", "pagament", "fattura", "stipendio", "bonifico", "fatura", "salário", "transferência", "betal", "factuur", "salaris", "overmak"}},
	{ideaReplace, []string{"replace", "corrected", "correct copy", "correct is", "correction", "revised", "wrong", "faulty", "mistake", "instead", "no longer", "not ours any", "only this one", "ersetzt", "berichtigt", "korrigiert", "fehlerhaft", "falsch", "nicht mehr", "richtig ist", "stattdessen", "nur diese", "remplace", "rectifi", "corrig", "erron", "n'est plus", "à la place", "corregid", "sustituye", "sostituisce", "corrett", "errat", "substitui", "vervangt", "gecorrigeerd", "niet meer"}},
	{ideaVerify, []string{"number you know", "number you have", "known number", "by post", "in the post", "in person", "known contact", "letter of", "by letter", "bekannten nummer", "bekannte nummer", "per post", "persönlich", "mit dem brief", "schreiben vom", "numéro que vous connaissez", "numéro habituel", "par la poste", "par courrier", "courrier postal", "vive voix", "en persona", "número conocido", "por correo postal", "di persona", "numero che conosce", "per posta", "pessoalmente", "bekende nummer", "per post", "persoonlijk"}},
	{ideaLogin, []string{"sign in", "sign-in", "log in", "log-in", "login", "log on", "logon", "register", "authenticate", "anmelden", "nach der anmeldung", "anmeldung mit", "melden sie sich", "einlogg", "registrieren", "authentifizier", "connectez", "connecter", "après connexion", "vous inscrire", "inscrivez", "identifiez", "vous identifier", "authentifi", "inicie", "iniciar", "regístrese", "registrarse", "acceda", "acceder", "accedere", "registrati", "registrarsi", "registe", "autentic", "inscreva", "entrar com", "inlogg", "meld u", "aanmelden"}},
	{ideaOwn, []string{"your user name", "your username", "ihr benutzername", "nom d'utilisateur", "your account", "your usual", "your mail", "your e-mail", "your email", "your work", "your office", "your company", "your microsoft", "your windows", "your password", "password", "its password", "ihrem konto", "ihr konto", "ihrem firmen", "ihrer firmen", "firmenadresse", "ihrer mailadresse", "ihren gewohnten", "ihrem üblichen", "kennwort", "passwort", "postfachs", "votre compte", "votre adresse", "vos identifiants", "mot de passe", "su cuenta", "su correo", "contraseña", "il suo account", "suo indirizzo", "password", "sua conta", "seu e-mail", "senha", "uw account", "uw e-mail", "wachtwoord"}},
	{ideaNot, []string{"never", "don't", "do not", "no sign-in", "no login", "without", "not asked", "nothing for you to do", "nie ", "niemals", "nicht ", "ohne ", "keine ", "keinen ", "jamais", "sans ", "ne pas", "aucun", "nunca", "sin ", "mai ", "senza", "non ", "sem ", "nooit", "zonder", "niet ", "geen "}},
	{ideaNotice, []string{"messages are waiting", "messages waiting", "nachrichten warten", "messages en attente", "votre boîte", "votre messagerie", "voice message", "voicemail", "voice mail", "sprachnachricht", "sprachmitteilung", "message vocal", "mensaje de voz", "messaggio vocale", "mensagem de voz", "voicebericht", "mailbox", "quota", "postfach", "speicherplatz", "boîte aux lettres", "boîte mail", "messagerie est", "buzón", "casella", "caixa de correio", "postvak", "in the filter", "quarantine", "held back", "im filter", "quarantäne", "zurückgehalten", "en quarantaine", "retenus", "cuarentena", "quarantena", "quarentena", "secure message", "encrypted message", "protected message", "secure mailbox", "sichere nachricht", "verschlüsselte nachricht", "gesicherte nachricht", "message chiffré", "message sécurisé", "boîte sécurisée", "messagerie sécurisée", "mensaje seguro", "mensaje cifrado", "messaggio sicuro", "messaggio cifrato", "mensagem segura", "beveiligd bericht", "versleuteld bericht"}},
	{ideaGrant, []string{"grant", "consent", "press accept", "click accept", "allow the app", "allowed for your mailbox", "permission", "akzeptieren", "berechtigung", "zustimmen", "erlauben sie", "accepter", "autoris", "consentement", "aceptar", "permisos", "conceda", "accetta", "consenti", "autorizz", "aceitar", "permiss", "toestemming", "accepteren"}},
	{ideaScan, []string{"with your phone", "with the camera", "with your camera", "mit der kamera", "mit dem handy", "mit ihrem telefon", "mit dem telefon", "avec votre téléphone", "avec l'appareil photo", "con el móvil", "con su teléfono", "con la cámara", "con il telefono", "con la fotocamera", "com o telemóvel", "com a câmera", "met uw telefoon", "met de camera"}},
	{ideaCall, []string{"call me ", "call us", "call our", "call back", "please call", "phone me", "phone us", "ring me", "ring us", "rufen sie", "ruf mich", "anrufen", "zurückrufen", "appelez", "rappelez", "appeler", "rappeler", "llám", "llame", "llamar", "chiami", "chiamare", "chiamaci", "ligue", "ligar", "bel me ", "bel mij", "bel ons", "bellen", "belt u"}},
	{ideaNow, []string{"now", "right away", "straight away", "at once", "immediately", "half hour", "within the hour", "today", "gleich", "sofort", "umgehend", "jetzt", "heute noch", "maintenant", "tout de suite", "immédiatement", "dès maintenant", "ahora", "enseguida", "inmediatamente", "subito", "adesso", "agora", "imediatamente", "meteen", "direct ", "by mail", "per mail geht", "par mail", "per mail", "por correo", "via mail"}},
	{ideaElse, []string{"by post", "in the post", "by letter", "by text", "by sms", "by phone", "per post", "per sms", "per brief", "telefonisch", "par la poste", "par courrier", "par sms", "por correo postal", "por sms", "per posta", "via sms", "por carta", "via sms", "per post"}},
}

// ideasByStart finds the words by their first two bytes.
var ideasByStart = func() map[[2]byte][]int {
	m := map[[2]byte][]int{}
	for i := range ideas {
		seen := map[[2]byte]bool{}
		for _, w := range ideas[i].words {
			k := [2]byte{w[0], w[1]}
			if !seen[k] {
				seen[k] = true
				m[k] = append(m[k], i)
			}
		}
	}
	return m
}()

// maxSentences is how many sentences of a message are looked at.
const maxSentences = 60

// requests are the ideas of each sentence.
type requests struct {
	sentence [maxSentences]idea
	n        int
}

// requestsIn reads the ideas of a text in lower case.
func requestsIn(text string) *requests {
	r := &requests{}
	start := 0
	for i := 0; i < len(text) && r.n < maxSentences; i++ {
		switch text[i] {
		case '.', '!', '?', '|':
			if i+1 < len(text) && text[i+1] != ' ' {
				continue
			}
		default:
			if i+1 < len(text) {
				continue
			}
		}
		if i-start > 3 {
			r.sentence[r.n] = ideasIn(text[start : i+1])
			r.n++
		}
		start = i + 1
	}
	return r
}

func ideasIn(s string) (found idea) {
	for i := 0; i+2 <= len(s); i++ {
		if i > 0 && letter(s[i-1]) {
			continue
		}
		for _, k := range ideasByStart[[2]byte{s[i], s[i+1]}] {
			if found&ideas[k].idea != 0 {
				continue
			}
			for _, w := range ideas[k].words {
				if strings.HasPrefix(s[i:], w) {
					found |= ideas[k].idea
					break
				}
			}
		}
	}
	return found
}

// together reports whether all ideas stand within so many sentences, of which none has an idea of without.
func (r *requests) together(sentences int, all, without idea) bool {
	for i := range r.n {
		var sum idea
		for j := i; j < r.n && j < i+sentences; j++ {
			if r.sentence[j]&without != 0 {
				break
			}
			sum |= r.sentence[j]
			if sum&all == all {
				return true
			}
		}
	}
	return false
}

// any reports whether a sentence has the idea.
func (r *requests) any(i idea) bool { return r.together(1, i, 0) }

// asksApproval: something comes to the telephone, and should be approved.
func (r *requests) asksApproval() bool {
	return r.together(2, ideaReceive|ideaPrompt|ideaApprove, ideaNot) || r.together(3, ideaFactor|ideaPrompt|ideaApprove, ideaNot)
}

// asksForCode: a code comes, and should be handed over.
func (r *requests) asksForCode() bool { return r.together(2, ideaReceive|ideaCode|ideaGive, ideaNot) }

// asksForCards: gift cards should be bought, and their codes be sent.
func (r *requests) asksForCards() bool { return r.together(3, ideaCards|ideaBuy|ideaProof, 0) }

// asksSignIn: a sign-in with the reader's own account or password.
func (r *requests) asksSignIn() bool { return r.together(1, ideaLogin|ideaOwn, ideaNot|ideaElse) }
