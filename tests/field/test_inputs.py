"""Real series with headers as they were met elsewhere, through ``convert``."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from tests.peers.dciodvfy import run_dciodvfy
from tests.phantoms.tiny_onnx import write_affine_model
from tests.realdata import unpack

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # pydicom's, of what is wrong on purpose
]


def converted(
    name: str, real_data: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, list[dict[str, Any]], list[Path]]:
    """Status, stacks and CT files of one of the packed inputs."""
    archive = real_data.parent / "field" / f"{name}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive.name} beside the checkout")
    unpack(archive, folder / "mr")
    write_affine_model(folder / "onnx", intercept=-1000, spacing_mm=3.0)
    (folder / "node.toml").write_text('[inference]\nproviders = ["cpu"]\n')
    capsys.readouterr()
    status = main(
        ["convert", str(folder / "mr"), str(folder / "out"), "--json",
         "--config", str(folder / "node.toml")]
    )  # fmt: skip
    stacks = json.loads(capsys.readouterr().out)["stacks"]
    return status, stacks, sorted((folder / "out").glob("*/ct/*.dcm"))


def codes(stack: dict[str, Any]) -> set[str]:
    """What is said of a stack."""
    return {found["code"] for found in stack["findings"]}


def test_a_character_set_with_a_hyphen(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pydicom 695: ISO-IR 100 is read as ISO_IR 100, told, and written right."""
    status, (stack,), files = converted("04a-charset-ISO-IR-100", real_data, tmp_path, capsys)

    assert (status, stack["verdict"]) == (0, "converted")
    assert "CHARACTER_SET_READ" in codes(stack)
    assert run_dciodvfy(files[0]).errors == ()


def test_a_frame_of_reference_with_letters(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pynetdicom 549: refused with its value before any work, no defect after it."""
    status, (stack,), files = converted("07b-FoR-not-uid", real_data, tmp_path, capsys)

    assert (status, stack["verdict"], files) == (3, "refused", [])
    (found,) = (f for f in stack["findings"] if f["code"] == "UID_INVALID")
    assert "FrameOfReferenceUID" in found["sentence"]
    assert "ANON" in found["sentence"]


def test_such_a_series_beside_a_good_one(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The good one is converted, and told beside the other."""
    status, stacks, files = converted("17-two-series", real_data, tmp_path, capsys)

    assert (status, sorted(s["verdict"] for s in stacks)) == (3, ["converted", "refused"])
    assert run_dciodvfy(files[0]).errors == ()


def test_four_files_with_an_unknown_representation(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a private group it is passed: all 35 images make the synthetic CT."""
    status, (stack,), files = converted("29-vr-unknown", real_data, tmp_path, capsys)

    assert (status, stack["verdict"]) == (0, "converted")
    assert not codes(stack) & {"FILE_TRUNCATED", "FILE_MALFORMED", "FILES_BESIDE"}
    assert run_dciodvfy(files[0]).errors == ()
