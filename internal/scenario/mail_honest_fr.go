package scenario

// honestFR are the honest counterparts in French.
var honestFR = []script{
	{kind: "maintenance-many", mass: true, host: hostNew, path: "/", subject: "Maintenance {weekday} à {time}", body: `[{weekday} à partir de {time} nous mettons à jour le stockage de {system}|la maintenance mensuelle aura lieu {weekday}]. De courtes interruptions sont possibles, vous n'avez rien à faire.

[Notre page d'état a changé d'adresse : {link}|L'avancement est affiché sur notre nouvelle page d'état : {link}]`},
	{kind: "awareness", mass: true, subject: "Exercice de sensibilisation à l'hameçonnage", body: `[comme convenu avec {owner} vous recevrez ces prochaines semaines quelques faux messages d'hameçonnage|avec {owner} nous menons un exercice de sensibilisation]. Les résultats restent anonymes. En cas de doute utilisez le bouton de signalement ; [ce message ne contient volontairement aucun lien|nous ne demandons jamais votre mot de passe].`},
	{kind: "bank-confirmed", from: "finance", file: "pdf-iban", subject: "Changement de banque, suite à l'échange avec {owner}", body: `[comme indiqué à {owner} par téléphone et dans notre courrier de la semaine dernière, nous changeons de banque au {date}|ce changement a été confirmé de vive voix avec {owner}]. La lettre signée est jointe. Merci de comparer avec le courrier postal et de nous appeler au numéro que vous connaissez en cas de doute.`},
	{kind: "share-new-host", host: hostNew, path: "/s/{tok}", subject: "[Plans|Photos|Mesures] {project}", body: `[notre serveur n'accepte pas des fichiers aussi lourds, j'ai donc pris un autre service|le fabricant met les fichiers à disposition sur son propre service] : {link}

[Sans connexion, le mot de passe suit par SMS.|Disponible jusqu'à {weekday}.]`},
	{kind: "encrypted-zip", reply: true, file: "zip-text", body: `[ci-joint, chiffré car il contient des noms|voici la liste dans une archive protégée]. [Mot de passe : {pw}|Le mot de passe suit par SMS.]`},
	{kind: "qr-event", host: hostNew, file: "qr", path: "/e/{tok}", subject: "Invitation : portes ouvertes chez {partner}", body: `nous serions heureux de vous accueillir le {date}. Le code ci-dessous mène à l'inscription et au plan d'accès[ ; une simple réponse suffit aussi|].`},
	{kind: "remote-session", host: hostTool, path: "/?Session={tok}", subject: "Session aujourd'hui à {time}", body: `[comme convenu par téléphone je me connecte à {device} à {time}. Votre invitation|voici le lien de notre session] : {link} [C'est la page habituelle, votre code est {num}.|]`},
	{kind: "travel", style: "away", reply: true, body: `[je suis en déplacement avec mon téléphone seulement, donc en bref : oui, allez-y.|dans le train, mauvaise réception. Faites comme proposé, la suite {weekday}.]`},
	{kind: "new-phone", subject: "Nouveau numéro", body: `mon numéro de portable change aujourd'hui : {ownphone}. Celui du bureau reste le même[, {colleague} peut vous le confirmer|].`},
	{kind: "new-colleague", style: "new", subject: "Présentation", body: `[j'ai rejoint {partner} ce mois-ci et je m'occupe de {system} avec {colleague}|{colleague} m'a demandé de me présenter : je suis désormais votre interlocuteur]. [Je passerai volontiers vous voir dans les prochaines semaines.|N'hésitez pas à m'envoyer les sujets en cours.]`},
	{kind: "out-of-office", style: "away", reply: true, body: `Je suis absent jusqu'au {date}. En cas d'urgence merci de contacter {colleague}.`},
	{kind: "password-talk", reply: true, body: `[le compte était bloqué à cause d'un ancien mot de passe sur le téléphone. Merci de le changer là aussi.|je l'ai réinitialisé, le mot de passe provisoire arrive par SMS.|merci de ne jamais envoyer de mot de passe par mail, j'ai supprimé le message.]`},
	{kind: "mfa-talk", reply: true, body: `[pour le nouveau téléphone il faut enregistrer l'application encore une fois, dans les paramètres de votre compte.|si une demande arrive sans action de votre part, refusez et appelez-nous.]`},
	{kind: "invoice-address", from: "finance", subject: "Changement d'adresse", body: `nous déménageons le {date}. Nouvelle adresse : {street}. Le téléphone, la banque et le numéro de TVA ne changent pas.`},
	{kind: "gift-genuine", subject: "Départ de {colleague}", body: `{colleague} part à la retraite à la fin du mois. [Vous êtes invité au pot de départ le {date} à {time}.|Nous préparons un cadeau commun, toute participation est bienvenue.]`},
	{kind: "meeting-genuine", file: "ics-link", host: hostPartner, path: "/meet/{tok}", subject: "Comité de suivi {client} {month}", body: `[invitation à notre point mensuel : tickets, changements, offres en cours|décalé d'un jour, même lien].`},
	{kind: "e-signature-genuine", host: hostNew, path: "/sign/{tok}", subject: "Contrat de maintenance {ref} à signer", body: `[comme convenu {weekday} le contrat part par notre nouveau service de signature|le renouvellement est prêt, {owner} préférait la voie électronique]. {link:Voir le contrat}`},
	{kind: "portal-genuine", from: "finance", host: hostNew, path: "/", subject: "Espace client à partir de {month}", body: `comme annoncé par courrier, l'espace client ouvre le {date} : {link}. Les identifiants sont envoyés par la poste à {owner}. [L'inscription est facultative.|]`},
	{kind: "urgent-genuine", subject: "Coupure de courant en salle serveur", body: `l'onduleur signale un fonctionnement sur batterie depuis {time}. Quelqu'un peut-il vérifier le disjoncteur ? Merci d'appeler l'astreinte.`},
	{kind: "see-attached", file: "pdf-report", style: "away", subject: "Bon de livraison", body: `[ci-joint.|voir pièce jointe.|en pièce jointe comme demandé.]`},
}
