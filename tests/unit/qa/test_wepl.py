"""Path lengths with analytic answers, and curves that cannot be used."""

import numpy as np
import pytest
from numpy.typing import NDArray

from node.domain.errors import Misconfigured
from node.qa.density_curve import DensityCurve, curve_of
from node.qa.wepl import Beams, compare, wepl_mm

CURVE = curve_of([(-1000, 0.001), (0, 1.0), (1000, 1.6), (3000, 2.6)])
RAY = Beams(angles=8, half_width_mm=0.0)
SHAPE, MIDDLE = (41, 161, 161), np.array([3.0, -7.0, 11.0])


def affine() -> NDArray[np.float64]:
    """Voxels of 1 mm, the middle one at `MIDDLE`."""
    found = np.zeros((4, 4))
    found[2, 0] = found[1, 1] = found[0, 2] = found[3, 3] = 1.0
    found[:3, 3] = MIDDLE - np.array([80.0, 80.0, 20.0])
    return found


def away() -> NDArray[np.float64]:
    """Distance from the axis through the middle."""
    _, rows, columns = np.indices(SHAPE)
    distance: NDArray[np.float64] = np.hypot(rows - 80, columns - 80)
    return distance


def lengths(hu: NDArray[np.int16], beams: Beams = RAY) -> NDArray[np.float32]:
    """Path lengths to the middle."""
    return wepl_mm(CURVE.density(hu), affine(), MIDDLE, beams)


def test_a_cylinder_of_water_is_as_deep_as_its_radius() -> None:
    """From every side, within half a voxel of its edge."""
    hu = np.where(away() <= 60, 0, -1000).astype(np.int16)
    assert np.abs(lengths(hu) - 60.0 - 0.001 * 20).max() < 0.6


def test_bone_counts_as_its_density() -> None:
    """A ring of 10 mm of density 1.6 adds 6 mm."""
    water = np.where(away() <= 60, 0, -1000).astype(np.int16)
    bone = np.where((away() > 40) & (away() <= 50), 1000, water).astype(np.int16)
    added = lengths(bone) - lengths(water)
    assert np.abs(added - 6.0).max() < 0.5


def test_angles_are_those_of_a_gantry() -> None:
    """Bone at the front is met from 0 degrees, at the patient's left from 90, and not otherwise."""
    water = np.where(away() <= 60, 0, -1000).astype(np.int16)
    for angle, at in ((0, np.s_[:, 30:40, 75:86]), (90, np.s_[:, 75:86, 121:131])):
        hu = water.copy()
        hu[at] = 1000
        added = (lengths(hu) - lengths(water))[:, 0, 0]
        beam = int(angle / 45)
        assert added[beam] == pytest.approx(6.0, abs=0.1)
        assert np.abs(np.delete(added, beam)).max() < 0.1


def test_twenty_hu_more_are_their_share_of_the_way() -> None:
    """60 mm of 20 HU at 0.0006 a unit: 0.72 mm, by every beam alike."""
    body = away() <= 60
    water, more = (np.where(body, hu, -1000).astype(np.int16) for hu in (0, 20))
    beams = Beams(angles=4, half_width_mm=10.0)
    found = compare(lengths(more, beams), lengths(water, beams), beams)
    assert found.largest_mm == pytest.approx(60 * 20 * 0.0006, abs=0.03)
    assert len(found.mean_mm) == 4


def test_what_is_missing_has_a_sign() -> None:
    """2 mm less of the body on one side is 2 mm less of water from there, at that angle."""
    body = np.where(away() <= 60, 0, -1000).astype(np.int16)
    eroded = body.copy()
    eroded[:, 20:22] = -1000
    found = compare(lengths(eroded), lengths(body), RAY)
    assert found.largest_mm == pytest.approx(-2.0, abs=0.1)
    assert found.angle_degrees == 0.0


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(-1000, 0.0), (0, 1.0)],
        [(-1000, 0.0), (0, 1.0), (1000, 0.9)],
        [(-1000, 0.0), (0, 1.0), (0, 1.6)],
        [(-1000, 0.0), (0, 1.0), (float("nan"), 1.6)],
        [(-1000, 0.5), (0, 1.0), (1000, 1.6)],
        [(-1000, 0.0), (0, 0.5), (1000, 1.6)],
        [(-1000, 0.0), (0, 1.0), (1000, 16.0)],
        [(-1000, 0.0, 1.0), (0, 1.0), (1000, 1.6)],
    ],
)
def test_a_curve_that_says_nothing_of_a_patient_is_refused(points: list[tuple[float, ...]]) -> None:
    """Two points, one that falls, air like water: each in words."""
    with pytest.raises(Misconfigured) as error:
        curve_of(points)
    assert error.value.remedy


def test_a_curve_is_part_of_the_identity() -> None:
    """Another point, another hash; between points it is straight, beyond them level."""
    other = DensityCurve(points=(*CURVE.points[:-1], (3000.0, 2.7)))
    assert other.sha256 != CURVE.sha256 == curve_of(list(CURVE.points)).sha256
    hu = np.array([[[-1024, 500, 3071]]], np.int16)
    assert CURVE.density(hu)[0, 0] == pytest.approx([0.001, 1.3, 2.6])
