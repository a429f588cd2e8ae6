"""The uncertainty map: what is read back, where it lies, what it says of itself."""

import io
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray

from node.dicom.companion import Companion, written_ct
from node.dicom.uncertainty_map import STEP_HU, encode_uncertainty
from node.domain.volume import Volume
from tests.phantoms.sct import WrittenSct, written_sct


@pytest.fixture(scope="module")
def made() -> WrittenSct:
    """An sCT with a map that grows from its middle."""
    return written_sct()


def encoded(made: WrittenSct, **changes: bool) -> Companion:
    """Its map."""
    assert made.result.uncertainty is not None
    return encode_uncertainty(written_ct(made.encoded), made.result.uncertainty, **changes)


def data(companion: Companion) -> bytes:
    """Bytes of the object."""
    assert companion.instance is not None
    return companion.instance.data


@pytest.mark.long
def test_half_widths_are_read_back_within_half_a_step(made: WrittenSct) -> None:
    """By highdicom's reader, with the real world values the object declares."""
    image = highdicom.imread(io.BytesIO(data(encoded(made))))
    volume = image.get_volume(apply_real_world_transform=True)

    truth = made.result.uncertainty
    assert truth is not None
    values, affine = volume.array[::-1], volume.affine  # it counts slices head to foot
    last = affine[:3, 3] + (len(values) - 1) * affine[:3, 0]
    assert np.abs(values - truth.values).max() <= STEP_HU / 2
    assert np.allclose(last, truth.affine[:3, 3], atol=1e-3)


def test_by_hand_it_is_the_same(made: WrittenSct) -> None:
    """Stored value times slope, each frame on the slice whose position it has."""
    dataset = pydicom.dcmread(io.BytesIO(data(encoded(made))))
    mapping = dataset.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    truth = made.result.uncertainty

    assert truth is not None
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "[hnsf'U]"
    placed = np.full(truth.values.shape, np.nan)
    for stored, frame in zip(
        dataset.pixel_array, dataset.PerFrameFunctionalGroupsSequence, strict=True
    ):
        position = [float(v) for v in frame.PlanePositionSequence[0].ImagePositionPatient]
        number = (position[2] - truth.affine[2, 3]) / 3.0
        assert number == pytest.approx(round(number))
        assert position[:2] == pytest.approx(truth.affine[:2, 3])
        placed[round(number)] = stored * mapping.RealWorldValueSlope
    assert np.abs(placed - truth.values).max() <= STEP_HU / 2


def test_it_lies_in_the_space_and_study_of_its_ct(made: WrittenSct) -> None:
    """Another series; every image of the CT is referred to."""
    dataset, ct = pydicom.dcmread(io.BytesIO(data(encoded(made)))), written_ct(made.encoded)

    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID",
                    "SpecificCharacterSet", "Manufacturer", "DeviceSerialNumber"):  # fmt: skip
        assert dataset[keyword].value == ct.header[keyword].value
    assert dataset.SeriesInstanceUID != ct.series_instance_uid
    assert dataset.ContentQualification == "RESEARCH"
    listed = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert [i.ReferencedSOPInstanceUID for i in listed] == list(ct.sop_instance_uids)


def test_the_same_map_gives_the_same_bytes(made: WrittenSct) -> None:
    """No clock and no chance in it."""
    assert encoded(made) == encoded(written_sct())


def test_a_signed_model_is_no_research(made: WrittenSct) -> None:
    """And another object than the one before the signature."""
    signed = encoded(made, research=False)
    dataset = pydicom.dcmread(io.BytesIO(data(signed)))

    assert dataset.ContentQualification == "PRODUCT"
    assert dataset.SOPInstanceUID != pydicom.dcmread(io.BytesIO(data(encoded(made)))).SOPInstanceUID


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_a_map_that_is_none_is_told(bad: float, made: WrittenSct) -> None:
    """One such value: it must not become a plausible number."""
    companion = encode_uncertainty(written_ct(made.encoded), spoilt(made, bad))

    assert companion.instance is None
    assert [f.code for f in companion.findings] == ["COMPANION_NOT_MADE"]


def spoilt(made: WrittenSct, value: float) -> Volume:
    """The map with one other value."""
    assert made.result.uncertainty is not None
    values: NDArray[np.float32] = made.result.uncertainty.values.copy()
    values[3, 4, 5] = value
    return replace(made.result.uncertainty, values=values)
