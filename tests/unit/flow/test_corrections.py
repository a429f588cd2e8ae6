"""A series whose images come again and say something else: stopped, told of, adopted, dismissed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pydicom
import pytest
import sqlalchemy as sa

from node.archive.evidence.corrections import open_corrections
from node.archive.files import Folder
from node.archive.headers.indexed_attributes import Level
from node.archive.headers.matching import Key
from node.archive.ingest.receive import Outcome
from node.archive.people.audit import Audit, By
from node.archive.query.catalogue import Catalogue
from node.archive.query.commitments import judge
from node.archive.query.queries import Queries
from node.archive.schema import tables as t
from node.archive.upkeep.retention import Retention
from node.archive.upkeep.verify import verify_files
from node.archive.work.decisions import Decisions
from node.archive.work.deliveries import Deliveries
from node.domain.errors import Rejected
from node.domain.site import Site
from node.flow.corrections import ByPolicy, Corrections
from node.flow.series import SeriesWork
from node.flow.step_context import Bench
from node.flow.steps import STEPS
from node.flow.withdrawals import withdraw
from tests.phantoms.mr import mr_series
from tests.unit.archive.delivered import make_archive
from tests.unit.flow.corrected import (
    OTHER_SERIES,
    OTHER_STUDY,
    Change,
    all_series,
    moved,
    patient,
    phantom,
    resend,
    rows,
)
from tests.unit.flow.test_steps import line

BY = By(who="ada", role="physicist")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """The images of the phantom that the bench holds."""
    return phantom(tmp_path / "again")


def corrections(bench: Bench) -> Corrections:
    """What may be decided."""
    return Corrections(bench.runs.engine, bench.folder)


def deliver(bench: Bench) -> None:
    """Let the destination have everything that is on its way."""
    deliveries = Deliveries(bench.runs.engine)
    for due in deliveries.due():
        assert deliveries.begin(due.delivery_id, due.number) is not None
        assert deliveries.leaving(due.delivery_id, due.number, due.destination, "127.0.0.1")
        deliveries.sent(due.delivery_id, due.number, "Stored.")


def found(bench: Bench) -> set[str]:
    """PatientID of every series that a peer may find."""
    catalogue = Catalogue(bench.runs.engine)
    return {a["PatientID"] for a in catalogue.find(Level.SERIES, [Key("PatientID", "LO", "")])}


def codes(row: sa.RowMapping) -> dict[str, str]:
    """Attribute, or code, to severity of each finding about what came again."""
    return {
        f["values"].get("attribute", f["code"]): f["severity"]
        for f in row["findings"]
        if f["stage"] == "arrival"
    }


@pytest.mark.long
def test_equal_images_change_nothing(bench: Bench, images: list[Path]) -> None:
    """A resend with retrieval attributes is a success, before and after the delivery."""
    assert line(bench) == "delivering"
    before = all_series(bench)

    def coerced(dataset: pydicom.Dataset) -> None:
        dataset.RetrieveAETitle, dataset.InstanceAvailability = "ARCHIVE", "ONLINE"
        dataset.StudyDescription = "Filled in"

    outcomes = resend(bench.folder, bench.runs.engine, images, coerced)

    assert set(outcomes) == {Outcome.DUPLICATE}
    assert all_series(bench) == before
    assert rows(bench, t.conflicts) == []


@pytest.mark.long
def test_a_correction_before_work_is_held_and_adopted(bench: Bench, images: list[Path]) -> None:
    """Held under the wrong patient, then made under the right one; nothing left meanwhile."""
    outcomes = resend(bench.folder, bench.runs.engine, images, patient)

    assert set(outcomes) == {Outcome.CONFLICT}
    assert line(bench) == "review"
    (row,) = all_series(bench)
    assert codes(row) == {"PatientID": "hold", "PatientName": "hold"}
    (told,) = [f for f in row["findings"] if f["values"].get("attribute") == "PatientID"]
    assert (told["values"]["new"], told["values"]["count"]) == ("RIGHT", "24")
    assert found(bench) == set()
    with pytest.raises(Rejected, match="correction of series 1 waits"):
        Decisions(bench.runs.engine).release(1, By(who="ada"))

    sentence = corrections(bench).adopt(1, BY, reason="the PACS is right")

    assert sentence == "Correction adopted by ada: the PACS is right."
    assert found(bench) == {"RIGHT"}
    assert line(bench) == "delivering"
    (row,) = all_series(bench)
    assert (row["patient_id"], row["patient_name"]) == ("RIGHT", "Right^Rita")
    assert (row["revision"], row["instances"], codes(row)) == (2, 24, {})
    made = [o for o in rows(bench, t.outputs) if o["run_id"] == 2]
    assert {_dataset(bench, o["path"]).PatientID for o in made} == {"RIGHT"}
    assert rows(bench, t.runs)[1]["predecessor_series_uid"] is not None
    assert verify_files(bench.runs.engine, bench.folder).ok
    assert [a["action"] for a in Audit(bench.runs.engine).rows()] == ["adopt correction"]


def _dataset(bench: Bench, path: str) -> pydicom.Dataset:
    return pydicom.dcmread(bench.folder.path(PurePosixPath(path)))


@pytest.mark.long
def test_a_correction_after_delivery_withdraws_and_makes_anew(
    bench: Bench, images: list[Path]
) -> None:
    """Another patient, study and series: a row of its own, the sCT stopped, then withdrawn."""
    assert line(bench) == "delivering"
    deliver(bench)
    sct = {o["series_instance_uid"] for o in rows(bench, t.outputs)}
    uids = [pydicom.dcmread(p).SOPInstanceUID for p in images]

    resend(bench.folder, bench.runs.engine, images, moved)

    held, own = all_series(bench)
    assert (held["state"], own["state"], own["corrects"]) == ("review", "kept", held["id"])
    assert (own["patient_id"], own["study_instance_uid"]) == ("RIGHT", OTHER_STUDY)
    assert set(codes(held)) == {"PatientID", "PatientName", "StudyInstanceUID", "SeriesInstanceUID"}
    assert found(bench) == set()
    assert open_corrections(bench.runs.engine) == [(held["id"], 24)]
    pairs = [("1.2.840.10008.5.1.4.1.1.4", uid) for uid in uids]
    assert set(judge(Catalogue(bench.runs.engine), bench.folder, pairs).failed) == set(uids)

    corrections(bench).adopt(held["id"], BY)

    assert not judge(Catalogue(bench.runs.engine), bench.folder, pairs).failed
    held, own = all_series(bench)
    assert (held["state"], held["instances"]) == ("rejected", 0)
    assert (own["state"], own["instances"], own["revision"]) == ("receiving", 24, 2)
    notice = [o for o in rows(bench, t.outputs) if o["kind"] == "ko"]
    assert len(notice) == 1
    (due,) = Deliveries(bench.runs.engine).due()
    job = Deliveries(bench.runs.engine).begin(due.delivery_id, due.number)
    assert job is not None
    assert [f.kind for f in job.files] == ["ko"]
    assert bench.runs.settle_quiet(-1.0) == 1
    (run,) = bench.runs.unqueued()
    assert bench.runs.get(run.id).predecessor_series_uid in sct
    assert {s.series_instance_uid for s in bench.runs.sources(bench.runs.get(run.id))} == {
        OTHER_SERIES
    }
    assert found(bench) == {"RIGHT"}
    assert verify_files(bench.runs.engine, bench.folder).ok


@pytest.mark.long
@pytest.mark.parametrize("change", [patient, moved])
def test_a_partial_correction_is_not_adopted(
    bench: Bench, images: list[Path], change: Change
) -> None:
    """Some of the images would say one patient and some another: refused, nothing changes."""
    resend(bench.folder, bench.runs.engine, images[:20], change)
    before = [all_series(bench), rows(bench, t.instances), rows(bench, t.conflicts)]

    with pytest.raises(Rejected) as caught:
        corrections(bench).adopt(1, BY)

    assert caught.value.code == "PARTIAL"
    assert [all_series(bench), rows(bench, t.instances), rows(bench, t.conflicts)] == before
    resend(bench.folder, bench.runs.engine, images[20:], change)
    corrections(bench).adopt(1, BY)


@pytest.mark.long
def test_a_correction_in_the_middle_of_the_sending_is_adopted(tmp_path: Path) -> None:
    """What was sent before it comes again, the rest is of the right patient already."""
    archive, images = make_archive(tmp_path / "a"), phantom(tmp_path / "mr")
    resend(archive.folder, archive.engine, images[:10], lambda _: None)
    resend(archive.folder, archive.engine, images, patient)

    Corrections(archive.engine, archive.folder).adopt(1, BY)

    with archive.engine.connect() as connection:
        paths = connection.execute(sa.select(t.instances.c.path)).scalars().all()
    said = {pydicom.dcmread(archive.root / p).PatientID for p in paths}
    assert (len(paths), said) == (24, {"RIGHT"})


@pytest.mark.long
def test_dismissed_the_series_goes_on_after_a_new_release(bench: Bench, images: list[Path]) -> None:
    """What had been delivered waits for a person; the corrected objects stay aside."""
    assert line(bench) == "delivering"
    deliver(bench)
    resend(bench.folder, bench.runs.engine, images, patient)
    with pytest.raises(Rejected, match="needs a reason"):
        corrections(bench).dismiss(1, BY, reason=" ")

    corrections(bench).dismiss(1, BY, reason="sent by mistake")

    (row,) = all_series(bench)
    assert (row["state"], codes(row)) == ("review", {})
    assert len(rows(bench, t.conflicts)) == 24
    Decisions(bench.runs.engine).release(1, By(who="ada"))
    (row,) = all_series(bench)
    assert row["state"] == "delivered"
    assert open_corrections(bench.runs.engine) == []
    with pytest.raises(Rejected, match="No correction"):
        corrections(bench).adopt(1, BY)


@pytest.mark.long
def test_dismissed_before_work_ends_the_sct_waits_for_a_person(
    bench: Bench, images: list[Path]
) -> None:
    """The policy of the route does not release what was contradicted."""
    resend(bench.folder, bench.runs.engine, images, patient)
    corrections(bench).dismiss(1, BY, reason="sent by mistake")

    assert line(bench) == "review"
    assert codes(all_series(bench)[0]) == {}


@pytest.mark.long
def test_a_correction_that_comes_at_the_last_moment_is_held(
    bench: Bench, images: list[Path]
) -> None:
    """Between the decision and its record nothing slips through."""
    bench.runs.settle_quiet(-1.0)
    (run,) = bench.runs.unqueued()
    bench.runs.begin_step(run.id, "release", "Deciding.")
    resend(bench.folder, bench.runs.engine, images[:1], patient)

    bench.runs.release(run.id, ["tps"], "All checks passed.", who="policy")

    (row,) = all_series(bench)
    assert (row["state"], rows(bench, t.deliveries)) == ("review", [])


@pytest.mark.long
def test_a_second_correction_takes_the_place_of_the_first(bench: Bench, images: list[Path]) -> None:
    """The newest counts: it is adopted, and the older one is dismissed with it."""

    def typed_again(dataset: pydicom.Dataset) -> None:
        patient(dataset)
        dataset.PatientID = "RIGHT2"

    resend(bench.folder, bench.runs.engine, images, patient)
    resend(bench.folder, bench.runs.engine, images, typed_again)
    with pytest.raises(Rejected, match="not what was looked at"):
        corrections(bench).adopt(1, BY, correction=1)

    corrections(bench).adopt(1, BY, correction=2)

    assert [k["state"] for k in rows(bench, t.corrections)] == ["dismissed", "adopted"]
    assert all_series(bench)[0]["patient_id"] == "RIGHT2"


@pytest.mark.long
@pytest.mark.parametrize("change", [patient, moved])
def test_a_correction_that_is_taken_back_is_one_too(
    bench: Bench, images: list[Path], change: Change
) -> None:
    """What was replaced comes back: held again, and adopted again, with UIDs of its own."""
    wrong = all_series(bench)[0]["patient_id"]
    resend(bench.folder, bench.runs.engine, images, change)
    corrections(bench).adopt(1, BY)
    series = all_series(bench)[-1]["id"]

    outcomes = resend(bench.folder, bench.runs.engine, images, lambda _: None)

    assert set(outcomes) == {Outcome.CONFLICT}
    corrections(bench).adopt(series, BY)
    (row,) = [s for s in all_series(bench) if s["instances"]]
    assert (row["patient_id"], row["revision"]) == (wrong, 3)
    assert verify_files(bench.runs.engine, bench.folder).ok


@pytest.mark.long
def test_a_series_that_moves_after_a_correction_gets_uids_of_its_own(
    bench: Bench, images: list[Path]
) -> None:
    """The revision goes on where the other series stood: UIDs derive from it."""
    resend(bench.folder, bench.runs.engine, images, patient)
    corrections(bench).adopt(1, BY)
    assert line(bench) == "delivering"
    resend(bench.folder, bench.runs.engine, images, moved)
    corrections(bench).adopt(1, BY)

    assert line_of(bench, 2) == "delivering"

    assert all_series(bench)[1]["revision"] == 3
    made = [o["series_instance_uid"] for o in rows(bench, t.outputs) if o["kind"] == "ct"]
    assert len(set(made)) == 2


@pytest.mark.long
@pytest.mark.postgres
def test_corrections_on_postgresql(database_url: str, tmp_path: Path) -> None:
    """The same rows, locked in one order, by the other database."""
    engine = sa.create_engine(database_url.replace("://", "+psycopg://"), poolclass=sa.NullPool)
    t.metadata.create_all(engine)
    folder, images = Folder(tmp_path / "a"), phantom(tmp_path / "mr")
    resend(folder, engine, images, lambda _: None)
    resend(folder, engine, images, moved)
    assert open_corrections(engine) == [(1, 24)]
    decide = Corrections(engine, folder)

    decide.adopt(1, BY)

    resend(folder, engine, images[:3], lambda _: None)
    decide.dismiss(2, BY, reason="an older state")
    with engine.connect() as connection:
        query = sa.select(t.series.c.instances, t.series.c.patient_id).order_by(t.series.c.id)
        assert [tuple(row) for row in connection.execute(query)] == [
            (0, "PHANTOM-1"),
            (24, "RIGHT"),
        ]
    assert verify_files(engine, folder).ok
    engine.dispose()


@pytest.mark.long
def test_an_empty_series_says_what_comes_to_it(
    bench: Bench, images: list[Path], tmp_path: Path
) -> None:
    """Its images went to another series; what comes under its UID now is whose it is."""
    uid = all_series(bench)[0]["series_instance_uid"]
    resend(bench.folder, bench.runs.engine, images, moved)
    corrections(bench).adopt(1, BY)

    def third(dataset: pydicom.Dataset) -> None:
        dataset.SeriesInstanceUID, dataset.PatientID = uid, "THIRD"

    others = mr_series((24, 20, 18), (4.0, 4.0, 4.0), name="third").write(tmp_path / "third")
    resend(bench.folder, bench.runs.engine, others, third)

    row = all_series(bench)[0]
    assert (row["patient_id"], row["instances"], row["state"]) == ("THIRD", 24, "receiving")
    assert found(bench) == {"RIGHT", "THIRD"}


@pytest.mark.long
def test_other_pixels_of_one_image_are_adopted_alone(bench: Bench, images: list[Path]) -> None:
    """The rest of the series is the same patient's: one image may be corrected by itself."""

    def darker(dataset: pydicom.Dataset) -> None:
        dataset.PixelData = bytes(len(dataset.PixelData))

    resend(bench.folder, bench.runs.engine, images[:1], darker)
    assert line(bench) == "review"
    assert codes(all_series(bench)[0]) == {"IMAGE_CONTRADICTED": "hold"}

    corrections(bench).adopt(1, BY)

    assert all_series(bench)[0]["revision"] == 2


@pytest.mark.long
def test_policy_adopts_what_is_whole_and_quiet(bench: Bench, images: list[Path]) -> None:
    """Where the site trusts the peer nobody is asked; what is partial waits."""
    policy = ByPolicy(bench.runs.engine, bench.folder, _adopting(bench), 0.0)
    resend(bench.folder, bench.runs.engine, images[:20], patient)
    assert policy.look() == 0

    resend(bench.folder, bench.runs.engine, images[20:], patient)

    assert ByPolicy(bench.runs.engine, bench.folder, bench.site, 0.0).look() == 0
    assert policy.look() == 1
    assert rows(bench, t.corrections)[0]["who"] == "policy of pacs"


def _adopting(bench: Bench) -> Callable[[], Site]:
    site = bench.site()
    peers = tuple(replace(p, corrections="adopt") for p in site.peers)
    return lambda: replace(site, peers=peers)


@pytest.mark.long
def test_retention_takes_what_was_replaced_with_the_series(
    bench: Bench, images: list[Path]
) -> None:
    """Nothing of a corrected series stays on the disk once it is removed."""
    resend(bench.folder, bench.runs.engine, images, moved)
    corrections(bench).adopt(1, BY)
    assert line_of(bench, 2) == "delivering"
    deliver(bench)
    retention = Retention(bench.runs.engine, bench.folder)
    assert retention.remove(2, "Removed.") > 0

    while retention.remove_files():
        pass

    left = [p for n in ("instances", "conflicts") for p in (bench.folder.root / n).rglob("*.dcm")]
    assert left == []


def line_of(bench: Bench, series_id: int) -> str:
    """Run the line of what has settled; the state the series ends in."""
    line(bench)
    return str(next(s for s in all_series(bench) if s["id"] == series_id)["state"])


@pytest.mark.long
def test_the_page_hears_of_it(bench: Bench, images: list[Path]) -> None:
    """Old and new values, how many of how many, and the series it would be."""
    resend(bench.folder, bench.runs.engine, images, moved)
    item = Queries(bench.runs.engine).series_detail(1)
    own = Queries(bench.runs.engine).series_detail(2)

    assert item is not None
    assert own is not None
    (told,) = item["corrections"]
    assert (told["state"], told["series"], told["instances"]) == ("waiting", 2, 24)
    assert {(d["attribute"], d["new"]) for d in told["differences"]} >= {("PatientID", "RIGHT")}
    assert own["corrects"] == 1
    assert "RIGHT" not in str(item["timeline"])


@pytest.mark.long
def test_withdrawal_from_review_is_possible(bench: Bench, images: list[Path]) -> None:
    """What was delivered and is stopped may be withdrawn as well."""
    assert line(bench) == "delivering"
    deliver(bench)
    resend(bench.folder, bench.runs.engine, images, patient)

    assert Decisions(bench.runs.engine).withdrawable(1).run_id == 1


@pytest.mark.long
def test_a_correction_after_retention_is_held_until_the_old_sct_is_withdrawn(
    bench: Bench, images: list[Path]
) -> None:
    """Nothing of the wrong patient is here any more, and TPS still has his sCT."""
    assert line(bench) == "delivering"
    deliver(bench)
    assert Retention(bench.runs.engine, bench.folder).remove(1, "Old.")
    resend(bench.folder, bench.runs.engine, images, patient)

    assert line(bench) == "review"
    (row,) = all_series(bench)
    (told,) = [f for f in row["findings"] if f["code"] == "EARLIER_OTHER_PATIENT"]
    assert told["severity"] == "hold"
    assert told["values"]["places"] == "tps"
    assert "RIGHT" in told["values"]["now"]
    assert "RIGHT" not in told["values"]["was"]

    decisions = Decisions(bench.runs.engine)
    withdraw(decisions, bench.folder, 1, BY, reason="wrong patient", concept="safety")

    (row,) = all_series(bench)
    assert row["state"] == "review"
    assert "EARLIER_OTHER_PATIENT" not in {f["code"] for f in row["findings"]}


@pytest.mark.long
def test_the_same_patient_after_retention_is_no_correction(
    bench: Bench, images: list[Path]
) -> None:
    """Sent again as it was: made anew, and released by the route's policy."""
    assert line(bench) == "delivering"
    deliver(bench)
    assert Retention(bench.runs.engine, bench.folder).remove(1, "Old.")
    resend(bench.folder, bench.runs.engine, images, lambda _dataset: None)

    assert line(bench) == "delivering"


def another_series(dataset: pydicom.Dataset) -> None:
    """A second series of the same study."""
    dataset.SeriesInstanceUID = OTHER_SERIES
    dataset.SOPInstanceUID = f"{OTHER_SERIES}.{dataset.InstanceNumber}"


def other_patient(dataset: pydicom.Dataset) -> None:
    """The same study, and somebody else."""
    another_series(dataset)
    patient(dataset)


def written_otherwise(dataset: pydicom.Dataset) -> None:
    """The same patient with delimiters that say nothing."""
    another_series(dataset)
    dataset.PatientName = f"{dataset.PatientName}^^"


def run_all(bench: Bench) -> None:
    """Settle and run the line on whatever there is."""
    bench.runs.settle_quiet(-1.0)
    for run in bench.runs.unqueued():
        work, file = SeriesWork(bench), None
        for name in STEPS:
            said = work.perform(run.id, name, file)
            file = said["file"] or file
            if said["word"] != "go":
                break


@pytest.mark.long
@pytest.mark.parametrize("delivered", [False, True])
def test_two_patients_in_one_study_hold_both(
    bench: Bench, images: list[Path], delivered: bool
) -> None:
    """Each is told of the other, the one that had been delivered as well, and neither leaves."""
    if delivered:
        assert line(bench) == "delivering"
        deliver(bench)
    resend(bench.folder, bench.runs.engine, images, other_patient)

    run_all(bench)

    first, second = all_series(bench)
    assert (first["state"], second["state"]) == ("review", "review")
    for row, other in ((first, second), (second, first)):
        (told,) = [f for f in row["findings"] if f["code"] == "STUDY_TWO_PATIENTS"]
        assert told["severity"] == "hold"
        assert told["values"]["series"] == str(other["id"])
        assert other["patient_id"] in told["sentence"]
    waiting = [d for d in rows(bench, t.deliveries) if d["state"] == "waiting"]
    assert waiting == []


@pytest.mark.long
def test_who_has_read_of_the_other_patient_may_release(bench: Bench, images: list[Path]) -> None:
    """A person decides; the other series, run again, does not stop what was released."""
    resend(bench.folder, bench.runs.engine, images, other_patient)
    run_all(bench)
    Decisions(bench.runs.engine).release(1, By(who="ada"))
    Decisions(bench.runs.engine).retry(2, By(who="ada"))

    run_all(bench)

    first, second = all_series(bench)
    assert (first["state"], second["state"]) == ("delivering", "review")


@pytest.mark.long
def test_one_patient_written_in_two_ways_is_one(bench: Bench, images: list[Path]) -> None:
    """PS3.5: delimiters at the end of a name say nothing."""
    resend(bench.folder, bench.runs.engine, images, written_otherwise)

    run_all(bench)

    assert {row["state"] for row in all_series(bench)} == {"delivering"}


@pytest.mark.long
@pytest.mark.parametrize("count", [1, 11, 23])
def test_two_patients_in_one_series_are_refused(tmp_path: Path, bench: Bench, count: int) -> None:
    """Some of the images of a new series say another patient: no sCT is made."""
    paths = mr_series((24, 20, 18), (4.0, 4.0, 4.0), name="mixed").write(tmp_path / "mixed")
    resend(bench.folder, bench.runs.engine, paths[:count], patient)
    resend(bench.folder, bench.runs.engine, paths[count:], lambda _: None)

    run_all(bench)

    mixed = all_series(bench)[1]
    assert mixed["state"] == "refused"
    assert "PATIENT_MIXED" in {f["code"] for f in mixed["findings"]}
