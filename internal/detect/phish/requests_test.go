package phish

import (
	"testing"

	"github.com/breakwater-project/breakwater/internal/record/ocsf"
)

// TestRequests: what is asked is recognised in other words than any list of phrases has, and its honest twin is not.
func TestRequests(t *testing.T) {
	type is func(*requests) bool
	approval, code, cards, signIn := (*requests).asksApproval, (*requests).asksForCode, (*requests).asksForCards, (*requests).asksSignIn
	tests := []struct {
		text string
		ask  is
		want bool
	}{
		{"in a minute a prompt will appear on your phone. just accept it, we are changing the servers.", approval, true},
		{"we renew the second factor tonight. when the request comes, tap yes and confirm.", approval, true},
		{"sie bekommen gleich eine anfrage auf ihr handy. bitte nehmen sie sie an.", approval, true},
		{"vous recevrez une notification sur votre téléphone. merci de la valider.", approval, true},
		{"recibirá una solicitud en su teléfono. apruebe la solicitud, por favor.", approval, true},
		{"riceverà una richiesta sul telefono, la approvi per favore.", approval, true},
		{"u krijgt een melding op uw telefoon. keur die goed, accepteer hem.", approval, true},
		{"if a request you did not start appears on your phone, do not accept it and call us.", approval, false},
		{"nehmen sie niemals eine anfrage auf ihrem telefon an, die sie nicht ausgelöst haben.", approval, false},
		{"your request for a new phone was approved by ann.", approval, false},

		{"you'll get a text message with a code. please send me that code so i can finish.", code, true},
		{"sie erhalten eine sms mit einem code, den schicken sie mir bitte.", code, true},
		{"vous allez recevoir un code, merci de me le communiquer.", code, true},
		{"never read a code that comes by text message to anybody, and do not send it.", code, false},
		{"the door code comes by text message on monday.", code, false},

		{"could you buy five gift cards today and send photos of the back?", cards, true},
		{"ich brauche vier gutscheine, bitte kaufen sie die und schicken sie mir die codes.", cards, true},
		{"pouvez-vous acheter des cartes cadeaux et m'envoyer une photo?", cards, true},
		{"¿puede comprar tarjetas regalo y mandarme una foto?", cards, true},
		{"each visitor gets a voucher for a coffee at the entrance.", cards, false},
		{"we collect for a bicycle for ann, who retires.", cards, false},

		{"please register there with your work address and its password.", signIn, true},
		{"melden sie sich dort mit ihrem firmenkonto an.", signIn, true},
		{"merci de vous connecter avec votre adresse professionnelle.", signIn, true},
		{"the folder opens without a sign-in or your account.", signIn, false},
		{"we reset your password, the new one comes by sms.", signIn, false},
	}
	for _, tt := range tests {
		if got := tt.ask(requestsIn(tt.text)); got != tt.want {
			t.Errorf("%v, want %v: %s", got, tt.want, tt.text)
		}
	}
}

// TestPartnerRequests: in a partner's usual mail, with nothing unusual in its headers.
func TestPartnerRequests(t *testing.T) {
	tests := []struct {
		name, subject, text, reason string
		verdict                     string
	}{
		{"a prompt to approve", "Second factor", "We move the second factor tonight. A prompt will pop up on your phone, please accept it.", "partner-approval", Phish},
		{"a code to hand over", "Re: Ticket", "You will receive a text message with a code now. Reply with the code, then I can finish.", "partner-code-handover", Phish},
		{"gift cards", "Are you there?", "Could you purchase six store cards, I mean gift cards, and mail me a photo of the codes?", "partner-gift-cards", Phish},
		{"a debit and a number", "Renewal", "The sum of 4,800.00 euro will be debited on Friday. To stop it call our office: +1 808 555 0199.", "partner-callback-scare", Phish},
		{"a new number, now", "Re: Ticket", "I cannot write this by mail. Please call me on my new number +1 808 555 0142, best right away.", "partner-new-number", Phish},
		{"only a new number", "New telephone", "From today my number is +1 808 555 0142.", "", Clean},
		{"wages to a new account", "My wages", "I would like my salary to go to GB29 NWBK 6016 1331 9268 19 from this month on.", "partner-payment-change", Phish},
		{"a refund to the reader's account", "Credit note", "The payment goes to your account GB29 NWBK 6016 1331 9268 19 with our next run.", "", Clean},
		{"voice mail elsewhere", "New voice message", "You have a voice message of 31 seconds. Play it with your account: https://play.qzxvoice.example/vm/1", "partner-notice-elsewhere", Phish},
		{"large files elsewhere", "Photos", "The photos are too large for mail, here they are: https://files.bigdrop.example/s/1 Open for anybody until Monday.", "partner-new-host", Clean},
		{"a portal by post", "Customer portal", "Our portal opens in May: https://portal.opening.example/ Your password comes by post.", "partner-new-host", Clean},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newTest()
			findings(d, usualMail("alder", "alderbrook.com")...)
			v := d.Judge(mailTo("alder", "ana@marrowstone-it.com", "joe@alderbrook.com", tt.subject, tt.text, at(day0.AddDate(0, 0, 26)), field("header.x-mailer", "TicketDesk 9.2")))
			has := tt.reason == ""
			for _, r := range v.Reasons {
				has = has || r.Name == tt.reason
			}
			if !has || v.Verdict != tt.verdict {
				t.Errorf("%s %.3f, want %s for %s: %+v", v.Verdict, v.Score, tt.verdict, tt.reason, v.Reasons)
			}
		})
	}
}

// TestANewAccountStaysNew: a reminder of a changed account is no less strange than the change.
func TestANewAccountStaysNew(t *testing.T) {
	d := newTest()
	findings(d, usualMail("alder", "alderbrook.com")...)
	change := func(days int) *ocsf.Event {
		return mailTo("alder", "ana@marrowstone-it.com", "joe@alderbrook.com", "Payment", "Please make the payment to GB29 NWBK 6016 1331 9268 19.", at(day0.AddDate(0, 0, 26+days)), field("header.x-mailer", "TicketDesk 9.2"))
	}
	first := d.Judge(change(0))
	d.Learn(change(0), ocsf.MailVerdict{Verdict: Clean}) // released by hand
	soon, late := d.Judge(change(7)), d.Judge(change(40))
	if first.Verdict != Phish || soon.Verdict != Phish || late.Verdict != Clean {
		t.Errorf("at first %s, after a week %s, after forty days %s", first.Verdict, soon.Verdict, late.Verdict)
	}
}

func FuzzRequests(f *testing.F) {
	f.Add("you will get a code. send it to me!")
	f.Add("\xff. .|.")
	f.Fuzz(func(t *testing.T, text string) {
		if r := requestsIn(text); r.n > maxSentences {
			t.Fatalf("%d sentences", r.n)
		}
	})
}
