package scenario

import (
	"fmt"
	"strings"
	"time"
)

var (
	colleagueSubjects = []string{"Re: figures for the board", "Draft contract, please comment", "Meeting moved to 14:00", "Lunch on Thursday?", "Delivery note 4471",
		"Re: Re: holiday planning", "Minutes of Tuesday", "Question on the quote", "Fwd: price list", "Parking space", "Handover before my holiday"}
	colleagueTexts = []string{"see below, I think this is for you. The printer on the second floor is out of order again, a ticket is open.",
		"could you call the carrier about the two missing pallets? I am in the warehouse until noon.", "attached are the numbers we spoke about. Please check line 12 once more.",
		"the customer wants the offer by Friday. Can we keep the old prices?", "I moved our meeting, the room is the same.", "thanks, that solved it."}
	businessSubjects = []string{"Order confirmation", "Your offer of last week", "Invoice for March", "Delivery delayed", "Appointment next week", "Complaint about batch 7", "Re: specification"}
	ticketSubjects   = []string{"Your ticket: mailbox full", "Your ticket: printer", "Your ticket: new notebook", "Shared document for your approval", "Updated contact list", "Planned work on your server", "Password policy change"}
	ticketTexts      = []string{"we looked at your ticket and need a short confirmation from you. The details are in the document.", "please look at the shared document and tell us whether the data is still right.",
		"as discussed on the phone I send you the list. Please confirm until tomorrow.", "the work on your server is planned for this week. You find the times under the link."}
	noticeSubjects = []string{"Updates this week", "Maintenance on Saturday", "Phone hours of the service desk", "Security notice for all clients"}
	noticeTexts    = []string{"we install the monthly updates on Tuesday and Wednesday evening. Nothing to do for you; details under the link.",
		"on Saturday the VPN gateway is updated, you may lose the connection for a few minutes.", "the service desk can be reached from 7 to 18 o'clock."}
	spamSubjects = []string{"Your mailbox is almost full", "You have a new voice message", "Unpaid invoice 88231", "Parcel could not be delivered", "Exclusive gift card for you", "Secure message waiting"}
	spamTexts    = []string{"Your account will be closed today. Confirm your details now.", "A parcel is waiting for you, the fee of 1,99 is still open.", "You have one unread secure message. Sign in to read it."}
	newsSubjects = []string{"News from the industry", "10 tips for your warehouse", "Webinar invitation", "Our spring catalogue", "This week in logistics"}
)

// letters writes what arrives in an organisation's mailboxes in a day.
func letters(s *scribe, o *org, day int) {
	w := s.w
	p := w.provider
	hours := func() time.Time { return w.clock(s.r, day, 5.5, 18) }
	count := 0
	if w.works(day) {
		count = s.r.between(3, 5)
	}
	for range count {
		two := some(s.r, o.people, 2)
		l := letter{t: hours(), to: two[1], subject: pick(s.r, colleagueSubjects), text: two[1].given + ", " + pick(s.r, colleagueTexts) + "\n\n" + two[0].given}
		s.letter(o, l.fromPerson(o, two[0]))
	}
	for range count / 2 { // business with other organisations, some of them here too
		other := pick(s.r, w.orgs[1:])
		l := letter{t: hours(), to: pick(s.r, o.people), subject: pick(s.r, businessSubjects), text: pick(s.r, colleagueTexts), multi: s.r.chance(0.3)}
		if other == o || s.r.chance(0.4) {
			site := w.sites[len(wellKnown)+s.r.IntN(len(w.sites)-len(wellKnown))]
			domain := lastLabels(site.name)
			l.link, l.linkText = "", ""
			if s.r.chance(0.4) {
				l.link, l.linkText = "https://"+site.name+"/d/"+s.n.token(8), "Open the document"
			}
			r := newRNG(w.names, "contact", domain, s.r.IntN(3))
			l = l.stranger(pick(r, givenNames)+" "+pick(r, familyNames), lower(pick(r, givenNames))+"@"+domain, site.ip)
		} else {
			l = l.fromPerson(other, pick(s.r, other.people[:6]))
		}
		s.letter(o, l)
	}
	for range s.r.IntN(3) {
		site := w.sites[len(wellKnown)+s.r.IntN(len(w.sites)-len(wellKnown))]
		domain := lastLabels(site.name)
		l := letter{t: w.clock(s.r, day, 4, 20), to: pick(s.r, o.people), subject: pick(s.r, newsSubjects), text: "Dear reader, this is what moved us.", link: "https://" + site.name + "/n/" + s.n.token(6), linkText: "Read more", bulk: true}
		s.letter(o, l.stranger("Newsletter", "news@"+domain, site.ip))
	}
	if s.r.chance(0.7) { // commodity spam and phish
		site := pick(s.n, w.sites[len(wellKnown):])
		from := lower(pick(s.n, orgStems)) + fmt.Sprint(s.n.between(10, 99)) + "." + pick(s.n, topLevels)
		l := letter{t: w.clock(s.r, day, 0, 23.9), to: pick(s.r, o.people), subject: pick(s.r, spamSubjects), text: pick(s.r, spamTexts),
			link: "https://" + site.name + "/" + s.n.token(10), linkText: "Continue", dmarc: pick(s.r, []string{"fail", "none", "pass", "pass"})}
		s.letter(o, l.stranger("Service", "service@"+from, pick(s.n, w.guessers)))
	}
	if !o.client || !o.reach.mail {
		return
	}
	// The provider writes: every few days a notice to all, most days somebody about a ticket.
	if day%3 == 0 {
		i := day / 3 % len(noticeTexts)
		l := letter{t: w.day(day).Add(9*time.Hour + time.Duration(o.idx)*7*time.Second), to: o.people[o.idx%len(o.people)], subject: noticeSubjects[day/3%len(noticeSubjects)], text: noticeTexts[i],
			link: "https://status." + p.domain + "/m/" + fmt.Sprint(300+day), linkText: "status." + p.domain, bulk: true}
		l.from, l.addr, l.helo, l.ip = p.name+" NOC", "noc@"+p.domain, "mail."+p.domain, p.mx
		s.letter(o, l)
	}
	for i := range 1 + s.r.IntN(2) {
		if i > 0 && !w.works(day) {
			break
		}
		sender := p.people[(o.idx*3+day+i)%(p.techs+2)]
		l := letter{t: hours(), to: pick(s.r, o.people), subject: ticketSubjects[(o.idx+day*2+i)%len(ticketSubjects)], text: "Hello,\n\n" + pick(s.r, ticketTexts) + "\n\nBest regards\n" + sender.full()}
		if s.r.chance(0.6) {
			l.link, l.linkText = "https://"+pick(s.r, []string{"tickets.", "share.", "status."})+p.domain+"/t/"+s.n.token(6), "Open"
		}
		s.letter(o, l.fromPerson(p, sender))
	}
	if o.hasVendor && s.r.chance(0.15) {
		l := letter{t: hours(), to: pick(s.r, o.people), subject: "Update for " + w.vendor.product, text: "the new version is available for you.", link: "https://www." + w.vendor.domain + "/v", linkText: "Release notes"}
		s.letter(o, l.stranger(w.vendor.name, "support@"+w.vendor.domain, newRNG(w.names, "vendor mx").public()))
	}
}

// lastLabels returns the last two labels of a name.
func lastLabels(name string) string {
	parts := strings.Split(name, ".")
	return strings.Join(parts[max(0, len(parts)-2):], ".")
}
