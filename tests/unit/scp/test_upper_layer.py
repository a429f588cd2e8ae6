"""The contract of the points where we reach into pynetdicom; red when a new version moves them."""

import inspect
import queue
import socket
import threading

import pynetdicom
import pytest
from pynetdicom import AE, fsm
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler

from node.scp import pynetdicom_hooks


def acceptor() -> tuple[Association, socket.socket]:
    """An acceptor association over one end of a socket pair, and the other end."""
    ours, theirs = socket.socketpair()
    association = Association(AE(ae_title="X"), "acceptor")
    association.set_socket(AssociationSocket(association, client_socket=ours))
    association.dul.socket.__class__ = pynetdicom_hooks.Wire
    association.dul.socket.prepare()
    return association, theirs


def test_the_version_is_the_one_we_read() -> None:
    """The private points were read in this minor version."""
    assert pynetdicom.__version__.startswith("3.0.")


def test_connections_are_made_where_we_think() -> None:
    """The request handler builds the association in the method we extend."""
    assert hasattr(RequestHandler, "_create_association")
    assert issubclass(pynetdicom_hooks.Connection, RequestHandler)
    assert AssociationServer.get_request is not None


def test_reading_goes_through_the_wrapper() -> None:
    """The DUL reads with `recv` of the wrapper that `dul.socket` is, and so with ours."""
    association, theirs = acceptor()
    wrapper = association.dul.socket

    theirs.sendall(b"abcdef")
    theirs.close()

    assert wrapper.recv(4) == b"abcd"
    assert wrapper.recv(4) == b"ef"
    wrapper.socket.close()


def test_a_huge_pdu_closes_the_connection() -> None:
    """A PDU that announces gigabytes is not awaited; the state machine hears of a closed one."""
    association, theirs = acceptor()
    wrapper = association.dul.socket
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

    pynetdicom_hooks.forget_silent(association)

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


def test_an_association_serves_where_we_stand() -> None:
    """`_run_reactor` is what serves, and asks `get_msg` without waiting before all else."""
    assert "self._run_reactor()" in inspect.getsource(Association.run_reactor)
    body = inspect.getsource(Association._run_reactor)
    assert body.index("self.dimse.get_msg(block=False)") < body.index("is_release_requested()")
    assert "self.to_provider_queue.queue[0]" in inspect.getsource(
        DULServiceProvider._process_recv_primitive
    )
    assert 'return "Sta6"' in inspect.getsource(fsm.AE_7)


def test_a_lent_wire_keeps_pynetdicom_waiting() -> None:
    """Its thread waits where it would read, wakes to send, and reads what was given back first."""
    association, theirs = acceptor()
    wire, dul = association.dul.socket, association.dul
    dul.to_provider_queue = pynetdicom_hooks._Outbox(wire)
    dul.state_machine.current_state = "Sta6"
    dul.is_alive = lambda: True
    theirs.sendall(b"later")
    said: queue.Queue[bool] = queue.Queue()

    def read_twice() -> None:
        for _ in range(2):
            said.put(wire.ready)

    rounds = threading.Thread(target=read_twice)

    wire.lend()
    rounds.start()
    assert wire.is_lent()
    assert said.empty()
    dul.to_provider_queue.put("something to send")
    assert said.get(timeout=5) is False
    dul.to_provider_queue.get()
    wire.take_back(b"first ")

    assert said.get(timeout=5) is True
    assert wire.recv(11) == b"first later"
    assert not wire.has_replay
    rounds.join()
    theirs.close()
    wire.socket.close()


def test_an_association_that_ends_is_not_waited_for() -> None:
    """Outside data transfer nothing is lent, whatever was asked."""
    association, theirs = acceptor()
    wire = association.dul.socket
    association.dul.state_machine.current_state = "Sta13"

    wire.lend()

    assert not wire.is_lent()
    assert wire.ready is False
    theirs.close()
    wire.socket.close()
