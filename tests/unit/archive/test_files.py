import fcntl
import json
import os
from pathlib import Path, PurePosixPath

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from node.archive import files
from node.archive.files import Folder, instance_name, part10_header
from node.domain.errors import Defect
from tests.phantoms.small_mr import data_set_of, mr_image, write_image

DIGEST = "a" * 64


def test_write_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    """What was written is whole under its name; no temporary file stays."""
    folder = Folder(tmp_path / "var")

    path = folder.write(PurePosixPath("a/b/c.bin"), b"one", memoryview(b"two"))

    assert path.read_bytes() == b"onetwo"
    assert [p for p in (tmp_path / "var").rglob("*") if p.is_file()] == [path]


def test_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that fails keeps what was there and removes its temporary file."""
    folder = Folder(tmp_path)
    path = folder.write_text(PurePosixPath("a.txt"), "old")

    with pytest.raises(TypeError):
        folder.write(PurePosixPath("a.txt"), b"new", "no bytes")  # type: ignore[arg-type]

    assert path.read_text() == "old"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call that takes fewer bytes than asked loses none."""
    real = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, chunks: real(fd, [bytes(chunks[0])[:2]]))

    path = Folder(tmp_path).write(PurePosixPath("a"), b"abc", b"defg")

    assert path.read_bytes() == b"abcdefg"


def test_a_folder_that_vanished_is_made_again(tmp_path: Path) -> None:
    """Retention may remove an empty folder between two instances."""
    folder = Folder(tmp_path)
    folder.write(PurePosixPath("a/b"), b"1").unlink()
    (tmp_path / "a").rmdir()

    assert folder.write(PurePosixPath("a/b"), b"2").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../b", ""])
def test_names_stay_inside(tmp_path: Path, name: str) -> None:
    """No name leads out of the folder."""
    with pytest.raises(Defect):
        Folder(tmp_path / "var").write(PurePosixPath(name), b"")


@pytest.mark.parametrize(
    ("series", "instance", "digest"),
    [("../1", "1.2", DIGEST), ("1.2", "1.2/../../x", DIGEST), ("1.2", "1.2", "../" + "a" * 61)],
)
def test_instance_names_take_uids_only(series: str, instance: str, digest: str) -> None:
    """A file name is never made of what is no UID or digest."""
    with pytest.raises(Defect):
        instance_name(series, instance, digest)


def test_json_is_the_same_for_equal_values(tmp_path: Path) -> None:
    """Keys are written in one order."""
    folder = Folder(tmp_path)

    one = folder.write_json(PurePosixPath("1.json"), {"b": 1, "a": [2]}).read_bytes()
    two = folder.write_json(PurePosixPath("2.json"), {"a": [2], "b": 1}).read_bytes()

    assert one == two
    assert json.loads(one) == {"a": [2], "b": 1}


def test_orphans_go_and_living_files_stay(tmp_path: Path) -> None:
    """A temporary file goes when its writer is dead and it is old enough, never before."""
    folder = Folder(tmp_path)
    dead, young, held = (tmp_path / "tmp" / f"{n}.part" for n in ("dead", "young", "held"))
    for path in (dead, young, held):
        path.write_bytes(b"x")
    os.utime(dead, (0, 0))
    os.utime(held, (0, 0))

    with held.open("rb") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        removed = folder.remove_orphans()

    assert removed == 1
    assert sorted(p.name for p in (tmp_path / "tmp").iterdir()) == ["held.part", "young.part"]


def test_header_makes_a_part_10_file(tmp_path: Path) -> None:
    """Header and raw data set together read as a DICOM file with our meta information."""
    raw = data_set_of(write_image(tmp_path / "a.dcm", mr_image()))
    header = part10_header(
        sop_class_uid=MRImageStorage,
        sop_instance_uid="1.2.3.4.1",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        source_ae="PACS1",
    )
    path = Folder(tmp_path).write(PurePosixPath("b.dcm"), header, raw)

    read = pydicom.dcmread(path)

    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.1"
    assert read.file_meta.MediaStorageSOPClassUID == MRImageStorage
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert read.file_meta.SourceApplicationEntityTitle == "PACS1"
    assert read.file_meta.ImplementationVersionName == "PCTNODE_0"
    assert read.file_meta.FileMetaInformationGroupLength == len(header) - 132 - 12
    assert data_set_of(path) == raw


def test_a_slow_sync_of_the_whole_file_system_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may write much there: then each file is synced by itself, and the folder."""
    folder = Folder(tmp_path / "data")
    paths = [folder.place(PurePosixPath("instances", str(n)), b"x") for n in range(16)]
    whole: list[Path] = []
    each: list[Path] = []

    def sync_whole(path: Path) -> bool:
        whole.append(path)
        return True

    monkeypatch.setattr(files, "_sync_file_system", sync_whole)
    monkeypatch.setattr(files, "fsync_path", lambda path, _flags=0: each.append(path))
    folder.sync_all(paths)
    assert (len(whole), each) == (1, [])

    monkeypatch.setattr(files, "_SLOW_SYNC_S", -1.0)
    folder.sync_all(paths)
    folder.sync_all(paths)

    assert len(whole) == 2
    assert each == [*paths, folder.root / "instances"]
