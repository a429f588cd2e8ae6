"""Every place an sCT may have reached is written down first, and is told of its withdrawal."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.headers.matching import Key
from node.archive.people.audit import By
from node.archive.query.catalogue import Catalogue, Leaving
from node.archive.rows.whereabouts import How, Place, of_peer
from node.archive.schema import tables as t
from node.archive.work.decisions import Decisions
from node.archive.work.deliveries import Deliveries
from node.domain.errors import Rejected
from tests.unit.archive.delivered import Archive, make_archive
from tests.unit.archive.work.test_stopping import Taking, deliver, hold, notice_of

BY = By(who="kemper")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An sCT on its way to TPS."""
    archive = make_archive(tmp_path / "var")
    archive.receive()
    archive.make("tps", objects=10)
    return archive


def places(archive: Archive) -> list[str]:
    """Names of all places, in the order in which they were written down."""
    w = t.whereabouts.c
    with archive.engine.connect() as connection:
        return list(connection.scalars(sa.select(w.place).order_by(w.id)))


def withdraw(archive: Archive) -> str:
    """Withdraw what there is."""
    decisions = Decisions(archive.engine)
    what = decisions.withdrawable(archive.item()["id"])
    return decisions.withdraw(what, notice_of(archive), BY, reason="wrong", concept="quality")


def waiting(archive: Archive) -> set[tuple[str, str | None]]:
    """Destination and stand-in of each delivery that has something to send."""
    d = t.deliveries.c
    with archive.engine.connect() as connection:
        rows = connection.execute(sa.select(d.destination, d.via).where(d.state == "waiting"))
        return {(row.destination, row.via) for row in rows}


class Dying(BaseException):
    """The worker is killed."""


def die() -> None:
    """Be killed."""
    raise Dying


def test_a_place_is_written_before_the_first_byte(archive: Archive) -> None:
    """Killed after one object, nothing recorded: it is known all the same where that one is."""
    with pytest.raises(Dying):
        deliver(archive, Taking(at=1, what=die))

    assert places(archive) == ["tps"]
    assert "It may have reached tps already." in hold(archive)


def test_a_destination_that_never_let_us_in_is_no_place(archive: Archive) -> None:
    """Held before anything was sent: nobody has it, and it can be rejected."""
    assert "may have reached" not in hold(archive)
    Decisions(archive.engine).reject(archive.item()["id"], By(who="kemper"), reason="wrong")

    assert places(archive) == []


def test_a_failover_leaves_two_places_and_both_are_told(archive: Archive) -> None:
    """TPS had some of it, the spare all of it."""
    with pytest.raises(Dying):
        deliver(archive, Taking(at=3, what=die))
    deliveries = Deliveries(archive.engine)
    (due,) = deliveries.due()
    deliveries.divert(due.delivery_id, due.number, "spare", "Sent to spare instead.")
    (due,) = deliveries.due()
    assert deliveries.leaving(due.delivery_id, due.number, "spare", "h")

    told = withdraw(archive)

    assert places(archive) == ["tps", "spare"]
    assert "The notice goes to tps, spare." in told
    assert waiting(archive) == {("tps", None), ("spare", None)}


def test_a_resend_forgets_no_place(archive: Archive) -> None:
    """Sent, and asked to be sent again: the answers are gone, the place is not."""
    assert deliver(archive, Taking()) == ["sent"]
    Decisions(archive.engine).resend(archive.item()["id"], By(who="kemper"))

    assert "The notice goes to tps." in withdraw(archive)


def test_nothing_leaves_that_was_withdrawn_or_held_just_before(archive: Archive) -> None:
    """A try that has begun asks once more before its first byte."""
    deliveries = Deliveries(archive.engine)
    (due,) = deliveries.due()
    assert deliveries.begin(due.delivery_id, due.number)
    hold(archive)

    assert not deliveries.leaving(due.delivery_id, due.number, "tps", "h")
    assert places(archive) == []


def test_whoever_fetches_is_a_place(archive: Archive) -> None:
    """By C-MOVE or C-GET a peer, which gets the notice; on the web a person, who is to be told."""
    catalogue = Catalogue(archive.engine)
    found = [one for one in catalogue.instances([Key("SOPInstanceUID", "UI", "")]) if one.made]
    assert found
    Leaving(catalogue, found).begin(of_peer("workstation", How.MOVE))
    Leaving(catalogue, found).begin(Place(name="aslan (DICOMweb)", how=How.WEB))

    told = withdraw(archive)

    assert told.endswith(
        "The notice goes to workstation. Tell aslan (DICOMweb): no notice can be sent there."
    )
    assert waiting(archive) == {("workstation", None)}


def test_what_is_withdrawn_while_it_is_listed_does_not_go(archive: Archive) -> None:
    """The place was written after the withdrawal: then nothing may follow."""
    catalogue = Catalogue(archive.engine)
    found = [one for one in catalogue.instances([Key("SOPInstanceUID", "UI", "")]) if one.made]
    leaving = Leaving(catalogue, found)
    assert deliver(archive, Taking()) == ["sent"]
    withdraw(archive)
    leaving.begin(of_peer("workstation", How.MOVE))

    with pytest.raises(Rejected, match="may not leave any more"):
        leaving.require(found[0].sop_instance_uid)


def test_rejecting_what_may_have_left_is_refused_below_the_flow(archive: Archive) -> None:
    """One object may have arrived; rejecting would tell nobody."""
    with pytest.raises(Dying):
        deliver(archive, Taking(at=1, what=die))
    hold(archive)

    with pytest.raises(Rejected, match="may have reached tps") as refused:
        Decisions(archive.engine).reject(archive.item()["id"], By(who="kemper"), reason="wrong")

    assert refused.value.code == "LEFT"


def test_a_notice_has_no_stand_in(archive: Archive) -> None:
    """A spare that gets it in place of TPS would leave TPS with an sCT nobody warns of."""
    assert deliver(archive, Taking()) == ["sent"]
    withdraw(archive)
    (due,) = Deliveries(archive.engine).due()

    job = Deliveries(archive.engine).begin(due.delivery_id, due.number)

    assert job is not None
    assert job.withdraws
    assert [file.kind for file in job.files] == ["ko"]
