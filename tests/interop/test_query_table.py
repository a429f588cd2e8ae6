"""C-FIND: query keys by levels, the same content and the same answers as dcmqrscp."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind as PatientRoot
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as StudyRoot

from node.domain.names import AETitle
from node.domain.site import Peer
from node.scu.association import associate
from tests.interop.receiving import Node, start_node
from tests.peers.dcmqrscp import Dcmqrscp, start_dcmqrscp
from tests.phantoms.archived import ROOT, receive_all, write_archive

pytestmark = pytest.mark.interop

UNIQUE = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
TABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "PATIENT": {
        "PatientID": ("", "P1", "P1*", "P?", "P2", "*0", "none", "p1"),
        "PatientName": (
            *("", "*", "SMITHSON^BOB", "SMITH*", "*ANNA*", "S?ITH^ANNA^MARIA", "?", "SMITH"),
            *("Müller^Jörg", "Müller*", "*^J?rg"),
        ),
        "PatientBirthDate": ("", "19610203", "19600101-19700101", "19700101-", "-19700101"),
        "PatientSex": ("", "F", "M", "O"),
    },
    "STUDY": {
        "StudyInstanceUID": ("", f"{ROOT}.1", f"{ROOT}.1\\{ROOT}.3\\1.2.3", "1.2.3"),
        "StudyDate": (
            *("", "20240105", "20240106", "20240105-20240610", "20240106-20250227", "20250228-"),
            *("-20240105", "-20231231"),
        ),
        "StudyTime": ("", "081500", "080000-150000", "143022-", "-120000", "235959"),
        "AccessionNumber": ("", "ACC001", "ACC*", "ACC00?", "*3", "acc001"),
        "StudyID": ("", "2", "9"),
        "StudyDescription": ("", "Head*", "*planning", "Hüfte", "H*", "H?fte"),
        "ReferringPhysicianName": ("", "House^Gregory", "House*", "Weiß^Eva", "W*"),
        "PatientName": ("SMITH*", "*"),
        "PatientID": ("P1", "P*"),
    },
    "SERIES": {
        "SeriesInstanceUID": ("", f"{ROOT}.3.1", f"{ROOT}.3.1\\{ROOT}.3.2", "1.2.3"),
        "Modality": ("", "MR", "CT", "C?", "*", "US"),
        "SeriesNumber": ("", "1", "2", "7"),
    },
    "IMAGE": {
        "SOPInstanceUID": ("", f"{ROOT}.3.1.2", f"{ROOT}.3.1.1\\{ROOT}.3.1.3", "1.2.3"),
        "InstanceNumber": ("", "2", "9"),
    },
}
CASES = [
    (level, keyword, value)
    for level, keys in TABLE.items()
    for keyword, values in keys.items()
    for value in values
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Dcmqrscp]]:
    """Give the node and dcmqrscp the same content."""
    folder = tmp_path_factory.mktemp("query")
    files = write_archive(folder / "files")
    receive_all(folder / "node", files)
    node, other = start_node(folder / "node"), start_dcmqrscp(folder / "qr")
    other.fill(files)
    yield node, other
    node.stop()
    other.stop()


@contextmanager
def asking(port: int, called: str) -> Iterator[Any]:
    """An association that may ask in both models."""
    peer = Peer(
        name="archive",
        ae_title=AETitle(called),
        host="127.0.0.1",
        port=port,
        may=frozenset(),
        proof="none",
    )
    contexts = [build_context(m, ExplicitVRLittleEndian) for m in (PatientRoot, StudyRoot)]
    with associate(peer, contexts, calling_ae="PACS") as association:
        yield association


def identifier(level: str, keyword: str, value: str) -> Dataset:
    """A hierarchical query: unique keys above, the one of the level, and the key."""
    query = Dataset()
    query.SpecificCharacterSet = "ISO_IR 100"
    query.QueryRetrieveLevel = level
    above = {"SERIES": (f"{ROOT}.3",), "IMAGE": (f"{ROOT}.3", f"{ROOT}.3.1")}.get(level, ())
    for unique, given in zip(UNIQUE[1:], above, strict=False):
        setattr(query, unique, given)
    setattr(query, UNIQUE[LEVELS.index(level)], "")
    setattr(query, keyword, value)
    return query


def models_for(level: str, keyword: str) -> list[str]:
    """The models the key can be compared in: dcmqrscp ignores names below the patient there."""
    if level == "PATIENT":
        return [PatientRoot]
    return [StudyRoot] if keyword == "PatientName" else [StudyRoot, PatientRoot]


def answers(association: Any, query: Dataset, model: str, keyword: str) -> set[tuple[str, ...]]:
    """The unique keys and the asked one of every match."""
    found = set()
    for status, answer in association.send_c_find(query, model):
        assert status.Status in (0x0000, 0xFF00, 0xFF01), f"{status.Status:04X}"
        if answer is not None:
            asked = (UNIQUE[LEVELS.index(query.QueryRetrieveLevel)], keyword)
            found.add(tuple(str(answer.get(word, "")) for word in asked))
    return found


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom.valuerep")  # ranges and wild cards
def test_the_table_of_keys_and_levels(archive: tuple[Node, Dcmqrscp]) -> None:
    """Each key of each level, matched in each way, finds the same with the same values."""
    node, other = archive
    different = []
    with asking(node.port, "PCTNODE") as ours, asking(other.port, "QRSCP") as theirs:
        for level, keyword, value in CASES:
            for model in models_for(level, keyword):
                query = identifier(level, keyword, value)
                if model == PatientRoot and level != "PATIENT" and keyword != "PatientID":
                    query.PatientID = "P1" if level == "STUDY" else "P2"
                mine = answers(ours, query, model, keyword)
                his = answers(theirs, query, model, keyword)
                if mine != his:
                    different.append((level, keyword, value, mine, his))
    assert not different, "\n".join(map(str, different))
    assert len(CASES) > 60
