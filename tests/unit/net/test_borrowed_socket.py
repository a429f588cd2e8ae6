"""The contract of the points where sending reaches into pynetdicom; red when they move."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket

from node.net.borrowed_socket import Lent, keep_answers, own_connection


@contextmanager
def associated() -> Iterator[Any]:
    """An association of ours with an AE that takes CT images."""
    entity = AE()
    entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _event: 0)]
    )
    client = AE()
    client.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    association = client.associate("127.0.0.1", server.server_address[1])
    assert association.is_established
    yield association
    if association.is_established:
        association.release()
    server.shutdown()
    server.server_close()


def test_the_points_are_where_we_think() -> None:
    """What is replaced, set and read exists under its name."""
    assert isinstance(AssociationSocket.ready, property)
    assert hasattr(DULServiceProvider, "idle_timer_expired")
    association = Association(AE(), "requestor")
    assert isinstance(association._reactor_checkpoint, threading.Event)
    assert association._is_paused is False
    assert association.dul._idle_timer is not None


@pytest.mark.long
def test_an_answer_waits_for_who_asked() -> None:
    """The reactor, which runs on between our requests, leaves it in the queue."""
    with associated() as association:
        keep_answers(association)
        answer = C_ECHO()
        answer.MessageIDBeingRespondedTo, answer.Status = 1, 0
        messages = association.dimse.msg_queue

        messages.put((1, answer))
        request = C_ECHO()
        request.MessageID = 7
        threading.Event().wait(0.2)  # the reactor looks every millisecond
        assert messages.qsize() == 1
        assert association.dimse.get_msg(block=True) == (1, answer)
        messages.put((1, request))  # which it takes, and refuses: nobody serves it here
        deadline = time.monotonic() + 30
        while not messages.empty() and time.monotonic() < deadline:
            threading.Event().wait(0.005)
        assert messages.empty()


@pytest.mark.long
def test_nobody_else_reads_while_it_is_lent() -> None:
    """What the peer sends stays for us; given back, the association ends in order."""
    with associated() as association:
        with own_connection(association, 5.0) as connection:
            assert connection is not None
            assert connection.gettimeout() == 5.0
            assert isinstance(association.dul.socket, Lent)
        assert connection.gettimeout() is None
        association.release()

    assert association.is_released


@pytest.mark.long
def test_a_read_that_takes_too_long_ends() -> None:
    """The time-out is that of the socket; afterwards pynetdicom may abort."""
    with associated() as association:
        with own_connection(association, 0.05) as connection:
            assert connection is not None
            with pytest.raises(TimeoutError):
                connection.recv(1, socket.MSG_PEEK)
        association.abort()

    assert association.is_aborted


@pytest.mark.long
def test_an_association_that_has_ended_is_not_lent() -> None:
    """There is nothing to send on; nobody waits for a thread that is gone."""
    with associated() as association:
        association.release()
        with own_connection(association, 5.0) as connection:
            assert connection is None
