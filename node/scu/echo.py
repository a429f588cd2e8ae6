"""C-ECHO: whether a peer answers us."""

import time
from dataclasses import dataclass

from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import Verification

from node.domain.errors import NodeError
from node.domain.site import Peer
from node.scu.association import Timeouts, associate

# A message without a data set; PS3.5 10.1 asks for the default syntax.
_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoResult:
    """What came of it."""

    ok: bool
    sentence: str
    remedy: str
    """What to do; empty when all is well."""
    elapsed_s: float


def echo(peer: Peer, *, calling_ae: str, timeout_s: float = 10.0) -> EchoResult:
    """Verify ``peer`` (PS3.4 A); a failure is a result, not an exception."""
    begin = time.monotonic()
    timeouts = Timeouts(connect_s=timeout_s, associate_s=timeout_s, response_s=timeout_s)
    contexts = [build_context(Verification, list(_SYNTAXES))]
    try:
        with associate(peer, contexts, calling_ae=calling_ae, timeouts=timeouts) as association:
            status = association.send_c_echo()
    except NodeError as error:
        return EchoResult(
            ok=False,
            sentence=error.message,
            remedy=error.remedy,
            elapsed_s=time.monotonic() - begin,
        )
    return _result(peer, status.get("Status"), time.monotonic() - begin)


def _result(peer: Peer, status: int | None, elapsed_s: float) -> EchoResult:
    if status == 0:
        sentence, remedy = f"{peer.name} answers as {peer.ae_title} in {elapsed_s:.2f} s.", ""
    elif status is None:
        sentence = f"{peer.name} opened the association and did not answer the echo."
        remedy = "Look at the peer's log."
    else:
        sentence = f"{peer.name} answered the echo with status 0x{status:04X}."
        remedy = "Look at the peer's log."
    return EchoResult(ok=status == 0, sentence=sentence, remedy=remedy, elapsed_s=elapsed_s)
