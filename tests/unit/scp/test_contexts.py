"""What is negotiated, and with whom."""

import pytest
from pydicom import uid
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_acceptor
from pynetdicom.sop_class import Verification

from node.domain.names import AETitle
from node.domain.site import Peer
from node.domain.storage import STORAGE_KINDS
from node.scp.contexts import (
    QUERY_CLASSES,
    STORAGE_CLASSES,
    TRANSFER_SYNTAXES,
    contexts_for,
    supported_contexts,
    why_refused,
)


def peer(*may: str, accept: tuple[str, ...] = ()) -> Peer:
    """A peer with rights."""
    return Peer(
        name="pacs",
        ae_title=AETitle("PACS"),
        host="10.0.0.5",
        port=104,
        may=frozenset(may),
        proof="none",
        accept=accept,
    )


def classes(contexts: list[PresentationContext]) -> set[str]:
    """Abstract syntaxes of ``contexts``."""
    return {str(context.abstract_syntax) for context in contexts}


def test_mr_in_every_image_syntax() -> None:
    """Image classes come in every still-image syntax pydicom knows."""
    contexts = {context.abstract_syntax: context for context in supported_contexts()}
    still = {
        syntax
        for syntax in uid.AllTransferSyntaxes
        if not any(word in syntax.name for word in ("MPEG", "HEVC", "JPIP", "SMPTE", "Part 2"))
    }

    for sop_class in (uid.MRImageStorage, uid.EnhancedMRImageStorage, uid.CTImageStorage):
        assert set(contexts[sop_class].transfer_syntax) == still


def test_the_storage_classes_have_the_names_the_settings_use() -> None:
    """Each UID is the class its short name promises."""
    names = {kind: [uid.UID(u).name for u in uids] for kind, uids in STORAGE_KINDS.items()}

    assert names == {
        "MR": ["MR Image Storage"],
        "ENHANCED_MR": ["Enhanced MR Image Storage"],
        "CT": ["CT Image Storage"],
        "RTSTRUCT": ["RT Structure Set Storage"],
        "SEG": ["Segmentation Storage"],
        "SR": [
            "Basic Text SR Storage",
            "Enhanced SR Storage",
            "Comprehensive SR Storage",
            "Comprehensive 3D SR Storage",
        ],
        "PARAMETRIC_MAP": ["Parametric Map Storage"],
        "REG": ["Spatial Registration Storage", "Deformable Spatial Registration Storage"],
    }


@pytest.mark.parametrize(
    ("who", "stores"),
    [
        (None, set(STORAGE_CLASSES)),
        (peer("send"), set(STORAGE_CLASSES)),
        (peer("query"), set()),
        (peer("send", accept=("MR", "CT")), {uid.MRImageStorage, uid.CTImageStorage}),
    ],
)
def test_a_peer_negotiates_what_it_may(who: Peer | None, stores: set[str]) -> None:
    """Storage needs the right to send, and a class the peer's own list has."""
    negotiable = classes(contexts_for(who))

    assert Verification in negotiable
    assert negotiable >= set(QUERY_CLASSES) or who is None or "query" not in who.may
    assert who is not None or not negotiable & set(QUERY_CLASSES)
    assert negotiable & set(STORAGE_CLASSES) == stores


def test_a_refused_class_is_explained() -> None:
    """Each rule has its own words."""
    limited = peer("send", accept=("MR",))

    assert "no class the node serves" in why_refused(limited, uid.RTDoseStorage)
    assert "pacs may not send" in why_refused(peer("query"), uid.MRImageStorage)
    assert "pacs has accept = MR" in why_refused(limited, uid.CTImageStorage)
    assert "none of its transfer syntaxes" in why_refused(limited, uid.MRImageStorage)


def test_of_several_syntaxes_the_exact_one_is_taken() -> None:
    """Offered lossy and uncompressed in one context, the node takes the uncompressed one."""
    offered = build_context(uid.MRImageStorage, [uid.JPEG2000, uid.ExplicitVRLittleEndian])
    offered.context_id = 1

    agreed, _ = negotiate_as_acceptor([offered], supported_contexts(), None)

    assert agreed[0].transfer_syntax == [uid.ExplicitVRLittleEndian]


def test_exact_syntaxes_come_first() -> None:
    """Every lossless syntax is preferred to every one that may lose."""
    lossy = {
        uid.JPEGLSNearLossless,
        uid.JPEG2000,
        uid.HTJ2K,
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
    }
    first = min(TRANSFER_SYNTAXES.index(syntax) for syntax in lossy)

    assert set(TRANSFER_SYNTAXES[first:]) == lossy
