"""What we write against the IOD tables that ship with highdicom: an oracle beside dciodvfy."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from importlib.resources import files
from io import BytesIO
from typing import Any, TypeAlias

import pydicom
import pytest
from pydicom.dataset import Dataset

from node.cli import main
from node.dicom.withdrawal import withdrawal_notice
from tests.phantoms.mr import enhanced_mr, mr_series
from tests.phantoms.tiny_onnx import write_affine_model

Place: TypeAlias = tuple[tuple[str, ...], str]
"""Keywords of the sequences around an attribute, and its own."""

# Newer than the tables: SOP Common, type 3 (PS3.3 C.12.1); docs/dicom-output.md.
_NEWER = {((), "SyntheticData")}
# Its attributes hang on the value type of the content item (PS3.3 C.17.3), which no table says.
_BY_VALUE_TYPE = "sr-document-content"


def _table(name: str) -> Any:
    return json.loads(files("highdicom").joinpath(f"_standard/{name}.json").read_text("utf-8"))


class Iod:
    """The modules of the IOD that a SOP class stands for."""

    def __init__(self, sop_class_uid: str) -> None:
        modules = _table("iod_module_map")[_table("sop_class_iod_map")[sop_class_uid]]
        attributes = _table("module_attribute_map")
        self.types: dict[Place, set[str]] = {}
        """Of every attribute of any module."""
        self.mandatory: dict[Place, set[str]] = {}
        """Of the attributes of mandatory modules alone."""
        for module in modules:
            for row in attributes[module["key"]]:
                place = (tuple(row["path"]), row["keyword"])
                self.types.setdefault(place, set()).add(row["type"])
                if module["usage"] == "M" and module["key"] != _BY_VALUE_TYPE:
                    self.mandatory.setdefault(place, set()).add(row["type"])

    def faults(self, dataset: Dataset, path: tuple[str, ...] = ()) -> Iterator[str]:
        """What an item of ``path`` has and should not have, or lacks."""
        for element in dataset:
            place = (path, element.keyword)
            if place not in self.types and place not in _NEWER:
                yield f"{'.'.join((*path, element.keyword or str(element.tag)))} is in no module"
            if element.VR == "SQ":
                for item in element.value:
                    yield from self.faults(item, (*path, element.keyword))
        for (around, keyword), types in (self.types if path else self.mandatory).items():
            # Where modules differ the stricter one rules; within a sequence, one may not be used.
            kind = (max if path else min)(types)
            if around == path and kind in {"1", "2"}:
                yield from self._lacking(dataset, ".".join((*path, keyword)), kind)

    @staticmethod
    def _lacking(dataset: Dataset, name: str, kind: str) -> Iterator[str]:
        keyword = name.rpartition(".")[2]
        if keyword not in dataset:
            yield f"{name} is missing, type {kind}"
        elif kind == "1" and dataset[keyword].is_empty:
            yield f"{name} is empty, type 1"


@pytest.fixture(scope="module", params=["classic", "enhanced"])
def images(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[Dataset]:
    """The sCT of a phantom, by the command."""
    folder = tmp_path_factory.mktemp("iod")
    build = mr_series if request.param == "classic" else enhanced_mr
    build(orientation="coronal").write(folder / "mr")
    write_affine_model(folder / "onnx", intercept=-1000)
    (folder / "node.toml").write_text('[inference]\nproviders = ["cpu"]\n')
    words = ["convert", str(folder / "mr"), str(folder / "out")]
    assert main([*words, "--config", str(folder / "node.toml")]) == 0
    return [pydicom.dcmread(path) for path in sorted((folder / "out").glob("*/ct/*.dcm"))]


@pytest.mark.long
def test_every_ct_image_is_what_its_iod_says(images: list[Dataset]) -> None:
    """Type 1 there and not empty, type 2 there, and nothing that no module of CT Image has."""
    iod = Iod(str(images[0].SOPClassUID))

    # That all images have the same attributes, the gate has seen.
    some = (images[0], images[len(images) // 2], images[-1])
    assert len(images) >= 70
    assert {fault for image in some for fault in iod.faults(image)} == set()


@pytest.mark.long
def test_the_withdrawal_notice_is_what_its_iod_says(images: list[Dataset]) -> None:
    """A Key Object Selection document; its content tree is PS3.16 TID 2010's, not the tables'."""
    notice = withdrawal_notice(
        images[:3],
        concept="quality",
        reason="A step at the vertex",
        who="A. Physicist",
        successor_series_uid=None,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    dataset = pydicom.dcmread(BytesIO(notice.data))

    found = set(Iod(notice.sop_class_uid).faults(dataset))

    assert {fault for fault in found if not fault.startswith("ContentSequence.")} == set()


@pytest.mark.long
@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"KVP": None}, "KVP is missing, type 2"),
        ({"PatientPosition": "", "Rows": None}, "Rows is missing, type 1"),
        ({"EchoTime": "3"}, "EchoTime is in no module"),
        ({"ImageType": ""}, "ImageType is empty, type 1"),
    ],
)
def test_the_oracle_sees_faults(
    images: list[Dataset], change: Mapping[str, str | None], fault: str
) -> None:
    """One taken away, emptied, or of another IOD."""
    dataset = deepcopy(images[0])
    for keyword, value in change.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)

    assert fault in set(Iod(str(images[0].SOPClassUID)).faults(dataset))
