"""The thread that tells security events on while a worker runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from node.audit.relay import AuditRelay
from node.audit.syslog import Collector, Syslog
from node.log import get_logger
from node.net.tls import Tls

log = get_logger(__name__)

_LOOK_S = 2.0
_LONGEST_S = 60.0


@contextmanager
def telling(
    engine: sa.Engine, collector: Collector | None, tls: Tls | None, *, ae_title: str
) -> Iterator[None]:
    """Tell what is recorded, from now until the block ends; nothing without a collector.

    Without one nothing is kept for it either.
    """
    if collector is None:
        _forget(engine)
        yield
        return
    secure = tls.client if tls is not None and collector.protocol == "tls" else None
    syslog = Syslog(collector, secure)
    # Nobody on the way may read whose images went where.
    patients = secure is not None
    relay = AuditRelay(engine, syslog.send, ae_title=ae_title, patients=patients)
    stop = threading.Event()
    thread = threading.Thread(target=_tell, args=(relay, stop), name="audit", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_LOOK_S)
        syslog.close()


def _forget(engine: sa.Engine) -> None:
    try:
        AuditRelay.forget(engine)
    except sa.exc.SQLAlchemyError as error:  # the next start does it
        log.warning("audit_not_forgotten", reason=type(error).__name__)


def _tell(relay: AuditRelay, stop: threading.Event) -> None:
    pause_s, begun = 0.0, False
    while not stop.wait(pause_s):
        try:
            if not begun:
                relay.begin()
                begun = True
            relay.round()
            pause_s = _LOOK_S
        except OSError as error:
            log.warning("audit_not_told", reason=error.strerror or str(error))
            pause_s = min(_LONGEST_S, max(_LOOK_S, 2 * pause_s))
        except sa.exc.SQLAlchemyError as error:
            log.warning("audit_not_read", reason=type(error).__name__)
            pause_s = _LONGEST_S
    if begun:
        _end(relay)


def _end(relay: AuditRelay) -> None:
    try:
        relay.round()
        relay.end()
    except (OSError, sa.exc.SQLAlchemyError) as error:
        log.warning("audit_not_told", reason=type(error).__name__)
