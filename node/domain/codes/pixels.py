"""Codes of pixels: whether they are there, whole, readable and on one scale."""

from node.domain.wording import EXPORT, RESEND, row

_LOOK = (
    "Look at the slices named on the page beside their neighbours; export the series again.",
    "Regardez sur la page les coupes citées à côté de leurs voisines ; réexportez la série.",
)

PIXELS = {
    "PIXELS_MISSING": row(
        "refuse",
        en=("No pixels", "{count} [image has|images have] no pixel data.", RESEND[0]),
        fr=("Pixels absents", "{count} [image n'a|images n'ont] pas de pixels.", RESEND[1]),
    ),
    "PIXELS_LENGTH": row(
        "refuse",
        en=(
            "Pixels cut off",
            "Pixel data has {actual} bytes where {rows} rows by {columns} columns by {frames} "
            "[frame|frames] need {expected}.",
            RESEND[0],
        ),
        fr=(
            "Pixels tronqués",
            "Les pixels occupent {actual} octets alors que {rows} lignes par {columns} colonnes "
            "par {frames} [image|images] en demandent {expected}.",
            RESEND[1],
        ),
    ),
    "PIXELS_UNDECODABLE": row(
        "refuse",
        en=(
            "Pixels unreadable",
            "Pixel data in {transfer_syntax} cannot be decoded: {reason}.",
            RESEND[0],
        ),
        fr=(
            "Pixels illisibles",
            "Les pixels en {transfer_syntax} ne peuvent pas être décodés : {reason}.",
            RESEND[1],
        ),
    ),
    "PIXELS_FORMAT": row(
        "refuse",
        en=(
            "Pixel format not supported",
            "{attribute} is {value}; the node reads single-channel MONOCHROME2 images of 8 to 16 "
            "bits.",
            EXPORT[0],
        ),
        fr=(
            "Format de pixels non pris en charge",
            "{attribute} vaut {value} ; le nœud lit des images MONOCHROME2 à un canal de 8 à "
            "16 bits.",
            EXPORT[1],
        ),
    ),
    "PIXELS_MIXED": row(
        "refuse",
        en=(
            "Pixel format differs between images",
            "{attribute} differs between the images of one volume: {values}.",
            EXPORT[0],
        ),
        fr=(
            "Format de pixels différent selon les images",
            "{attribute} diffère entre les images d'un même volume : {values}.",
            EXPORT[1],
        ),
    ),
    "PIXELS_RANGE": row(
        "refuse",
        en=(
            "Pixels beyond their range",
            "{count} [image holds|images hold] pixel values up to {highest} where {bits} stored "
            "bits end at "
            "{limit}: the pixels are not what the header says.",
            EXPORT[0],
        ),
        fr=(
            "Pixels hors limites",
            "{count} [image contient|images contiennent] des valeurs jusqu'à {highest} alors que "
            "{bits} bits "
            "s'arrêtent à {limit} : les pixels ne sont pas ce que dit l'en-tête.",
            EXPORT[1],
        ),
    ),
    "PIXELS_CONSTANT": row(
        "refuse",
        en=("Empty images", "Every pixel of the series has the value {value}.", EXPORT[0]),
        fr=("Images vides", "Tous les pixels de la série valent {value}.", EXPORT[1]),
    ),
    "LOSSY_SOURCE": row(
        "warning",
        en=(
            "Compressed with loss",
            "The images were compressed with loss ({method}).",
            "Send the images as the scanner made them.",
        ),
        fr=(
            "Compression avec perte",
            "Les images ont été compressées avec perte ({method}).",
            "Envoyez les images telles que l'IRM les a produites.",
        ),
    ),
    "SCALING_INVALID": row(
        "refuse",
        en=(
            "Scaling unreadable",
            "{attribute} is {value} in {count} [image|images], which scales nothing.",
            EXPORT[0],
        ),
        fr=(
            "Mise à l'échelle illisible",
            "{attribute} vaut {value} dans {count} [image|images], ce qui n'est pas une échelle.",
            EXPORT[1],
        ),
    ),
    "SCALING_PARTLY": row(
        "refuse",
        en=(
            "Scaling missing in part",
            "{attribute} is missing in {count} of {total} images and differs between the others: "
            "the slices cannot be brought to one scale.",
            EXPORT[0],
        ),
        fr=(
            "Mise à l'échelle incomplète",
            "{attribute} manque dans {count} images sur {total} et diffère entre les autres : "
            "les coupes ne peuvent pas être ramenées à une même échelle.",
            EXPORT[1],
        ),
    ),
    "SCALING_PER_SLICE": row(
        "warning",
        en=(
            "Each slice has its own scale",
            "RescaleSlope runs from {lowest} to {highest} over the slices; each was applied to its "
            "own slice.",
            "Compare the brightness of neighbouring slices on the page.",
        ),
        fr=(
            "Une échelle par coupe",
            "RescaleSlope va de {lowest} à {highest} selon les coupes ; chacune a été appliquée à "
            "sa coupe.",
            "Comparez sur la page la luminosité des coupes voisines.",
        ),
    ),
    "SCALING_PRIVATE": row(
        "warning",
        en=(
            "Scaled by Philips' own slope",
            "RescaleSlope does not bring the slices to one scale; Philips' scale slope (2005,100E) "
            "was used, {lowest} to {highest}.",
            "Compare the brightness of neighbouring slices on the page.",
        ),
        fr=(
            "Échelle propre à Philips",
            "RescaleSlope ne ramène pas les coupes à une même échelle ; la pente Philips "
            "(2005,100E) a été utilisée, de {lowest} à {highest}.",
            "Comparez sur la page la luminosité des coupes voisines.",
        ),
    ),
    "SCALING_STEP": row(
        "hold",
        en=(
            "A slice stands out in brightness",
            "{count} [slice is|slices are] brighter or darker than both neighbours, up to "
            "{factor} times: "
            "{slices}.",
            _LOOK[0],
        ),
        fr=(
            "Une coupe tranche en luminosité",
            "{count} [coupe est plus claire ou plus sombre que ses|coupes sont plus claires ou "
            "plus sombres que leurs] deux voisines, jusqu'à "
            "{factor} fois : {slices}.",
            _LOOK[1],
        ),
    ),
    "SLICE_EMPTY": row(
        "refuse",
        en=(
            "A slice without signal",
            "{count} [slice|slices] between others with signal [has|have] none: {slices}.",
            RESEND[0],
        ),
        fr=(
            "Une coupe sans signal",
            "{count} [coupe située|coupes situées] entre des coupes avec signal n'en [a|ont] pas "
            ": {slices}.",
            RESEND[1],
        ),
    ),
    "SLICE_REPEATED": row(
        "refuse",
        en=(
            "The same pixels at two positions",
            "{count} [slice holds|slices hold] exactly the pixels of another slice: {slices}.",
            RESEND[0],
        ),
        fr=(
            "Mêmes pixels à deux positions",
            "{count} [coupe contient|coupes contiennent] exactement les pixels d'une autre : "
            "{slices}.",
            RESEND[1],
        ),
    ),
    "SLICE_ORDER": row(
        "hold",
        en=(
            "A slice does not fit its place",
            "{count} [slice does|slices do] not resemble the neighbours: {slices}.",
            _LOOK[0],
        ),
        fr=(
            "Une coupe n'est pas à sa place",
            "{count} [coupe ne ressemble pas à ses|coupes ne ressemblent pas à leurs] voisines : "
            "{slices}.",
            _LOOK[1],
        ),
    ),
}
