"""Codes of what arrives: files, data sets, identity, completeness."""

from node.domain.wording import EXPORT, RESEND, row

ARRIVAL = {
    "FILE_EMPTY": row(
        "refuse",
        en=("Empty file", "File {file} is empty.", RESEND[0]),
        fr=("Fichier vide", "Le fichier {file} est vide.", RESEND[1]),
    ),
    "FILE_NOT_DICOM": row(
        "refuse",
        en=(
            "Not a DICOM file",
            "File {file} is not a DICOM file: {reason}.",
            "Remove it from the folder, or export it again as a DICOM Part 10 file.",
        ),
        fr=(
            "Pas un fichier DICOM",
            "{file} n'est pas un fichier DICOM : {reason}.",
            "Retirez-le du dossier, ou réexportez-le au format DICOM Part 10.",
        ),
    ),
    "FILE_TRUNCATED": row(
        "refuse",
        en=(
            "File cut off",
            "File {file} ends in the middle of its header: {reason}.",
            RESEND[0],
        ),
        fr=(
            "Fichier tronqué",
            "Le fichier {file} s'arrête au milieu de son en-tête : {reason}.",
            RESEND[1],
        ),
    ),
    "FILE_MALFORMED": row(
        "refuse",
        en=(
            "File malformed",
            "File {file} cannot be read to its end: it is not encoded as the standard asks "
            "({reason}).",
            EXPORT[0],
        ),
        fr=(
            "Fichier mal encodé",
            "Le fichier {file} n'est pas lisible jusqu'à sa fin : il n'est pas encodé comme la "
            "norme le demande ({reason}).",
            EXPORT[1],
        ),
    ),
    "FILE_UNREADABLE": row(
        "refuse",
        en=(
            "File unreadable",
            "File {file} cannot be read: {reason}.",
            "Check permissions, disk and size; copy the file again.",
        ),
        fr=(
            "Fichier illisible",
            "Le fichier {file} ne peut pas être lu : {reason}.",
            "Vérifiez les droits, le disque et la taille ; recopiez le fichier.",
        ),
    ),
    "FILES_BESIDE": row(
        "hold",
        en=(
            "Unread files beside the series",
            "Files beside those of the series could not be read and may be images of it: {files}.",
            "Read or remove them, and convert the folder again.",
        ),
        fr=(
            "Fichiers non lus à côté de la série",
            "Des fichiers voisins de ceux de la série n'ont pas pu être lus et en font peut-être "
            "partie : {files}.",
            "Rendez-les lisibles ou retirez-les, et convertissez de nouveau le dossier.",
        ),
        least="hold",
    ),
    "NODE_DEFECT": row(
        "refuse",
        en=(
            "The node failed",
            "The work on this ended unfinished, by a fault of the node or its machine: {reason}.",
            "Run it again with --verbose; if it ends so again, send us the log.",
        ),
        fr=(
            "Défaillance du nœud",
            "Le travail s'est arrêté inachevé, par une faute du nœud ou de sa machine : {reason}.",
            "Relancez avec --verbose ; en cas de récidive, envoyez-nous le journal.",
        ),
    ),
    "UID_MISSING": row(
        "refuse",
        en=("Identifier missing", "{attribute} is missing.", EXPORT[0]),
        fr=("Identifiant absent", "{attribute} est absent.", EXPORT[1]),
    ),
    "UID_INVALID": row(
        "refuse",
        en=(
            "Invalid identifier",
            "{attribute} is {value}, which is not a UID: at most 64 characters, numbers without "
            "leading zeros, joined by points.",
            EXPORT[0],
        ),
        fr=(
            "Identifiant invalide",
            "{attribute} vaut {value}, ce qui n'est pas un UID : 64 caractères au plus, des "
            "nombres sans zéros en tête, séparés par des points.",
            EXPORT[1],
        ),
    ),
    "INSTANCE_CONFLICT": row(
        "refuse",
        en=(
            "Two versions of one image",
            "SOP instance {uid} arrived twice with different bytes.",
            "Find out which of the two the PACS holds and send that one under its own UID.",
        ),
        fr=(
            "Deux versions d'une image",
            "L'instance SOP {uid} est arrivée deux fois avec des contenus différents.",
            "Cherchez laquelle le PACS détient et envoyez celle-là sous son propre UID.",
        ),
    ),
    "SERIES_CONTRADICTED": row(
        "hold",
        en=(
            "Images came again, corrected",
            "{count} [image|images] came again from {source} with {attribute} {new} in place of "
            "{old}. "
            "What came first is still what is used.",
            "Compare with the PACS; then adopt the correction, or dismiss it.",
        ),
        fr=(
            "Images revenues, corrigées",
            "{count} [image revenue|images revenues] de {source} avec {attribute} {new} au lieu "
            "de {old}. "
            "Ce qui est arrivé en premier reste utilisé.",
            "Comparez avec le PACS ; puis adoptez la correction, ou écartez-la.",
        ),
        least="hold",
    ),
    "IMAGE_CONTRADICTED": row(
        "hold",
        en=(
            "Images came again, with other content",
            "{count} [image|images] came again from {source} under the same UIDs with other "
            "content. "
            "What came first is still what is used.",
            "Compare with the PACS; then adopt the correction, or dismiss it.",
        ),
        fr=(
            "Images revenues, avec un autre contenu",
            "{count} [image revenue|images revenues] de {source} sous les mêmes UID avec un "
            "autre contenu. "
            "Ce qui est arrivé en premier reste utilisé.",
            "Comparez avec le PACS ; puis adoptez la correction, ou écartez-la.",
        ),
        least="hold",
    ),
    "STUDY_TWO_PATIENTS": row(
        "hold",
        en=(
            "Two patients in one study",
            "Study {study} also holds series {series} of another patient: {other}, where this "
            "series says {this}.",
            "Find out in the PACS whose study it is; have the wrong series corrected there and "
            "sent again.",
        ),
        fr=(
            "Deux patients dans un examen",
            "L'examen {study} contient aussi la série {series} d'un autre patient : {other}, alors "
            "que celle-ci indique {this}.",
            "Cherchez dans le PACS à qui est l'examen ; faites-y corriger la série fautive et "
            "renvoyez-la.",
        ),
        least="hold",
    ),
    "EARLIER_OTHER_PATIENT": row(
        "hold",
        en=(
            "An earlier synthetic CT is of another patient",
            "Attempt {attempt} of revision {revision} was made when this series said {was}; now it "
            "says {now}. That synthetic CT may be at {places}.",
            "Compare with the PACS; withdraw the earlier synthetic CT where it is of the wrong "
            "patient.",
        ),
        fr=(
            "Un scanner synthétique antérieur est d'un autre patient",
            "La tentative {attempt} de la révision {revision} date de quand cette série indiquait "
            "{was} ; elle indique maintenant {now}. Ce scanner est peut-être chez {places}.",
            "Comparez avec le PACS ; retirez le scanner synthétique antérieur s'il est du mauvais "
            "patient.",
        ),
        least="hold",
    ),
    "INSTANCE_ELSEWHERE": row(
        "hold",
        en=(
            "An image is in another series",
            "SOP instance {uid} arrived for this series and is filed with another one: "
            "it is missing here.",
            "Have the sender give each image its own SOP Instance UID; send the series again.",
        ),
        fr=(
            "Une image est dans une autre série",
            "L'instance SOP {uid} est arrivée pour cette série et se trouve dans une autre : "
            "elle manque ici.",
            "Faites attribuer à chaque image son propre UID chez l'expéditeur ; renvoyez la série.",
        ),
        least="hold",
    ),
    "INSTANCE_UNFILED": row(
        "hold",
        en=(
            "An image could not be filed",
            "SOP instance {uid} arrived and the database takes no row of it: it is missing from "
            "the series and lies in {path}.",
            "Have its header corrected at the sender and the series sent again.",
        ),
        fr=(
            "Une image n'a pas pu être classée",
            "L'instance SOP {uid} est arrivée et la base refuse sa ligne : elle manque à la série "
            "et se trouve dans {path}.",
            "Faites corriger son en-tête chez l'expéditeur et renvoyer la série.",
        ),
        least="hold",
    ),
    "JOURNAL_DAMAGED": row(
        "hold",
        en=(
            "Images may have been lost here",
            "The disk has changed what was received and not filed yet, and nobody can say which "
            "images that were: {path} is kept. Some of this series may be among them.",
            "Check the disk; compare with the PACS and send the whole series again.",
        ),
        fr=(
            "Images peut-être perdues ici",
            "Le disque a modifié ce qui était reçu et pas encore classé, et nul ne peut dire "
            "quelles images : {path} est conservé. Certaines de cette série en sont peut-être.",
            "Vérifiez le disque ; comparez avec le PACS et renvoyez la série entière.",
        ),
        least="hold",
    ),
    "FILE_DAMAGED": row(
        "warning",
        en=(
            "A stored file is damaged",
            "The file of SOP instance {uid} is not what was stored: no reader gets it.",
            "Check the disk; send the series again, or restore the file from the backup.",
        ),
        fr=(
            "Un fichier archivé est endommagé",
            "Le fichier de l'instance SOP {uid} n'est plus ce qui a été archivé : "
            "personne ne l'obtient.",
            "Vérifiez le disque ; renvoyez la série, ou restaurez le fichier de la sauvegarde.",
        ),
        least="warning",
    ),
    "SERIES_INCOMPLETE": row(
        "hold",
        en=(
            "Images may be missing",
            "{count} [image|images] arrived where {source} says {expected}.",
            "Compare with the PACS; send the whole series again if images are missing there too.",
        ),
        fr=(
            "Images peut-être manquantes",
            "{count} [image reçue|images reçues] alors que {source} en annonce {expected}.",
            "Comparez avec le PACS ; renvoyez la série entière s'il en manque aussi là-bas.",
        ),
    ),
    "DATA_TRUNCATED": row(
        "refuse",
        en=("Data set cut off", "The data set ends in the middle of an element.", RESEND[0]),
        fr=("Objet tronqué", "L'objet s'arrête au milieu d'un élément.", RESEND[1]),
    ),
    "DATA_MALFORMED": row(
        "refuse",
        en=(
            "Data set malformed",
            "The data set is not encoded as its transfer syntax says.",
            "Export the object again at the sender and send it once more.",
        ),
        fr=(
            "Objet mal encodé",
            "L'objet n'est pas encodé comme l'annonce sa syntaxe de transfert.",
            "Réexportez l'objet chez l'expéditeur et renvoyez-le.",
        ),
    ),
    "DATA_MISSING": row(
        "refuse",
        en=("No data set", "The request to store has no data set.", "Send it again."),
        fr=("Objet absent", "La demande de stockage ne contient pas d'objet.", "Renvoyez-le."),
    ),
    "DATA_TOO_LARGE": row(
        "refuse",
        en=(
            "Object too large",
            "The object is larger than the node takes.",
            "Send the planning series alone, or raise the limit in node.toml.",
        ),
        fr=(
            "Objet trop volumineux",
            "L'objet dépasse la taille que le nœud accepte.",
            "Envoyez la seule série de planification, ou relevez la limite dans node.toml.",
        ),
    ),
    "SOP_CLASS_MISMATCH": row(
        "refuse",
        en=(
            "Two kinds for one object",
            "The command and the data set name different SOP classes.",
            "The sender's database and file disagree; export the object again there.",
        ),
        fr=(
            "Deux types pour un objet",
            "La commande et l'objet annoncent des classes SOP différentes.",
            "La base et le fichier de l'expéditeur divergent ; réexportez l'objet là-bas.",
        ),
    ),
    "SOP_INSTANCE_MISMATCH": row(
        "refuse",
        en=(
            "Two names for one object",
            "The command and the data set name different SOP instances.",
            "The sender's database and file disagree; export the object again there.",
        ),
        fr=(
            "Deux noms pour un objet",
            "La commande et l'objet désignent des instances SOP différentes.",
            "La base et le fichier de l'expéditeur divergent ; réexportez l'objet là-bas.",
        ),
    ),
    "NOT_AUTHORISED": row(
        "refuse",
        en=(
            "Peer may not send",
            "The peer is known but may not send.",
            "Add send to what the peer may do.",
        ),
        fr=(
            "Envoi non autorisé",
            "Le correspondant est connu mais n'a pas le droit d'envoyer.",
            "Ajoutez send à ce que ce correspondant peut faire.",
        ),
    ),
}
