"""Builds every object from Settings; what runs models is built by `node.run.generators`.

What is expensive or heavy to import is built, and imported, when it is first asked for: a process
that receives needs no ONNX Runtime.
"""

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from threading import Event
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from node import __version__
from node.archive.files import Folder
from node.archive.query.queries import Queries
from node.archive.schema.database import refuse_unsafe, require_private
from node.archive.schema.migrate import upgrade
from node.archive.schema.tables import open_engine, sqlite_url
from node.archive.site.site_repository import SiteBook
from node.audit.feed import telling
from node.config.settings import Settings
from node.domain.door import Patience
from node.domain.errors import Misconfigured, Retryable
from node.domain.site import Site
from node.log import get_logger
from node.net.tls import Tls, Validity, validity_of
from node.run.allocator import keep_freed_memory
from node.run.generators import GeneratorPool, model_rows, only_model, registry, verified

if TYPE_CHECKING:
    from node.archive.evidence.offering import Offerings
    from node.archive.ingest.journal_writer import Filer
    from node.archive.people.accounts import Accounts
    from node.archive.rows.index import Index
    from node.archive.upkeep.adopt_files import Adopter
    from node.convert import ConversionContext
    from node.flow.worker import WorkerValues
    from node.web.views.page_services import Desk

log = get_logger(__name__)


def conversion_context(settings: Settings, *, model_name: str | None) -> "ConversionContext":
    """What `convert` needs."""
    from node.convert import ConversionContext

    models = registry(settings)
    return ConversionContext(
        site=settings.site,
        model_named=lambda name: models.find(name).ref,
        default_model=lambda: only_model(models),
        generator=GeneratorPool(settings),
        model_name=model_name,
        software_version=__version__,
        settings=settings.inference.that_change_pixels,
        mark_synthetic=settings.output.mark_synthetic,
    )


def database(settings: Settings) -> sa.Engine:
    """The node's own database, its tables brought up to date."""
    settings.node.data_dir.mkdir(parents=True, exist_ok=True)
    url = settings.database.url or sqlite_url(settings.node.data_dir / "node.sqlite")
    engine = open_engine(url)
    refuse_unsafe(engine)
    upgrade(engine, lock_file=settings.node.data_dir / "migrate.lock")
    return engine


def prove_folder(settings: Settings, engine: sa.Engine) -> str:
    """Try locks and syncs of the data folder, between machines too where there may be several.

    Raises `Misconfigured` where what is acknowledged there could be lost.
    """
    from node.archive.upkeep import folder_proof
    from node.archive.work.leases import Leases

    data = settings.node.data_dir
    try:
        told = folder_proof.prove_folder(data)
        if engine.dialect.name == "postgresql":
            told += f" {folder_proof.prove_machines(data, Leases(engine), settings.node.machine)}"
    except OSError as error:
        raise Misconfigured(
            f"The data folder {data} cannot be used: {error.strerror or error}.",
            remedy="Check the folder, its disk and the rights to it.",
        ) from None
    return told


def adopter(settings: Settings, engine: sa.Engine) -> "Adopter":
    """Who takes up files without a row."""
    from node.archive.rows.index import Index
    from node.archive.upkeep.adopt_files import Adopter

    peers = {str(peer.ae_title): peer.name for peer in current_site(settings).peers}
    folder = Folder(settings.node.data_dir)
    return Adopter(folder, Index(engine), peer_of=lambda title: peers.get(title))


def queries(settings: Settings) -> Queries:
    """What is read from the database."""
    return Queries(database(settings))


def accounts(settings: Settings) -> "Accounts":
    """The people who may log in to the page."""
    from node.archive.people.accounts import Accounts

    return Accounts(database(settings))


def site_book(settings: Settings, engine: sa.Engine | None = None) -> SiteBook:
    """Peers and routes: to read, and to change while the node runs."""
    return SiteBook(
        engine or database(settings),
        settings.site,
        models=lambda: {m.ref.name for m in registry(settings).models},
    )


def conformance_statement(settings: Settings) -> str:
    """The DICOM Conformance Statement of these settings, Markdown."""
    from node.conformance import Configuration, statement

    dicom = settings.dicom
    return statement(
        Configuration(
            version=__version__,
            ae_titles=(settings.node.ae_title, *dicom.called_ae_titles),
            port=dicom.port,
            tls_port=dicom.tls.port,
            tls_profile=dicom.tls.files.profile if dicom.tls.files else "bcp195",
            unknown_peers=dicom.unknown_peers,
            acceptors=dicom.acceptors,
            max_associations=dicom.max_associations,
            network_timeout_s=dicom.network_timeout_s,
            quiet_s=settings.intake.quiet_s,
            mark_synthetic=settings.output.mark_synthetic,
        )
    )


def current_site(settings: Settings) -> Site:
    """Peers and routes of the file, and those added at run time."""
    return site_book(settings).current()


def echo_peer(settings: Settings, name: str) -> str:
    """C-ECHO to a peer; `Retryable` says why there was no answer."""
    from node.scu.echo import echo

    peer = current_site(settings).peer(name)
    if peer is None:
        raise Misconfigured(f"There is no peer {name!r}.", remedy="See pctnode peers list.")
    identity(settings)
    result = echo(peer, calling_ae=settings.node.ae_title)
    if not result.ok:
        raise Retryable(result.sentence, remedy=result.remedy)
    return result.sentence


def run_scp(settings: Settings, listeners: Sequence[socket.socket], stop: Event, slot: int) -> None:
    """Receive on ``listeners``, as `listen` gives them, until ``stop`` is set."""
    keep_freed_memory()
    from node.archive.ingest.receive import Receiver
    from node.archive.query.catalogue import Catalogue
    from node.archive.query.commitments import Commitments
    from node.archive.rows.index import Index
    from node.scp.admission import Policy
    from node.scp.server import ScpLimits, Secure, serve_scp

    tls = identity(settings)
    engine = database(settings)
    index, book = Index(engine), site_book(settings, engine)
    folder = Folder(settings.node.data_dir)
    min_free = settings.retention.min_free_bytes
    filer = _filer(settings, folder, index)

    def policy() -> Policy:
        return Policy(
            ae_titles=(settings.node.ae_title, *settings.dicom.called_ae_titles),
            peers=book.current().peers,
            accept_unknown=settings.dicom.unknown_peers == "accept",
        )

    with _offerings(engine, folder) as offerings, filer or nullcontext():
        serve_scp(
            listeners[0],
            stop,
            ae_title=settings.node.ae_title,
            policy=policy,
            receiver=Receiver(folder, index, min_free_bytes=min_free, filer=filer),
            records=index,
            offerings=offerings,
            folder=folder,
            catalogue=Catalogue(engine),
            commitments=Commitments(engine),
            secure=Secure(listener=listeners[1], tls=tls) if tls and len(listeners) > 1 else None,
            limits=ScpLimits(
                max_associations=settings.dicom.max_associations,
                network_timeout_s=settings.dicom.network_timeout_s,
                acceptors=settings.dicom.acceptors,
            ),
            own_loop=settings.dicom.receiver == "loop",
            ready=lambda: log.info("role_ready", slot=slot),
        )


def _offerings(engine: sa.Engine, folder: Folder) -> "Offerings":
    """What the associations of this process offer, for the ledger of the door."""
    from node.archive.evidence.holders import Holder
    from node.archive.evidence.ledger import Ledger
    from node.archive.evidence.offering import Offerings

    return Offerings(Ledger(engine), Holder(folder))


def _filer(settings: Settings, folder: Folder, index: "Index") -> "Filer | None":
    """The journal of an acceptor, after what an earlier one has left is filed."""
    from node.archive.ingest.journal_claim import Watch
    from node.archive.ingest.journal_writer import LATEST_S, Filer
    from node.archive.ingest.recovery import recover
    from node.archive.upkeep.mounts import may_be_shared

    shared = may_be_shared(folder.root, index.engine)
    try:
        recover(folder, index, Watch(shared=shared))
    except (DBAPIError, OSError) as error:  # the workers try again, once a second
        log.warning("journal_not_recovered", reason=type(error).__name__)
    if settings.dicom.receiver != "loop" or not settings.dicom.journal_mb:
        return None
    return Filer(
        folder,
        index,
        segment_bytes=settings.dicom.journal_mb << 20,
        # A series must not look quiet because its instances wait for their rows.
        latest_s=min(LATEST_S, settings.intake.quiet_s / 8),
        shared=shared,
    )


def listen(settings: Settings) -> list[socket.socket]:
    """Open the DICOM port, and the one for TLS where there is one: every acceptor shares them."""
    from node.scp.server import listen as open_port

    dicom = settings.dicom
    identity(settings)  # what is wrong with the certificate is said before anything listens
    return [
        open_port(dicom.host, port)
        for port in (dicom.port, dicom.tls.port or None)
        if port is not None
    ]


def identity(settings: Settings) -> Tls | None:
    """The node's certificate for TLS, which peers are called with from now on; None without."""
    from node.scu.association import secure_with

    files = settings.dicom.tls.files
    tls = Tls(files) if files else None
    secure_with(tls)
    return tls


def tls_validity(settings: Settings) -> tuple[Validity, ...]:
    """How long the certificates of DICOM and of the page are good for; empty without TLS."""
    files, page = settings.dicom.tls.files, settings.web.certificate
    dicom = Tls(files).validity() if files else ()
    return (*dicom, *(validity_of(page)[:1] if page else ()))


def _validity_now(settings: Settings) -> tuple[Validity, ...]:
    """None while the files are being replaced: a scrape must not fail for that."""
    try:
        return tls_validity(settings)
    except Misconfigured as error:
        log.warning("certificate_not_read", reason=error.message)
        return ()


def run_worker(settings: Settings, stop: Event, slot: int) -> None:
    """Run the line and deliveries until ``stop`` is set."""
    from node.flow import worker

    tls = identity(settings)
    engine = database(settings)
    _warn_of_database(engine)
    values = _worker_values(settings, engine, slot)
    collector = settings.audit.collector
    tells = telling(engine, collector, tls, ae_title=settings.node.ae_title)
    with tells if slot == 0 else nullcontext():
        worker.run_worker(values, stop, ready=lambda: log.info("role_ready", slot=slot))


def _worker_values(settings: Settings, engine: sa.Engine, slot: int) -> "WorkerValues":
    from node.archive.upkeep.scrub import ScrubRules
    from node.flow.housekeeping import KeepRules
    from node.flow.step_context import Rules
    from node.flow.worker import WorkerValues
    from node.run.notifications import notices
    from node.run.system import worker_facts

    retention = settings.retention
    return WorkerValues(
        database=engine,
        engine_url=engine_database(settings),
        folder=Folder(settings.node.data_dir),
        locks=settings.node.data_dir / "locks",
        machine=settings.node.machine,
        time_to_live_s=settings.node.takeover_s,
        beat_s=settings.node.takeover_s / 12,
        site=site_book(settings, engine).current,
        model_named=lambda name: registry(settings).find(name).ref,
        generator=GeneratorPool(settings),
        rules=Rules(
            software_version=__version__,
            settings=settings.inference.that_change_pixels,
            label=settings.output.label,
            mark_synthetic=settings.output.mark_synthetic,
        ),
        ae_title=settings.node.ae_title,
        quiet_s=settings.intake.quiet_s,
        patience=Patience(return_s=settings.intake.return_s, open_s=settings.intake.open_s),
        keep=KeepRules(
            days=retention.days,
            max_bytes=int(retention.max_gb * 1e9),
            min_free_bytes=retention.min_free_bytes,
        ),
        scrub=ScrubRules(days=retention.scrub_days, bytes_per_s=retention.scrub_mb_s * 1e6),
        notices=notices(settings, lambda: tls_validity(settings)),
        verify=lambda name, version: verified(settings, name, version),
        facts=lambda: worker_facts(settings),
        slot=slot,
    )


def engine_database(settings: Settings) -> str:
    """Where the engine of durable work keeps its rows."""
    from node.flow.engine import engine_url

    return engine_url(settings.database.url, settings.node.data_dir)


def run_web(settings: Settings, stop: Event, *, alone: bool = True) -> None:
    """Serve pages and API until ``stop`` is set; ``alone``: no other role is on this host."""
    from node.run.access import tell_set_up
    from node.web.server import serve_web

    tell_set_up(settings, database(settings))
    web = settings.web
    serve_web(
        build_web(settings, alone=alone),
        web.host,
        web.port,
        stop,
        certificate=web.certificate,
        key=web.key,
    )


def build_web(settings: Settings, *, alone: bool = False) -> Any:
    """Build the web application: queries, flow client and values, nothing of Settings."""
    from node.archive.ingest.receive import Receiver
    from node.archive.query.catalogue import Catalogue
    from node.archive.rows.index import Index
    from node.flow.client import FlowClient
    from node.run.access import web_access
    from node.web.app import create_app
    from node.web.dicomweb.router import DicomWeb

    engine, folder = database(settings), Folder(settings.node.data_dir)
    min_free = settings.retention.min_free_bytes
    return create_app(
        queries=Queries(engine),
        access=web_access(settings, engine),
        dicomweb=DicomWeb(
            catalogue=Catalogue(engine),
            folder=folder,
            receiver=Receiver(folder, Index(engine), min_free_bytes=min_free),
            offerings=_offerings(engine, folder),
        ),
        desk=_desk(settings, engine),
        certificates=lambda: _validity_now(settings),
        flow=FlowClient(engine, engine_database(settings), folder),
        archive_root=settings.node.data_dir,
        ae_title=settings.node.ae_title,
        dicom_port=settings.dicom.port,
        ready=_ready(settings, engine, alone=alone),
    )


def _ready(
    settings: Settings, engine: sa.Engine, *, alone: bool
) -> Callable[[], Mapping[str, str | None]]:
    from node.web.health.readiness import readiness, readiness_alone

    data, least = settings.node.data_dir, settings.retention.min_free_bytes
    if not alone:
        models = settings.inference.models_dir
        return readiness(port=settings.dicom.port, models=models, data=data, watermark_bytes=least)
    workers = Queries(engine).workers

    def alive() -> int:
        return sum(worker["alive"] for worker in workers(time_to_live_s=settings.node.takeover_s))

    return readiness_alone(data=data, watermark_bytes=least, alive=alive)


def _desk(settings: Settings, engine: sa.Engine) -> "Desk":
    from node.archive.site.model_repository import ModelBook
    from node.archive.site.peer_contacts import Echoes
    from node.run.route_dry_run import try_routes
    from node.run.system import log_lines, system
    from node.web.views.page_services import Desk

    return Desk(
        book=site_book(settings, engine),
        echoes=Echoes(engine),
        try_routes=lambda folder: try_routes(settings, folder),
        models=lambda: model_rows(settings),
        model_book=ModelBook(engine),
        conformance=lambda: conformance_statement(settings),
        system=lambda: system(settings, engine),
        log_lines=lambda within_s: log_lines(settings.node.data_dir, within_s),
    )


def database_sentence(settings: Settings) -> str:
    """What `check` says of the database."""
    engine = database(settings)
    Queries(engine).alive()
    how = require_private(engine)
    return f"{engine.url.render_as_string(hide_password=True)} answers{', ' if how else ''}{how}."


def _warn_of_database(engine: sa.Engine) -> None:
    """Warn at the start of what `check` refuses: an upgrade must not stop a hospital's node."""
    try:
        require_private(engine)
    except Misconfigured as error:
        log.warning("database_not_private", sentence=error.message, remedy=error.remedy)
