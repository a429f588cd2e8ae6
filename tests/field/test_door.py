"""What happens at the door decides what leaves: the cases of the field on a running node.

All cases are told to one node at the same time, before the first is judged.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.crash.harness import Node
from tests.field import heads
from tests.field.cases import CASES, Case
from tests.field.evidence import Expect
from tests.field.heads import all_changed, head, write_part10
from tests.field.hospital import ask, detail_of, hospital, item_of, page, wait_at_rest
from tests.field.playing import Played, faults, play
from tests.field.recorder import Recorder, recording
from tests.field.sending import Ending
from tests.peers.dcmtk import run_storescu
from tests.peers.waiting import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("field")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Everything that was told, and where."""

    node: Node
    tps: Recorder
    played: dict[str, Played]

    def details(self, case: Case) -> list[dict[str, Any]]:
        """What the interface says of the series of a case."""
        told = self.played[case.name]
        return [detail_of(self.node, uid) for uid in told.items]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Tell every case to one node with two acceptors, and wait until all of it is at rest."""
    folder = tmp_path_factory.mktemp("field")
    with recording() as tps, hospital(folder / "node", tps, quiet_s=2.0) as node:
        with ThreadPoolExecutor(len(CASES)) as senders:
            told = {c.name: senders.submit(play, node, tps, c.story(c.name)) for c in CASES}
        played = {name: future.result() for name, future in told.items()}
        for one in played.values():
            for truth in one.story.truths:
                wait_at_rest(node, truth.series, timeout_s=120)
            items = {uid: item_of(node, uid) for uid in one.series}
            one.items = {uid: item for uid, item in items.items() if item}
        yield Day(node=node, tps=tps, played=played)


def _id(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", CASES, ids=_id)
def test_nothing_leaves_that_the_evidence_contradicts(case: Case, day: Day) -> None:
    """No sCT of another patient, another slice set or another policy; it is told; nothing stuck."""
    assert faults(day.played[case.name], day.tps) == []


@pytest.mark.parametrize("case", [c for c in CASES if c.is_clean], ids=_id)
def test_a_clean_series_is_delivered_once_and_whole(case: Case, day: Day) -> None:
    """Every answer is Success, one sCT arrives, made of every slice, and no finding stands."""
    played = day.played[case.name]
    (truth,) = played.story.truths

    assert {status for sent in played.associations for status in sent.statuses} <= {0}
    assert [sct.sources for sct in day.tps.scts(truth.frame)] == [truth.slices]
    assert [item["findings"] for item in day.details(case)] == [[]]


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.words("") and "checked" not in c.name], ids=_id
)
def test_a_correction_is_told_with_both_patients(case: Case, day: Day) -> None:
    """The page and the interface name what was held and what the PACS says now."""
    truth = day.played[case.name].story.truths[0]
    detail = detail_of(day.node, truth.series)

    told = json.dumps(detail)
    shown = page(day.node, f"/series/{detail['id']}")

    for word in case.words(case.name):
        assert word in told
        assert word in shown


@pytest.mark.parametrize("case", [c for c in CASES if c.words("") or c.other is not None], ids=_id)
def test_a_query_gives_no_sct_that_is_contradicted(case: Case, day: Day) -> None:
    """QIDO-RS, which matches as C-FIND does, has no CT of the patient that is in doubt."""
    (truth, *_) = day.played[case.name].story.truths
    patient = heads.patient(case.name)

    found = ask(day.node, f"/dicom-web/series?PatientID={patient}&Modality=CT")

    assert not found, truth.series


def test_the_corrected_series_is_told_of_too(day: Day) -> None:
    """Images that came again under another series are not silently nowhere."""
    played = day.played["corrected_after_delivery"]
    told = json.dumps(detail_of(day.node, played.story.truths[0].series))

    listed = item_of(day.node, played.story.moved_to)

    assert listed is not None or played.story.moved_to in told


def test_what_is_held_has_a_finding_with_its_evidence(day: Day) -> None:
    """Refused and aborted: a hold, not a warning, and not of the number of slices alone."""
    for name in ("last_refused", "last_cut", "one_refused", "aborted", "dropped"):
        item = next(iter(day.played[name].items.values()))
        severities = {finding["severity"] for finding in item["findings"]}

        assert severities & {"hold", "refuse"}, (name, item["sentence"])


def test_the_expectations_are_what_the_cases_say(day: Day) -> None:
    """The judge knows of every case whether it must be told: it is not asked nothing."""
    for case in CASES:
        evidence = day.played[case.name].evidence
        expected = evidence.expected(day.played[case.name].story.truths[0])
        wanted = Expect.DELIVERED if case.is_clean else Expect.TOLD
        assert expected is (Expect.EITHER if case.name == "stray_first" else wanted), case.name


def test_a_stray_image_does_not_strand_its_series(day: Day) -> None:
    """The route of the other seventeen stands."""
    item = next(iter(day.played["stray_first"].items.values()))

    assert item["state"] in ("delivered", "review")


def test_every_broken_association_is_in_the_record(day: Day) -> None:
    """The associations that were aborted are found as such."""
    ended = [s for p in day.played.values() for s in p.associations if s.ending is Ending.ABORT]

    def told() -> bool:
        records = ask(day.node, "/api/associations?limit=200")
        return sum("abort" in str(r["sentence"]).lower() for r in records) >= len(ended)

    wait_until(told, "the records of what was aborted")


def test_the_same_by_dcmtk(day: Day, tmp_path: Path) -> None:
    """Storescu corrects a patient, and breaks off with --abort after 15 of 18: nothing leaves."""
    corrected, aborted = head("dcmtk corrected"), head("dcmtk aborted")
    again = all_changed(corrected, PatientID="RIGHT", PatientName="Right^Name")
    sent = [
        _storescu(day, write_part10(tmp_path / "1", corrected)),
        _storescu(day, write_part10(tmp_path / "2", again)),
        _storescu(day, write_part10(tmp_path / "3", aborted[:15]), "--abort"),
    ]

    details = [wait_at_rest(day.node, str(s[0].SeriesInstanceUID)) for s in (corrected, aborted)]

    assert [done.count("Received Store Response") for done in sent] == [18, 18, 15]
    for slices, detail in zip((corrected, aborted), details, strict=True):
        assert day.tps.scts(str(slices[0].FrameOfReferenceUID)) == []
        assert {finding["severity"] for finding in detail["findings"]} & {"hold", "refuse"}
    assert "RIGHT" in json.dumps(details[0])


def _storescu(day: Day, files: list[Path], *options: str) -> str:
    done = run_storescu(day.node.dicom_port, files, called="AUTO", options=options)
    return done.stdout + done.stderr
