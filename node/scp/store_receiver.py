"""The receive loop: C-STORE on an accepted association, as fast as disk and network are.

pynetdicom negotiates; while nothing but C-STORE comes, this loop has the socket: bytes go from a
fixed buffer into the data set as they came, the command set is read by struct, the response is one
send. Whatever else comes is left in the stream, whole, and pynetdicom serves it
(`node.scp.pynetdicom_hooks`). A sender gets its answer before its next instance is read, so that
the disk sets the pace; a data set beyond `MEMORY_BYTES` goes to the disk while it arrives.
"""

import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from typing import Any

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext

from node.archive.files import Spool
from node.archive.headers.arrival import ReceiveContext
from node.domain.budget import BUDGET
from node.domain.errors import NodeError, Retryable
from node.domain.storage import kind_of
from node.log import get_logger
from node.net.command_set import (
    LEAST_PDU,
    StoreRequest,
    read_store_request,
    store_response,
)
from node.net.socket_buffer import Closed, Stream, TooLong
from node.scp.store import BEGINNING_BYTES, StoreHandler

log = get_logger(__name__)

# Of one association's data set; what is longer is spooled. A slice of an MR or CT series fits.
MEMORY_BYTES = 2 << 20
# No PDU we negotiate is longer; pynetdicom refuses one that is.
_PDU_LIMIT = 1 << 20
_COMMAND_LIMIT = 16 * 1024
_P_DATA_TF, _RELEASE_RQ = 0x04, 0x05
_PDU_HEADER, _PDV_HEADER = struct.Struct(">BBI"), struct.Struct(">IBB")
# PS3.8 E.2.
_COMMAND, _LAST = 0x01, 0x02


class Ending(StrEnum):
    """Why the loop stops."""

    NOT_OURS = "not ours"
    """What follows, also the end of the connection, is for pynetdicom."""
    ABORT = "abort"
    """The peer broke the protocol or was silent too long."""


class ReceiveLoop:
    """Serves the C-STORE requests of one association."""

    def __init__(
        self,
        association: Any,
        connection: socket.socket,
        send: Callable[[bytes], None],
        store: StoreHandler,
    ) -> None:
        self._association = association
        self._stream = Stream(connection)
        self._send = send
        self._store = store
        self._syntaxes = {
            context.context_id: str(context.transfer_syntax[0])
            for context in association.accepted_contexts
            if is_stored(context)
        }
        # Once: it is looked up among the items of the request each time.
        self._limit = association.requestor.maximum_length or 0
        self._memory = memoryview(bytearray(MEMORY_BYTES))
        self._command = b""
        self._arriving: _Arriving | None = None
        self._is_asked = self._is_released = False

    def run(self) -> Ending:
        """Serve until something comes that is not a C-STORE request.

        A request or a release finds everything which was acknowledged before, on whatever
        association. Who has gone asks for nothing, and must not hold a place meanwhile.
        """
        self._is_asked = self._is_released = False
        ending = self._run()
        if self._is_asked:
            self._store.wait_filed()
        if self._is_released:
            self._store.will_release(self._association)
        return ending

    def _run(self) -> Ending:
        try:
            while self._take_pdu():
                pass
        except (Closed, TooLong):
            self._drop()
        except TimeoutError:
            log.warning("association_silent", address=self._association.requestor.address)
            self._drop()
            return Ending.ABORT
        except _Broken as error:
            how = f"Aborted by the node: {error}."
            self._store.will_abort(self._association, how)
            self._drop()
            return Ending.ABORT
        except OSError as error:  # the response could not be sent
            log.warning("association_lost", reason=error.strerror)
            self._drop()
        except BaseException:
            self._drop()
            raise
        return Ending.NOT_OURS

    def rest(self) -> bytes:
        """What was read and not taken."""
        return self._stream.rest()

    def _take_pdu(self) -> bool:
        """Take one P-DATA-TF; False, and nothing taken, when what follows is not ours."""
        if not self._command:
            self._stream.keep()
        kind, _, left = _PDU_HEADER.unpack(self._stream.peek(_PDU_HEADER.size))
        if kind != _P_DATA_TF or left > _PDU_LIMIT:
            self._is_asked = self._is_released = kind == _RELEASE_RQ
            return False
        self._stream.take(_PDU_HEADER.size)
        while left:
            length, context_id, control = _PDV_HEADER.unpack(self._stream.peek(_PDV_HEADER.size))
            if length < 2 or length + 4 > left:
                raise _Broken("a presentation data value does not fit its PDU")
            if control & _COMMAND:
                if not self._take_command(left, length - 2, context_id, control):
                    return False
            else:
                self._stream.take(_PDV_HEADER.size)
                self._take_data(length - 2, context_id, control)
            left -= length + 4
        return True

    def _take_command(self, left: int, length: int, context_id: int, control: int) -> bool:
        """Take a fragment of a command; False when the command is whole and not ours."""
        if self._arriving is not None:
            raise _Broken("a command arrived inside a data set")
        if length > _COMMAND_LIMIT or len(self._command) > _COMMAND_LIMIT:
            raise _Broken("a command set is too long")
        if not self._command:
            self._stream.mark(left)
        fragment = self._stream.take(_PDV_HEADER.size + length)[_PDV_HEADER.size :]
        self._command += bytes(fragment)
        if not control & _LAST:
            return True
        request = read_store_request(self._command)
        syntax = self._syntaxes.get(context_id)
        self._command = b""
        if request is None or syntax is None:
            self._is_asked = True
            return False
        context = self._store.context(
            self._association, syntax, request.sop_class_uid, request.sop_instance_uid
        )
        self._arriving = _Arriving(context_id, request, context, self._memory, self._store)
        return True

    def _take_data(self, length: int, context_id: int, control: int) -> None:
        arriving = self._arriving
        if arriving is None or context_id != arriving.context_id:
            raise _Broken("a data set arrived that no command announced")
        if arriving.size + length > BUDGET.store_bytes:
            raise _Broken(f"a data set is longer than {BUDGET.store_bytes >> 20} MiB")
        while length:
            chunk = self._stream.take_some(length)
            arriving.append(chunk)
            length -= len(chunk)
        if control & _LAST:
            self._arriving = None
            with arriving:
                answer = self._store.answer(self._association, arriving.context, arriving.data_set)
            self._send(
                store_response(
                    context_id,
                    arriving.request,
                    answer.status.code,
                    answer.error_comment,
                    limit=self._limit,
                )
            )

    def _drop(self) -> None:
        """Forget what has half arrived; nothing of it was acknowledged."""
        arriving, self._arriving = self._arriving, None
        self._command = b""
        if arriving is not None:
            begun = arriving.begun()
            arriving.close()
            self._store.cut_off(self._association, arriving.context, begun)


class _Broken(Exception):
    """The peer breaks the protocol."""


class _Arriving:
    """A data set while it arrives: in memory, or in a file once it is too long for that."""

    def __init__(
        self,
        context_id: int,
        request: StoreRequest,
        context: ReceiveContext,
        memory: memoryview,
        store: StoreHandler,
    ) -> None:
        self.context_id = context_id
        self.request = request
        self.context = context
        self._memory = memory
        self._filled = 0
        self.size = 0
        self._store = store
        self._spool: Spool | None = None
        self._files = ExitStack()
        self._fault: NodeError | None = None

    def append(self, chunk: memoryview) -> None:
        """Take what has arrived."""
        if self._filled + len(chunk) > len(self._memory):
            self._spill()
        self._memory[self._filled : self._filled + len(chunk)] = chunk
        self._filled += len(chunk)
        self.size += len(chunk)

    def data_set(self) -> bytes | Spool:
        """The whole data set; raises what befell it on the way."""
        if self._spool is not None:
            self._spill()
        if self._fault is not None:
            raise self._fault
        return self._spool or bytes(self._memory[: self._filled])

    def begun(self) -> bytes:
        """How it begins, as far as it has come; empty after a fault of the disk."""
        if self._spool is not None:
            return self._spool.beginning(BEGINNING_BYTES)
        return b"" if self._fault else bytes(self._memory[: min(self._filled, BEGINNING_BYTES)])

    def close(self) -> None:
        """Remove the temporary file, if there is one without a name."""
        self._files.close()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spill(self) -> None:
        """Bring what is in memory to the disk; after a fault the rest is only read off the wire."""
        filled, self._filled = self._filled, 0
        if self._fault is not None:
            return
        try:
            if self._spool is None:
                self._spool = self._files.enter_context(self._store.receiver.spool(self.context))
            self._store.receiver.require_room()
            self._spool.append(self._memory[:filled])
        except NodeError as error:
            self._fault = error
        except OSError as error:
            self._fault = Retryable(
                f"The archive cannot be written: {error.strerror or error}.",
                remedy="Send again once the disk of the node's data folder takes writes.",
            )
        if self._fault is not None:
            self._files.close()
            self._spool = None


def is_stored(context: PresentationContext) -> bool:
    """Whether a peer may C-STORE to us under an accepted ``context``."""
    return context.as_scp and kind_of(UID(str(context.abstract_syntax))) is not None


def loops(store: StoreHandler) -> Callable[..., ReceiveLoop | None]:
    """Give each association its loop, or None where no response could go out at all."""

    def make(
        association: Any, connection: socket.socket, send: Callable[[bytes], None]
    ) -> ReceiveLoop | None:
        limit = association.requestor.maximum_length
        if limit and limit < LEAST_PDU:
            return None
        return ReceiveLoop(association, connection, send, store)

    return make
