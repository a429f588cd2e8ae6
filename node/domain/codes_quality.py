"""Codes of the synthetic CT: what the checks after synthesis say."""

from node.domain.wording import row

QUALITY = {
    "BODY_NOT_FOUND": row(
        "refuse",
        en=(
            "No patient found",
            "No patient was found in the images.",
            "Look at the MR; send another series.",
        ),
        fr=(
            "Patient introuvable",
            "Aucun patient n'a été trouvé dans les images.",
            "Regardez l'IRM ; envoyez une autre série.",
        ),
    ),
    "NOT_BODY_REGION": row(
        "refuse",
        en=(
            "Another body region",
            "The images do not look like the {region} model {model} was made for: {reason}.",
            "Check the route, or choose another model.",
        ),
        fr=(
            "Autre région du corps",
            "Les images ne ressemblent pas à la région ({region}) pour laquelle le modèle {model} "
            "est conçu : {reason}.",
            "Vérifiez la règle, ou choisissez un autre modèle.",
        ),
    ),
    "BODY_AT_EDGE": row(
        "warning",
        en=(
            "Patient cut off",
            "The patient reaches the edge of the field of view at {sides}; the sCT ends there.",
            "Check that the beams do not pass what is cut off.",
        ),
        fr=(
            "Patient tronqué",
            "Le patient atteint le bord du champ de vue ({sides}) ; le scanner synthétique s'y "
            "arrête.",
            "Vérifiez que les faisceaux ne traversent pas ce qui est tronqué.",
        ),
    ),
    "BONE_SHARE": row(
        "hold",
        en=(
            "Unusual share of bone",
            "Bone is {share_percent} % of the body; {low_percent} to {high_percent} % is usual.",
            "Compare skull and MR on the page.",
        ),
        fr=(
            "Part d'os inhabituelle",
            "L'os fait {share_percent} % du corps ; {low_percent} à {high_percent} % est habituel.",
            "Comparez sur la page le crâne et l'IRM.",
        ),
    ),
    "AIR_SHARE": row(
        "hold",
        en=(
            "Unusual share of air",
            "Air is {share_percent} % of the body; {low_percent} to {high_percent} % is usual.",
            "Compare air cavities and MR on the page.",
        ),
        fr=(
            "Part d'air inhabituelle",
            "L'air fait {share_percent} % du corps ; {low_percent} à {high_percent} % est "
            "habituel.",
            "Comparez sur la page les cavités aériennes et l'IRM.",
        ),
    ),
    "UNCERTAINTY_HIGH": row(
        "warning",
        en=(
            "The model is unsure",
            "The model is unsure of {share_percent} % of the body (more than {limit_hu} HU; at "
            "most {limit_percent} % is usual).",
            "Look at the uncertainty map.",
        ),
        fr=(
            "Modèle peu sûr",
            "Le modèle est peu sûr de {share_percent} % du corps (plus de {limit_hu} UH ; "
            "{limit_percent} % au plus est habituel).",
            "Regardez la carte d'incertitude.",
        ),
    ),
}
