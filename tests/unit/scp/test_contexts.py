from pydicom import uid
from pynetdicom.presentation import build_context, negotiate_as_acceptor

from node.scp.contexts import STORAGE_CLASSES, TRANSFER_SYNTAXES, supported_contexts


def test_mr_in_every_image_syntax_and_verification() -> None:
    """Both MR classes come in every still-image syntax pydicom knows; nothing else is stored."""
    contexts = {context.abstract_syntax: context for context in supported_contexts()}
    still = {
        syntax
        for syntax in uid.AllTransferSyntaxes
        if not any(word in syntax.name for word in ("MPEG", "HEVC", "JPIP", "SMPTE", "Part 2"))
    }

    assert set(contexts) == {*STORAGE_CLASSES, "1.2.840.10008.1.1"}
    for sop_class in STORAGE_CLASSES:
        assert set(contexts[sop_class].transfer_syntax) == still


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
