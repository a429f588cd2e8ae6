"""What the steps work with: stored series, site, models, and what was read just before."""

import hashlib
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pydicom.dataset import Dataset

from node.archive.evidence.expectations import Expectation
from node.archive.files import Folder
from node.archive.schema.records import Run, StoredInstance
from node.archive.work.runs import Runs
from node.dicom.headers import read_file, read_instance
from node.domain.codes.table import CODES
from node.domain.errors import Defect, Rejected
from node.domain.findings import finding
from node.domain.plan import ModelRef, SctResult
from node.domain.sign_off import Source
from node.domain.site import Site
from node.domain.stack import Stack
from node.pipeline import Series, Synthesiser, collect

# Preamble, prefix, then the group length element (0002,0000) UL (PS3.10 7.1).
_META_START = 128 + 4
_META_LENGTH_END = _META_START + 12
_READERS = 4
Expected = Callable[[Run, str, Sequence[str]], Expectation | None]
"""Run, study and the peers that sent the series give how many instances an archive says it has."""
KeepFigures = Callable[[int, str, Source, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The instances of one run, read and split."""

    run_id: int
    stacks: tuple[Stack, ...]
    datasets: Mapping[str, Dataset]
    """By SOP Instance UID."""

    def series(self) -> Series:
        """Give them as the line takes them."""
        return Series(stacks=self.stacks, read=lambda _stack: self.datasets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings that decide what is made."""

    software_version: str
    label: str
    """Prefix of SeriesDescription where the model is signed off; elsewhere it is RESEARCH."""
    mark_synthetic: bool
    settings: Mapping[str, str] = field(default_factory=dict)
    """What changes pixels; see `node.domain.plan.Plan`."""


class Bench:
    """One worker's tools. What the last step has read is kept for the next one of the same run."""

    def __init__(
        self,
        *,
        folder: Folder,
        runs: Runs,
        site: Callable[[], Site],
        model_named: Callable[[str], ModelRef],
        generator: Callable[[ModelRef], Synthesiser],
        rules: Rules,
        expected: Expected = lambda _run, _study, _peers: None,
        signed_off: Callable[[str, Source], int | None] = lambda _sha256, _source: None,
        keep_figures: KeepFigures = lambda _run_id, _sha256, _source, _measured: None,
    ) -> None:
        self.folder = folder
        self.runs = runs
        self.site = site
        self.model_named = model_named
        self.generator = generator
        self.rules = rules
        self.expected = expected
        self.signed_off = signed_off
        self.keep_figures = keep_figures
        self._lock = threading.Lock()
        self._loaded: Loaded | None = None
        self._result: tuple[str, SctResult] | None = None

    def load(self, run: Run) -> Loaded:
        """The instances of ``run``, verified against the index; raise `Rejected` if unreadable."""
        with self._lock:
            if self._loaded is not None and self._loaded.run_id == run.id:
                return self._loaded
        sources = self.runs.sources(run)
        # Reading and hashing need no interpreter lock: they go on while the one before is parsed.
        with ThreadPoolExecutor(_READERS) as readers:
            read = zip(sources, readers.map(self._read, sources), strict=True)
            datasets = {s.sop_instance_uid: _parsed(s, data) for s, data in read}
        stacks = collect(read_instance(dataset) for dataset in datasets.values())
        loaded = Loaded(run_id=run.id, stacks=stacks, datasets=datasets)
        with self._lock:
            self._loaded = loaded
        return loaded

    def keep_result(self, sha256: str, result: SctResult) -> None:
        """Keep the sCT whose work file has that digest for the next step."""
        with self._lock:
            self._result = (sha256, result)

    def result(self, sha256: str) -> SctResult | None:
        """The sCT of that work file, where this worker made it last; None after a restart.

        By digest: should another worker's file be the one that is recorded, ours does not count.
        """
        with self._lock:
            return self._result[1] if self._result and self._result[0] == sha256 else None

    def forget(self) -> None:
        """Let go of what was read: the run has ended."""
        with self._lock:
            self._loaded = self._result = None

    def _read(self, stored: StoredInstance) -> bytes:
        data = self.folder.path(PurePosixPath(stored.path)).read_bytes()
        if len(data) != stored.size or _data_set_sha256(data) != stored.sha256:
            raise Defect(
                f"The stored file of instance {stored.sop_instance_uid} is not what was received.",
                remedy="Check the disk; then send the series again.",
            )
        return data


def _parsed(stored: StoredInstance, data: bytes) -> Dataset:
    try:
        return read_file(data, name=stored.sop_instance_uid)
    except Rejected as error:
        raise _unreadable(error, stored) from None


def _unreadable(error: Rejected, stored: StoredInstance) -> Rejected:
    if error.code not in CODES:
        return error
    reason = error.message.rstrip(".")
    found = finding(error.code, file=stored.sop_instance_uid, reason=reason)
    return Rejected(found.sentence, code=error.code, remedy=found.remedy)


def _data_set_sha256(data: bytes) -> str:
    """Hash of the data set alone, as it was received: what follows the File Meta Information."""
    if len(data) < _META_LENGTH_END:
        return ""
    (length,) = struct.unpack_from("<I", data, _META_LENGTH_END - 4)
    return hashlib.sha256(memoryview(data)[_META_LENGTH_END + length :]).hexdigest()
