"""Codes of what travels with a synthetic CT: contours, uncertainty map, report."""

from node.domain.wording import row

COMPANIONS = {
    "COMPANION_NOT_MADE": row(
        "warning",
        en=(
            "Companion missing",
            "The synthetic CT goes without its {companion}: {reason}.",
            "Use the CT as it is, or outline and measure by hand; report it if it happens again.",
        ),
        fr=(
            "Objet joint manquant",
            "Le scanner synthétique part sans son objet joint ({companion}) : {reason}.",
            "Utilisez le scanner tel quel, ou contourez et mesurez à la main ; signalez-le si cela "
            "se répète.",
        ),
    ),
    "CONTOUR_LEFT_OUT": row(
        "warning",
        en=(
            "Contour left out",
            "The structure set has no {structure}: nothing in the synthetic CT has {definition}.",
            "Look at the synthetic CT; outline by hand what is missing.",
        ),
        fr=(
            "Contour omis",
            "L'ensemble de structures n'a pas de {structure} : rien dans le scanner synthétique "
            "ne répond à {definition}.",
            "Regardez le scanner synthétique ; contourez à la main ce qui manque.",
        ),
    ),
}
