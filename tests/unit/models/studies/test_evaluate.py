"""The calibration curve and the oracle, by arithmetic."""

import numpy as np
import pytest

pytest.importorskip("torch")

from models.calibration import deciles, worst
from models.studies.evaluate import oracle


def test_a_calibrated_laplace_lies_on_the_diagonal() -> None:
    """Errors drawn with the half widths told meet them in every tenth."""
    rng = np.random.default_rng(1)
    half = np.exp(rng.uniform(0, 5, 400_000))
    scale = half / -np.log(1 - 0.68)
    error = np.abs(rng.laplace(0, scale))

    for told, met in deciles(error, half):
        assert met == pytest.approx(told, rel=0.05)
    assert worst(deciles(error, half)) < 0.05 < 0.4 < worst(deciles(error, 2 * half))


def test_the_oracle_gives_each_label_its_mean() -> None:
    """Whoever knew the labels alone would answer so."""
    truth = np.array([[[10.0, 20.0, 1000.0, 1200.0]]], np.float32)
    labels = np.array([[[1, 1, 2, 2]]], np.int16)

    np.testing.assert_allclose(oracle(truth, labels), [[[15, 15, 1100, 1100]]])
