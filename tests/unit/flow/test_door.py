"""What the line makes of how a series came: held, warned of, or let go."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import dcmread

from node.archive.evidence.expectations import Expectation
from node.archive.evidence.holders import Holder
from node.archive.evidence.ledger import Ledger
from node.archive.evidence.offering import Offering, Offerings
from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.ingest.receive import Receiver
from node.archive.rows.index import Index
from node.archive.schema import tables
from node.archive.work.runs import Runs
from node.domain.door import Ending, Patience
from node.domain.reading import Reader
from node.domain.site import read_site
from node.flow.series import SeriesWork
from node.flow.step_context import Bench, Rules
from node.flow.steps import STEPS
from node.infer.generator import Generator
from node.infer.registry import Registry
from tests.phantoms.mr import mr_series
from tests.phantoms.small_mr import data_set_of
from tests.phantoms.tiny_onnx import write_affine_model

ROUTES: list[dict[str, Any]] = [
    {
        "name": "head",
        "when": {"called_ae": "PCTNODE"},
        "model": "tiny",
        "deliver_to": ["tps"],
        "release": "auto",
    },
    {
        "name": "careful",
        "when": {"called_ae": "PCTCARE"},
        "model": "tiny",
        "deliver_to": ["tps"],
        "release": "checks-passed",
    },
]
PEERS = [
    {"name": "pacs", "ae_title": "PACS", "host": "h", "port": 1, "may": ["send"]},
    {"name": "tps", "ae_title": "TPS", "host": "h", "port": 2},
]


class World:
    """A receiving process and a worker over one archive, and the images of a phantom."""

    def __init__(self, folder: Path) -> None:
        write_affine_model(folder / "models", slope=0.2, intercept=-200.0, spacing_mm=4.0)
        model = Registry.scan(folder / "models").find("tiny")
        self.engine = tables.open_engine(tables.sqlite_url(folder / "node.db"))
        tables.metadata.create_all(self.engine)
        archive = Folder(folder / "var")
        self.offerings = Offerings(Ledger(self.engine), Holder(archive))
        self.images = mr_series((24, 20, 18), (4.0, 4.0, 4.0), name="door").write(folder / "mr")
        self.routes = ROUTES
        self.expected: Expectation | None = None
        self._receiver = Receiver(archive, Index(self.engine), now=lambda: datetime.now(UTC))
        self.bench = Bench(
            folder=archive,
            runs=Runs(self.engine),
            site=lambda: read_site(Reader({"peers": PEERS, "routes": self.routes})),
            model_named=lambda _name: model.ref,
            generator=lambda _ref: Generator(model, providers=("cpu",), memory_budget_bytes=0),
            rules=Rules(software_version="1", label="TEST", mark_synthetic=True),
            expected=lambda _run, _study, _peers: self.expected,
        )

    def bring(self, images: list[Path], *, called: str = "PCTNODE", peer: str = "pacs") -> Offering:
        """Instances come on one association, which is left open."""
        offering = self.offerings.open(calling_ae=peer.upper(), called_ae=called, peer=peer)
        for path in images:
            context = ReceiveContext(
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                calling_ae=peer.upper(),
                called_ae=called,
                peer=peer,
                origin=offering.origin,
            )
            receipt = self._receiver.receive(data_set_of(path), context)
            offering.stored(receipt.series_instance_uid)
        return offering

    def line(self) -> tuple[str, dict[str, str]]:
        """Take the series up and run the whole line: its state, and code to severity."""
        runs = self.bench.runs
        assert runs.settle_quiet(-1.0, patience=Patience(return_s=0.0, open_s=0.0)) == 1
        (open_run,) = runs.unqueued()
        work, file = SeriesWork(self.bench), None
        for name in STEPS:
            said = work.perform(open_run.id, name, file)
            file = said["file"] or file
            if said["word"] != "go":
                break
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(tables.series)).mappings().one()
        # The model has no limits for its results, which says a warning of its own.
        found = [f for f in row["findings"] if f["stage"] != "quality"]
        return row["state"], {f["code"]: f["severity"] for f in found}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """An archive that has received nothing."""
    return World(tmp_path)


@pytest.mark.long
def test_a_series_that_came_whole_leaves(world: World) -> None:
    """All of it on one association that was released: the route's own policy counts."""
    world.bring(world.images).end(Ending.RELEASED, "Released.")
    state, found = world.line()
    assert state == "delivering", found


def test_what_an_aborting_sender_left_is_held(world: World) -> None:
    """Under auto: the sCT is made, and a person decides."""
    world.bring(world.images[:20]).end(Ending.ABORTED, "Aborted by the peer.")
    assert world.line() == ("review", {"SENDER_ABORTED": "hold"})


@pytest.mark.long
def test_a_site_may_take_the_abort_of_its_senders_for_an_end(world: World) -> None:
    """Where they always end so: the route says it is a warning, which auto lets pass."""
    world.routes = [ROUTES[0] | {"findings": {"SENDER_ABORTED": "warn"}}]
    world.bring(world.images).end(Ending.ABORTED, "Aborted by the peer.")
    assert world.line() == ("delivering", {"SENDER_ABORTED": "warning"})


@pytest.mark.long
def test_the_count_of_the_archive_lets_it_go(world: World) -> None:
    """As many as the PACS says: nothing is missing, however the association ended."""
    world.bring(world.images).end(Ending.BROKEN, "The connection broke.")
    world.expected = Expectation(peer="pacs", instances=len(world.images))
    assert world.line() == ("delivering", {})


def test_fewer_than_the_archive_says_are_held(world: World) -> None:
    """Though their sender released."""
    world.bring(world.images[:20]).end(Ending.RELEASED, "Released.")
    world.expected = Expectation(peer="pacs", instances=len(world.images))
    assert world.line() == ("review", {"SERIES_INCOMPLETE": "hold"})


@pytest.mark.long
def test_refused_images_are_held_for(world: World) -> None:
    """No route can make that milder: what was offered is not here."""
    world.routes = [ROUTES[0]]
    offering = world.bring(world.images[:20])
    offering.refused("1.2.3", "NOT_STORED", "The disk is full.")
    offering.end(Ending.RELEASED, "Released.")
    assert world.line() == ("review", {"IMAGES_REFUSED": "hold"})


@pytest.mark.long
def test_images_refused_under_another_patient_are_told(world: World) -> None:
    """Taken since, under the one the series has: who is right, only the PACS knows."""
    refused = dcmread(world.images[1])
    offering = world.bring(world.images)
    offering.refused(
        refused.SOPInstanceUID,
        "DATA_TRUNCATED",
        "It ends too soon.",
        refused.SeriesInstanceUID,
        "somebody else",
    )
    offering.end(Ending.RELEASED, "Released.")
    assert world.line() == ("review", {"REFUSED_OTHER_PATIENT": "hold"})


@pytest.mark.long
def test_a_stalled_sender_is_held_for(world: World) -> None:
    """Its association is open still when patience is at its end."""
    world.bring(world.images[:20])
    assert world.line() == ("review", {"SENDER_OPEN": "hold"})


@pytest.mark.long
@pytest.mark.parametrize("first", [0, 23])
def test_one_image_to_another_title_takes_the_strictest_policy(world: World, first: int) -> None:
    """Whether it came first or last: nothing leaves by itself that one of the routes would hold."""
    alone = world.images[first]
    rest = [path for path in world.images if path != alone]
    for some, called in ([alone], "PCTCARE"), (rest, "PCTNODE"):
        world.bring(some, called=called).end(Ending.RELEASED, "Released.")
    assert world.line() == ("review", {"SENDERS_DIFFER": "warning"})
    (run,) = _plans(world)
    assert (run["route"], run["release"]) == ("head", "checks-passed")


@pytest.mark.long
def test_one_image_from_nowhere_does_not_strand_a_series(world: World) -> None:
    """The route of the others counts; that it came is told."""
    world.bring(world.images[:1], called="PCTELSE").end(Ending.RELEASED, "Released.")
    world.bring(world.images[1:]).end(Ending.RELEASED, "Released.")
    assert world.line() == ("delivering", {"SENDER_STRAY": "warning"})


def _plans(world: World) -> list[dict[str, Any]]:
    with world.engine.connect() as connection:
        return list(connection.execute(sa.select(tables.runs.c.plan)).scalars())
