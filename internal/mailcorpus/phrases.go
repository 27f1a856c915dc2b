package mailcorpus

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// phraseBook is what generated senders of one language write.
type phraseBook struct {
	subjects map[string][]string // by a word of the template's name; "" for the rest
	lines    []string
}

func (p *phraseBook) subject(rng *rand.Rand, occasion, name string) string {
	for _, word := range occasions {
		if list := p.subjects[word]; strings.Contains(occasion, word) && len(list) > 0 {
			return strings.NewReplacer("{name}", name, "{number}", fmt.Sprint(10000+rng.IntN(900000))).Replace(pick(rng, list))
		}
	}
	return strings.NewReplacer("{name}", name, "{number}", fmt.Sprint(10000+rng.IntN(900000))).Replace(pick(rng, p.subjects[""]))
}

func (p *phraseBook) sentences(rng *rand.Rand, n int, name string) string {
	out := make([]string, 0, n)
	for range n {
		out = append(out, strings.NewReplacer("{name}", name, "{number}", fmt.Sprint(100+rng.IntN(9000))).Replace(pick(rng, p.lines)))
	}
	return strings.Join(out, " ")
}

// occasions are looked for in a template's name in this order.
var occasions = []string{"invoice", "receipt", "dunning", "password", "invit", "welcome", "trial", "confirm", "survey", "shipped"}

var phrases = []phraseBook{
	{map[string][]string{
		"invoice":  {"Your invoice {number} from {name}", "Invoice {number} is ready", "Billing statement for this month", "{name} invoice - due in 14 days"},
		"receipt":  {"Receipt for your payment to {name}", "Payment received - thank you", "Your order {number}"},
		"dunning":  {"We could not process your payment", "Action needed: your card was declined", "Payment for your {name} subscription failed"},
		"password": {"Reset your {name} password", "Password reset request", "You asked to set up a new password"},
		"invit":    {"You were invited to join a workspace at {name}", "A colleague invited you to {name}"},
		"welcome":  {"Welcome to {name}", "Getting started with {name}", "Please confirm your account"},
		"trial":    {"Your trial ends in three days", "Your {name} trial has ended", "Keep your {name} account"},
		"confirm":  {"Confirm your email address", "Please verify your sign-up", "Your registration for the webinar"},
		"survey":   {"How did we do?", "Two minutes for your opinion", "Rate your support ticket {number}"},
		"shipped":  {"Your parcel is on its way", "Delivery {number} has left our warehouse"},
		"":         {"News from {name}", "This month at {name}", "Your weekly report", "Maintenance on Saturday", "New comment on ticket {number}", "Seats are filling up: join us next month", "{name}: your account summary", "20% off annual plans until Friday"},
	}, []string{
		"Thank you for your order; it will leave our warehouse within two working days.",
		"You can download the statement from your account at any time.",
		"Your subscription renews automatically unless you cancel it before the end of the period.",
		"Our new portal lets you manage users, seats and cost centres in one place.",
		"If you did not request this, you can ignore this message; your password stays as it is.",
		"Please update your payment details before the due date to avoid an interruption of service.",
		"The maintenance window starts at 22:00 CET and lasts about two hours.",
		"Sign in to read the comment and reply to your colleague.",
		"We have changed our terms of service; the new version applies from the first of next month.",
		"Our office is closed on public holidays; urgent tickets are answered by the duty team.",
		"Register before Friday and get the early rate for the whole team.",
		"Your {name} account manager will call you to go through the contract.",
		"The report covers {number} devices at your sites and lists those that need a restart.",
		"Two-factor authentication will be required for all administrators from next quarter.",
		"Questions? Reply to this message or call our service desk.",
		"A new sign-in to your account was seen from a browser that we did not know.",
		"The delivery note is enclosed; please check the goods on arrival.",
		"In this issue: a case study from logistics, a recipe for fewer tickets, and dates for autumn.",
	}},
	{map[string][]string{
		"invoice":  {"Ihre Rechnung {number}", "Rechnung {number} von {name}", "Ihre Monatsabrechnung steht bereit"},
		"receipt":  {"Zahlungseingang - vielen Dank", "Ihre Bestellung {number}"},
		"dunning":  {"Zahlung fehlgeschlagen", "Bitte aktualisieren Sie Ihre Zahlungsdaten"},
		"password": {"Passwort zurücksetzen", "Ihr neues Passwort bei {name}"},
		"invit":    {"Einladung zu {name}", "Sie wurden zu einem Projekt eingeladen"},
		"welcome":  {"Willkommen bei {name}", "Erste Schritte mit {name}"},
		"trial":    {"Ihre Testphase endet bald"},
		"confirm":  {"Bitte bestätigen Sie Ihre E-Mail-Adresse", "Ihre Anmeldung zum Webinar"},
		"survey":   {"Wie zufrieden waren Sie?", "Ihre Meinung zu Ticket {number}"},
		"shipped":  {"Ihr Paket ist unterwegs"},
		"":         {"Neues von {name}", "Wartungsarbeiten am Samstag", "Ihr Wochenbericht", "Änderung unserer AGB", "Noch freie Plätze im Seminar"},
	}, []string{
		"vielen Dank für Ihre Bestellung, die Ware verlässt in zwei Werktagen unser Lager.",
		"Die Abrechnung finden Sie jederzeit in Ihrem Kundenkonto.",
		"Ihr Vertrag verlängert sich automatisch, sofern Sie nicht vor Ablauf kündigen.",
		"Falls Sie dies nicht angefordert haben, können Sie diese Nachricht ignorieren.",
		"Bitte aktualisieren Sie Ihre Zahlungsdaten vor dem Fälligkeitstag.",
		"Das Wartungsfenster beginnt um 22:00 Uhr und dauert etwa zwei Stunden.",
		"Melden Sie sich an, um den Kommentar zu lesen.",
		"Wir haben unsere allgemeinen Geschäftsbedingungen geändert.",
		"Unser Büro ist an Feiertagen geschlossen; dringende Fälle nimmt der Bereitschaftsdienst an.",
		"Der Bericht umfasst {number} Geräte an Ihren Standorten.",
		"Bei Fragen antworten Sie einfach auf diese Nachricht oder rufen Sie unseren Kundendienst an.",
		"Der Lieferschein liegt bei; bitte prüfen Sie die Ware bei Annahme.",
		"Ab dem nächsten Quartal ist die Anmeldung in zwei Schritten für alle Verwalter Pflicht.",
	}},
	{map[string][]string{
		"invoice":  {"Votre facture {number}", "Facture {number} de {name}"},
		"receipt":  {"Confirmation de paiement", "Votre commande {number}"},
		"dunning":  {"Votre paiement a échoué"},
		"password": {"Réinitialisation de votre mot de passe"},
		"invit":    {"Vous êtes invité à rejoindre {name}"},
		"welcome":  {"Bienvenue chez {name}"},
		"confirm":  {"Confirmez votre adresse", "Votre inscription au séminaire"},
		"survey":   {"Votre avis nous intéresse"},
		"":         {"Les nouvelles de {name}", "Maintenance prévue samedi", "Votre rapport hebdomadaire", "Nos conditions changent"},
	}, []string{
		"Merci pour votre commande, elle quittera notre entrepôt sous deux jours ouvrés.",
		"Vous trouverez le relevé dans votre espace client.",
		"Votre abonnement est renouvelé automatiquement sauf résiliation avant échéance.",
		"Si vous n'êtes pas à l'origine de cette demande, ignorez ce message.",
		"Merci de mettre à jour vos coordonnées de paiement avant la date d'échéance.",
		"La maintenance commence à 22 h et dure environ deux heures.",
		"Connectez-vous pour lire le commentaire de votre collègue.",
		"Le rapport couvre {number} appareils sur vos sites.",
		"Une question ? Répondez à ce message ou appelez notre service client.",
		"Le bon de livraison est joint ; merci de vérifier la marchandise.",
	}},
}

var (
	nameFirst  = strings.Fields("bracken harrow tillage osier marram fennick quillby norbeck ashgill thornby wexcombe larkhill dunmere pellow corriedale strathen velden ostrava karrow lindgate mossvale brightwell ravenol tarnside everholt kestrin aldwick polden sarnath whitmoor galder cinderby hollin marlow restan ulver breckland fosse carden ilmen")
	nameSecond = strings.Fields("logistics supplies software systems telecom payroll cloud insurance travel print office energy facility analytics training security networks pharma foods tooling freight media bank leasing hosting recruiting events catering consulting devices")
	endings    = []string{".com", ".com", ".com", ".com", ".de", ".de", ".fr", ".eu", ".co.uk", ".io", ".net", ".org", ".app", ".cloud", ".be", ".nl"}
	mailboxes  = strings.Fields("no-reply noreply billing service info news hello accounts support newsletter notifications team")
	senders    = []string{"links.postwagon-mail.com", "email.brevimail.net", "t.campaignrook.com", "r.notifypost.io"}
	paths      = strings.Fields("account invoices orders help privacy terms unsubscribe blog events docs login settings billing survey")
	people     = strings.Fields("Anna Jonas Marie Lukas Clara Henrik Sophie Karim Elena Tomas Nadia Felix Ingrid Paul Amira Viktor Julia Samuel Lea Marco")
)
