"""A whole node for pictures and for looking at every page: accounts, network, models, system."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from node.archive.people.accounts import Accounts
from node.archive.people.audit import Audit, By
from node.archive.people.credentials import Credentials
from node.archive.schema import tables as t
from node.archive.schema.records import AssociationRecord
from node.archive.site.model_repository import ModelBook
from node.archive.site.peer_contacts import Echoes
from node.archive.work.leases import Leases
from node.config.settings import load
from node.domain.access import Role
from node.domain.figures import HISTOGRAM_HU
from node.domain.names import AETitle
from node.domain.plan import ReleasePolicy
from node.domain.sign_off import Scope, Source
from node.domain.site import Peer, Route, When
from node.flow.client import FlowClient
from node.flow.engine import engine_url
from node.infer.model_card import card
from node.infer.registry import Registry
from node.net.tls import Validity
from node.run import app as node_app
from node.run.system import log_lines, note_backup, system
from node.web.app import create_app
from node.web.auth.security import Access
from tests.web.desks import desk_of
from tests.web.serving import served
from tests.web.shelf import Shelf

Spread = NDArray[np.float64]
ONNX = Path(__file__).parents[2] / "onnx"
NEWEST = Registry.scan(ONNX).find("head-t1")
MODEL_PAGE = f"/models/{NEWEST.ref.name}/{NEWEST.ref.version}"
WHO = "l.martin"
_PEERS: tuple[tuple[str, str, str, int, set[str]], ...] = (
    ("mr-sim1", "MR_SIM1", "10.20.3.31", 104, {"send"}),
    ("mr-sim2", "MR_SIM2", "10.20.3.32", 104, {"send"}),
    ("pacs", "PACS_MAIN", "10.20.1.10", 11112, {"send", "query"}),
    ("ECLIPSE_RT", "ECLIPSE_RT", "10.20.4.11", 51402, set()),
    ("RAYSTATION", "RAYSTATION", "10.20.4.20", 104, {"query"}),
)
_REFUSED = (
    "RAYSTATION (RAYSTATION at 10.20.4.20:104) refused the association for good: it does not "
    "answer to the AE title RAYSTATION (PS3.8 source 1, reason 7)."
)
_ROUTES = (
    Route(
        name="brain",
        when=When(
            senders=("mr-sim1", "mr-sim2"),
            patterns={"body_part": ("HEAD", "BRAIN"), "series_description": ("*T1*",)},
        ),
        model=NEWEST.ref.name,
        deliver_to=("ECLIPSE_RT",),
        release=ReleasePolicy.SIGNATURE,
    ),
    Route(
        name="head-and-neck",
        when=When(senders=(), patterns={"body_part": ("HEADNECK",)}),
        model=NEWEST.ref.name,
        deliver_to=("RAYSTATION",),
        release=ReleasePolicy.CHECKS_PASSED,
    ),
)
_HEAD = Source(manufacturer="SIEMENS", scanner="MAGNETOM Vida", protocol="t1_mprage_sag_p2_iso")
_OTHER = Source(manufacturer="Philips", scanner="Ingenia", protocol="3D T1 TFE")


@contextmanager
def equipped(shelf: Shelf, spread: Spread | None = None) -> Iterator[tuple[str, str]]:
    """Serve the shelf with everything a page can show; the address, and the secret of a session."""
    _furnish(shelf, spread)
    engine = shelf.engine
    account = Accounts(engine).add(
        WHO, Role.ADMIN, "correct horse battery", who="test", display_name="L. Martin"
    )
    secret = Credentials(engine).open_session(account, address="127.0.0.1", hours=1)
    settings = load(None, {"PCTNODE_NODE__DATA_DIR": str(shelf.root)})
    registry = Registry.scan(ONNX)
    flow = FlowClient(engine, engine_url("", shelf.root))
    app = create_app(
        queries=shelf.queries,
        flow=flow,
        archive_root=shelf.root,
        ae_title="PCTNODE",
        dicom_port=11112,
        ready=lambda: {"dicom": None, "models": None, "disk": None},
        access=Access(
            auth="local",
            accounts=Accounts(engine),
            credentials=Credentials(engine),
            audit=Audit(engine),
        ),
        certificates=_certificates,
        desk=desk_of(
            engine,
            peers=tuple(_peer(*p) for p in _PEERS),
            routes=_ROUTES,
            models=lambda: [card(m) for m in registry.models],
            conformance=lambda: node_app.conformance_statement(settings),
            system=lambda: _steady(system(settings, engine)),
            log_lines=lambda within_s: log_lines(shelf.root, within_s),
        ),
    )
    with served(app) as address:
        yield address, secret
    flow.close()


def _furnish(shelf: Shelf, spread: Spread | None) -> None:
    _associations(shelf)
    _models(shelf, _usual() if spread is None else spread)
    echoes = Echoes(shelf.engine)
    for name, *_ in _PEERS[:4]:
        echoes.remember(name, ok=True, sentence=f"{name} answered in 6 ms.")
    echoes.remember("RAYSTATION", ok=False, sentence=_REFUSED)
    shelf.engine.dispose()
    note_backup(shelf.root, Path("/backup/pctnode"), 1240)
    _log(shelf.root)


def _associations(shelf: Shelf) -> None:
    now = datetime.now(UTC)
    told = (
        ("MR_SIM2", "10.20.3.32", "mr-sim2", True, "Released. 138 stored.", "", ""),
        ("MR_SIM1", "10.20.3.31", "mr-sim1", True, "Released. 208 stored, 2 duplicate.", "", ""),
        ("CT_WS3", "10.20.9.77", None, False,
         "'CT_WS3' at 10.20.9.77 is no peer of this node, and unknown peers are refused; known AE "
         "titles: ECLIPSE_RT, MR_SIM1, MR_SIM2, PACS_MAIN, RAYSTATION.", "calling AE title",
         "Add a peer with AE title CT_WS3 and host 10.20.9.77, or correct the calling AE title at "
         "the sender."),
        ("PACS_MAIN", "10.20.1.10", "pacs", True, "Released. SERIES query: 4 matches.", "", ""),
    )  # fmt: skip
    for number, (title, address, peer, accepted, sentence, rule, remedy) in reversed(
        list(enumerate(told))
    ):
        opened = now - timedelta(minutes=4 * number + 1)
        shelf.index.add_association(
            AssociationRecord(
                opened_at=opened,
                closed_at=opened + timedelta(seconds=9),
                calling_ae=title,
                called_ae="PCTNODE",
                address=address,
                peer=peer,
                accepted=accepted,
                sentence=f"{sentence} {remedy}".strip(),
                rule=rule,
                remedy=remedy,
            )
        )


def _usual() -> Spread:
    """Per cent of the body in each bin of HU, as of a head."""
    first, last, width = HISTOGRAM_HU
    centres = np.arange(first, last, width) + width / 2
    spread = np.full(centres.size, 0.05)
    for height, at_hu, wide in ((14.0, 35, 35), (4.0, -90, 60), (0.7, 800, 420)):
        spread += height * np.exp(-(((centres - at_hu) / wide) ** 2))
    return spread


def _models(shelf: Shelf, usual: Spread) -> None:
    """Ninety sCTs of two scanners over six weeks, whose bone share drifts at the end."""
    model = NEWEST
    book, dice = ModelBook(shelf.engine), np.random.default_rng(5)
    book.sign_off(
        model.ref,
        Scope(manufacturer="SIEMENS*", scanner="MAGNETOM Vida", protocol="t1_mprage*"),
        By(who=WHO),
        note="20 patients against planning CT, report 2031-07",
    )
    old = book.sign_off(
        model.ref, Scope(manufacturer="Philips*", scanner="Ingenia", protocol="3D T1*"), By(who=WHO)
    )
    book.revoke(old, By(who=WHO), reason="coil changed")
    for ok, verdict in ((True, "hash and golden case right, 0.004 HU off"),) * 2:
        row: dict[str, Any] = {
            "name": model.ref.name,
            "version": model.ref.version,
            "sha256": model.ref.sha256,
        }
        row |= {"provider": "CPUExecutionProvider", "ok": ok, "verdict": verdict}
        book.remember_check(row, who=WHO)
    for number in range(90):
        at = datetime.now(UTC).timestamp() - (90 - number) * 40_000.0
        series = shelf.row(
            1000 + number,
            state="delivered",
            state_at=at,
            patient_name=f"PHANTOM^{number + 1:02d}",
            patient_id=f"PX-1{number:05d}",
            description="T1 MPRAGE 3D",
            sentence="Delivered to ECLIPSE_RT.",
            model=model.ref.name,
        )
        run = shelf.run_row(series, released_at=at, released_by="policy")
        share = 0.19 + 0.01 * dice.standard_normal() + max(0, number - 70) * 0.0045
        spread = usual * np.exp(0.4 * dice.standard_normal(usual.size))
        measured: dict[str, Any] = {
            "body_ml": float(3600 + 420 * dice.standard_normal()),
            "brain_share": float(0.5 + 0.02 * dice.standard_normal()),
            "bone_share": float(share),
            "air_share": float(0.02 + 0.004 * dice.standard_normal()),
            "uncertain_p95_hu": float(150 + 14 * dice.standard_normal()),
            "hu": [round(float(v), 4) for v in spread],
        }
        source = _OTHER if number % 5 == 0 else _HEAD
        book.remember_figures(run, model.ref.sha256, source, measured)
        with shelf.engine.begin() as connection:
            here = t.figures.c.run_id == run
            connection.execute(sa.update(t.figures).where(here).values(at=at))
    Leases(shelf.engine).beat("sct-1-worker-0", holder="1", version="1")
    Leases(shelf.engine).tell(
        "sct-1-worker-0",
        {
            "processors": 16,
            "memory_bytes": 128 * 2**30,
            "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"],
            "gpus": [
                {"name": "NVIDIA RTX 4000 Ada", "used_mib": 3120.0, "total_mib": 20475.0,
                 "busy_percent": 41.0, "celsius": 52.0, "driver": "550.90"}
            ],
        },
    )  # fmt: skip


def _log(root: Path) -> None:
    (root / "log").mkdir(exist_ok=True)
    now = datetime.now(UTC)
    lines = (
        (
            1,
            "info",
            "worker",
            "step_ended",
            {"series": "1.2.3.4", "step": "encode"},
        ),
        (3, "warning", "scp", "association_refused", {"calling": "CT_WS3"}),
        (8, "error", "web", "request_failed", {"path": "/series/7"}),
        (20, "info", "worker", "delivered", {"destination": "ECLIPSE_RT", "objects": 224}),
    )
    with (root / "log/worker-0.jsonl").open("w") as stream:
        for minutes, level, role, event, fields in reversed(lines):
            at = (now - timedelta(minutes=minutes)).isoformat(timespec="milliseconds")
            line = {"at": at, "level": level, "role": role, "event": event, "logger": "node"}
            stream.write(json.dumps(line | fields) + "\n")


def _certificates() -> tuple[Validity, ...]:
    ends = datetime.now(UTC) + timedelta(days=24)
    return (Validity(file=Path("sct.pem"), subject="CN=sct.hospital.example", ends_at=ends),)


def _steady(told: dict[str, Any]) -> dict[str, Any]:
    """What differs from machine to machine, as a picture of the documentation has it."""
    disk = told["disk"] | {"total_bytes": 2_000_000_000_000, "free_bytes": 1_290_000_000_000}
    workers = [worker | {"silent_s": 4.0} for worker in told["workers"]]
    return told | {"disk": disk, "workers": workers}


def _peer(name: str, title: str, host: str, port: int, may: set[str]) -> Peer:
    return Peer(
        name=name, ae_title=AETitle(title), host=host, port=port, may=frozenset(may), proof="none"
    )
