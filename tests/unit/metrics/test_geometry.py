"""Shapes and paths against independent implementations and arithmetic."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses
from scipy.ndimage import binary_erosion, distance_transform_edt

from node.metrics.geometry import density, dice, distance_mm, hd95, path_differences, surface

SPACING = (2.5, 1.0, 0.8)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping, ragged shapes."""
    rng = np.random.default_rng(2)
    z, y, x = np.meshgrid(*(np.arange(n) for n in (24, 40, 44)), indexing="ij")
    first = np.hypot(np.hypot(z - 11, y - 18), x - 20) < 10
    second = np.hypot(np.hypot(z - 12, y - 21), x - 24) < 9
    return first ^ (rng.random(first.shape) < 0.01), second


def test_dice_equals_simpleitk() -> None:
    """The overlap filter's figure."""
    a, b = blobs()
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*(sitk.GetImageFromArray(m.astype(np.uint8)) for m in (a, b)))

    assert dice(a, b) == pytest.approx(overlap.GetDiceCoefficient(), abs=1e-12)
    assert dice(a & ~a, a & ~a) == 1.0


def test_the_distance_equals_scipy_and_simpleitk() -> None:
    """Exact, with the spacing of each axis."""
    a, _ = blobs()
    image = sitk.GetImageFromArray(a.astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    theirs = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))

    ours = distance_mm(a, SPACING)

    np.testing.assert_allclose(ours, distance_transform_edt(~a, sampling=SPACING), atol=1e-9)
    outside = theirs > 3
    np.testing.assert_allclose(ours[outside], theirs[outside], atol=1e-4)


def test_hd95_equals_the_one_built_on_scipy() -> None:
    """Surfaces by erosion, both directions, the larger percentile."""
    a, b = blobs()
    edges = [m & ~binary_erosion(m) for m in (a, b)]
    far = [distance_transform_edt(~e, sampling=SPACING) for e in edges]
    theirs = max(np.percentile(far[1][edges[0]], 95), np.percentile(far[0][edges[1]], 95))

    assert hd95(a, b, SPACING) == pytest.approx(theirs, abs=1e-9)
    np.testing.assert_array_equal(surface(a), edges[0])


def test_hd95_of_nothing() -> None:
    """Both empty agree; one empty is infinitely far."""
    a, _ = blobs()

    assert hd95(a & ~a, a & ~a, SPACING) == 0
    assert hd95(a, a & ~a, SPACING) == float("inf")


def test_a_shift_of_three_voxels_is_three_voxels_far() -> None:
    """A cube moved along rows."""
    cube = np.zeros((20, 30, 20), bool)
    cube[5:15, 5:15, 5:15] = True

    assert hd95(cube, np.roll(cube, 3, axis=1), (1, 1, 1), 100) == pytest.approx(3)


def test_a_plate_of_bone_lengthens_the_beams_that_cross_it() -> None:
    """Ten millimetres from 0 to 1000 HU in front: so much more water, from the front alone."""
    body = np.zeros((80, 80, 80), bool)
    body[5:75, 10:70, 5:75] = True
    water = np.where(body, 0.0, -1000.0)
    bone = water.copy()
    bone[:, 12:17] = np.where(body, 1000.0, -1000.0)[:, 12:17]

    off = {p.beam: p for p in path_differences(water, bone, body, (1.0, 2.0, 1.0))}

    extra = 10 * (float(density(np.array(1000.0))) - 1)
    assert off["front"].mean_mm == pytest.approx(extra)
    assert off["front"].worst_mm == pytest.approx(extra)
    assert off["back"].mean_mm == off["left"].worst_mm == 0
