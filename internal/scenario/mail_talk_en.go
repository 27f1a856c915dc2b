package scenario

// talksEN are ordinary conversations in English, turn by turn; the partner begins where begins is not set.
var talksEN = []talk{
	{subject: "[Printer on the second floor|{device}]", tenant: true, turns: []string{
		`[the printer next to the kitchen shows a paper jam again, but there is none|{device} prints half a page and stops]. Could somebody have a look [this week|when you're here next]?`,
		`[I can see it in the monitoring, the fuser is worn.|That's the known roller problem.] [I've ordered the part, it comes on {weekday}.|A technician of the maker comes on {weekday} morning.]`,
		`[great, thank you. Please report at the front desk.|{weekday} is fine, somebody is there from eight.]`,
		`[done, counter is at {num}0211. The old part is on the shelf.|it prints again. Please watch it for a day or two.]`}},
	{subject: "Renewal of {system}", turns: []string{
		`[the maintenance for {system} ends at the end of {month}|your {system} licences are due]. [Shall we renew for one year or three?|The maker's prices rise by 6 % next quarter, so I'd do it now.]`,
		`[how many seats do we really use?|Can you send me the current count first? I think we have too many.]`,
		`[{num} of 120 were active in the last 90 days. I'd go down to 100.|I counted: {num} named users, 14 of them left the company.]`,
		`[then 100 it is, three years. Send the offer to purchasing, please.|OK, one year. We decide on the rest in autumn.]`,
		`[offer {ref} went out to your purchasing a minute ago.|ordered, the confirmation follows.]`}},
	{subject: "{project}: next steps", turns: []string{
		`short summary of today: [the switches are ordered, delivery in calendar week {num}|the pilot with {room} runs, two open bugs]; [cabling is with the electrician|we wait for the new firewall rules]; next date {weekday}.`,
		`[thanks. On our side {colleague2} takes over the communication with the works council.|one correction: the electrician belongs to the landlord, please book through them.]`,
		`[noted, I changed the plan.|clear, I write to them.] [Do we need the freight lift?|Who has the keys for the cellar?]`,
		`[the caretaker, he's there from 7 to 15.|I'll ask and come back to you.]`}},
	{subject: "Old server in {room}", tenant: true, turns: []string{
		`there's still the old machine under the table in {room}. [Is it used for anything?|Can we throw it out?]`,
		`[it runs the archive of the old ERP, somebody reads it about twice a year.|it should be switched off since the move, I'm surprised it's on.] [I'd rather copy it before.|Leave it until I was there.]`,
		`[OK, then let's do that in {month}.|fine, no hurry.]`}},
	{subject: "Access for our auditor", tenant: true, turns: []string{
		`our auditor is in the house from {date}. She needs [read access to the finance folder|a guest network and a screen] [for a week|until {weekday}].`,
		`[I prepared an account that ends by itself after that. The data comes by text to you.|guest voucher is in the attachment of the ticket, valid seven days.] [Should she see 2024 as well?|]`,
		`[only the last two years. Thanks!|perfect, that was quick.]`}},
	{subject: "Slow connection to {site}", tenant: true, turns: []string{
		`[the people at {site} complain that files take ages to open since {weekday}.|{site} is slow again, mostly in the morning.]`,
		`[the line is at its limit between 8 and 9, a backup runs into the working hours.|I see packet loss of 3 % on the provider's side and opened a case, number {ref}.]`,
		`[can the backup be moved?|how long do they usually need?]`,
		`[moved to 22:00. Please tell me tomorrow whether it's better.|they promise 24 hours. I'll call them in the afternoon.]`,
		`[much better, thank you.|no complaints today.]`}},
	{subject: "Minutes of {weekday}", turns: []string{
		`the minutes are [in the usual folder|in the project space]: {known}. [Please add what I forgot.|Open points are marked yellow.]`,
		`[point 4 should be with us, not with you.|fine for me.] [One more: the date for the test is missing.|]`,
		`[changed both, thanks.|right, it's in now.]`}},
	{subject: "Order of {num} notebooks", tenant: true, turns: []string{
		`we need {num} notebooks for the new people in sales. [Same model as last year if possible.|With a second dock each, please.]`,
		`[that model is discontinued, the successor costs 40 more. Offer {ref} follows.|available in two weeks. I can lend you three until then.]`,
		`[please order. Cost centre 4{num}.|fine. Delivery to {site}, please.]`,
		`[ordered, delivery {date}.|they arrived, I'll install them by {weekday}.]`}},
	{subject: "Certificate of {device}", turns: []string{
		`[the certificate on {device} ends on {date}. I'd swap it on {weekday} at {time}, the service is away for a minute.|monitoring reminds me of the certificate on {device}. Same issuer as last time?]`,
		`[OK from our side.|please not on {weekday}, that's month end. The day after is good.]`,
		`[then the day after. I'll send a note when it's done.|done, valid for a year.]`}},
	{subject: "Restore of a folder", tenant: true, turns: []string{
		`[somebody deleted the folder {project} on the share, I can't tell who.|I overwrote my calculation, can you get back the version of {weekday}?]`,
		`[back from last night's copy, please look whether it's complete.|I put it beside the current one, with the date in the name.]`,
		`[all there, you saved my day.|two files are from the day before, but I can live with that.]`}},
	{subject: "Visit next week", turns: []string{
		`I'm in your area on {weekday}. [May I come by for an hour? I'd like to show you the new monitoring.|Shall we use it for the rack in {site}?]`,
		`[gladly, at {time}? The meeting room is free.|{weekday} is bad, we have stocktaking. The week after?]`,
		`[{time} it is. See you.|then I come on {date}.]`}},
	{subject: "Phones at reception", tenant: true, turns: []string{
		`[calls to reception end after two rings since the update.|can you add {colleague2} to the group for the hotline?]`,
		`[the timer was reset to 10 seconds. I set it to 30.|added. It takes some minutes until the phone shows it.]`,
		`[works, thanks.|seems to be fine, test calls came through.]`}},
	{subject: "Question about invoice {ref}", tenant: true, money: true, turns: []string{
		`on invoice {ref} there are [{num} hours for {project}|two trips to {site}]. [Can you tell me which days that was?|We only know of one.]`,
		`[the time sheet is attached to the invoice on page 2, it was the weekend of the move.|you're right, one belongs to another customer. You get a credit note of {amount}.]`,
		`[then it's fine, released.|thank you, we deduct it.]`}},
	{subject: "New people on {date}", tenant: true, turns: []string{
		`on {date} [three people start in dispatch|two trainees begin]. Names and rooms are in the usual form. [Please with mail and ERP.|They don't need mail.]`,
		`[accounts are ready, the hardware is on the desks by {weekday}.|one name exists already, may I add a number to the address?]`,
		`[super.|please use the middle name instead.]`}},
	{subject: "Report {month}", file: "pdf-report", turns: []string{
		`attached is the report for {month}. [Availability 99.9 %, {num} tickets, two of them open.|Nothing special; storage grows by 4 % a month, we should talk about it in autumn.]`,
		`[thanks, looks good.|why is {device} red on page 2?]`,
		`[that was the maintenance window, it isn't taken out automatically.|I'll bring it along to the review.]`}},
	{subject: "Lunch on {weekday}?", turns: []string{
		`[we're at your place on {weekday} anyway, how about the Italian?|I owe you one for last week. {weekday}?]`,
		`[gladly, {time} at the gate.|can't, but the week after.]`}},
}
