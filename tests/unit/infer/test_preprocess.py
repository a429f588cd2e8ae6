"""Resampling keeps places, the body mask keeps contours, normalisation keeps scale out."""

import numpy as np
import pytest

from node.domain.checks.geometry import SKEW_TOLERANCE_DEG
from node.domain.geometry import Grid, affine_from_dicom, axial_grid, index_from_lps, lps_from_index
from node.domain.volume import Unit, Volume
from node.infer.preprocess import Normalisation, body_mask, normalise, resample, tighten

ORIENTATIONS: dict[str, tuple[list[float], list[float]]] = {
    "axial": ([1, 0, 0, 0, 1, 0], [0, 0, 3]),
    "axial from the top": ([1, 0, 0, 0, 1, 0], [0, 0, -3]),
    "sagittal": ([0, 1, 0, 0, 0, -1], [2, 0, 0]),
    "sagittal left-handed": ([0, 1, 0, 0, 0, -1], [-2, 0, 0]),
    "coronal": ([1, 0, 0, 0, 0, -1], [0, 2.5, 0]),
    "oblique": (
        [0.9396926, 0.3420201, 0, -0.2961981, 0.8137977, 0.5],
        [0.3420201, -0.9396926, 1.7320508],
    ),
}


def ramp(lps: np.ndarray) -> np.ndarray:
    """A linear function of position: linear interpolation must give it back exactly."""
    return np.asarray(1000 + 2 * lps[..., 0] - 3 * lps[..., 1] + 5 * lps[..., 2])


def volume(kind: str) -> Volume:
    """A stack of that orientation holding `ramp`."""
    orientation, step = ORIENTATIONS[kind]
    affine = affine_from_dicom(
        position_mm=(-31.5, 12.25, 40),
        orientation=orientation,
        pixel_spacing_mm=(1.25, 0.75),
        slice_step_mm=step,
    )
    index = np.stack(np.meshgrid(*map(np.arange, (20, 40, 60)), indexing="ij"), axis=-1)
    values = ramp(lps_from_index(affine, index)).astype(np.float32)
    return Volume(values=values, affine=affine, frame_of_reference_uid="1.2", unit=Unit.SIGNAL)


@pytest.mark.parametrize("kind", ORIENTATIONS)
def test_every_orientation_lands_where_it_was(kind: str) -> None:
    """A ramp in LPS stays the same ramp on the axial grid: no swapped axis, no half voxel."""
    mr = volume(kind)
    if kind == "oblique":  # make its step perpendicular to the last digit
        normal = np.cross(mr.affine[:3, 2], mr.affine[:3, 1])
        mr.affine[:3, 0] = 2 * normal / np.linalg.norm(normal)
        index = np.stack(np.meshgrid(*map(np.arange, mr.values.shape), indexing="ij"), axis=-1)
        mr.values[...] = ramp(lps_from_index(mr.affine, index))
    grid = axial_grid(mr.grid, spacing_mm=1.5)

    moved = resample(mr, grid, fill=-1.0)

    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    lps = lps_from_index(grid.affine, index)
    inner = (lps - mr.affine[:3, 3]) @ np.linalg.inv(mr.affine[:3, :3]).T
    known = ((inner >= 0) & (inner <= np.array(mr.values.shape) - 1)).all(axis=-1)
    assert known.sum() > 5000
    # 0.2 of the ramp is 0.04 mm along its steepest axis.
    np.testing.assert_allclose(moved[known], ramp(lps)[known], atol=0.2)


def test_a_skewed_stack_is_refused() -> None:
    """There is no image with perpendicular axes that holds it."""
    affine = np.diag([3.0, 1.0, 1.0, 1.0])[[2, 1, 0, 3]]
    affine[1, 0] = 1.0
    mr = Volume(
        values=np.zeros((4, 4, 4), np.float32),
        affine=affine,
        frame_of_reference_uid="1.2",
        unit=Unit.SIGNAL,
    )

    with pytest.raises(ValueError, match="perpendicular"):
        resample(mr, Grid(shape=(4, 4, 4), affine=np.eye(4)[[2, 1, 0, 3]]))


def head(shape: tuple[int, int, int] = (80, 90, 70)) -> tuple[np.ndarray, np.ndarray]:
    """A noisy bright ball with a dark cavity, and its true outline."""
    rng = np.random.default_rng(3)
    z, y, x = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    values = np.where(radius < 30, 800.0, 0.0)
    values[radius < 8] = 0
    noisy = np.hypot(values + rng.normal(0, 20, shape), rng.normal(0, 20, shape))
    return noisy.astype(np.float32), radius < 30


def test_the_body_is_filled_and_its_contour_stays() -> None:
    """Cavities count as body; the outline is right to a fraction of a voxel."""
    values, truth = head()

    body = body_mask(values, (1.0, 1.0, 1.0))

    dice = 2 * (body & truth).sum() / (body.sum() + truth.sum())
    assert dice > 0.97
    assert body[40, 45, 35]


def test_noise_alone_is_no_body() -> None:
    """An empty field of view gives an empty mask."""
    rng = np.random.default_rng(5)
    noise = rng.rayleigh(10, (40, 40, 40)).astype(np.float32)

    assert not body_mask(noise, (1.0, 1.0, 1.0)).any()
    assert not body_mask(np.zeros((40, 40, 40), np.float32), (1.0, 1.0, 1.0)).any()


def test_scanner_scale_does_not_matter() -> None:
    """Signal times 37 gives the same input."""
    values, body = head()
    how = Normalisation(kind="body-percentile", percentile=80, low=0, high=4)

    once, again = normalise(values, body, how), normalise(values * 37, body, how)

    np.testing.assert_allclose(once, again, rtol=1e-5)
    assert np.percentile(once[body], 80) == pytest.approx(1.0, abs=0.01)


@pytest.mark.long
def test_the_contour_runs_at_half_the_signal_beside_it() -> None:
    """Under a coil's shading of one to three the outline is right to a tenth of a millimetre."""
    values, truth = head((90, 90, 90))
    shading = np.linspace(0.5, 1.5, 90, dtype=np.float32)[None, :, None]
    shaded = (values * shading).astype(np.float32)

    contour = tighten(shaded, body_mask(shaded, (1.0, 1.0, 1.0)), (1.0, 1.0, 1.0))

    surface_mm2 = 4 * np.pi * 30**2
    assert abs(float(contour.sum()) - float(truth.sum())) / surface_mm2 < 0.1
    assert contour[45, 45, 45]


def test_a_stack_as_skewed_as_the_checks_accept_is_placed_right() -> None:
    """What is not refused must not fail later; it lies where it was, within a tenth of a mm."""
    skew = np.tan(np.radians(SKEW_TOLERANCE_DEG))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[4 * skew, 0, 2], [0, 2, 0], [4, 0, 0]])
    affine[:3, 3] = (-30.0, -40.0, -80.0)
    shape = (41, 41, 31)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    slope = np.array([10.0, -5.0, 7.0])
    values = (lps_from_index(affine, index) @ slope).astype(np.float32)
    mr = Volume(values=values, affine=affine, frame_of_reference_uid="1.2.3", unit=Unit.SIGNAL)
    grid = axial_grid(mr.grid, spacing_mm=3.0)

    moved = resample(mr, grid)

    where = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    points = lps_from_index(grid.affine, where)
    inside = index_from_lps(affine, points)
    seen = ((inside >= 0) & (inside <= np.array(shape) - 1)).all(axis=-1)
    off_mm = np.abs(moved - points @ slope)[seen] / np.linalg.norm(slope)
    assert seen.sum() > 10_000
    assert off_mm.max() < 0.1


@pytest.mark.long
def test_a_scalp_that_touches_the_brain_nowhere_is_kept() -> None:
    """In a slab of the vault the skull parts them all the way round; a speck beside it goes."""
    rows, columns = np.ogrid[-90:90, -85:85]
    away = np.hypot(rows, columns)
    plane = np.select([away < 58, away < 68, away < 75], [1.0, 0.04, 0.45], 0.0)
    signal = np.repeat(plane[None].astype(np.float32), 24, axis=0)
    signal[10:13, 87:90, 164:167] = 0.6
    spacing = (1.0, 1.0, 1.0)

    contour = tighten(signal, body_mask(signal, spacing), spacing)

    whole = np.pi * 75**2
    assert contour[12].sum() == pytest.approx(whole, rel=0.03)
    assert not contour[:, :, 162:].any()
