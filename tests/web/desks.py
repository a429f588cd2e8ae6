"""What the pages of a test ask of site and machine."""

from typing import Any

import sqlalchemy as sa

from node.archive.site.model_repository import ModelBook
from node.archive.site.peer_contacts import Echoes
from node.archive.site.site_repository import SiteBook
from node.domain.site import Peer, Route, Site
from node.web.views.page_services import Desk


def desk_of(
    engine: sa.Engine, *, peers: tuple[Peer, ...] = (), routes: tuple[Route, ...] = (), **more: Any
) -> Desk:
    """A desk on a database, with peers and routes of a settings file; ``more`` are other fields."""
    models = more.get("models", list)
    known: dict[str, Any] = {
        "book": SiteBook(
            engine, Site(peers=peers, routes=routes), models=lambda: {m["name"] for m in models()}
        ),
        "echoes": Echoes(engine),
        "try_routes": lambda _folder: [],
        "models": models,
        "model_book": ModelBook(engine),
    }
    return Desk(**{**known, **more})
