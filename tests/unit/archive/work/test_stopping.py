"""A person stops an sCT that is on its way: nothing more of it leaves, and who got some is told."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pytest
import sqlalchemy as sa

from node.archive.people.audit import By
from node.archive.query.commitments import Commitments
from node.archive.rows.delivery_values import Answer
from node.archive.rows.whereabouts import How, note, of_peer
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile
from node.archive.upkeep.retention import Retention
from node.archive.work.decisions import Decisions
from node.archive.work.deliveries import Deliveries
from node.domain.errors import Rejected
from node.domain.names import AETitle
from node.domain.site import Peer, Site
from node.domain.wording import Language
from node.flow.delivery import DeliveryWork, RetryRule
from node.flow.destinations import Answered, Leaving
from node.flow.proof import ProofRule, Prover
from node.scu.store import Outgoing
from node.web.messages.sentences import spoken
from tests.unit.archive.delivered import Archive, make_archive

OBJECTS = 40
BY = By(who="kemper")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An sCT of many objects that is on its way."""
    archive = make_archive(tmp_path / "var")
    archive.receive()
    archive.make("tps", objects=OBJECTS)
    return archive


class Taking:
    """A destination that takes objects; somebody does something while it does."""

    def __init__(
        self, at: int = 0, what: Callable[[], object] = lambda: None, status: int = 0
    ) -> None:
        self.taken: list[str] = []
        self._status = status
        self._at, self._what = at, what

    def send(
        self,
        peer: Peer,
        files: Sequence[Outgoing],
        *,
        calling_ae: str,
        leaving: Leaving,
        answered: Answered,
    ) -> None:
        """Take ``files`` one after the other."""
        leaving()
        for file in files:
            self.taken.append(file.sop_instance_uid)
            if len(self.taken) == self._at:
                self._what()
            uid = file.sop_instance_uid
            said = f"0x{self._status:04X} (warning: coerced)"
            answered(Answer(sop_instance_uid=uid, status=self._status, stored=True, sentence=said))


def deliver(archive: Archive, destination: Taking, *, proof: str = "none") -> list[str]:
    """Do what is due once; how each try ended."""
    peer = Peer(name="tps", ae_title=AETitle("TPS"), host="h", port=1, may=frozenset(), proof=proof)
    deliveries = Deliveries(archive.engine)
    work = DeliveryWork(
        folder=archive.folder,
        deliveries=deliveries,
        site=lambda: Site(peers=(peer,), routes=()),
        destinations={"dicom": destination},
        retry=RetryRule(),
        calling_ae="PCTNODE",
        prover=Prover(
            deliveries, Commitments(archive.engine), ProofRule(), "PCTNODE", archive.folder
        ),
    )
    return [work.attempt(due.delivery_id, due.number) for due in deliveries.due()]


def delivery(archive: Archive) -> sa.RowMapping:
    """The row of the only delivery."""
    with archive.engine.connect() as connection:
        return connection.execute(sa.select(t.deliveries)).mappings().one()


def hold(archive: Archive) -> str:
    """Hold it."""
    return Decisions(archive.engine).hold(archive.item()["id"], BY)


def withdraw(archive: Archive) -> str:
    """Withdraw it; the notice is any object."""
    decisions = Decisions(archive.engine)
    with archive.engine.begin() as connection:  # it has reached somebody: an earlier destination
        run = connection.execute(sa.select(t.runs.c.id)).scalar_one()
        values = {"run_id": run, "destination": "pacs", "state": "sent", "updated_at": 0.0}
        connection.execute(sa.insert(t.deliveries).values(values))
        note(connection, [run], of_peer("pacs", How.DELIVERY))
    what = decisions.withdrawable(archive.item()["id"])
    return decisions.withdraw(what, notice_of(archive), BY, reason="wrong", concept="quality")


def notice_of(archive: Archive) -> OutputFile:
    """Any object, as the notice."""
    data = b"notice"
    archive.folder.write(PurePosixPath("outputs/1.2.3/1.2.3.9.dcm"), data)
    return OutputFile(
        sop_instance_uid="1.2.3.9",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.59",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        series_instance_uid="1.2.3",
        number=1,
        kind="ko",
        stack=0,
        path="outputs/1.2.3/1.2.3.9.dcm",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def test_a_hold_stops_what_is_being_sent(archive: Archive) -> None:
    """Within a few objects, not after the last of the series."""
    tps = Taking(at=10, what=lambda: hold(archive))

    assert deliver(archive, tps) == ["stopped"]

    assert 10 <= len(tps.taken) <= 18
    assert archive.item()["state"] == "review"
    assert deliver(archive, tps) == []


def test_what_a_person_lets_go_again_is_sent_to_its_end(archive: Archive) -> None:
    """Held and then released without a signature: the rest goes out, each object once."""
    tps = Taking(at=10, what=lambda: hold(archive))
    deliver(archive, tps)

    Decisions(archive.engine).release(archive.item()["id"], By(who="kemper"))

    assert deliver(archive, tps) == ["sent"]
    assert len(tps.taken) == len(set(tps.taken)) == OBJECTS
    assert (archive.item()["state"], archive.item()["held_by"]) == ("delivered", None)
    with archive.engine.connect() as connection:
        told = connection.execute(sa.select(t.transfers.c.classes, t.transfers.c.whole)).all()
    assert [row.whole for row in told] == [False, True]
    assert sum(count for row in told for count in row.classes.values()) == OBJECTS


@pytest.mark.long
def test_what_is_missing_at_the_peer_is_not_sent_while_somebody_holds_it(archive: Archive) -> None:
    """Sent, and held before its proof: the peer lacks some, which must not leave now."""
    tps = Taking()
    assert deliver(archive, tps, proof="commitment") == ["sent"]
    row = delivery(archive)
    hold(archive)

    lost = tps.taken[:5]
    Deliveries(archive.engine).missing(row["id"], row["tries"], lost, "They are missing.")
    assert deliver(archive, tps, proof="commitment") == ["nothing to do"]
    assert len(tps.taken) == OBJECTS

    Decisions(archive.engine).release(archive.item()["id"], By(who="kemper"))
    assert deliver(archive, tps, proof="commitment") == ["sent"]
    assert tps.taken[OBJECTS:] == lost


@pytest.mark.long
def test_who_is_being_sent_a_withdrawn_sct_gets_the_notice(archive: Archive) -> None:
    """Nothing of it was recorded there when it was withdrawn; some objects had arrived."""
    tps = Taking(at=3, what=lambda: withdraw(archive))

    assert deliver(archive, tps) == ["stopped"]

    assert len(tps.taken) <= 8
    assert "sent" in deliver(archive, tps)
    assert tps.taken[-1] == "1.2.3.9"


def test_an_older_sct_is_withdrawn_by_revision_and_attempt(archive: Archive) -> None:
    """Attempt 1 of two revisions was delivered: neither is taken for the one that was meant."""
    deliver(archive, Taking())
    with archive.engine.begin() as connection:  # late images began a revision, made and delivered
        first = connection.execute(sa.select(t.runs)).mappings().one()
        second = dict(first) | {"id": 2, "revision": 2, "workflow_id": "w2"}
        connection.execute(sa.insert(t.runs).values(second))
        values = {"run_id": 2, "destination": "tps", "state": "sent", "updated_at": 0.0}
        connection.execute(sa.insert(t.deliveries).values(values))
        note(connection, [2], of_peer("tps", How.DELIVERY))
        made = connection.execute(sa.select(t.outputs).limit(1)).mappings().one()
        other = {"run_id": 2, "sop_instance_uid": "1.2.3.4"}
        connection.execute(sa.insert(t.outputs).values(dict(made) | other))
    decisions, series = Decisions(archive.engine), archive.item()["id"]

    with pytest.raises(Rejected, match="several revisions"):
        decisions.withdrawable(series, 1)

    assert decisions.withdrawable(series, 1, 1).run_id == first["id"]
    assert decisions.withdrawable(series, 1, 2).run_id == 2
    assert decisions.withdrawable(series).run_id == 2


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_an_object_that_is_not_what_was_made_never_leaves(archive: Archive, damage: str) -> None:
    """One bit turned on the disk since: nothing of the series is sent, and a person is told."""
    victim = sorted((archive.root / "outputs").rglob("*.dcm"))[17]
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(bytes([victim.read_bytes()[0] ^ 1]) + victim.read_bytes()[1:])
    tps = Taking()

    assert deliver(archive, tps) == ["failed"]

    assert tps.taken == []
    assert archive.item()["state"] == "failed"
    assert "is not what was made" in delivery(archive)["sentence"]


def test_nothing_is_removed_while_an_older_sct_has_its_withdrawal_to_send(
    archive: Archive,
) -> None:
    """The newer one is delivered long ago; the notice waits for a peer that is away."""
    deliver(archive, Taking())
    withdraw(archive)
    with archive.engine.begin() as connection:  # a second attempt was made and delivered since
        first = connection.execute(sa.select(t.runs)).mappings().one()
        newer = {"id": 2, "attempt": 2, "workflow_id": "w2", "withdrawn_at": None}
        connection.execute(sa.insert(t.runs).values(dict(first) | newer))
        connection.execute(sa.update(t.series).values(state="delivered", attempt=2))
        values = {"run_id": 2, "destination": "tps", "state": "sent", "updated_at": 0.0}
        connection.execute(sa.insert(t.deliveries).values(values))
    retention = Retention(archive.engine, archive.folder)

    assert list(retention.removable(older_than_s=0.0, limit=10)) == []
    assert retention.remove(archive.item()["id"], "Too early.") == 0

    with archive.engine.begin() as connection:
        sent = sa.update(t.deliveries).where(t.deliveries.c.run_id == first["id"])
        connection.execute(sent.values(state="sent"))
    assert list(retention.removable(older_than_s=0.0, limit=10)) == [archive.item()["id"]]


def test_what_was_stored_with_a_warning_is_said(archive: Archive) -> None:
    """A peer may change what it stores (0xB000, coercion): a person has to know."""
    deliver(archive, Taking(status=0xB000), proof="commitment")

    sentence = delivery(archive)["sentence"]

    assert sentence.endswith(
        f"(commitment). Remarks on {OBJECTS} of them, the last: 0xB000 (warning: coerced)."
    )
    told = spoken(sentence, Language.FR)
    assert "Remarques sur" in told
    assert "avertissement: coerced" in told


@pytest.mark.long
def test_what_was_proved_while_it_was_held_is_delivered_once_it_is_let_go(archive: Archive) -> None:
    """Nothing is left to do, and nobody would come to say so."""
    deliver(archive, Taking(), proof="commitment")
    row = delivery(archive)
    hold(archive)
    Deliveries(archive.engine).confirmed(row["id"], row["tries"], "Committed to.")
    assert archive.item()["state"] == "review"

    Decisions(archive.engine).release(archive.item()["id"], By(who="kemper"))

    assert archive.item()["state"] == "delivered"


def test_what_a_destination_got_before_another_stood_in_for_it_is_remembered(
    archive: Archive,
) -> None:
    """Half a series lies there: whoever looks for what went where must find it."""
    deliveries = Deliveries(archive.engine)
    (due,) = deliveries.due()
    job = deliveries.begin(due.delivery_id, due.number)
    assert job is not None
    some = [
        Answer(sop_instance_uid=f.sop_instance_uid, status=0, stored=True, sentence="success")
        for f in job.files[:7]
    ]
    deliveries.record(due.delivery_id, due.number, some)

    deliveries.divert(due.delivery_id, due.number, "spare", "tps is away. Sent to spare instead.")

    with archive.engine.connect() as connection:
        told = connection.execute(sa.select(t.events.c.sentence)).scalars().all()
    assert "7 objects of it stored at tps stay there." in told
    assert delivery(archive)["via"] == "spare"
