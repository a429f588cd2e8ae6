"""Security events reach a syslog collector: each, in order, over whatever outage."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy as sa

from node.archive.people.audit import Act, Audit
from node.archive.rows import index as archive_index
from node.archive.rows import transfers
from node.archive.rows.index import Index
from node.archive.rows.series_rows import add_event
from node.archive.schema import tables
from node.archive.schema.records import AssociationRecord, Transfer
from node.archive.site.site_repository import SiteBook
from node.audit.relay import AuditRelay
from node.audit.syslog import Collector, Syslog
from node.domain.site import Site
from node.net.tls import Tls, TlsFiles
from tests.peers.pki import Authority
from tests.peers.waiting import free_port, wait_until

PEER = {"name": "tps", "ae_title": "TPS", "host": "10.0.0.9", "port": 104}


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database."""
    made = tables.open_engine(tables.sqlite_url(tmp_path / "node.sqlite"))
    tables.metadata.create_all(made)
    yield made
    made.dispose()


def association(*, rule: str, accepted: bool = False) -> AssociationRecord:
    """An association of some time ago."""
    at = datetime.fromtimestamp(time.time() - 60, UTC)
    return AssociationRecord(
        opened_at=at,
        closed_at=at,
        calling_ae="STRANGER",
        called_ae="PCTNODE",
        address="10.0.0.6",
        peer=None,
        accepted=accepted,
        sentence="'STRANGER' at 10.0.0.6 is no peer.",
        rule=rule,
    )


def codes(message: str) -> tuple[str, str, str]:
    """Event, kind and outcome of one message."""
    head = ET.fromstring(message).find("EventIdentification")  # noqa: S314 - our own
    assert head is not None
    found = [str(element.get("csd-code")) for element in head][:2]
    return found[0], found[1], str(head.get("EventOutcomeIndicator"))


def fill(engine: sa.Engine) -> None:
    """One record of each sort, and some that are no security event."""
    index = Index(engine)
    index.add_association(association(rule="calling AE title"))
    index.add_association(association(rule="", accepted=True))
    index.add_association(association(rule="associations of the node"))
    fixed = Site(peers=(), routes=())
    SiteBook(engine, fixed, models=lambda: ()).add("peer", PEER, who="anna")
    audit = Audit(engine)
    audit.add(Act(who="anna", action="log in", address="10.0.0.7"))
    audit.add(Act(who="eve", action="log in refused", address="10.0.0.8"))
    audit.add(Act(who="anna", action="add account", target="account ben"))
    audit.add(Act(who="anna", action="see series", target="17"))


def test_what_is_a_security_event_is_told_once(engine: sa.Engine) -> None:
    """Refusals, changes of the network, log-ins and accounts; no patient, no limit."""
    told: list[str] = []
    relay = AuditRelay(engine, told.append, ae_title="PCTNODE")
    relay.begin()
    fill(engine)

    relay.round()
    relay.round()
    relay.end()

    assert [codes(message) for message in told] == [
        ("110100", "110120", "0"),
        ("110113", "110126", "8"),
        ("110113", "110128", "0"),
        ("110114", "110122", "0"),
        ("110114", "110122", "4"),
        ("110113", "110137", "0"),
        ("110103", "None", "0"),
        ("110100", "110121", "0"),
    ]
    assert "STRANGER" in told[1]
    assert "see series" in told[6]


def test_an_outage_loses_nothing(engine: sa.Engine) -> None:
    """What could not be told is told at the next round, from where it stopped."""
    told: list[str] = []
    away = True

    def send(message: str) -> None:
        if away and len(told) == 2:
            raise OSError("the collector is away")
        told.append(message)

    relay = AuditRelay(engine, send, ae_title="PCTNODE")
    relay.begin()
    fill(engine)
    with pytest.raises(OSError, match="away"):
        relay.round()
    away = False

    AuditRelay(engine, send, ae_title="PCTNODE").round()

    kinds = [codes(message)[1] for message in told]
    assert kinds == ["110120", "110126", "110128", "110122", "110122", "110137", "None"]


@pytest.mark.long
def test_datagrams_are_rfc_5424() -> None:
    """Facility 10, severity 5, the message's name, and UTF-8 with its mark."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        port = collector.getsockname()[1]
        Syslog(Collector(protocol="udp", host="127.0.0.1", port=port)).send("<é/>")
        received = collector.recv(65535)

    pattern = rb"<85>1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+ pctnode \d+ DICOM\+RFC3881 - (.*)"
    found = re.fullmatch(pattern, received, re.S)
    assert found is not None
    assert found[1] == b"\xef\xbb\xbf" + "<é/>".encode()


@pytest.mark.long
def test_tls_counts_octets_and_connects_again(tmp_path: Path) -> None:
    """RFC 5425, with the node's certificate; a collector that restarts is found again."""
    authority = Authority(tmp_path / "pki")
    ours, theirs = authority.issue("node"), authority.issue("collector")
    tls = Tls(TlsFiles(certificate=ours.certificate, key=ours.key, ca=ours.ca))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(theirs.ca))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(theirs.certificate, theirs.key)
    port, frames = free_port(), list[bytes]()
    syslog = Syslog(Collector(protocol="tls", host="127.0.0.1", port=port), tls.client)

    with pytest.raises(OSError, match=r"refused"):
        syslog.send("<lost/>")
    for text in ("<one/>", "<two/>"):
        thread = threading.Thread(target=_collect, args=(context, port, frames), daemon=True)
        thread.start()
        wait_until(partial(_sent, syslog, text), "the collector to be reached")
        syslog.close()
        thread.join(10)

    parts = [frame.partition(b" ") for frame in frames]
    assert [message[-6:] for _, _, message in parts] == [b"<one/>", b"<two/>"]
    assert all(int(count) == len(message) for count, _, message in parts)


def _sent(syslog: Syslog, text: str) -> bool:
    try:
        syslog.send(text)
    except OSError:
        return False
    return True


def _collect(context: ssl.SSLContext, port: int, frames: list[bytes]) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        connection, _ = listener.accept()
        with context.wrap_socket(connection, server_side=True) as secured:
            data = b""
            while got := secured.recv(65535):
                data += got
            frames.append(data)


MR, CT = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.2"


def transfer(**values: object) -> dict[str, object]:
    """What is told of one transfer, in words."""
    return {"action": "C", "outcome": "0", "classes": {MR: 3}, "patient": "PAT7"} | values


def told_of(message: str) -> dict[str, object]:
    """A DICOM Instances Transferred message as those words; roles checked by their codes."""
    root = ET.fromstring(message)  # noqa: S314 - our own
    head = root.find("EventIdentification")
    assert head is not None
    people = {
        str(p.get("UserID")): (str(role.get("csd-code")), str(p.get("UserIsRequestor")))
        for p in root.findall("ActiveParticipant")
        if (role := p.find("RoleIDCode")) is not None
    }
    study, patient = root.findall("ParticipantObjectIdentification")
    return {
        "action": head.get("EventActionCode"),
        "outcome": head.get("EventOutcomeIndicator"),
        "classes": {c.get("UID"): int(str(c.get("NumberOfInstances"))) for c in study[1]},
        "patient": patient.get("ParticipantObjectID"),
        "study": study.get("ParticipantObjectID"),
        "people": people,
    }


def test_what_was_transferred_is_told_by_association_and_study(engine: sa.Engine) -> None:
    """Received and delivered, new or not, whole or not: who sent it, who got it, whose it is."""
    came = Transfer(
        received=True,
        ae_title="PACS",
        address="10.0.0.5",
        study_instance_uid="1.2.3",
        patient_id="PAT7",
        classes={MR: 3},
    )
    record = replace(
        association(rule="", accepted=True), transfers=(came, replace(came, new=False))
    )
    Index(engine).add_association(record)
    sent = replace(came, received=False, ae_title="TPS", classes={CT: 2}, whole=False)
    with engine.begin() as connection:
        transfers.add(connection, [sent], time.time() - 60)
    told: list[str] = []
    relay = AuditRelay(engine, told.append, ae_title="PCTNODE", patients=True)
    relay.begin()

    relay.round()
    relay.round()

    pacs = {"PACS": ("110153", "true"), "PCTNODE": ("110152", "false")}
    tps = {"PCTNODE": ("110153", "true"), "TPS": ("110152", "false")}
    assert [told_of(m) for m in told if "110104" in m] == [
        transfer(study="1.2.3", people=pacs),
        transfer(study="1.2.3", people=pacs, action="R"),
        transfer(study="1.2.3", people=tps, classes={CT: 2}, outcome="4"),
    ]


def test_a_collector_that_others_can_overhear_hears_of_no_patient(engine: sa.Engine) -> None:
    """Without TLS these messages stay here; they are told once there is."""
    came = Transfer(
        received=True,
        ae_title="PACS",
        address="10.0.0.5",
        study_instance_uid="1.2.3",
        patient_id="PAT7",
        classes={MR: 3},
    )
    with engine.begin() as connection:
        transfers.add(connection, [came], time.time() - 60)
    told: list[str] = []
    for patients in (False, True):
        relay = AuditRelay(engine, told.append, ae_title="PCTNODE", patients=patients)
        relay.begin()
        relay.round()
        assert any("PAT7" in message for message in told) is patients


@pytest.mark.parametrize("deed", ["sign", "release", "reject", "withdraw", "removed"])
def test_what_was_done_to_a_series_is_a_message(engine: sa.Engine, deed: str) -> None:
    """Who did what to which series, by its number; retention's removals too. No patient."""
    told: list[str] = []
    relay = AuditRelay(engine, told.append, ae_title="PCTNODE")
    relay.begin()
    with engine.begin() as connection:
        times = dict.fromkeys(("created_at", "last_received_at", "state_at"), 0.0)
        connection.execute(
            sa.insert(tables.series).values(
                id=17, series_instance_uid="1.2.3.4", study_instance_uid="1.2.3", state="review",
                patient_id="PAT7", patient_name="FANTOME^EMILE", findings=[], **times,
            )
        )  # fmt: skip
        add_event(connection, 17, deed, "FANTOME^EMILE", who="anna")
        add_event(connection, 17, "received", "no deed")
    relay.round()

    (message,) = told[1:]
    assert codes(message)[0] == ("110105" if deed == "removed" else "110103")
    assert "series 17" in message
    assert 'UserID="anna"' in message
    assert not any(word in message for word in ("FANTOME", "PAT7", "1.2.3"))


def test_a_query_is_a_message(engine: sa.Engine) -> None:
    """Which peer asked, how often; not what for."""
    told: list[str] = []
    relay = AuditRelay(engine, told.append, ae_title="PCTNODE")
    relay.begin()
    Index(engine).add_association(
        replace(association(rule="", accepted=True), services={"C-FIND": 3, "C-ECHO": 1})
    )
    relay.round()

    (message,) = told[1:]
    assert codes(message)[0] == "110112"
    assert "3 C-FIND" in message


def test_what_was_not_told_is_not_pushed_out(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of refused connections leaves the alert before it where the collector finds it."""
    monkeypatch.setattr(archive_index, "KEPT_ASSOCIATIONS", 5)
    index, told = Index(engine), list[str]()

    def flood() -> int:
        for _ in range(20):
            index.add_association(association(rule="calling AE title"))
        with engine.connect() as connection:
            count = sa.select(sa.func.count()).select_from(tables.associations)
            return int(connection.execute(count).scalar_one())

    assert flood() == 5  # nobody is to be told
    relay = AuditRelay(engine, told.append, ae_title="PCTNODE")
    relay.begin()
    assert flood() == 25
    relay.round()
    assert len(told) == 1 + 25
    assert flood() == 20  # those that were told are gone
    AuditRelay.forget(engine)
    assert flood() == 5


@pytest.mark.long
@pytest.mark.postgres
def test_a_row_that_is_committed_late_is_told(database_url: str) -> None:
    """Its number is below those that were visible before it; none is passed over."""
    engine = tables.open_engine(database_url.replace("://", "+psycopg://"))
    tables.metadata.create_all(engine)
    told: list[str] = []
    relay = AuditRelay(engine, told.append, ae_title="PCTNODE", patients=True)
    relay.begin()
    one = Transfer(
        received=True, ae_title="LATE", address="10.0.0.5", study_instance_uid="1.2.3",
        patient_id="P", classes={MR: 1},
    )  # fmt: skip
    slow = engine.connect()
    transfers.add(slow, [one], time.time() - 60)
    for _ in range(2):
        with engine.begin() as quick:
            transfers.add(quick, [replace(one, ae_title="QUICK")], time.time() - 60)
        relay.round()
    assert len(told) == 1  # nobody knows yet what comes below
    slow.commit()
    slow.close()
    relay.round()
    relay.round()
    engine.dispose()

    names = [re.findall('UserID="(LATE|QUICK)"', message)[0] for message in told[1:]]
    assert names == ["LATE", "QUICK", "QUICK"]
