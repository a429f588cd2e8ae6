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
    "QUALITY_UNCHECKED": row(
        "warning",
        en=(
            "Result not checked",
            "Model {model} has no limits for its results: nothing of this one was checked.",
            "Look at the whole volume; have the model exported with limits of its population.",
        ),
        fr=(
            "Résultat non contrôlé",
            "Le modèle {model} n'a pas de limites pour ses résultats : rien de celui-ci n'a été "
            "contrôlé.",
            "Regardez tout le volume ; faites exporter le modèle avec les limites de sa "
            "population.",
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
    "BODY_CUT_OFF": row(
        "hold",
        en=(
            "Part of the patient is missing",
            "The field of view ends inside the patient at {sides}: the cut is {share_percent} % of "
            "the largest section; up to {limit_percent} % is accepted.",
            "Send an MR that shows the whole region.",
        ),
        fr=(
            "Patient incomplet",
            "Le champ de vue s'arrête dans le patient ({sides}) : la coupe fait {share_percent} % "
            "de la plus grande section ; {limit_percent} % au plus est accepté.",
            "Envoyez une IRM qui montre toute la région.",
        ),
    ),
    "BODY_SHORT": row(
        "hold",
        en=(
            "Too little of the patient",
            "The images show {height_mm} mm of the patient from top to bottom; at least "
            "{least_mm} mm are needed to judge the sCT.",
            "Send an MR that shows the whole region.",
        ),
        fr=(
            "Patient trop peu visible",
            "Les images montrent {height_mm} mm du patient de haut en bas ; il en faut au moins "
            "{least_mm} mm pour juger le scanner synthétique.",
            "Envoyez une IRM qui montre toute la région.",
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
    "BONE_HU_UNUSUAL": row(
        "hold",
        en=(
            "Unusual HU of bone",
            "Half of the skull's bone is below {median_hu} HU; {low_hu} to {high_hu} HU is usual.",
            "Compare the skull on the page with a CT; do not use an sCT whose HU are off.",
        ),
        fr=(
            "UH de l'os inhabituelles",
            "La moitié de l'os du crâne est sous {median_hu} UH ; {low_hu} à {high_hu} UH est "
            "habituel.",
            "Comparez le crâne à un scanner sur la page ; n'utilisez pas un scanner synthétique "
            "dont les UH sont fausses.",
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
    "AIR_IN_VAULT": row(
        "hold",
        en=(
            "Air inside the skull",
            "{volume_ml} ml deep in the upper head is air in the sCT; up to {limit_ml} ml is "
            "accepted.",
            "Look at the MR there: signal may be missing beside metal or for a broken coil.",
        ),
        fr=(
            "Air dans le crâne",
            "{volume_ml} ml au fond du haut de la tête sont de l'air dans le scanner "
            "synthétique ; jusqu'à {limit_ml} ml est accepté.",
            "Regardez l'IRM à cet endroit : le signal peut manquer près d'un métal ou par une "
            "antenne défectueuse.",
        ),
    ),
    "BONE_IN_VAULT": row(
        "hold",
        en=(
            "Bone inside the skull",
            "{volume_ml} ml deep in the upper head is bone in the sCT, where there is brain; up to "
            "{limit_ml} ml is accepted.",
            "Look at the MR there: signal may be missing beside metal or for a broken coil.",
        ),
        fr=(
            "Os à l'intérieur du crâne",
            "{volume_ml} ml au fond du haut de la tête sont de l'os dans le scanner synthétique, "
            "là où se trouve le cerveau ; jusqu'à {limit_ml} ml est accepté.",
            "Regardez l'IRM à cet endroit : le signal peut manquer près d'un métal ou par une "
            "antenne défectueuse.",
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
    "SKULL_OPEN": row(
        "hold",
        en=(
            "Skull not closed",
            "{share_percent} % of the lines of sight from inside the head meet no bone; at most "
            "{limit_percent} % is usual.",
            "Look at the vault on the page, first at the place the finding names.",
        ),
        fr=(
            "Crâne non fermé",
            "{share_percent} % des lignes de visée depuis l'intérieur de la tête ne rencontrent "
            "pas d'os ; {limit_percent} % au plus est habituel.",
            "Regardez la voûte sur la page, d'abord à l'endroit indiqué.",
        ),
    ),
    "HU_UNUSUAL": row(
        "hold",
        en=(
            "Unusual spread of HU",
            "{share_percent} % of the upper head has other HU than usual; at most "
            "{limit_percent} % is usual.",
            "Check that the sequence is one the model was made for; compare MR and sCT.",
        ),
        fr=(
            "Répartition des UH inhabituelle",
            "{share_percent} % du haut de la tête a d'autres UH que d'habitude ; {limit_percent} % "
            "au plus est habituel.",
            "Vérifiez que la séquence convient au modèle ; comparez l'IRM et le scanner "
            "synthétique.",
        ),
    ),
    "BONE_BARE": row(
        "hold",
        en=(
            "Bone without skin",
            "{share_percent} % of the outermost {depth_mm} mm of the patient is bone; at most "
            "{limit_percent} % is usual.",
            "Send the MR as it was acquired, with the face; compare face and MR on the page.",
        ),
        fr=(
            "Os sans peau",
            "{share_percent} % des {depth_mm} mm extérieurs du patient sont de l'os ; "
            "{limit_percent} % au plus est habituel.",
            "Envoyez l'IRM d'origine, avec le visage ; comparez le visage et l'IRM sur la page.",
        ),
    ),
    "OUTLINE_SHIFTED": row(
        "hold",
        en=(
            "Outlines do not agree",
            "The outline of the sCT lies {shift_mm} mm from the MR's, towards {sides}; at most "
            "{limit_mm} mm is usual.",
            "Do not use this sCT; report it with the series' identifier.",
        ),
        fr=(
            "Contours discordants",
            "Le contour du scanner synthétique est à {shift_mm} mm de celui de l'IRM, vers "
            "{sides} ; {limit_mm} mm au plus est habituel.",
            "N'utilisez pas ce scanner synthétique ; signalez-le avec l'identifiant de la série.",
        ),
    ),
    "OUTSIDE_NOT_AIR": row(
        "hold",
        en=(
            "Something outside the patient",
            "{volume_ml} ml outside the patient is not air.",
            "Look at the sCT around the head; a coil or a marker may show in the MR.",
        ),
        fr=(
            "Matière hors du patient",
            "{volume_ml} ml hors du patient n'est pas de l'air.",
            "Regardez le scanner synthétique autour de la tête ; une antenne ou un repère peut "
            "apparaître dans l'IRM.",
        ),
    ),
    "CONTRAST_UNUSUAL": row(
        "hold",
        en=(
            "Another MR contrast",
            "Bright and dark in the middle of the head are not as in the MR the model was made "
            "for: the bright end of the signal is {ratio} times as long as the dark one; at most "
            "{limit} is usual.",
            "Check the sequence; send one that the model was made for.",
        ),
        fr=(
            "Autre contraste d'IRM",
            "Le clair et le sombre au milieu de la tête diffèrent des IRM pour lesquelles le "
            "modèle est conçu : le côté clair du signal est {ratio} fois plus long que le côté "
            "sombre ; {limit} au plus est habituel.",
            "Vérifiez la séquence ; envoyez-en une pour laquelle le modèle est conçu.",
        ),
    ),
    "SLICES_DISORDERED": row(
        "hold",
        en=(
            "Slices out of order",
            "Neighbouring slices of the MR resemble each other no more than distant ones "
            "({ratio}; at most {limit} in order).",
            "Look at the MR across its slices; send it again from the scanner.",
        ),
        fr=(
            "Coupes en désordre",
            "Les coupes voisines de l'IRM ne se ressemblent pas plus que les coupes éloignées "
            "({ratio} ; {limit} au plus dans l'ordre).",
            "Regardez l'IRM à travers ses coupes ; renvoyez-la depuis la machine.",
        ),
    ),
}
