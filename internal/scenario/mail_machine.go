package scenario

// machineMails are what a partner's systems send by themselves, week by week: the habit that lures copy.
var machineMails = map[string][]script{
	"en": {
		{kind: "ticket", from: "desk", host: hostPartner, path: "/t/{num}{num}", subject: "[#{num}4{num}] {device}: {project}", body: `Ticket #{num}4{num} was [opened|changed|closed] by {colleague}.

{link:Show ticket}

[Please answer above this line.|You get this message because you are a contact of {client}.]`},
		{kind: "monitoring", from: "desk", subject: "[OK|RECOVERY|WARNING] {device} {num} %", body: `Host: {device}
Service: disk
State: {num} % used

Notification of the monitoring of {partner}`},
		{kind: "invoice", from: "finance", file: "pdf-iban", subject: "Invoice {ref}", body: `[please find attached our invoice {ref} for {month}|attached you find {ref} for our services in {month}]. [Payment terms 30 days net.|Our bank details are unchanged.]`},
		{kind: "share-known-host", host: hostPartner, path: "/d/{tok}", subject: "Files for {project}", body: `[I put the new version into our usual folder|the plans are in the data room]: {link}`},
		{kind: "voicemail", from: "desk", host: hostPartner, path: "/vm/{tok}", subject: "Voice message from {colleague}", body: `{colleague} left you a message of {num} seconds at {time}. Play: {link}`},
	},
	"de": {
		{kind: "ticket", from: "desk", host: hostPartner, path: "/t/{num}{num}", subject: "[#{num}4{num}] {device}: {project}", body: `Ticket #{num}4{num} wurde von {colleague} [eröffnet|geändert|geschlossen].

{link:Ticket anzeigen}

[Bitte oberhalb dieser Zeile antworten.|Sie erhalten diese Nachricht als Ansprechpartner von {client}.]`},
		{kind: "monitoring", from: "desk", subject: "[OK|WARNUNG] {device} {num} %", body: `Host: {device}
Dienst: Platte
Zustand: {num} % belegt

Meldung der Überwachung von {partner}`},
		{kind: "invoice", from: "finance", file: "pdf-iban", subject: "Rechnung {ref}", body: `[anbei erhalten Sie unsere Rechnung {ref} für {month}|im Anhang {ref} für unsere Leistungen im {month}]. [Zahlbar innerhalb von 30 Tagen.|Unsere Bankverbindung ist unverändert.]`},
		{kind: "share-known-host", host: hostPartner, path: "/d/{tok}", subject: "Unterlagen {project}", body: `[die neue Fassung liegt im üblichen Ordner|die Pläne sind im Datenraum]: {link}`},
	},
	"fr": {
		{kind: "ticket", from: "desk", host: hostPartner, path: "/t/{num}{num}", subject: "[#{num}4{num}] {device} : {project}", body: `Le ticket #{num}4{num} a été [ouvert|modifié|clos] par {colleague}.

{link:Voir le ticket}`},
		{kind: "invoice", from: "finance", file: "pdf-iban", subject: "Facture {ref}", body: `[veuillez trouver ci-joint notre facture {ref} pour {month}|ci-joint {ref} pour nos prestations de {month}]. [Paiement à 30 jours.|Nos coordonnées bancaires restent inchangées.]`},
		{kind: "share-known-host", host: hostPartner, path: "/d/{tok}", subject: "Documents {project}", body: `[la nouvelle version est dans le dossier habituel|les plans sont dans l'espace projet] : {link}`},
	},
}

// spamMails are commodity spam and phish, which meet everybody.
var spamMails = map[string][]script{
	"en": {
		{kind: "spam", path: "/{tok}", subject: "Your mailbox is almost full", body: `Your account will be closed today. {link:Confirm your details now}.`},
		{kind: "spam", path: "/p/{tok}", subject: "Parcel could not be delivered", body: `A parcel is waiting for you, the fee of [1.99|2.49] is still open. {link:Continue}`},
		{kind: "spam", path: "/m/{tok}", subject: "Secure message waiting", body: `You have one unread secure message. {link:Sign in to read it}`},
		{kind: "spam", path: "/w/{tok}", subject: "[You were chosen|Exclusive gift card for you]", body: `Answer three questions and [take your prize|collect a voucher of 500]: {link}`},
	},
	"de": {
		{kind: "spam", path: "/{tok}", subject: "Ihr Paket wartet", body: `Die Zustellgebühr von [1,99|2,49] Euro ist noch offen. {link:Weiter}`},
		{kind: "spam", path: "/k/{tok}", subject: "Ihr Konto wurde eingeschränkt", body: `Bestätigen Sie Ihre Angaben [innerhalb von 24 Stunden|heute noch]: {link}`},
	},
	"fr": {
		{kind: "spam", path: "/{tok}", subject: "Votre colis est en attente", body: `Des frais de [1,99|2,49] euros restent à régler. {link:Continuer}`},
		{kind: "spam", path: "/k/{tok}", subject: "Votre compte est suspendu", body: `Confirmez vos informations [sous 24 heures|dès aujourd'hui] : {link}`},
	},
}

// newsletters are honest bulk mail.
var newsletters = map[string][]script{
	"en": {
		{kind: "newsletter", path: "/n/{tok}", subject: "[10 tips for your {project}|News from the industry|This week in logistics]", body: `Dear reader,

[this is what moved us this month: new rules for suppliers, three questions to a plant manager, and the fair in Linz|prices for freight fall, energy rises, and our readers' survey is out]. {link:Read more}

You get this because you signed up on our page.`},
		{kind: "newsletter", path: "/w/{tok}", subject: "Webinar: [{project} in practice|what changes in {month}]", body: `join our free webinar on {date} at {time}. [Two customers show how they did it.|With questions and answers.] {link:Register}`},
		{kind: "newsletter", path: "/c/{tok}", subject: "[Our new catalogue|{num} % on the spring range]", body: `the new catalogue is there: {link:Leaf through it}. [Free shipping until {date}.|Order by {date} and save {num} %.]`},
	},
	"de": {
		{kind: "newsletter", path: "/n/{tok}", subject: "[Neues aus der Branche|Die Woche in der Logistik]", body: `liebe Leserinnen und Leser,

[das hat uns diesen Monat bewegt: neue Regeln für Lieferanten, drei Fragen an einen Werksleiter und die Messe in Linz|die Frachtpreise fallen, Energie steigt, und unsere Umfrage läuft]. {link:Weiterlesen}

Sie erhalten diese Mail, weil Sie sich auf unserer Seite angemeldet haben.`},
		{kind: "newsletter", path: "/w/{tok}", subject: "Webinar: {project} in der Praxis", body: `unser kostenloses Webinar am {date} um {time} Uhr. {link:Anmelden}`},
	},
	"fr": {
		{kind: "newsletter", path: "/n/{tok}", subject: "[L'actualité du secteur|La semaine logistique]", body: `chers lecteurs,

[voici ce qui a marqué le mois : les règles pour les fournisseurs, un entretien et le salon de Lyon|le fret baisse, l'énergie monte, et notre enquête est en ligne]. {link:Lire la suite}`},
		{kind: "newsletter", path: "/w/{tok}", subject: "Webinaire : {project} en pratique", body: `notre webinaire gratuit aura lieu le {date} à {time}. {link:S'inscrire}`},
	},
}

var (
	lures  = map[string][]script{"en": luresEN, "de": luresDE, "fr": luresFR}
	honest = map[string][]script{"en": honestEN, "de": honestDE, "fr": honestFR}
	talks  = map[string][]talk{"en": talksEN, "de": talksDE, "fr": talksFR}
)
