"""What is indexed of every instance, by level of the query/retrieve information model.

One table for the receiver that reads the values, for C-FIND and QIDO that match them, and for the
conformance statement that lists them (PS3.4 C.6.1.1, C.6.2.1).
"""

from dataclasses import dataclass
from enum import StrEnum

from pydicom.datadict import dictionary_VR, tag_for_keyword


class Level(StrEnum):
    """Query/Retrieve Level, top down."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute that is kept."""

    keyword: str
    tag: int
    vr: str
    level: Level


_KEPT = {
    Level.PATIENT: (
        "PatientName PatientID IssuerOfPatientID PatientBirthDate PatientBirthTime PatientSex "
        "EthnicGroup PatientComments"
    ),
    Level.STUDY: (
        "StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID StudyDescription "
        "ReferringPhysicianName NameOfPhysiciansReadingStudy AdmittingDiagnosesDescription "
        "PatientAge PatientSize PatientWeight Occupation AdditionalPatientHistory "
        "ProcedureCodeSequence"
    ),
    Level.SERIES: (
        "Modality SeriesInstanceUID SeriesNumber SeriesDescription SeriesDate SeriesTime "
        "BodyPartExamined PatientPosition ProtocolName Laterality PerformingPhysicianName "
        "OperatorsName Manufacturer ManufacturerModelName StationName InstitutionName "
        "InstitutionalDepartmentName FrameOfReferenceUID PerformedProcedureStepStartDate "
        "PerformedProcedureStepStartTime PerformedProcedureStepID "
        "PerformedProcedureStepDescription RequestAttributesSequence"
    ),
    Level.IMAGE: (
        "SOPClassUID SOPInstanceUID InstanceNumber ContentDate ContentTime AcquisitionDate "
        "AcquisitionTime AcquisitionNumber ImageType NumberOfFrames Rows Columns BitsAllocated "
        "ImagePositionPatient ImageOrientationPatient"
    ),
}

COMPUTED = {
    "NumberOfPatientRelatedStudies": Level.PATIENT,
    "NumberOfPatientRelatedSeries": Level.PATIENT,
    "NumberOfPatientRelatedInstances": Level.PATIENT,
    "ModalitiesInStudy": Level.STUDY,
    "SOPClassesInStudy": Level.STUDY,
    "NumberOfStudyRelatedSeries": Level.STUDY,
    "NumberOfStudyRelatedInstances": Level.STUDY,
    "NumberOfSeriesRelatedInstances": Level.SERIES,
}
"""Answered from what is stored, not read from one instance."""


def _attributes() -> tuple[Attribute, ...]:
    found = []
    for level, keywords in _KEPT.items():
        for keyword in keywords.split():
            tag = tag_for_keyword(keyword)
            if tag is None:
                raise KeyError(keyword)
            found.append(Attribute(keyword, tag, dictionary_VR(tag), level))
    return tuple(found)


ATTRIBUTES = _attributes()
LEVEL_OF = {a.keyword: a.level for a in ATTRIBUTES} | COMPUTED
UNIQUE_KEY = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}


def above(level: Level, *, itself: bool = True) -> tuple[Level, ...]:
    """The levels from the patient down to ``level``."""
    levels = tuple(Level)
    return levels[: levels.index(level) + itself]
