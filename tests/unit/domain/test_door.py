"""When a series waits for its sender, and when it may lack images, by what happened at the door."""

from dataclasses import replace

from node.domain.door import Ending, Evidence, Missing, Offer, Patience, incomplete, must_wait
from node.domain.findings import Severity

PATIENCE = Patience(return_s=300.0, open_s=900.0)


def offer(origin: str = "a", **changes: object) -> Offer:
    """28 instances on an association that was released."""
    usual = Offer(
        origin=origin,
        calling_ae="PACS",
        called_ae="PCTNODE",
        peer="pacs",
        address="10.0.0.5",
        opened_at=100.0,
        begun_at=100.0,
        last_at=110.0,
        ended_at=111.0,
        ending=Ending.RELEASED,
        held=28,
        duplicates=0,
        asides=0,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def seen(*offers: Offer, missing: tuple[Missing, ...] = ()) -> Evidence:
    """The evidence of some associations."""
    return Evidence(held=sum(o.held for o in offers), offers=offers, missing=missing)


def codes(evidence: Evidence, *, expected: int | None = None) -> list[str]:
    """What is found."""
    return [f.code for f in incomplete(evidence, expected=expected)]


def test_who_releases_is_believed() -> None:
    """A released association with nothing refused keeps nobody waiting and says nothing."""
    evidence = seen(offer())
    assert not must_wait(evidence, 111.5, PATIENCE)
    assert codes(evidence) == []


def test_an_open_association_is_waited_for_as_long_as_patience_lasts() -> None:
    """Then the series is taken up, held: the sender may have more."""
    evidence = seen(offer(ended_at=None, ending=None))
    assert must_wait(evidence, 110.0 + 899.0, PATIENCE)
    assert not must_wait(evidence, 110.0 + 901.0, PATIENCE)
    (found,) = incomplete(evidence)
    assert (found.code, found.severity) == ("SENDER_OPEN", Severity.HOLD)


def test_who_went_on_to_other_series_is_only_warned_of() -> None:
    """An association that stays open for days must not hold each of its series."""
    (found,) = incomplete(seen(offer(ended_at=None, ending=None, moved_on=True)))
    assert (found.code, found.severity) == ("SENDER_OPEN", Severity.WARNING)


def test_each_way_of_breaking_off_waits_and_then_holds() -> None:
    """Aborted, broken, silent, stopped, lost: each has its own words."""
    told = {
        ending: codes(seen(offer(ending=ending)))
        for ending in Ending
        if ending is not Ending.RELEASED
    }
    assert told == {
        Ending.ABORTED: ["SENDER_ABORTED"],
        Ending.BROKEN: ["SENDER_LOST"],
        Ending.SILENT: ["SENDER_SILENT"],
        Ending.STOPPED: ["SENDER_CUT_OFF"],
        Ending.LOST: ["SENDER_CUT_OFF"],
    }
    for ending in told:
        evidence = seen(offer(ending=ending))
        assert must_wait(evidence, 111.0 + 298.0, PATIENCE)
        assert not must_wait(evidence, 111.0 + 301.0, PATIENCE)


def test_a_sender_that_comes_back_and_releases_makes_good() -> None:
    """What it brings then it means to be all: nothing is waited for, nothing held."""
    back = offer("b", begun_at=130.0, last_at=131.0, ended_at=132.0, held=7)
    evidence = seen(offer(ending=Ending.ABORTED), back)
    assert not must_wait(evidence, 133.0, PATIENCE)
    assert codes(evidence) == []


def test_who_repeats_a_part_makes_nothing_good() -> None:
    """What was left, or all of it once more, is a sender that came back; a few again are not."""
    broken = offer(ending=Ending.ABORTED)
    back = {"begun_at": 120.0, "last_at": 121.0, "ended_at": 122.0}

    assert codes(seen(broken, offer("b", held=7, **back))) == []
    assert codes(seen(broken, offer("b", held=7, duplicates=28, **back))) == []
    assert codes(seen(broken, offer("b", held=1, duplicates=5, **back))) == ["SENDER_ABORTED"]
    assert codes(seen(broken, offer("b", held=1, taken=6, **back))) == ["SENDER_ABORTED"]
    assert codes(seen(broken, offer("b", held=0, **back))) == ["SENDER_ABORTED"]


def test_who_comes_back_at_once_may_be_seen_before_its_end_is() -> None:
    """The association that went away is noticed late; the next one is on another acceptor."""
    broken = offer(ending=Ending.BROKEN, last_at=110.0, ended_at=111.0)
    again = {"last_at": 112.0, "ended_at": 113.0, "held": 2, "duplicates": 28}

    assert codes(seen(broken, offer("b", opened_at=110.2, begun_at=110.5, **again))) == []
    # Beside the other from the beginning: half a series by each says nothing of the other half.
    assert codes(seen(broken, offer("b", opened_at=99.0, begun_at=110.5, **again)))


def test_another_sender_makes_nothing_good() -> None:
    """Nor does one that was at it all along, or that is refused something itself."""
    broken = offer(ending=Ending.ABORTED)
    other = offer("b", calling_ae="SECOND", begun_at=130.0, held=7)
    beside = offer("b", begun_at=105.0, ended_at=140.0, held=7)
    back = offer("b", begun_at=130.0, ended_at=140.0, held=6)
    refused = Missing(sop_instance_uid="1.2", origin="b", code="NOT_STORED", at=131.0)
    assert codes(seen(broken, other)) == ["SENDER_ABORTED"]
    assert codes(seen(broken, beside)) == ["SENDER_ABORTED"]
    assert codes(seen(broken, back, missing=(refused,))) == ["IMAGES_REFUSED", "SENDER_ABORTED"]


def test_a_sender_may_come_back_before_the_node_has_noticed() -> None:
    """What the node ended or lost its sender may have given up long before."""
    for ending in (Ending.LOST, Ending.SILENT):
        back = offer("b", begun_at=112.0, ended_at=120.0, held=7)
        assert codes(seen(offer(ending=ending, ended_at=170.0), back)) == []


def test_the_count_of_the_archive_proves_a_series_whole() -> None:
    """But it does not explain an instance that was offered and is not here."""
    broken = offer(ending=Ending.ABORTED)
    refused = Missing(sop_instance_uid="1.2", origin="a", code="NOT_STORED", at=105.0)
    assert codes(seen(broken), expected=28) == []
    assert codes(seen(broken), expected=35) == ["SENDER_ABORTED"]
    assert codes(seen(broken, missing=(refused,)), expected=28) == ["IMAGES_REFUSED"]


def test_refused_instances_are_counted_with_their_reasons() -> None:
    """The sentence says how many, why, and what is here."""
    missing = tuple(
        Missing(sop_instance_uid=f"1.{n}", origin="a", code=code, at=105.0)
        for n, code in enumerate(["NOT_STORED", "NOT_STORED", "NOT_STORED", "DATA_TRUNCATED"])
    )
    (found,) = incomplete(seen(offer(held=31), missing=missing))
    assert found.severity is Severity.HOLD
    assert found.uids == ("1.0", "1.1", "1.2", "1.3")
    assert found.sentence == (
        "4 images of this series were offered and not taken: Data set cut off (1); "
        "no room or no database just then (3). 31 are here."
    )


def test_a_sender_that_comes_in_vain_again_and_again_keeps_nobody_waiting_for_ever() -> None:
    """Time counts from the first trouble or the last new instance."""
    tries = [
        offer(f"t{n}", begun_at=111.0 + 60 * n, last_at=112.0 + 60 * n, ended_at=113.0 + 60 * n,
              ending=Ending.ABORTED, held=0, duplicates=28)
        for n in range(1, 6)
    ]  # fmt: skip
    evidence = seen(offer(ending=Ending.ABORTED), *tries)
    assert must_wait(evidence, 410.0, PATIENCE)
    assert not must_wait(evidence, 412.0, PATIENCE)


def test_a_clock_that_was_set_back_keeps_no_series_waiting() -> None:
    """A time to come says nothing."""
    assert not must_wait(seen(offer(ended_at=None, ending=None)), 40.0, PATIENCE)
