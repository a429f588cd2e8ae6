"""Public reports of what other software met, each built by code and tried through ``convert``.

A report names its source, what was seen there, and what is right here. `MADE` means that an sCT is
made, valid by dciodvfy, and that nothing of it is another than of the clean series; `NOT_MADE` that
none is made and a person is told why; `TOLD` leaves open which of the two, but never silence.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.tag import Tag

from tests.field.heads import (
    SLICES,
    VOXEL_MM,
    all_changed,
    changed,
    head,
    moved,
    write_part10,
)
from tests.phantoms.mr import uid

MADE, NOT_MADE, TOLD = "made", "not made", "told"
Slices: TypeAlias = list[FileDataset]
Build: TypeAlias = Callable[[Slices], Sequence[FileDataset]]
Patch: TypeAlias = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One report."""

    source: str
    """Repository and number."""
    essence: str
    """What was seen there, in a few words."""
    expect: str
    build: Build = list
    """The slices as they are there, from those of a clean series."""
    patch: Patch | None = None
    """What is done to the bytes of each file after that."""
    made: int = 1
    """How many sCTs are made where one is."""
    same_hu: bool = False
    """Whether the sCT's pixels must be those of the clean series."""
    mended: str = ""
    """What was wrong with it here, and was mended; empty when nothing was."""
    also: Callable[[list[FileDataset], list[FileDataset]], None] = lambda _given, _made: None
    """What else must be true of the sCT: (the slices given, those of the sCT)."""

    def write(self, folder: Path) -> list[FileDataset]:
        """Write its files; the slices as they were before any bytes were changed."""
        with warnings.catch_warnings(action="ignore"):  # pydicom knows what is wrong with it
            given = list(self.build(head(self.source)))
            paths = write_part10(folder, given)
        for path in paths:
            if self.patch:
                path.write_bytes(self.patch(path.read_bytes()))
        return given


def every(**tags: Any) -> Build:
    """These values in every slice."""
    return lambda slices: all_changed(slices, **tags)


def some(*places: int, **tags: Any) -> Build:
    """These values in some slices."""

    def build(slices: Slices) -> Slices:
        return [changed(d, **tags) if n in places else d for n, d in enumerate(slices)]

    return build


def raw(keyword: str, vr: str, value: bytes) -> Build:
    """An element's bytes as they stand in every slice, valid or not."""

    def build(slices: Slices) -> Slices:
        return [_raw(d, keyword, vr, value) for d in slices]

    return build


def _raw(dataset: FileDataset, keyword: str, vr: str, value: bytes) -> FileDataset:
    other = changed(dataset, **{keyword: None})
    tag = Tag(keyword)
    padded = value + b" " * (len(value) % 2)
    other._dict[tag] = RawDataElement(tag, vr, len(padded), padded, 0, False, True)
    return other


def positions(place: Callable[[int], float], across: float = 0.0) -> Build:
    """Slices at other places along the axis, and shifted sideways from one to the next."""

    def build(slices: Slices) -> Slices:
        x, y, _ = (float(p) for p in slices[0].ImagePositionPatient)
        return [
            changed(d, ImagePositionPatient=[f"{x:g}", f"{y + across * n:g}", f"{place(n):.6g}"])
            for n, d in enumerate(slices)
        ]

    return build


def _z(number: int) -> float:
    return (number - (SLICES - 1) / 2) * VOXEL_MM


def _twice(slices: Slices) -> Slices:
    """One place comes twice, from another acquisition."""
    twin = changed(slices[8], SOPInstanceUID=uid("twin"), AcquisitionNumber=2, InstanceNumber=99)
    return [*slices, twin]


def _two_passes(slices: Slices) -> Slices:
    second = [
        changed(d, SOPInstanceUID=uid("pass", n), AcquisitionNumber=2, InstanceNumber=100 + n)
        for n, d in enumerate(moved(slices, 0.0))
    ]
    x, y, _ = (float(p) for p in slices[0].ImagePositionPatient)
    shifted = [
        changed(d, ImagePositionPatient=[f"{x:g}", f"{y:g}", f"{_z(n) + 60:g}"])
        for n, d in enumerate(second)
    ]
    return [*slices, *shifted]


def _one_pass(given: list[FileDataset], made: list[FileDataset]) -> None:
    numbers = {str(d.SOPInstanceUID): int(d.AcquisitionNumber) for d in given}
    used = {str(i.ReferencedSOPInstanceUID) for d in made for i in d.SourceImageSequence}
    assert len({numbers[one] for one in used}) == 1


def _localizer(slices: Slices) -> Slices:
    across = changed(
        slices[9],
        SOPInstanceUID=uid("localizer"),
        ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"],
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        InstanceNumber=99,
    )
    return [across, *slices]


def _phase(slices: Slices) -> Slices:
    """A phase image for every magnitude image, in turns."""
    phases = [
        changed(
            d,
            SOPInstanceUID=uid("phase", n),
            ImageType=["ORIGINAL", "PRIMARY", "P", "ND"],
            InstanceNumber=100 + n,
        )
        for n, d in enumerate(slices)
    ]
    return [d for pair in zip(slices, phases, strict=True) for d in pair]


def _magnitude_alone(given: list[FileDataset], made: list[FileDataset]) -> None:
    kinds = {str(d.SOPInstanceUID): d.ImageType[2] for d in given}
    used = {str(i.ReferencedSOPInstanceUID) for d in made for i in d.SourceImageSequence}
    assert {kinds[one] for one in used} == {"M"}


def _pixels(change: Callable[[int, Any], Any], **tags: Any) -> Build:
    """Other stored values, by the number of the slice."""

    def build(slices: Slices) -> Slices:
        out = []
        for n, d in enumerate(slices):
            stored = np.frombuffer(d.PixelData, "<u2").copy()
            out.append(changed(d, PixelData=np.asarray(change(n, stored)).tobytes(), **tags))
        return out

    return build


def _junk(number: int, stored: Any) -> Any:
    """Bits above BitsStored are set (PS3.5 8.1.1: nothing may be assumed of them)."""
    return (stored | ((number % 15 + 1) << 12)).astype("<u2")


def _signed(_: int, stored: Any) -> Any:
    """Twelve signed bits, the four above them zero: no sign extension."""
    return ((stored.astype(np.int32) - 1000) & 0x0FFF).astype("<u2")


def _wide_bits(slices: Slices) -> Slices:
    """BitsStored follows the brightest pixel of each slice."""
    out = []
    for d in slices:
        bits = int(np.frombuffer(d.PixelData, "<u2").max()).bit_length()
        out.append(changed(d, BitsStored=bits, HighBit=bits - 1))
    return out


def _bright(_: int, stored: Any) -> Any:
    return (stored.astype(np.uint32) * 40).astype("<u2")


def _not_negative(_: list[FileDataset], made: list[FileDataset]) -> None:
    brightest = max(float(d.pixel_array.max() * d.RescaleSlope + d.RescaleIntercept) for d in made)
    assert brightest == 3071


def _scaled(slices: Slices) -> Slices:
    """Every slice has its own slope, and stores accordingly."""
    out = []
    for n, d in enumerate(slices):
        slope = 1 + n % 3
        stored = np.frombuffer(d.PixelData, "<u2").astype(np.int64) // slope * slope
        out.append(
            changed(
                d,
                PixelData=(stored // slope).astype("<u2").tobytes(),
                RescaleSlope=str(slope),
                RescaleIntercept="0",
                RescaleType="US",
            )
        )
    return out


def _own_series(slices: Slices) -> Slices:
    return [changed(d, SeriesInstanceUID=uid("own", n)) for n, d in enumerate(slices)]


def _own_frame(slices: Slices) -> Slices:
    return [changed(d, FrameOfReferenceUID=uid("own", n)) for n, d in enumerate(slices)]


def _secondary(slices: Slices) -> Slices:
    capture = changed(
        slices[0],
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        SOPInstanceUID=uid("capture"),
        Modality="OT",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
    )
    capture.file_meta.MediaStorageSOPClassUID = capture.SOPClassUID
    return [*slices, capture]


def _upside_down(slices: Slices) -> Slices:
    return [changed(d, InstanceNumber=SLICES - n) for n, d in enumerate(slices)]


def _without(*keywords: str) -> Build:
    return every(**dict.fromkeys(keywords))


def _private(vr: str, value: bytes) -> Build:
    """A private element before the pixels, its bytes as they stand."""

    def build(slices: Slices) -> Slices:
        out = []
        for d in slices:
            other = changed(d)
            other.add(DataElement(0x00270010, "LO", "FIELD"))
            tag = Tag(0x00271001)
            other._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
            out.append(other)
        return out

    return build


_ITEM = b"\x27\x00\x02\x10LO\x02\x00ab"
_STRAY = b"\xfe\xff\x00\xe0" + len(_ITEM).to_bytes(4, "little") + _ITEM
_STRAY += b"\xfe\xff\xdd\xe0\0\0\0\0"
_UNENDED = (
    b"\x27\x00\x01\x10SQ\0\0\xff\xff\xff\xff"
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + _ITEM + b"\xfe\xff\xdd\xe0\0\0\0\0"
)
_UNKNOWN = (
    b"\x27\x00\x01\x10UN\0\0\xff\xff\xff\xff"
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    b"\x27\x00\x02\x10\x02\x00\x00\x00ab"  # PS3.5 6.2.2: implicit inside UN
    b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
)


def before_rows(element: bytes) -> Patch:
    """Put an element's bytes before Rows, where its tag belongs."""

    def patch(data: bytes) -> bytes:
        at = data.index(b"\x28\x00\x02\x00US")
        return data[:at] + element + data[at:]

    return patch


def _blank_pad(data: bytes) -> bytes:
    """UIDs of the study end in a blank instead of a zero."""
    at = data.index(b"\x20\x00\x0d\x00UI")
    length = int.from_bytes(data[at + 6 : at + 8], "little")
    value = data[at + 8 : at + 8 + length]
    return data[: at + 8] + value.replace(b"\0", b" ") + data[at + 8 + length :]


def _no_preamble(data: bytes) -> bytes:
    length = int.from_bytes(data[140:144], "little")
    return data[144 + length :]


def _no_syntax(data: bytes) -> bytes:
    at = data.index(b"\x02\x00\x10\x00UI")
    size = 8 + int.from_bytes(data[at + 6 : at + 8], "little")
    length = int.from_bytes(data[140:144], "little") - size
    return data[:140] + length.to_bytes(4, "little") + data[144:at] + data[at + size :]


def _even_distances(_: list[FileDataset], made: list[FileDataset]) -> None:
    """What matRad asks for: thickness and spacing in every slice, equal to the distance."""
    places = sorted(float(d.ImagePositionPatient[2]) for d in made)
    (step,) = {round(s, 3) for s in np.diff(places)}
    assert {float(d.SliceThickness) for d in made} == {step}
    assert {float(d.SpacingBetweenSlices) for d in made} == {step}


def _short_numbers(_: list[FileDataset], made: list[FileDataset]) -> None:
    for d in made:
        for element in d.iterall():
            if element.VR == "DS" and element.value not in (None, ""):
                values = element.value if element.VM > 1 else [element.value]
                assert all(len(str(v)) <= 16 for v in values), element


def _no_birth_date(_: list[FileDataset], made: list[FileDataset]) -> None:
    assert {str(d.PatientBirthDate) for d in made} <= {"", "19501211"}


def _complete(_: list[FileDataset], made: list[FileDataset]) -> None:
    """What planning systems ask of every slice of a CT."""
    for keyword in ("PatientPosition", "FrameOfReferenceUID", "RescaleSlope", "RescaleIntercept",
                    "SliceThickness", "ImagePositionPatient", "StudyInstanceUID"):  # fmt: skip
        assert all(str(d.get(keyword, "")) for d in made), keyword


def _same_name(name: str) -> Callable[[list[FileDataset], list[FileDataset]], None]:
    def also(_: list[FileDataset], made: list[FileDataset]) -> None:
        assert {str(d.PatientName) for d in made} == {name}

    return also


def _names_of(given: Sequence[Dataset]) -> set[str]:
    return {str(d.SOPInstanceUID) for d in given}


def _second(slices: Slices) -> Slices:
    other = head("second", PatientID=slices[0].PatientID, PatientName=slices[0].PatientName,
                 StudyInstanceUID=slices[0].StudyInstanceUID)  # fmt: skip
    return [*slices, *other]


def _distinct(given: list[FileDataset], made: list[FileDataset]) -> None:
    assert len(_names_of(made)) == len(made) == 2 * SLICES
    assert not _names_of(made) & _names_of(given)


_GBK = "王^小".encode("gbk")
_ORIENTED = ["1.", "-9.81338674e-006", ".0", "9.81338674e-006", "1.", "0"]

REPORTS = (
    Report(source="icometrix/dicom2nifti 36", essence="slice distances differ by rounding",
           expect=MADE, build=positions(lambda n: round(_z(n) + 0.0004 * (n % 3), 4))),
    Report(source="icometrix/dicom2nifti 58", essence="a part of the head with half the distance",
           expect=NOT_MADE, build=positions(lambda n: _z(n) if n < 9 else _z(9) + (n - 9) * 4)),
    Report(source="rordenlab/dcm2niix 22", essence="distance changes, one step of 0.25 mm between",
           expect=NOT_MADE, build=positions(lambda n: _z(n) if n < 12 else _z(n) - 7.75)),
    Report(source="moloney/dcmstack 55", essence="one gap is twice the others",
           expect=NOT_MADE, build=lambda slices: slices[:10] + slices[11:]),
    Report(source="Slicer/Slicer 7496", essence="no position, SliceThickness alone",
           expect=NOT_MADE, build=_without("ImagePositionPatient")),
    Report(source="CBICA/CaPTk 445", essence="no ImageOrientationPatient, PatientOrientation alone",
           expect=NOT_MADE, build=every(ImageOrientationPatient=None,
                                        PatientOrientation=["L", "P"])),
    Report(source="e0404/matRad 566", essence="SpacingBetweenSlices is absent",
           expect=MADE, build=_without("SpacingBetweenSlices"), also=_even_distances),
    Report(source="e0404/matRad 46", essence="SliceThickness is not the distance",
           expect=TOLD, build=every(SliceThickness="8.1"), also=_even_distances),
    Report(source="pydicom/pydicom 173", essence="PixelSpacing separated by a comma",
           expect=NOT_MADE, build=raw("PixelSpacing", "DS", b"8.0,8.0")),
    Report(source="dcmjs-org/dcmjs 287", essence="PixelSpacing with decimal commas",
           expect=NOT_MADE, build=raw("PixelSpacing", "DS", b"8,0\\8,0")),
    Report(source="pydicom/pydicom 117", essence="cosines with exponents of three digits",
           expect=MADE, build=raw("ImageOrientationPatient", "DS",
                                  "\\".join(_ORIENTED).encode())),
    Report(source="tomaroberts/nii2dcm 48", essence="positions of more than 16 characters",
           expect=MADE, also=_short_numbers,
           build=lambda slices: [
               _raw(d, "ImagePositionPatient", "DS",
                    f"-60.000000000000001\\-60.000000000000001\\{_z(n):.16f}".encode())
               for n, d in enumerate(slices)]),
    Report(source="fo-dicom/fo-dicom 1793", essence="numbers with leading zeros",
           expect=MADE, build=raw("PixelSpacing", "DS", b"008\\008.0")),
    Report(source="fo-dicom/fo-dicom 1141", essence="numbers with blanks before them",
           expect=MADE, build=raw("PixelSpacing", "DS", b" 8\\ 8.0")),
    Report(source="pydicom/pydicom 1632", essence="numbers without a digit before the point",
           expect=MADE, build=raw("ImageOrientationPatient", "DS", b"1.\\.0\\.0\\-.0\\1.\\.0")),
    Report(source="fo-dicom/fo-dicom 859", essence="UID components with leading zeros",
           expect=TOLD, build=every(FrameOfReferenceUID="1.2.826.0.1.20111103.05453119.38197201"),
           mended="was copied into an invalid sCT"),
    Report(source="fo-dicom/fo-dicom 1503", essence="a UID with an empty component",
           expect=NOT_MADE, build=raw("StudyInstanceUID", "UI", b"1..2.3.44")),
    Report(source="microsoft/dicom-server 1795", essence="a UID padded with a blank",
           expect=MADE, patch=_blank_pad, build=every(StudyInstanceUID="1.2.826.0.1.3680043.9.77")),
    Report(source="OHIF/Viewers 3360", essence="a localizer of another orientation in the series",
           expect=MADE, build=_localizer, same_hu=True),
    Report(source="Project-MONAI/monai-deploy-app-sdk 532",
           essence="one place twice, of two acquisitions", expect=NOT_MADE, build=_twice),
    Report(source="Slicer/Slicer 4872", essence="every slice has an AcquisitionNumber of its own",
           expect=MADE, same_hu=True,
           build=lambda slices: [changed(d, AcquisitionNumber=n) for n, d in enumerate(slices)]),
    Report(source="dgobbi/vtk-dicom 220", essence="two overlapping passes in one series",
           expect=TOLD, build=_two_passes, also=_one_pass),
    Report(source="ivmartel/dwv 1989", essence="every slice has a frame of reference of its own",
           expect=NOT_MADE, build=_own_frame),
    Report(source="dgobbi/vtk-dicom 134", essence="bits above BitsStored are set",
           expect=MADE, same_hu=True, build=_pixels(_junk)),
    Report(source="icometrix/dicom2nifti 13", essence="twelve signed bits without extension",
           expect=MADE, same_hu=True,
           build=_pixels(_signed, PixelRepresentation=1, RescaleSlope="1",
                         RescaleIntercept="1000", RescaleType="US")),
    Report(source="innolitics/dicom-numpy 15", essence="BitsStored differs from slice to slice",
           expect=MADE, same_hu=True, build=_wide_bits),
    Report(source="rordenlab/dcm2niix 251", essence="unsigned values above 32767",
           expect=MADE, build=_pixels(_bright, BitsStored=16, HighBit=15), also=_not_negative),
    Report(source="pydicom/pydicom 796", essence="more bytes than the pixels need",
           expect=NOT_MADE,  # padding, by PS3.5 8.1.1, or a wrong Rows: nobody can tell
           build=lambda slices: [changed(d, PixelData=d.PixelData + bytes(64)) for d in slices]),
    Report(source="pydicom/pydicom 1188", essence="fewer bytes than the pixels need",
           expect=NOT_MADE,
           build=lambda slices: [changed(d, PixelData=d.PixelData[:-64]) for d in slices]),
    Report(source="pydicom/pydicom 150", essence="no preamble and no meta information",
           expect=TOLD, patch=_no_preamble),
    Report(source="pydicom/pydicom 258", essence="meta information without a transfer syntax",
           expect=TOLD, patch=_no_syntax),
    Report(source="blairconrad/dicognito 180", essence="a birth date with points",
           expect=MADE, build=raw("PatientBirthDate", "DA", b"1950.12.11"), also=_no_birth_date,
           mended="was copied into an invalid sCT"),
    Report(source="Slicer/Slicer 2040", essence="an empty Patient ID",
           expect=TOLD, build=every(PatientID="")),
    Report(source="Slicer/Slicer 1643", essence="an empty name of the patient",
           expect=TOLD, build=every(PatientName="")),
    Report(source="JuliaHealth/DICOM.jl 90", essence="text where an integer belongs",
           expect=TOLD, build=raw("SeriesNumber", "IS", b"ANON")),
    Report(source="SMI/SmiServices 1561", essence="a moment of nines with a line feed",
           expect=TOLD, build=raw("AcquisitionDateTime", "DT", b"999999999999999999999\n")),
    Report(source="pydicom/pydicom 850", essence="ISO 2022 IR 100 as the only character set",
           expect=MADE, build=every(SpecificCharacterSet="ISO 2022 IR 100",
                                    PatientName="Müller^Jörg"), also=_same_name("Müller^Jörg"),
           mended="was copied into an invalid sCT"),
    Report(source="pydicom/pydicom 1328", essence="no character set, a name in GBK",
           expect=TOLD, build=lambda slices: raw("PatientName", "PN", _GBK)(
               all_changed(slices, SpecificCharacterSet=None)),
           mended="was copied into an invalid sCT"),
    Report(source="pydicom/pydicom 716", essence="UTF-8 and a second character set",
           expect=TOLD, build=lambda slices: raw("PatientName", "PN", "Jörg".encode())(
               all_changed(slices, SpecificCharacterSet=["ISO_IR 192", "ISO_IR 100"]))),
    Report(source="rordenlab/dcm2niix 536", essence="a few phase images among the magnitude ones",
           expect=NOT_MADE, build=some(4, 9, 13, ImageType=["ORIGINAL", "PRIMARY", "P", "ND"])),
    Report(source="rordenlab/dcm2niix 414", essence="magnitude and phase in one series",
           expect=TOLD, build=_phase, also=_magnitude_alone),
    Report(source="rordenlab/dcm2niix 590", essence="slices sheared against each other",
           expect=NOT_MADE, build=positions(_z, across=0.95)),
    Report(source="rordenlab/dcm2niix 885", essence="SpacingBetweenSlices is negative",
           expect=MADE, build=every(SpacingBetweenSlices="-8"), same_hu=True),
    Report(source="rordenlab/dcm2niix 241", essence="AnatomicalOrientationType is QUADRUPED",
           expect=NOT_MADE, build=every(AnatomicalOrientationType="QUADRUPED"),
           mended="was taken for a person (NOT_BIPED)"),
    Report(source="drmichaeldouglass/MedBlend 24", essence="InstanceNumber is empty",
           expect=MADE, build=every(InstanceNumber=None), same_hu=True),
    Report(source="rordenlab/dcm2niix 637", essence="InstanceNumber runs against the positions",
           expect=MADE, build=_upside_down, same_hu=True),
    Report(source="fo-dicom/fo-dicom 2183", essence="a code sequence written as text",
           expect=MADE,
           build=raw("DeidentificationMethodCodeSequence", "LO", b"Header Anonymizer")),
    Report(source="fo-dicom/fo-dicom 64", essence="a sequence of known length with a delimiter",
           expect=MADE, build=_private("UN", _STRAY), same_hu=True),
    Report(source="fo-dicom/fo-dicom 1157", essence="an item that ends with its sequence",
           expect=TOLD, patch=before_rows(_UNENDED),
           mended="was told as a file that ends in its header"),
    Report(source="cornerstonejs/dicomParser 49", essence="an unknown element of undefined length",
           expect=MADE, patch=before_rows(_UNKNOWN), same_hu=True),
    Report(source="rordenlab/dcm2niix 363", essence="every slice has its own RescaleSlope",
           expect=TOLD, build=_scaled),
    Report(source="ExploreASL/ExploreASL 1280", essence="RescaleSlope is missing in some slices",
           expect=NOT_MADE, build=lambda slices: some(3, 4, RescaleSlope=None,
                                                      RescaleIntercept=None)(
               all_changed(slices, RescaleSlope="2", RescaleIntercept="0", RescaleType="US"))),
    Report(source="icometrix/dicom2nifti 147", essence="a file of the series has no pixels",
           expect=NOT_MADE, build=some(7, PixelData=None)),
    Report(source="pytrip/pytrip 292", essence="two series of a patient, UIDs of their CTs",
           expect=MADE, made=2, build=_second, also=_distinct),
    Report(source="SlicerRt/SlicerRT 186", essence="attributes that Eclipse asks for",
           expect=MADE, also=_complete, same_hu=True),
    Report(source="medInria/medInria-public 156", essence="every slice has a series of its own",
           expect=NOT_MADE, build=_own_series),
    Report(source="crispinus2/orthanc-gdt 4", essence="an object of another modality in the series",
           expect=MADE, build=_secondary, same_hu=True),
)  # fmt: skip
