"""A header that declares far more than is there costs nothing, wherever it is read."""

import io
import struct
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.dicom.declared import require_decodable, require_inflatable
from node.dicom.headers import read_file, read_instance
from node.dicom.pixels import mr_volume
from node.domain.errors import Rejected
from node.domain.findings import Unusable
from node.pipeline import collect
from node.web.dicomweb.wado import rendered
from tests.phantoms.mr import mr_series

_MOST = 16 << 20


def _huge(files: Sequence[bytes]) -> list[Dataset]:
    datasets: list[Dataset] = [pydicom.dcmread(io.BytesIO(file)) for file in files]
    for dataset in datasets:
        dataset.Rows = dataset.Columns = 65535
    return datasets


def test_65535_by_65535_pixels_are_refused_by_the_page(tmp_path: Path) -> None:
    """A file of kilobytes that asks the page for 8 GiB is refused, and nothing was reserved."""
    (dataset,) = _huge(mr_series((1, 8, 8)).files())
    path = tmp_path / "huge.dcm"
    dataset.save_as(path)
    assert path.stat().st_size < 8192
    tracemalloc.start()
    with pytest.raises(Rejected, match="65535 by 65535") as refused:
        rendered(path, 1, media="image/png", window="", size=128)
    assert refused.value.code == "PIXELS"
    assert tracemalloc.get_traced_memory()[1] < _MOST
    tracemalloc.stop()


def test_65535_by_65535_pixels_are_refused_by_the_worker() -> None:
    """The series ends with a code and a sentence, not in half an hour of tries for memory."""
    datasets = _huge(mr_series((4, 8, 8)).files())
    (stack,) = collect([read_instance(dataset) for dataset in datasets])
    tracemalloc.start()
    with pytest.raises(Unusable) as refused:
        mr_volume(stack, {str(d.SOPInstanceUID): d for d in datasets})
    assert refused.value.findings[0].code == "PIXELS_UNDECODABLE"
    assert "are declared" in refused.value.findings[0].sentence
    assert tracemalloc.get_traced_memory()[1] < _MOST
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("values", "whole"),
    [
        ({"Rows": 65535, "Columns": 65535}, False),
        ({"Rows": 4096, "Columns": 4096, "NumberOfFrames": 2000}, True),
        ({"Rows": 8192, "Columns": 8192, "SamplesPerPixel": 3}, False),
        ({"Rows": [8, 9], "Columns": 8}, False),
    ],
)
def test_what_is_too_much(values: dict[str, object], whole: bool) -> None:
    """One frame, all of them, colours, and a header that does not say."""
    dataset = Dataset()
    for keyword, value in ({"SamplesPerPixel": 1, "BitsAllocated": 16} | values).items():
        setattr(dataset, keyword, value)
    with pytest.raises(Rejected):
        require_decodable(dataset, whole=whole)


@pytest.mark.parametrize(("side", "frames"), [(4096, 1), (512, 1000), (1, 1)])
def test_what_is_made_is_taken(side: int, frames: int) -> None:
    """Nothing that a scanner or a planning system writes comes near."""
    dataset = Dataset()
    dataset.Rows = dataset.Columns = side
    dataset.BitsAllocated, dataset.NumberOfFrames = 16, frames
    require_decodable(dataset, whole=True)


def test_a_deflated_file_is_measured_before_it_is_unpacked() -> None:
    """A folder that is converted may hold a bomb as well."""
    dataset = pydicom.dcmread(io.BytesIO(mr_series((1, 8, 8)).files()[0]))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    good = buffer.getvalue()
    require_inflatable(good)
    assert read_file(good, name="good").SOPInstanceUID == dataset.SOPInstanceUID
    start = 144 + struct.unpack_from("<I", good, 140)[0]  # PS3.10 7.1
    packer = zlib.compressobj(9, wbits=-15)
    bomb = good[:start] + packer.compress(bytes(64 << 20)) + packer.flush()
    tracemalloc.start()
    with pytest.raises(Rejected, match="inflates to more than"):
        read_file(bomb, name="bomb")
    assert tracemalloc.get_traced_memory()[1] < _MOST
    tracemalloc.stop()
