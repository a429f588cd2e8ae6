"""Codes of the patient, of how the images were acquired, and of what the model was made for."""

from node.domain.wording import EXPORT, row

_CORRECTED = (
    "Send the 3D-corrected images (DIS3D).",
    "Envoyez les images corrigées en 3D (DIS3D).",
)
_OTHER_MODEL = (
    "Check the route, or choose another model.",
    "Vérifiez la règle, ou choisissez un autre modèle.",
)
_PLAN_ON_CT = (
    "Plan this patient on a CT, or set the action of {} in the route.",
    "Planifiez ce patient sur un scanner, ou fixez l'action de {} dans la règle.",
)

ACQUISITION = {
    "PATIENT_ID_MISSING": row(
        "refuse",
        en=(
            "Patient not identified",
            "{attribute} is empty or missing.",
            "Complete the patient's data in the PACS.",
        ),
        fr=(
            "Patient non identifié",
            "{attribute} est vide ou absent.",
            "Complétez les données du patient dans le PACS.",
        ),
    ),
    "PATIENT_MIXED": row(
        "refuse",
        en=(
            "Several patients or studies",
            "The series mixes {count} patients or studies: {attribute} differs.",
            "Separate them in the PACS and send each again.",
        ),
        fr=(
            "Plusieurs patients ou examens",
            "La série mêle {count} patients ou examens : {attribute} diffère.",
            "Séparez-les dans le PACS et renvoyez chacun.",
        ),
    ),
    "PATIENT_POSITION_MISSING": row(
        "refuse",
        en=(
            "Patient position missing",
            "PatientPosition is missing.",
            "Export again, or declare it in the route.",
        ),
        fr=(
            "Position du patient absente",
            "PatientPosition est absent.",
            "Réexportez, ou déclarez-la dans la règle.",
        ),
    ),
    "PATIENT_POSITION": row(
        "refuse",
        en=(
            "Patient not supine",
            "The patient lies {words} (PatientPosition {value}); only supine is supported.",
            "Plan this patient on a CT.",
        ),
        fr=(
            "Patient pas sur le dos",
            "Le patient est {words} (PatientPosition {value}) ; seul le décubitus dorsal est pris "
            "en charge.",
            "Planifiez ce patient sur un scanner.",
        ),
    ),
    "PATIENT_POSITION_MIXED": row(
        "refuse",
        en=(
            "Several patient positions",
            "PatientPosition differs between the images: {values}.",
            EXPORT[0],
        ),
        fr=(
            "Plusieurs positions du patient",
            "PatientPosition diffère entre les images : {values}.",
            EXPORT[1],
        ),
    ),
    "PATIENT_POSITION_PARTLY": row(
        "hold",
        en=(
            "Patient position missing in some images",
            "PatientPosition is empty in {count} of {total} images; the others say {value}, which "
            "was used.",
            "Confirm at the scanner how the patient lay; export the series again if it is wrong.",
        ),
        fr=(
            "Position du patient absente de quelques images",
            "PatientPosition est vide dans {count} images sur {total} ; les autres disent {value}, "
            "qui a servi.",
            "Confirmez à l'IRM comment le patient était couché ; réexportez la série sinon.",
        ),
    ),
    "NOT_BIPED": row(
        "refuse",
        en=(
            "Not a person's anatomy",
            "AnatomicalOrientationType is {value}: the axes of the images do not mean what they "
            "mean in a person.",
            "Send the images of a person; correct the attribute where it is wrong.",
        ),
        fr=(
            "Pas l'anatomie d'une personne",
            "AnatomicalOrientationType vaut {value} : les axes des images n'ont pas le sens qu'ils "
            "ont chez une personne.",
            "Envoyez les images d'une personne ; corrigez l'attribut s'il est faux.",
        ),
    ),
    "PATIENT_MINOR": row(
        "refuse",
        least="warning",
        en=(
            "Patient under 18",
            "The patient was {age} years old; models are made for adults.",
            _PLAN_ON_CT[0].format("PATIENT_MINOR"),
        ),
        fr=(
            "Patient de moins de 18 ans",
            "Le patient avait {age} ans ; les modèles sont conçus pour des adultes.",
            _PLAN_ON_CT[1].format("PATIENT_MINOR"),
        ),
    ),
    "IMPLANT": row(
        "refuse",
        least="warning",
        en=(
            "Implant recorded",
            "{attribute} records an implant ({word}); metal falsifies MR and synthetic CT.",
            _PLAN_ON_CT[0].format("IMPLANT"),
        ),
        fr=(
            "Implant signalé",
            "{attribute} signale un implant ({word}) ; le métal fausse l'IRM et le scanner "
            "synthétique.",
            _PLAN_ON_CT[1].format("IMPLANT"),
        ),
    ),
    "IMPLANT_MENTIONED": row(
        "warning",
        en=(
            "Implant mentioned",
            "The text of {attribute} mentions {word}; whether there is an implant is for a person "
            "to say.",
            "Ask, and look for signal loss around metal on the page.",
        ),
        fr=(
            "Implant évoqué",
            "Le texte de {attribute} évoque {word} ; à une personne de dire s'il y a un implant.",
            "Renseignez-vous, et cherchez sur la page une perte de signal autour de métal.",
        ),
    ),
    "CHARACTER_SET_UNKNOWN": row(
        "refuse",
        en=(
            "Unknown character set",
            "SpecificCharacterSet is {value}, which the standard does not define.",
            EXPORT[0],
        ),
        fr=(
            "Jeu de caractères inconnu",
            "SpecificCharacterSet vaut {value}, que la norme ne définit pas.",
            EXPORT[1],
        ),
    ),
    "TIMING_MISSING": row(
        "refuse",
        least="warning",
        en=(
            "Sequence timing missing",
            "{attribute} is missing: what contrast the images have cannot be checked.",
            "Export again as the scanner made it, or declare allow_derived in the route.",
        ),
        fr=(
            "Paramètres de séquence absents",
            "{attribute} est absent : le contraste des images ne peut pas être vérifié.",
            "Réexportez telles que l'IRM les a produites, ou déclarez allow_derived dans la règle.",
        ),
    ),
    "DISTORTION_2D": row(
        "warning",
        en=(
            "Distortion corrected in plane only",
            "Gradient distortion was corrected in-plane only (ImageType {image_type}).",
            _CORRECTED[0],
        ),
        fr=(
            "Distorsion corrigée dans le plan seulement",
            "La distorsion des gradients n'a été corrigée que dans le plan (ImageType "
            "{image_type}).",
            _CORRECTED[1],
        ),
    ),
    "DISTORTION_NONE": row(
        "warning",
        en=(
            "Distortion not corrected",
            "Gradient distortion was not corrected (ImageType {image_type}).",
            _CORRECTED[0],
        ),
        fr=(
            "Distorsion non corrigée",
            "La distorsion des gradients n'a pas été corrigée (ImageType {image_type}).",
            _CORRECTED[1],
        ),
    ),
    "DISTORTION_UNKNOWN": row(
        "warning",
        en=(
            "Distortion correction unknown",
            "The header does not say whether gradient distortion was corrected ({manufacturer}).",
            "Verify the protocol once, then declare distortion_corrected in the route.",
        ),
        fr=(
            "Correction de distorsion inconnue",
            "L'en-tête ne dit pas si la distorsion des gradients a été corrigée ({manufacturer}).",
            "Vérifiez le protocole une fois, puis déclarez distortion_corrected dans la règle.",
        ),
    ),
    "CONTRAST_AGENT": row(
        "warning",
        en=(
            "Contrast agent given",
            "A contrast agent was given ({agent}); model {model} was made without.",
            "Send the series acquired before the injection, or compare vessels and tumour.",
        ),
        fr=(
            "Produit de contraste injecté",
            "Un produit de contraste a été injecté ({agent}) ; le modèle {model} est conçu sans.",
            "Envoyez la série acquise avant l'injection, ou comparez vaisseaux et tumeur.",
        ),
    ),
    "MODEL_BODY_PART": row(
        "warning",
        en=(
            "Another body part",
            "BodyPartExamined is {value}; model {model} was made for {expected}.",
            _OTHER_MODEL[0],
        ),
        fr=(
            "Autre région du corps",
            "BodyPartExamined vaut {value} ; le modèle {model} est conçu pour {expected}.",
            _OTHER_MODEL[1],
        ),
    ),
    "MODEL_FIELD_STRENGTH": row(
        "warning",
        en=(
            "Another field strength",
            "The field strength is {value_t} T; model {model} was made for {expected} T.",
            _OTHER_MODEL[0],
        ),
        fr=(
            "Autre intensité de champ",
            "Le champ est de {value_t} T ; le modèle {model} est conçu pour {expected} T.",
            _OTHER_MODEL[1],
        ),
    ),
    "MODEL_ECHO_TIME": row(
        "warning",
        en=(
            "Another echo time",
            "The echo time is {value_ms} ms; model {model} was made for {low_ms} to {high_ms} ms.",
            _OTHER_MODEL[0],
        ),
        fr=(
            "Autre temps d'écho",
            "Le temps d'écho est de {value_ms} ms ; le modèle {model} est conçu pour {low_ms} à "
            "{high_ms} ms.",
            _OTHER_MODEL[1],
        ),
    ),
    "MODEL_REPETITION_TIME": row(
        "warning",
        en=(
            "Another repetition time",
            "The repetition time is {value_ms} ms; model {model} was made for {low_ms} to "
            "{high_ms} ms.",
            _OTHER_MODEL[0],
        ),
        fr=(
            "Autre temps de répétition",
            "Le temps de répétition est de {value_ms} ms ; le modèle {model} est conçu pour "
            "{low_ms} à {high_ms} ms.",
            _OTHER_MODEL[1],
        ),
    ),
}
