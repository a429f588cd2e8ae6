"""What an sCT inherits from its MR unchanged: who the patient is and which study it belongs to."""

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import validate_value

# Patient, Patient Study and General Study modules (PS3.3 C.7.1.1, C.7.2.2, C.7.2.1), Frame of
# Reference (C.7.4.1) and the character set they are written in.
COPIED = (
    "SpecificCharacterSet", "TimezoneOffsetFromUTC",
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate",
    "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber",
    "ReferringPhysicianName", "StudyID", "StudyDescription",
    "FrameOfReferenceUID", "PositionReferenceIndicator",
    "BodyPartExamined", "Laterality",
)  # fmt: skip
# Type 3, and of no use when they are wrong: left out where the source's value is not valid.
COPIED_WHERE_VALID = (
    "PatientBirthTime", "OtherPatientIDsSequence", "PatientAge", "PatientSize", "PatientWeight",
)  # fmt: skip
# Type 2: must be there even when nothing is known.
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "AccessionNumber", "ReferringPhysicianName", "StudyID", "PositionReferenceIndicator",
)  # fmt: skip


def inherit(source: Dataset, target: Dataset) -> None:
    """Copy the attributes of `COPIED` as they stand; empty ones where type 2 demands them."""
    for keyword in COPIED:
        # PS3.3 C.7.3.1: an unpaired body part has no Laterality at all, not an empty one.
        if keyword in source and (keyword != "Laterality" or source.Laterality):
            target[keyword] = source[keyword]
    for keyword in COPIED_WHERE_VALID:
        if keyword in source and _is_valid(source[keyword]):
            target[keyword] = source[keyword]
    for keyword in TYPE_2:
        if keyword not in target:
            setattr(target, keyword, None if keyword in ("StudyDate", "StudyTime") else "")


def _is_valid(element: DataElement) -> bool:
    """Whether the value has the form its value representation asks for (PS3.5 6.2)."""
    if element.VR == "SQ":
        return bool(element.value)
    try:
        validate_value(element.VR, _written(element), config.RAISE)
    except ValueError:
        return False
    return True


def _written(element: DataElement) -> str:
    """The value as it stands in the file, numbers included."""
    value = element.value
    return str(getattr(value, "original_string", value) if value is not None else "")
