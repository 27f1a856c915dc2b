package phish

import "testing"

// TestWantsOfAPartnersMail: what one sentence wants, in several languages, and the honest sentences beside it.
func TestWantsOfAPartnersMail(t *testing.T) {
	for _, test := range []struct {
		text              string
		numbers, accounts bool
		want              string
	}{
		{"you will get a code by text message. please answer with the six digits.", false, false, "handOver"},
		{"sie erhalten gleich eine sms mit einem code, schicken sie mir bitte die ziffern.", false, false, "handOver"},
		{"vous allez recevoir un code par sms, répondez-moi avec les six chiffres.", false, false, "handOver"},
		{"recibirás un código por sms, envíamelo por favor.", false, false, "handOver"},
		{"a request will come to your phone at half past one, please accept it.", false, false, "push"},
		{"sie bekommen eine anfrage auf ihr telefon, bitte bestätigen sie diese.", false, false, "push"},
		{"vous recevrez une demande sur votre téléphone, merci de l'accepter.", false, false, "push"},
		{"could you buy five gift cards at lunch and send me the codes?", false, false, "giftCard"},
		{"können sie fünf gutscheine besorgen?", false, false, "giftCard"},
		{"il me faudrait cinq cartes cadeaux de 100 euros.", false, false, "giftCard"},
		{"we have a new bank. please pay all invoices to the following account.", false, true, "payment"},
		{"wir haben die bank gewechselt, bitte zahlen sie rechnungen auf das neue konto.", false, true, "payment"},
		{"nous avons changé de banque. merci de régler les factures sur le compte suivant.", false, true, "payment"},
		{"eur 300 will be debited on monday, to cancel call our billing line.", true, false, "callback"},
		{"la somme sera prélevée lundi. annulation par téléphone uniquement.", true, false, "callback"},
		{"the contract needs your signature.", false, false, "sign"},

		{"the source code is ready, i will send it when the tests arrive at a result.", false, false, ""},
		{"it goes to your account with our next payment run. please tell us if the bank has changed.", false, true, ""},
		{"our new office is in the old bank building.", false, false, ""},
		{"please call me when you have a minute.", true, false, ""},
		{"the report is attached.", true, true, ""},
		{"wir sehen uns am montag.", true, true, ""},
		{"", true, true, ""},
	} {
		var a ask
		a.widen(test.text, test.numbers, test.accounts)
		got := ""
		for _, f := range []struct{ name, value string }{{"handOver", a.handOver}, {"push", a.push}, {"giftCard", a.giftCard}, {"payment", a.payment}, {"callback", a.callback}, {"sign", a.sign}} {
			if f.value != "" && got == "" {
				got = f.name
			}
		}
		if got != test.want {
			t.Errorf("%q wants %q, want %q (%+v)", test.text, got, test.want, a)
		}
	}
}

func TestWideningKeepsWhatPhrasesFound(t *testing.T) {
	a := ask{payment: "new bank details"}
	a.widen("we changed our bank, pay to the new account.", false, true)
	if a.payment != "new bank details" {
		t.Errorf("payment became %q", a.payment)
	}
}
