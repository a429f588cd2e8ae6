"""Texts of how a series arrived."""

DOOR: dict[str, tuple[str, str]] = {
    "series.door": ("Arrival", "Arrivée"),
    "series.door.complete.one": (
        "{n} image is here; nothing says that any is missing.",
        "{n} image est là ; rien ne dit qu’il en manque.",
    ),
    "series.door.complete.many": (
        "{n} images are here; nothing says that any is missing.",
        "{n} images sont là ; rien ne dit qu’il en manque.",
    ),
    "series.door.counted": (
        "{n} images are here, as many as {who} says.",
        "{n} images sont là, autant que {who} en annonce.",
    ),
    "series.door.open.one": (
        "{n} image is here; an association is open and may bring more.",
        "{n} image est là ; une association est ouverte et peut en apporter d’autres.",
    ),
    "series.door.open.many": (
        "{n} images are here; an association is open and may bring more.",
        "{n} images sont là ; une association est ouverte et peut en apporter d’autres.",
    ),
    "series.door.short": (
        "{n} images are here; {who} says {expected}.",
        "{n} images sont là ; {who} en annonce {expected}.",
    ),
    "series.door.doubt.one": (
        "{n} image is here; others may be missing.",
        "{n} image est là ; il en manque peut-être d’autres.",
    ),
    "series.door.doubt.many": (
        "{n} images are here; others may be missing.",
        "{n} images sont là ; il en manque peut-être d’autres.",
    ),
    "series.door.unknown": (
        "Who brought this series was not recorded.",
        "La provenance de cette série n’a pas été enregistrée.",
    ),
    "series.door.line": ("{who}, {at}: {what}; {how}", "{who}, {at} : {what} ; {how}"),
    "series.door.stored": ("{n} stored", "{n} [enregistrée|enregistrées]"),
    "series.door.duplicates": ("{n} here already", "{n} déjà là"),
    "series.door.conflicts": ("{n} set aside", "{n} [mise|mises] à part"),
    "series.door.refused": (
        "{n} refused and not here",
        "{n} [refusée, absente|refusées, absentes]",
    ),
    "series.door.nothing": ("nothing new", "rien de nouveau"),
    "series.door.missing": ("Refused: {why} ({n})", "Refusé : {why} ({n})"),
    "series.ending.open": ("still open", "encore ouverte"),
    "series.ending.released": ("ended in order", "terminée normalement"),
    "series.ending.aborted": ("aborted by the sender", "interrompue par l’expéditeur"),
    "series.ending.broken": ("the connection broke", "connexion rompue"),
    "series.ending.silent": ("silent too long, ended", "silencieuse trop longtemps, terminée"),
    "series.ending.stopped": ("ended by the node", "terminée par le nœud"),
    "series.ending.lost": (
        "lost: the node’s process ended first",
        "perdue : le processus du nœud s’est arrêté avant",
    ),
}
