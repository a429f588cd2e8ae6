"""A short sample of the proving ground, and its judge: who loses or doubles is found out."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proving.faults import KINDS
from tests.proving.ground import run
from tests.proving.judge import History, Made, counted, faults_of
from tests.proving.site_faults import SITE_KINDS

pytestmark = [pytest.mark.interop]
_FRAME = "1.2.9"


def good() -> History:
    """A series of two images, its sCT at two places, withdrawn and told."""
    objects = [
        Made(place=place, sop_instance_uid=f"1.3.{n}", series="1.3", frame=_FRAME, digest=f"s{n}")
        for place in ("TPS", "ARCHIVE")
        for n in (1, 2)
    ]
    return History(
        acknowledged={"1.2.1": ("1.2", "a"), "1.2.2": ("1.2", "b")},
        fetched={"1.2.1": "a", "1.2.2": "b"},
        states={"1.2": "delivered"},
        told={"1.2": "Delivered."},
        frames={"1.2": _FRAME},
        arrived=objects,
        made={"1.3.1": "s1", "1.3.2": "s2"},
        withdrawn={"1.3"},
        notices={"TPS": {"1.3"}, "ARCHIVE": {"1.3"}},
    )


def _lose(h: History) -> None:
    del h.fetched["1.2.2"]


def _change(h: History) -> None:
    h.fetched["1.2.2"] = "c"


def _double(h: History) -> None:
    h.arrived.append(
        Made(place="TPS", sop_instance_uid="1.4.1", series="1.4", frame=_FRAME, digest="t1")
    )
    h.arrived.append(
        Made(place="TPS", sop_instance_uid="1.5.1", series="1.5", frame=_FRAME, digest="t2")
    )
    h.made |= {"1.4.1": "t1", "1.5.1": "t2"}


def _alter(h: History) -> None:
    h.made["1.3.1"] = "other"


def _forget(h: History) -> None:
    h.notices = {"TPS": {"1.3"}, "ARCHIVE": set()}


def _stick(h: History) -> None:
    h.states["1.2"] = "running"


def _pretend(h: History) -> None:
    h.arrived, h.withdrawn = [], set()


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (_lose, "lost untold"),
        (_change, "lost untold"),
        (_double, "doubled"),
        (_alter, "changed"),
        (_forget, "withdrawn without notice"),
        (_stick, "stuck"),
        (_pretend, "not there"),
    ],
)
def test_the_judge_finds_what_is_wrong(harm: Callable[[History], None], kind: str) -> None:
    """A history that is right, and one thing changed in it."""
    assert faults_of(good()) == []
    history = good()
    harm(history)

    assert set(counted(faults_of(history))) == {kind}


def test_what_is_told_is_not_lost() -> None:
    """An image that the disk has changed, and whose series says so."""
    history = good()
    del history.fetched["1.2.2"]
    history.told["1.2"] = "Delivered. finding FILE_DAMAGED"

    assert faults_of(history) == []


@pytest.mark.crash
def test_a_sample_of_the_proving_ground(tmp_path: Path) -> None:
    """Some faults of every kind that a seed draws; everything is there, once, or told."""
    assert len(KINDS) == 8
    assert run(tmp_path, 20261201, faults=6, series=2, per_round=6) == []


@pytest.mark.crash
@pytest.mark.postgres
def test_a_sample_on_several_hosts(tmp_path: Path) -> None:
    """The database fails over under it, among others that the seed draws."""
    assert len(SITE_KINDS) == 13
    assert run(tmp_path, 18, faults=4, series=2, per_round=4, several=True) == []
