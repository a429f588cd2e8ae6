"""The half widths told become the half widths met, whatever shape the mistake has."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.calibration import (  # noqa: E402
    AS_TRAINED,
    HALF_WIDTH,
    Calibrated,
    Curve,
    Shift,
    Shifted,
    deciles,
    fit,
    fit_hu,
    fit_scale,
    worst,
)


def test_a_crooked_scale_is_made_straight() -> None:
    """Narrow where it is small, wide where it is large: within 10 % after the map, on new draws."""
    rng = np.random.default_rng(2)

    def drawn() -> tuple[np.ndarray, np.ndarray]:
        log_scale = rng.uniform(-6, 0, 300_000)
        true = 1000 * np.exp(0.7 * log_scale - 0.5)
        return log_scale, np.abs(rng.laplace(0, true))

    curve = fit(*drawn())
    log_scale, error = drawn()

    before = worst(deciles(error, _told(AS_TRAINED, log_scale)))
    assert worst(deciles(error, _told(curve, log_scale))) < 0.1 < 0.5 < before


def test_the_map_never_falls() -> None:
    """Where the error falls against the scale, the map is flat: wider told is never narrower."""
    log_scale = np.linspace(-5, 0, 50_000)
    error = np.where(log_scale < -2.5, 200.0, 20.0)

    told = _told(fit(log_scale, error), log_scale)

    assert (np.diff(told) >= 0).all()


def test_the_layer_is_the_interpolated_line() -> None:
    """Flat beyond the ends, straight between the corners of the logarithms."""
    curve = Curve(log_scale=(-3.0, -1.0, 0.5), log_hu=(1.0, 1.0, 5.0))
    at = np.array([-9.0, -3.0, -2.0, -1.0, -0.25, 0.5, 3.0])

    wanted = np.exp(np.interp(at, curve.log_scale, curve.log_hu))

    np.testing.assert_allclose(_told(curve, at), wanted, rtol=1e-5)


def test_too_few_voxels_leave_the_scale_as_trained() -> None:
    """A map from a handful of voxels would be noise."""
    assert fit(np.zeros(10), np.zeros(10)) == AS_TRAINED
    assert fit(np.zeros(5000), np.ones(5000)) == AS_TRAINED


def classed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The class of each voxel and probabilities that mostly know it; the third is hardly there."""
    mine = rng.choice(3, 60_000, p=[0.6, 0.395, 0.005])
    likely = np.full((mine.size, 3), 0.05)
    likely[np.arange(mine.size), mine] = 0.9
    return mine, likely


def test_each_class_loses_its_median_residual() -> None:
    """Even under outliers; a class of too few voxels stays as it is."""
    rng = np.random.default_rng(3)
    mine, likely = classed(rng)
    hu = np.full(mine.size, 22.0)
    truth = np.array([28.0, 37.0, 90.0])[mine] + rng.laplace(0, 3, mine.size)
    truth[::50] += 900

    shift = fit_hu(hu, truth, likely)

    left = truth - hu - likely @ np.array(shift)
    assert [abs(float(np.median(left[mine == c]))) < 0.5 for c in range(2)] == [True, True]
    assert shift[2] == 0.0


def test_each_class_is_as_wide_as_its_errors() -> None:
    """68 % of the errors of either class lie within its half width, whatever the head said."""
    rng = np.random.default_rng(4)
    mine, likely = classed(rng)
    log_scale = np.log(rng.uniform(0.005, 0.05, mine.size))
    error = np.abs(rng.laplace(0, 1000 * np.exp(log_scale) * np.array([0.4, 3.0, 1.0])[mine]))

    shift = fit_scale(log_scale, error, likely)

    half = 1000 * HALF_WIDTH * np.exp(log_scale + likely @ np.array(shift))
    for number in range(2):
        assert (error <= half)[mine == number].mean() == pytest.approx(0.68, abs=0.01)
    assert shift[0] < -0.8 < 1.0 < shift[1]
    assert shift[2] == 0.0


def test_the_shift_is_weighed_by_probability() -> None:
    """A voxel half of one class and half of another moves by the mean of both."""
    layer = Shifted(Shift(hu=(10.0, 30.0), log_scale=(-1.0, 2.0)))
    logits = torch.tensor([[50.0, 0.0], [50.0, 0.0], [0.0, 50.0]]).T[None, :, None, :]

    added = layer(logits)[0, :, 0].numpy()

    np.testing.assert_allclose(added, [[0.010, 0.010, 0.030], [-1.0, -1.0, 2.0]], atol=1e-6)
    half = layer(torch.zeros(1, 2, 1, 1)).flatten().numpy()
    np.testing.assert_allclose(half, [0.020, 0.5], atol=1e-6)


def _told(curve: Curve, log_scale: np.ndarray) -> np.ndarray:
    layer = Calibrated(curve)
    return np.asarray(layer(torch.from_numpy(np.asarray(log_scale, np.float32))).numpy())
