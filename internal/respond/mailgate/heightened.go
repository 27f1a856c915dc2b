package mailgate

import (
	"strings"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
	"github.com/breakwater-project/breakwater/internal/record/tenant"
)

// partnerOf returns the name of the partner from whom a message says it comes; proof plays no part, since an intruder
// in the partner's house has it.
func partnerOf(m *tenant.Model, e *ocsf.Event) string {
	id := e.Partner
	if id == "" {
		domain := domainOf(e.Mail.From)
		if owner, partner := m.DomainOwner(domain); partner != "" {
			id = partner
		} else if p := m.PartnerOf(owner); p != nil {
			id = p.ID
		}
	}
	if id == "" {
		return ""
	}
	for _, t := range m.TrustsInto(e.Tenant) {
		if t.Partner == id {
			if p := m.Partner(id); p != nil {
				return p.Name
			}
			return string(id)
		}
	}
	return ""
}

// asks are words with which people ask for something, in lower case. At the heightened level a wrong hold costs minutes,
// and a missed request may cost the house: any of them counts.
var asks = []string{
	"?", "please", "kindly", "could you", "can you", "would you", "need you to", "call me", "call us", "let me know", "asap", "urgent", "confirm", "approve", "transfer", "payment", "invoice", "password", "code", "download", "install", "open the", "sign in", "log in", "update your",
	"bitte", "könnten sie", "können sie", "kannst du", "rufen sie", "dringend", "bestätigen", "freigeben", "überweis", "zahlung", "rechnung", "passwort", "kennwort", "herunterladen", "installieren", "anmelden",
	"merci de", "veuillez", "pourriez", "pouvez-vous", "peux-tu", "appelez", "confirmer", "virement", "paiement", "facture", "mot de passe", "télécharger", "installer", "connectez",
	"por favor", "podría", "puede ", "llám", "confirme", "transferencia", "pago", "factura", "contraseña", "descarg",
	"per favore", "cortesemente", "potrebbe", "può ", "chiam", "conferm", "bonifico", "pagamento", "fattura", "scaric",
	"alstublieft", "graag", "kunt u", "kun je", "bevestig", "betaling", "factuur", "wachtwoord",
	"favor de", "poderia", "confirmar", "pagamento", "fatura", "senha",
	"proszę", "prosimy", "potwierd", "płatno", "faktur", "hasło",
}

// request says what a message asks for, or "" where it asks for nothing.
func request(e *ocsf.Event, v *ocsf.MailVerdict) string {
	for _, r := range v.Reasons {
		if r.Weight > 0 {
			return "has a reason to be careful: " + r.Text
		}
	}
	for _, l := range e.Mail.Links {
		if !sameOwner(l.Host, domainOf(e.Mail.From)) {
			return "has a link to " + l.Host
		}
	}
	for _, a := range e.Mail.Attachments {
		if !strings.HasPrefix(a.Type, "image/") {
			return "has an attachment"
		}
	}
	text := strings.ToLower(e.Mail.Subject + "\n" + e.Mail.Text)
	for _, w := range asks {
		if strings.Contains(text, w) {
			return "asks for something"
		}
	}
	return ""
}

// sameOwner reports whether a link stays with its sender: on the very domain the message is from.
func sameOwner(host, domain string) bool {
	if host == "" || domain == "" {
		return false
	}
	return tenant.WithinDomain(host, domain)
}
