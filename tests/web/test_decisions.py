"""Decisions about an sCT over the API: signed, held, sent, withdrawn, and written down."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import sqlalchemy as sa

from node.archive.files import Folder
from node.archive.people.audit import Audit
from node.archive.query.commitments import Commitments
from node.archive.rows.series_rows import begin_revision, lock_series
from node.archive.schema import tables as t
from node.archive.site.model_repository import ModelBook
from node.archive.site.peer_contacts import Echoes
from node.archive.site.site_repository import SiteBook
from node.archive.upkeep.retention import Retention
from node.archive.work.deliveries import Deliveries
from node.domain.findings import finding
from node.domain.names import AETitle
from node.domain.site import Peer, Site
from node.flow.client import FlowClient
from node.flow.delivery import DeliveryWork, RetryRule
from node.flow.destinations import DESTINATIONS
from node.flow.engine import engine_url
from node.flow.proof import ProofRule, Prover
from node.web.app import create_app
from node.web.views.page_services import Desk
from tests.peers.dciodvfy import run_dciodvfy
from tests.peers.fixtures import StartStorescp
from tests.phantoms.mr import mr_series
from tests.web.guarded import PASSWORD, Node, access_of, roles_into
from tests.web.serving import listening
from tests.web.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A node with one sCT in review."""

    node: Node
    shelf: Shelf
    series: int
    run: int
    datasets: list[Any]

    def post(self, who: str, action: str, **body: Any) -> Any:
        """Ask for a decision as ``who``."""
        return self.node.session(who).post(f"/api/series/{self.series}/{action}", json=body)

    def item(self) -> dict[str, Any]:
        """The series as the API gives it."""
        found = self.shelf.queries.series_detail(self.series)
        assert found is not None
        return found

    def signature(self, **other: Any) -> dict[str, Any]:
        """A signature that holds."""
        item = self.item()
        return {
            "attempt": f"{item['revision']}.{item['attempts']}",
            "ticked": [f"{n}:{f['code']}" for n, f in enumerate(item["findings"])],
            "destinations": ["ECLIPSE_RT"],
            "instances": sum(o["instances"] for o in item["outputs"]),
            "password": PASSWORD,
        } | other

    def deliver(self, peers: tuple[Peer, ...]) -> None:
        """Do what is due, as a worker would."""
        deliveries = Deliveries(self.shelf.engine)
        work = DeliveryWork(
            folder=Folder(self.shelf.root),
            deliveries=deliveries,
            site=lambda: Site(peers=peers, routes=()),
            destinations=DESTINATIONS,
            retry=RetryRule(),
            calling_ae="PCTNODE",
            prover=Prover(
                deliveries,
                Commitments(self.shelf.engine),
                ProofRule(),
                calling_ae="PCTNODE",
                folder=Folder(self.shelf.root),
            ),
        )
        for _ in range(10):  # storescp may drop a connection on a busy machine
            with self.shelf.engine.connect() as connection:
                d = t.deliveries.c
                due = connection.execute(sa.select(d.id, d.tries).where(d.state == "waiting")).all()
            for row in due:
                work.attempt(row.id, row.tries)
            if not due:
                return


def _peer(name: str, port: int) -> Peer:
    return Peer(
        name=name,
        ae_title=AETitle(name),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="none",
    )


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database that has an account of each role."""
    return roles_into(tmp_path_factory.mktemp("accounts"))


@pytest.fixture
def review(tmp_path: Path, accounts: Path) -> Iterator[Review]:
    """Serve a node whose one series waits for a signature."""
    (tmp_path / "node.sqlite").write_bytes(accounts.read_bytes())
    shelf = Shelf(root=tmp_path)
    datasets = mr_series((12, 24, 24), (4.0, 4.0, 4.0)).datasets
    series = shelf.receive(datasets)
    run = shelf.synthesise(
        series,
        datasets,
        lambda _mr, grid: np.full(grid.shape, 40, np.int16),
        findings=[finding("INSTANCE_CONFLICT", uid="1.2", uids=["1.2"])],
    )
    shelf.set(series, findings=[f | {"severity": "warning"} for f in _findings(shelf, series)])
    flow = FlowClient(shelf.engine, engine_url("", tmp_path), Folder(tmp_path))
    access = access_of(shelf.engine)
    desk = Desk(
        book=SiteBook(
            shelf.engine,
            Site(peers=(_peer("RAYSTATION", 104),), routes=()),
            models=lambda: {"pelvis-t2"},
        ),
        echoes=Echoes(shelf.engine),
        try_routes=lambda _folder: [],
        models=lambda: [{"name": "pelvis-t2"}],
        model_book=ModelBook(shelf.engine),
    )
    app = create_app(
        queries=shelf.queries, flow=flow, access=access, desk=desk, archive_root=tmp_path
    )
    with listening(app) as port:
        node = Node(port=port, engine=shelf.engine, access=access)
        yield Review(node=node, shelf=shelf, series=series, run=run, datasets=list(datasets))
        for client in node.clients:
            client.close()
    flow.close()
    shelf.engine.dispose()


def _findings(shelf: Shelf, series: int) -> list[dict[str, Any]]:
    found = shelf.queries.series_detail(series)
    assert found is not None
    return list(found["findings"])


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"password": ""}, 403, "needs your password"),
        ({"password": "wrong"}, 403, "do not match"),
        ({"ticked": []}, 409, "Warnings are not ticked"),
        ({"destinations": ["RAYSTATION"]}, 409, "goes to ECLIPSE_RT"),
        ({"destinations": []}, 409, "goes to ECLIPSE_RT"),
        ({"instances": 3}, 409, "objects, not 3"),
        ({"attempt": "1.2"}, 409, "attempt 1.1 now"),
    ],
)
def test_a_signature_is_for_what_was_seen_by_who_proves_himself(
    review: Review, change: dict[str, Any], status: int, words: str
) -> None:
    """Password, every tick, destinations, number and attempt each stop it, and nothing changes."""
    answer = review.post("physicist", "sign", **review.signature(**change))

    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert review.item()["state"] == "review"
    assert review.item()["deliveries"] == []


def test_a_viewer_signs_nothing(review: Review) -> None:
    """The role is asked before the signature is looked at."""
    for action in ("sign", "reject", "set-aside", "hold", "retry", "resend", "send", "withdraw"):
        assert review.post("viewer", action).status_code == 403


def _stands(review: Review, state: str) -> None:
    with review.shelf.engine.begin() as connection:
        connection.execute(sa.update(t.series).values(state=state, sentence="The matrix is odd."))


@pytest.mark.parametrize("state", ["refused", "failed"])
def test_what_was_refused_or_failed_is_set_aside_with_a_reason(review: Review, state: str) -> None:
    """It needs nobody any more, says who decided that and why, and can be run again."""
    _stands(review, state)
    assert review.post("physicist", "set-aside", reason=" ").status_code == 422
    assert review.item()["state"] == state

    answer = review.post("physicist", "set-aside", reason="localiser")
    assert answer.status_code == 200, answer.text
    item = review.item()
    assert (item["state"], item["sentence"]) == ("rejected", "Set aside by physicist: localiser.")
    (act,) = [r for r in review.node.audit() if r["action"] == "set aside"]
    assert (act["who"], act["details"]["reason"]) == ("physicist", "localiser")
    assert review.post("physicist", "retry").status_code == 200


@pytest.mark.parametrize("state", ["review", "delivered", "rejected", "queued"])
def test_nothing_else_is_set_aside(review: Review, state: str) -> None:
    """An sCT in review is signed or rejected, one that has left is withdrawn."""
    _stands(review, state)
    assert review.post("physicist", "set-aside", reason="r").status_code == 409
    assert review.item()["state"] == state


def test_a_failed_one_that_may_be_somewhere_is_not_set_aside(
    review: Review, start_storescp: StartStorescp
) -> None:
    """It would be forgotten by those who have it: it is withdrawn, or sent again."""
    tps = start_storescp(ae_title="ECLIPSE_RT")
    assert review.post("physicist", "sign", **review.signature()).status_code == 200
    review.deliver((_peer("ECLIPSE_RT", tps.port),))
    _stands(review, "failed")

    answer = review.post("physicist", "set-aside", reason="r")
    assert (answer.status_code, "ECLIPSE_RT" in answer.text) == (409, True), answer.text
    assert review.item()["state"] == "failed"


def test_a_signed_sct_leaves_and_the_audit_trail_names_what_was_signed(
    review: Review, start_storescp: StartStorescp
) -> None:
    """Who, from where, run, objects with their hashes, destinations, accepted warnings, comment."""
    tps = start_storescp(ae_title="ECLIPSE_RT")
    answer = review.post("physicist", "sign", **review.signature(comment="Looks right."))
    assert answer.status_code == 200, answer.text
    review.deliver((_peer("ECLIPSE_RT", tps.port),))

    item = review.item()
    assert item["state"] == "delivered"
    (act,) = [r for r in review.node.audit() if r["action"] == "sign"]
    assert (act["who"], act["role"], act["address"]) == ("physicist", "physicist", "127.0.0.1")
    signed = act["details"]
    assert signed["destinations"] == ["ECLIPSE_RT"]
    assert signed["accepted"] == ["0:INSTANCE_CONFLICT"]
    assert signed["comment"] == "Looks right."
    arrived = {str(pydicom.dcmread(p).SOPInstanceUID) for p in tps.files()}
    assert arrived == set(signed["objects"])
    assert signed["instances"] == len(arrived) == item["outputs"][0]["instances"]
    assert item["runs"][-1]["released_by"] == "physicist"
    assert Audit(review.shelf.engine).verify().broken_at is None


def test_what_is_held_does_not_leave_by_itself(review: Review) -> None:
    """A hold stops a delivery before its next try; a signature lets it go on."""
    review.post("physicist", "sign", **review.signature())
    held = review.post("physicist", "hold", reason="wrong patient?")

    assert held.status_code == 200
    item = review.item()
    assert item["state"] == "review"
    assert "Held by physicist: wrong patient?" in item["sentence"]
    assert [d["state"] for d in item["deliveries"]] == ["failed"]
    assert not item["outputs"][0]["released"]
    assert review.post("physicist", "sign", **review.signature()).status_code == 200
    assert [d["state"] for d in review.item()["deliveries"]] == ["waiting"]


def test_an_automatic_release_of_a_held_series_is_held(review: Review) -> None:
    """The policy says go, the person said hold: the person counts."""
    review.post("physicist", "retry")
    run = review.shelf.queue(review.series, attempt=2)
    review.post("physicist", "hold")
    review.shelf.step(run, "release", "All checks passed.")
    review.shelf.runs.release(run, ["ECLIPSE_RT"], "All checks passed.", who="policy")

    item = review.item()
    assert item["state"] == "review"
    assert item["deliveries"] == []


def test_run_again_with_another_model_is_a_new_attempt(review: Review) -> None:
    """The attempt before stays as it is; the new one carries the model that was asked for."""
    assert review.post("physicist", "retry", model="nothing").status_code == 422
    answer = review.post("physicist", "retry", model="pelvis-t2")

    assert "with model pelvis-t2" in answer.json()["sentence"]
    item = review.item()
    assert [(r["attempt"], r["superseded_at"] is None) for r in item["runs"]] == [
        (1, False),
        (2, True),
    ]
    assert review.shelf.runs.get(item["runs"][1]["id"]).model == "pelvis-t2"
    assert len(review.shelf.runs.outputs(review.run)) > 0
    acts = [(r["action"], r["details"]) for r in review.node.audit()]
    assert ("run again", {"model": "pelvis-t2"}) in acts


def test_a_delivered_sct_goes_to_a_further_peer(
    review: Review, start_storescp: StartStorescp
) -> None:
    """Only to one the node knows, whole, and once."""
    tps, other = (start_storescp(name=n, ae_title=n) for n in ("ECLIPSE_RT", "RAYSTATION"))
    peers = (_peer("ECLIPSE_RT", tps.port), _peer("RAYSTATION", other.port))
    review.post("physicist", "sign", **review.signature())
    review.deliver(peers)

    assert review.post("physicist", "send", destination="NOBODY").status_code == 422
    assert review.post("physicist", "send", destination="RAYSTATION").status_code == 200
    assert review.post("physicist", "send", destination="RAYSTATION").status_code == 409
    review.deliver(peers)

    assert len(other.files()) == len(tps.files()) > 0
    assert review.item()["state"] == "delivered"


@pytest.mark.interop
@pytest.mark.parametrize(("concept", "code"), [("quality", "113001"), ("safety", "113037")])
def test_a_withdrawn_sct_is_called_back_where_it_went(
    review: Review, start_storescp: StartStorescp, concept: str, code: str
) -> None:
    """A valid Key Object names every image and the successor, and goes where the images went."""
    tps = start_storescp(ae_title="ECLIPSE_RT")
    peers = (_peer("ECLIPSE_RT", tps.port),)
    early = review.post("physicist", "withdraw", concept=concept, reason="early", password=PASSWORD)
    assert early.status_code == 409
    review.post("physicist", "sign", **review.signature())
    review.deliver(peers)
    images = {str(pydicom.dcmread(p).SOPInstanceUID) for p in tps.files()}
    review.post("physicist", "retry")
    successor = _second_attempt(review)

    unproved = review.post("physicist", "withdraw", concept=concept, reason="Wrong skull.")
    answer = review.post(
        "physicist", "withdraw", concept=concept, reason="Wrong skull.", password=PASSWORD
    )
    review.deliver(peers)

    assert unproved.status_code == 403
    assert answer.status_code == 200, answer.text
    (notice,) = [p for p in tps.files() if pydicom.dcmread(p).Modality == "KO"]
    document = pydicom.dcmread(notice)
    assert document.ConceptNameCodeSequence[0].CodeValue == code
    named = document.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert {i.ReferencedSOPInstanceUID for i in named.ReferencedSOPSequence} == images
    text = document.to_json()
    assert successor in text
    assert "Wrong skull" in text
    assert run_dciodvfy(notice).errors == ()
    assert len(tps.files()) == len(images) + 1
    again = review.post("physicist", "withdraw", concept=concept, reason="again", password=PASSWORD)
    assert again.status_code == 409
    (act,) = [r for r in review.node.audit() if r["action"] == "withdraw"]
    assert act["details"]["successor"] == successor


def _second_attempt(review: Review) -> str:
    run = review.shelf.synthesise(
        review.series,
        review.datasets,
        lambda _mr, grid: np.full(grid.shape, 50, np.int16),
        attempt=2,
    )
    return review.shelf.runs.outputs(run)[0].series_instance_uid


def test_a_withdrawn_present_sct_ends_rejected_and_is_found_by_nobody(
    review: Review, start_storescp: StartStorescp
) -> None:
    """Without a newer attempt the series is rejected; its objects are no longer released."""
    tps = start_storescp(ae_title="ECLIPSE_RT")
    review.post("physicist", "sign", **review.signature())
    review.deliver((_peer("ECLIPSE_RT", tps.port),))
    review.post("physicist", "withdraw", concept="safety", reason="Wrong.", password=PASSWORD)

    item = review.item()
    assert item["state"] == "rejected"
    assert "Withdrawn by physicist: Wrong" in item["sentence"]
    assert not any(o["released"] for o in item["outputs"])
    review.deliver((_peer("ECLIPSE_RT", tps.port),))
    assert review.item()["state"] == "rejected"
    assert review.shelf.queries.output_files(review.series, released_only=True) == []


def test_an_sct_that_late_images_have_outdated_is_shown_and_withdrawn_from_the_page(
    review: Review, start_storescp: StartStorescp
) -> None:
    """It lies at the planning system while the newer revision is not even made."""
    tps = start_storescp(ae_title="ECLIPSE_RT")
    peers = (_peer("ECLIPSE_RT", tps.port),)
    review.post("physicist", "sign", **review.signature())
    review.deliver(peers)
    sent = len(tps.files())
    assert review.item()["earlier"] == []
    with review.shelf.engine.begin() as connection:
        begin_revision(connection, lock_series(connection, review.series))

    told = {"revision": 1, "attempt": 1, "destinations": ["ECLIPSE_RT"]}
    assert (review.item()["state"], review.item()["earlier"]) == ("receiving", [told])
    client = review.node.session("physicist")
    client.cookies.set("pctnode_language", "en")
    page = client.get(f"/series/{review.series}").text
    assert "Attempt 1 of revision 1 is at ECLIPSE_RT." in page
    assert 'name="revision" value="1"' in page
    form = {"concept": "safety", "attempt": "1", "revision": "1", "comment": "Images were missing"}
    answer = client.post(f"/series/{review.series}/withdraw", data=form | {"password": PASSWORD})
    assert answer.status_code in (200, 303), answer.text
    review.deliver(peers)

    assert len(tps.files()) == sent + 1
    assert review.item()["earlier"] == []
    assert "of revision 1" not in client.get(f"/series/{review.series}").text


def test_what_retention_removed_is_withdrawn_all_the_same(
    review: Review, start_storescp: StartStorescp
) -> None:
    """Day 400: no file of it is here, and the notice names every object to whoever has them."""
    tps = start_storescp(ae_title="ECLIPSE_RT")
    review.post("physicist", "sign", **review.signature())
    review.deliver((_peer("ECLIPSE_RT", tps.port),))
    had = {str(pydicom.dcmread(p).SOPInstanceUID) for p in tps.files()}
    retention = Retention(review.shelf.engine, Folder(review.shelf.root))
    assert retention.remove(review.series, "Old.")
    assert retention.remove_files()

    answer = review.post(
        "physicist", "withdraw", concept="safety", reason="Wrong.", password=PASSWORD
    )
    review.deliver((_peer("ECLIPSE_RT", tps.port),))

    assert answer.status_code == 200, answer.text
    (notice,) = [p for p in tps.files() if pydicom.dcmread(p).Modality == "KO"]
    document = pydicom.dcmread(notice)
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    assert had == {
        one.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    assert document.PatientID == review.datasets[0].PatientID
    assert run_dciodvfy(notice).errors == ()
    assert review.item()["state"] == "rejected"
