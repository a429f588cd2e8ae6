"""When an sCT may leave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.domain.findings import Finding, Severity
from node.domain.plan import ReleasePolicy
from node.domain.wording import counted

_HOLDS: dict[ReleasePolicy, frozenset[Severity]] = {
    ReleasePolicy.AUTO: frozenset({Severity.HOLD, Severity.REFUSE}),
    ReleasePolicy.CHECKS_PASSED: frozenset({Severity.WARNING, Severity.HOLD, Severity.REFUSE}),
    ReleasePolicy.SIGNATURE: frozenset(Severity),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether an sCT leaves by itself."""

    released: bool
    sentence: str
    """Why, for a person."""


def decide(policy: ReleasePolicy, findings: Sequence[Finding]) -> Decision:
    """Apply a route's ``policy`` to all findings of an sCT."""
    if policy is ReleasePolicy.SIGNATURE:
        return Decision(released=False, sentence="The route asks for a signature.")
    standing = [f for f in findings if f.severity in _HOLDS[policy]]
    if not standing:
        return Decision(released=True, sentence=_released(findings))
    told = counted(len(standing), "finding")
    return Decision(released=False, sentence=f"{told} to read: {_codes(standing)}.")


def _released(findings: Sequence[Finding]) -> str:
    """What the checks said, where none of it holds under the policy."""
    warned = [f for f in findings if f.severity is Severity.WARNING]
    if not warned:
        return "All checks passed."
    return f"Released by its route with {counted(len(warned), 'warning')}: {_codes(warned)}."


def _codes(findings: Sequence[Finding]) -> str:
    return ", ".join(dict.fromkeys(f.code for f in findings))


def to_read(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a signature has to tick: each warning and hold, as ``number:code``, in order.

    ``findings`` are those of a series as JSON values; numbers count all of them, from 0.
    """
    asked = (Severity.WARNING.value, Severity.HOLD.value)
    return [f"{n}:{f['code']}" for n, f in enumerate(findings) if f["severity"] in asked]
