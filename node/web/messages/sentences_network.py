"""French for what deliveries, their proof and pulls say; see `node.web.messages.sentences`."""

FORMS: tuple[tuple[str, str], ...] = (
    # -- pulls (node.domain.site) ------------------------------------------------------------------
    (
        r"Nothing was pulled: there is no peer (.+?)\. "
        r"An archive is asked under the name it has here\.",
        r"Rien n’a été rapatrié : il n’y a pas de système \1. "
        r"Une archive est interrogée sous le nom qu’elle porte ici.",
    ),
    (r"Name one of those that may send: (.+)\.", r"Nommez l’un de ceux qui peuvent envoyer : \1."),
    (
        r"Add the archive to the peers, with may = \[\"send\"\]\.",
        'Ajoutez l’archive aux systèmes, avec may = ["send"].',
    ),
    (
        r"Nothing was pulled: (\S+) may not send to us\. What it sent would be refused\.",
        r"Rien n’a été rapatrié : \1 ne peut pas nous envoyer d’images. "
        r"Ce qu’il enverrait serait refusé.",
    ),
    (r"Add send to what it may do\.", "Ajoutez send à ses droits."),
    # -- proof of delivery (node.flow.proof) -------------------------------------------------------
    (
        r"(\d+) objects stored at (\S+) and found there\.",
        r"\1 objets enregistrés par \2 et retrouvés là-bas.",
    ),
    (
        r"(\d+) objects stored at (\S+) and committed to\.",
        r"\1 objets enregistrés par \2, qui s’engage à les garder.",
    ),
    (
        r"(\d+) objects stored at (\S+) and fetched back, the same\.",
        r"\1 objets enregistrés par \2 et relus à l’identique.",
    ),
    (
        r"(\d+) objects stored at (\S+), not confirmed yet: "
        r"\S+ has not reported on its storage commitment yet\.",
        r"\1 objets enregistrés par \2, pas encore confirmés : "
        r"l’engagement de stockage est attendu.",
    ),
    (
        r"(\d+) objects stored at (\S+), not confirmed yet: \S+ does not list (\d+) yet\.",
        r"\1 objets enregistrés par \2, pas encore confirmés : il en manque \3.",
    ),
    (
        r"(\d+) objects stored at (\S+), not confirmed yet: (.+)",
        r"\1 objets enregistrés par \2, pas encore confirmés : \3",
    ),
    (
        r"(\S+) says it does not have (\d+) of (\d+) objects; they are sent again\.",
        r"\1 dit ne pas avoir \2 objets sur \3 ; ils sont renvoyés.",
    ),
    (
        r"(\S+) says it does not have (\d+) of (\d+) objects after (\d+) attempts\. "
        r"Look at the peer's log\.",
        r"\1 dit ne pas avoir \2 objets sur \3 après \4 tentatives. Voyez le journal du système.",
    ),
    (
        r"(\S+) did not give (\d+) of (\d+) objects as sent; they are sent again\.",
        r"\1 n’a pas rendu \2 objets sur \3 tels qu’envoyés ; ils sont renvoyés.",
    ),
    (
        r"(\S+) did not give (\d+) of (\d+) objects as sent after (\d+) attempts\. "
        r"Look at the peer's log\.",
        r"\1 n’a pas rendu \2 objets sur \3 tels qu’envoyés après \4 tentatives. "
        r"Voyez le journal du système.",
    ),
    (
        r"Sent, and not confirmed after (\d+) looks: (.+)",
        r"Envoyée, et pas confirmée après \1 vérifications : \2",
    ),
    (
        r"(\d+) objects stored at (\S+), which stands in for (\S+)\.",
        r"\1 objets enregistrés par \2, qui remplace \3.",
    ),
    (
        r"(\d+) objects stored at (\S+), which stands in for (\S+)\. "
        r"Waiting for the proof it asks for \((\w+)\)\.",
        r"\1 objets enregistrés par \2, qui remplace \3. En attente de la preuve demandée (\4).",
    ),
    # -- sending (node.flow.delivery, node.scu) ----------------------------------------------------
    (
        r"There is no peer (\S+) any more; add it and send again\.",
        r"Il n’y a plus de système \1 ; ajoutez-le et renvoyez.",
    ),
    (
        r"A defect of the node stopped the delivery; the log has the details\.",
        "Un défaut du nœud a arrêté l’envoi ; le journal en donne les détails.",
    ),
    (
        r"(\S+) \((.+?)\) accepts none of the object classes offered to it\.(.*)",
        r"\1 (\2) n’accepte aucune des classes d’objets proposées.\3",
    ),
    (
        r"(\S+) answered (0x[0-9A-F]{4}) \((.+?)\) for ([\d.]+)\.( .+)?",
        r"\1 a répondu \2 (\3) pour \4.\5",
    ),
    (
        r"(\S+) broke the association off, or did not answer, at ([\d.]+)\.( .+)?",
        r"\1 a rompu l’association, ou n’a pas répondu, à \2.\3",
    ),
)
