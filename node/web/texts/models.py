"""Texts of the models page."""

MODELS: dict[str, tuple[str, str]] = {
    "models.title": ("Models", "Modèles"),
    "models.none": (
        "There is no model in the models folder.",
        "Le dossier des modèles ne contient aucun modèle.",
    ),
    "models.name": ("Model", "Modèle"),
    "models.for": ("Made for", "Prévu pour"),
    "models.last_check": ("Last verified", "Dernière vérification"),
    "models.signed_off": ("Signed off for", "Validé pour"),
    "models.research_only": ("nothing yet: all is RESEARCH", "rien encore : tout est RESEARCH"),
    "models.never": ("never", "jamais"),
    "models.right": ("right", "conforme"),
    "models.wrong": ("wrong", "non conforme"),
    "models.card": ("Card", "Fiche"),
    "models.card.text": ("Whole card", "Fiche complète"),
    "models.sequences": ("Sequences", "Séquences"),
    "models.field": ("Field strength", "Champ magnétique"),
    "models.slices": ("Slices up to", "Coupes jusqu’à"),
    "models.contrast": ("Contrast agent", "Produit de contraste"),
    "models.yes": ("yes", "oui"),
    "models.no": ("no", "non"),
    "models.spacing": ("Works at", "Résolution de calcul"),
    "models.training": ("Trained on", "Entraîné sur"),
    "models.licence": ("Licence", "Licence"),
    "models.hash": ("SHA-256", "SHA-256"),
    "models.metrics": ("Measured at export", "Mesuré à l’export"),
    "models.checks": ("Verification", "Vérification"),
    "models.checks.lead": (
        "A worker compares the file with its hash and lets it answer a case computed by code.",
        "Un calculateur compare le fichier à son empreinte et lui fait traiter un cas calculé.",
    ),
    "models.do_verify": ("Verify {name}", "Vérifier {name}"),
    "models.provider": ("on {provider}", "sur {provider}"),
    "models.by": ("by {who}", "par {who}"),
    "models.population": ("Population", "Population"),
    "models.population.about.one": (
        "{n} synthetic CT made here",
        "{n} scanner synthétique fait ici",
    ),
    "models.population.about.many": (
        "{n} synthetic CTs made here",
        "{n} scanners synthétiques faits ici",
    ),
    "models.figure": ("Figure", "Grandeur"),
    "models.limits": ("Limits of the model", "Limites du modèle"),
    "models.median": ("Median here", "Médiane ici"),
    "models.range": ("5 % to 95 %", "De 5 % à 95 %"),
    "models.outside": ("Outside", "Hors limites"),
    "models.figure.body_ml": ("Body, ml", "Corps, ml"),
    "models.figure.brain_share": ("0 to 80 HU, % of the body", "0 à 80 UH, % du corps"),
    "models.figure.bone_share": ("Above 250 HU, % of the body", "Plus de 250 UH, % du corps"),
    "models.figure.air_share": ("Below −400 HU, % of the body", "Moins de −400 UH, % du corps"),
    "models.figure.uncertain_p95_hu": (
        "Uncertainty, 95th percentile, HU",
        "Incertitude, 95e centile, UH",
    ),
    "models.drift": ("Drift", "Dérive"),
    "models.drift.about": (
        "each synthetic CT, dashed: limits of the model",
        "chaque scanner synthétique, tirets : limites du modèle",
    ),
    "models.drift.none": (
        "Drift is drawn from the second synthetic CT on.",
        "La dérive se trace à partir du deuxième scanner synthétique.",
    ),
    "models.sign_offs": ("Sign-offs", "Validations"),
    "models.sign_offs.lead": (
        "A synthetic CT says RESEARCH in its series description unless the model is signed off for "
        "the scanner and protocol of its MR. A sign-off counts for what is run from then on.",
        "Un scanner synthétique porte RESEARCH dans sa description de série tant que le modèle "
        "n’est pas validé pour l’IRM et le protocole d’origine. Une validation compte pour les "
        "calculs qui suivent.",
    ),
    "models.manufacturer": ("Manufacturer", "Fabricant"),
    "models.scanner": ("Scanner model", "Modèle d’IRM"),
    "models.protocol": ("Protocol, * for anything", "Protocole, * pour tout"),
    "models.note": ("Grounds: tests, report, date", "Justification : essais, rapport, date"),
    "models.series.one": ("{n} series", "{n} série"),
    "models.series.many": ("{n} series", "{n} séries"),
    "models.seen": ("Seen so far", "Déjà vus"),
    "models.seen.covered": ("signed off", "validé"),
    "models.seen.open": ("RESEARCH", "RESEARCH"),
    "models.do_open": ("Sign off for a scanner", "Valider pour une IRM"),
    "models.do_sign": ("Sign the model off", "Valider le modèle"),
    "models.do_revoke": ("Revoke sign-off {n}", "Révoquer la validation {n}"),
    "models.revoke": ("Revoke", "Révoquer"),
    "models.revoke.what": (
        "What is on its way under it stops and waits for review. What has left stays where it is; "
        "withdraw it there if it must not be used.",
        "Ce qui est en route sous cette validation s’arrête et attend une relecture. Ce qui est "
        "parti y reste ; retirez-le si l’on ne doit plus s’en servir.",
    ),
    "models.since": ("since {at}, by {who}", "depuis {at}, par {who}"),
    "models.ended": ("revoked {at}, by {who}", "révoquée {at}, par {who}"),
    "models.trouble": ("Nothing was changed", "Rien n’a été modifié"),
    "models.why.SCOPE": (
        "A sign-off names manufacturer, scanner and protocol.",
        "Une validation nomme fabricant, IRM et protocole.",
    ),
    "models.do.SCOPE": (
        "Write at least one letter or digit in each, 64 characters at most.",
        "Écrivez au moins une lettre ou un chiffre dans chacun, 64 caractères au plus.",
    ),
    "models.why.SIGNED_OFF": (
        "The model is signed off for exactly that already.",
        "Le modèle est déjà validé exactement pour cela.",
    ),
    "models.do.SIGNED_OFF": (
        "Choose another scanner or protocol.",
        "Choisissez une autre IRM ou un autre protocole.",
    ),
    "models.why.UNKNOWN": (
        "There is no such sign-off, or it was revoked already.",
        "Cette validation n’existe pas ou a déjà été révoquée.",
    ),
    "models.do.UNKNOWN": ("Look at the list again.", "Regardez de nouveau la liste."),
    "models.why.Retryable": (
        "No worker answered in time.",
        "Aucun calculateur n’a répondu à temps.",
    ),
    "models.do.Retryable": (
        "See on the page System whether a worker runs, then verify again.",
        "Voyez sur la page Système si un calculateur tourne, puis vérifiez de nouveau.",
    ),
}
