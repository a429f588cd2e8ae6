"""The half widths told become the half widths met, whatever shape the mistake has."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.calibration import AS_TRAINED, Calibrated, Curve, deciles, fit, worst  # noqa: E402


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


def _told(curve: Curve, log_scale: np.ndarray) -> np.ndarray:
    layer = Calibrated(curve)
    return np.asarray(layer(torch.from_numpy(np.asarray(log_scale, np.float32))).numpy())
