"""One broken series or file never ends the conversion of its neighbours."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.cli import main
from node.domain.errors import Retryable
from node.infer.generator import Generator
from tests.phantoms.mr import mr_series, uid, write
from tests.phantoms.raw import with_tag
from tests.phantoms.tiny_onnx import write_affine_model

SHAPE, SPACING_MM = (24, 24, 24), (4.0, 6.0, 6.0)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a site whose only model is arithmetic."""
    folder = tmp_path_factory.mktemp("site")
    write_affine_model(folder / "onnx", intercept=-1000, spacing_mm=4.0)
    file = folder / "node.toml"
    file.write_text('[inference]\nproviders = ["cpu"]\n')
    return file


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Write three series, each in a folder of its own."""
    for name in ("a", "b", "c"):
        mr_series(SHAPE, SPACING_MM, name=name).write(tmp_path / "mr" / name)
    return tmp_path / "mr"


def convert(
    source: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str | None, dict[str, Any]]]:
    """Run the command; its status and its stacks by series."""
    capsys.readouterr()
    target = source.parent / "out"
    status = main(["convert", str(source), str(target), "--config", str(config), "--json"])
    stacks = json.loads(capsys.readouterr().out)["stacks"]
    return status, {stack["series_instance_uid"]: stack for stack in stacks}


def codes(stack: dict[str, Any]) -> set[str]:
    """What is said of a stack."""
    return {found["code"] for found in stack["findings"]}


@pytest.mark.long
@pytest.mark.parametrize("fault", [ZeroDivisionError("x"), MemoryError(), Retryable("No memory.")])
def test_a_defect_in_one_series_is_its_own_verdict(
    fault: Exception,
    three: Path,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Status 1; the others are converted and told; nothing half-written is left of it."""
    honest, calls = Generator.synthesise, []

    def second_fails(self: Generator, *args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise fault
        return honest(self, *args, **more)

    monkeypatch.setattr(Generator, "synthesise", second_fails)

    status, stacks = convert(three, config, capsys)

    verdicts = sorted(stack["verdict"] for stack in stacks.values())
    assert (status, verdicts) == (1, ["converted", "converted", "failed"])
    (failed,) = (stack for stack in stacks.values() if stack["verdict"] == "failed")
    assert codes(failed) == {"NODE_DEFECT"}
    assert len(list((three.parent / "out").iterdir())) == 2


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_series_that_no_ct_can_name_leaves_the_others(
    three: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A frame of reference of letters, in a folder with sound series."""
    broken = mr_series(SHAPE, SPACING_MM, name="d", tags={"FrameOfReferenceUID": "1.2.3.ANON"})
    write(broken.datasets, three / "d")

    status, stacks = convert(three, config, capsys)

    assert status == 3
    assert codes(stacks.pop(uid("d", "series"))) >= {"UID_INVALID"}
    assert {stack["verdict"] for stack in stacks.values()} == {"converted"}


@pytest.mark.long
def test_a_huge_file_is_named_and_not_read(
    three: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither one that is no DICOM, nor one that says it is."""
    for name, start in (("noise.bin", b"x" * 200), ("huge.dcm", bytes(128) + b"DICM")):
        with (three / name).open("wb") as file:
            file.write(start)
            file.truncate(200 << 30)

    status, _ = convert(three, config, capsys)

    assert status == 3


@pytest.mark.long
def test_a_file_that_may_not_be_read_holds_the_series_beside_it(
    three: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be an image of it; series in other folders are converted."""
    last = three / "a" / "0024.dcm"
    last.unlink()
    last.symlink_to("/proc/self/mem")  # reading its first byte is an input/output error

    status, stacks = convert(three, config, capsys)

    assert status == 3
    assert codes(stacks[None]) == {"FILE_UNREADABLE"}
    assert stacks[uid("a", "series")]["verdict"] == "held"
    assert stacks[uid("b", "series")]["verdict"] == "converted"


@pytest.mark.long
def test_a_file_cut_off_holds_the_series_beside_it(
    three: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last slice of a stack leaves no gap."""
    last = three / "a" / "0024.dcm"
    last.write_bytes(last.read_bytes()[:700])

    status, stacks = convert(three, config, capsys)

    assert status == 3
    assert codes(stacks[None]) == {"FILE_TRUNCATED"}
    assert stacks[uid("a", "series")]["verdict"] == "held"
    assert "FILES_BESIDE" in codes(stacks[uid("a", "series")])
    assert stacks[uid("b", "series")]["verdict"] == "converted"


@pytest.mark.long
@pytest.mark.parametrize(("vr", "length"), [("??", 2), ("??", 30), ("ox", 2)])
def test_an_unknown_representation_of_a_private_element_is_passed(
    vr: str, length: int, three: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is used; what follows it is."""
    for path in sorted((three / "a").iterdir())[20:]:
        path.write_bytes(with_tag(path.read_bytes(), 0x00191001, vr, b"a" * length))

    status, stacks = convert(three, config, capsys)

    assert status == 0
    assert stacks[uid("a", "series")]["verdict"] == "converted"


@pytest.mark.long
def test_an_unknown_representation_of_a_standard_element_is_named(
    three: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its meaning would be a guess; the sentence says which element and what stands there."""
    last = three / "a" / "0024.dcm"
    last.write_bytes(with_tag(last.read_bytes(), 0x00180050, "??", b"4 "))

    _, stacks = convert(three, config, capsys)

    (found,) = stacks[None]["findings"]
    assert found["code"] == "FILE_MALFORMED"
    assert "(0018,0050) VR '??'" in found["sentence"]
