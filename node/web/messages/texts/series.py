"""Texts of the page of one series."""

SERIES: dict[str, tuple[str, str]] = {
    "series.from": ("{n} images from {who} at {at}", "{n} images de {who} à {at}"),
    "series.no_images": (
        "No image of this series can be shown.",
        "Aucune image de cette série ne peut être affichée.",
    ),
    "series.do.rerun": ("Re-run", "Relancer"),
    "series.do.aside": ("Set aside", "Classer"),
    "series.do.resend": ("Re-send", "Renvoyer"),
    "series.do.hold": ("Hold", "Retenir"),
    "series.do.resume": ("Resume", "Reprendre"),
    "series.prev": ("Series above in the queue", "Série au-dessus dans la file"),
    "series.next": ("Series below in the queue", "Série au-dessous dans la file"),
    "series.echo": ("Test {name} with C-ECHO", "Tester {name} par C-ECHO"),
    "series.echo.last": ("{name}: {at}, {how}", "{name} : {at}, {how}"),
    "viewer.keys.series": ("next and previous series", "série suivante et précédente"),
    "series.do.withdraw": ("Withdraw", "Retirer"),
    "series.side": ("Findings and history", "Constats et historique"),
    "series.checks": ("Checks", "Contrôles"),
    "series.checks.count": ("{read} to read, {passed} passed", "{read} à lire, {passed} réussis"),
    "series.checks.passed": ("{n} checks passed", "{n} contrôles réussis"),
    "series.checks.none_found": (
        "None of these was found:",
        "Rien de tout cela n’a été constaté :",
    ),
    "series.show": ("Show", "Montrer"),
    "series.show_what": ("Show: {title}", "Montrer : {title}"),
    "series.read": ("Read and acceptable", "Lu et acceptable"),
    "series.histogram": ("HU distribution", "Distribution des UH"),
    "series.histogram.about": ("sCT inside the body", "sCT dans le corps"),
    "series.histogram.population": ("sCT, band: {n} cases", "sCT, bande : {n} cas"),
    "series.uncertainty": ("Uncertainty by slice", "Incertitude par coupe"),
    "series.uncertainty.about": ("95th percentile, HU", "95e centile, UH"),
    "series.area": ("Body area by slice", "Surface du corps par coupe"),
    "series.area.about": ("MR against sCT, cm²", "IRM et sCT, cm²"),
    "series.plot.keys": (
        "Click a plot to go to that slice.",
        "Cliquez sur une courbe pour aller à la coupe.",
    ),
    "series.timeline": ("Timeline", "Chronologie"),
    "series.deliveries": ("Deliveries", "Envois"),
    "series.places": ("It may also be at {names}.", "Il est peut-être aussi chez {names}."),
    "series.deliveries.none": ("Nothing has been sent.", "Rien n’a été envoyé."),
    "series.deliveries.attempts.one": ("{n} attempt", "{n} tentative"),
    "series.deliveries.attempts.many": ("{n} attempts", "{n} tentatives"),
    "series.deliveries.next": ("next try at {at}", "prochain essai à {at}"),
    "series.deliveries.statuses": (
        "{stored} of {total} instances stored",
        "{stored} instances enregistrées sur {total}",
    ),
    "series.provenance": ("Provenance", "Provenance"),
    "series.provenance.source": ("MR series", "Série IRM"),
    "series.provenance.study": ("Study", "Examen"),
    "series.provenance.sct": ("Synthetic CT series", "Série du scanner synthétique"),
    "series.earlier.title": (
        "An earlier synthetic CT has left",
        "Une version antérieure est partie",
    ),
    "series.earlier": (
        "Attempt {attempt} of revision {revision} is at {names}.",
        "La tentative {attempt} de la révision {revision} est chez {names}.",
    ),
    "series.earlier.do": (
        "Make sure that nobody plans on it; withdraw it where it must not be used.",
        "Assurez-vous que personne ne planifie dessus ; retirez-la si elle ne doit pas servir.",
    ),
    "series.provenance.predecessor": ("Replaces", "Remplace"),
    "series.provenance.model": ("Model", "Modèle"),
    "series.provenance.hash": ("Model hash (SHA-256)", "Empreinte du modèle (SHA-256)"),
    "series.provenance.route": ("Route", "Règle"),
    "series.provenance.software": ("Node version", "Version du nœud"),
    "series.provenance.grid": ("Grid", "Grille"),
    "series.provenance.grid.value": (
        "{slices} slices of {rows} × {columns}, {step} mm",
        "{slices} coupes de {rows} × {columns}, {step} mm",
    ),
    "series.provenance.settings": ("Settings", "Réglages"),
    "series.provenance.attempt": ("Attempt", "Tentative"),
    "series.provenance.attempt.value": (
        "{attempt} of revision {revision}",
        "{attempt} de la révision {revision}",
    ),
    "series.release.auto": ("released unless held", "libérée sauf blocage"),
    "series.release.checks-passed": (
        "released when all checks pass",
        "libérée si tous les contrôles passent",
    ),
    "series.release.signature": ("after a signature", "après signature"),
    "timeline.collect": ("Read", "Lecture"),
    "timeline.check": ("Check", "Contrôle"),
    "timeline.plan": ("Plan", "Préparation"),
    "timeline.synthesise": ("Infer", "Calcul"),
    "timeline.encode": ("Encode", "Encodage"),
    "timeline.release": ("Release", "Libération"),
    "timeline.retry": ("Re-run", "Relance"),
    "timeline.aside": ("Set aside", "Classement"),
    "timeline.reject": ("Reject", "Rejet"),
    "timeline.resend": ("Re-send", "Renvoi"),
    "timeline.resume": ("Resume", "Reprise"),
    "timeline.hold": ("Hold", "Attente"),
    "timeline.sign": ("Sign", "Signature"),
    "timeline.send": ("Send", "Envoi"),
    "timeline.withdraw": ("Withdraw", "Retrait"),
    "timeline.withdrawal": ("Withdrawal", "Retrait"),
    "timeline.conflict": ("Set aside", "Mise à part"),
    "timeline.correction": ("Correction", "Correction"),
    "timeline.adopt": ("Adopt", "Adoption"),
    "timeline.dismiss": ("Dismiss", "Mise à l’écart"),
    # -- corrections -------------------------------------------------------------------------
    "correction.title": (
        "These images came again, corrected",
        "Ces images sont revenues corrigées",
    ),
    "correction.what": (
        "{count} of {of} images came again from {who} under the same UIDs and say something else. "
        "Nothing of this series leaves until somebody decides.",
        "{count} images sur {of} sont revenues de {who} sous les mêmes UID et disent autre chose. "
        "Rien de cette série ne part tant que personne ne décide.",
    ),
    "correction.attribute": ("Attribute", "Attribut"),
    "correction.held": ("Held here", "Détenu ici"),
    "correction.came": ("Came again as", "Revenu avec"),
    "correction.images": ("Images", "Images"),
    "correction.pixels": ("other content", "autre contenu"),
    "correction.more": ("and {n} more", "et {n} de plus"),
    "correction.partial": (
        "Images are missing from the correction: it can be adopted once all of them say the same.",
        "Il manque des images à la correction : adoption possible quand toutes diront de même.",
    ),
    "correction.series": ("Series {n} in the queue", "Série {n} dans la file"),
    "correction.adopt": ("Adopt the correction", "Adopter la correction"),
    "correction.dismiss": ("Dismiss it", "L’écarter"),
    "correction.adopt.what": (
        "The corrected images take the place of those held here, every synthetic CT that has left "
        "is withdrawn by a Key Object, and a new one is made that names it as its predecessor.",
        "Les images corrigées remplacent celles détenues ici, tout scanner synthétique déjà parti "
        "est retiré par un objet clé, et un nouveau est fait, qui le nomme comme prédécesseur.",
    ),
    "correction.dismiss.what": (
        "The images stay as they are; the corrected ones stay aside. What had been released needs "
        "a new approval.",
        "Les images restent telles quelles ; les corrigées restent à part. Ce qui était libéré "
        "demande une nouvelle validation.",
    ),
    "correction.adopted": (
        "Adopted by {who} at {at}: {n} images.",
        "Adoptée par {who} à {at} : {n} images.",
    ),
    "correction.dismissed": (
        "Dismissed by {who} at {at}: {n} images.",
        "Écartée par {who} à {at} : {n} images.",
    ),
    "correction.earlier": ("Corrections decided", "Corrections décidées"),
    "decide.correction": (
        "A correction waits: decide on it first.",
        "Une correction attend : décidez-en d’abord.",
    ),
    "decide.why.CORRECTION": (
        "A correction of this series waits for a decision.",
        "Une correction de cette série attend une décision.",
    ),
    "decide.do.CORRECTION": (
        "Adopt it or dismiss it first.",
        "Adoptez-la ou écartez-la d’abord.",
    ),
    "decide.why.UNREADABLE": (
        "The images that came again cannot be read.",
        "Les images revenues sont illisibles.",
    ),
    "decide.do.UNREADABLE": (
        "Have the series sent again from the PACS, or dismiss the correction.",
        "Faites renvoyer la série depuis le PACS, ou écartez la correction.",
    ),
    "trouble.corrects.title": (
        "This series corrects another one",
        "Cette série en corrige une autre",
    ),
    "trouble.corrects.safe": (
        "Its images are those of series {n}, corrected. They are stored; nothing is lost.",
        "Ses images sont celles de la série {n}, corrigées. Elles sont conservées ; rien n’est "
        "perdu.",
    ),
    "trouble.corrects.do": (
        "Open series {n} and adopt the correction, or dismiss it.",
        "Ouvrez la série {n} et adoptez la correction, ou écartez-la.",
    ),
    "timeline.removed": ("Removed", "Suppression"),
    "timeline.delivery": ("Delivery", "Envoi"),
    # -- viewer ------------------------------------------------------------------------------
    "viewer.label": ("Images", "Images"),
    "viewer.modes": ("What is shown", "Ce qui est affiché"),
    "viewer.mode.mr": ("MR", "IRM"),
    "viewer.mode.sct": ("sCT", "sCT"),
    "viewer.mode.blend": ("Blend", "Fusion"),
    "viewer.mode.split": ("Split", "Volet"),
    "viewer.mode.tiles": ("Tiles", "Damier"),
    "viewer.mode.uncertainty": ("Uncertainty", "Incertitude"),
    "viewer.blend": ("Share of the sCT in the blend", "Part du sCT dans la fusion"),
    "viewer.windows": ("Window", "Fenêtre"),
    "viewer.window.soft": ("Soft", "Mou"),
    "viewer.window.brain": ("Brain", "Cerveau"),
    "viewer.window.bone": ("Bone", "Os"),
    "viewer.window.lung": ("Lung", "Poumon"),
    "viewer.window.full": ("Full", "Tout"),
    "viewer.level": ("Level", "Niveau"),
    "viewer.width": ("Width", "Largeur"),
    "viewer.cross": ("Crosshair", "Réticule"),
    "viewer.planes": ("Plane", "Plan"),
    "viewer.plane.axial": ("Axial", "Axial"),
    "viewer.plane.coronal": ("Coronal", "Coronal"),
    "viewer.plane.sagittal": ("Sagittal", "Sagittal"),
    "viewer.plane.label": ("{plane} plane", "Plan {plane}"),
    "viewer.slice": ("Slice", "Coupe"),
    "viewer.position": ("Position", "Position"),
    "viewer.uncertainty": ("Uncertainty", "Incertitude"),
    "viewer.legend": ("Uncertainty, HU", "Incertitude, UH"),
    "viewer.loading": ("Loading the images.", "Chargement des images."),
    "viewer.failed": (
        "The images cannot be loaded. Approval is blocked until they can.",
        "Les images ne se chargent pas. La validation est bloquée tant que c’est le cas.",
    ),
    "viewer.failed.only": ("The images cannot be loaded.", "Les images ne se chargent pas."),
    "viewer.hint": (
        "Wheel scrolls, left drag moves the crosshair, right drag sets window and level.",
        "La molette défile, le bouton gauche déplace le réticule, le droit règle la fenêtre.",
    ),
    "viewer.keys": ("Keys", "Touches"),
    "viewer.keys.title": ("Keys of the viewer", "Touches de l’afficheur"),
    "viewer.keys.modes": (
        "MR, sCT, blend, split, tiles, uncertainty",
        "IRM, sCT, fusion, volet, damier, incertitude",
    ),
    "viewer.keys.flick": ("flick between MR and sCT", "basculer entre IRM et sCT"),
    "viewer.keys.windows": ("windows, soft to full", "fenêtres, de mou à tout"),
    "viewer.keys.cross": ("crosshair on or off", "réticule affiché ou non"),
    "viewer.keys.move": ("move the crosshair on the plane", "déplacer le réticule sur le plan"),
    "viewer.keys.slices": (
        "next or previous slice, with Shift five",
        "coupe suivante ou précédente, cinq avec Maj",
    ),
    "viewer.keys.zoom": ("larger, smaller, whole", "agrandir, réduire, entier"),
    "viewer.alt": ("{kind}, {plane}", "{kind}, {plane}"),
    # -- decision ----------------------------------------------------------------------------
    "decide.label": ("Decision", "Décision"),
    "decide.to": ("{n} images to {names}", "{n} images vers {names}"),
    "decide.to_nobody": ("{n} images, no destination", "{n} images, aucune destination"),
    "decide.marked": (
        "Marked as derived and synthetic. Signed with your name.",
        "Marquées comme dérivées et synthétiques. Signées de votre nom.",
    ),
    "decide.research": (
        "Marked RESEARCH: the model is not signed off for this scanner and protocol.",
        "Marquées RESEARCH : le modèle n’est pas validé pour cette IRM et ce protocole.",
    ),
    "series.provenance.sign_off": ("Sign-off", "Validation"),
    "series.provenance.sign_off.value": ("number {n}", "numéro {n}"),
    "series.provenance.research": ("none: RESEARCH", "aucune : RESEARCH"),
    "decide.read_first.one": ("Read {n} warning first", "Lisez d’abord {n} avertissement"),
    "decide.read_first.many": ("Read {n} warnings first", "Lisez d’abord {n} avertissements"),
    "decide.comment": ("Comment, required to reject", "Commentaire, obligatoire pour rejeter"),
    "decide.reject": ("Reject", "Rejeter"),
    "decide.approve": ("Approve and send", "Valider et envoyer"),
    "decide.sign.title": ("Send to {names}", "Envoyer à {names}"),
    "decide.sign.what": (
        "{n} synthetic CT images of {name}, {pid}. {warnings} This cannot be recalled from the "
        "planning system.",
        "{n} images de scanner synthétique de {name}, {pid}. {warnings} Une fois dans le TPS, "
        "elles ne peuvent plus être rappelées.",
    ),
    "decide.sign.warnings.one": (
        "{n} warning accepted by {who}.",
        "{n} avertissement accepté par {who}.",
    ),
    "decide.sign.warnings.many": (
        "{n} warnings accepted by {who}.",
        "{n} avertissements acceptés par {who}.",
    ),
    "decide.sign.none": ("All checks passed.", "Tous les contrôles sont réussis."),
    "decide.sign.password": ("Your password, to sign", "Votre mot de passe, pour signer"),
    "decide.sign.do": ("Sign and send", "Signer et envoyer"),
    "decide.you": ("you", "vous"),
    "decide.rerun.title": ("Run this series again", "Relancer cette série"),
    "decide.rerun.what": (
        "A new attempt begins with the route as it stands now. This synthetic CT stays in the "
        "history and the new one names it as its predecessor.",
        "Une nouvelle tentative commence avec la règle actuelle. Ce scanner synthétique reste dans "
        "l’historique ; le nouveau le nomme comme prédécesseur.",
    ),
    "decide.rerun.do": ("Begin a new attempt", "Commencer une nouvelle tentative"),
    "decide.resend.title": ("Send again", "Renvoyer"),
    "decide.resend.what": (
        "The same {n} images go again to the destination, with the same UIDs.",
        "Les mêmes {n} images repartent vers la destination, avec les mêmes UID.",
    ),
    "decide.resend.to": ("Destination", "Destination"),
    "decide.resend.all": ("All destinations", "Toutes les destinations"),
    "decide.resend.do": ("Send again now", "Renvoyer maintenant"),
    "decide.refused.title": ("This was not done", "Cela n’a pas été fait"),
    "decide.refused.safe": (
        "The series stands as it stood. Nothing has left.",
        "La série est restée en l’état. Rien n’est parti.",
    ),
    "decide.refused.back": ("Back to the series", "Retour à la série"),
    "decide.why.WARNINGS": (
        "Not every warning of this synthetic CT was ticked.",
        "Tous les avertissements de ce scanner synthétique n’ont pas été cochés.",
    ),
    "decide.do.WARNINGS": (
        "Read each warning, tick it, and approve again.",
        "Lisez chaque avertissement, cochez-le et validez de nouveau.",
    ),
    "decide.why.SIGN_OFF": (
        "The sign-off of the model this synthetic CT was made under was revoked.",
        "La validation du modèle sous laquelle ce scanner synthétique a été fait est révoquée.",
    ),
    "decide.do.SIGN_OFF": (
        "Run the series again: the new one says RESEARCH, or sign the model off anew first.",
        "Relancez la série : le nouveau porte RESEARCH, ou validez d’abord de nouveau le modèle.",
    ),
    "decide.why.CHANGED": (
        "The synthetic CT is not the one you looked at any more.",
        "Le scanner synthétique n’est plus celui que vous avez regardé.",
    ),
    "decide.do.CHANGED": (
        "Look at it again and sign what is there now.",
        "Regardez-le de nouveau et signez ce qui s’y trouve.",
    ),
    "decide.why.STATE": (
        "The series has moved on since you opened the page.",
        "La série a avancé depuis l’ouverture de la page.",
    ),
    "decide.do.STATE": ("Look at the series again.", "Regardez de nouveau la série."),
    "decide.why.LOG_IN": ("The password is not right.", "Le mot de passe est inexact."),
    "decide.do.LOG_IN": ("Type it again.", "Saisissez-le de nouveau."),
    "decide.why.PROVE": (
        "A signature needs a fresh proof of who you are.",
        "Une signature demande une preuve récente de votre identité.",
    ),
    "decide.do.PROVE": (
        "Give your password, or log in again at the identity provider and sign within five "
        "minutes.",
        "Donnez votre mot de passe, ou reconnectez-vous chez le fournisseur d’identité et signez "
        "dans les cinq minutes.",
    ),
    "decide.why.TooMany": (
        "There were too many wrong passwords.",
        "Trop de mots de passe inexacts.",
    ),
    "decide.do.TooMany": ("Try again in a quarter of an hour.", "Réessayez dans un quart d’heure."),
    "decide.why.REASON": ("There is no reason given.", "Aucun motif n’est donné."),
    "decide.do.REASON": ("Say why in one sentence.", "Dites pourquoi en une phrase."),
    "decide.why.DESTINATION": (
        "This synthetic CT has no delivery to that destination.",
        "Ce scanner synthétique n’a pas d’envoi vers cette destination.",
    ),
    "decide.do.DESTINATION": ("Choose another destination.", "Choisissez une autre destination."),
    "decide.sign.fresh": (
        "Your log-in at the identity provider counts as the proof, for five minutes.",
        "Votre connexion chez le fournisseur d’identité vaut preuve, pendant cinq minutes.",
    ),
    "decide.physicist": (
        "A physicist approves or rejects.",
        "Un physicien valide ou rejette.",
    ),
    "decide.rerun.model": ("Model", "Modèle"),
    "decide.rerun.route": ("As the route says", "Selon la règle"),
    "decide.resend.others": ("Other systems", "Autres systèmes"),
    "decide.reason": ("Reason", "Motif"),
    "decide.aside.title": ("Set this series aside", "Classer cette série"),
    "decide.aside.what": (
        "Nothing is made of it, and it no longer stands among what needs somebody. It may be run "
        "again later; new images begin it anew.",
        "Rien n’en est fait, et elle ne figure plus parmi ce qui attend quelqu’un. Elle peut être "
        "relancée plus tard ; de nouvelles images la font reprendre.",
    ),
    "decide.aside.do": ("Set it aside", "La classer"),
    "decide.hold.title": ("Hold this series", "Retenir cette série"),
    "decide.hold.what": (
        "Nothing more leaves until a person approves it. What has arrived at a destination stays "
        "there.",
        "Rien de plus ne part tant que personne ne valide. Ce qui est déjà arrivé y reste.",
    ),
    "decide.hold.do": ("Hold it", "La retenir"),
    "decide.withdraw.title": ("Withdraw this synthetic CT", "Retirer ce scanner synthétique"),
    "decide.withdraw.what": (
        "A Key Object goes to every destination that has it and says that it must not be used. The "
        "images there are not deleted.",
        "Un objet clé part vers chaque destination qui le possède et dit qu’il ne doit plus "
        "servir. Les images n’y sont pas effacées.",
    ),
    "decide.withdraw.concept": ("Why it is withdrawn", "Raison du retrait"),
    "decide.withdraw.quality": ("Quality", "Qualité"),
    "decide.withdraw.safety": ("Patient safety", "Sécurité du patient"),
    "decide.withdraw.do": ("Withdraw it", "Le retirer"),
    # -- trouble in four parts ---------------------------------------------------------------
    "trouble.refused.safe": (
        "No synthetic CT was made. The MR series is stored; nothing is lost.",
        "Aucun scanner synthétique n’a été fait. La série IRM est conservée ; rien n’est perdu.",
    ),
    "trouble.refused.then": (
        "Then run this series again, or send the corrected one.",
        "Relancez ensuite cette série, ou envoyez la série corrigée.",
    ),
    "trouble.delivery.title": (
        "{names} did not take the synthetic CT",
        "Scanner synthétique non accepté par {names}",
    ),
    "trouble.delivery.safe": (
        "The synthetic CT is ready and approved, but it has not reached the planning system. "
        "Nothing is lost.",
        "Le scanner synthétique est prêt et validé, mais il n’est pas arrivé dans le TPS. Rien "
        "n’est perdu.",
    ),
    "trouble.delivery.check": (
        "Compare address and AE title of {names} with what is set there.",
        "Comparez l’adresse et le titre AE de {names} avec ce qui y est réglé.",
    ),
    "trouble.delivery.echo": (
        "Correct them and test with C-ECHO.",
        "Corrigez-les et testez par C-ECHO.",
    ),
    "trouble.delivery.again": ("Send again.", "Renvoyez."),
    "trouble.defect.title": ("The series stopped at {step}", "La série s’est arrêtée : {step}"),
    "trouble.defect.safe": (
        "No synthetic CT has left. The MR series is stored; nothing is lost.",
        "Aucun scanner synthétique n’est parti. La série IRM est conservée ; rien n’est perdu.",
    ),
    "trouble.defect.again": ("Run the series again.", "Relancez la série."),
    "trouble.defect.log": (
        "If it stops again, look into the log of the worker at {at}.",
        "Si elle s’arrête encore, consultez le journal du calculateur à {at}.",
    ),
    "trouble.kept.title": ("No route asks for this series", "Aucune règle ne demande cette série"),
    "trouble.kept.safe": (
        "It is stored and can be queried. Nothing else was done with it.",
        "Elle est conservée et consultable. Rien d’autre n’en a été fait.",
    ),
    "trouble.kept.do": (
        "Add or correct a route, then run the series again.",
        "Ajoutez ou corrigez une règle, puis relancez la série.",
    ),
}
