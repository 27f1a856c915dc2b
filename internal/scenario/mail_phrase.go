package scenario

import (
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Where the link of a script leads; the zero value is a host of the intruder's.
const (
	hostFoe     = iota
	hostPartner // a host of the sender's own domain
	hostNew     // somebody else's service, not seen before
	hostTool    // the declared remote-support server
)

// script is one message that is not ordinary talk: what it says and what goes with it. Texts are templates, see say.
type script struct {
	kind    string
	subject string // empty where reply is set
	body    string
	path    string // of the link
	host    int
	file    string // attachment, see attach
	from    string // finance, manager, desk; empty: anybody
	toRole  string // hr; empty: anybody
	style   string // away: from a phone elsewhere; new: by somebody new
	reply   bool   // stands in a real thread
	mass    bool   // goes to many whom it doesn't name
}

// talk is an ordinary conversation, turn by turn.
type talk struct {
	subject string
	file    string
	tenant  bool // the tenant's side begins
	money   bool // among those who handle invoices
	turns   []string
}

// words are what stands for the names in braces; one set lasts for one conversation.
type words map[string]string

// The marks of a link inside an expanded text: label, then address. No template holds them.
const (
	linkOpen  = '\x02'
	linkMid   = '\x03'
	linkClose = '\x04'
)

// say expands a template: [a|b] is one of several, {name} a word, {link} a link and {link:label} one with a label.
func (w words) say(r *rng, t string) string {
	var b strings.Builder
	for i := 0; i < len(t); i++ {
		switch t[i] {
		case '[':
			end := matching(t, i, '[', ']')
			b.WriteString(w.say(r, pick(r, alternatives(t[i+1:end]))))
			i = end
		case '{':
			end := matching(t, i, '{', '}')
			name := t[i+1 : end]
			if label, ok := strings.CutPrefix(name, "link"); ok {
				label = strings.TrimPrefix(label, ":")
				b.WriteRune(linkOpen)
				b.WriteString(w.say(r, label))
				b.WriteRune(linkMid)
				b.WriteString(w["link"])
				b.WriteRune(linkClose)
			} else if v, ok := w[name]; ok {
				b.WriteString(v)
			} else {
				panic("scenario: no word for {" + name + "} in a mail template") // a template of this package; a test expands all
			}
			i = end
		default:
			b.WriteByte(t[i])
		}
	}
	return b.String()
}

// matching returns where the bracket that opens at i closes.
func matching(t string, i int, open, shut byte) int {
	depth := 0
	for j := i; j < len(t); j++ {
		switch t[j] {
		case open:
			depth++
		case shut:
			if depth--; depth == 0 {
				return j
			}
		}
	}
	panic("scenario: a bracket of a mail template is not closed: " + t[i:])
}

// alternatives cuts at the bars outside inner brackets.
func alternatives(t string) []string {
	var out []string
	depth, last := 0, 0
	for j := range len(t) {
		switch t[j] {
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '|':
			if depth == 0 {
				out = append(out, t[last:j])
				last = j + 1
			}
		}
	}
	return append(out, t[last:])
}

func capital(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(c)) + s[n:]
}

// with returns a copy with more words.
func (w words) with(more words) words {
	out := maps.Clone(w)
	maps.Copy(out, more)
	return out
}

// tongue is what a language has for dates, letters and quotes.
type tongue struct {
	weekdays, months                         []string
	greetings, closings                      []string
	systems, rooms, sites, projects          []string
	from, sent, to, subject, original, wrote string
	money                                    string
	notice                                   string
	reply, forward                           string
	phone                                    string
	roles                                    []string
	phoneSig                                 string
}

var tongues = map[string]*tongue{
	"en": {
		weekdays: strings.Fields("Sunday Monday Tuesday Wednesday Thursday Friday Saturday"),
		months:   strings.Fields("January February March April May June July August September October November December"), greetings: []string{"Hi {to},", "Hello {to},", "Dear {to},", "{to},", "Good morning {to},", ""},
		closings: []string{"Best regards", "Kind regards", "Regards", "Thanks", "Many thanks and best regards", "Cheers"},
		systems:  []string{"the ERP", "the document archive", "the VPN", "Exchange", "the time recording", "the backup", "the label printing", "the phone system", "the quality database"},
		rooms:    []string{"B 214", "the small meeting room", "hall 2", "room 3.07"}, sites: []string{"the warehouse", "the Linz office", "plant 2", "the showroom", "the branch in Ghent"},
		projects: []string{"network renewal", "archive migration", "site move", "label printing", "Windows 11 rollout", "phone migration"},
		from:     "From:", sent: "Sent:", to: "To:", subject: "Subject:", original: "-----Original Message-----", wrote: "On %s at %s, %s wrote:", money: "EUR %d,%03d.00",
		notice: "This message is meant for the addressee only. If you received it by mistake please tell us and delete it.", reply: "Re: ", forward: "Fwd: ", phone: "+44 20 7946 0%03d",
		roles: []string{"Service Engineer", "Account Manager", "Systems Engineer", "Project Manager", "Team Lead Service Desk", "Network Engineer"}, phoneSig: "Sent from my phone",
	},
	"de": {
		weekdays: strings.Fields("Sonntag Montag Dienstag Mittwoch Donnerstag Freitag Samstag"),
		months:   strings.Fields("Januar Februar März April Mai Juni Juli August September Oktober November Dezember"), greetings: []string{"Hallo {to},", "Guten Tag {to},", "Guten Morgen {to},", "Hallo {to},", "Hi {to},", "Hallo zusammen,"},
		closings: []string{"Viele Grüße", "Mit freundlichen Grüßen", "Beste Grüße", "Freundliche Grüße", "Danke und Gruß", "VG"},
		systems:  []string{"das ERP", "das Archiv", "das VPN", "Exchange", "die Zeiterfassung", "die Datensicherung", "den Etikettendruck", "die Telefonanlage"},
		rooms:    []string{"Raum 214", "dem kleinen Besprechungsraum", "Halle 2"}, sites: []string{"Linz", "Werk 2", "Halle 3", "Passau"},
		projects: []string{"Netzwerkerneuerung", "Umzug", "Archivablösung", "Windows 11", "Telefonie"},
		from:     "Von:", sent: "Gesendet:", to: "An:", subject: "Betreff:", original: "-----Ursprüngliche Nachricht-----", wrote: "Am %s um %s schrieb %s:", money: "%d.%03d,00 Euro",
		notice: "Diese Nachricht ist nur für den Empfänger bestimmt. Sollten Sie sie irrtümlich erhalten haben, geben Sie uns bitte Bescheid und löschen Sie sie.", reply: "AW: ", forward: "WG: ", phone: "+49 30 23125 %03d",
		roles: []string{"Servicetechnik", "Kundenbetreuung", "Systemtechnik", "Projektleitung", "Leitung Service Desk", "Netzwerktechnik"}, phoneSig: "Von meinem Telefon gesendet",
	},
	"fr": {
		weekdays: strings.Fields("dimanche lundi mardi mercredi jeudi vendredi samedi"),
		months:   strings.Fields("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"), greetings: []string{"Bonjour {to},", "Bonjour,", "Bonjour {to},", "Chère Madame, cher Monsieur,", "Bonjour à tous,", "{to},"},
		closings: []string{"Cordialement", "Bien cordialement", "Bonne journée", "Bien à vous", "Merci d'avance", "Sincères salutations"},
		systems:  []string{"l'ERP", "la gestion documentaire", "le VPN", "Exchange", "la téléphonie", "la sauvegarde"},
		rooms:    []string{"salle 214", "la petite salle", "l'atelier"}, sites: []string{"Namur", "l'entrepôt", "Lausanne", "l'atelier 2"},
		projects: []string{"renouvellement du réseau", "déménagement", "archivage", "Windows 11", "téléphonie"},
		from:     "De :", sent: "Envoyé :", to: "À :", subject: "Objet :", original: "-----Message d'origine-----", wrote: "Le %s à %s, %s a écrit :", money: "%d %03d,00 €",
		notice: "Ce message est destiné exclusivement à son destinataire. Si vous l'avez reçu par erreur, merci de nous en informer et de le supprimer.", reply: "RE : ", forward: "TR : ", phone: "+33 1 99 00 %02d 21",
		roles: []string{"Technicien support", "Chargé de clientèle", "Ingénieur systèmes", "Chef de projet", "Responsable support", "Ingénieur réseau"}, phoneSig: "Envoyé de mon téléphone",
	},
}

var languages = []string{"en", "de", "fr"}

// iban is an example of the registry of SWIFT, valid by its checksum and nobody's account.
type iban struct{ number, bank string }

var ibans = []iban{
	{"DE89 3704 0044 0532 0130 00", "Commerzbank"}, {"AT61 1904 3002 3457 3201", "Erste Bank"}, {"FR14 2004 1010 0505 0001 3M02 606", "La Banque Postale"},
	{"CH93 0076 2011 6238 5295 7", "Kantonalbank"}, {"GB29 NWBK 6016 1331 9268 19", "NatWest"}, {"NL91 ABNA 0417 1643 00", "ABN AMRO"}, {"BE68 5390 0754 7034", "Argenta"},
	{"LU28 0019 4006 4475 0000", "Spuerkeess"}, {"IE29 AIBK 9311 5212 3456 78", "AIB"}, {"SE45 5000 0000 0583 9825 7466", "SEB"}, {"ES91 2100 0418 4502 0005 1332", "CaixaBank"},
	{"PL61 1090 1014 0000 0712 1981 2874", "Santander"}, {"DK50 0040 0440 1162 43", "Nordea"}, {"CZ65 0800 0000 1920 0014 5399", "Česká spořitelna"},
}

// wordsAt draws the words of a conversation that begins at t.
func wordsAt(r *rng, lang string, t time.Time) words {
	l := tongues[lang]
	soon := t.AddDate(0, 0, r.between(2, 6))
	for soon.Weekday() == time.Saturday || soon.Weekday() == time.Sunday {
		soon = soon.AddDate(0, 0, 1)
	}
	later := t.AddDate(0, 0, r.between(8, 20))
	bank, old := pick(r, ibans), pick(r, ibans)
	number := fmt.Sprintf("%s-%d-%04d", pick(r, []string{"RE", "A", "Q", "CS", "INV", "V"}), t.Year()%100, r.between(100, 9800))
	clock := fmt.Sprintf("%d:%02d", r.between(9, 16), r.IntN(4)*15)
	if lang == "fr" {
		clock = strings.Replace(clock, ":", " h ", 1)
	}
	return words{
		"system": pick(r, l.systems), "room": pick(r, l.rooms), "site": pick(r, l.sites), "project": pick(r, l.projects), "ref": number, "num": fmt.Sprint(r.between(11, 97)),
		"device": pick(r, []string{"SRV", "FS", "NAS", "PRN", "SW", "FW", "APP"}) + fmt.Sprintf("%02d", r.between(1, 12)), "month": l.months[t.Month()-1], "weekday": l.weekdays[soon.Weekday()], "date": l.day(later), "time": clock,
		"amount": fmt.Sprintf(l.money, r.between(1, 38), r.IntN(1000)), "iban": bank.number, "bank": bank.bank, "oldbank": old.bank,
		"phone": fmt.Sprintf(l.phone, r.between(10, 99)), "ownphone": fmt.Sprintf(l.phone, r.between(10, 99)), "code": upper(r.token(9)), "tok": r.token(r.between(8, 22)),
		"pw": pick(r, []string{"", "x", "Z"}) + r.token(r.between(4, 9)), "street": pick(r, familyNames) + "straße " + fmt.Sprint(r.between(2, 90)),
	}
}

// day writes a day and month as the language does.
func (l *tongue) day(t time.Time) string {
	switch l.reply {
	case "AW: ":
		return fmt.Sprintf("%d. %s", t.Day(), l.months[t.Month()-1])
	default:
		return fmt.Sprintf("%d %s", t.Day(), l.months[t.Month()-1])
	}
}

// stamp writes when a quoted message was sent.
func (l *tongue) stamp(t time.Time) string {
	return fmt.Sprintf("%s, %s %d", l.weekdays[t.Weekday()], l.day(t), t.Year())
}
