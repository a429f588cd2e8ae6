"""The contract of the points where we reach into pynetdicom; red when a new version moves them."""

import queue
import socket

import pynetdicom
import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler

from node.scp import upper_layer


def acceptor() -> tuple[Association, socket.socket]:
    """An acceptor association over one end of a socket pair, and the other end."""
    ours, theirs = socket.socketpair()
    association = Association(AE(ae_title="X"), "acceptor")
    association.set_socket(AssociationSocket(association, client_socket=ours))
    return association, theirs


def test_the_version_is_the_one_we_read() -> None:
    """The private points were read in this minor version."""
    assert pynetdicom.__version__.startswith("3.0.")


def test_connections_are_made_where_we_think() -> None:
    """The request handler builds the association in the method we extend."""
    assert hasattr(RequestHandler, "_create_association")
    assert issubclass(upper_layer.Connection, RequestHandler)
    assert AssociationServer.get_request is not None


def test_reading_goes_through_the_wrapper() -> None:
    """The DUL reads with `recv` of the wrapper that `dul.socket` is, and so with ours."""
    association, theirs = acceptor()
    wrapper = association.dul.socket
    wrapper.recv = upper_layer._bounded_reader(wrapper)

    theirs.sendall(b"abcdef")
    theirs.close()

    assert wrapper.recv(4) == b"abcd"
    assert wrapper.recv(4) == b"ef"
    wrapper.socket.close()


def test_a_huge_pdu_closes_the_connection() -> None:
    """A PDU that announces gigabytes is not awaited; the state machine hears of a closed one."""
    association, theirs = acceptor()
    wrapper = association.dul.socket
    wrapper.recv = upper_layer._bounded_reader(wrapper)
    association.dul.event_queue.get_nowait()  # Evt5, of the new connection

    theirs.sendall(b"\x04\x00\xff\xff\xff\xff" + bytes(100))
    association.dul._read_pdu_data()

    assert association.dul.event_queue.get_nowait() == "Evt17"
    theirs.close()
    wrapper.socket.close()


def test_nothing_ends_the_wait_for_a_request() -> None:
    """What the association's thread waits on gives up when it gets nothing."""
    association, theirs = acceptor()
    assert isinstance(association.dul.to_user_queue, queue.Queue)

    upper_layer.forget_silent(association)

    assert association.dul.receive_pdu(wait=True, timeout=5) is None
    assert association.dul.to_user_queue.empty()
    theirs.close()
    association.dul.socket.socket.close()


def test_a_reject_is_a_public_call() -> None:
    """Sending an A-ASSOCIATE-RJ checks its codes and marks the association."""
    association, theirs = acceptor()

    association.acse.send_reject(1, 1, 3)

    assert association.is_rejected
    with pytest.raises(ValueError, match="diagnostic"):
        association.acse.send_reject(1, 1, 4)
    theirs.close()
    association.dul.socket.socket.close()
