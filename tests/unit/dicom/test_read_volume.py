"""Frames to volume: scale, order and place of each slice."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from node.dicom.headers import read_instance
from node.dicom.pixels import mr_volume, read_volume
from node.domain.errors import Rejected
from node.domain.findings import Severity
from node.domain.geometry import lps_from_index
from node.domain.stack import Stack, split
from node.domain.volume import Volume
from tests.phantoms import signals
from tests.phantoms.mr import mr_series


def read(datasets: list[FileDataset]) -> tuple[Stack, dict[str, pydicom.Dataset]]:
    """The only stack, and the data sets by UID."""
    (stack,) = split(read_instance(dataset) for dataset in datasets)
    return stack, {str(dataset.SOPInstanceUID): dataset for dataset in datasets}


def off(volume: Volume) -> float:
    """Largest difference from `signals.linear` at the places the volume claims."""
    index = np.stack(np.meshgrid(*map(np.arange, volume.values.shape), indexing="ij"), axis=-1)
    expected = signals.linear(lps_from_index(volume.affine, index))
    return float(np.abs(volume.values - expected).max())


def test_uneven_slices_are_brought_to_even_places() -> None:
    """Slices acquired at positions that drift by 4 %: anatomy stays where it is."""
    places = np.cumsum(np.where(np.arange(30) < 15, 3.0, 3.12))
    datasets = []
    for number, place in enumerate(places):
        built = mr_series(
            (1, 40, 32),
            centre_mm=(0, 0, float(place) - 45),
            signal=signals.linear,
            name=f"slice {number}",
        ).datasets[0]
        built.SOPInstanceUID = f"1.2.3.{number}"
        built.SeriesInstanceUID, built.FrameOfReferenceUID = "1.2.3", "1.2.4"
        built.StudyInstanceUID = "1.2"
        datasets.append(built)
    stack, by_uid = read(datasets)

    volume = mr_volume(stack, by_uid)

    assert off(volume) < 0.6  # half a stored step, once more after interpolation


def test_even_slices_are_taken_as_they_are() -> None:
    """No interpolation: the stored integers come out."""
    series = mr_series(signal=signals.linear)
    stack, by_uid = read(list(series.datasets))

    volume, found = read_volume(stack, by_uid)

    assert np.array_equal(volume.values, series.values.astype(np.float32))
    assert found == ()


def test_philips_scale_is_taken_where_the_rescale_does_not_make_one_scale() -> None:
    """(2005,100D) and (2005,100E) differ by slice while RescaleSlope is one."""
    series = mr_series(signal=signals.linear)
    for number, dataset in enumerate(series.datasets):
        stored = np.round(series.values[number] * 0.5 * (1 + number / 60) + 3).astype("<u2")
        dataset.PixelData = stored.tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = "1", "0"
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0D, "FL", 3.0)
        block.add_new(0x0E, "FL", 0.5 * (1 + number / 60))
    stack, by_uid = read(list(series.datasets))

    assert np.allclose(mr_volume(stack, by_uid).values, series.values, atol=1.1)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"])
def test_pixels_that_cannot_be_decoded_are_refused_with_the_reason(syntax: str) -> None:
    """The codec's own words, the transfer syntax, and which image."""
    datasets = list(mr_series().datasets)
    odd = datasets[4]
    odd.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    odd.PixelData = pydicom.encaps.encapsulate([b"not a frame at all" * 9])
    stack, by_uid = read(datasets)

    with pytest.raises(Rejected) as told:
        mr_volume(stack, by_uid)

    assert told.value.code == "PIXELS_UNDECODABLE"
    assert syntax in told.value.message


def test_a_series_of_one_value_is_refused() -> None:
    """Nothing can be seen in it."""
    stack, by_uid = read(list(mr_series(signal=signals.constant(300.0)).datasets))

    _, found = read_volume(stack, by_uid)

    assert [(f.code, f.severity) for f in found] == [("PIXELS_CONSTANT", Severity.REFUSE)]


def test_a_refusal_after_decoding_carries_every_finding() -> None:
    """An empty slice and a repeated one are both told."""
    datasets = list(mr_series().datasets)
    datasets[10].PixelData = bytes(len(datasets[10].PixelData))
    datasets[20].PixelData = datasets[5].PixelData
    stack, by_uid = read(datasets)

    _, found = read_volume(stack, by_uid)

    assert {"SLICE_EMPTY", "SLICE_REPEATED"} <= {f.code for f in found}
    assert {f.severity for f in found} >= {Severity.REFUSE}
