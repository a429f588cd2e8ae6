"""Work files: kept for the page once the steps need them no longer."""

from pathlib import Path

from node.archive.files import Folder
from node.flow.workfiles import keep_for_view, write_work


def test_the_page_gets_what_the_steps_leave(tmp_path: Path) -> None:
    """One file of a run goes to the page, a second worker's goes away; nothing is no error."""
    folder = Folder(tmp_path)
    keep_for_view(folder, "1.2.3-1-1")
    write_work(folder, "1.2.3-1-1", b"first")
    write_work(folder, "1.2.3-1-1", b"second")
    keep_for_view(folder, "1.2.3-1-1")
    assert list((tmp_path / "work").glob("*.npz")) == []
    assert [p.name for p in (tmp_path / "view").iterdir()] == ["1.2.3-1-1.npz"]


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    """What nobody looked at does not fill the disk."""
    folder = Folder(tmp_path)
    for number in range(25):
        write_work(folder, f"{number}-1-1", b"result")
        keep_for_view(folder, f"{number}-1-1")
    assert len(list((tmp_path / "view").iterdir())) == 20
