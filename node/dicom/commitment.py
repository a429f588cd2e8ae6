"""The data sets of storage commitment (PS3.3 C.14, PS3.4 J.3): read and written."""

from collections.abc import Iterable, Mapping

from pydicom.dataset import Dataset

from node.domain.errors import Rejected
from node.domain.names import is_uid

# PS3.3 C.14.1.1, Failure Reason.
NO_SUCH_INSTANCE, CLASS_CONFLICT = 0x0112, 0x0119


def request(transaction_uid: str, instances: Iterable[tuple[str, str]]) -> Dataset:
    """The action information of an N-ACTION."""
    dataset = Dataset()
    dataset.TransactionUID = transaction_uid
    dataset.ReferencedSOPSequence = [_item(*pair) for pair in instances]
    return dataset


def report(
    transaction_uid: str,
    stored: Iterable[tuple[str, str]],
    failed: Mapping[str, int],
    classes: Mapping[str, str],
) -> Dataset:
    """The event information of an N-EVENT-REPORT; ``classes`` by SOP Instance UID."""
    dataset = Dataset()
    dataset.TransactionUID = transaction_uid
    kept = [_item(*pair) for pair in stored]
    if kept:
        dataset.ReferencedSOPSequence = kept
    if failed:
        items = []
        for uid, reason in failed.items():
            item = _item(classes[uid], uid)
            item.FailureReason = reason
            items.append(item)
        dataset.FailedSOPSequence = items
    return dataset


def read_request(dataset: Dataset) -> tuple[str, list[tuple[str, str]]]:
    """Transaction UID and instances of either; `Rejected` (COMMITMENT) when it is none."""
    transaction = str(dataset.get("TransactionUID") or "")
    if not is_uid(transaction):
        raise _none("Transaction UID is missing")
    return transaction, _pairs(dataset.get("ReferencedSOPSequence") or ())


def read_report(dataset: Dataset) -> tuple[str, list[tuple[str, str]], dict[str, int]]:
    """Transaction UID, what is committed to, and the reason for what is not."""
    transaction, stored = read_request(dataset)
    items = list(dataset.get("FailedSOPSequence") or ())
    reasons = [int(item.get("FailureReason") or 0x0110) for item in items]
    uids = [uid for _, uid in _pairs(items)]
    return transaction, stored, dict(zip(uids, reasons, strict=True))


def _pairs(items: Iterable[Dataset]) -> list[tuple[str, str]]:
    found = []
    for item in items:
        pair = (
            str(item.get("ReferencedSOPClassUID") or ""),
            str(item.get("ReferencedSOPInstanceUID") or ""),
        )
        if not all(map(is_uid, pair)):
            raise _none("a referenced instance has no UID")
        found.append(pair)
    return found


def _item(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _none(why: str) -> Rejected:
    return Rejected(
        f"This is no storage commitment request: {why}.", code="COMMITMENT", remedy="Ask again."
    )
