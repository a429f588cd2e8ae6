"""Files somebody uploads: counted, limited, named by us, and gone when the block ends."""

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import HTTPException, Request
from starlette.datastructures import UploadFile

from node.domain.errors import Rejected

MOST_FILES = 4000
_ONE_AT_A_TIME = threading.Lock()


async def uploaded(request: Request) -> list[UploadFile]:
    """The files of a multipart form; how large it may be the guard says."""
    form = await request.form(max_files=MOST_FILES, max_fields=20)
    files = [part for part in form.getlist("files") if isinstance(part, UploadFile) and part.size]
    if not files:
        await form.close()
        raise Rejected("No file was chosen.", code="UPLOAD", remedy="Choose a file or a folder.")
    return files


@contextmanager
def written(files: list[UploadFile]) -> Iterator[Path]:
    """A folder with the files. Their own names are not used, so they lead nowhere."""
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        for file in files:
            file.file.close()
        raise HTTPException(429, "Somebody else is trying files now.", {"Retry-After": "30"})
    try:
        with tempfile.TemporaryDirectory(prefix="pctnode-try-") as name:
            for number, file in enumerate(files):
                with (Path(name) / f"{number:05d}.dcm").open("wb") as target:
                    shutil.copyfileobj(file.file, target, 2**20)
            yield Path(name)
    finally:
        for file in files:
            file.file.close()
        _ONE_AT_A_TIME.release()
