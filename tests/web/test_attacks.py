"""Attacks that were tried, each survived: one test for each line of the list."""

import io
import ipaddress
import json
import logging
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pydicom
import pytest
import sqlalchemy as sa
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from node import log
from node.archive.people.audit import By
from node.archive.query.queries import Queries
from node.archive.schema import tables as t
from node.archive.site.model_repository import ModelBook
from node.config.settings import load
from node.domain.errors import Rejected
from node.domain.plan import ModelRef
from node.domain.sign_off import Scope, Source
from node.infer.model_card import card
from node.infer.registry import Registry
from node.run.route_dry_run import try_routes
from node.run.system import system
from node.web.app import create_app
from node.web.auth.origin import Origin, OriginRules
from tests.phantoms.tiny_onnx import write_affine_model
from tests.web.desks import desk_of
from tests.web.guarded import PASSWORD, Node, access_of, roles_into
from tests.web.serving import listening

XSS = '"><img src=x onerror=alert(1)><script>alert(2)</script>{{7*7}}'
PLANTED = "<script>alert(2)</script>"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Serve a node whose every name was written by somebody hostile."""
    folder = tmp_path_factory.mktemp("attacks")
    engine = t.open_engine(t.sqlite_url(roles_into(folder)))
    with engine.begin() as connection:
        connection.execute(
            sa.insert(t.series).values(
                id=1, series_instance_uid="1.2.3", study_instance_uid="1.2", patient_id=XSS,
                patient_name=XSS, description=XSS, accession_number=XSS, calling_ae=XSS,
                state="review", sentence=XSS, created_at=1.0, last_received_at=1.0, state_at=1.0,
                findings=[{"code": "INSTANCE_CONFLICT", "severity": "warning", "sentence": XSS,
                           "remedy": XSS, "values": {"uid": XSS}, "uids": [XSS]}],
            )
        )  # fmt: skip
        connection.execute(
            sa.insert(t.associations).values(
                opened_at=1.0, closed_at=1.0, calling_ae=XSS, called_ae=XSS, address=XSS,
                accepted=False, sentence=XSS, remedy=XSS, rule="calling AE title",
                contexts=[], services={}, implementation=XSS,
            )
        )  # fmt: skip
    access = access_of(engine)
    write_affine_model(folder / "onnx", slope=0.2, intercept=-200.0, spacing_mm=4.0)
    (model,) = Registry.scan(folder / "onnx").models
    _hostile_model(engine, model.ref)
    desk = desk_of(
        engine,
        try_routes=lambda folder: [
            {"series_instance_uid": p.name, "route": None, "why_not": {}, "findings": []}
            for p in sorted(folder.iterdir())
        ],
        models=lambda: [card(model) | {"description": XSS, "card": XSS, "licence": XSS}],
        system=lambda: system(load(None, {"PCTNODE_NODE__DATA_DIR": str(folder)}), engine),
        log_lines=lambda _s: [
            {"at": "2031-01-01T00:00:00+00:00", "level": XSS, "role": XSS, "event": XSS, "x": XSS}
        ],
    )
    app = create_app(queries=Queries(engine), access=access, desk=desk, archive_root=folder)
    with listening(app) as port:
        made = Node(port=port, engine=engine, access=access)
        yield made
        for client in made.clients:
            client.close()
    engine.dispose()


def _hostile_model(engine: sa.Engine, model: ModelRef) -> None:
    """A scanner whose names are markup, and a sign-off whose grounds are."""
    with engine.begin() as connection:
        run = sa.insert(t.runs).values(series_id=1, workflow_id="w", created_at=1.0)
        run_id = connection.execute(run.returning(t.runs.c.id)).scalar_one()
    book, source = ModelBook(engine), Source(manufacturer=XSS, scanner=XSS, protocol=XSS)
    book.remember_figures(run_id, model.sha256, source, {"body_ml": 1.0})
    scope = Scope(manufacturer=XSS, scanner=XSS, protocol=XSS)
    book.sign_off(model, scope, By(who=XSS), note=XSS)
    row = {"name": XSS, "version": XSS, "sha256": model.sha256, "provider": XSS, "ok": False}
    book.remember_check(row | {"verdict": XSS}, who=XSS)


@pytest.mark.parametrize(
    "path",
    [
        "/", "/series/1", "/network", "/audit", "/?q=%3Cscript%3E", "/models",
        "/models/tiny/1.0.0", "/system", "/accounts",
    ],
)  # fmt: skip
def test_cross_site_scripting(node: Node, path: str) -> None:
    """Markup in PatientName, SeriesDescription, AE titles and findings is text on every page."""
    client = node.session("admin")
    client.get(f"/audit?who={XSS}")
    answer = client.get(path)

    assert answer.status_code == 200
    assert PLANTED not in answer.text
    assert "onerror=alert(1)>" not in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../../settings.py", "/static/%2e%2e/app.py", "/static/..%2f..%2fnode.db",
        "/static//etc/passwd", "/series/../../etc/passwd", "/series/1/mr/..%2f..%2fx.png",
        "/api/series/1%2f..%2f..", "/network/systems/..%2f..%2fetc", "/dicom-web/studies/../../x",
        "/static/%00", "/static/style.css%00.png",
    ],
)  # fmt: skip
def test_path_traversal(node: Node, path: str) -> None:
    """No spelling of a path leads out of what is served."""
    with httpx.Client(base_url=node.url) as raw:
        cookie = f"pctnode_session={node.session('admin').cookies['pctnode_session']}"
        answer = raw.send(
            raw.build_request("GET", httpx.URL(node.url).copy_with(raw_path=path.encode()),
                              headers={"Cookie": cookie})
        )  # fmt: skip

    assert answer.status_code in (400, 404, 422, 503)
    assert "root:" not in answer.text


def test_uploaded_names_lead_nowhere(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file called ../../x is written under a number, in a folder of its own, and is gone."""
    # Of this test alone: others on this machine upload as well.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    name = "../" * 20 + str(tmp_path / "owned").lstrip("/")
    files = [("files", (name, b"DICM", "application/dicom"))]
    answer = node.session("physicist").post("/api/routes/try", files=files)

    assert answer.json()[0]["series_instance_uid"] == "00000.dcm"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "http://127.0.0.1:1"}, True),
        ({"Origin": "https://{here}"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, True),
        ({}, True),
        ({"Origin": "http://{here}"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://{here}"}, False),
    ],
)
def test_cross_site_request_forgery(node: Node, headers: dict[str, str], refused: bool) -> None:
    """A page of another site changes nothing in the name of whoever is logged in."""
    cookie = f"pctnode_session={node.session('admin').cookies['pctnode_session']}"
    told = {k: v.format(here=f"127.0.0.1:{node.port}") for k, v in headers.items()}
    with httpx.Client(base_url=node.url, headers={"Cookie": cookie, **told}) as forged:
        for path in ("/accounts/viewer", "/log-out", "/api/series/999/reject"):
            answer = forged.post(path, data={})
            assert ("another site" in answer.text) == refused, (path, answer.text)


def test_a_form_of_another_site_cannot_post_json(node: Node) -> None:
    """Without an Origin a cookie is worth nothing; a text/plain form is no JSON either way."""
    client = node.session("physicist")
    answer = client.post(
        "/api/series/1/hold", content='{"reason": "x"}', headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https"},
        {"Forwarded": "for=127.0.0.1;proto=https"},
        {"X-Real-IP": "127.0.0.1"},
        {"X-Forwarded-Host": "evil.example"},
    ],
)
def test_forged_proxy_headers_are_not_believed(node: Node, headers: dict[str, str]) -> None:
    """Headers of an undeclared proxy make nobody local and no connection private."""
    answer = node.client(**headers).post("/log-in", data={"name": "admin", "password": PASSWORD})

    assert answer.status_code == 403
    assert "HTTPS only" in answer.text


def _scope(client: str, scheme: str = "http", **headers: str) -> dict[str, object]:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return {"client": (client, 1), "scheme": scheme, "headers": raw}


RULES = OriginRules(
    names=frozenset({"sct.example"}),
    proxies=(ipaddress.ip_network("10.0.0.2/32"),),
)


@pytest.mark.parametrize(
    ("scope", "address", "private"),
    [
        # direct from elsewhere, pretending
        (_scope("10.9.9.9", x_forwarded_for="127.0.0.1", x_forwarded_proto="https"),
         "10.9.9.9", False),
        # through the proxy, as it should be
        (_scope("10.0.0.2", x_forwarded_for="10.1.1.1", x_forwarded_proto="https"),
         "10.1.1.1", True),
        # through the proxy, with an address the client made up before the proxy's own
        (_scope("10.0.0.2", x_forwarded_for="127.0.0.1, 10.1.1.1", x_forwarded_proto="https"),
         "10.1.1.1", True),
        # through the proxy over plain HTTP
        (_scope("10.0.0.2", x_forwarded_for="10.1.1.1", x_forwarded_proto="http"),
         "10.1.1.1", False),
        (_scope("10.0.0.2", x_forwarded_for="127.0.0.1", x_forwarded_proto="http"),
         "127.0.0.1", False),
        # a proxy that says nothing
        (_scope("10.0.0.2"), "10.0.0.2", False),
        # the client says https, the proxy http
        (_scope("10.0.0.2", x_forwarded_for="10.1.1.1", x_forwarded_proto="https, http"),
         "10.1.1.1", False),
        # nonsense
        (_scope("10.0.0.2", x_forwarded_for="<script>", x_forwarded_proto="https"),
         "10.0.0.2", True),
        # this machine
        (_scope("127.0.0.1"), "127.0.0.1", True),
        (_scope("::1"), "::1", True),
        (_scope("::ffff:127.0.0.1"), "::ffff:127.0.0.1", True),
        (_scope("10.9.9.9", "https"), "10.9.9.9", True),
    ],
)  # fmt: skip
def test_only_a_declared_proxy_says_who_the_client_is(
    scope: dict[str, object], address: str, private: bool
) -> None:
    """Address and privacy of each way in."""
    origin = RULES.of(scope)

    assert isinstance(origin, Origin)
    assert (origin.address, RULES.is_private(origin)) == (address, private)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "[::1", "", "sct"])
def test_a_rebound_name_is_not_answered(node: Node, host: str) -> None:
    """DNS rebinding: a foreign name that points here reads nothing, not even health."""
    for path in ("/", "/healthz", "/api/series"):
        assert node.client().get(path, headers={"Host": host}).status_code == 400


def test_role_escalation(node: Node) -> None:
    """No field, header, method override or double parameter makes a viewer more."""
    viewer = node.session("viewer")
    tries = [
        viewer.post("/account/tokens", data={"label": "x", "role": "admin", "days": 1}),
        viewer.post("/accounts/viewer", data={"role": "admin"}),
        viewer.post("/accounts", data={"name": "eve", "role": "admin", "password": PASSWORD}),
        viewer.post("/account/password", data={"old": PASSWORD, "new": "short", "role": "admin"}),
        viewer.get("/accounts", headers={"X-HTTP-Method-Override": "POST", "X-User": "admin"}),
        viewer.get("/audit", headers={"Authorization": "Basic YWRtaW46YWRtaW4="}),
        viewer.request("PUT", "/accounts/viewer", data={"role": "admin"}),
    ]

    assert [a.status_code for a in tries] == [400, 403, 403, 400, 403, 401, 405]
    assert viewer.get("/who").json()["role"] == "viewer"
    assert node.access.accounts is not None
    assert "eve" not in [a["name"] for a in node.access.accounts.all()]


def test_upload_bombs(node: Node) -> None:
    """Too many bytes, declared or not, and too many files are refused before they are kept."""
    client = node.session("physicist")

    def endless() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * 2**16

    streamed = client.post("/api/series/1/hold", content=endless())
    huge_field = client.post("/log-in", data={"name": "x" * 2_000_000, "password": "y"})
    many = [("files", (f"{n}", b"x")) for n in range(4100)]
    too_many = client.post("/api/routes/try", files=many)
    deep = client.post(
        "/api/series/1/hold",
        content=b"[" * 200_000,
        headers={"Content-Type": "application/json"},
    )

    assert streamed.status_code == 413
    assert huge_field.status_code == 413
    assert too_many.status_code == 400
    assert deep.status_code in (400, 422)
    assert client.get("/healthz").status_code == 200


@pytest.mark.slow
def test_a_deflate_bomb_ends_its_own_process_alone(tmp_path: Path) -> None:
    """A DICOM file that inflates to gigabytes is refused in a sentence; the node lives on."""
    image = pydicom.Dataset()
    image.SOPClassUID, image.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.4"), UID("1.2.3")
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    whole = io.BytesIO()
    pydicom.dcmwrite(whole, image, enforce_file_format=True)
    (meta_length,) = struct.unpack_from("<I", whole.getvalue(), 140)
    head = whole.getvalue()[: 144 + meta_length]
    press = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = press.compress(b"\0" * 2**20) + press.flush(zlib.Z_FULL_FLUSH)
    body = block * 3000 + press.flush()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/bomb.dcm").write_bytes(head + body)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "node.toml").write_text("")

    assert len(body) < 2**23
    try:
        rows = try_routes(load(tmp_path / "node.toml", {}), tmp_path / "in", most_bytes=2 * 2**30)
    except Rejected as error:
        assert "could not be tried" in str(error)  # noqa: PT017 - either end is a good one
    else:
        assert all(row["route"] is None for row in rows)


def test_log_injection(node: Node) -> None:
    """Line breaks and control characters in names make no second line of the log."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log._JsonFormatter("web"))
    logging.getLogger().addHandler(handler)
    evil = 'x\r\n{"event": "audit", "action": "sign"}\x1b[2J\u2028'
    try:
        client = node.client()
        client.post("/log-in", data={"name": evil, "password": "wrong"})
        client.get("/", headers={"Accept": "text/html", "X-Evil": "a"})
        log.get_logger("test").warning("association_refused", calling=evil)
        node.session("admin").post("/accounts", data={"name": evil, "role": "viewer",
                                                      "password": PASSWORD})  # fmt: skip
    finally:
        logging.getLogger().removeHandler(handler)

    lines = stream.getvalue().splitlines()
    assert lines
    events = [json.loads(line)["event"] for line in lines]
    assert "association_refused" in events
    assert not any('"sign"' in line and '\\"sign\\"' not in line for line in lines)


def test_a_defect_tells_nothing_of_itself(node: Node) -> None:
    """A fault inside gives 500 with the guarding headers and no trace, whoever asks."""
    client = node.session("admin")
    with node.engine.begin() as connection:
        connection.execute(sa.update(t.series).values(findings=[{"broken": 1}]))
    try:
        answer = client.get("/series/1", headers={"Accept": "text/html"})
    finally:
        with node.engine.begin() as connection:
            connection.execute(sa.update(t.series).values(findings=[]))

    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "KeyError" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
