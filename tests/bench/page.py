"""The page in a browser: first paint of a long queue, the viewer of a large series, scripts.

A web process of its own serves an archive of 100,000 series to somebody who is logged in, so that
sessions and the audit trail cost what they cost. Each figure stands beside its goal.
"""

import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

from node.archive.people.accounts import Accounts
from node.archive.people.credentials import Credentials
from node.archive.schema.migrate import upgrade
from node.archive.schema.tables import open_engine, sqlite_url
from node.domain.access import Role
from tests.bench.table import Row
from tests.peers import processes
from tests.peers.waiting import free_port, wait_until
from tests.web.browsing import Visit, launch, visiting
from tests.web.equipped import MODEL_PAGE, ONNX
from tests.web.many import fill_many
from tests.web.shelf import Shelf
from tests.web.speed import (
    LARGE,
    MOST_SCRIPT_BYTES,
    first_paint_ms,
    measured,
    script_bytes,
    synthesise_large,
)

SERIES = 100_000
_PAINT_MS, _READY_MS, _STEP_MS = 300.0, 2000.0, 40.0
_QUEUES = (
    ("first page", "/"),
    ("a filter, 50,000 rows down", "/?show=delivered&start=50000"),
    ("a search", "/?q=px-0777"),
)
_SIZE = " x ".join(map(str, LARGE))


def measure(folder: Path, *, rounds: int) -> list[Row]:
    """Rows for queue, viewer and scripts."""
    shelf, secret = _archive(folder)
    fill_many(shelf, SERIES)
    series = synthesise_large(shelf)
    with _served(folder) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        with visiting(browser, address, forgiven=("404",)) as visit:
            visit.log_in(secret)
            rows = [row for what, path in _QUEUES for row in _queue(visit, what, path, rounds)]
            rows += _viewer(visit, f"/series/{series}", rounds)
            rows.append(_scripts(visit, ("/", f"/series/{series}", MODEL_PAGE, "/api/docs")))
        browser.close()
    return rows


def _archive(folder: Path) -> tuple[Shelf, str]:
    """An empty archive, and the secret of an administrator's session."""
    folder.mkdir(parents=True, exist_ok=True)
    engine = open_engine(sqlite_url(folder / "node.sqlite"))
    upgrade(engine, lock_file=folder / "node.lock")
    account = Accounts(engine).add("bench", Role.ADMIN, "correct horse battery", who="bench")
    secret = Credentials(engine).open_session(account, address="127.0.0.1", hours=2)
    engine.dispose()
    return Shelf(root=folder), secret


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The pages of that archive from a process of their own."""
    port = free_port()
    ours = {
        "PCTNODE_NODE__DATA_DIR": str(folder),
        "PCTNODE_WEB__PORT": str(port),
        "PCTNODE_INFERENCE__MODELS_DIR": str(ONNX),
    }
    command = [sys.executable, "-m", "node", "serve", "--role", "web"]
    process = processes.start(command, folder / "web.log", env=dict(os.environ) | ours)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(address), "the page", timeout_s=120)
        yield address
    finally:
        processes.stop(process)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/healthz", timeout=5) as answer:  # noqa: S310 - http only
            return bool(answer.status == 200)
    except OSError:
        return False


def _queue(visit: Visit, what: str, path: str, rounds: int) -> list[Row]:
    visit.go(path)  # templates and the database's pages are warm, as on any day
    times = [first_paint_ms(visit.go(path)) for _ in range(4 * rounds)]
    named = f"queue of {SERIES:,} series, {what}: first paint"
    figures = {"median": statistics.median(times), "slowest": max(times)}
    return [_row(f"{named}, {k}", v, "ms", _PAINT_MS, len(times)) for k, v in figures.items()]


def _viewer(visit: Visit, path: str, rounds: int) -> list[Row]:
    visit.see(path)
    cold_ms = float(visit.page.get_attribute("#viewer", "data-ready") or 0)
    found = [measured(visit.see(path)) for _ in range(rounds)]
    ready = statistics.median(f["ready_ms"] for f in found)
    step = max(f["p95_ms"] for f in found)
    return [
        _row(f"viewer of {_SIZE}, volumes made then: ready", cold_ms, "ms", _READY_MS, 1),
        _row(f"viewer of {_SIZE}: ready, median", ready, "ms", _READY_MS, rounds),
        _row(f"viewer of {_SIZE}: a slice, p95 of 60, worst", step, "ms", _STEP_MS, rounds),
    ]


def _scripts(visit: Visit, paths: tuple[str, ...]) -> Row:
    sizes = {path: script_bytes(visit.go(path)) for path in paths}
    most = max(sizes, key=lambda path: sizes[path])
    kind = "a series" if most.startswith("/series") else most
    return _row(f"scripts of a page, most ({kind})", sizes[most] / 1e3, "kB",
                MOST_SCRIPT_BYTES / 1e3, len(paths))  # fmt: skip


def _row(what: str, ours: float, unit: str, goal: float, rounds: int) -> Row:
    return Row(
        part="page", what=what, ours=ours, unit=unit, peer="goal", theirs=goal, rounds=rounds
    )
