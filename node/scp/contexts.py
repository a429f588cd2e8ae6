"""What the node accepts: SOP classes and transfer syntaxes, in one table."""

from pydicom import uid
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification

STORAGE_CLASSES = (uid.MRImageStorage, uid.EnhancedMRImageStorage)

# In our order of preference: of several syntaxes in one presentation context the first here is
# taken (PS3.8 9.3.3.2 leaves the choice to the acceptor). What is exact comes before what may not
# be, and what needs no decoder before what does.
TRANSFER_SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
    uid.HTJ2K,
    uid.JPEGExtended12Bit,
    uid.JPEGBaseline8Bit,
)
# A verification has no data set; PS3.5 10.1 still asks for the default syntax.
_VERIFICATION_SYNTAXES = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)


def supported_contexts() -> list[PresentationContext]:
    """Everything an association may negotiate with the node as SCP."""
    contexts = [build_context(sop_class, list(TRANSFER_SYNTAXES)) for sop_class in STORAGE_CLASSES]
    contexts.append(build_context(Verification, list(_VERIFICATION_SYNTAXES)))
    return contexts
