"""Destinations that are slow, away, warn, or refuse one instance: each on its own, nothing lost."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from node.archive.people.audit import By
from node.archive.schema.records import OutputFile
from node.archive.work.decisions import Decisions
from tests.crash import checks
from tests.crash.conftest import MakeNode
from tests.crash.harness import Node
from tests.peers.dcmtk import run_storescu
from tests.peers.picky import Picky, picky
from tests.peers.waiting import wait_until
from tests.phantoms.mr import mr_series

pytestmark = [pytest.mark.interop, pytest.mark.crash, pytest.mark.slow]
_SHAPE = (24, 20, 18)


def _states(node: Node) -> dict[str, str]:
    return {d["destination"]: d["state"] for i in node.series() for d in i["deliveries"]}


def _wait(node: Node, wanted: dict[str, str], timeout_s: float = 180) -> None:
    def there() -> bool:
        states = _states(node)
        return all(states.get(name) == state for name, state in wanted.items())

    try:
        wait_until(there, f"{wanted}", timeout_s=timeout_s, every_s=0.1)
    except AssertionError:
        raise AssertionError(f"{_states(node)}\n{node.said()}") from None


def _holds(destination: Picky, node: Node, outputs: Sequence[OutputFile]) -> None:
    archived = {o.sop_instance_uid: checks.data_set(node.data / o.path) for o in outputs}
    assert destination.kept == archived


def test_each_destination_fares_for_itself(tmp_path: Path, new_node: MakeNode) -> None:
    """One warns, one is slow, one is away, one refuses an instance until it takes it."""
    warns = picky(lambda _number: 0xB000, ae_title="WARNS")
    slow = picky(pause_s=0.05, ae_title="SLOW")
    away = picky(ae_title="AWAY")
    refuses = picky(lambda number: 0xC000 if number == 5 else 0, ae_title="REFUSES")
    node = new_node(warns.port, more_tps=(slow, away, refuses))
    with ExitStack() as stack:
        for server in (warns, slow, refuses):
            stack.enter_context(server.serving())
        node.start()
        wait_until(lambda: "scp_listening" in node.log.read_text(), "the acceptor", timeout_s=180)
        files = mr_series(_SHAPE, (4.0, 4.0, 4.0), name="faults").write(tmp_path / "mr")
        assert run_storescu(node.dicom_port, files).returncode == 0

        # tps warns, tps2 is slow, tps3 is away, tps4 refuses
        _wait(node, {"tps": "sent", "tps2": "sent", "tps3": "waiting", "tps4": "failed"})
        (item,) = node.series()
        told = {d["destination"]: d["sentence"] for d in item["deliveries"]}
        assert "0xC000" in told["tps4"]
        assert item["state"] == "delivering"
        outputs = node.queries().output_files(item["id"])
        _holds(warns, node, outputs)
        _holds(slow, node, outputs)
        assert len(refuses.kept) == 4

        stack.enter_context(away.serving())  # it comes back, and nobody has to ask
        node.wait_state("failed", timeout_s=180)
        _wait(node, {"tps3": "sent"})
        _holds(away, node, outputs)

        Decisions(node.engine()).resend(item["id"], By(who="me"), destination="tps4")
        node.wait_state("delivered", timeout_s=180)
        _holds(refuses, node, outputs)
        # Sent again after a break, perhaps; never anything else.
        made = {o.sop_instance_uid for o in outputs}
        assert all(set(server.asked) == made for server in (warns, slow, away, refuses))
    assert node.stop() == 0
