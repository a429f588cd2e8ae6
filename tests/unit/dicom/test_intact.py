"""The verifying reader: whatever bit of a file is turned, both ways of reading refuse it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from node.archive.files import part10_header
from node.dicom.intact import Digest, NotIntact, check_intact, read_intact

_META = part10_header(
    sop_class_uid="1.2.3", sop_instance_uid="1.2.3.4", transfer_syntax_uid="1.2", source_ae="PACS"
)
_DATA = bytes(range(256)) * 8


def _digest(*, of_file: bool) -> Digest:
    return Digest(
        sop_instance_uid="1.2.3.4",
        sop_class_uid="1.2.3",
        transfer_syntax_uid="1.2",
        size=len(_META + _DATA),
        sha256=hashlib.sha256(_META + _DATA if of_file else _DATA).hexdigest(),
        of_file=of_file,
    )


@pytest.mark.long
@pytest.mark.parametrize("reader", [check_intact, read_intact])
@pytest.mark.parametrize("of_file", [True, False])
def test_a_whole_file_passes_and_a_changed_one_does_not(
    tmp_path: Path, reader: Callable[[Path, Digest], object], *, of_file: bool
) -> None:
    """Every byte of the data; of the header all but what names the sender and its software."""
    path, whole, digest = tmp_path / "1.dcm", _META + _DATA, _digest(of_file=of_file)
    path.write_bytes(whole)
    assert reader(path, digest) in (None, whole)
    passed = []
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        try:
            reader(path, digest)
        except NotIntact:
            continue
        passed.append(at)
    if of_file:
        assert passed == []
    assert all(len(_META) > at > 144 for at in passed)
    assert len(passed) < 100


@pytest.mark.parametrize("reader", [check_intact, read_intact])
@pytest.mark.parametrize("data", [None, b"", _META, _META + _DATA[:-1], _META + _DATA + b"x"])
def test_a_file_that_is_gone_or_cut_off_is_refused(
    tmp_path: Path, reader: Callable[[Path, Digest], object], data: bytes | None
) -> None:
    """With the reason in words."""
    path = tmp_path / "1.dcm"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(NotIntact, match=r"1\.2\.3\.4 is not what was stored"):
        reader(path, _digest(of_file=False))
