import io
import random
import struct
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import data_element_generator
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from node.archive.headers import header_reader
from node.domain.budget import Budget
from node.domain.errors import Rejected
from tests.phantoms.sent_series import SMALL, new_series
from tests.phantoms.small_mr import data_set_of, mr_image, write_image
from tests.realdata import unpack


def encoded(tmp_path: Path, image: Dataset, syntax: UID) -> bytes:
    """The data set of ``image`` in ``syntax``."""
    if syntax == ExplicitVRBigEndian:
        image.PixelData = b"".join(
            struct.pack(">H", v) for (v,) in struct.iter_unpack("<H", image.PixelData)
        )
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = False, False
        write_dataset(buffer, image)
        return bytes(buffer.getvalue())
    if syntax == RLELossless:
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.compress(RLELossless, generate_instance_uid=False)
    return data_set_of(write_image(tmp_path / "x.dcm", image, syntax))


def nested() -> Dataset:
    """An image with sequences before and after what is wanted, of undefined and defined length."""
    image = mr_image()
    inner = Dataset()
    inner.ReferencedSOPClassUID = "1.2.3.99"
    inner.SOPInstanceUID = "9.9.9"
    image.ReferencedImageSequence = Sequence([inner, inner])
    image["ReferencedImageSequence"].is_undefined_length = True
    for item in image.ReferencedImageSequence:
        item.is_undefined_length_sequence_item = True
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner])
    image.RequestAttributesSequence = Sequence([outer])
    return image


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
    ],
)
def test_identity_is_read_in_every_encoding(tmp_path: Path, syntax: UID) -> None:
    """The top-level identity is found whatever the encoding, and not that of a nested item."""
    data = encoded(tmp_path, nested(), syntax)

    values = header_reader.read_header(data, syntax)

    assert header_reader.text(values, header_reader.SOP_INSTANCE_UID) == "1.2.3.4.1"
    assert header_reader.text(values, header_reader.SERIES_INSTANCE_UID) == "1.2.3.4"
    assert header_reader.text(values, header_reader.STUDY_INSTANCE_UID) == "1.2.3"
    assert header_reader.text(values, header_reader.PATIENT_NAME) == "Müller^Jörg"
    assert header_reader.text(values, header_reader.SERIES_DESCRIPTION) == "T1 phantom"


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
def test_every_cut_inside_an_element_is_seen(tmp_path: Path, syntax: UID) -> None:
    """A data set cut anywhere but between two elements is refused."""
    data = encoded(tmp_path, nested(), syntax)
    ends = _element_ends(data, syntax)
    codes = {cut: _code_of(data[:cut], syntax) for cut in range(1, len(data))}
    missed = [cut for cut, code in codes.items() if code is None]

    assert set(codes.values()) <= {None, "DATA_TRUNCATED"}
    # Up to seven zero bytes after an element are harmless padding.
    assert all(any(0 <= cut - end < 8 for end in ends) for cut in missed), missed


def _element_ends(data: bytes, syntax: UID) -> list[int]:
    stream = io.BytesIO(data)
    elements = data_element_generator(stream, syntax.is_implicit_VR, True)
    return [stream.tell() for _ in elements]


def _code_of(data: bytes, syntax: UID) -> str | None:
    try:
        header_reader.read_header(data, syntax)
    except Rejected as error:
        return error.code
    return None


def test_cut_deflated_data_set_is_seen(tmp_path: Path) -> None:
    """A deflate stream without its last block is refused."""
    data = encoded(tmp_path, mr_image(), DeflatedExplicitVRLittleEndian)

    with pytest.raises(Rejected, match="ends before its last block"):
        header_reader.read_header(data[:-8], DeflatedExplicitVRLittleEndian)


def test_a_deflate_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small message may not fill the memory."""
    small = Budget(inflated_bytes=1 << 20, inflated_least_bytes=1 << 20)
    monkeypatch.setattr(header_reader, "BUDGET", small)
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(bytes(1 << 22)) + packer.flush()

    with pytest.raises(Rejected, match="inflates to more than"):
        header_reader.read_header(bomb, DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ImplicitVRLittleEndian),
        (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian),
        (ExplicitVRLittleEndian, ExplicitVRBigEndian),
    ],
)
def test_another_encoding_than_said_is_refused(tmp_path: Path, sent: UID, said: UID) -> None:
    """Bytes that are not in their transfer syntax are refused, not misread."""
    data = encoded(tmp_path, mr_image(), sent)

    with pytest.raises(Rejected) as caught:
        header_reader.read_header(data, said)

    assert caught.value.code in {"DATA_TRUNCATED", "DATA_MALFORMED"}


def test_deep_nesting_is_refused() -> None:
    """Sequences nested without end do not exhaust the stack."""
    opening = struct.pack("<HHI", 0x0008, 0x1140, 0xFFFFFFFF)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)

    with pytest.raises(Rejected, match="nested deeper"):
        header_reader.read_header((opening + item) * 5000, ImplicitVRLittleEndian)


@pytest.mark.realdata
@pytest.mark.parametrize(
    "archive",
    [
        "mr-compressed/philips-mprage-24slices-deflated.tar.xz",
        "mr-compressed/philips-mprage-24slices-rle.tar.xz",
        "mr-head/siemens-prisma-t1-2d-sag-HFS.tar.xz",
    ],
)
def test_real_headers_agree_with_pydicom(real_data: Path, tmp_path: Path, archive: str) -> None:
    """On real objects the identity is pydicom's, private sequences or not."""
    files = unpack(real_data / archive, tmp_path)

    for path in files:
        read = pydicom.dcmread(path, stop_before_pixels=True)
        values = header_reader.read_header(data_set_of(path), str(read.file_meta.TransferSyntaxUID))
        assert header_reader.text(values, header_reader.SOP_INSTANCE_UID) == read.SOPInstanceUID
        assert (
            header_reader.text(values, header_reader.SERIES_INSTANCE_UID) == read.SeriesInstanceUID
        )
    assert files


def _damaged(whole: bytes) -> list[bytes]:
    """Five thousand times the same header with some bytes changed, now and then cut off."""
    header = whole.index(b"\xe0\x7f\x10\x00")
    dice = random.Random(5)  # noqa: S311 - a seed, not a secret
    damaged = [whole]
    for _ in range(5000):
        copy = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            copy[dice.randrange(header)] = dice.choice((0, 0xFF, 0x20, 0x55, dice.randrange(256)))
        cut = dice.choice((len(copy), len(copy), dice.randrange(len(copy))))
        damaged.append(bytes(copy[:cut]))
    return damaged


class _Forgetful:
    """Knows no header before."""

    def skip(self, *_: object) -> int:
        """Pass nothing."""
        return 0


def test_passing_plain_elements_in_one_go_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five thousand damaged headers: the same values or the same refusal, word for word."""
    damaged = _damaged(encoded(tmp_path, nested(), ExplicitVRLittleEndian))
    monkeypatch.setattr(header_reader, "_alike", _Forgetful)
    fast = [_read(data) for data in damaged]
    monkeypatch.setattr(header_reader, "_stride", lambda _data, position, _found: position)
    slow = [_read(data) for data in damaged]

    assert fast == slow
    assert 500 < sum(isinstance(one, str) for one in fast) < 4500


@pytest.mark.long
def test_what_was_in_the_header_before_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same damaged headers, each after two whole ones of its series, are read as if alone."""
    dataset = nested()
    slices = []
    for number in (1, 22, 333):
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        dataset.InstanceNumber = number
        slices.append(encoded(tmp_path, dataset, ExplicitVRLittleEndian))
    damaged = _damaged(slices[2])
    with monkeypatch.context() as patch:
        patch.setattr(header_reader, "_alike", _Forgetful)
        alone = [_read(data) for data in damaged]

    guessed = 0
    for data, expected in zip(damaged, alone, strict=True):
        header_reader._of_thread.__dict__.clear()
        assert not isinstance(_read(slices[0]), str)
        assert not isinstance(_read(slices[1]), str)
        guessed += bool(header_reader._alike()._steps)
        assert _read(data) == expected
    assert guessed == len(damaged)


def test_a_series_after_another_is_read_as_it_is(tmp_path: Path) -> None:
    """Whatever came before on the association: values are the instance's own."""
    header_reader._of_thread.__dict__.clear()
    for series in range(6):
        dataset = nested()
        dataset.SeriesInstanceUID = f"1.2.3.{series}"
        if series % 2:
            dataset.StationName = "ANOTHER"
        for number in range(12):
            dataset.SOPInstanceUID = f"1.2.3.{series}.{10**number}"
            dataset.SliceLocation = str(number)
            values = header_reader.read_header(
                encoded(tmp_path, dataset, ExplicitVRLittleEndian), ExplicitVRLittleEndian
            )
            assert (
                header_reader.text(values, header_reader.SOP_INSTANCE_UID) == dataset.SOPInstanceUID
            )
            assert (
                header_reader.text(values, header_reader.SERIES_INSTANCE_UID)
                == dataset.SeriesInstanceUID
            )
    assert _read_anew() == [header_reader.SOP_INSTANCE_UID]  # a sequence ends what is compared


@pytest.mark.long
def test_only_what_changes_from_slice_to_slice_is_read_anew() -> None:
    """From the fourth instance of a series on, three elements of some forty are."""
    header_reader._of_thread.__dict__.clear()
    for _ in range(2):
        for instance in new_series(SMALL)[:4]:
            header_reader.read_header(instance.data_set, ExplicitVRLittleEndian)
        assert _read_anew() == [header_reader.SOP_INSTANCE_UID, 0x00200013, 0x00200032]


@pytest.mark.long
def test_an_instance_that_is_read_twice_teaches_nothing_new() -> None:
    """As where a request is looked at before it is received."""
    header_reader._of_thread.__dict__.clear()
    for instance in new_series(SMALL)[:8]:
        for _ in range(2):
            header_reader.read_header(instance.data_set, ExplicitVRLittleEndian)
    assert _read_anew() == [header_reader.SOP_INSTANCE_UID, 0x00200013, 0x00200032]


@pytest.mark.long
def test_a_large_element_is_not_remembered() -> None:
    """What a thread keeps of a header is bounded, and nothing is kept of what was inflated."""
    header_reader._of_thread.__dict__.clear()
    instance = new_series(SMALL)[0]
    at = instance.data_set.index(b"\x08\x00\x18\x00")
    large = struct.pack("<HH2sHI", 0x0008, 0x0017, b"OB", 0, 1 << 20) + bytes(1 << 20)
    data = instance.data_set[:at] + large + instance.data_set[at:]
    for _ in range(4):
        assert header_reader.SOP_INSTANCE_UID in header_reader.read_header(
            data, ExplicitVRLittleEndian
        )
    kept = header_reader._alike()._before
    assert sum(len(element) for _, element in kept) < 1 << 16

    header_reader._of_thread.__dict__.clear()
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = deflate.compress(data) + deflate.flush()
    header_reader.read_header(packed, DeflatedExplicitVRLittleEndian)
    assert not header_reader._of_thread.__dict__


def _read_anew() -> list[int]:
    return [step for step in header_reader._alike()._steps if isinstance(step, int)]


def _read(data: bytes) -> object:
    try:
        return dict(header_reader.read_header(data, ExplicitVRLittleEndian))
    except Rejected as error:
        return f"{error.code} {error.message}"
