"""What the catalogue finds among received and made series, and what it hides."""

import hashlib
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydicom.uid import ExplicitVRLittleEndian

from node.archive.files import Folder
from node.archive.headers.arrival import ReceiveContext
from node.archive.headers.indexed_attributes import Level
from node.archive.headers.indexed_header import part10_values
from node.archive.headers.matching import Key
from node.archive.ingest.receive import Receiver
from node.archive.query.catalogue import Catalogue
from node.archive.rows.index import Index
from node.archive.rows.run_rows import current_run, release_run
from node.archive.schema import tables as t
from node.archive.schema.records import OutputFile
from node.archive.work.runs import Runs
from node.domain.states import State
from tests.phantoms.archived import ROOT, images
from tests.phantoms.small_mr import data_set_of, write_image

CONTEXT = ReceiveContext(
    transfer_syntax_uid=ExplicitVRLittleEndian, calling_ae="PACS", called_ae="PCTNODE"
)


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    """A database that holds the archive's images as received."""
    engine = t.open_engine(t.sqlite_url(tmp_path / "node.db"))
    t.metadata.create_all(engine)
    receiver = Receiver(Folder(tmp_path / "data"), Index(engine))
    for number, image in enumerate(images()):
        receiver.receive(data_set_of(write_image(tmp_path / f"{number}.dcm", image)), CONTEXT)
    return engine


@pytest.fixture
def catalogue(engine: sa.Engine) -> Catalogue:
    """What is found in it."""
    return Catalogue(engine)


def values(catalogue: Catalogue, level: Level, keyword: str, *keys: Key) -> list[str]:
    """One attribute of every match."""
    return sorted(str(found.get(keyword, "")) for found in catalogue.find(level, keys))


def test_counts_and_modalities_are_those_of_the_whole_study(catalogue: Catalogue) -> None:
    """What is computed over a study is there, may be a key, and keys below do not thin it out."""
    ct = Key("ModalitiesInStudy", "CS", "CT")
    (study,) = catalogue.find(Level.STUDY, [ct, Key("Modality", "CS", "US")])

    assert study["StudyInstanceUID"] == f"{ROOT}.3"
    assert study["ModalitiesInStudy"] == "CT\\MR"
    assert study["NumberOfStudyRelatedSeries"] == "2"
    assert study["NumberOfStudyRelatedInstances"] == "5"
    assert len(study["SOPClassesInStudy"].split("\\")) == 2


@pytest.mark.long
def test_patients_with_what_they_have(catalogue: Catalogue) -> None:
    """A patient is one match, however many studies."""
    (found,) = catalogue.find(Level.PATIENT, [Key("PatientID", "LO", "P1")])

    assert found["PatientName"] == "Müller^Jörg"
    assert found["NumberOfPatientRelatedStudies"] == "2"
    assert found["NumberOfPatientRelatedSeries"] == "3"
    assert found["NumberOfPatientRelatedInstances"] == "7"


def test_sequence_keys_find_the_series(catalogue: Catalogue) -> None:
    """Request attributes are matched inside their sequence."""
    step = Key("ScheduledProcedureStepID", "SH", "SPS1?")
    request = Key("RequestAttributesSequence", "SQ", items=(step,))

    found = values(catalogue, Level.SERIES, "SeriesInstanceUID", request)

    assert found == [f"{ROOT}.1.1", f"{ROOT}.1.2"]


def test_a_relational_query_needs_no_keys_above(catalogue: Catalogue) -> None:
    """Images of a patient are found without naming study and series."""
    found = values(
        catalogue, Level.IMAGE, "SOPInstanceUID",
        Key("PatientName", "PN", "smith^*"), Key("InstanceNumber", "IS", "2"),
    )  # fmt: skip

    assert found == [f"{ROOT}.3.1.2", f"{ROOT}.3.2.2"]


@pytest.mark.long
def test_long_lists_of_uids_are_answered_whole(catalogue: Catalogue) -> None:
    """More UIDs than one statement takes."""
    many = "\\".join([f"{ROOT}.9.9.{n}" for n in range(40_000)] + [f"{ROOT}.1.1.1"])

    found = catalogue.instances([Key("SOPInstanceUID", "UI", many)])

    assert [f.sop_instance_uid for f in found] == [f"{ROOT}.1.1.1"]


def test_an_sct_is_found_only_while_it_is_released(
    engine: sa.Engine, catalogue: Catalogue, tmp_path: Path
) -> None:
    """In review, rejected or replaced it is invisible at every level; released it is one of all."""
    runs = Runs(engine)
    run_id = _run_with_output(engine, runs, tmp_path)
    sct = Key("SeriesInstanceUID", "UI", f"{ROOT}.5")

    def seen() -> tuple[int, int, int]:
        studies = catalogue.find(Level.STUDY, [Key("ModalitiesInStudy", "CS", "CT")])
        uids = [s["StudyInstanceUID"] for s in studies]
        return (
            len(list(catalogue.find(Level.SERIES, [sct]))),
            len(catalogue.instances([sct])),
            uids.count(f"{ROOT}.1"),
        )

    assert seen() == (0, 0, 0)  # running
    runs.finish(run_id, State.REVIEW, "Held.")
    assert seen() == (0, 0, 0)
    with engine.begin() as connection:
        run, series = current_run(connection, run_id)
        release_run(connection, series, run, ["tps"], "Released.", who="physicist")
    assert seen() == (1, 1, 1)
    (found,) = catalogue.find(Level.SERIES, [sct])
    assert found["NumberOfSeriesRelatedInstances"] == "1"
    _set_state(engine, State.REJECTED)
    assert seen() == (0, 0, 0)
    _set_state(engine, State.DELIVERED)
    assert seen() == (1, 1, 1)
    late = next(i for i in images() if i.SeriesInstanceUID == f"{ROOT}.1.1")
    late.SOPInstanceUID = f"{ROOT}.1.1.99"
    receiver = Receiver(Folder(tmp_path / "data"), Index(engine))
    receiver.receive(data_set_of(write_image(tmp_path / "late.dcm", late)), CONTEXT)
    assert seen() == (0, 0, 0)  # replaced by newer instances
    assert len(list(catalogue.find(Level.SERIES, [Key("Modality", "CS", "MR")]))) == 5


def _run_with_output(engine: sa.Engine, runs: Runs, folder: Path) -> int:
    with engine.begin() as connection:
        others = t.series.c.series_instance_uid != f"{ROOT}.1.1"
        connection.execute(sa.update(t.series).where(others).values(state=State.KEPT.value))
    runs.settle_quiet(-1)
    (run,) = runs.unqueued()
    run_id = run.id
    runs.begin_step(run_id, "encode", "Writing.")
    image = next(images())
    image.SeriesInstanceUID, image.SOPInstanceUID = f"{ROOT}.5", f"{ROOT}.5.1"
    image.Modality, image.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"
    data = write_image(folder / "sct.dcm", image).read_bytes()
    file = OutputFile(
        sop_instance_uid=f"{ROOT}.5.1", sop_class_uid=image.SOPClassUID,
        transfer_syntax_uid=ExplicitVRLittleEndian, series_instance_uid=f"{ROOT}.5",
        number=1, kind="ct", stack=0, path="outputs/sct.dcm", size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        values=part10_values(data, ExplicitVRLittleEndian),
    )  # fmt: skip
    runs.record_outputs(run_id, [file])
    return run_id


def _set_state(engine: sa.Engine, state: State) -> None:
    with engine.begin() as connection:
        here = t.series.c.series_instance_uid == f"{ROOT}.1.1"
        connection.execute(sa.update(t.series).where(here).values(state=state.value))
