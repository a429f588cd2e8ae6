"""The system page: what it says, to whom it says what, and where it has that from."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from node import log
from node.archive.evidence import conflicts
from node.archive.query.queries import Queries
from node.archive.rows.index import Index
from node.archive.schema.records import StoredInstance
from node.archive.work.leases import Leases
from node.config.settings import load
from node.run.app import tls_validity
from node.run.system import last_backup, log_lines, note_backup, system
from node.web.app import create_app
from tests.peers.pki import Authority
from tests.web.desks import desk_of
from tests.web.guarded import Node, access_of, roles_into, store
from tests.web.serving import listening

QUOTED = "SPECIMEN^Alix"


def _written(folder: Path) -> None:
    """One line of now whose traceback quotes a patient, and one of two hours ago."""
    (folder / "log").mkdir()
    now = datetime.now(UTC)
    lines = [
        {"at": (now - timedelta(hours=2)).isoformat(), "level": "info", "event": "too_old"},
        {"at": now.isoformat(), "level": "error", "role": "web", "event": "request_failed",
         "logger": "node", "path": "/series/7", "traceback": f"ValueError: {QUOTED}"},
    ]  # fmt: skip
    text = "\n".join(map(json.dumps, lines))
    (folder / "log/web-0.jsonl").write_text(f"cut off\n{text}\n")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Serve a node with accounts, logs and a backup."""
    folder = tmp_path_factory.mktemp("system")
    roles_into(folder)
    engine = store(folder)
    _written(folder)
    note_backup(folder, Path("/backup"), 12)
    page = Authority(folder / "pki").issue("page", days=12)
    settings = load(
        None,
        {
            "PCTNODE_NODE__DATA_DIR": str(folder),
            "PCTNODE_WEB__CERTIFICATE": str(page.certificate),
            "PCTNODE_WEB__KEY": str(page.key),
        },
    )
    access = access_of(engine)
    app = create_app(
        queries=Queries(engine),
        access=access,
        archive_root=folder,
        certificates=lambda: tls_validity(settings),
        ready=lambda: {"dicom": "Nothing listens on DICOM port 1.", "disk": None},
        desk=desk_of(
            engine,
            system=lambda: system(settings, engine),
            log_lines=lambda within_s: log_lines(folder, within_s),
        ),
    )
    with listening(app) as port:
        made = Node(port=port, engine=engine, access=access)
        yield made
        for client in made.clients:
            client.close()
    engine.dispose()


@pytest.mark.parametrize(
    ("who", "sees_log", "sees_details"),
    [("viewer", False, False), ("physicist", True, False), ("admin", True, True)],
)
def test_who_reads_the_log_and_its_details(
    node: Node, who: str, sees_log: bool, sees_details: bool
) -> None:
    """A traceback may quote a header, so an administrator alone reads it, on page and API."""
    client = node.session(who)
    page, lines = client.get("/system"), client.get("/api/system/log")

    assert page.status_code == 200
    assert (lines.status_code == 200) is sees_log
    for text in (page.text, lines.text):
        assert ("request_failed" in text) is sees_log
        assert (QUOTED in text) is sees_details
        assert "too_old" not in text


def test_it_says_what_is_wrong_and_what_there_is(node: Node) -> None:
    """Health, disk, queues, versions, database and backup, as JSON and in both languages."""
    client = node.session("viewer")
    told = client.get("/api/system").json()

    assert told["checks"]["dicom"].startswith("Nothing listens")
    assert (told["checks"]["disk"], told["checks"]["database"]) == (None, None)
    assert "worker" not in told["checks"]  # none has ever told of itself here
    assert told["disk"]["free_bytes"] > 0
    assert told["backup"]["target"] == "/backup"
    assert told["backup"]["age_s"] < 600
    assert {q["state"] for q in told["queues"]} >= {"queued", "running", "review"}
    assert told["versions"]["database"].startswith("SQLite")
    assert told["versions"]["pydicom"]
    assert "Something needs you" in client.get("/system").text
    client.cookies.set("pctnode_language", "fr")
    assert "Rien n’écoute sur le port DICOM" in client.get("/system").text


def test_what_could_not_be_filed_is_told(node: Node) -> None:
    """Its series may be unknown: page and API say so until the file is dealt with."""
    data_set = "1.2.826.0.1.1"
    stored = StoredInstance(
        sop_instance_uid=data_set,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        series_instance_uid="1.2.826.0.1",
        path="conflicts/x/y.dcm",
        size=1,
        sha256="0" * 64,
        received_at=datetime.now(UTC),
    )
    root = Path(str(node.engine.url.database)).parent
    aside = root / stored.path
    aside.parent.mkdir(parents=True)
    aside.touch()
    conflicts.record(Index(node.engine), stored, "PACS", path=stored.path, size=1)
    client = node.session("viewer")

    told = client.get("/api/system").json()
    assert told["unfiled"] == [stored.path]
    assert told["checks"]["unfiled"] == "1 received instance could not be filed."
    assert "Some could not be filed" in client.get("/system").text

    aside.unlink()
    assert "unfiled" not in client.get("/api/system").json()["checks"]


def test_the_certificate_of_the_page_is_watched_as_well(node: Node) -> None:
    """The page is served over TLS of its own: when its certificate ends is said and warned of."""
    client = node.session("viewer")

    (told,) = client.get("/api/system").json()["certificates"]
    assert told["file"] == "page.pem"
    assert 11 <= told["days_left"] <= 12
    assert f"in {int(told['days_left'])} days" in client.get("/system").text
    assert 'pctnode_certificate_days_left{file="page.pem"' in client.get("/metrics").text


def test_a_silent_worker_is_told(node: Node) -> None:
    """Nothing is made or sent while no worker gives a sign of life."""
    leases = Leases(node.engine)
    leases.beat("m-0", holder="1", version="1")
    leases.tell("m-0", {"processors": 2, "memory_bytes": 1, "providers": [], "gpus": []})
    client = node.session("viewer")
    assert "worker" not in client.get("/api/system").json()["checks"]

    leases.leave("m-0")
    told = client.get("/api/system").json()
    assert told["checks"]["worker"] == "No worker gives a sign of life."
    assert told["workers"][0]["silent_s"] is None
    assert "nothing is made or sent" in client.get("/system").text


def test_a_process_keeps_its_last_lines(tmp_path: Path) -> None:
    """What is logged stands in a file of the process, one JSON object a line, and is found."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        root.setLevel(logging.INFO)
        log.keep(tmp_path, "worker-0")
        log.get_logger("test").warning("association_refused", calling="X\nY")
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)

    (line,) = log_lines(tmp_path, 60.0)
    assert (line["event"], line["calling"]) == ("association_refused", "X\nY")
    assert log_lines(tmp_path, 0.0) == []


def test_without_a_backup_there_is_none(tmp_path: Path) -> None:
    """Nothing, and something that cannot be read, are no backup."""
    assert last_backup(tmp_path) is None
    (tmp_path / "backup.json").write_text("{")
    assert last_backup(tmp_path) is None
