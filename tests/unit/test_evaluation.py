"""`pctnode evaluate` on pairs whose figures are known by arithmetic."""

import json
from pathlib import Path

import numpy as np
import pytest

from node.cli import main
from node.domain.volume import Unit, Volume
from node.infer.files import write_image
from tests.phantoms.mr import mr_series
from tests.phantoms.signals import Signal


def ball(extra_hu: float) -> Signal:
    """HU of a 30 mm ball of water with a bone shell, ``extra_hu`` brighter inside."""

    def signal(lps_mm: np.ndarray) -> np.ndarray:
        radius = np.linalg.norm(lps_mm, axis=-1)
        inside = np.where(radius > 24, 800.0, 0.0) + extra_hu
        return np.asarray(np.where(radius < 30, inside, -1000.0))

    return signal


def folder(path: Path, extra_hu: float = 0.0, orientation: str = "axial") -> Path:
    """A folder of DICOM CT files."""
    made = mr_series(
        shape=(44, 60, 60),
        spacing_mm=(2.0, 1.5, 1.5),
        signal=ball(extra_hu),
        rescale=lambda _n: (1.0, -1024.0),
        tags={"Modality": "CT"},
        name=path.name,
        orientation=orientation,
    )
    made.write(path)
    return path


@pytest.mark.long
def test_twenty_hu_too_bright_is_twenty_hu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The MAE is the offset; both ranges are told; bone is where it was."""
    sct, ct = folder(tmp_path / "sct", 20), folder(tmp_path / "ct")
    page = tmp_path / "report.html"

    status = main(["evaluate", str(sct), str(ct), "--json", "--html", str(page)])

    told = json.loads(capsys.readouterr().out)
    assert status == 0
    assert told["mae_hu"] == pytest.approx(20, abs=1)
    assert told["mean_error_hu"] == pytest.approx(20, abs=1)
    assert told["psnr_4095_db"] - told["psnr_4024_db"] == pytest.approx(0.152, abs=1e-3)
    assert told["shapes"][0]["dice"] == 1.0
    assert [p["beam"] for p in told["paths"]] == ["front", "back", "right", "left"]
    assert all(p["mean_mm"] > 0 for p in told["paths"])
    assert page.read_text().count("data:image/png;base64,") == 9
    assert "R = 4024" in page.read_text()


@pytest.mark.long
def test_another_lattice_is_resampled_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sagittal copy of the same ball agrees but for the blur of its edges."""
    sct = folder(tmp_path / "sct", orientation="sagittal")
    ct = folder(tmp_path / "ct")

    main(["evaluate", str(sct), str(ct), "--json"])

    told = json.loads(capsys.readouterr().out)
    assert told["shapes"][0]["dice"] > 0.85
    assert any("resampled" in note for note in told["notes"])


def test_a_mask_file_decides_what_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Image files do as well as DICOM; outside the mask nothing counts."""
    values = np.zeros((30, 30, 30), np.float32)
    wrong = values.copy()
    wrong[:, :15] = 500
    mask = np.zeros((30, 30, 30), np.float32)
    mask[5:25, 18:28, 5:25] = 1
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.eye(3))
    for name, array in (("ct", values), ("sct", wrong), ("mask", mask)):
        volume = Volume(values=array, affine=affine, frame_of_reference_uid="", unit=Unit.HU)
        write_image(tmp_path / f"{name}.mha", volume)

    paths = [str(tmp_path / f"{name}.mha") for name in ("sct", "ct", "mask")]
    status = main(["evaluate", paths[0], paths[1], "--mask", paths[2]])

    assert status == 0
    assert "mae_hu           0\n" in capsys.readouterr().out


@pytest.mark.long
def test_a_folder_without_a_ct_says_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage ends with 2 and a sentence."""
    (tmp_path / "empty").mkdir()

    status = main(["evaluate", str(tmp_path / "empty"), str(folder(tmp_path / "ct"))])

    assert status == 2
    assert "0 CT series" in capsys.readouterr().err
