"""What an edge lets through and what it keeps."""

import logging

import pytest

from node.containment import Contained
from node.log import get_logger

log = get_logger("tests.containment")


def test_a_fault_is_logged_with_its_fields_and_kept_for_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The block ends, what follows it goes on."""
    fault = ZeroDivisionError("x")
    with caplog.at_level(logging.ERROR), Contained(log, "edge_failed", series="1.2") as edge:
        raise fault

    assert edge.error is fault
    (record,) = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[1] is fault
    assert "edge_failed" in record.getMessage()


def test_nothing_is_said_where_nothing_went_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """No line, no error."""
    with Contained(log, "edge_failed") as edge:
        pass

    assert edge.error is None
    assert not caplog.records


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_a_process_or_a_generator_passes(end: type[BaseException]) -> None:
    """A signal is no fault of ours."""
    with pytest.raises(end), Contained(log, "edge_failed"):
        raise end
