from pathlib import Path

import pytest
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    RTStructureSetStorage,
)

from node.scu.store import Outgoing, Stored, classify, propose


@pytest.mark.parametrize(
    ("status", "stored"),
    [
        (0x0000, Stored.STORED),
        (0xB000, Stored.WARNED),
        (0xB006, Stored.WARNED),
        (0xB007, Stored.WARNED),
        (0x0111, Stored.WARNED),
        (0xA700, Stored.BUSY),
        (0xA7FF, Stored.BUSY),
        (0xA900, Stored.REFUSED),
        (0xC000, Stored.REFUSED),
        (0x0110, Stored.REFUSED),
        (0x0122, Stored.REFUSED),
        (0xFE00, Stored.REFUSED),
    ],
)
def test_a_status_says_where_the_instance_is(status: int, stored: Stored) -> None:
    """Only success and warnings mean that the peer has it; out of resources means later."""
    assert classify(status) is stored


def outgoing(sop_class: str, syntax: str) -> Outgoing:
    """Something to send."""
    return Outgoing(
        sop_class_uid=sop_class,
        sop_instance_uid="1.2",
        transfer_syntax_uid=syntax,
        path=Path("nowhere"),
    )


def test_each_syntax_is_offered_alone() -> None:
    """As it lies, native, and for images compressed without loss: each class and syntax once."""
    files = [
        outgoing(CTImageStorage, ExplicitVRLittleEndian),
        outgoing(CTImageStorage, ExplicitVRLittleEndian),
        outgoing(RTStructureSetStorage, ImplicitVRLittleEndian),
    ]

    offered = [(c.abstract_syntax, *c.transfer_syntax) for c in propose(files)]

    assert offered == [
        (CTImageStorage, ExplicitVRLittleEndian),
        (CTImageStorage, ImplicitVRLittleEndian),
        (CTImageStorage, DeflatedExplicitVRLittleEndian),
        (CTImageStorage, JPEGLSLossless),
        (CTImageStorage, JPEG2000Lossless),
        (CTImageStorage, RLELossless),
        (RTStructureSetStorage, ImplicitVRLittleEndian),
        (RTStructureSetStorage, ExplicitVRLittleEndian),
        (RTStructureSetStorage, DeflatedExplicitVRLittleEndian),
    ]
