"""What pages ask of the site and the machine; `node.run.app` makes one for the application."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request

from node.archive.site.model_repository import ModelBook
from node.archive.site.peer_contacts import Echoes
from node.archive.site.site_repository import SiteBook

Item = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything a page may ask for beside the database."""

    book: SiteBook
    """Peers and routes, to read and to change."""
    echoes: Echoes
    """The last contact with each peer."""
    try_routes: Callable[[Path], Sequence[Item]]
    """Which route each series of a folder would take, and why not the others."""
    models: Callable[[], Sequence[Item]]
    """What is in the models folder."""
    model_book: ModelBook
    """Sign-offs, checks and figures of models."""
    conformance: Callable[[], str] | None = None
    """The conformance statement, Markdown."""
    system: Callable[[], Item] | None = None
    """Disk, providers, versions."""
    log_lines: Callable[[float], Sequence[Item]] | None = None
    """What the processes logged in the last so many seconds, newest first."""


def desk(request: Request) -> Desk:
    """The application's desk."""
    found: Desk | None = request.app.state.desk
    if found is None:
        raise HTTPException(503, "This process was given no site.")
    return found
