"""Pages, API, health and images over HTTP, against a filled database and archive."""

import io
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
import uvicorn
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from node.archive.query.queries import Queries
from node.archive.rows.index import Index
from node.archive.schema import tables as t
from node.archive.schema.records import ReceivedHeader, StoredInstance
from node.domain.states import State
from node.web.app import create_app
from node.web.assets import asset
from node.web.views.state_labels import LOOKS
from tests.phantoms.mr import mr_series, part10
from tests.phantoms.signals import constant

EVIL = "<script>alert(1)</script>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request brought."""

    status: int
    headers: Message
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A served application and what it serves."""

    port: int
    engine: sa.Engine
    checks: dict[str, str | None]

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for ``path``."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - http only
                return Answer(status=answer.status, headers=answer.headers, body=answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(status=error.code, headers=error.headers, body=error.read())


def _fill(engine: sa.Engine, root: Path) -> None:
    # Bright at patient right, anterior and superior: (-x, -y, +z) in LPS.
    series = mr_series(
        signal=constant(100.0), landmark_mm=(-25.0, -25.0, 20.0), landmark_sigma_mm=12.0
    )
    header = ReceivedHeader(
        study_instance_uid="1.2.3",
        patient_id="P1",
        patient_name=EVIL,
        accession_number="",
        series_description=EVIL,
        body_part="HEAD",
        modality="MR",
        calling_ae="MR1",
        called_ae="NODE",
    )
    received = []
    for dataset in series.datasets:
        data = part10(dataset)
        path = f"{dataset.SOPInstanceUID}.dcm"
        (root / path).write_bytes(data)
        length = int.from_bytes(data[140:144], "little")  # PS3.10 7.1: of the meta information
        stored = StoredInstance(
            sop_instance_uid=str(dataset.SOPInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            series_instance_uid=str(dataset.SeriesInstanceUID),
            path=path,
            size=len(data),
            sha256=sha256(data[144 + length :]).hexdigest(),
            received_at=datetime.now(UTC),
        )
        received.append((stored, header))
    Index(engine).add_instances(received)


def _set(engine: sa.Engine, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(t.series.update().values(**values))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A node's page with one series, on a port the system chose."""
    engine = t.open_engine(t.sqlite_url(tmp_path / "node.db"))
    t.metadata.create_all(engine)
    _fill(engine, tmp_path)
    checks: dict[str, str | None] = {"disk": None}
    app = create_app(
        queries=Queries(engine), archive_root=tmp_path, ready=lambda: checks, ae_title="NODE"
    )
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    listener = server.config.bind_socket()
    listener.listen()  # requests made before the server runs wait in its backlog
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Site(port=listener.getsockname()[1], engine=engine, checks=checks)
    app.state.notifier.closing.set()
    server.should_exit = True
    thread.join(10)
    listener.close()
    engine.dispose()


@pytest.mark.parametrize("state", State)
def test_every_state_has_its_word_on_queue_and_detail(site: Site, state: State) -> None:
    """A series in any state shows its word on both pages, and its sentence on its own."""
    _set(site.engine, state=state.value, sentence="What follows next.")
    for path in ("/", "/series/1"):
        text = site.get(path).body.decode()
        assert LOOKS[state].word in text
    assert "What follows next." in text


def test_names_are_escaped(site: Site) -> None:
    """Markup in the patient's name and the description reaches the page as text only."""
    for path in ("/", "/series/1"):
        text = site.get(path).body.decode()
        assert EVIL not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize("path", ["/", "/series/1", "/api/series", "/static/style.css", "/none"])
def test_every_answer_has_the_guarding_headers(site: Site, path: str) -> None:
    """Pages, JSON, files and errors forbid foreign content and sniffing."""
    headers = site.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/series/2", "/api/series/2", f"/series/{2**70}", "/series/1/sct/axial.png",
     "/series/1/mr/oblique.png", "/static/../app.py"],
)  # fmt: skip
def test_the_unknown_is_404(site: Site, path: str) -> None:
    """What is not there is 404, never an error of the server."""
    assert site.get(path).status == 404


def test_foreign_host_is_refused(site: Site) -> None:
    """A name rebound to loopback reads nothing."""
    assert site.get("/", Host="evil.example").status == 400
    assert site.get("/", Host=f"localhost:{site.port}").status == 200


def test_not_ready_says_why(site: Site) -> None:
    """Readiness is 200 where all checks pass and 503 with the reason where one does not."""
    assert site.get("/readyz").status == 200
    site.checks["disk"] = "2 GB are free."
    answer = site.get("/readyz")
    assert answer.status == 503
    assert b"2 GB are free." in answer.body


def test_metrics_parse_and_count(site: Site) -> None:
    """The metrics are valid exposition text and count what is stored."""
    families = text_string_to_metric_families(site.get("/metrics").body.decode())
    found = {(s.name, s.labels.get("state")): s.value for f in families for s in f.samples}
    assert found["pctnode_series", "receiving"] == 1
    assert found["pctnode_instances_received_total", None] == 30


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_planes_are_radiological(site: Site, plane: str) -> None:
    """Right, anterior, superior lies upper left on every plane (sagittal: nose left)."""
    answer = site.get(f"/series/1/mr/{plane}.png")
    assert answer.status == 200
    values = np.asarray(Image.open(io.BytesIO(answer.body)).convert("L"), float)
    rows, columns = values.shape
    half = values[8:-8, 8:-8]  # the letters stand at the rim
    mass = half >= np.percentile(half, 97)
    down, across = (axis.mean() + 8 for axis in np.nonzero(mass))
    assert across < columns / 2
    assert down < rows / 2


def test_language_and_theme_are_remembered(site: Site) -> None:
    """What was chosen is kept in a cookie and rules the page; a foreign way back is not taken."""
    jar = urllib.request.HTTPCookieProcessor()
    opener = urllib.request.build_opener(jar)
    root = f"http://127.0.0.1:{site.port}"
    with opener.open(f"{root}/preferences?language=fr&theme=light&back=/") as answer:
        text = answer.read().decode()
    assert '<html lang="fr" data-theme="light">' in text
    with opener.open(f"{root}/preferences?theme=dark&back=//evil.example/") as answer:
        assert answer.geturl() == f"{root}/"


def test_browser_language_is_the_first_choice(site: Site) -> None:
    """Without a choice the browser's language rules, English where it is not spoken here."""
    text = site.get("/", **{"Accept-Language": "de, fr;q=0.8"}).body.decode()
    assert '<html lang="fr"' in text
    assert '<html lang="en"' in site.get("/", **{"Accept-Language": "de"}).body.decode()


def test_only_files_named_with_their_hash_are_kept_by_browsers(site: Site) -> None:
    """Pages with patients are never stored; files with their hash in the address for a year."""
    assert site.get("/").headers["Cache-Control"] == "no-store"
    assert "immutable" in site.get(asset("style.css")).headers["Cache-Control"]
    assert site.get("/static/style.css").headers["Cache-Control"] == "no-cache"


def test_a_dead_link_is_a_page_for_people_and_json_for_programs(site: Site) -> None:
    """What is not there is said in four parts to a reader, in JSON to a program."""
    assert b"There is no such page" in site.get("/none", Accept="text/html").body
    assert site.get("/api/series/99", Accept="text/html").body.startswith(b"{")


def test_events_tell_what_changed(site: Site) -> None:
    """The stream begins with what pages are made of, tells a change within seconds, and ends."""
    request = urllib.request.urlopen(f"http://127.0.0.1:{site.port}/events", timeout=20)
    with request as stream:
        lines = iter(stream.readline, b"")
        first = next(line for line in lines if line.startswith(b"data"))
        marks = json.loads(first.removeprefix(b"data: "))
        page = unescape(site.get("/").body.decode())
        assert json.loads(page.partition("data-marks='")[2].partition("'")[0]) == marks
        stop = threading.Event()

        def keep_changing() -> None:
            number = 0
            while not stop.wait(0.3):
                number += 1
                _set(site.engine, sentence=f"Change {number}.")

        changer = threading.Thread(target=keep_changing)
        changer.start()
        told = next(line for line in lines if line.startswith(b"data"))
        stop.set()
        changer.join()
    assert told == b"data: series\n"
