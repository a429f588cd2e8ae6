"""Whether an object that came back is the one that was sent: what it shows and where it lies."""

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

# What an archive may coerce on its own authority (PS3.4 B.4.1.3: patient, study, request), and the
# places of its own words (retrieve, storage, private). All else must come back as it went.
_ARCHIVES = (0x0010, 0x0032, 0x0038, 0x0088, 0x4008)
_STUDY = frozenset(
    {
        "SpecificCharacterSet", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
        "StudyDescription", "ReferringPhysicianName", "NameOfPhysiciansReadingStudy",
        "PhysiciansOfRecord", "RequestingService", "InstitutionName", "InstitutionAddress",
        "InstitutionalDepartmentName", "ProcedureCodeSequence", "ReferencedStudySequence",
        "ReferencedPatientSequence", "RequestAttributesSequence", "RetrieveAETitle",
        "InstanceAvailability", "StorageMediaFileSetID", "IssuerOfAccessionNumberSequence",
        "TimezoneOffsetFromUTC", "DataSetTrailingPadding",
    }
)  # fmt: skip


def differences(sent: Dataset, got: Dataset) -> list[str]:
    """Keywords of the elements of ``sent`` that are not in ``got`` as they were sent.

    Both native. What an archive may coerce, and what it adds, is no difference.
    """
    return [
        element.keyword or str(element.tag)
        for element in sent
        if not _is_archives(element.tag, element.keyword) and got.get(element.tag) != element
    ]


def _is_archives(tag: BaseTag, keyword: str) -> bool:
    return tag.group in _ARCHIVES or tag.is_private or tag.element == 0 or keyword in _STUDY
