"""One worker process: runs workflows, looks for due work, gives signs of life, ends in order."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from node.archive.evidence.expectations import Expectations
from node.archive.evidence.holders import is_alive
from node.archive.evidence.ledger import Ledger
from node.archive.files import Folder
from node.archive.ingest.journal_claim import Watch
from node.archive.ingest.recovery import recover, waiting_series
from node.archive.query.catalogue import Catalogue
from node.archive.query.commitments import Commitments, judge
from node.archive.rows.index import Index
from node.archive.site.model_repository import ModelBook
from node.archive.upkeep.mounts import may_be_shared
from node.archive.upkeep.scrub import Scrub, ScrubRules
from node.archive.work.deliveries import Deliveries
from node.archive.work.leases import Leases
from node.archive.work.runs import Runs
from node.containment import Contained
from node.domain.door import Patience
from node.domain.plan import ModelRef
from node.domain.site import Site
from node.flow import engine
from node.flow.asks import Answering
from node.flow.commitment import ReportWork
from node.flow.corrections import ByPolicy
from node.flow.delivery import DeliveryWork, RetryRule
from node.flow.destinations import DESTINATIONS, Destination
from node.flow.echo import EchoWork
from node.flow.heart import Heart
from node.flow.housekeeping import LOOK_S, Housekeeper, KeepRules
from node.flow.intake import SWEEP_S, Intake, Outbox
from node.flow.leases import BEAT_S, TIME_TO_LIVE_S, Keeper, Slot
from node.flow.notifications import LOOK_S as NOTICES_S
from node.flow.notifications import Notices, Notifier
from node.flow.proof import ProofRule, Prover
from node.flow.pull import Counts, PullWork
from node.flow.series import SeriesWork
from node.flow.step_context import Bench, Rules
from node.flow.verification import Verify, VerifyWork, no_models
from node.log import get_logger
from node.pipeline import Synthesiser

log = get_logger(__name__)
_FACTS_S = 60.0
_ASKS_S = 0.5
_SCRUB_TURN_S = 1.0
# A correction is adopted by policy once it is quiet; a second more is nothing to it.
_CORRECTIONS_S = 1.0


class Stop(Protocol):
    """An event of threading or of multiprocessing."""

    def wait(self, timeout: float | None = None) -> bool:
        """Block until it is set, or for ``timeout`` seconds; whether it is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerValues:
    """Everything a worker is built from."""

    database: sa.Engine
    """The node's own database, migrated."""
    engine_url: str
    """Where the engine keeps its rows."""
    folder: Folder
    """The data folder."""
    locks: Path
    """Folder of the slots' locks."""
    machine: str
    """Name of this machine among those that share the work; the same after a restart."""
    site: Callable[[], Site]
    """Peers and routes as they are now."""
    model_named: Callable[[str], ModelRef]
    generator: Callable[[ModelRef], Synthesiser]
    rules: Rules
    ae_title: str
    quiet_s: float
    patience: Patience = field(default_factory=Patience)
    """How long a series waits for a sender that may come back."""
    slot: int = 0
    retry: RetryRule = field(default_factory=RetryRule)
    destinations: Mapping[str, Destination] = field(default_factory=lambda: DESTINATIONS)
    drain_s: int = 20
    """How long running steps may go on after the stop; what is left goes on after a restart."""
    time_to_live_s: float = TIME_TO_LIVE_S
    """Silence after which another worker's work is taken over."""
    beat_s: float = BEAT_S
    sweep_s: float = SWEEP_S
    proof: ProofRule = field(default_factory=ProofRule)
    keep: KeepRules = field(default_factory=KeepRules)
    scrub: ScrubRules = field(default_factory=ScrubRules)
    """How the archive is read through for rot."""
    notices: Notices = field(default_factory=Notices)
    """Whom to tell of what needs a person."""
    verify: Verify = no_models
    """Hash and golden case of a model's version."""
    facts: Callable[[], dict[str, Any]] = dict
    """What this machine has: processors, GPUs, providers, versions."""


def run_worker(
    values: WorkerValues, stop: Stop, *, ready: Callable[[], None] | None = None
) -> None:
    """Run workflows until ``stop`` is set, then drain."""
    slot = Slot(values.locks, values.machine, values.slot)
    keeper = Keeper(
        Leases(values.database),
        slot.executor_id,
        holder=str(os.getpid()),
        time_to_live_s=values.time_to_live_s,
    )
    keeper.beat()
    engine.create(values.engine_url, slot.executor_id)
    _register(values)
    engine.launch()
    client = engine.open_client(values.engine_url)
    runs, deliveries = Runs(values.database), Deliveries(values.database)
    intake = Intake(
        runs=runs,
        deliveries=deliveries,
        outbox=Outbox(
            runs,
            deliveries,
            client,
            lambda name: _lanes(values.site(), name),
            Commitments(values.database),
        ),
        quiet_s=values.quiet_s,
        urgent=lambda: {peer.name for peer in values.site().peers if peer.urgent},
        recover=partial(recover, values.folder, Index(values.database), _watch(values)),
        waiting=partial(waiting_series, values.folder),
        patience=values.patience,
        mark_lost=partial(Ledger(values.database).mark_lost, partial(is_alive, values.folder)),
    )
    log.info("worker_ready", executor=slot.executor_id)
    if ready:
        ready()
    try:
        with _scrubbing(values):
            _look_until(stop, values, intake, keeper, Answering(values.database, client))
    finally:
        client.destroy()
        engine.shut_down(drain_s=values.drain_s)
        _Duty("leave", 0.0, keeper.leave).when_due()
        slot.close()
        log.info("worker_stopped", executor=slot.executor_id)


@contextmanager
def _scrubbing(values: WorkerValues) -> Iterator[None]:
    """Read the archive through beside everything else; one worker of a machine at a time."""
    ended = threading.Event()
    lock = (values.locks / f"{values.machine}-scrub.lock").open("w")
    scrub = Scrub(values.database, values.folder, values.scrub, wait=ended.wait)

    def run() -> None:
        while not ended.wait(_SCRUB_TURN_S):
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                scrub.run()

    thread = threading.Thread(target=run, name="scrub", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        lock.close()


def _watch(values: WorkerValues) -> Watch:
    return Watch(shared=may_be_shared(values.folder.root, values.database))


def _register(values: WorkerValues) -> None:
    book = ModelBook(values.database)
    series = SeriesWork(
        Bench(
            folder=values.folder,
            runs=Runs(values.database),
            site=values.site,
            model_named=values.model_named,
            generator=values.generator,
            rules=values.rules,
            expected=Counts(Expectations(values.database), values.site, values.ae_title).of,
            signed_off=book.covering,
            keep_figures=book.remember_figures,
        )
    )
    delivery = DeliveryWork(
        folder=values.folder,
        deliveries=Deliveries(values.database),
        site=values.site,
        destinations=values.destinations,
        retry=values.retry,
        calling_ae=values.ae_title,
        prover=Prover(
            Deliveries(values.database),
            Commitments(values.database),
            values.proof,
            values.ae_title,
            values.folder,
        ),
    )
    reports = ReportWork(
        Commitments(values.database),
        partial(judge, Catalogue(values.database), values.folder),
        values.site,
        values.ae_title,
    )
    pulls = PullWork(Expectations(values.database), values.site, values.ae_title)
    engine.workflow(engine.PULL_WORKFLOW, pulls.run)
    engine.workflow(engine.VERIFY_WORKFLOW, VerifyWork(values.verify).run)
    engine.workflow(engine.REPORT_WORKFLOW, reports.run)
    engine.workflow(engine.SERIES_WORKFLOW, series.run)
    engine.workflow(engine.DELIVERY_WORKFLOW, delivery.run)
    engine.workflow(engine.ECHO_WORKFLOW, EchoWork(values.site, values.ae_title).run)


def _look_until(
    stop: Stop, values: WorkerValues, intake: Intake, keeper: Keeper, answering: Answering
) -> None:
    def unless_replaced(what: Callable[[], Any]) -> Callable[[], Any]:
        # While a newer version is at work this one only ends what it has begun.
        return lambda: what() if keeper.leads() else None

    def sweep() -> None:
        engine.retire_other_versions(keeper.living())
        intake.sweep()

    pace = _Pace(intake)
    housekeeper = Housekeeper(
        values.database,
        values.folder,
        values.keep,
        peer_of=lambda title: _peer_of(values.site(), title),
    )
    notifier = Notifier(values.database, values.folder.root, values.notices)
    policy = ByPolicy(values.database, values.folder, values.site, values.quiet_s)
    duties = (
        _Duty("take over", values.beat_s, keeper.take_over),
        _Duty("look", 0.0, unless_replaced(intake.look)),
        _Duty("corrections", _CORRECTIONS_S, unless_replaced(policy.look)),
        _Duty("pace", 0.0, pace.look),
        _Duty("asks", _ASKS_S, unless_replaced(answering.look)),
        _Duty("sweep", values.sweep_s, unless_replaced(sweep)),
        _Duty("housekeeping", LOOK_S, unless_replaced(housekeeper.look)),
        _Duty("notices", NOTICES_S, unless_replaced(notifier.look)),
        _Duty("facts", _FACTS_S, lambda: keeper.tell(values.facts())),
    )
    with Heart(keeper.beat, values.beat_s) as heart, _telling(notifier):
        while not stop.wait(pace.seconds):
            for duty in duties:
                duty.when_due()
                heart.pulse()


@contextmanager
def _telling(notifier: Notifier) -> Iterator[None]:
    """Send notices in a thread of its own: a mail server that hangs holds up nobody's work."""
    over = threading.Event()

    def send() -> None:
        duty = _Duty("send notices", 0.0, notifier.send)
        while not over.wait(NOTICES_S / 4):
            duty.when_due()

    # Not waited for at the end: what it has not sent is written down.
    threading.Thread(target=send, name="notices", daemon=True).start()
    try:
        yield
    finally:
        over.set()


class _Pace:
    """Looks often while work is near, and has the engine do so; else once a second."""

    def __init__(self, intake: Intake) -> None:
        self.seconds = engine.POLL_S
        self._intake = intake
        self._told: float | None = None

    def look(self) -> None:
        # Until the database answers again nothing is near.
        self.seconds, seconds = engine.POLL_S, self._intake.pace_s()
        if seconds != self._told:
            engine.look_every(seconds)
        self.seconds = self._told = seconds


def _peer_of(site: Site, ae_title: str) -> str | None:
    return next((peer.name for peer in site.peers if peer.ae_title == ae_title), None)


def _lanes(site: Site, destination: str) -> int:
    """How many deliveries a destination takes at a time; one where it is not known any more."""
    peer = site.peer(destination)
    return 1 if peer is None else peer.deliveries


class _Duty:
    """Something done now and then, that must not end the worker when it fails once."""

    def __init__(self, name: str, every_s: float, what: Callable[[], Any]) -> None:
        self._name = name
        self._every_s = every_s
        self._what = what
        self._due_at = 0.0

    def when_due(self) -> None:
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + self._every_s
        thread = threading.current_thread().name
        # A worker's edge: the database may be away for a moment.
        with Contained(log, "duty_failed", duty=self._name, thread=thread):
            self._what()
