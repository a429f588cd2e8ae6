"""kill -9 while an sCT leaves: every place that holds an object of it is known, and is warned."""

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
import sqlalchemy as sa

from node.archive.files import Folder
from node.archive.people.audit import By
from node.archive.schema import tables as t
from node.archive.work.decisions import Decisions
from node.flow.withdrawals import withdraw
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import run_storescu
from tests.peers.picky import Picky, picky
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

POINTS = (
    "delivery.begun",
    "delivery.leaving",
    "delivery.partial",
    "delivery.diverted",
    "delivery.sent",
    "delivery.recorded",
)
IN_THE_DEFAULT_RUN = ("delivery.diverted",)
_SPARE = """
[[peers]]
name = "spare"
ae_title = "SPARE"
host = "127.0.0.1"
port = {port}
"""
_SHAPE = (24, 20, 18)
_KEY_OBJECT = b"1.2.840.10008.5.1.4.1.1.88.59"


def _points() -> Iterator[object]:
    for point in POINTS:
        slow = () if point in IN_THE_DEFAULT_RUN else (pytest.mark.slow,)
        yield pytest.param(point, marks=(pytest.mark.crash, *slow))


def _places(node: Node) -> set[str]:
    with node.engine().connect() as connection:
        return set(connection.scalars(sa.select(t.whereabouts.c.place)))


def _holders(servers: dict[str, Picky]) -> set[str]:
    return {name for name, server in servers.items() if server.kept}


def _is_warned(server: Picky) -> bool:
    return any(_KEY_OBJECT in data for data in server.kept.values())


@pytest.mark.interop
@pytest.mark.parametrize("point", list(_points()))
def test_killed_while_it_leaves_every_place_is_known(
    point: str, tmp_path: Path, new_node: MakeNode
) -> None:
    """TPS takes three objects and refuses the next; the spare gets all; then it is withdrawn."""
    tps = picky(lambda number: 0xC000 if number > 3 else 0, ae_title="TPS")
    spare = picky(ae_title="SPARE")
    servers = {"tps": tps, "spare": spare}
    node = new_node(tps.port, more=_SPARE.format(port=spare.port))
    text = node.config.read_text()
    node.config.write_text(text.replace('name = "tps"', 'name = "tps"\nfailover = "spare"', 1))
    with tps.serving(), spare.serving():
        node.start(crash_at=point)
        files = mr_series(_SHAPE, (4.0, 4.0, 4.0), name=point).write(tmp_path / "mr")
        assert run_storescu(node.dicom_port, files).returncode == 0
        wait_until(node.mark.exists, "the crash point", timeout_s=60)
        node.kill_supervisor()
        assert _places(node) >= _holders(servers)

        node.start()
        node.wait_state("delivered", timeout_s=180)
        assert _holders(servers) == {"tps", "spare"}
        assert _places(node) == {"tps", "spare"}

        (item,) = node.series()
        Decisions(node.engine()).resend(
            item["id"], By(who="me")
        )  # forgets the answers, and no place
        tps.answer = lambda _number: 0
        told = withdraw(
            Decisions(node.engine()), Folder(node.data), item["id"], By(who="me"),
            reason="wrong", concept="safety",
        )  # fmt: skip
        assert "The notice goes to tps, spare." in told
        wait_until(
            lambda: all(map(_is_warned, servers.values())),
            "a notice at each place",
            timeout_s=60,
        )
    made = {str(pydicom.dcmread(p).SOPInstanceUID) for p in node.data.glob("outputs/*/*.dcm")}
    assert {uid for server in servers.values() for uid in server.kept} <= made
    assert node.stop() == 0


@pytest.mark.interop
@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.parametrize(
    "point", ["retention.forgetting", "retention.forgotten", "retention.removed"]
)
def test_killed_while_its_files_go_it_can_still_be_withdrawn(
    point: str, tmp_path: Path, new_node: MakeNode
) -> None:
    """What it was, and where it went, outlive the files, whenever the node dies."""
    tps = picky(ae_title="TPS")
    node = new_node(tps.port, retention="max_gb = 0.00001")
    with tps.serving():
        node.start(crash_at=point)
        files = mr_series(_SHAPE, (4.0, 4.0, 4.0), name=point).write(tmp_path / "mr")
        assert run_storescu(node.dicom_port, files).returncode == 0
        wait_until(node.mark.exists, "the crash point", timeout_s=240)
        node.kill_supervisor()
        assert _places(node) == {"tps"}

        node.start()
        wait_until(lambda: not _archived(node), "the files to go", timeout_s=240)
        (item,) = node.series()
        told = withdraw(
            Decisions(node.engine()), Folder(node.data), item["id"], By(who="me"),
            reason="wrong", concept="safety",
        )  # fmt: skip
        assert "The notice goes to tps." in told
        wait_until(lambda: _is_warned(tps), "the notice", timeout_s=60)
    assert node.stop() == 0


def _archived(node: Node) -> list[Path]:
    return [path for where in ("instances", "outputs") for path in node.data.glob(f"{where}/*/*")]
