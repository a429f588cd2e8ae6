"""A volume that a slip of a header cuts short leaves no gap to see, and waits for a person."""

from collections.abc import Callable, Sequence

import pytest
from pydicom.dataset import Dataset

from node.dicom.headers import read_instance
from node.domain.checks.rules import Rules
from node.pipeline import Examined, Verdict, collect, examine
from tests.phantoms.mr import mr_series

STEP_MM = 4.0
Slip = Callable[[Dataset], None]


def other_echo(dataset: Dataset) -> None:
    """It says another echo time than the rest."""
    dataset.EchoTime = float(dataset.EchoTime) + 1


def other_type(dataset: Dataset) -> None:
    """It has one word more in its ImageType."""
    dataset.ImageType = [*dataset.ImageType, "OTHER"]


def other_time(dataset: Dataset) -> None:
    """It alone names a temporal position."""
    dataset.TemporalPositionIdentifier = 2


def no_image(dataset: Dataset) -> None:
    """It says that it is no MR image: such a stack is dropped."""
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"


def examined(datasets: Sequence[Dataset]) -> Examined:
    """What is said of the one stack that is accepted."""
    found = examine(collect(map(read_instance, datasets)), Rules())
    (accepted,) = [e for e in found if e.verdict is Verdict.ACCEPTED]
    return accepted


def held(datasets: Sequence[Dataset]) -> list[tuple[str, int]]:
    """Codes that hold it, and of how many images they speak."""
    return [(f.code, len(f.uids)) for f in examined(datasets).findings if f.severity == "hold"]


@pytest.mark.long
@pytest.mark.parametrize("orientation", ["axial", "sagittal", "oblique"])
@pytest.mark.parametrize("reverse", [False, True])
def test_either_end_is_missed_in_any_orientation(orientation: str, reverse: bool) -> None:
    """One image at the first or at the last place."""
    for odd in (0, -1):
        datasets = mr_series((24, 20, 18), (4.0,) * 3, orientation, reverse=reverse).datasets
        assert held(datasets) == []
        other_echo(datasets[odd])
        assert held(datasets) == [("STACK_CUT_OFF", 1)]


@pytest.mark.long
@pytest.mark.parametrize("slip", [other_echo, other_type, other_time, no_image])
def test_whatever_tells_them_apart_is_named(slip: Slip) -> None:
    """The sentence says by what the images differ; three of them count as three."""
    datasets = mr_series((24, 20, 18), (4.0,) * 3).datasets
    for dataset in datasets[-3:]:
        slip(dataset)

    (found,) = [f for f in examined(datasets).findings if f.code == "STACK_CUT_OFF"]

    assert found.severity == "hold"
    assert len(found.uids) == 3
    assert found.values["label"]


@pytest.mark.parametrize(
    ("by_mm", "is_part"),
    [((0, 0, 4), True), ((0, 0, -2), False), ((0, 0, 60), False), ((9, 0, 0), False)],
    ids=["behind a gap", "between slices", "far away", "beside"],
)
def test_what_is_no_part_of_the_volume_holds_nothing(
    by_mm: tuple[float, float, float], is_part: bool
) -> None:
    """Another volume lies between its slices, or elsewhere."""
    datasets = mr_series((24, 20, 18), (4.0,) * 3).datasets
    last = datasets[-1]
    other_echo(last)
    place = zip(last.ImagePositionPatient, by_mm, strict=True)
    last.ImagePositionPatient = [float(at) + by for at, by in place]

    assert bool(held(datasets)) is is_part


def test_a_second_volume_at_the_same_places_holds_nothing() -> None:
    """Fat beside an in-phase volume: dropped, and every position is in both."""
    datasets = mr_series((24, 20, 18), (4.0,) * 3).datasets
    fat = mr_series((24, 20, 18), (4.0,) * 3, name="fat").datasets
    for dataset in fat:
        dataset.SeriesInstanceUID = datasets[0].SeriesInstanceUID
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "FAT", "NORM", "DIS3D"]

    assert held([*datasets, *fat]) == []
