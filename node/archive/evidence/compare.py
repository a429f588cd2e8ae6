"""Whether what arrived says the same as what is held under its SOP Instance UID."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from node.archive.files import Spool
from node.archive.headers.arrival import Arrival
from node.dicom.meaning import differences, identity_of
from node.dicom.unreadable import UNREADABLE
from node.domain.difference import Aspect, Difference, what_matters
from node.log import get_logger

log = get_logger(__name__)

UNCOMPARED = "DataSet"
"""In place of an attribute, where one of the two cannot be read."""


def contradictions(held: Path, arrived: BinaryIO, *, uid: str) -> tuple[Difference, ...]:
    """What hangs on where the Part 10 file ``arrived`` differs from the one ``held``.

    Empty where they are one object. What differs and decides nothing is told in the log, by the
    names of the attributes alone; what cannot be read cannot be shown to be the same.
    """
    try:
        with held.open("rb") as file:
            found = differences(file, arrived)
    except UNREADABLE:
        return (Difference(aspect=Aspect.EXAMINATION, attribute=UNCOMPARED, old="", new=""),)
    told = what_matters(found)
    if found and not told:
        names = sorted({d.attribute for d in found})
        log.info("instance_varied", sop_instance=uid, attributes=names)
    return told


def identity_in(arrived: BinaryIO) -> dict[str, str]:
    """Whose image a Part 10 file is; empty where it cannot be read."""
    try:
        return identity_of(arrived)
    except UNREADABLE:
        return {}


@contextmanager
def opened(arrival: Arrival) -> Iterator[BinaryIO]:
    """What arrived as a Part 10 file, in memory or as it lies on the disk."""
    data_set = arrival.kept
    if isinstance(data_set, Spool):
        with data_set.path.open("rb") as file:
            yield file
    else:
        yield io.BytesIO(arrival.part10() + data_set)
