"""Acceptance checks of the values that an sCT takes over from its MR: what becomes of odd ones.

They were judged when the header was read, by what the writer itself asks; nothing is decided here.
"""

from collections.abc import Callable

from node.domain.checks.rules import Rules, uids_of
from node.domain.findings import Finding, Severity, finding
from node.domain.instance import Outcome, Reading
from node.domain.stack import Stack

_CHARACTER_SET = "SpecificCharacterSet"
# Said by codes of their own, of every image and not of the first alone.
_TOLD_ELSEWHERE = frozenset({_CHARACTER_SET, "StudyInstanceUID", "FrameOfReferenceUID"})
# Without it an ID may be another patient's.
_OF_IDENTITY = frozenset({"IssuerOfPatientID"})


def value_invalid(stack: Stack, _rules: Rules) -> Finding | None:
    """A name or ID that no valid CT can bear, and that nothing can stand for."""
    odd = _readings(stack, Outcome.REFUSED)
    odd = [reading for reading in odd if reading.attribute not in _TOLD_ELSEWHERE]
    return _finding("VALUE_INVALID", stack, odd, _as_stated) if odd else None


def value_emptied(stack: Stack, _rules: Rules) -> Finding | None:
    """Type 2: the attribute is there, and its value is not."""
    odd = _readings(stack, Outcome.EMPTIED)
    return _finding("VALUE_EMPTIED", stack, odd, _as_stated) if odd else None


def value_left_out(stack: Stack, _rules: Rules) -> Finding | None:
    """Type 3: the sCT does without, and a person should know where it is about identity."""
    odd = _readings(stack, Outcome.LEFT_OUT)
    if not odd:
        return None
    grave = any(reading.attribute in _OF_IDENTITY for reading in odd)
    return _finding(
        "VALUE_LEFT_OUT", stack, odd, _as_stated, severity=Severity.WARNING if grave else None
    )


def value_read(stack: Stack, _rules: Rules) -> Finding | None:
    """Another form with one meaning: ACR-NEMA's dates, small letters in a code."""
    odd = _readings(stack, Outcome.READ)
    odd = [reading for reading in odd if reading.attribute != _CHARACTER_SET]
    return _finding("VALUE_READ", stack, odd, _as_read) if odd else None


def character_set_read(stack: Stack, _rules: Rules) -> Finding | None:
    """A misspelt character set that means one; where names depend on it, a person compares them."""
    odd = [r for r in _readings(stack, Outcome.READ) if r.attribute == _CHARACTER_SET]
    if not odd:
        return None
    header = stack.header
    plain = all(text.isascii() for text in (header.patient_name, header.patient_id))
    return finding(
        "CHARACTER_SET_READ",
        value=odd[0].told,
        written=odd[0].written,
        severity=Severity.INFO if plain else None,
        uids=uids_of(stack.slices[:1]),
    )


def _readings(stack: Stack, outcome: Outcome) -> list[Reading]:
    """Of the first slice: from there patient and study are taken over."""
    return [reading for reading in stack.header.readings if reading.outcome is outcome]


def _finding(
    code: str,
    stack: Stack,
    readings: list[Reading],
    told: Callable[[Reading], str],
    *,
    severity: Severity | None = None,
) -> Finding:
    return finding(
        code,
        values=[told(reading) for reading in readings],
        severity=severity,
        uids=uids_of(stack.slices[:1]),
    )


def _as_stated(reading: Reading) -> str:
    return f"{reading.attribute} ({reading.told})"


def _as_read(reading: Reading) -> str:
    return f"{reading.attribute} ({reading.told} → {reading.written})"
