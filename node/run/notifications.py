"""Builds from Settings whom the node tells of what needs a person; `node.run.app` hands it on."""

from collections.abc import Callable, Iterable, Iterator

from node.config.settings import Settings
from node.flow.notifications import Expiry, Notices
from node.net.tls import Validity


def notices(settings: Settings, validity: Callable[[], Iterable[Validity]]) -> Notices:
    """Whom to tell, and what; ``validity`` gives the certificates in use."""

    def certificates() -> Iterator[Expiry]:
        for one in validity():
            yield Expiry(name=one.file.name, ends_at=one.ends_at.timestamp())

    return Notices(
        urls=settings.notifications.urls,
        events=settings.notifications.events,
        page=settings.notifications.page,
        node=settings.node.ae_title,
        min_free_bytes=settings.retention.min_free_bytes,
        certificates=certificates,
    )
