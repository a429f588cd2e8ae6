"""What happened at the door: written before the sender hears of it, and told from the rows."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.archive.evidence import conflicts
from node.archive.evidence.holders import Holder, is_alive
from node.archive.evidence.ledger import WAITING, Ledger, read_evidence
from node.archive.evidence.offering import Offering, Offerings
from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext, identify
from node.archive.ingest.journal import JOURNAL
from node.archive.ingest.journal_entry import read_meta
from node.archive.ingest.journal_writer import Filer
from node.archive.ingest.receive import Outcome, Receiver
from node.archive.ingest.recovery import recover
from node.archive.rows.index import Index
from node.archive.schema import tables as t
from node.archive.schema.records import ReceivedHeader, StoredInstance
from node.archive.work.runs import Runs
from node.domain.door import Ending, Evidence, Patience
from node.domain.errors import Rejected, Retryable
from node.domain.states import State
from tests.peers.waiting import wait_until
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

SYNTAX = "1.2.840.10008.1.2.1"
SERIES = "1.2.3.4"
NO_PATIENCE = Patience(return_s=0.0, open_s=0.0)


@dataclass(slots=True, kw_only=True)
class Node:
    """A receiving process over an archive."""

    folder: Folder
    engine: sa.Engine
    offerings: Offerings
    receiver: Receiver
    parts: Path

    def offering(self, calling_ae: str = "PACS") -> Offering:
        """An association begins."""
        return self.offerings.open(calling_ae=calling_ae, called_ae="PCTNODE", peer="pacs")

    def bring(self, offering: Offering, *numbers: int, series: str = SERIES) -> None:
        """Instances come on it, and are told as the door does."""
        for number in numbers:
            path = write_image(self.parts / f"{number}.dcm", mr_image(number, series=series))
            receipt = self.receiver.receive(data_set_of(path), self.context(offering))
            if receipt.outcome is Outcome.STORED:
                offering.stored(receipt.series_instance_uid)
            else:
                offering.known(receipt.series_instance_uid)

    def context(self, offering: Offering) -> ReceiveContext:
        """How an instance comes on it."""
        caller = offering.caller
        return ReceiveContext(
            transfer_syntax_uid=SYNTAX,
            calling_ae=caller.calling_ae,
            called_ae=caller.called_ae,
            peer=caller.peer,
            origin=caller.origin,
        )

    def arrived(self, offering: Offering, number: int) -> tuple[StoredInstance, ReceivedHeader]:
        """What an instance that comes on it is indexed with."""
        path = write_image(self.parts / f"{number}.dcm", mr_image(number))
        arrival = identify(data_set_of(path), self.context(offering), datetime.now(UTC))
        return arrival.stored(arrival.path, arrival.size), arrival.header

    def evidence(self) -> Evidence:
        """What the rows say of the series."""
        with self.engine.begin() as connection:
            return read_evidence(connection, 1, SERIES)

    def settle(self, patience: Patience | None = None) -> int:
        """Take up what is quiet, at once."""
        return Runs(self.engine).settle_quiet(-1.0, patience=patience)

    def mark_lost(self) -> int:
        """What a worker does before it settles."""
        return Ledger(self.engine).mark_lost(lambda holder: is_alive(self.folder, holder))


def open_node(folder: Path, filer: Filer | None = None) -> Node:
    """A process of its own over what lies in ``folder``."""
    engine = t.open_engine(t.sqlite_url(folder / "node.sqlite"))
    t.metadata.create_all(engine)
    archive = Folder(folder / "var")
    return Node(
        folder=archive,
        engine=engine,
        offerings=Offerings(Ledger(engine), Holder(archive)),
        receiver=Receiver(archive, Index(engine), now=lambda: datetime.now(UTC), filer=filer),
        parts=folder / "parts",
    )


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A receiving process without a journal."""
    node = open_node(tmp_path)
    yield node
    node.offerings.close()


def test_an_association_is_on_record_before_its_first_instance_is_acknowledged(node: Node) -> None:
    """The row is of the transaction that indexes the instance."""
    offering = node.offering()
    path = write_image(node.parts / "1.dcm", mr_image(1))
    node.receiver.receive(data_set_of(path), node.context(offering))

    (offer,) = node.evidence().offers
    assert (offer.calling_ae, offer.called_ae, offer.peer) == ("PACS", "PCTNODE", "pacs")
    assert (offer.held, offer.ended_at) == (1, None)


def test_a_series_is_not_taken_up_while_an_association_brings_it(node: Node) -> None:
    """However long it has been quiet: until the sender releases."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    assert node.settle() == 0
    offering.end(Ending.RELEASED, "Released.")
    assert node.settle() == 1


def test_who_brings_only_what_is_here_is_waited_for_too(node: Node) -> None:
    """A sender that repeats the whole series may have more than the first one."""
    first, again = node.offering(), node.offering()
    node.bring(first, 1, 2)
    first.end(Ending.RELEASED, "Released.")
    node.bring(again, 1, 2)
    assert node.settle() == 0
    again.end(Ending.RELEASED, "Released.")
    assert node.settle() == 1
    assert [(o.held, o.duplicates) for o in node.evidence().offers] == [(2, 0), (0, 2)]


def test_a_series_whose_sender_broke_off_waits_for_it(node: Node) -> None:
    """Longer than for quiet; what comes then makes it whole at once."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    offering.end(Ending.ABORTED, "Aborted by the peer.")
    assert node.settle() == 0
    with node.engine.begin() as connection:
        assert connection.execute(sa.select(t.series.c.sentence)).scalar_one() == WAITING
    again = node.offering()
    node.bring(again, 1, 2, 3)
    again.end(Ending.RELEASED, "Released.")
    assert node.settle() == 1
    assert node.evidence().troubles == ()


def test_a_repeat_that_was_indexed_first_is_no_return(node: Node) -> None:
    """Two acceptors take the same instances for new; the repeat of a part is filed before them."""
    broken = node.offering()
    first = [node.arrived(broken, number) for number in (1, 2, 3)]
    for _ in first:
        broken.stored(SERIES)
    repeated = node.offering()
    again = [node.arrived(repeated, number) for number in (2, 3)]
    for _ in again:
        repeated.stored(SERIES)
    for rows in (again, first):
        Index(node.engine).add_instances(rows)
    broken.end(Ending.BROKEN, "The connection ended.")
    repeated.end(Ending.RELEASED, "Released.")
    assert [o.ending for o in node.evidence().troubles] == [Ending.BROKEN]


def test_a_series_whose_sender_never_returns_is_taken_up_in_the_end(node: Node) -> None:
    """With the evidence of what happened."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    offering.end(Ending.ABORTED, "Aborted by the peer.")
    assert node.settle(NO_PATIENCE) == 1
    assert [o.ending for o in node.evidence().troubles] == [Ending.ABORTED]


def test_a_refused_instance_is_missing_until_it_is_here(node: Node) -> None:
    """By its SOP Instance UID; the series waits for it, though its sender released."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    offering.refused(f"{SERIES}.3", "NOT_STORED", "The disk is full.")
    offering.end(Ending.RELEASED, "Released.")
    assert [m.sop_instance_uid for m in node.evidence().missing] == [f"{SERIES}.3"]
    assert node.settle() == 0

    again = node.offering()
    node.bring(again, 3)
    again.end(Ending.RELEASED, "Released.")
    assert node.evidence().missing == ()
    assert node.settle() == 1


def test_an_instance_refused_after_the_series_was_taken_up_begins_a_revision(node: Node) -> None:
    """What was made lacks it; the same refusal once more changes nothing."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    offering.end(Ending.RELEASED, "Released.")
    assert node.settle() == 1

    for _ in range(2):
        late = node.offering()
        late.refused(f"{SERIES}.3", "DATA_TRUNCATED", "It ends too soon.", SERIES)
        late.end(Ending.RELEASED, "Released.")
        assert node.settle(NO_PATIENCE) <= 1
    with node.engine.begin() as connection:
        revision = connection.execute(sa.select(t.series.c.revision)).scalar_one()
        times = connection.execute(sa.select(t.refusals.c.times)).scalar_one()
    assert (revision, times) == (2, 2)


@pytest.mark.parametrize("state", [State.KEPT, State.DELIVERED])
@pytest.mark.parametrize("how", ["refused", "aside"])
def test_a_series_without_images_is_not_taken_up(node: Node, state: State, how: str) -> None:
    """It says what it corrects, or its images went after delivery: its state and sentence stay."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    stored, _ = node.arrived(offering, 3)
    offering.end(Ending.RELEASED, "Released.")
    with node.engine.begin() as connection:
        connection.execute(sa.delete(t.instances))
        connection.execute(sa.update(t.series).values(state=state.value, instances=0, sentence="S"))

    if how == "refused":
        late = node.offering()
        late.refused(f"{SERIES}.3", "DATA_TRUNCATED", "It ends too soon.", SERIES)
        late.end(Ending.ABORTED, "Aborted.")
    else:
        conflicts.record(Index(node.engine), stored, "PACS", path="conflicts/a.dcm", size=1)

    with node.engine.begin() as connection:
        row = connection.execute(sa.select(t.series)).mappings().one()
    assert (row["state"], row["sentence"], row["revision"]) == (state.value, "S", 1)
    assert node.settle(NO_PATIENCE) == 0


def test_a_refusal_of_what_is_here_is_no_loss(node: Node) -> None:
    """A repeat that the disk had no room for takes nothing away."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    offering.refused(f"{SERIES}.2", "NOT_STORED", "The disk is full.")
    offering.end(Ending.RELEASED, "Released.")
    assert node.evidence().missing == ()
    assert node.settle() == 1


@pytest.mark.long
def test_what_the_database_does_not_take_is_written_when_it_answers(node: Node) -> None:
    """A refusal and an end are kept; the association counts as open until then."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    with node.engine.begin() as connection:
        connection.execute(sa.text("alter table refusals rename to away"))
    offering.refused(f"{SERIES}.3", "NOT_STORED", "The disk is full.")
    offering.end(Ending.RELEASED, "Released.")
    with node.engine.begin() as connection:
        connection.execute(sa.text("alter table away rename to refusals"))
    assert node.settle() == 0

    wait_until(lambda: bool(node.evidence().missing), "the late record")
    assert [o.ending for o in node.evidence().offers] == [Ending.RELEASED]


def test_a_duplicate_that_cannot_be_written_down_is_not_acknowledged(node: Node) -> None:
    """Its sender keeps it and sends it again."""
    first, again = node.offering(), node.offering()
    node.bring(first, 1)
    with node.engine.begin() as connection:
        connection.execute(sa.text("alter table offers rename to away"))
    with pytest.raises(Retryable):
        node.bring(again, 1)


def test_a_series_held_for_its_sender_is_taken_up_anew_when_that_comes_back(node: Node) -> None:
    """Though it brings nothing new; one that a person or another finding holds stays held."""
    offering = node.offering()
    node.bring(offering, 1, 2)
    offering.end(Ending.ABORTED, "Aborted by the peer.")
    node.settle(NO_PATIENCE)
    _hold(node, "SENDER_ABORTED")
    again = node.offering()
    node.bring(again, 1, 2)
    again.end(Ending.RELEASED, "Released.")
    assert node.settle() == 1

    _hold(node, "SERIES_INCOMPLETE")
    once_more = node.offering()
    node.bring(once_more, 1, 2)
    once_more.end(Ending.RELEASED, "Released.")
    assert node.settle() == 0


def _hold(node: Node, code: str) -> None:
    values = {"state": "review", "findings": [{"code": code}]}
    with node.engine.begin() as connection:
        connection.execute(sa.update(t.series).values(values))


def test_a_process_that_ended_leaves_its_associations_recognisable(tmp_path: Path) -> None:
    """What it had in its journal is filed, and its association is lost: the series waits."""
    first = Folder(tmp_path / "var")
    index = Index(t.open_engine(t.sqlite_url(tmp_path / "node.sqlite")))
    filer = Filer(first, index, segment_bytes=1 << 20)
    filer._journal.open()  # without its thread nothing is filed: the process is killed before
    node = open_node(tmp_path, filer)
    offering = node.offering()
    node.bring(offering, 1, 2)
    assert node.mark_lost() == 0
    assert node.evidence().offers == ()

    filer._stopping = True
    filer._journal.close()
    node.offerings._holder.close()
    assert recover(node.folder, index)
    assert node.settle() == 0  # an open association, as far as anybody has looked
    assert node.mark_lost() == 1
    assert node.settle() == 0
    assert node.settle(NO_PATIENCE) == 1
    (trouble,) = node.evidence().troubles
    assert (trouble.ending, trouble.held) == (Ending.LOST, 2)


def test_a_living_process_loses_nothing(node: Node) -> None:
    """Its lock tells others that it lives, and goes with it."""
    offering = node.offering()
    node.bring(offering, 1)
    assert node.mark_lost() == 0
    node.offerings.close()
    assert node.mark_lost() == 1


def test_a_journal_of_before_is_read() -> None:
    """Its records say nothing of an association."""
    meta = b'["1.2.840.10008.1.2.1","PACS","PCTNODE","1.2","1.3","pacs",1.5,"1.4"]'
    context, at = read_meta(meta)
    assert context.origin is None
    assert at.timestamp() == 1.5


def test_series_that_came_by_several_hands_name_the_one_of_most(node: Node) -> None:
    """The row of the series is as the first instance came, until it is taken up."""
    stray, pacs = node.offering("STRAY"), node.offering("PACS")
    node.bring(stray, 1)
    node.bring(pacs, 2, 3)
    for offering in (stray, pacs):
        offering.end(Ending.RELEASED, "Released.")
    assert node.settle() == 1
    with node.engine.begin() as connection:
        assert connection.execute(sa.select(t.series.c.calling_ae)).scalar_one() == "PACS"


def test_an_open_association_that_went_on_is_known_by_its_other_series(node: Node) -> None:
    """The sender has most likely brought all of the one before."""
    offering = node.offering()
    node.bring(offering, 1)
    time.sleep(0.01)
    node.bring(offering, 1, series="1.2.9")
    (offer,) = node.evidence().offers
    assert offer.moved_on


def test_a_refused_instance_is_of_the_series_it_names(node: Node) -> None:
    """Or, where nobody can read that, of the one its association brought last."""
    offering = node.offering()
    node.bring(offering, 1)
    offering.refused("1.9.9", "DATA_MALFORMED", "It cannot be read.")
    with pytest.raises(Rejected):
        node.receiver.receive(b"nothing", node.context(offering))
    assert [m.code for m in node.evidence().missing] == ["DATA_MALFORMED"]
    assert (node.folder.root / JOURNAL).exists() is False
