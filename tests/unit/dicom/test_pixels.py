"""Stored pixels become the signal the scanner meant."""

import numpy as np

from node.dicom.headers import read_instance
from node.dicom.pixels import mr_volume
from node.domain.volume import Volume
from node.pipeline import collect
from tests.phantoms.mr import MrSeries, mr_series


def volume_of(series: MrSeries) -> Volume:
    """Decode the only stack of ``series``."""
    datasets = {str(d.SOPInstanceUID): d for d in series.datasets}
    (stack,) = collect(map(read_instance, datasets.values()))
    return mr_volume(stack, datasets)


def by_slice(number: int) -> tuple[float, float]:
    """Give each slice a scale of its own, as Philips does."""
    return 0.75 * (1 + number % 4), -8.0 * (number % 3)


def test_each_slice_is_rescaled_by_itself() -> None:
    """PS3.3 C.11.1: no step from slice to slice where slope and intercept differ."""
    series = mr_series(rescale=by_slice)

    volume = volume_of(series)

    np.testing.assert_allclose(volume.values, series.values, atol=1e-3)
