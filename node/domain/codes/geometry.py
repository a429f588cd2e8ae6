"""Codes of geometry: what would move, bend or scale anatomy."""

from node.domain.wording import EXPORT, RESEND, row

_APART = (
    "Send each acquisition as its own series.",
    "Envoyez chaque acquisition comme une série à part.",
)

GEOMETRY = {
    "POSITION_MISSING": row(
        "refuse",
        en=(
            "Position missing",
            "ImagePositionPatient is missing or unreadable in {count} [image|images].",
            EXPORT[0],
        ),
        fr=(
            "Position absente",
            "ImagePositionPatient est absent ou illisible dans {count} [image|images].",
            EXPORT[1],
        ),
    ),
    "ORIENTATION_MISSING": row(
        "refuse",
        en=(
            "Orientation missing",
            "ImageOrientationPatient is missing or unreadable in {count} [image|images].",
            EXPORT[0],
        ),
        fr=(
            "Orientation absente",
            "ImageOrientationPatient est absent ou illisible dans {count} [image|images].",
            EXPORT[1],
        ),
    ),
    "SPACING_MISSING": row(
        "refuse",
        en=(
            "Pixel spacing missing",
            "PixelSpacing is missing or unreadable in {count} [image|images].",
            EXPORT[0],
        ),
        fr=(
            "Taille de pixel absente",
            "PixelSpacing est absent ou illisible dans {count} [image|images].",
            EXPORT[1],
        ),
    ),
    "SPACING_INVALID": row(
        "refuse",
        en=("Impossible spacing", "PixelSpacing is {value} mm, which cannot be.", EXPORT[0]),
        fr=(
            "Taille de pixel impossible",
            "PixelSpacing vaut {value} mm, ce qui est impossible.",
            EXPORT[1],
        ),
    ),
    "FRAME_OF_REFERENCE_MISSING": row(
        "refuse",
        en=(
            "Frame of reference missing",
            "FrameOfReferenceUID is missing in {count} [image|images].",
            EXPORT[0],
        ),
        fr=(
            "Référentiel absent",
            "FrameOfReferenceUID est absent dans {count} [image|images].",
            EXPORT[1],
        ),
    ),
    "FRAME_OF_REFERENCE_MIXED": row(
        "refuse",
        en=(
            "Several frames of reference",
            "The images live in {count} frames of reference: {values}.",
            _APART[0],
        ),
        fr=(
            "Plusieurs référentiels",
            "Les images appartiennent à {count} référentiels : {values}.",
            _APART[1],
        ),
    ),
    "ORIENTATION_MIXED": row(
        "refuse",
        en=(
            "Images not parallel",
            "The images are not parallel: {outliers} of {count} have another orientation, up to "
            "{angle_deg} degrees off.",
            "Send each orientation as its own series.",
        ),
        fr=(
            "Images non parallèles",
            "Les images ne sont pas parallèles : {outliers} sur {count} ont une autre orientation, "
            "jusqu'à {angle_deg} degrés d'écart.",
            "Envoyez chaque orientation comme une série à part.",
        ),
    ),
    "ORIENTATION_NOT_ORTHONORMAL": row(
        "refuse",
        en=(
            "Orientation impossible",
            "ImageOrientationPatient {value} is not two perpendicular unit vectors (off by "
            "{error}).",
            EXPORT[0],
        ),
        fr=(
            "Orientation impossible",
            "ImageOrientationPatient {value} n'est pas formé de deux vecteurs unitaires "
            "perpendiculaires (écart {error}).",
            EXPORT[1],
        ),
    ),
    "ORIENTATION_CONTRADICTED": row(
        "refuse",
        en=(
            "Two statements about orientation",
            "PatientOrientation is {said}, but ImageOrientationPatient means {meant} ({count} "
            "[image|images]).",
            EXPORT[0],
        ),
        fr=(
            "Deux orientations contradictoires",
            "PatientOrientation vaut {said} alors qu'ImageOrientationPatient signifie {meant} "
            "({count} [image|images]).",
            EXPORT[1],
        ),
    ),
    "SPACING_MIXED": row(
        "refuse",
        en=(
            "Pixel spacing differs",
            "PixelSpacing differs between images: {values} mm.",
            EXPORT[0],
        ),
        fr=(
            "Tailles de pixel différentes",
            "PixelSpacing diffère entre les images : {values} mm.",
            EXPORT[1],
        ),
    ),
    "MATRIX_MIXED": row(
        "refuse",
        en=("Matrix differs", "The image matrix differs between images: {values}.", EXPORT[0]),
        fr=(
            "Matrices différentes",
            "La matrice diffère entre les images : {values}.",
            EXPORT[1],
        ),
    ),
    "POSITION_DUPLICATE": row(
        "refuse",
        en=(
            "Two images at one position",
            "{count} [image lies|images lie] at a position that another image has: {positions}.",
            RESEND[0],
        ),
        fr=(
            "Deux images à la même position",
            "{count} [image occupe|images occupent] la position d'une autre : {positions}.",
            RESEND[1],
        ),
    ),
    "POSITION_SIDEWAYS": row(
        "refuse",
        en=(
            "A slice shifted sideways",
            "{count} [slice lies|slices lie] up to {offset_mm} mm beside the line of the others: "
            "{slices}.",
            EXPORT[0],
        ),
        fr=(
            "Une coupe décalée latéralement",
            "{count} [coupe s'écarte|coupes s'écartent] jusqu'à {offset_mm} mm de l'axe des "
            "autres : {slices}.",
            EXPORT[1],
        ),
    ),
    "POSITION_CONTRADICTED": row(
        "refuse",
        en=(
            "Two statements about position",
            "{attribute} and ImagePositionPatient put {count} [slice|slices] in different places: "
            "{slices}.",
            EXPORT[0],
        ),
        fr=(
            "Deux positions contradictoires",
            "{attribute} et ImagePositionPatient placent {count} [coupe|coupes] à des endroits "
            "différents : {slices}.",
            EXPORT[1],
        ),
    ),
    "SLICE_GAP": row(
        "refuse",
        en=(
            "Slices missing",
            "{missing} [slice is|slices are] missing: {gaps} (regular distance {spacing_mm} mm).",
            RESEND[0],
        ),
        fr=(
            "Coupes manquantes",
            "Il manque {missing} [coupe|coupes] : {gaps} (distance régulière {spacing_mm} mm).",
            RESEND[1],
        ),
    ),
    "SLICE_SPACING_IRREGULAR": row(
        "refuse",
        en=(
            "Slices not evenly spaced",
            "Distances between slices vary from {lowest_mm} to {highest_mm} mm "
            "({percent} % about {spacing_mm} mm; at most {limit_percent} % can be used).",
            EXPORT[0],
        ),
        fr=(
            "Coupes irrégulièrement espacées",
            "Les distances entre coupes vont de {lowest_mm} à {highest_mm} mm ({percent} % autour "
            "de {spacing_mm} mm ; {limit_percent} % au plus sont utilisables).",
            EXPORT[1],
        ),
    ),
    "SLICE_SPACING_JITTER": row(
        "warning",
        en=(
            "Slices slightly uneven",
            "Distances between slices vary from {lowest_mm} to {highest_mm} mm "
            "({percent} % about {spacing_mm} mm); the volume was resampled, positions as they are.",
            "Check positions at both ends of the stack.",
        ),
        fr=(
            "Coupes légèrement irrégulières",
            "Les distances entre coupes vont de {lowest_mm} à {highest_mm} mm ({percent} % autour "
            "de {spacing_mm} mm) ; le volume a été rééchantillonné d'après les positions réelles.",
            "Vérifiez les positions aux deux extrémités de l'empilement.",
        ),
    ),
    "STACK_SKEWED": row(
        "refuse",
        en=(
            "Skewed stack",
            "Slices are shifted sideways along the stack: the step between them is {angle_deg} "
            "degrees off their normal.",
            EXPORT[0],
        ),
        fr=(
            "Empilement oblique",
            "Les coupes glissent latéralement : le pas entre elles s'écarte de {angle_deg} degrés "
            "de leur normale.",
            EXPORT[1],
        ),
    ),
    "STACK_OBLIQUE": row(
        "info",
        en=(
            "Oblique slices",
            "Slices are tilted {angle_deg} degrees against the nearest patient plane; the "
            "synthetic CT is axial.",
            "Nothing; the images are resampled by their positions.",
        ),
        fr=(
            "Coupes obliques",
            "Les coupes sont inclinées de {angle_deg} degrés sur le plan anatomique le plus "
            "proche ; le scanner synthétique est axial.",
            "Rien à faire ; les images sont rééchantillonnées d'après leurs positions.",
        ),
    ),
    "PIXELS_NOT_SQUARE": row(
        "info",
        en=(
            "Pixels not square",
            "Pixels measure {row_mm} by {column_mm} mm; the synthetic CT has square ones.",
            "Nothing; the images are resampled.",
        ),
        fr=(
            "Pixels non carrés",
            "Les pixels mesurent {row_mm} sur {column_mm} mm ; ceux du scanner synthétique sont "
            "carrés.",
            "Rien à faire ; les images sont rééchantillonnées.",
        ),
    ),
    "TOO_FEW_SLICES": row(
        "refuse",
        en=(
            "Too few slices",
            "{count} [slice covers|slices cover] {extent_mm} mm; at least {least} slices and "
            "{least_mm} mm are "
            "needed.",
            RESEND[0],
        ),
        fr=(
            "Trop peu de coupes",
            "{count} [coupe couvre|coupes couvrent] {extent_mm} mm ; il en faut au moins {least} "
            "sur "
            "{least_mm} mm.",
            RESEND[1],
        ),
    ),
    "SLICES_THICK": row(
        "warning",
        en=(
            "Slices far apart",
            "Slices lie {spacing_mm} mm apart; the model was made for at most {limit_mm} mm.",
            "Use a 3D sequence with thin slices where the protocol allows.",
        ),
        fr=(
            "Coupes trop espacées",
            "Les coupes sont distantes de {spacing_mm} mm ; le modèle est conçu pour {limit_mm} mm "
            "au plus.",
            "Utilisez une séquence 3D à coupes fines si le protocole le permet.",
        ),
    ),
    "SLICE_THICKNESS_DIFFERS": row(
        "warning",
        en=(
            "Gaps or overlap between slices",
            "SliceThickness is {thickness_mm} mm but slices lie {spacing_mm} mm apart.",
            "Check the protocol for gaps or overlap; positions decide.",
        ),
        fr=(
            "Espaces ou recouvrement entre coupes",
            "SliceThickness vaut {thickness_mm} mm mais les coupes sont distantes de "
            "{spacing_mm} mm.",
            "Vérifiez le protocole ; ce sont les positions qui font foi.",
        ),
    ),
    "SPACING_CONTRADICTED": row(
        "hold",
        en=(
            "Two statements about slice distance",
            "SpacingBetweenSlices is {said_mm} mm but positions lie {spacing_mm} mm apart.",
            "Find out at the scanner which is true before planning; positions were used.",
        ),
        fr=(
            "Deux distances contradictoires",
            "SpacingBetweenSlices vaut {said_mm} mm mais les positions sont distantes de "
            "{spacing_mm} mm.",
            "Cherchez à l'IRM laquelle est vraie avant de planifier ; les positions ont servi.",
        ),
    ),
    "FOV_CONTRADICTED": row(
        "hold",
        en=(
            "Two statements about the field of view",
            "ReconstructionDiameter is {said_mm} mm, but matrix and PixelSpacing make {width_mm} "
            "by {height_mm} mm.",
            "Find out at the scanner which is true before planning; PixelSpacing was used.",
        ),
        fr=(
            "Deux champs de vue contradictoires",
            "ReconstructionDiameter vaut {said_mm} mm, mais matrice et PixelSpacing donnent "
            "{width_mm} sur {height_mm} mm.",
            "Cherchez à l'IRM lequel est vrai avant de planifier ; PixelSpacing a servi.",
        ),
    ),
    "FOV_SMALL": row(
        "warning",
        en=(
            "Small field of view",
            "The field of view is {width_mm} by {height_mm} mm in plane; a whole {region} needs "
            "{least_mm} mm.",
            "Check on the page that the outline of the patient is whole.",
        ),
        fr=(
            "Petit champ de vue",
            "Le champ de vue mesure {width_mm} sur {height_mm} mm dans le plan ; une région "
            "{region} entière demande {least_mm} mm.",
            "Vérifiez sur la page que le contour du patient est entier.",
        ),
    ),
}
