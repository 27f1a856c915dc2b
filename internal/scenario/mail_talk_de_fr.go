package scenario

// talksDE are ordinary conversations in German.
var talksDE = []talk{
	{subject: "Drucker im zweiten Stock", tenant: true, turns: []string{
		`[der Drucker neben der Küche meldet wieder Papierstau, es ist aber keiner da|{device} druckt nur halbe Seiten]. Kann [diese Woche|beim nächsten Termin] jemand danach sehen?`,
		`[ich sehe es in der Überwachung, die Fixiereinheit ist verschlissen.|Das ist die bekannte Sache mit der Walze.] [Das Teil ist bestellt und kommt am {weekday}.|Der Techniker des Herstellers kommt am {weekday} früh.]`,
		`[prima, bitte am Empfang melden.|{weekday} passt, ab acht ist jemand da.]`}},
	{subject: "Verlängerung {system}", turns: []string{
		`[die Wartung für {system} läuft Ende {month} aus|Ihre Lizenzen für {system} stehen an]. [Verlängern wir um ein Jahr oder um drei?|Der Hersteller erhöht zum Quartal um 6 %, ich würde es jetzt machen.]`,
		`[wie viele nutzen wir wirklich?|Schicken Sie mir bitte erst die aktuelle Zahl, ich glaube, es sind zu viele.]`,
		`[in den letzten 90 Tagen waren {num} von 120 aktiv. Ich würde auf 100 gehen.|gezählt: {num} Benutzer, 14 davon sind nicht mehr im Haus.]`,
		`[dann 100, drei Jahre. Angebot bitte an den Einkauf.|gut, ein Jahr, den Rest sehen wir im Herbst.]`}},
	{subject: "{project}: nächste Schritte", turns: []string{
		`kurz zusammengefasst: [die Switches sind bestellt, Lieferung KW {num}|der Probebetrieb läuft, zwei Fehler offen]; [die Verkabelung macht der Elektriker|die Firewallregeln fehlen noch]; nächster Termin {weekday}.`,
		`[danke. Bei uns übernimmt {colleague2} die Abstimmung mit dem Betriebsrat.|eine Korrektur: der Elektriker gehört zum Vermieter, bitte dort bestellen.]`,
		`[notiert, der Plan ist geändert.|alles klar, ich schreibe ihn an.]`}},
	{subject: "Langsame Leitung nach {site}", tenant: true, turns: []string{
		`[die Kollegen in {site} klagen seit {weekday}, dass Dateien ewig brauchen.|{site} ist wieder langsam, vor allem morgens.]`,
		`[die Leitung ist zwischen 8 und 9 voll, eine Sicherung läuft in die Arbeitszeit.|ich sehe 3 % Paketverlust beim Anbieter und habe eine Störung gemeldet, Nummer {ref}.]`,
		`[lässt sich die Sicherung verschieben?|wie lange brauchen die üblicherweise?]`,
		`[läuft jetzt um 22 Uhr. Geben Sie mir morgen Bescheid?|24 Stunden sind zugesagt, ich hake am Nachmittag nach.]`}},
	{subject: "Protokoll vom {weekday}", turns: []string{
		`das Protokoll liegt [am üblichen Ort|im Projektbereich]: {known}. [Bitte ergänzen, was fehlt.|Offenes ist gelb.]`,
		`[Punkt 4 liegt bei uns, nicht bei Ihnen.|passt so.]`,
		`[geändert, danke.|stimmt, ist drin.]`}},
	{subject: "Bestellung {num} Notebooks", tenant: true, turns: []string{
		`wir brauchen {num} Notebooks für den Vertrieb. [Möglichst dasselbe Modell wie letztes Jahr.|Bitte mit zweiter Dockingstation.]`,
		`[das Modell gibt es nicht mehr, der Nachfolger kostet 40 mehr. Angebot {ref} folgt.|in zwei Wochen lieferbar, drei kann ich bis dahin leihen.]`,
		`[bitte bestellen, Kostenstelle 4{num}.|in Ordnung, Lieferung nach {site}.]`}},
	{subject: "Wiederherstellung eines Ordners", tenant: true, turns: []string{
		`[jemand hat den Ordner {project} auf dem Laufwerk gelöscht.|ich habe meine Kalkulation überschrieben, gibt es den Stand vom {weekday} noch?]`,
		`[ist aus der Sicherung von heute Nacht zurück, bitte prüfen.|liegt neben der aktuellen, mit Datum im Namen.]`,
		`[alles da, vielen Dank!|zwei Dateien sind vom Vortag, damit kann ich leben.]`}},
	{subject: "Zertifikat auf {device}", turns: []string{
		`[das Zertifikat auf {device} läuft am {date} ab. Ich würde es am {weekday} um {time} Uhr tauschen, der Dienst ist eine Minute weg.|die Überwachung erinnert an das Zertifikat auf {device}. Wieder derselbe Aussteller?]`,
		`[von uns aus in Ordnung.|bitte nicht am {weekday}, da ist Monatsabschluss. Einen Tag später passt.]`,
		`[dann einen Tag später.|erledigt, gilt ein Jahr.]`}},
	{subject: "Rückfrage zu Rechnung {ref}", tenant: true, money: true, turns: []string{
		`auf {ref} stehen [{num} Stunden für {project}|zwei Anfahrten nach {site}]. [Welche Tage waren das?|Wir wissen nur von einer.]`,
		`[der Stundennachweis ist Seite 2, es war das Wochenende des Umzugs.|Sie haben recht, eine gehört zu einem anderen Kunden. Es kommt eine Gutschrift über {amount}.]`,
		`[dann passt es, freigegeben.|danke, wir ziehen es ab.]`}},
	{subject: "Neue Kollegen zum {date}", tenant: true, turns: []string{
		`zum {date} fangen [drei Leute im Versand|zwei Auszubildende] an. Namen und Räume stehen im Formular.`,
		`[die Konten sind angelegt, die Geräte stehen bis {weekday} auf den Tischen.|einen Namen gibt es schon, darf ich eine Zahl anhängen?]`,
		`[super, danke.|nehmen Sie bitte den zweiten Vornamen.]`}},
	{subject: "Bericht {month}", file: "pdf-report", turns: []string{
		`anbei der Bericht für {month}. [Verfügbarkeit 99,9 %, {num} Tickets, zwei davon offen.|Keine Besonderheiten.]`,
		`[danke, sieht gut aus.|warum ist {device} auf Seite 2 rot?]`}},
}

// talksFR are ordinary conversations in French.
var talksFR = []talk{
	{subject: "Imprimante du deuxième étage", tenant: true, turns: []string{
		`[l'imprimante à côté de la cuisine signale un bourrage alors qu'il n'y en a pas|{device} n'imprime que des demi-pages]. Quelqu'un peut-il passer [cette semaine|à l'occasion] ?`,
		`[je le vois dans la supervision, le four est usé.|C'est le problème connu du rouleau.] [La pièce arrive {weekday}.|Le technicien du constructeur passe {weekday} matin.]`,
		`[parfait, merci de vous présenter à l'accueil.|{weekday} convient, il y a du monde dès huit heures.]`}},
	{subject: "Renouvellement {system}", turns: []string{
		`[la maintenance de {system} se termine fin {month}|vos licences {system} arrivent à échéance]. [Un an ou trois ans ?|Le tarif augmente de 6 % au prochain trimestre, je le ferais maintenant.]`,
		`[combien en utilisons-nous vraiment ?|pouvez-vous m'envoyer d'abord le décompte ?]`,
		`[{num} sur 120 étaient actifs ces 90 derniers jours, je descendrais à 100.|{num} utilisateurs nominatifs, dont 14 sont partis.]`,
		`[alors 100 sur trois ans. L'offre aux achats, s'il vous plaît.|d'accord pour un an.]`}},
	{subject: "{project} : prochaines étapes", turns: []string{
		`en résumé : [les commutateurs sont commandés, livraison semaine {num}|le pilote tourne, deux anomalies ouvertes] ; [le câblage est chez l'électricien|nous attendons les règles du pare-feu] ; prochain point {weekday}.`,
		`[merci. Chez nous {colleague2} prend la suite.|une correction : l'électricien est celui du propriétaire.]`,
		`[c'est noté, le planning est à jour.|entendu, je lui écris.]`}},
	{subject: "Lenteurs à {site}", tenant: true, turns: []string{
		`[les collègues de {site} se plaignent depuis {weekday} que les fichiers s'ouvrent lentement.|{site} est de nouveau lent, surtout le matin.]`,
		`[la ligne est saturée entre 8 et 9 h, une sauvegarde déborde.|je vois 3 % de pertes chez l'opérateur, incident {ref} ouvert.]`,
		`[peut-on la décaler ?|combien de temps leur faut-il en général ?]`,
		`[décalée à 22 h. Vous me direz demain ?|ils promettent 24 heures, je relance cet après-midi.]`}},
	{subject: "Compte rendu de {weekday}", turns: []string{
		`le compte rendu est [à l'endroit habituel|dans l'espace projet] : {known}. [Merci de compléter.|Les points ouverts sont en jaune.]`,
		`[le point 4 est pour nous.|rien à ajouter.]`,
		`[corrigé, merci.|en effet, c'est ajouté.]`}},
	{subject: "Restauration d'un dossier", tenant: true, turns: []string{
		`[quelqu'un a supprimé le dossier {project} du partage.|j'ai écrasé mon calcul, peut-on retrouver la version de {weekday} ?]`,
		`[restauré depuis la copie de cette nuit, merci de vérifier.|je l'ai mis à côté de l'actuel, avec la date dans le nom.]`,
		`[tout y est, merci beaucoup.|deux fichiers datent de la veille, mais cela ira.]`}},
	{subject: "Question sur la facture {ref}", tenant: true, money: true, turns: []string{
		`sur {ref} figurent [{num} heures pour {project}|deux déplacements à {site}]. [De quels jours s'agit-il ?|Nous n'en connaissons qu'un.]`,
		`[le détail est en page 2, c'était le week-end du déménagement.|vous avez raison, un avoir de {amount} suivra.]`,
		`[alors c'est bon, validé.|merci, nous le déduisons.]`}},
	{subject: "Rapport {month}", file: "pdf-report", turns: []string{
		`ci-joint le rapport de {month}. [Disponibilité 99,9 %, {num} tickets dont deux ouverts.|Rien de particulier.]`,
		`[merci, c'est clair.|pourquoi {device} est-il en rouge page 2 ?]`}},
}
