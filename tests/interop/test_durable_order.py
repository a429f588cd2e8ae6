"""The order of system calls while one instance is received: a kill would not reveal it, this does.

PS3.4 B.2.3: success says that the instance is stored. A power cut right after the response must
therefore find everything on the disk.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from pydicom.uid import MRImageStorage

from tests.bench.client import send_series
from tests.interop.receiving import Node, running_node
from tests.peers.dcmtk import run_storescu
from tests.peers.fixtures import StartTracer
from tests.peers.tracing import Call
from tests.peers.waiting import wait_until
from tests.phantoms.sent_series import Kind, new_series
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

pytestmark = pytest.mark.interop

Condition = Callable[[Call], bool]

TRACED = (
    "write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg", "fsync", "fdatasync",
    "rename", "renameat", "renameat2", "link", "unlink", "syncfs",
)  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """An SCP that has stored an instance already, so that folders and database exist."""
    yield from running_node(tmp_path / "var")


@pytest.fixture
def slow_node(tmp_path: Path) -> Iterator[Node]:
    """The same without a journal: file and row before the answer."""
    yield from running_node(tmp_path / "var", "--no-journal")


@pytest.fixture
def stock_node(tmp_path: Path) -> Iterator[Node]:
    """The same without our receive loop."""
    yield from running_node(tmp_path / "var", "--stock")


@pytest.mark.parametrize("same_series", [True, False], ids=["known-series", "new-series"])
def test_without_a_journal_success_leaves_after_file_and_row(
    slow_node: Node, tmp_path: Path, start_strace: StartTracer, same_series: bool
) -> None:
    """Write, fsync, rename, fsync of the folder, database sync, and only then the response."""
    _send(slow_node, tmp_path / "first", mr_number=1, series="1.2.3.4")
    tracer = start_strace([slow_node.process.pid], TRACED)

    sent = _send(slow_node, tmp_path / "second", 2, "1.2.3.4" if same_series else "1.2.3.5")

    calls = tracer.stop()
    stored = next(p for p in slow_node.files() if data_set_of(p) == data_set_of(sent))
    assert order_of(calls, stored, slow_node.data_dir) == ()
    # The same trace without a call must be found wanting, or the check above proves nothing.
    for mark, words in {
        ".part>": "fsync of the file",
        f"<{stored.parent}>": "fsync of the folder",
        "node.db-wal>": "sync of the database",
    }.items():
        without = [c for c in calls if not (c.name in {"fsync", "fdatasync"} and mark in c.text)]
        assert any(words in said for said in order_of(without, stored, slow_node.data_dir)), mark


def test_the_fallback_keeps_the_order(
    stock_node: Node, tmp_path: Path, start_strace: StartTracer
) -> None:
    """The same where pynetdicom receives."""
    _send(stock_node, tmp_path / "first", mr_number=1, series="1.2.3.4")
    tracer = start_strace([stock_node.process.pid], TRACED)

    sent = _send(stock_node, tmp_path / "second", 2, "1.2.3.4")

    calls = tracer.stop()
    stored = next(p for p in stock_node.files() if data_set_of(p) == data_set_of(sent))
    assert order_of(calls, stored, stock_node.data_dir) == ()


def test_a_long_data_set_keeps_the_order(
    node: Node, tmp_path: Path, start_strace: StartTracer
) -> None:
    """What goes to the disk while it arrives is synced as a whole before it gets its name."""
    _send(node, tmp_path / "first", mr_number=1, series="1.2.3.4")
    tracer = start_strace([node.process.pid], TRACED)

    long = write_image(tmp_path / "long" / "1.dcm", mr_image(2, side=1100))
    assert run_storescu(node.port, [long.parent]).returncode == 0

    calls = tracer.stop()
    stored = next(p for p in node.files() if data_set_of(p) == data_set_of(long))
    assert order_of(calls, stored, node.data_dir) == ()


@pytest.mark.parametrize("senders", [1, 6])
def test_success_leaves_after_its_record_is_on_the_disk(
    node: Node, start_strace: StartTracer, senders: int
) -> None:
    """At no moment are more instances answered than records were written and then synced."""
    kind = Kind(name="tiny", sop_class_uid=MRImageStorage, instances=8, side=16)
    wait_until(lambda: len(_segments(node)) == 2, "the journal")
    sent = [new_series(kind) for _ in range(senders)]
    tracer = start_strace([node.process.pid], TRACED)

    result = send_series(node.port, sent, called="PCTNODE")
    wait_until(lambda: len(node.files()) == 8 * senders, "the files")
    wait_until(lambda: any(_is_head(c) for c in tracer.calls()), "the journal's next pass")

    calls = tracer.stop()
    assert result.failures == 0
    assert answered_too_early(calls) == 0
    journaled = sum(_records(call) for call in calls)
    assert journaled >= 8 * senders - 2, "what took the long way proves nothing here"
    for stored in node.files():
        assert filed_order_of(calls, stored, node.data_dir) == "", stored.name
    # Without the journal's syncs the same trace must be found wanting, and without the files'.
    without = [c for c in calls if not (_is_sync(c) and ".segment>" in c.text)]
    assert answered_too_early(without) == 8 * senders
    without = [c for c in calls if c.name != "syncfs" and "/instances/" not in _synced(c)]
    assert filed_order_of(without, node.files()[-1], node.data_dir) == "sync of the files"


def answered_too_early(calls: Sequence[Call]) -> int:
    """C-STORE responses that left before as many records had been synced after their write."""
    written = synced = answers = early = 0
    for call in sorted(calls, key=lambda c: c.ended):
        if _is_sync(call) and ".segment>" in call.text:
            # What was written before the sync began; nothing is written while it runs.
            synced = written
        written += _records(call)
        if _is_response(call):
            answers += 1
            early += answers > synced
    return early


def filed_order_of(calls: Sequence[Call], stored: Path, data_dir: Path) -> str:
    """What of a file's later way was out of order: its name, the files' sync, the row, the pass."""
    rename = next(c for c in calls if c.name.startswith("rename") and f'{stored.name}"' in c.text)
    whole = next((c for c in calls if c.name == "syncfs" and c.began > rename.ended), None)
    each = [_first_after(calls, rename.ended, _names(path)) for path in (stored, stored.parent)]
    ends = [c.ended for c in (whole or each[0], whole or each[1]) if c is not None]
    if len(ends) < 2:
        return "sync of the files"
    synced_at = max(ends)
    wal = f"<{data_dir / 'node.db-wal'}>"
    row = _first_after(calls, synced_at, lambda c: wal in c.text)
    if row is None:
        return "sync of the database"
    again = next((c for c in calls if _is_head(c) and c.ended > rename.ended), None)
    if again is None or again.began < row.ended:
        return "the journal began anew too early"
    return ""


def _records(call: Call) -> int:
    """Whether a call made a record whole: the mark before it is written last."""
    return int(_writes(call, "PCTNMRKR"))


def _names(path: Path) -> Condition:
    return lambda call: f"<{path}>" in call.text


def _synced(call: Call) -> str:
    return call.text if _is_sync(call) else ""


def _is_head(call: Call) -> bool:
    return _writes(call, "PCTNSEG2")


def _writes(call: Call, start: str) -> bool:
    return call.name == "pwrite64" and ".segment>" in call.text and f'"{start}' in call.text


def _segments(node: Node) -> list[Path]:
    return list((node.data_dir / "journal").glob("*.segment"))


def test_senders_without_a_journal_that_share_syncs_wait_for_them(
    slow_node: Node, start_strace: StartTracer
) -> None:
    """Six senders at once: each answer leaves after syncs that began when its file had its name."""
    kind = Kind(name="tiny", sop_class_uid=MRImageStorage, instances=8, side=16)
    sent = [new_series(kind) for _ in range(6)]
    tracer = start_strace([slow_node.process.pid], TRACED)

    result = send_series(slow_node.port, sent, called="PCTNODE")

    calls = tracer.stop()
    assert result.failures == 0
    assert len(slow_node.files()) == 48
    for stored in slow_node.files():
        assert shared_order_of(calls, stored, slow_node.data_dir) == "", stored.name
    syncs = sum(_is_sync(c) and "node.db-wal>" in c.text for c in calls)
    assert syncs < 48, "nobody shared a sync: this proves nothing"
    # Without the folders' syncs the same trace must be found wanting.
    without = [c for c in calls if "/instances/" not in c.text or not _is_sync(c)]
    stored = slow_node.files()[0]
    assert shared_order_of(without, stored, slow_node.data_dir) == "sync of the folder"


def shared_order_of(calls: Sequence[Call], stored: Path, data_dir: Path) -> str:
    """Which sync an instance's answer did not wait for; empty when all was in order.

    The thread that renames a file answers for it; the syncs may be another thread's.
    """
    rename = next(c for c in calls if c.name.startswith("rename") and stored.name in c.text)
    own = [c for c in calls if c.thread == rename.thread]
    answer = next(c for c in own if c.began > rename.ended and _is_response(c))
    part = f"<{rename.text.split(chr(34))[1]}>"
    if not any(_is_sync(c) and part in c.text and c.ended < rename.began for c in own):
        return "sync of the file"
    folder = _first_after(calls, rename.ended, lambda c: f"<{stored.parent}>" in c.text)
    if folder is None or folder.ended > answer.began:
        return "sync of the folder"
    wal = f"<{data_dir / 'node.db-wal'}>"
    row = _first_after(calls, folder.ended, lambda c: wal in c.text)
    if row is None or row.ended > answer.began:
        return "sync of the database"
    return ""


def _first_after(calls: Sequence[Call], line: int, condition: Condition) -> Call | None:
    """The sync that returned first of those that began after ``line``."""
    return next((c for c in calls if c.began > line and _is_sync(c) and condition(c)), None)


def _is_sync(call: Call) -> bool:
    return call.name in {"fsync", "fdatasync"}


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
