"""Codes of values that an sCT takes over from its MR and that are not as they should be."""

from node.domain.wording import row

_IN_THE_PACS = (
    "Correct the value in the PACS and send the series again.",
    "Corrigez la valeur dans le PACS et renvoyez la série.",
)
_AT_THE_SOURCE = (
    "Have the sender write it as the standard asks (PS3.5 6.2).",
    "Faites-la écrire par l'expéditeur comme la norme le demande (PS3.5 6.2).",
)

VALUES = {
    "VALUE_INVALID": row(
        "refuse",
        en=(
            "Patient data that cannot be written",
            "By these values a planning system files, and they are not valid: {values}.",
            _IN_THE_PACS[0],
        ),
        fr=(
            "Données du patient impossibles à écrire",
            "Un système de planification classe d'après ces valeurs, et elles ne sont pas "
            "valides : {values}.",
            _IN_THE_PACS[1],
        ),
    ),
    "VALUE_EMPTIED": row(
        "warning",
        en=(
            "A value was emptied",
            "Not valid, and empty in the synthetic CT: {values}.",
            "Compare patient and study in the planning system; correct the value in the PACS.",
        ),
        fr=(
            "Une valeur a été vidée",
            "Non valides, et vides dans le scanner synthétique : {values}.",
            "Comparez patient et examen dans le système de planification ; corrigez la valeur "
            "dans le PACS.",
        ),
    ),
    "VALUE_LEFT_OUT": row(
        "info",
        en=(
            "A value was left out",
            "Not valid, and left out of the synthetic CT: {values}.",
            _AT_THE_SOURCE[0],
        ),
        fr=(
            "Une valeur a été omise",
            "Non valides, et absentes du scanner synthétique : {values}.",
            _AT_THE_SOURCE[1],
        ),
    ),
    "VALUE_READ": row(
        "info",
        en=(
            "A value in another form",
            "Written in another form with one meaning, and read so: {values}.",
            _AT_THE_SOURCE[0],
        ),
        fr=(
            "Une valeur sous une autre forme",
            "Écrites sous une autre forme qui n'a qu'un sens, et lues ainsi : {values}.",
            _AT_THE_SOURCE[1],
        ),
    ),
    "CHARACTER_SET_READ": row(
        "warning",
        en=(
            "Character set misspelt",
            "SpecificCharacterSet is {value}, which the standard does not define; it was read as "
            "{written}.",
            "Compare the patient's name with the PACS; have the sender spell the character set as "
            "the standard does.",
        ),
        fr=(
            "Jeu de caractères mal écrit",
            "SpecificCharacterSet vaut {value}, que la norme ne définit pas ; il a été lu comme "
            "{written}.",
            "Comparez le nom du patient avec le PACS ; faites écrire le jeu de caractères par "
            "l'expéditeur comme la norme.",
        ),
    ),
}
