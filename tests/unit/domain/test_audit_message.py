"""Audit messages as PS3.15 A.5 writes them."""

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from node.domain.audit_message import (
    APPLICATION,
    NODE_AUTHENTICATION,
    SECURITY_ALERT,
    SERIOUS_FAILURE,
    AuditEvent,
    Participant,
    audit_xml,
)

EVENT = AuditEvent(
    at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    event=SECURITY_ALERT,
    kind=NODE_AUTHENTICATION,
    outcome=SERIOUS_FAILURE,
    participants=[
        Participant(user_id="PCTNODE", requestor=True, role=APPLICATION),
        Participant(user_id="<EVIL>\x01", requestor=False, address="10.0.0.6"),
    ],
    description="'<EVIL>' is no peer & was refused.",
    subject="<EVIL> at 10.0.0.6",
)


def test_event_participants_and_source_stand_where_they_must() -> None:
    """Codes of the DCM scheme, and nothing an attacker writes becomes markup."""
    message = ET.fromstring(audit_xml(EVENT, source="PCTNODE"))  # noqa: S314 - our own

    head = message.find("EventIdentification")
    assert head is not None
    assert head.get("EventDateTime") == "2026-01-02T03:04:05.000+00:00"
    assert (head.get("EventActionCode"), head.get("EventOutcomeIndicator")) == ("E", "8")
    codes = {e.tag: (e.get("csd-code"), e.get("codeSystemName")) for e in head}
    assert codes["EventID"] == ("110113", "DCM")
    assert codes["EventTypeCode"] == ("110126", "DCM")
    assert head.findtext("EventOutcomeDescription") == "'<EVIL>' is no peer & was refused."
    people = message.findall("ActiveParticipant")
    assert [p.get("UserID") for p in people] == ["PCTNODE", "<EVIL>\N{REPLACEMENT CHARACTER}"]
    assert [p.get("UserIsRequestor") for p in people] == ["true", "false"]
    assert people[1].get("NetworkAccessPointID") == "10.0.0.6"
    assert people[1].get("NetworkAccessPointTypeCode") == "2"
    tags = [element.tag for element in message]
    assert tags[-2:] == ["AuditSourceIdentification", "ParticipantObjectIdentification"]
    source = message.find("AuditSourceIdentification")
    assert source is not None
    assert source.get("AuditSourceID") == "PCTNODE"
