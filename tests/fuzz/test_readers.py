"""Fuzzed data sets through everything that reads one: no crash, no hang, no memory without bound.

``make fuzz`` runs all of it, the default run a sample.
"""

import contextlib
import logging
import os
import random
import time
import warnings
from collections.abc import Iterator

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.archive.headers import header_reader
from node.dicom.headers import read_file, read_instance
from node.domain.checks.rules import Rules
from node.domain.errors import Rejected
from node.domain.instance import Instance
from node.pipeline import collect, examine
from tests.fuzz.wire import mutated_bytes
from tests.peers.memory import MIB, forget_peak, peak_bytes, resident_bytes
from tests.phantoms.mr import enhanced_mr, mr_series

DATA_SETS, SAMPLE = 90_000, 1_500
HANG_S = 5.0
# One deflated data set unpacked, and a copy.
_BUDGET = 80 * MIB
_SYNTAXES = (
    ExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)  # fmt: skip


@pytest.fixture
def quiet_pydicom() -> Iterator[None]:
    """Pydicom logs every deviation; a hundred thousand of them are of no use."""
    logger = logging.getLogger("pydicom")
    logger.disabled = True
    yield
    logger.disabled = False


def seeds() -> list[bytes]:
    """Part 10 files, classic and Enhanced, small."""
    classic = mr_series((3, 8, 8), (30.0, 3.0, 3.0), rescale=lambda n: (1.0 + n, 0.0)).files()
    return [*classic, *enhanced_mr((4, 8, 8), (30.0, 3.0, 3.0)).files()]


def read(data: bytes, syntax: str, rng: random.Random) -> None:
    """Through the walk that receives, and one in four through the readers of the line."""
    found: dict[int, bytes] = {}
    with contextlib.suppress(Rejected):
        found = dict(header_reader.read_header(data[132:], syntax))
    for tag in found:
        header_reader.text(found, tag)
    if rng.random() < 0.25:
        try:
            instance = read_instance(read_file(data, name="fuzz"))
        except Rejected:
            return
        _examine(instance)


def _examine(instance: Instance) -> None:
    for examined in examine(collect([instance]), Rules()):
        assert all(f.sentence and "{" not in f.sentence[:1] for f in examined.findings)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("quiet_pydicom")
def test_no_data_set_stops_a_reader(whole_fuzz: bool) -> None:
    """Each is read or refused, in far less than five seconds."""
    rng, files, slowest = random.Random(20), seeds(), 0.0  # noqa: S311 - a seed, not a secret
    read(files[0], ExplicitVRLittleEndian, rng)
    idle = resident_bytes(os.getpid())
    forget_peak(os.getpid())
    for number in range(DATA_SETS if whole_fuzz else SAMPLE):
        data = rng.choice(files)
        for _ in range(rng.choice((1, 1, 2, 4))):
            data = data[:132] + mutated_bytes(data[132:], rng)
        began = time.thread_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(data, str(rng.choice(_SYNTAXES)), rng)
            except Exception as error:  # the fuzzer says which one it was
                raise AssertionError(f"data set {number} of seed 20") from error
        slowest = max(slowest, time.thread_time() - began)

    assert slowest < HANG_S
    assert peak_bytes(os.getpid()) < 1.3 * idle + _BUDGET
