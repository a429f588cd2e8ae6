"""French for the sentences the node writes into its database in English.

What has codes and values is spoken from them; the rest is matched by its form. A sentence without
a form here, such as a peer's own words, is shown as it was written.
"""

import re

from node.domain.wording import Language, agreed
from node.web.messages.sentences_network import FORMS as network_forms  # noqa: N811 - it joins ours
from node.web.messages.sentences_site import ENDS, VISITS
from node.web.messages.sentences_site import FORMS as site_forms  # noqa: N811 - it joins ours
from node.web.messages.sentences_worker import FORMS as worker_forms  # noqa: N811 - it joins ours

_FORMS: tuple[tuple[str, str], ...] = (
    (r"Instances are arriving\.", "Des images arrivent."),
    (r"The first instance arrived\.", "La première image est arrivée."),
    (
        r"More instances arrived after revision (\d+) was taken up\.",
        r"D’autres images sont arrivées après la prise en charge de la révision \1.",
    ),
    (
        r"The file of SOP instance (\S+) was damaged or gone; it came again, whole\.",
        r"Le fichier de l’instance SOP \1 était endommagé ou absent ; il est revenu, intact.",
    ),
    (
        r"Its sender broke off or was refused images; waiting for it to come back\.",
        "L’expéditeur a interrompu l’envoi ou s’est vu refuser des images ; attente de son retour.",
    ),
    (
        r"Its sender came back and ended in order\.",
        "L’expéditeur est revenu et a terminé normalement.",
    ),
    (r"Waiting for a free worker\.", "En attente d’un calculateur libre."),
    (r"Reading the images\.", "Lecture des images."),
    (r"Checking the images\.", "Contrôle des images."),
    (r"Planning the synthetic CT\.", "Préparation du scanner synthétique."),
    (r"Making the synthetic CT\.", "Calcul du scanner synthétique."),
    (
        r"Making the synthetic CT: [a-z ]+, (\d+) ?%\.",
        r"Calcul du scanner synthétique, \1 %.",
    ),
    (r"Writing the synthetic CT\.", "Écriture du scanner synthétique."),
    (r"Deciding whether it may leave\.", "Décision d’envoi."),
    (r"The route asks for a signature\.", "La règle demande une signature."),
    (r"(\d+) finding(?:\(s\)|s)? to read: (.+)\.", r"\1 [constat|constats] à lire : \2."),
    (
        r"Released by its route with (\d+) warnings?: ([A-Z0-9_, ]+)\.",
        r"Libérée par sa règle avec \1 [avertissement|avertissements] : \2.",
    ),
    (r"On its way to (.+)\.", r"En route vers \1."),
    (r"All checks passed\.", "Tous les contrôles sont réussis."),
    (
        r"All checks passed\. On its way to (.+)\.",
        r"Tous les contrôles sont réussis. En route vers \1.",
    ),
    (
        r"(.+) The route names no destination\.",
        r"\1 La règle ne nomme aucune destination.",
    ),
    (r"Released by ([^:]+?)\. Delivered to (.+)\.", r"Libérée par \1. Envoyée à \2."),
    (r"Released by (.+?): (.+)\. Delivered to (.+)\.", r"Libérée par \1 : \2. Envoyée à \3."),
    (r"Signed by ([^:]+?)\. Delivered to (.+)\.", r"Signée par \1. Envoyée à \2."),
    (r"Signed by (.+?): (.+)\. Delivered to (.+)\.", r"Signée par \1 : \2. Envoyée à \3."),
    (r"Released by (.+?)\. On its way to (.+)\.", r"Libérée par \1. En route vers \2."),
    (r"Released by (.+?): (.+)\. On its way to (.+)\.", r"Libérée par \1 : \2. En route vers \3."),
    (r"Released by (.+?): (.+)\.", r"Libérée par \1 : \2."),
    (r"Released by (.+?)\.", r"Libérée par \1."),
    (r"Rejected by (.+?): (.+)\.", r"Rejetée par \1 : \2."),
    (r"Set aside by (.+?): (.+)\.", r"Classée par \1 : \2."),
    (r"Signed by (.+?): (.+)\. On its way to (.+)\.", r"Signée par \1 : \2. En route vers \3."),
    (r"Signed by (.+?)\. On its way to (.+)\.", r"Signée par \1. En route vers \2."),
    (r"Signed by (.+?): (.+)\.", r"Signée par \1 : \2."),
    (r"Signed by (.+?)\.", r"Signée par \1."),
    (
        r"Held by (.+?): (.+)\. (\d+) object(?:\(s\)|s)? had been sent already\.",
        r"Retenue par \1 : \2. \3 [objet était déjà parti|objets étaient déjà partis].",
    ),
    (
        r"Held by (.+?)\. (\d+) object(?:\(s\)|s)? had been sent already\.",
        r"Retenue par \1. \2 [objet était déjà parti|objets étaient déjà partis].",
    ),
    (
        r"Held by (.+?): (.+)\. It may have reached (.+) already\.",
        r"Retenue par \1 : \2. Elle est peut-être déjà chez \3.",
    ),
    (
        r"Held by (.+?)\. It may have reached (.+) already\.",
        r"Retenue par \1. Elle est peut-être déjà chez \2.",
    ),
    (r"Held by (.+?): (.+)\.", r"Retenue par \1 : \2."),
    (r"Held by (.+?)\.", r"Retenue par \1."),
    (r"Resumed by (.+?); (.+) had held it\.", r"Reprise par \1 ; \2 la retenait."),
    (
        r"It was being sent to (.+): the notice goes there, too\.",
        r"Envoi vers \1 en cours au moment du retrait : l’avis y part aussi.",
    ),
    (
        r"Not sent: the release of this sCT was taken back\.",
        "Pas envoyé : la libération de ce scanner synthétique a été reprise.",
    ),
    (r"Withdrawn by (.+?): (.+)\.", r"Retirée par \1 : \2."),
    (r"Attempt (\d+), asked for by (.+)\.", r"Tentative \1, demandée par \2."),
    (r"Sent again to (.+), asked for by (.+)\.", r"Renvoyée à \1, à la demande de \2."),
    (r"Delivered to (.+)\.", r"Envoyée à \1."),
    (r"Waiting to be sent\.", "En attente d’envoi."),
    (r"Waiting to be sent again\.", "En attente d’un nouvel envoi."),
    (r"Sending (\d+) of (\d+) objects\.", r"Envoi de \1 objets sur \2."),
    (r"(\d+) objects stored at (\S+)\.", r"\1 objets enregistrés par \2."),
    (
        r"(\d+) objects stored at (\S+)\. Waiting for the proof it asks for \((\w+)\)\.",
        r"\1 objets enregistrés par \2. En attente de la preuve demandée (\3).",
    ),
    (
        r"(.+) Attempt (\d+); the next one in (\d+) s\.",
        r"\1 Tentative \2 ; la suivante dans \3 s.",
    ),
    (r"Given up after (\d+) attempts\. (.+)", r"Abandon après \1 tentatives. \2"),
    (
        r"(\S+ \(.+?\)) cannot be reached: (.+?)\.( .*)?",
        r"\1 est injoignable : \2.\3",
    ),
    (
        r"(\d+) instance(?:\(s\)|s)?, (\d+) stack(?:\(s\)|s)?\.",
        r"\1 [image|images], \2 [volume|volumes].",
    ),
    (r"Route (.+); (\d+) finding(?:\(s\)|s)?\.", r"Règle \1 ; \2 [constat|constats]."),
    (
        r"(\S+ \S+), (\d+) slices of (\d+) x (\d+) at ([\d.]+) mm\.",
        r"\1, \2 coupes de \3 × \4 à \5 mm.",
    ),
    (
        r"(\d+) CT images, ([\d.]+) MB, read back and compared\.",
        r"\1 images scanner, \2 Mo, relues et comparées.",
    ),
    (
        r"Kept: no route asks for it(.*)\.",
        r"Conservée : aucune règle ne la demande\1.",
    ),
    (
        r"Kept: no synthetic CT is made of (.+)\.",
        r"Conservée : on ne fait pas de scanner synthétique à partir de \1.",
    ),
    (r"Refused: no stack can be used\.", "Refusée : aucun volume n’est utilisable."),
    (
        r"hash right; the model has no golden case",
        "empreinte conforme ; le modèle n’a pas de cas témoin",
    ),
    (
        r"hash and golden case right, ([\d.]+) HU off",
        r"empreinte et cas témoin conformes, écart de \1 UH",
    ),
    (r"Given up after several tries: (.+)", r"Abandon après plusieurs essais : \1"),
)
ALL_FORMS = (*network_forms, *_FORMS, *site_forms, *worker_forms)
_COMPILED = tuple((re.compile(form, re.DOTALL), french) for form, french in ALL_FORMS)
# A fault of a setting names its place first: ``peers[2].port: 0 is not between 1 and 65535.``
_DECIMAL = re.compile(r"(?<![\w.])(\d+)\.(\d+)(?=[ \u00a0](?:%|(?:mm|UH|Mo|Go|s|T)\b))")
_AT = re.compile(r"\((\S+) at (\S+:\d+)\)")
_GROUP = re.compile(r"\\(\d)")
_NEXT_SENTENCE = re.compile(r"(?<=[.?]) (?=[A-Z])")
_KEPT_OUT = re.compile(r"(\d+) of (\d+) contexts not accepted: (.+)", re.DOTALL)
_PLACE = re.compile(r"([a-z_]+(?:\[\d+\])?(?:\.[A-Za-z_0-9]+)*): (.+)", re.DOTALL)


def spoken(sentence: str, language: str) -> str:
    """A sentence of the database in ``language``."""
    told = _told(sentence) if language == Language.FR else None
    return sentence if told is None else _typeset(told)


def understood(sentence: str) -> bool:
    """Whether the sentence has a form here."""
    return _told(sentence) is not None


def _told(text: str) -> str | None:
    """``text`` in French, as a whole or sentence by sentence; None where a part has no form."""
    if (placed := _PLACE.fullmatch(text)) and (fault := _told(placed[2])):
        return f"{placed[1]}\u00a0: {fault}"
    if visit := _visit(text):
        return visit
    for form, french in _COMPILED:
        if found := form.fullmatch(text):
            return _expanded(found, french)
    parts = _NEXT_SENTENCE.split(text)
    told = [_told(part) for part in parts] if len(parts) > 1 else [None]
    known = [part for part in told if part is not None]
    return " ".join(known) if len(known) == len(told) else None


def _expanded(found: re.Match[str], french: str) -> str:
    """``french`` with the groups it names; reasons and remedies among them are French, too."""
    return _GROUP.sub(lambda named: _inner(found[int(named[1])] or ""), french)


def _inner(text: str) -> str:
    """A part of a sentence: in French where it has a form of its own."""
    bare = text.strip()
    return text.replace(bare, _told(bare) or bare) if bare else text


def _visit(sentence: str) -> str:
    """How an association went, each part by itself; empty for another sentence."""
    end = next((end for end in ENDS if sentence.startswith(end)), None)
    if end is None:
        return ""
    rest = sentence.removeprefix(end).strip().removesuffix(".")
    kept_out = _KEPT_OUT.search(rest)
    served = rest[: kept_out.start()].strip().removesuffix(".") if kept_out else rest
    told = [_part(part) for part in _listed(served)]
    if kept_out:
        reasons = " ; ".join(_inner(reason) for reason in kept_out[3].split("; "))
        told.append(f"{kept_out[1]} contextes sur {kept_out[2]} non acceptés : {reasons}")
    parts = ", ".join(told)
    return f"{ENDS[end]} {parts[:1].upper()}{parts[1:]}".strip() + ("." if told else "")


def _listed(text: str) -> list[str]:
    """The parts between commas, those in parentheses and of a report aside."""
    parts: list[str] = []
    for piece in filter(None, text.strip().split(", ")):
        unfinished = parts and parts[-1].count("(") > parts[-1].count(")")
        if unfinished or (parts and re.match(r"\d+ not", piece)):
            parts[-1] += f", {piece}"
        else:
            parts.append(piece)
    return parts


def _part(part: str) -> str:
    for form, french in VISITS:
        if found := re.fullmatch(form, part):
            return _expanded(found, french)
    return part


def _typeset(french: str) -> str:
    for mark in (" :", " ;", " %", " ?", " »"):
        french = french.replace(mark, "\u00a0" + mark[1:])
    french = agreed(french, Language.FR)
    french = _DECIMAL.sub(r"\1,\2", french.replace("« ", "«\u00a0"))
    return _AT.sub(r"(\1, \2)", french)
