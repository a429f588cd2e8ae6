"""Public reports, tried through ``convert``: what is made is right, what is not is told."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from node.cli import main
from tests.field.heads import head, write_model, write_part10
from tests.field.reports import MADE, NOT_MADE, REPORTS, Report
from tests.peers.dciodvfy import run_dciodvfy

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, of what is wrong on purpose
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a site whose only model is arithmetic with limits that a trunk keeps."""
    folder = tmp_path_factory.mktemp("site")
    write_model(folder / "onnx")
    file = folder / "node.toml"
    file.write_text('[inference]\nproviders = ["cpu"]\n')
    return file


def _hu(made: list[FileDataset]) -> np.ndarray:
    ordered = sorted(made, key=lambda d: float(d.ImagePositionPatient[2]))
    return np.stack([d.pixel_array * d.RescaleSlope + d.RescaleIntercept for d in ordered])


def _read(target: Path) -> list[FileDataset]:
    return [pydicom.dcmread(path) for path in sorted(target.glob("*/ct/*.dcm"))]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, config: Path) -> np.ndarray:
    """HU of the sCT of the series as it is when nothing is wrong with it."""
    folder = tmp_path_factory.mktemp("clean")
    write_part10(folder / "mr", head("clean"))
    assert main(["convert", str(folder / "mr"), str(folder / "out"), "--config", str(config)]) == 0
    return _hu(_read(folder / "out"))


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.source)
def test_a_report_of_others(
    report: Report,
    config: Path,
    clean: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As expected, told with a code and a sentence, and what is made is valid."""
    given = report.write(tmp_path / "mr")
    capsys.readouterr()

    arguments = ["convert", str(tmp_path / "mr"), str(tmp_path / "out"), "--config", str(config)]
    status = main([*arguments, "--json"])

    stacks = json.loads(capsys.readouterr().out)["stacks"]
    converted = [s for s in stacks if s["verdict"] == "converted"]
    others = [s for s in stacks if s["verdict"] != "converted"]
    told = [(s["verdict"], [f["code"] for f in s["findings"]]) for s in stacks]
    made = _read(tmp_path / "out")
    assert status in (0, 3), told
    assert all(s["findings"] for s in others), told
    assert len(converted) == report.made or report.expect != MADE, told
    assert not converted or report.expect != NOT_MADE, told
    assert converted or others, told
    if converted:
        report.also(given, made)
        assert not report.same_hu or np.array_equal(_hu(made), clean)
        for dataset in made[:1]:
            assert run_dciodvfy(Path(str(dataset.filename))).errors == ()
