"""Cases of the field through ``convert``: what is copied, what one fault does to its neighbours.

What other software met is in `tests.field.test_reports`; these are the kinds that the node got
wrong itself.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset

from node.cli import main
from tests.field.heads import SLICES, all_changed, changed, head, write_model, write_part10
from tests.field.reports import before_rows, raw
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


class Convert:
    """Runs the command on slices, and keeps what it said."""

    def __init__(self, folder: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder, self._config, self._capsys = folder, config, capsys

    def __call__(self, *series: Sequence[FileDataset]) -> tuple[int, list[dict[str, Any]]]:
        """Exit status and stacks of a folder with every one of ``series``."""
        for number, slices in enumerate(series):
            write_part10(self._folder / "mr" / str(number), slices)
        return self.again()

    def again(self) -> tuple[int, list[dict[str, Any]]]:
        """The same on what lies in the folder now."""
        mr, out = str(self._folder / "mr"), str(self._folder / "out")
        self._capsys.readouterr()
        status = main(["convert", mr, out, "--config", str(self._config), "--json"])
        told = self._capsys.readouterr()
        assert "Traceback" not in told.err
        return status, json.loads(told.out)["stacks"]

    @property
    def made(self) -> list[FileDataset]:
        """Slices of the CTs."""
        return [pydicom.dcmread(path) for path in sorted(self._folder.glob("out/*/ct/*.dcm"))]


@pytest.fixture
def convert(tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> Convert:
    """Give the command with its folder."""
    return Convert(tmp_path, config, capsys)


# pydicom 695, 736, pynetdicom 201; pynetdicom 549; a DICOM anonymiser 8, 16; OHIF 335; ACR-NEMA.
COPIED = {
    "charset with a hyphen": ("SpecificCharacterSet", "CS", b"ISO-IR 100"),
    "charset of nobody": ("SpecificCharacterSet", "CS", b"ISO_IR 999"),
    "frame of 76 characters": ("FrameOfReferenceUID", "UI", b"1.2.840." + b"1" * 68),
    "frame with letters": ("FrameOfReferenceUID", "UI", b"1.3.12.2.1107.5.2.43.67060.ANON"),
    "software of 79 characters": ("SoftwareVersions", "LO", b"syngo MR " + b"E" * 70),
    "date of stars": ("StudyDate", "DA", b"***"),
    "date with points": ("StudyDate", "DA", b"2022.04.07"),
    "date with a blank": ("StudyDate", "DA", b"20220407 "),
}


@pytest.mark.parametrize("what", COPIED)
def test_what_the_writer_copies_is_valid_or_refused(what: str, convert: Convert) -> None:
    """A valid sCT, or a finding with a code: never a defect, and never an invalid object."""
    status, stacks = convert(raw(*COPIED[what])(head(what)))

    (stack,) = stacks
    assert status == (0 if stack["verdict"] == "converted" else 3)
    assert stack["verdict"] == "converted" or stack["findings"]
    for dataset in convert.made:
        assert run_dciodvfy(Path(str(dataset.filename))).errors == ()


@pytest.mark.parametrize("what", COPIED)
def test_a_bad_series_leaves_its_neighbour_alone(what: str, convert: Convert) -> None:
    """The good series of the folder is made and told of, whatever becomes of the other."""
    good = head("good beside " + what)

    _, stacks = convert(raw(*COPIED[what])(head(what)), good)

    told = {stack["series_instance_uid"]: stack["verdict"] for stack in stacks}
    assert told[str(good[0].SeriesInstanceUID)] == "converted"
    assert len(told) == 2


def test_an_echo_time_at_a_rounding_edge_is_one_volume(convert: Convert) -> None:
    """EchoTime 2.9499 and 2.9501, in turns: dcm2niix's "echo varies"."""
    slices = [
        changed(d, EchoTime=("2.9499", "2.9501")[n % 2]) for n, d in enumerate(head("jitter"))
    ]

    status, stacks = convert(slices)

    assert [stack["verdict"] for stack in stacks] == ["converted"]
    assert status == 0
    assert len(convert.made) == SLICES


def test_two_echoes_are_two_volumes(convert: Convert) -> None:
    """2.46 and 4.92 ms are no jitter."""
    first = all_changed(head("echoes"), EchoTime="2.46")
    second = [
        changed(d, EchoTime="4.92", SOPInstanceUID=f"{d.SOPInstanceUID}.2"[:64], InstanceNumber=n)
        for n, d in enumerate(first, start=100)
    ]

    _, stacks = convert([*first, *second])

    assert len(stacks) == 2


def _codes(stacks: list[dict[str, Any]]) -> set[str]:
    return {finding["code"] for stack in stacks for finding in stack["findings"]}


def _sentences(stacks: list[dict[str, Any]]) -> str:
    told = [f"{f['sentence']} {f['remedy']}" for stack in stacks for f in stack["findings"]]
    return " ".join(told)


def test_a_missing_temporal_position_is_not_a_missing_slice(convert: Convert) -> None:
    """OHIF 1066, dwv 1490: TemporalPositionIdentifier is absent in one slice."""
    slices = all_changed(
        head("temporal"), TemporalPositionIdentifier=1, NumberOfTemporalPositions=1
    )
    slices[7] = changed(slices[7], TemporalPositionIdentifier=None)

    _, stacks = convert(slices)

    assert "SLICE_GAP" not in _codes(stacks)
    assert all(s["verdict"] == "converted" for s in stacks) or "Temporal" in _sentences(stacks)


def test_an_empty_patient_position_in_some_slices_is_named(convert: Convert) -> None:
    """dcm2niix 642: no advice to plan on a CT where PatientPosition is empty in two slices."""
    slices = head("position")
    slices[3], slices[4] = (changed(d, PatientPosition="") for d in slices[3:5])

    _, stacks = convert(slices)

    assert all(stack["verdict"] in ("refused", "held") for stack in stacks)
    assert "PatientPosition" in _sentences(stacks)
    assert "on a ct" not in _sentences(stacks).lower()


def test_an_unknown_vr_is_not_called_a_cut_off_header(convert: Convert, tmp_path: Path) -> None:
    """VR ?? in a private group of four slices, as converters write it for what they do not know."""
    private = b"\x19\x00\x01\x10??\x02\x00ab"
    for path in write_part10(tmp_path / "mr", head("unknown vr"))[-4:]:
        data = path.read_bytes()
        at = data.index(b"\x20\x00\x0d\x00UI")
        path.write_bytes(data[:at] + private + data[at:])

    _, stacks = convert.again()

    assert "FILE_TRUNCATED" not in _codes(stacks)
    assert all(s["verdict"] == "converted" or s["findings"] for s in stacks)


def test_a_sequence_without_an_end_is_not_called_cut_off(convert: Convert, tmp_path: Path) -> None:
    """fo-dicom 1157: an item that ends with its sequence; the file is whole."""
    unended = (
        b"\x27\x00\x10\x00LO\x06\x00FIELD "
        b"\x27\x00\x01\x10SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
        b"\x27\x00\x02\x10LO\x02\x00ab\xfe\xff\xdd\xe0\0\0\0\0"
    )
    for path in write_part10(tmp_path / "mr", head("unended")):
        path.write_bytes(before_rows(unended)(path.read_bytes()))

    _, stacks = convert.again()

    assert "FILE_TRUNCATED" not in _codes(stacks)
    assert all(s["verdict"] == "converted" or s["findings"] for s in stacks)
