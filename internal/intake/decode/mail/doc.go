// Package mail decodes RFC 5322 messages: single files (.eml, maildir) and mbox archives (mboxo and mboxrd).
//
// A message in, one ocsf.Event out, with everything a reader of mail would see and nothing fetched: addresses,
// the border's receipt and its authentication results, visible text, links, attachments and what lies in them. A
// message that cannot be read in full is an event all the same; what was wrong stands in Mail.ParseProblems, each
// entry beginning with "limit:" (a cap was reached), "broken:" (a part could not be read) or "odd:" (read, but not
// as the standard has it), so that nothing hides by being malformed. Only a message without any usable time is
// given to Sink.Bad. Nothing here panics, recurses deeper than MaxDepth or reads a message more than a few times
// over; what compressed parts become is bounded by MaxInflated, pictures by MaxPixels.
//
// What is known of a message beyond ocsf.Mail stands in Event.Fields. "header." and a lower-case name hold header
// fields; the others are set only where they apply:
//
//	received.count       Received fields
//	origin.ip            address of the oldest Received field: the writer's own device, as the sender's system says
//	date.sent            the Date header, RFC 3339
//
//	links.body           how many of Mail.Links, the first ones, stand in the message's own text; absent: all
//	links.more           "yes": there were more than MaxLinks
//	links.odd            how links hide where they lead, words in order and joined by a comma: "userinfo" (a name
//	                     before "@"), "numeric" (an address as one number, octal or hexadecimal), "encoded" (percent
//	                     signs in the host), "backslash", "control" (white space or control characters inside the
//	                     address), "wide" (full-width dots or letters), "dot" (a dot after the host), "script"
//	                     (javascript: or vbscript:), "data" (data: holds the page), "hxxp" (to be mended by hand),
//	                     "mixed" (letters of several alphabets in one label of the host)
//
//	body.hidden          bytes of text that HTML hides, and zero-width characters
//	body.hiddentext      the first 2 KiB of that text
//	body.split           words that invisible characters cut in two
//	body.mixed           words of the text with letters of several alphabets (Latin with Cyrillic or Greek)
//	body.fancy           letters written with mathematical, circled or full-width signs; the text has plain ones
//	body.bidi            signs that turn the direction of writing
//	body.alternative     the first 4 KiB of text that only some programs show: a plain part that differs from the
//	                     HTML beside it, conditional comments for Outlook, parts under a second boundary
//	body.images          pictures in the text
//	body.dataimage       "yes": a picture written into the HTML itself
//	body.remote          hosts from which pictures, styles and frames would be loaded, sorted, at most 20, by commas
//	body.form            "yes": the text holds a form
//	body.input           "yes": and a field to fill in; "password" where it asks for one
//	body.script          "yes": the text holds a script or event handlers, which no mail program should run
//	body.refresh         host to which the text wants to move on by itself
//	body.charset         a character set that hides text from filters: utf-7, utf-16, utf-32
//	body.textqr          "yes": a QR code drawn with characters or table cells
//
//	qr.count             QR codes read, in pictures, PDF and text; their links have From "qr"
//	qr.text              the first one's content where it is no link (tel:, otpauth:, WIFI:, plain text), 300 bytes
//	qr.skipped           pictures that were not searched for a QR code, for their size or number
//	qr.unread            name of a picture with the corners of a code that could not be read
//	qr.where             name of the picture or file it stands in
//
//	attachment.text      the first 8 KiB of what attached documents say: PDF, Office, RTF, HTML, calendar, OneNote
//	attachment.encrypted an archive, PDF or Office file under a password
//	attachment.macro     an Office file with macros (VBA, or a macro sheet of Excel 4)
//	attachment.template  where an Office or RTF file loads its template or an object from
//	attachment.dde       an Office or RTF file whose fields start a program (DDE)
//	attachment.embedded  a file in a document: OneNote, PDF, OLE package, RTF object; its name, or its kind
//	attachment.action    what a PDF does when it is opened: javascript, launch, submit, open-remote
//	attachment.form      HTML that asks for input: form; "password" where it asks for one
//	attachment.script    HTML or SVG with a script that builds or moves on to something
//	attachment.smuggle   HTML or SVG that makes a file or a page out of its own text (HTML smuggling)
//	attachment.program   a file that is a program, whatever it is called
//	attachment.member    a dangerous member of an archive or disk image
//	attachment.members   number of members of all archives that were listed
//	attachment.nested    an archive inside an archive
//	attachment.image     a disk image (ISO, UDF, VHD, VHDX)
//	attachment.shortcut  a Windows shortcut (.lnk, .url, .library-ms, .settingcontent-ms)
//	attachment.command   what it starts, 500 bytes
//	attachment.disguised a name that shows another ending than it has: two endings, RLO signs, many spaces
//	attachment.mismatch  a name whose ending contradicts the content: "invoice.pdf: html"
//	attachment.broken    a file that cannot be read as what it claims to be
//	attachment.message   name of an attached message; its text follows that of the message
//	attachment.contact   a visiting card (vCard)
//
//	calendar.method      REQUEST, CANCEL, PUBLISH …
//	calendar.organizer   address of who invites
//	calendar.foreign     "yes": who invites is of another organisation than From
//
// A field that names a file holds that of the first one it was found in, "unnamed" where it has none; a member of
// an archive is "archive.zip!member".
package mail
