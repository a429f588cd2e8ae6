"""Outlines compared on a phantom whose edges are known to the micrometre."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

from models import contours
from models.contours import Contour, compare
from node.domain.geometry import Affine, axial_grid, lps_from_index
from node.domain.plan import SctResult
from node.domain.volume import Unit, Volume
from node.infer.generator import Generator
from node.infer.registry import Registry
from tests.phantoms.tiny_onnx import write_affine_model

AXES_MM = np.array([40.0, 46.0, 54.0])


@pytest.fixture(autouse=True)
def fewer_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for hundredths of a millimetre."""
    monkeypatch.setattr(contours, "PLACES", 4000)


def depth_mm(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How deep LPS points lie in an ellipsoid, to first order of the depth."""
    share = np.linalg.norm(points / AXES_MM, axis=-1)
    slope = np.linalg.norm(points / AXES_MM**2, axis=-1) / np.maximum(share, 1e-6)
    return np.asarray((1 - share) / np.maximum(slope, 1e-6))


def step(depth: NDArray[np.float64], blur_mm: float) -> NDArray[np.float64]:
    """A blurred edge, 1 inside."""
    return np.asarray((1 + erf(depth / (blur_mm * np.sqrt(2)))) / 2)


def volume(
    affine: Affine,
    shape: tuple[int, int, int],
    value: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    unit: Unit,
) -> Volume:
    """Values of a function of LPS on a lattice about the origin."""
    whole = affine.copy()
    whole[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    values = value(lps_from_index(whole, index.reshape(-1, 3))).reshape(shape)
    return Volume(
        values=values.astype(np.float32), affine=whole, frame_of_reference_uid="1.2.3", unit=unit
    )


def tilted(spacing_mm: float) -> Affine:
    """An upright lattice turned by 11 degrees, slices a third further apart."""
    angle = np.deg2rad(11)
    turn = np.eye(3)
    turn[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.fliplr(np.diag([1.0, 1.0, 4 / 3])) * spacing_mm
    return affine


@cache
def mr(spacing_mm: float = 0.9, *, rim: float = 0.0) -> Volume:
    """Skin over brighter fat, a coil that shades from front to back or brightens the rim, noise."""
    rng = np.random.default_rng(3)

    def signal(points: NDArray[np.float64]) -> NDArray[np.float64]:
        depth, blur = depth_mm(points), 0.5 + 0.3 * spacing_mm
        tissue = 550 * step(depth, blur) + 150 * step(depth - 2, blur) - 400 * step(depth - 6, blur)
        coil = 1 + points[:, 1] / 120 + rim * np.exp(-np.maximum(depth, 0) / 15)
        noise = rng.normal(0, 12, (2, len(points)))
        return np.asarray(np.hypot(tissue * np.maximum(coil, 0) + noise[0], noise[1]))

    shape = tuple(int(n / spacing_mm) for n in (104, 128, 100))
    return volume(tilted(spacing_mm), (shape[0], shape[1], shape[2]), signal, Unit.SIGNAL)


@cache
def sct(moved_mm: tuple[float, float, float] = (0, 0, 0), grown_mm: float = 0.0) -> Volume:
    """The same ellipsoid, elsewhere or larger, on an upright lattice of 1 mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3))

    def hu(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.rint(1000 * step(depth_mm(points - np.array(moved_mm)) + grown_mm, 0.7) - 1000)

    return volume(affine, (124, 108, 96), hu, Unit.HU)


@cache
def contour(answer: Volume) -> Contour:
    """Compared with the MR; the answer's own body says where to look."""
    return compare(mr(), answer, answer.values > -500)


def test_equal_outlines_agree_to_a_tenth_of_a_millimetre() -> None:
    """Neither the coil nor the layers below the skin move the edge."""
    found = contour(sct())

    assert abs(found.median_mm) < 0.1
    assert np.linalg.norm(found.shift_mm) < 0.03
    assert found.typical_mm < 0.1
    assert found.far_mm < 0.2
    assert found.left_out < 0.01


@pytest.mark.parametrize("by_mm", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_shift_is_told_as_it_is(by_mm: float, axis: int) -> None:
    """Along each axis, and nothing of it is taken for growth."""
    moved = [0.0, 0.0, 0.0]
    moved[axis] = by_mm

    here, there = contour(sct()), contour(sct((moved[0], moved[1], moved[2])))

    np.testing.assert_allclose(there.shift_mm - here.shift_mm, moved, atol=0.03)
    assert abs(there.median_mm - here.median_mm) < 0.03


@pytest.mark.parametrize("by_mm", [-1.0, -0.3, 0.1, 0.3, 1.0])
def test_growth_is_told_as_it_is(by_mm: float) -> None:
    """In or out, and nothing of it is taken for a shift."""
    here, there = contour(sct()), contour(sct(grown_mm=by_mm))

    assert there.median_mm - here.median_mm == pytest.approx(by_mm, abs=0.03)
    assert np.linalg.norm(there.shift_mm) < 0.05


def made(folder: Path, head: Volume) -> SctResult:
    """What the node makes of it when a network says 40 HU everywhere: its own outline alone."""
    write_affine_model(folder, slope=0.0, intercept=40.0, body_mask=True)
    node = Generator(Registry.scan(folder).find("tiny"), providers=["cpu"], threads=1)
    return node.synthesise(head, axial_grid(head.grid, spacing_mm=1.0))


def agrees(found: Contour) -> bool:
    """Half of what is asked of a head, so that 0.3 mm more in any direction is seen."""
    return abs(found.median_mm) < 0.15 and float(np.linalg.norm(found.shift_mm)) < 0.15


def test_the_node_ends_its_answer_where_the_mr_ends(tmp_path: Path) -> None:
    """And an answer 0.3 mm off along any axis, 0.3 mm larger or smaller does not pass."""
    result = made(tmp_path, mr())
    body = result.body

    assert agrees(compare(mr(), result.sct, body))

    for axis in range(3):
        for by_mm in (-0.3, 0.3):
            affine = result.sct.affine.copy()
            affine[axis, 3] += by_mm
            assert not agrees(compare(mr(), replace(result.sct, affine=affine), body))
    for grown_mm in (-0.3, 0.3):
        stretch = np.diag([*(1 + grown_mm / AXES_MM), 1.0])
        larger = replace(result.sct, affine=stretch @ result.sct.affine)
        assert not agrees(compare(mr(), larger, body))


def test_a_coil_that_brightens_the_rim_does_not_swell_the_outline(tmp_path: Path) -> None:
    """Voxels of 1.2 by 1.6 mm; skin and fat up to three times as bright as the brain."""
    bright = mr(1.2, rim=2.0)
    result = made(tmp_path, bright)

    ideal = compare(bright, sct(), sct().values > -500)
    found = compare(bright, result.sct, result.body)

    assert abs(found.median_mm - ideal.median_mm) < 0.3
    assert np.linalg.norm(found.shift_mm) < 0.1


def test_what_cannot_be_compared_is_counted() -> None:
    """A field of view that ends early, a side without signal, thick slices: none moves the rest."""
    whole = mr()
    cut = replace(whole, values=whole.values[30:], affine=whole.affine.copy())
    cut.affine[:3, 3] += 30 * whole.affine[:3, 0]
    faded = replace(whole, values=whole.values.copy())
    faded.values[:, :, :30] = 12
    thick = replace(whole, values=whole.values[::4], affine=whole.affine @ np.diag([4, 1, 1, 1]))
    body = sct().values > -500

    ended, dark, coarse = (compare(seen, sct(), body) for seen in (cut, faded, thick))

    assert 0.2 < ended.cut < 0.5
    assert 0.05 < dark.faint < 0.4
    assert 0.3 < coarse.coarse < 0.7
    for found in (ended, dark, coarse):
        assert abs(found.median_mm) < 0.15
        assert found.left_out == found.cut + found.folded + found.faint + found.coarse


def test_an_answer_without_an_edge_is_infinitely_far() -> None:
    """It counts in every figure rather than being left out."""
    empty = replace(sct(), values=np.full_like(sct().values, -1000))

    found = compare(mr(), empty, sct().values > -500)

    assert np.isinf(found.off_mm).all()
    assert np.isinf(found.typical_mm)
