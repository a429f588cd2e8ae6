import pytest
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from node.domain.errors import Defect, Misconfigured, NodeError, Rejected, Retryable
from node.scp import status


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Retryable("x"), 0xA700),
        (Rejected("x", code="SOP_CLASS_MISMATCH"), 0xA900),
        (Rejected("x", code="SOP_INSTANCE_MISMATCH"), 0xA900),
        (Rejected("x", code="UID_INVALID"), 0x0117),
        (Rejected("x", code="NOT_AUTHORISED"), 0x0124),
        (Rejected("x", code="DATA_TRUNCATED"), 0xC000),
        (Rejected("x", code="anything else"), 0xC000),
        (Defect("x"), 0x0110),
        (Misconfigured("x"), 0x0110),
    ],
)
def test_the_class_of_an_error_decides_the_status(error: NodeError, code: int) -> None:
    """Put off, refused and our fault are told apart."""
    assert status.status_of(error).code == code


def test_every_status_belongs_to_the_storage_service() -> None:
    """The table holds no status that a C-STORE response may not carry."""
    rows = [row for row in vars(status).values() if isinstance(row, status.Status)]

    assert len(rows) == 8
    for row in rows:
        assert row.code in STORAGE_SERVICE_CLASS_STATUS or row.code == 0x0110
        assert row.section.startswith("PS3.")


def test_comments_fit_the_element() -> None:
    """Error Comment is cut to 64 characters of the default repertoire."""
    comment = status.response(status.NOT_UNDERSTOOD, "é\\" + "x" * 100).ErrorComment

    assert comment == "?/" + "x" * 62
