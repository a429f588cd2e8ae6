"""Two encodings of one SOP instance: what says the same, and what does not."""

import io
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from node.dicom.meaning import differences, identity_of
from node.domain.difference import Aspect, what_matters
from tests.phantoms.mr import enhanced_mr
from tests.phantoms.small_mr import mr_image

Change = Callable[[Dataset], None]


def image() -> Dataset:
    """An MR image whose pixels are no constant."""
    dataset = mr_image()
    dataset.PixelSpacing = ["0.46875", "0.46875"]
    dataset.ImagePositionPatient = ["-120", "-120.5", "3"]
    dataset.PixelData = np.arange(32 * 32, dtype="<u2").tobytes()
    return dataset


def written(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> io.BytesIO:
    """``dataset`` as a Part 10 file."""
    dataset = deepcopy(dataset)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax.is_encapsulated:
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file


def found(change: Change) -> list[tuple[str, str]]:
    """Aspect and attribute of what a change of the image makes different."""
    other = image()
    change(other)
    told = differences(written(image()), written(other))
    return [(d.aspect.value, d.attribute) for d in told]


SYNTAXES = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian, JPEGLSLossless, JPEG2000Lossless, RLELossless,
]  # fmt: skip


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda s: s.name)
def test_encoding_says_nothing(syntax: UID) -> None:
    """Native and lossless encodings of one image are one object; another pixel is another one."""
    other = image()
    pixels = np.frombuffer(other.PixelData, "<u2").copy()
    pixels[500] += 1
    other.PixelData = pixels.tobytes()

    assert differences(written(image()), written(image(), syntax)) == ()
    assert differences(written(image(), syntax), written(image())) == ()
    (told,) = differences(written(image(), syntax), written(other, syntax))
    assert (told.aspect, told.attribute) == (Aspect.PIXELS, "PixelData")
    (told,) = differences(written(image()), written(other, syntax))
    assert (told.aspect, told.attribute) == (Aspect.PIXELS, "PixelData")


def set_to(**values: object) -> Change:
    """A change of attributes."""

    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def utf8(dataset: Dataset) -> None:
    """The same name in another character set."""
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = str(image().PatientName)


@pytest.mark.parametrize(
    "change",
    [
        set_to(RetrieveAETitle="ARCHIVE", InstanceAvailability="ONLINE"),
        set_to(StorageMediaFileSetUID="1.2.3.9", StorageMediaFileSetID="DISK"),
        set_to(PatientName="Müller^Jörg^^"),
        set_to(PatientName="Müller ^Jörg"),
        set_to(PixelSpacing=["4.6875e-1", ".468750"]),
        set_to(AccessionNumber="", StudyID=None, ImageComments=""),
        set_to(SeriesDescription="T1 phantom "),
        set_to(DataSetTrailingPadding=b"\0" * 20),
        lambda d: d.add_new(0x00091001, "LO", "private"),
        utf8,
    ],
)
def test_what_says_nothing_is_no_difference(change: Change) -> None:
    """Retrieval, padding, how a name or number is written, empty for absent, private attributes."""
    assert found(change) == []


@pytest.mark.parametrize(
    ("change", "aspect", "attribute"),
    [
        (set_to(PatientID="P2"), "identity", "PatientID"),
        (set_to(PatientName="Müller^Georg"), "identity", "PatientName"),
        (set_to(PatientBirthDate="19700101"), "identity", "PatientBirthDate"),
        (set_to(IssuerOfPatientID="A"), "identity", "IssuerOfPatientID"),
        (set_to(StudyInstanceUID="1.2.4"), "identity", "StudyInstanceUID"),
        (set_to(SeriesInstanceUID="1.2.3.5"), "identity", "SeriesInstanceUID"),
        (set_to(AccessionNumber="A1"), "identity", "AccessionNumber"),
        (set_to(FrameOfReferenceUID="1.2.3.6"), "geometry", "FrameOfReferenceUID"),
        (set_to(ImagePositionPatient=["-120", "-120.5", "3.001"]), "geometry",
         "ImagePositionPatient"),
        (set_to(PixelSpacing=["0.46875", "0.46876"]), "geometry", "PixelSpacing"),
        (set_to(PatientPosition="HFP"), "geometry", "PatientPosition"),
        (set_to(BitsStored=12), "pixels", "BitsStored"),
        (set_to(RescaleSlope="2"), "scaling", "RescaleSlope"),
        (set_to(ImageType=["DERIVED", "PRIMARY", "M"]), "examination", "ImageType"),
        (set_to(MedicalAlerts="PACEMAKER"), "examination", "MedicalAlerts"),
        (set_to(EchoTime="3"), "other", "EchoTime"),
        (set_to(StudyDescription="Brain"), "other", "StudyDescription"),
    ],
)  # fmt: skip
def test_a_difference_is_told_by_what_hangs_on_it(
    change: Change, aspect: str, attribute: str
) -> None:
    """Attribute and aspect; what is filled in, or decides nothing, is other."""
    assert found(change) == [(aspect, attribute)]


def test_values_are_told() -> None:
    """Old and new, as a person reads them."""
    other = image()
    other.PatientID, other.PatientName = "P2", "Ünal^Eva"

    told = what_matters(differences(written(image()), written(other)))

    assert [(d.old, d.new) for d in told] == [("P1", "P2"), ("Müller^Jörg", "Ünal^Eva")]


def test_the_private_scale_that_is_read_counts() -> None:
    """Philips' scale slope decides the signal; the rest of its private block does not."""

    def scaled(slope: float, other: float) -> Dataset:
        dataset = image()
        block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0D, "FL", 0.0)
        block.add_new(0x0E, "FL", slope)
        block.add_new(0x10, "FL", other)
        return dataset

    assert differences(written(scaled(2.0, 1.0)), written(scaled(2.0, 5.0))) == ()
    (told,) = differences(written(scaled(2.0, 1.0)), written(scaled(3.0, 1.0)))
    assert (told.aspect, told.attribute) == (Aspect.SCALING, "PhilipsScale")


def test_frames_count_as_if_they_stood_at_the_top() -> None:
    """Position and slope of one frame of an enhanced image are geometry and scaling."""
    (enhanced,) = enhanced_mr((6, 8, 10), (2.0, 2.0, 2.0)).datasets
    moved, scaled = deepcopy(enhanced), deepcopy(enhanced)
    frame = moved.PerFrameFunctionalGroupsSequence[3]
    frame.PlanePositionSequence[0].ImagePositionPatient[2] += 1
    group = scaled.SharedFunctionalGroupsSequence[0]
    group.PixelValueTransformationSequence[0].RescaleSlope = "7"

    moves = what_matters(differences(written(enhanced), written(moved)))
    scales = what_matters(differences(written(enhanced), written(scaled)))

    assert {(d.aspect, d.attribute) for d in moves} == {(Aspect.GEOMETRY, "ImagePositionPatient")}
    assert {(d.aspect, d.attribute) for d in scales} == {(Aspect.SCALING, "RescaleSlope")}


def test_identity_is_written_so_that_the_same_is_equal() -> None:
    """Names by PS3.5; what is absent is empty."""
    other = image()
    other.PatientName = "Müller^Jörg^^^"

    assert identity_of(written(image())) == identity_of(written(other))
    assert identity_of(written(other))["PatientID"] == "P1"
    assert identity_of(written(other))["AccessionNumber"] == ""
