"""Structures of an sCT -> RT Structure Set Storage (PS3.3 A.19)."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, RTStructureSetStorage

from node.dicom import codes
from node.dicom.companion import Companion, WrittenCt, begin, finished, worded
from node.dicom.ct_series import MANUFACTURER, decimal
from node.dicom.explicit import element, sequence
from node.domain.findings import Finding, finding
from node.domain.outlines import Outline, outlines
from node.domain.structures import Region, Structure

ROLE = "rtstruct"
# PS3.3 C.8.8.5: retired with the Detached Study Management class, and what planning systems expect.
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
_VERSION = "1"
"""Of the way outlines are drawn; part of the UIDs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    """One structure, ready to be written."""

    structure: Structure
    number: int
    outlines: tuple[Outline, ...]
    volume_ml: float
    cut_off: tuple[str, ...]
    """Sides of the field of view that it reaches."""


def encode_rtstruct(ct: WrittenCt, regions: Sequence[Region]) -> Companion:
    """Outline ``regions``, structures with their voxels on the grid of ``ct``.

    A structure without a voxel is left out and told; without any there is no object.
    """
    drawn, findings = _drawn(regions, ct.grid.voxel_volume_mm3 / 1000.0)
    if not drawn:
        nothing = finding("COMPANION_NOT_MADE", companion="RTSTRUCT", reason="it has no structure")
        return Companion(instance=None, findings=(*findings, nothing))
    dataset = begin(
        ct,
        ROLE,
        sop_class_uid=str(RTStructureSetStorage),
        description=f"Contours of {ct.header.SeriesDescription}",
        identity={"version": _VERSION, "structures": [asdict(s) for s, _ in regions]},
    )
    _structure_set(dataset, ct)
    dataset.StructureSetROISequence = [_roi(ct, d) for d in drawn]
    dataset.RTROIObservationsSequence = [_observation(ct, d) for d in drawn]
    written = finished(dataset, (_tag("ROIContourSequence"), _contour_sequence(ct, drawn)))
    return Companion(instance=written, findings=tuple(findings))


def _drawn(regions: Sequence[Region], voxel_ml: float) -> tuple[list[_Drawn], list[Finding]]:
    drawn: list[_Drawn] = []
    findings = []
    for structure, mask in regions:
        if not mask.any():
            name, definition = structure.name, structure.definition
            findings.append(finding("CONTOUR_LEFT_OUT", structure=name, definition=definition))
            continue
        drawn.append(
            _Drawn(
                structure=structure,
                number=len(drawn) + 1,
                outlines=outlines(mask),
                volume_ml=float(mask.sum()) * voxel_ml,
                cut_off=_cut_off(mask),
            )
        )
    return drawn, findings


def _cut_off(mask: NDArray[np.bool_]) -> tuple[str, ...]:
    """Sides of an axial grid that ``mask`` reaches (LPS: columns to the left, rows to the back)."""
    faces = {
        "right": mask[:, :, 0], "left": mask[:, :, -1], "front": mask[:, 0], "back": mask[:, -1],
        "bottom": mask[0], "top": mask[-1],
    }  # fmt: skip
    return tuple(side for side, face in faces.items() if face.any())


def _structure_set(dataset: Dataset, ct: WrittenCt) -> None:
    """RT Series, Structure Set and Approval modules (PS3.3 C.8.8.1, C.8.8.5, C.8.8.16)."""
    header = ct.header
    dataset.Modality = "RTSTRUCT"
    dataset.OperatorsName = ""
    dataset.StructureSetLabel = "sCT contours"
    dataset.StructureSetName = dataset.SeriesDescription
    dataset.StructureSetDate = header.get("SeriesDate", "")
    dataset.StructureSetTime = header.get("SeriesTime", "")
    dataset.ApprovalStatus = "UNAPPROVED"
    series = Dataset()
    series.SeriesInstanceUID = header.SeriesInstanceUID
    series.ContourImageSequence = [_image(uid) for uid in ct.sop_instance_uids]
    study = Dataset()
    study.ReferencedSOPClassUID = _STUDY_CLASS
    study.ReferencedSOPInstanceUID = header.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame = Dataset()
    frame.FrameOfReferenceUID = header.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]


def _image(sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CTImageStorage
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _roi(ct: WrittenCt, drawn: _Drawn) -> Dataset:
    structure = drawn.structure
    item = Dataset()
    item.ROINumber = drawn.number
    item.ReferencedFrameOfReferenceUID = ct.header.FrameOfReferenceUID
    item.ROIName = worded(ct, structure.name)
    ends = f"; cut off at {', '.join(drawn.cut_off)}" if drawn.cut_off else ""
    item.ROIDescription = f"{drawn.volume_ml:.1f} ml{ends}"
    item.ROIVolume = f"{drawn.volume_ml:.3f}"
    item.ROIGenerationAlgorithm = "AUTOMATIC"
    item.ROIGenerationDescription = structure.definition[:64]
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = [codes.MORPHOLOGICAL_OPERATIONS.item()]
    algorithm.AlgorithmName = worded(ct, f"{MANUFACTURER} {structure.name}")
    algorithm.AlgorithmVersion = str(ct.header.SoftwareVersions)
    algorithm.AlgorithmParameters = structure.definition
    algorithm.AlgorithmSource = MANUFACTURER
    item.ROIDerivationAlgorithmIdentificationSequence = [algorithm]
    return item


def _observation(ct: WrittenCt, drawn: _Drawn) -> Dataset:
    item = Dataset()
    item.ObservationNumber = drawn.number
    item.ReferencedROINumber = drawn.number
    item.ROIObservationLabel = worded(ct, drawn.structure.name)
    item.RTROIInterpretedType = drawn.structure.interpreted_type
    item.ROIInterpreter = ""
    return item


def _contour_sequence(ct: WrittenCt, drawn: Sequence[_Drawn]) -> bytes:
    """ROI Contour module (PS3.3 C.8.8.6), in Explicit VR Little Endian."""
    return sequence(_tag("ROIContourSequence"), (_contours(ct, d) for d in drawn))


def _contours(ct: WrittenCt, drawn: _Drawn) -> bytes:
    colour = "\\".join(map(str, drawn.structure.colour))
    return b"".join(
        (
            element(_tag("ROIDisplayColor"), "IS", colour.encode()),
            sequence(_tag("ContourSequence"), _contour_items(ct, drawn.outlines)),
            element(_tag("ReferencedROINumber"), "IS", str(drawn.number).encode()),
        )
    )


def _contour_items(ct: WrittenCt, drawn: Sequence[Outline]) -> Iterator[bytes]:
    """One item an outline; coordinates are looked up, since all lie on one lattice."""
    affine, (slices, rows, columns) = ct.grid.affine, ct.grid.shape
    x = [decimal(affine[0, 3] + n / 2 * affine[0, 2]) for n in range(-1, 2 * columns)]
    y = [decimal(affine[1, 3] + n / 2 * affine[1, 1]) for n in range(-1, 2 * rows)]
    z = [decimal(affine[2, 3] + n * affine[2, 0]) for n in range(slices)]
    images = [_image_sequence(uid) for uid in ct.sop_instance_uids]
    kind = element(_tag("ContourGeometricType"), "CS", b"CLOSED_PLANAR")
    for number, outline in enumerate(drawn, start=1):
        height = z[outline.slice]
        text = "\\".join([f"{x[c + 1]}\\{y[r + 1]}\\{height}" for r, c in outline.points.tolist()])
        count = str(len(outline.points)).encode()
        yield b"".join(
            (
                images[outline.slice],
                kind,
                element(_tag("NumberOfContourPoints"), "IS", count),
                element(_tag("ContourNumber"), "IS", str(number).encode()),
                element(_tag("ContourData"), "DS", text.encode()),
            )
        )


def _image_sequence(sop_instance_uid: str) -> bytes:
    """ContourImageSequence: the one image an outline lies on."""
    item = b"".join(
        (
            element(_tag("ReferencedSOPClassUID"), "UI", CTImageStorage.encode()),
            element(_tag("ReferencedSOPInstanceUID"), "UI", sop_instance_uid.encode()),
        )
    )
    return sequence(_tag("ContourImageSequence"), [item])


@cache
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword  # noqa: S101 - a word of the standard, not data
    return tag
