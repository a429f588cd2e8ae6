"""What is no head is refused for what it shows, though its header says it is one."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("torch")

from models.studies.faults_input import object_in
from node.cli import main
from tests.phantoms.mr import mr_series
from tests.phantoms.signals import Points
from tests.realdata import unpack

ONNX = Path(__file__).parents[2] / "onnx"
HEADLIKE = {
    "PatientName": "DOE^JANE",
    "PatientID": "4711",
    "PatientSex": "F",
    "PatientAge": "045Y",
    "PatientWeight": "70",
    "BodyPartExamined": "HEAD",
    "StudyDescription": "MR Brain",
    "SeriesDescription": "T1 MPRAGE",
    "ProtocolName": "T1 MPRAGE",
}


def codes(folder: Path, target: Path, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Convert with the model the node ships; the codes that stopped it."""
    config = target.parent / "node.toml"
    config.write_text(f'[inference]\nproviders = ["cpu"]\nmodels_dir = "{ONNX}"\n')
    main(["convert", str(folder), str(target), "--config", str(config), "--json"])
    (stack,) = json.loads(capsys.readouterr().out)["stacks"]
    return {f["code"] for f in stack["findings"] if f["severity"] in ("hold", "refuse")}


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.slow
def test_a_grid_phantom_with_a_patients_header_is_no_head(
    tmp_path: Path, real_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own header would refuse it before synthesis; here only its image can."""
    name = "ge-pioneer-mprage-grid-phantom-double-oblique.tar.xz"
    unpack(real_data / "mr-not-a-head" / name, tmp_path / "mr")
    for path in (tmp_path / "mr").rglob("*"):
        if path.is_file():
            dataset = pydicom.dcmread(path)
            for keyword, value in HEADLIKE.items():
                setattr(dataset, keyword, value)
            dataset.save_as(path)

    assert "NOT_BODY_REGION" in codes(tmp_path / "mr", tmp_path / "out", capsys)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["melon", "grid"])
def test_a_fruit_and_a_phantom_made_by_code_are_no_heads(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A melon has rind, flesh and seeds, and is as round as a head."""
    shape = (90, 110, 90)
    values = object_in(kind, 5, (180, 220, 180))[::2, ::2, ::2]

    def signal(points_mm: Points) -> np.ndarray:
        x, y, z = (
            np.rint(p / 2.0 + (n - 1) / 2).astype(int)
            for p, n in zip(np.moveaxis(points_mm, -1, 0), shape[::-1], strict=True)
        )
        return np.asarray(values[z, y, x] * 900.0, np.float64)

    mr_series(shape, (2.0, 2.0, 2.0), signal=signal, tags=HEADLIKE).write(tmp_path / "mr")

    assert "NOT_BODY_REGION" in codes(tmp_path / "mr", tmp_path / "out", capsys)
