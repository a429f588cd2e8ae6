"""DICOM audit messages (PS3.15 A.5): what happened, who took part, as XML."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.etree import ElementTree as ET

# PS3.15 A.5.2.1.2, EventOutcomeIndicator.
SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = "0", "4", "8"
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ADDRESS_TYPE = "2"  # NetworkAccessPointTypeCode: IP address


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept of the DCM scheme (PS3.16 D)."""

    value: str
    meaning: str


# PS3.15 A.5.3: events and their types, PS3.16 CID 400, 401 and 402.
APPLICATION_ACTIVITY = Code("110100", "Application Activity")
APPLICATION_START = Code("110120", "Application Start")
APPLICATION_STOP = Code("110121", "Application Stop")
SECURITY_ALERT = Code("110113", "Security Alert")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
NETWORK_CONFIGURATION = Code("110128", "Network Configuration")
USER_AUTHENTICATION = Code("110114", "User Authentication")
LOGIN = Code("110122", "Login")
LOGOUT = Code("110123", "Logout")
USER_SECURITY_CHANGED = Code("110137", "User security Attributes Changed")
INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
STUDY_DELETED = Code("110105", "DICOM Study Deleted")
QUERY = Code("110112", "Query")
INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
APPLICATION = Code("110150", "Application")
DESTINATION = Code("110152", "Destination Role ID")
SOURCE = Code("110153", "Source Role ID")
STUDY = Code("110180", "Study Instance UID")
NODE_ID = Code("110182", "Node ID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Who took part."""

    user_id: str
    requestor: bool
    address: str = ""
    """IP address; empty when it is not known."""
    role: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyObject:
    """The study an event is about, and whose it is."""

    study_instance_uid: str
    patient_id: str
    classes: Mapping[str, int]
    """How many instances of each SOP class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that happened."""

    at: datetime
    """Aware."""
    event: Code
    kind: Code | None = None
    """EventTypeCode; None for events that have none."""
    outcome: str
    participants: Sequence[Participant]
    description: str = ""
    """EventOutcomeDescription: the sentence for people."""
    subject: str = ""
    """The node or system an alert is about; empty for none."""
    action: str = "E"
    """EventActionCode: E executed, C created, R read, U changed, D deleted."""
    study: StudyObject | None = None
    """What was transferred; None for events about no study."""


def audit_xml(event: AuditEvent, *, source: str) -> str:
    """``event`` as an AuditMessage; ``source`` is the AuditSourceID, the node's AE title."""
    message = ET.Element("AuditMessage")
    head = ET.SubElement(
        message,
        "EventIdentification",
        EventActionCode=event.action,
        EventDateTime=event.at.isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=event.outcome,
    )
    _coded(head, "EventID", event.event)
    if event.kind is not None:
        _coded(head, "EventTypeCode", event.kind)
    if event.description:
        ET.SubElement(head, "EventOutcomeDescription").text = _plain(event.description)
    for participant in event.participants:
        _participant(message, participant)
    # PS3.15 A.5.2.4: 4 is an application server process.
    origin = ET.SubElement(message, "AuditSourceIdentification", AuditSourceID=source)
    ET.SubElement(origin, "AuditSourceTypeCode", {"csd-code": "4"})
    if event.subject:
        # PS3.15 A.5.2.5: type 2 is a system object.
        subject = ET.SubElement(
            message,
            "ParticipantObjectIdentification",
            ParticipantObjectID=_plain(event.subject),
            ParticipantObjectTypeCode="2",
        )
        _coded(subject, "ParticipantObjectIDTypeCode", NODE_ID)
    if event.study is not None:
        _study(message, event.study)
    return ET.tostring(message, encoding="unicode", xml_declaration=False)


def _study(message: ET.Element, study: StudyObject) -> None:
    """PS3.15 A.5.3.7: the study with its kinds of instances, and the patient."""
    # PS3.15 A.5.2.5: type 2 is a system object with role 3, report; 1 is a person, role 1, patient.
    made = ET.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=study.study_instance_uid,
        ParticipantObjectTypeCode="2",
        ParticipantObjectTypeCodeRole="3",
    )
    _coded(made, "ParticipantObjectIDTypeCode", STUDY)
    described = ET.SubElement(made, "ParticipantObjectDescription")
    for sop_class_uid, count in sorted(study.classes.items()):
        ET.SubElement(described, "SOPClass", UID=sop_class_uid, NumberOfInstances=str(count))
    patient = ET.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=_plain(study.patient_id),
        ParticipantObjectTypeCode="1",
        ParticipantObjectTypeCodeRole="1",
    )
    ET.SubElement(
        patient,
        "ParticipantObjectIDTypeCode",
        {"csd-code": "2", "codeSystemName": "RFC-3881", "originalText": "Patient Number"},
    )


def _participant(message: ET.Element, participant: Participant) -> None:
    attributes = {
        "UserID": _plain(participant.user_id),
        "UserIsRequestor": "true" if participant.requestor else "false",
    }
    if participant.address:
        attributes["NetworkAccessPointID"] = participant.address
        attributes["NetworkAccessPointTypeCode"] = _ADDRESS_TYPE
    element = ET.SubElement(message, "ActiveParticipant", attributes)
    if participant.role is not None:
        _coded(element, "RoleIDCode", participant.role)


def _plain(text: str) -> str:
    """Without characters that XML 1.0 has no way to write; some come over the network."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _coded(parent: ET.Element, name: str, code: Code) -> None:
    ET.SubElement(
        parent,
        name,
        {"csd-code": code.value, "codeSystemName": "DCM", "originalText": code.meaning},
    )
