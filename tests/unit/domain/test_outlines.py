"""Outlines of masks: exact, disjoint, never nested, never touching themselves."""

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from matplotlib.path import Path
from numpy.typing import NDArray

from node.domain.outlines import MOST_POINTS, Outline, components, outlines

Mask = NDArray[np.bool_]


def covered(found: tuple[Outline, ...], shape: tuple[int, ...]) -> NDArray[np.int_]:
    """How many polygons each voxel's centre lies in, by matplotlib."""
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    centres = np.stack((rows.ravel(), columns.ravel()), axis=1)
    counts = np.zeros(shape, int)
    for outline in found:
        inside = Path(outline.points / 2).contains_points(centres)
        counts[outline.slice] += inside.reshape(shape[1:])
    return counts


def ring(hole: int = 10) -> Mask:
    """A square of 20 voxels with a square hole in its middle, in the second of three slices."""
    mask = np.zeros((3, 24, 26), bool)
    mask[1, 2:22, 3:23] = True
    first = 12 - hole // 2
    mask[1, first : first + hole, first + 1 : first + 1 + hole] = False
    return mask


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=3, max_dims=3, max_side=12)))
def test_every_centre_of_the_mask_is_in_one_polygon(mask: Mask) -> None:
    """And no other centre in any: readers that add and readers that toggle agree."""
    assert np.array_equal(covered(outlines(mask), mask.shape), mask.astype(int))


@given(arrays.arrays(bool, arrays.array_shapes(min_dims=3, max_dims=3, max_side=12)))
def test_no_outline_touches_itself(mask: Mask) -> None:
    """Each vertex stands once, each is a corner, each outline encloses something."""
    for outline in outlines(mask):
        points = [tuple(p) for p in outline.points.tolist()]
        assert len(points) >= 4
        assert len(set(points)) == len(points)
        ahead = np.roll(outline.points, -1, axis=0) - outline.points
        behind = np.roll(ahead, 1, axis=0)
        assert (ahead[:, 0] * behind[:, 1] != ahead[:, 1] * behind[:, 0]).all()
        assert outline.area >= 0.5


@pytest.mark.parametrize("hole", [1, 2, 5, 10, 18])
def test_a_hole_is_cut_not_filled(hole: int) -> None:
    """Two pieces share the edge of the cut; what they enclose leaves the hole out."""
    mask = ring(hole)

    found = outlines(mask)

    assert len(found) == 2
    assert {o.slice for o in found} == {1}
    # Each of the four convex corners of a piece loses an eighth of a voxel, each concave gains it.
    assert sum(o.area for o in found) == pytest.approx(mask.sum(), abs=1.0)
    left, right = ({tuple(p) for p in o.points.tolist()} for o in found)
    assert left & right


def test_an_island_in_a_hole_and_many_holes() -> None:
    """No polygon contains a vertex of another, whatever lies in what."""
    mask = ring(14)
    mask[1, 10:14, 11:15] = True
    mask[1, 11:13, 12:14] = False
    mask[1, 3:22:3, 4] = False

    found = outlines(mask)

    assert np.array_equal(covered(found, mask.shape), mask.astype(int))
    for one in found:
        for other in found:
            if one is not other:
                inside = Path(one.points / 2).contains_points(other.points / 2, radius=-1e-9)
                assert not inside.all()


def test_one_voxel_is_a_diamond() -> None:
    """The smallest contour there is has four points."""
    mask = np.zeros((1, 3, 3), bool)
    mask[0, 1, 1] = True

    (outline,) = outlines(mask)

    assert sorted(map(tuple, outline.points.tolist())) == [(1, 2), (2, 1), (2, 3), (3, 2)]


def test_voxels_that_touch_by_a_corner_are_two() -> None:
    """An outline through their corner would touch itself there."""
    mask = np.zeros((1, 4, 4), bool)
    mask[0, 1, 1] = mask[0, 2, 2] = True

    found = outlines(mask)

    assert len(found) == 2
    first, second = ({tuple(p) for p in o.points.tolist()} for o in found)
    assert not first & second


def test_an_outline_reaches_beyond_the_edge_of_the_volume() -> None:
    """By half a voxel: the voxel is inside whole."""
    (outline,) = outlines(np.ones((1, 5, 6), bool))

    assert outline.points.min(axis=0).tolist() == [-1, -1]
    assert outline.points.max(axis=0).tolist() == [9, 11]


def test_no_outline_has_too_many_points() -> None:
    """A comb of 1,500 teeth is cut until each piece can be written in one data element."""
    mask = np.zeros((1, 4, 3000), bool)
    mask[0, 1] = True
    mask[0, 2, ::2] = True

    found = outlines(mask)

    assert len(found) > 1
    assert max(len(o.points) for o in found) <= MOST_POINTS
    assert np.array_equal(covered(found, mask.shape), mask.astype(int))


def test_an_empty_mask_has_none() -> None:
    """No outline, no error."""
    assert outlines(np.zeros((2, 3, 4), bool)) == ()


def test_components_hang_together_by_faces_in_three_directions() -> None:
    """Not by edges or corners."""
    mask = np.zeros((3, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 0, 0] = mask[1, 0, 1] = True
    mask[2, 1, 1] = mask[0, 3, 3] = True

    labels = components(mask)

    assert labels[0, 0, 0] == labels[1, 0, 0] == labels[1, 0, 1]
    assert len({int(v) for v in labels[mask]}) == 3
    assert (labels[~mask] == 0).all()
