"""The beat beside a loop that waits, and the end of one that has stopped."""

import threading
import time

import pytest

from node.flow.heart import Heart


def test_the_beat_goes_on_while_a_duty_waits() -> None:
    """A mail server or a disk that hangs does not make a worker look dead."""
    beats: list[float] = []
    three = threading.Event()

    def beat() -> None:
        beats.append(time.monotonic())
        if len(beats) >= 3:
            three.set()

    with Heart(beat, 0.02, stuck_s=60.0):
        assert three.wait(10)  # the loop does nothing at all meanwhile
    ended = len(beats)
    assert not any(thread.name == "heart" for thread in threading.enumerate())
    assert len(beats) == ended


def test_a_beat_that_fails_is_not_the_last() -> None:
    """The database may be away for a moment."""
    tries: list[int] = []
    again = threading.Event()

    def beat() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectionError
        again.set()

    with Heart(beat, 0.02, stuck_s=60.0):
        assert again.wait(10)


@pytest.mark.long
def test_a_loop_that_has_stopped_ends_the_process_and_its_beat() -> None:
    """What looks alive must be: the watchdog ends it, and others take over."""
    ended, beats = threading.Event(), []

    with Heart(lambda: beats.append(1), 0.05, stuck_s=0.2, end=ended.set) as heart:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            heart.pulse()
        assert not ended.is_set()
        assert ended.wait(10)
        alive = len(beats)
    assert len(beats) == alive
