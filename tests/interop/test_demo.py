"""What a newcomer runs first."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from node.demo.canvas import Tissue
from node.demo.phantom import Head, make_head
from node.demo.series import write_series
from node.dicom.headers import read_instance
from node.dicom.pixels import mr_volume
from node.domain.checks.rules import Rules
from node.domain.geometry import index_from_lps
from node.pipeline import collect, examine
from tests.peers.dciodvfy import run_dciodvfy
from tests.phantoms.mr import mr_series
from tests.phantoms.tiny_onnx import write_affine_model


@pytest.fixture(scope="module")
def head() -> Head:
    """Make a coarse phantom."""
    return make_head((64, 64, 48), 4.0)


def _demo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    write_affine_model(folder / "onnx", slope=0.5, intercept=-300.0, spacing_mm=4.0)
    return subprocess.run(
        [sys.executable, "-m", "node", "demo", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _processes_naming(text: str) -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return [line for line in lines if text in line]


@pytest.mark.slow
@pytest.mark.interop
def test_demo_brings_a_series_of_ones_own_back_as_sct(tmp_path: Path) -> None:
    """The demo pushes a folder, receives its sCT, draws it, and leaves nothing running."""
    series = mr_series((40, 60, 60), (3.0, 3.0, 3.0), "sagittal")
    series.write(tmp_path / "mine")

    done = _demo(tmp_path, "mine")

    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "demo-output"
    arrived = [pydicom.dcmread(path) for path in (out / "sct").iterdir()]
    assert f"slices     {len(arrived)} of" in done.stdout
    assert {d.FrameOfReferenceUID for d in arrived} == {series.datasets[0].FrameOfReferenceUID}
    with Image.open(out / "demo.png") as picture:
        assert np.asarray(picture).std() > 10
    assert _processes_naming(str(out)) == []


@pytest.mark.slow
@pytest.mark.interop
def test_demo_says_why_a_series_was_refused(tmp_path: Path) -> None:
    """A series the node refuses ends the demo with 3 and the finding in words."""
    mr_series(tags={"PatientPosition": "HFP"}).write(tmp_path / "mine")

    done = _demo(tmp_path, "mine")

    assert done.returncode == 3
    assert "PATIENT_POSITION" in done.stderr
    assert "Traceback" not in done.stderr


def test_demo_touches_no_folder_of_others(tmp_path: Path) -> None:
    """A folder that no demo made is left alone."""
    kept = tmp_path / "out" / "precious.txt"
    kept.parent.mkdir()
    kept.write_text("mine")

    done = _demo(tmp_path, "--out", str(kept.parent))

    assert done.returncode == 2
    assert kept.read_text() == "mine"


def test_demo_names_a_folder_without_mr(tmp_path: Path) -> None:
    """A folder without MR images is bad usage, said in a sentence."""
    (tmp_path / "empty").mkdir()

    done = _demo(tmp_path, "empty")

    assert done.returncode == 2
    assert "holds no MR image" in done.stderr


def test_phantom_series_lies_where_the_phantom_is(tmp_path: Path, head: Head) -> None:
    """The written sagittal series, read by the node, gives each voxel its own place and signal."""
    paths = write_series(head, tmp_path)

    datasets = {str(d.SOPInstanceUID): d for d in map(pydicom.dcmread, paths)}
    (examined,) = examine(collect(map(read_instance, datasets.values())), Rules())
    volume = mr_volume(examined.stack, datasets)

    assert examined.findings == ()
    for z, y, x in ((10, 20, 30), (40, 12, 5), (33, 50, 41)):
        place = np.array(head.first_mm) + head.spacing_mm * np.array((x, y, z))
        s, r, c = np.round(index_from_lps(volume.affine, place)).astype(int)
        assert volume.values[s, r, c] == np.round(head.signal[z, y, x])


def test_phantom_has_the_parts_of_a_head(head: Head) -> None:
    """Brain lies inside bone, air inside the face, fat outside."""
    share = np.bincount(head.tissue.ravel(), minlength=len(Tissue)) / (head.tissue > 0).sum()

    assert 0.1 < share[Tissue.WHITE] + share[Tissue.GREY] < 0.5
    assert 0.04 < share[Tissue.BONE] + share[Tissue.MARROW] < 0.3
    x, y, z = (np.round((np.array((0, -30, -15)) - head.first_mm) / head.spacing_mm)).astype(int)
    assert (head.tissue[z - 8 : z, y - 6 : y + 6, x - 3 : x + 3] == Tissue.AIR).any()


@pytest.mark.interop
def test_phantom_series_is_valid(tmp_path: Path, head: Head) -> None:
    """Dciodvfy has nothing against the pushed MR images."""
    paths = write_series(head, tmp_path)

    assert [run_dciodvfy(path).errors for path in (paths[0], paths[-1])] == [(), ()]
