"""The structure set of an sCT: references, names, numbers, identity."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from node.dicom.companion import Companion, written_ct
from node.dicom.explicit import element
from node.dicom.rtstruct import encode_rtstruct
from node.domain.errors import Defect
from node.domain.structures import STRUCTURES, Structure, regions_of
from tests.phantoms.sct import WrittenSct, written_sct


@pytest.fixture(scope="module")
def made() -> WrittenSct:
    """An sCT with bone and air."""
    return written_sct()


def encoded(made: WrittenSct, structures: tuple[Structure, ...] = STRUCTURES) -> Companion:
    """Its structure set."""
    return encode_rtstruct(
        written_ct(made.encoded), regions_of(structures, made.result.sct, made.result.body)
    )


def read(companion: Companion) -> FileDataset:
    """The data set as a receiver reads it."""
    assert companion.instance is not None
    return pydicom.dcmread(io.BytesIO(companion.instance.data))


@pytest.mark.long
def test_it_belongs_to_patient_study_and_frame_of_its_ct(made: WrittenSct) -> None:
    """A series of its own, in the CT's study and frame of reference everywhere."""
    dataset, ct = read(encoded(made)), written_ct(made.encoded).header

    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "AccessionNumber",
                    "FrameOfReferenceUID", "SpecificCharacterSet"):  # fmt: skip
        assert dataset[keyword].value == ct[keyword].value
    assert dataset.SeriesInstanceUID not in (ct.SeriesInstanceUID, dataset.SOPInstanceUID)
    assert (dataset.Modality, dataset.ApprovalStatus) == ("RTSTRUCT", "UNAPPROVED")
    frames = {str(e.value) for e in dataset.iterall() if "FrameOfReferenceUID" in e.keyword}
    assert frames == {str(ct.FrameOfReferenceUID)}


def test_every_reference_resolves(made: WrittenSct) -> None:
    """Study, series, every slice; each contour lies on the slice it names."""
    dataset = read(encoded(made))
    images = {e.sop_instance_uid: pydicom.dcmread(io.BytesIO(e.data)) for e in made.encoded}

    study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    assert study.ReferencedSOPInstanceUID == dataset.StudyInstanceUID
    series = study.RTReferencedSeriesSequence[0]
    assert series.SeriesInstanceUID == made.encoded[0].series_instance_uid
    listed = [i.ReferencedSOPInstanceUID for i in series.ContourImageSequence]
    assert listed == list(images)
    for roi in dataset.ROIContourSequence:
        for contour in roi.ContourSequence:
            (image,) = contour.ContourImageSequence
            slice_ = images[image.ReferencedSOPInstanceUID]
            assert image.ReferencedSOPClassUID == slice_.SOPClassUID
            heights = set(contour.ContourData[2::3])
            assert heights == {slice_.ImagePositionPatient[2]}
            assert contour.NumberOfContourPoints == len(contour.ContourData) // 3
            assert contour.ContourGeometricType == "CLOSED_PLANAR"


def test_names_types_and_colours_are_those_asked_for(made: WrittenSct) -> None:
    """Numbers tie the three sequences together."""
    dataset = read(encoded(made))

    told = {}
    for roi, contours, observation in zip(
        dataset.StructureSetROISequence,
        dataset.ROIContourSequence,
        dataset.RTROIObservationsSequence,
        strict=True,
    ):
        assert roi.ROINumber == contours.ReferencedROINumber == observation.ReferencedROINumber
        assert roi.ROIGenerationAlgorithm == "AUTOMATIC"
        algorithm = roi.ROIDerivationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123104"
        told[roi.ROIName] = (observation.RTROIInterpretedType, tuple(contours.ROIDisplayColor))
    assert told == {s.name: (s.interpreted_type, s.colour) for s in STRUCTURES}


def test_no_number_is_longer_than_a_decimal_string(made: WrittenSct) -> None:
    """16 characters (PS3.5 6.2), in all contours."""
    dataset = read(encoded(made))
    for roi in dataset.ROIContourSequence:
        for contour in roi.ContourSequence:
            raw = contour.get_item("ContourData").value
            words = raw.decode() if isinstance(raw, bytes) else "\\".join(map(str, raw))
            assert max(map(len, words.split("\\"))) <= 16


def test_the_same_sct_gives_the_same_bytes_and_another_definition_other_uids(
    made: WrittenSct,
) -> None:
    """One UID never names two contents."""
    once, again = encoded(made), encoded(written_sct())
    renamed = encoded(made, (replace(STRUCTURES[0], name="External"), *STRUCTURES[1:]))

    assert once == again
    assert once.instance is not None
    assert renamed.instance is not None
    assert once.instance.sop_instance_uid != renamed.instance.sop_instance_uid
    assert once.instance.series_instance_uid != renamed.instance.series_instance_uid


def test_volumes_are_told(made: WrittenSct) -> None:
    """ROIVolume is the volume of the voxels."""
    dataset = read(encoded(made))
    body = dataset.StructureSetROISequence[0]
    assert float(body.ROIVolume) == pytest.approx(made.result.body.sum() * 0.027, abs=1e-3)


def test_a_head_without_bone_has_no_bone_contour() -> None:
    """The others are there, and the one left out is told with a remedy."""
    companion = encoded(written_sct(bone=False))

    names = [roi.ROIName for roi in read(companion).StructureSetROISequence]
    assert names == ["BODY", "AIR"]
    (found,) = companion.findings
    assert found.code == "CONTOUR_LEFT_OUT"
    assert "BONE" in found.sentence
    assert found.remedy


def test_without_a_body_there_is_no_structure_set(made: WrittenSct) -> None:
    """Said in findings, not in an empty object."""
    nobody = np.zeros_like(made.result.body)
    companion = encode_rtstruct(
        written_ct(made.encoded), regions_of(STRUCTURES, made.result.sct, nobody)
    )

    assert companion.instance is None
    assert companion.findings[-1].code == "COMPANION_NOT_MADE"


def test_a_head_cut_off_says_where() -> None:
    """Contours end with the field of view; a reader of the description knows."""
    dataset = read(encoded(written_sct(radius_mm=66.0)))
    body = dataset.StructureSetROISequence[0]
    assert body.ROIDescription.endswith("cut off at right, left, bottom, top")


def test_a_contour_of_one_voxel_is_written() -> None:
    """Four points: enough for a closed contour."""

    def speck(lps: NDArray[np.float64], hu: NDArray[np.int16]) -> None:
        hu[np.linalg.norm(lps - lps[12, 24, 20], axis=-1) < 1.0] = 900

    one = Structure(name="SPECK", interpreted_type="ORGAN", colour=(1, 2, 3), hu=(251, 3071))
    dataset = read(encoded(written_sct(bone=False, air=False, paint=speck), (one,)))

    (contour,) = dataset.ROIContourSequence[0].ContourSequence
    assert contour.NumberOfContourPoints == 4


def test_names_are_written_in_the_character_set_of_the_patient() -> None:
    """An accent stays where the set has it, and goes where it has not."""
    body = replace(STRUCTURES[0], name="EXTÉRIEUR")
    for characters, written in (("ISO_IR 100", "EXTÉRIEUR"), ("", "EXTERIEUR")):
        made = written_sct(tags={"SpecificCharacterSet": characters, "PatientName": "DOE^J"})
        dataset = read(encoded(made, (body,)))
        assert dataset.StructureSetROISequence[0].ROIName == written
        assert dataset.RTROIObservationsSequence[0].ROIObservationLabel == written


def test_no_element_is_longer_than_its_length_field() -> None:
    """DS has 16 bits for its length in Explicit VR; more is our defect, never a wrapped number."""
    with pytest.raises(Defect):
        element(0x30060050, "DS", b"1" * 70000)
