"""Kinds of object a peer may send, by the short names the settings use."""

from collections.abc import Mapping

# PS3.4 B.5, Standard SOP Classes: name in the settings -> SOP Class UIDs.
STORAGE_KINDS: Mapping[str, tuple[str, ...]] = {
    "MR": ("1.2.840.10008.5.1.4.1.1.4",),
    "ENHANCED_MR": ("1.2.840.10008.5.1.4.1.1.4.1",),
    "CT": ("1.2.840.10008.5.1.4.1.1.2",),
    "RTSTRUCT": ("1.2.840.10008.5.1.4.1.1.481.3",),
    "SEG": ("1.2.840.10008.5.1.4.1.1.66.4",),
    "SR": (
        "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text
        "1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced
        "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive
        "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D
    ),
    "PARAMETRIC_MAP": ("1.2.840.10008.5.1.4.1.1.30",),
    "REG": (
        "1.2.840.10008.5.1.4.1.1.66.1",  # Spatial
        "1.2.840.10008.5.1.4.1.1.66.3",  # Deformable Spatial
    ),
}
WORKED_ON = ("MR", "ENHANCED_MR")
"""Kinds a generator reads; the others are kept."""
_KINDS = {uid: kind for kind, uids in STORAGE_KINDS.items() for uid in uids}


def kind_of(sop_class_uid: str) -> str | None:
    """The kind a SOP class belongs to; None for one the node does not store."""
    return _KINDS.get(sop_class_uid)
