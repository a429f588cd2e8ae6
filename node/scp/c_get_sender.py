"""C-STORE sub-operations of a C-GET straight on the connection; see `node.net.c_store_sender`.

The same connection brings C-CANCEL, which pynetdicom must hear of.
"""

import socket
from collections.abc import Sequence
from typing import Any

from node.dicom.intact import NotIntact
from node.domain.errors import Retryable
from node.net import c_store_sender
from node.scp import pynetdicom_hooks
from node.scu.store import InstanceStatus, Outgoing, answered, not_sent

_C_CANCEL_RQ = 0x0FFF


class Wire:
    """The connection of one association, ours alone while a retrieve is served."""

    def __init__(
        self, association: Any, connection: socket.socket, files: Sequence[Outgoing]
    ) -> None:
        self._association = association
        coming = [(f.path, f.digest) for f in files]
        self._wire = c_store_sender.Wire(association, connection, self._heard, coming)
        self._contexts = c_store_sender.contexts_of(association)

    def takes(self, file: Outgoing) -> bool:
        """Whether the file can go as it lies."""
        return (file.sop_class_uid, file.transfer_syntax_uid) in self._contexts

    def store(self, file: Outgoing, number: int) -> InstanceStatus:
        """Send one instance and wait for its answer; `Retryable` when the connection ends."""
        try:
            response = self._wire.store(file.request(number))
        except NotIntact as error:
            return not_sent(file, error)
        except c_store_sender.Ended as error:
            raise Retryable(
                f"The association of the C-GET broke at {file.sop_instance_uid}: {error}.",
                remedy="Ask again.",
            ) from None
        return answered(file, response.status, response.comment)

    def close(self) -> None:
        """Close what is open; the connection is the association's."""
        self._wire.close()

    def look(self) -> None:
        """Take a C-CANCEL that has arrived between two instances."""
        self._wire.look()

    def _heard(self, command: c_store_sender.Command) -> None:
        if c_store_sender.number(command, 0x0100) == _C_CANCEL_RQ:
            pynetdicom_hooks.cancel(self._association, c_store_sender.number(command, 0x0120))
