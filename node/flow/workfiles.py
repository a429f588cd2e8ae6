"""What one step leaves for the next: large data as files, small enough records for the database."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np

from node.archive.files import Folder
from node.domain.errors import Defect
from node.domain.findings import finding_json, read_finding
from node.domain.geometry import Affine
from node.domain.plan import SctResult
from node.domain.volume import Unit, Volume

WORK = "work"
VIEW = "view"
# What the page shows of an sCT beside its images: derived data, so only of the newest ones.
_KEPT_FOR_VIEW = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFile:
    """A file in the data folder, as a step's record holds it."""

    path: str
    """Relative to the data folder."""
    size: int
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Give the record's JSON values."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `as_json` wrote."""
        return cls(path=value["path"], size=value["size"], sha256=value["sha256"])


def write_work(folder: Folder, name: str, data: bytes) -> WorkFile:
    """Write ``data`` durably below the work folder.

    A digest is part of the file's name: a worker that wakes after its work was taken over must not
    replace what the other's step has recorded, should their hardware compute another last bit.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    path = PurePosixPath(WORK, f"{name}-{sha256[:16]}.npz")
    folder.write(path, data)
    return WorkFile(path=str(path), size=len(data), sha256=sha256)


def read_work(folder: Folder, file: WorkFile) -> bytes:
    """Read a work file back; raise `Defect` unless it is what was written."""
    data = folder.path(PurePosixPath(file.path)).read_bytes()
    if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
        raise Defect(f"Work file {file.path} is not what was written.")
    return data


def keep_for_view(folder: Folder, name: str) -> None:
    """Hand the work file of that name to the page; the oldest there are removed.

    Where two workers wrote one each, the page compares what it finds with the archived images.
    """
    found = sorted(folder.path(PurePosixPath(WORK)).glob(f"{name}-*.npz"), key=_age)
    if not found:
        return
    target = folder.path(PurePosixPath(VIEW, f"{name}.npz"))
    target.parent.mkdir(exist_ok=True)
    found.pop().replace(target)
    for other in found:
        other.unlink(missing_ok=True)
    for old in sorted(target.parent.glob("*.npz"), key=_age)[:-_KEPT_FOR_VIEW]:
        old.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another worker was faster
        return 0.0


def pack_result(result: SctResult) -> bytes:
    """Every field of ``result`` as one uncompressed npz; no pickle."""
    meta = {
        "frame_of_reference_uid": result.sct.frame_of_reference_uid,
        "findings": [finding_json(f) for f in result.findings],
        "runtime": result.runtime,
    }
    arrays = {
        "sct": result.sct.values,
        "affine": result.sct.affine,
        "body": np.packbits(result.body),
        "meta": np.frombuffer(json.dumps(meta).encode(), np.uint8),
    }
    if result.uncertainty is not None:
        arrays["uncertainty"] = result.uncertainty.values
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack_result(data: bytes) -> SctResult:
    """Give back what `pack_result` packed."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        meta = json.loads(arrays["meta"].tobytes())
        sct, affine = arrays["sct"], arrays["affine"]
        body = np.unpackbits(arrays["body"], count=sct.size).reshape(sct.shape).astype(np.bool_)
        scale = arrays.get("uncertainty")
    frame = meta["frame_of_reference_uid"]
    return SctResult(
        sct=_volume(sct, affine, frame),
        uncertainty=None if scale is None else _volume(scale, affine, frame),
        body=body,
        findings=tuple(read_finding(f) for f in meta["findings"]),
        runtime=meta["runtime"],
    )


def _volume(values: Any, affine: Affine, frame: str) -> Volume:
    return Volume(values=values, affine=affine, frame_of_reference_uid=frame, unit=Unit.HU)
