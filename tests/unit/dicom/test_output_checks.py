"""The output gate: nothing that a planning system would misread leaves."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from node.dicom.ct_series import EncodedInstance, encode_ct, part10
from node.dicom.headers import read_instance
from node.dicom.output_checks import verify
from node.dicom.text import encodings_of, fitting
from node.domain.errors import Defect
from node.domain.plan import ModelRef, SctResult
from node.domain.stack import split
from node.domain.volume import Unit, Volume
from node.pipeline import make_plan
from tests.phantoms.mr import mr_series

MODEL = ModelRef(name="tiny", version="1.0.0", sha256="ab" * 32, body_part="HEAD", spacing_mm=3.0)


def encoded(
    label: str = "RESEARCH", tags: dict[str, object] | None = None
) -> tuple[tuple[EncodedInstance, ...], Volume]:
    """A small sCT series as it is written, and its volume."""
    datasets = mr_series((6, 12, 10), (20.0, 3.0, 3.0), tags=tags).datasets
    stack = split(map(read_instance, datasets))[0]
    plan = make_plan(stack, model=MODEL, software_version="0", label=label)
    values = np.random.default_rng(1).integers(-1024, 3072, plan.grid.shape).astype(np.int16)
    sct = Volume(
        values=values,
        affine=plan.grid.affine,
        frame_of_reference_uid=stack.header.frame_of_reference_uid,
        unit=Unit.HU,
    )
    result = SctResult(sct=sct, uncertainty=None, body=values > 0, findings=(), runtime="by hand")
    return tuple(encode_ct(result, plan, stack, datasets[0])), sct


def edited(
    instances: tuple[EncodedInstance, ...], number: int, change: Callable[[Dataset], None]
) -> tuple[EncodedInstance, ...]:
    """The series with one image changed and written anew."""
    dataset = pydicom.dcmread(io.BytesIO(instances[number].data))
    change(dataset)
    made = replace(instances[number], data=part10(dataset))
    return (*instances[:number], made, *instances[number + 1 :])


def setting(keyword: str, value: object) -> Callable[[Dataset], None]:
    """Set one attribute; None removes it."""

    def change(dataset: Dataset) -> None:
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)

    return change


def test_what_we_write_passes() -> None:
    """Whatever the volume."""
    verify(*encoded())


ONE = {
    "pixels": setting("PixelData", bytes(240)),
    "name": setting("SOPInstanceUID", "1.2.3.4"),
    "place": setting("ImagePositionPatient", ["0", "0", "7"]),
    "location": setting("SliceLocation", "3"),
    "number": setting("InstanceNumber", 9),
    "patient": setting("PatientID", "OTHER"),
    "frame": setting("FrameOfReferenceUID", "1.2.3"),
    "spacing": setting("PixelSpacing", ["3", "3.1"]),
    "study": setting("StudyInstanceUID", "1.2.3"),
    "more": setting("ImageComments", "x"),
    "less": setting("WindowCenter", None),
    "matrix": setting("Rows", 6),
}
ALL = {
    "slope": setting("RescaleSlope", "2"),
    "no type": setting("RescaleType", None),
    "original": setting("ImageType", ["ORIGINAL", "PRIMARY", "AXIAL"]),
    "signed": setting("PixelRepresentation", 1),
    "sixteen bits": setting("BitsStored", 16),
    "tilted": setting("ImageOrientationPatient", ["1", "0", "0", "0", "0.999", "0.01"]),
    "thick": setting("SliceThickness", "5"),
    "oblong": setting("PixelSpacing", ["3", "2"]),
    "no study id": setting("StudyID", None),
    "no kvp": setting("KVP", None),
    "no name": setting("PatientName", ""),
    "lying": setting("PatientPosition", "SUPINE"),
    "tilt": setting("GantryDetectorTilt", "0"),
    "long text": setting("SeriesDescription", "x" * 65),
    "no sources": setting("SourceImageSequence", []),
    "lossy": setting("LossyImageCompression", "yes"),
    "study date": setting("StudyDate", "2022.04.07"),
    "accession number": setting("AccessionNumber", "A" * 17),
    "patient": setting("PatientID", "A\x07"),
}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ONE)
def test_one_image_that_differs_is_found(name: str) -> None:
    """In the middle of the series."""
    instances, sct = encoded()

    with pytest.raises(Defect):
        verify(edited(instances, 3, ONE[name]), sct)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", ALL)
def test_what_every_image_says_wrongly_is_found(name: str) -> None:
    """Though they agree with each other."""
    instances, sct = encoded()
    for number in range(len(instances)):
        instances = edited(instances, number, ALL[name])

    with pytest.raises(Defect):
        verify(instances, sct)


def test_a_decimal_string_of_more_than_16_characters_is_found() -> None:
    """PS3.5 6.2, wherever it stands."""
    instances, sct = encoded()
    long = b"3.00000000000000000001"

    def change(dataset: Dataset) -> None:
        dataset.WindowWidth = "400"

    instances = edited(instances, 0, change)
    data = instances[0].data.replace(b"\x28\x00\x51\x10DS\x04\x00400 ",
                                     b"\x28\x00\x51\x10DS\x16\x00" + long)  # fmt: skip
    assert data != instances[0].data
    several = tuple(
        replace(i, data=i.data.replace(b"\x28\x00\x51\x10DS\x04\x00400 ",
                                       b"\x28\x00\x51\x10DS\x16\x00" + long))
        for i in instances
    )  # fmt: skip

    with pytest.raises(Defect, match="WindowWidth"):
        verify(several, sct)


def test_a_label_with_accents_fits_the_character_set_of_its_patient() -> None:
    """Kept where it can be written, else without the accents."""
    western, _ = encoded("Validé")
    greek, sct = encoded("Validé", tags={"SpecificCharacterSet": "ISO_IR 126"})
    plain, _ = encoded("Validé", tags={"SpecificCharacterSet": None})

    described = [
        str(pydicom.dcmread(io.BytesIO(series[0].data)).SeriesDescription)
        for series in (western, greek, plain)
    ]

    assert [d.split()[0] for d in described] == ["Validé", "Valide", "Valide"]
    verify(greek, sct)


def test_characters_without_a_plain_form_become_question_marks() -> None:
    """A reader sees that something stood there."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"

    assert fitting("重 é – x", encodings_of(dataset)) == "? e - x"
    assert fitting("é", encodings_of(dataset)) == "é"


def test_every_image_is_what_pydicom_writes() -> None:
    """Images made from the pattern of the first are, byte for byte, those a library writes."""
    instances, _ = encoded()

    for instance in instances:
        dataset = pydicom.dcmread(io.BytesIO(instance.data))
        assert dataset.SOPInstanceUID == instance.sop_instance_uid
        assert part10(dataset) == instance.data
