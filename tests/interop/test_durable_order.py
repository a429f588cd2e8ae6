"""The order of system calls while one instance is received: a kill would not reveal it, this does.

PS3.4 B.2.3: success says that the instance is stored. A power cut right after the response must
therefore find everything on the disk.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.interop.receiving import Node, data_set_of, mr_image, running_node, write_image
from tests.peers.dcmtk import run_storescu
from tests.peers.fixtures import StartTracer
from tests.peers.tracing import Call

pytestmark = pytest.mark.interop

Condition = Callable[[Call], bool]

TRACED = (
    "write", "pwrite64", "writev", "pwritev", "sendto", "sendmsg", "fsync", "fdatasync",
    "rename", "renameat", "renameat2", "link", "unlink",
)  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """An SCP that has stored an instance already, so that folders and database exist."""
    yield from running_node(tmp_path / "var")


@pytest.mark.parametrize("same_series", [True, False], ids=["known-series", "new-series"])
def test_success_leaves_after_everything_is_on_the_disk(
    node: Node, tmp_path: Path, start_strace: StartTracer, same_series: bool
) -> None:
    """Write, fsync, rename, fsync of the folder, database sync, and only then the response."""
    _send(node, tmp_path / "first", mr_number=1, series="1.2.3.4")
    tracer = start_strace([node.process.pid], TRACED)

    sent = _send(node, tmp_path / "second", 2, "1.2.3.4" if same_series else "1.2.3.5")

    calls = tracer.stop()
    stored = next(p for p in node.files() if data_set_of(p) == data_set_of(sent))
    assert order_of(calls, stored, node.data_dir) == ()
    # The same trace without a call must be found wanting, or the check above proves nothing.
    for mark, words in {
        ".part>": "fsync of the file",
        f"<{stored.parent}>": "fsync of the folder",
        "node.db-wal>": "sync of the database",
    }.items():
        without = [c for c in calls if not (c.name in {"fsync", "fdatasync"} and mark in c.text)]
        assert any(words in said for said in order_of(without, stored, node.data_dir)), mark


def order_of(calls: Sequence[Call], stored: Path, data_dir: Path) -> tuple[str, ...]:
    """What of the promised order did not happen, in words; empty when all did."""
    name, folder = stored.name, stored.parent
    renamed = _first(calls, lambda c: c.name.startswith("rename") and name in c.text)
    if renamed is None:
        return ("rename to the final name",)
    temporary = calls[renamed].text.split('"')[1]
    part = f"<{temporary}>"
    written = _last(calls[:renamed], lambda c: "write" in c.name and part in c.text)
    synced = _last(calls[:renamed], lambda c: c.name in {"fsync", "fdatasync"} and part in c.text)
    responded = _first(calls[renamed:], _is_response)
    missing = []
    if written is None:
        missing.append("write of the data")
    if synced is None or written is None or synced < written:
        missing.append("fsync of the file after its last write")
    if responded is None:
        return (*missing, "response")
    between = calls[renamed : renamed + responded]
    if _first(between, lambda c: c.name == "fsync" and f"<{folder}>" in c.text) is None:
        missing.append("fsync of the folder between rename and response")
    if not _database_synced(between, data_dir):
        missing.append("sync of the database after its last write, before the response")
    new_folders = [folder, *folder.parents]
    if not any(
        f"<{parent}>" in c.text for c in calls[:renamed] for parent in new_folders[1:2]
    ) and (len(list(folder.iterdir())) == 1):
        missing.append("fsync of the parent of a new folder")
    return tuple(missing)


def _database_synced(calls: Sequence[Call], data_dir: Path) -> bool:
    database = f"<{data_dir / 'node.db'}"
    ours = [c for c in calls if database in c.text]
    writes = [n for n, c in enumerate(ours) if "write" in c.name and "-shm" not in c.text]
    syncs = [n for n, c in enumerate(ours) if c.name in {"fsync", "fdatasync"}]
    return bool(writes and syncs) and syncs[-1] > writes[-1]


def _is_response(call: Call) -> bool:
    # A P-DATA-TF PDU begins with 04 00 (PS3.8 9.3.5); the release and accept do not.
    sent = call.name in {"sendto", "sendmsg", "write"} and "<TCP:" in call.text
    return sent and '"\\4\\0' in call.text


def _first(calls: Sequence[Call], condition: Condition) -> int | None:
    return next((n for n, call in enumerate(calls) if condition(call)), None)


def _last(calls: Sequence[Call], condition: Condition) -> int | None:
    return next((n for n in reversed(range(len(calls))) if condition(calls[n])), None)


def _send(node: Node, folder: Path, mr_number: int, series: str) -> Path:
    sent = write_image(folder / "1.dcm", mr_image(mr_number, series=series))
    done = run_storescu(node.port, [folder])
    assert done.returncode == 0, done.stderr
    return sent
