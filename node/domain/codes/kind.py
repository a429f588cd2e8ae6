"""Codes of what kind of images they are, and of how a series falls into volumes."""

from node.domain.wording import EXPORT, ORIGINALS, row

_ONE_VOLUME = ("Send one volume per series.", "Envoyez un volume par série.")

KIND = {
    "NOT_MR": row(
        "drop",
        en=(
            "Not MR images",
            "The objects are {sop_class}, not MR images.",
            "Nothing, when they lie beside the MR images on purpose.",
        ),
        fr=(
            "Pas des images IRM",
            "Les objets sont de type {sop_class} et non des images IRM.",
            "Rien à faire s'ils accompagnent volontairement les images IRM.",
        ),
    ),
    "LOCALIZER": row(
        "drop",
        en=("Localizer", "The images are localizers (ImageType {image_type}).", ORIGINALS[0]),
        fr=(
            "Repérage",
            "Ce sont des images de repérage (ImageType {image_type}).",
            ORIGINALS[1],
        ),
    ),
    "NOT_MAGNITUDE": row(
        "drop",
        en=(
            "Not magnitude images",
            "The images are not magnitude images: {attribute} is {value}.",
            ORIGINALS[0],
        ),
        fr=(
            "Pas des images d'amplitude",
            "Ce ne sont pas des images d'amplitude : {attribute} vaut {value}.",
            ORIGINALS[1],
        ),
    ),
    "DERIVED": row(
        "drop",
        en=(
            "Derived images",
            "The images are derived, not as acquired: ImageType is {image_type}.",
            "Send the original images, or declare allow_derived in the route when the derivation "
            "keeps geometry and contrast.",
        ),
        fr=(
            "Images dérivées",
            "Les images sont dérivées et non telles qu'acquises : ImageType vaut {image_type}.",
            "Envoyez les originales, ou déclarez allow_derived dans la règle si la dérivation "
            "conserve géométrie et contraste.",
        ),
    ),
    "DERIVED_ALLOWED": row(
        "warning",
        en=(
            "Derived images, allowed",
            "The images are derived (ImageType {image_type}); the route allows it and declares "
            "{declared}.",
            "Compare positions with the original images before planning.",
        ),
        fr=(
            "Images dérivées, admises",
            "Les images sont dérivées (ImageType {image_type}) ; la règle l'admet et déclare "
            "{declared}.",
            "Comparez les positions avec les images originales avant la planification.",
        ),
    ),
    "RECONSTRUCTION": row(
        "drop",
        en=(
            "Reconstruction or map",
            "The images are a reconstruction or a map (ImageType {image_type}).",
            ORIGINALS[0],
        ),
        fr=(
            "Reconstruction ou cartographie",
            "Les images sont une reconstruction ou une cartographie (ImageType {image_type}).",
            ORIGINALS[1],
        ),
    ),
    "DIXON_PART": row(
        "drop",
        least="warning",
        en=(
            "Part of a Dixon acquisition",
            "The images show {part} of a Dixon acquisition (ImageType {image_type}).",
            "Send the in-phase images, or set the action of DIXON_PART in the route of a model "
            "made for these.",
        ),
        fr=(
            "Partie d'une acquisition Dixon",
            "Les images montrent la composante {part} d'une acquisition Dixon (ImageType "
            "{image_type}).",
            "Envoyez les images en phase, ou fixez l'action de DIXON_PART dans la règle d'un "
            "modèle conçu pour celles-ci.",
        ),
    ),
    "MOSAIC": row(
        "refuse",
        en=(
            "Mosaic",
            "The images are mosaics: many slices tiled in one image (ImageType {image_type}).",
            "Switch mosaic off at the scanner or send the Enhanced MR object.",
        ),
        fr=(
            "Mosaïque",
            "Les images sont des mosaïques : plusieurs coupes juxtaposées en une image (ImageType "
            "{image_type}).",
            "Désactivez la mosaïque à l'IRM ou envoyez l'objet Enhanced MR.",
        ),
    ),
    "BURNED_IN": row(
        "refuse",
        en=(
            "Text in the pixels",
            "The header says that annotations are burned into {count} [image|images].",
            ORIGINALS[0],
        ),
        fr=(
            "Texte dans les pixels",
            "L'en-tête indique des annotations incrustées dans {count} [image|images].",
            ORIGINALS[1],
        ),
    ),
    "IMAGE_DISTORTED": row(
        "refuse",
        en=(
            "Geometry declared untrue",
            "VolumetricProperties is {value}: the header itself says that distances in the images "
            "are not true.",
            ORIGINALS[0],
        ),
        fr=(
            "Géométrie déclarée inexacte",
            "VolumetricProperties vaut {value} : l'en-tête dit lui-même que les distances dans les "
            "images ne sont pas exactes.",
            ORIGINALS[1],
        ),
    ),
    "MULTIPLE_VOLUMES": row(
        "refuse",
        en=(
            "Several volumes in one series",
            "{count} images share each position and nothing in the header tells them apart "
            "({tried} were compared).",
            _ONE_VOLUME[0],
        ),
        fr=(
            "Plusieurs volumes dans une série",
            "{count} images partagent chaque position et rien dans l'en-tête ne les distingue "
            "({tried} ont été comparés).",
            _ONE_VOLUME[1],
        ),
    ),
    "STACKS_AMBIGUOUS": row(
        "refuse",
        en=(
            "Which volume is meant?",
            "The series holds {count} volumes that could be meant: {labels}.",
            "Send the volume to plan on as a series of its own.",
        ),
        fr=(
            "Quel volume choisir ?",
            "La série contient {count} volumes possibles : {labels}.",
            "Envoyez le volume de planification comme une série à part.",
        ),
    ),
    "SERIES_SPLIT": row(
        "info",
        en=(
            "One of several volumes",
            "The series holds {count} volumes; this one is {label}.",
            "Check that it is the volume you want to plan on.",
        ),
        fr=(
            "Un volume parmi plusieurs",
            "La série contient {count} volumes ; celui-ci est {label}.",
            "Vérifiez que c'est bien le volume sur lequel planifier.",
        ),
    ),
    "STACK_CUT_OFF": row(
        "hold",
        en=(
            "The volume goes on elsewhere",
            "{count} [image|images] of the series [lies|lie] where this volume would go on, and "
            "[is|are] told apart "
            "from it: {label}. [It is|They are] missing from it.",
            "Compare the headers of these images with the others; export the series again, or "
            "check that the volume ends where it should.",
        ),
        fr=(
            "Le volume continue ailleurs",
            "{count} [image|images] de la série [se trouve|se trouvent] dans le prolongement de "
            "ce volume et en [est distinguée|sont distinguées] "
            ": {label}. [Elle lui manque|Elles lui manquent].",
            "Comparez l'en-tête de ces images à celui des autres ; réexportez la série, ou "
            "vérifiez que le volume s'arrête là où il faut.",
        ),
    ),
    "SLICES_APART": row(
        "refuse",
        en=(
            "Slices told apart from their volume",
            "{count} [image|images] of the series [lies|lie] in gaps of this volume and [is|are] "
            "told apart from "
            "it: {label}.",
            "Compare the headers of these images with the others; export the series again.",
        ),
        fr=(
            "Coupes distinguées de leur volume",
            "{count} [image|images] de la série [se trouve|se trouvent] dans les lacunes de ce "
            "volume et en [est distinguée|sont distinguées] "
            ": {label}.",
            "Comparez l'en-tête de ces images à celui des autres ; réexportez la série.",
        ),
    ),
    "ATTRIBUTE_PARTLY": row(
        "hold",
        en=(
            "An attribute is missing in some images",
            "{attribute} is missing in {count} of {total} images and equal in the others: "
            "{slices}. They were taken for the same volume.",
            "Compare these slices with their neighbours on the page; export the series again.",
        ),
        fr=(
            "Un attribut manque dans quelques images",
            "{attribute} manque dans {count} images sur {total} et est égal dans les autres : "
            "{slices}. Elles ont été prises pour le même volume.",
            "Comparez sur la page ces coupes à leurs voisines ; réexportez la série.",
        ),
    ),
    "FRAMES_MISMATCH": row(
        "refuse",
        en=(
            "Frames without description",
            "NumberOfFrames is {declared}, but {described} [frame is|frames are] described.",
            EXPORT[0],
        ),
        fr=(
            "Images sans description",
            "NumberOfFrames vaut {declared}, mais {described} [image est décrite|images sont "
            "décrites].",
            EXPORT[1],
        ),
    ),
    "SCANNER_MIXED": row(
        "refuse",
        en=(
            "Images of two scanners",
            "The series mixes images of {count} scanners: {attribute} differs ({values}).",
            "Send each acquisition as its own series.",
        ),
        fr=(
            "Images de deux appareils",
            "La série mêle des images de {count} appareils : {attribute} diffère ({values}).",
            "Envoyez chaque acquisition comme une série à part.",
        ),
    ),
    "ACQUISITION_MIXED": row(
        "warning",
        en=(
            "Settings differ between slices",
            "{attribute} differs between the slices of one volume: {values}.",
            "Check that all slices come from one acquisition.",
        ),
        fr=(
            "Réglages différents selon les coupes",
            "{attribute} diffère entre les coupes d'un même volume : {values}.",
            "Vérifiez que toutes les coupes viennent d'une seule acquisition.",
        ),
    ),
}
