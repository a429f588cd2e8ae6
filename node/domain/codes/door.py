"""Codes of what happened at the door: who sent a series, what was refused, how it ended."""

from node.domain.wording import row

_AGAIN = (
    "Send the series again; or compare with the PACS and release the synthetic CT if nothing is "
    "missing.",
    "Renvoyez la série ; ou comparez avec le PACS et libérez le scanner synthétique si rien ne "
    "manque.",
)

DOOR = {
    "IMAGES_REFUSED": row(
        "hold",
        en=(
            "Images were refused",
            "{count} [image|images] of this series [was|were] offered and not taken: {refusals}. "
            "{held} are "
            "here.",
            "Remove the cause, then send the series again.",
        ),
        fr=(
            "Des images ont été refusées",
            "{count} [image|images] de cette série [a été proposée et n'a pas été prise|ont été "
            "proposées et n'ont pas été prises] : "
            "{refusals}. {held} sont là.",
            "Supprimez la cause, puis renvoyez la série.",
        ),
        least="hold",
    ),
    "REFUSED_OTHER_PATIENT": row(
        "hold",
        en=(
            "Images were offered under another patient",
            "{count} [image|images] of this series [was|were] refused under PatientID {other}; "
            "what was taken says {patient}.",
            "Compare with the PACS whose images these are; release the synthetic CT only if it is "
            "the patient that was taken.",
        ),
        fr=(
            "Des images ont été proposées sous un autre patient",
            "{count} [image|images] de cette série [a été refusée|ont été refusées] sous le "
            "PatientID {other} ; ce qui a été pris indique {patient}.",
            "Vérifiez dans le PACS à qui sont ces images ; ne libérez le scanner synthétique que "
            "s'il s'agit du patient retenu.",
        ),
        least="hold",
    ),
    "SENDER_ABORTED": row(
        "hold",
        en=(
            "The sender broke off",
            "{count} [image|images] came. {sender} aborted its association at {at} and has not "
            "come "
            "back to end in order.",
            _AGAIN[0],
        ),
        fr=(
            "L'expéditeur a interrompu l'envoi",
            "{count} [image reçue|images reçues]. {sender} a interrompu son association à {at} "
            "et n'est pas "
            "revenu terminer normalement.",
            _AGAIN[1],
        ),
    ),
    "SENDER_LOST": row(
        "hold",
        en=(
            "The connection broke",
            "{count} [image|images] came. The connection with {sender} broke at {at} and it has "
            "not "
            "come back to end in order.",
            _AGAIN[0],
        ),
        fr=(
            "La connexion s'est rompue",
            "{count} [image reçue|images reçues]. La connexion avec {sender} s'est rompue à {at} "
            "et il "
            "n'est pas revenu terminer normalement.",
            _AGAIN[1],
        ),
    ),
    "SENDER_SILENT": row(
        "hold",
        en=(
            "The sender fell silent",
            "{count} [image|images] came. {sender} sent nothing more after {at}, did not end its "
            "association and has not come back.",
            _AGAIN[0],
        ),
        fr=(
            "L'expéditeur s'est tu",
            "{count} [image reçue|images reçues]. {sender} n'a plus rien envoyé après {at}, n'a "
            "pas terminé "
            "son association et n'est pas revenu.",
            _AGAIN[1],
        ),
    ),
    "SENDER_CUT_OFF": row(
        "hold",
        en=(
            "The node cut the sender off",
            "{count} [image|images] came. The node was stopped, or ended the association with "
            "{sender}, "
            "at {at} before that had ended it; it has not come back.",
            _AGAIN[0],
        ),
        fr=(
            "Le nœud a coupé l'expéditeur",
            "{count} [image reçue|images reçues]. Le nœud s'est arrêté, ou a mis fin à "
            "l'association avec "
            "{sender}, à {at} avant que celui-ci ne la termine ; il n'est pas revenu.",
            _AGAIN[1],
        ),
    ),
    "SENDER_OPEN": row(
        "hold",
        en=(
            "The sender has not ended",
            "{count} [image|images] came, the last at {at}; the association with {sender} is "
            "still open "
            "and it may have more.",
            "Ask at the sender whether it is still sending; then run the series again.",
        ),
        fr=(
            "L'expéditeur n'a pas terminé",
            "{count} [image reçue|images reçues], la dernière à {at} ; l'association avec "
            "{sender} est "
            "encore ouverte et il en a peut-être d'autres.",
            "Vérifiez chez l'expéditeur si l'envoi continue ; puis relancez la série.",
        ),
    ),
    "SENDERS_DIFFER": row(
        "warning",
        en=(
            "Senders with different rules",
            "Several systems sent this series and the routes differ: {senders}. The strictest "
            "word counts.",
            "Have one system send the series, under one AE title; or give its senders one route.",
        ),
        fr=(
            "Des expéditeurs sous des règles différentes",
            "Plusieurs systèmes ont envoyé cette série et les règles diffèrent : {senders}. La "
            "plus stricte l'emporte.",
            "Faites envoyer la série par un seul système, sous un seul titre AE ; ou donnez une "
            "seule règle à ses expéditeurs.",
        ),
    ),
    "SENDER_STRAY": row(
        "warning",
        en=(
            "A sender without a route",
            "Images of this series also came from {senders}, for which there is no route; route "
            "{route} counts.",
            "Find out why that system sends parts of the series.",
        ),
        fr=(
            "Un expéditeur sans règle",
            "Des images de cette série sont aussi venues de {senders}, pour qui il n'y a pas de "
            "règle ; la règle {route} s'applique.",
            "Cherchez pourquoi ce système envoie des parties de la série.",
        ),
    ),
}

REFUSALS = {
    "NOT_STORED": ("no room or no database just then", "plus de place ou base indisponible"),
    "CUT_OFF": ("cut off half-way", "coupée en chemin"),
}
"""Why an image was not taken, where that was not the image's own fault: English and French."""
