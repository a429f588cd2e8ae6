"""What a check says: a stable code, a severity, a sentence with the values, offending UIDs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from node.domain.codes.registry import CODES
from node.domain.errors import Rejected
from node.domain.wording import filled


class Severity(StrEnum):
    """What a finding asks for, mildest first."""

    INFO = "info"
    """Worth telling; asks for nothing."""
    DROP = "drop"
    """The stack is set aside; harmless beside a good one."""
    WARNING = "warning"
    """A person should read it before using the sCT."""
    HOLD = "hold"
    """The sCT is made and waits for a person."""
    REFUSE = "refuse"
    """No sCT is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One statement of one check about one stack or one sCT."""

    code: str
    """Stable name, a key of `CODES`."""
    severity: Severity
    sentence: str
    """For a person; names the values that were met."""
    remedy: str
    """What to do about it."""
    values: Mapping[str, str] = field(default_factory=dict)
    """The same values for a program, as text."""
    uids: tuple[str, ...] = ()
    """SOP Instance UIDs (or the series') that made it."""
    where_mm: tuple[float, float, float] | None = None
    """LPS mm of the worst place, where there is one."""


class Unusable(Rejected):
    """A stack that checks refused after its pixels were read, with everything they said of it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = max(findings, key=lambda f: f.severity is Severity.REFUSE)
        super().__init__(first.sentence, code=first.code, remedy=first.remedy)
        self.findings = tuple(findings)


def refused(code: str, *, uids: Iterable[str] = (), **values: Any) -> Unusable:
    """The error for a single refusal met while reading."""
    return Unusable((finding(code, uids=uids, severity=Severity.REFUSE, **values),))


def finding(
    code: str,
    *,
    uids: Iterable[str] = (),
    severity: Severity | None = None,
    where_mm: tuple[float, float, float] | None = None,
    **values: object,
) -> Finding:
    """Make the finding ``code`` from its row in `CODES`; the values fill its sentence.

    Raises `KeyError` when the code is unknown or a value its sentence names is missing.
    """
    row = CODES[code]
    text = {key: _text(value) for key, value in values.items()}
    return Finding(
        code=code,
        severity=severity or Severity(row.severity),
        sentence=filled(row.sentence, text),
        remedy=row.remedy,
        values=text,
        uids=tuple(uids),
        where_mm=where_mm,
    )


def with_actions(found: Iterable[Finding], actions: Mapping[str, Severity]) -> tuple[Finding, ...]:
    """The findings, each as grave as ``actions`` says for its code."""
    return tuple(replace(f, severity=actions[f.code]) if f.code in actions else f for f in found)


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The gravest severity among ``findings``; None when there are none."""
    order = list(Severity)
    ranks = [order.index(f.severity) for f in findings]
    return order[max(ranks)] if ranks else None


def finding_json(found: Finding, **more: object) -> dict[str, Any]:
    """``found`` as JSON values, with ``more`` keys such as the stage that made it."""
    return {
        "code": found.code,
        "severity": found.severity.value,
        "sentence": found.sentence,
        "remedy": found.remedy,
        "values": dict(found.values),
        "uids": list(found.uids),
        "where_mm": None if found.where_mm is None else list(found.where_mm),
        **more,
    }


def read_finding(value: Mapping[str, Any]) -> Finding:
    """Give back the finding that `finding_json` wrote."""
    where = value.get("where_mm")
    return Finding(
        code=value["code"],
        severity=Severity(value["severity"]),
        sentence=value["sentence"],
        remedy=value["remedy"],
        values=dict(value["values"]),
        uids=tuple(value["uids"]),
        where_mm=None if where is None else (where[0], where[1], where[2]),
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value + 0.0:.6g}"  # -0 is 0
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value)
