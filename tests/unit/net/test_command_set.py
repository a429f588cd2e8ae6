"""Command sets by struct say what pynetdicom's say."""

from io import BytesIO

import pytest
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, C_STORE_RSP
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF

from node.net.command_set import RESPONSE_LIMIT, StoreRequest, read_store_request, store_response

MR = "1.2.840.10008.5.1.4.1.1.4"


def command_of(message: C_STORE_RQ | C_ECHO_RQ, primitive: C_STORE | C_ECHO) -> bytes:
    """The command set pynetdicom encodes for a request."""
    message.primitive_to_message(primitive)
    encoded = encode(message.command_set, True, True)
    assert encoded is not None
    return bytes(encoded)


def store_request(*, data_set: bool = True) -> bytes:
    """A C-STORE-RQ by pynetdicom, with every optional element."""
    request = C_STORE()
    request.MessageID = 4711
    request.AffectedSOPClassUID = MR
    request.AffectedSOPInstanceUID = "1.2.3.4.55"
    request.Priority = 0
    request.MoveOriginatorApplicationEntityTitle = "MOVER"
    request.MoveOriginatorMessageID = 3
    if data_set:
        request.DataSet = BytesIO(b"\x08\0\x16\0UI\0\0")
    return command_of(C_STORE_RQ(), request)


def test_a_request_is_read() -> None:
    """Message ID and both UIDs come out as pynetdicom put them in."""
    assert read_store_request(store_request()) == StoreRequest(4711, MR, "1.2.3.4.55")


def test_what_is_no_plain_store_is_left_alone() -> None:
    """An echo, a request without data set, a broken or cut one: pynetdicom shall judge them."""
    echo = C_ECHO()
    echo.MessageID = 1
    whole = store_request()

    assert read_store_request(command_of(C_ECHO_RQ(), echo)) is None
    assert read_store_request(store_request(data_set=False)) is None
    assert read_store_request(b"") is None
    assert read_store_request(whole + b"\0") is None
    assert all(read_store_request(whole[:n]) is None for n in range(len(whole)))
    assert read_store_request(whole.replace(b"1.2.3.4.55", b"1.2.3.4.\xff5")) is None


@pytest.mark.parametrize("comment", ["", "odd", "x" * 64])
def test_a_response_is_what_pynetdicom_reads(comment: str) -> None:
    """Pynetdicom decodes the PDU into status, comment, message ID and UIDs."""
    uid = "1.2." + "3" * 60

    pdu = store_response(5, StoreRequest(7, MR, uid), 0xA700, comment)

    decoded = P_DATA_TF()
    decoded.decode(pdu)
    assert decoded.encode() == pdu
    (item,) = decoded.presentation_data_value_items
    assert item.presentation_context_id == 5
    message = C_STORE_RSP()
    assert message.decode_msg(decoded.to_primitive())
    response = message.message_to_primitive()
    assert response.Status == 0xA700
    assert response.MessageIDBeingRespondedTo == 7
    assert (response.AffectedSOPClassUID, response.AffectedSOPInstanceUID) == (MR, uid)
    assert (response.ErrorComment or "") == comment
    assert len(pdu) <= RESPONSE_LIMIT
