"""The line on a folder, through a real ONNX model of known arithmetic."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from node.cli import main
from node.convert import StackReport
from node.domain.findings import finding, read_finding
from node.domain.geometry import Grid, lps_from_index
from tests.phantoms import signals
from tests.phantoms.mr import MrSeries, enhanced_mr, mr_series
from tests.phantoms.tiny_onnx import write_affine_model

LANDMARK = (12.0, -18.0, 15.0)
SLOPE, INTERCEPT = 1.0, -1000.0
FINE = (96, 100, 92)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a site whose only model is arithmetic."""
    folder = tmp_path_factory.mktemp("site")
    write_affine_model(folder / "onnx", slope=SLOPE, intercept=INTERCEPT)
    file = folder / "node.toml"
    file.write_text('[inference]\nproviders = ["cpu"]\n')
    return file


def convert(source: Path, target: Path, config: Path) -> int:
    """Run the command."""
    return main(["convert", str(source), str(target), "--config", str(config), "--json"])


def read_ct(target: Path) -> tuple[np.ndarray, Grid, list[FileDataset]]:
    """Read the CT series back as a planning system does: from its attributes alone."""
    files = sorted(target.glob("*/ct/*.dcm"))
    datasets = sorted((pydicom.dcmread(f) for f in files), key=lambda d: d.ImagePositionPatient[2])
    hu = np.stack([d.pixel_array * d.RescaleSlope + d.RescaleIntercept for d in datasets])
    affine = np.eye(4)
    affine[:3, 0] = np.subtract(datasets[1].ImagePositionPatient, datasets[0].ImagePositionPatient)
    orientation = np.array(datasets[0].ImageOrientationPatient, float)
    affine[:3, 1] = orientation[3:] * float(datasets[0].PixelSpacing[0])
    affine[:3, 2] = orientation[:3] * float(datasets[0].PixelSpacing[1])
    affine[:3, 3] = datasets[0].ImagePositionPatient
    return hu, Grid(shape=hu.shape, affine=affine), datasets


def found_landmark(hu: np.ndarray, grid: Grid) -> np.ndarray:
    """Centre of mass of the blob over the smooth background, in LPS mm."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    lps = lps_from_index(grid.affine, index)
    close = np.linalg.norm(lps - np.array(LANDMARK), axis=-1) < 9.0
    background = signals.linear(lps) + INTERCEPT
    return signals.centre_of_mass(
        np.where(close, np.clip(hu - background, 0, None), 0), grid.affine
    )


def landmarked(kind: str) -> MrSeries:
    """Make a series of a kind, with a landmark."""
    options: dict[str, Any] = {
        "landmark_mm": LANDMARK,
        "landmark_sigma_mm": 2.5,
        "signal": signals.linear,
    }
    if kind == "enhanced":
        return enhanced_mr(FINE, (1.0, 1.0, 1.0), "sagittal", reverse=True, **options)
    if kind == "anisotropic":
        return mr_series((34, 120, 80), (3.0, 0.8, 1.2), "axial", **options)
    orientation, _, reverse = kind.partition("-")
    return mr_series(FINE, (1.1, 0.9, 0.9), orientation, reverse=bool(reverse), **options)


KINDS = (
    "axial", "axial-reversed", "sagittal", "sagittal-reversed", "coronal", "coronal-reversed",
    "oblique", "double_oblique", "anisotropic", "enhanced",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_landmark_stays_where_it_is(kind: str, tmp_path: Path, config: Path) -> None:
    """Within 0.1 mm, whatever the orientation of the MR."""
    landmarked(kind).write(tmp_path / "mr")

    status = convert(tmp_path / "mr", tmp_path / "out", config)

    assert status == 0
    hu, grid, _ = read_ct(tmp_path / "out")
    assert np.linalg.norm(found_landmark(hu, grid) - LANDMARK) < 0.1


@pytest.mark.long
def test_hu_of_an_axial_series_are_exact(tmp_path: Path, config: Path) -> None:
    """No resampling, integers in, integers out."""
    series = mr_series(FINE, (1.0, 1.0, 1.0))
    series.write(tmp_path / "mr")

    convert(tmp_path / "mr", tmp_path / "out", config)

    hu, grid, _ = read_ct(tmp_path / "out")
    assert np.allclose(grid.affine, series.grid.affine, atol=1e-3)
    assert np.array_equal(hu, np.clip(series.values * SLOPE + INTERCEPT, -1024, 3071))


@pytest.mark.long
def test_flips_are_a_setting_and_make_another_sct(tmp_path: Path) -> None:
    """The answer is averaged with its mirror image; whatever changes pixels changes the UIDs."""
    write_affine_model(tmp_path / "onnx", slope=SLOPE, intercept=INTERCEPT)
    mr_series(FINE, (1.0, 1.0, 1.0)).write(tmp_path / "mr")
    told = []
    for flips in ("false", "true"):
        config = tmp_path / f"{flips}.toml"
        config.write_text(f'[inference]\nproviders = ["cpu"]\nflips = {flips}\n')
        assert convert(tmp_path / "mr", tmp_path / flips, config) == 0
        (report,) = (tmp_path / flips).glob("*/report.json")
        told.append((json.loads(report.read_text()), read_ct(tmp_path / flips)[2][0]))

    (plain, one), (both, other) = told
    assert "mirror image" not in plain["runtime"]
    assert "mirror image" in both["runtime"]
    assert one.SeriesInstanceUID != other.SeriesInstanceUID


@pytest.mark.long
def test_hu_are_rounded_to_the_nearest(tmp_path: Path) -> None:
    """Never down: that would darken every sCT by half a unit."""
    write_affine_model(tmp_path / "onnx", slope=0.75, intercept=INTERCEPT)
    (tmp_path / "node.toml").write_text('[inference]\nproviders = ["cpu"]\n')
    series = mr_series(FINE, (1.0, 1.0, 1.0))
    series.write(tmp_path / "mr")

    convert(tmp_path / "mr", tmp_path / "out", tmp_path / "node.toml")

    hu, _, _ = read_ct(tmp_path / "out")
    assert np.array_equal(hu, np.clip(np.rint(series.values * 0.75 + INTERCEPT), -1024, 3071))


@pytest.mark.long
def test_the_series_belongs_to_the_patient_and_space_of_the_mr(
    tmp_path: Path, config: Path
) -> None:
    """Same patient, study and frame of reference; a new series, derived and synthetic."""
    datasets = mr_series().datasets
    mr_series().write(tmp_path / "mr")

    convert(tmp_path / "mr", tmp_path / "out", config)

    _, _, made = read_ct(tmp_path / "out")
    for keyword in (
        "PatientName",
        "PatientID",
        "StudyInstanceUID",
        "FrameOfReferenceUID",
        "SpecificCharacterSet",
        "AccessionNumber",
    ):
        assert made[0][keyword].value == datasets[0][keyword].value
    assert made[0].SeriesInstanceUID != datasets[0].SeriesInstanceUID
    assert list(made[0].ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert made[0].SyntheticData == "YES"
    assert len(made[0].SourceImageSequence) == len(datasets)


@pytest.mark.long
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, config: Path) -> None:
    """Every file of two conversions is equal, report included."""
    source = tmp_path / "mr"
    mr_series(orientation="oblique").write(source)

    convert(source, tmp_path / "a", config)
    convert(source, tmp_path / "b", config)

    first = {p.relative_to(tmp_path / "a"): p.read_bytes() for p in (tmp_path / "a").rglob("*.*")
             if p.is_file()}  # fmt: skip
    second = {p.relative_to(tmp_path / "b"): p.read_bytes() for p in (tmp_path / "b").rglob("*.*")
              if p.is_file()}  # fmt: skip
    assert len(first) > 10
    assert first == second


@pytest.mark.long
def test_a_series_that_lies_there_corrected_too_is_refused(tmp_path: Path, config: Path) -> None:
    """Which of the two patients is right nobody here can say: no sCT is made of either."""
    source = tmp_path / "mr"
    mr_series().write(source / "a")
    for path in mr_series().write(source / "b"):
        corrected = pydicom.dcmread(path)
        corrected.PatientID, corrected.SeriesInstanceUID = "RIGHT", "2.25.99"
        corrected.save_as(path)

    assert convert(source, tmp_path / "out", config) == 3
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.long
def test_a_repeat_that_says_the_same_is_no_fault(tmp_path: Path, config: Path) -> None:
    """However it is encoded, and wherever it was kept meanwhile."""
    source = tmp_path / "mr"
    mr_series().write(source)
    again = pydicom.dcmread(source / "0003.dcm")
    again.RetrieveAETitle, again.PatientName = "ARCHIVE", f"{again.PatientName}^"
    again.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    again.save_as(source / "again.dcm")

    assert convert(source, tmp_path / "out", config) == 0


@pytest.mark.long
def test_a_byte_identical_repeat_is_no_fault(tmp_path: Path, config: Path) -> None:
    """The other bytes under the same UID are."""
    source = tmp_path / "mr"
    mr_series().write(source)
    again = (source / "0003.dcm").read_bytes()
    (source / "again.dcm").write_bytes(again)
    assert convert(source, tmp_path / "a", config) == 0

    other = pydicom.dcmread(io.BytesIO(again))
    other.PixelData = bytes(len(other.PixelData))
    other.save_as(source / "again.dcm")
    assert convert(source, tmp_path / "b", config) == 3
    assert not list((tmp_path / "b").glob("*"))


def test_bad_files_are_named_and_nothing_is_half_written(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty file, one that is no DICOM, and one cut in its header."""
    folder = tmp_path / "mr"
    folder.mkdir()
    whole = mr_series().files()[0]
    (folder / "empty.dcm").write_bytes(b"")
    (folder / "text.dcm").write_bytes(b"hello" * 100)
    (folder / "cut.dcm").write_bytes(whole[:420])

    status = convert(folder, tmp_path / "out", config)

    text = capsys.readouterr().out
    assert status == 3
    assert all(code in text for code in ("FILE_EMPTY", "FILE_NOT_DICOM", "FILE_TRUNCATED"))
    assert not (tmp_path / "out").exists()


def test_a_missing_folder_is_wrong_usage(tmp_path: Path, config: Path) -> None:
    """Exit status 2, with a sentence."""
    assert convert(tmp_path / "nowhere", tmp_path / "out", config) == 2


@pytest.mark.long
def test_companions_lie_beside_the_ct(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder each; one that cannot be made is told, and the CT is converted all the same."""
    series = mr_series(FINE, (1.0, 1.0, 1.0))
    series.write(tmp_path / "mr")

    assert convert(tmp_path / "mr", tmp_path / "out", config) == 0

    (folder,) = (tmp_path / "out").iterdir()
    kinds = {p.parent.name: pydicom.dcmread(p) for p in folder.glob("*/0001.dcm")}
    assert {k: str(d.Modality) for k, d in kinds.items()} == {
        "ct": "CT", "rtstruct": "RTSTRUCT", "report": "SR", "page": "OT", "pdf": "DOC",
    }  # fmt: skip
    assert {d.StudyInstanceUID for d in kinds.values()} == {kinds["ct"].StudyInstanceUID}
    (stack,) = json.loads(capsys.readouterr().out)["stacks"]
    left_out = [f for f in stack["findings"] if f["code"] == "CONTOUR_LEFT_OUT"]
    names = {r.ROIName for r in kinds["rtstruct"].StructureSetROISequence}
    assert names | {f["values"]["structure"] for f in left_out} == {"BODY", "BONE", "AIR"}
    assert stack["verdict"] == "converted"


def test_a_report_tells_where_the_worst_place_is() -> None:
    """The position of a finding is in ``--json`` and in report.json as it is in the database."""
    placed = finding("FILES_BESIDE", files=["a"], where_mm=(1.0, -2.5, 30.0))
    report = StackReport(
        series_instance_uid="1.2",
        verdict="held",
        findings=(placed,),
        output=None,
        sct_series_instance_uid=None,
    )

    (told,) = report.as_json()["findings"]

    assert told["where_mm"] == [1.0, -2.5, 30.0]
    assert read_finding(told) == placed
