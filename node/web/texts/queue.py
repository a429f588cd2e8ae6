"""Texts of the queue."""

QUEUE: dict[str, tuple[str, str]] = {
    "queue.title": ("Queue", "File"),
    "queue.needs_you": ("Needs you", "À traiter"),
    "queue.in_progress": ("In progress", "En cours"),
    "queue.done_today": ("Done today", "Terminées aujourd’hui"),
    "queue.earlier": ("Earlier", "Plus tôt"),
    "queue.all": ("All", "Tout"),
    "queue.filters": ("Filter by state", "Filtrer par état"),
    "queue.search": ("Find patient, ID or accession", "Patient, identifiant ou n° d’accès"),
    "queue.images.one": ("{n} image", "{n} image"),
    "queue.images.many": ("{n} images", "{n} images"),
    "queue.nothing": ("Nothing here.", "Rien ici."),
}
