"""What was measured and judged of one sCT, as rows for a report: no row without a verdict."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from node.domain.codes.table import CODES
from node.domain.errors import Defect
from node.domain.figures import measured
from node.domain.findings import Finding, Severity
from node.domain.plan import Plan, SctResult


class Verdict(StrEnum):
    """What a row says."""

    PASSED = "passed"
    MEASURED = "measured"
    """A figure without a limit."""
    NOTED = "noted"
    WARNING = "warning"
    HELD = "held"
    REFUSED = "refused"


VERDICTS = {
    Severity.INFO: Verdict.NOTED,
    Severity.DROP: Verdict.NOTED,
    Severity.WARNING: Verdict.WARNING,
    Severity.HOLD: Verdict.HELD,
    Severity.REFUSE: Verdict.REFUSED,
}
UNITS = ("%", "ml", "mm", "HU", "")
"""Units a value may have; the empty one is a ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QaCheck:
    """One row."""

    code: str
    """Stable name."""
    title: str
    """For a person."""
    value: float | None
    """None where the check gives words alone."""
    unit: str
    """One of `UNITS`."""
    low: float | None = None
    """Lowest value that passes; None: no such limit."""
    high: float | None = None
    verdict: Verdict
    sentence: str = ""

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise Defect(f"{self.code} has the unit {self.unit!r}, which no report knows.")
        if self.verdict is Verdict.PASSED and not self._within():
            raise Defect(f"{self.code} is {self.value}, outside its limits, and would be passed.")

    def _within(self) -> bool:
        if self.value is None:
            return True
        above = self.low is None or self.value >= self.low
        return above and (self.high is None or self.value <= self.high)

    @property
    def limits(self) -> str:
        """The limits in words; empty where there is none."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QaReport:
    """Everything said of one sCT."""

    checks: tuple[QaCheck, ...]
    algorithm: str
    """Name and version of what judged."""
    model: str
    """Name and version of the model that made the sCT."""
    settings_sha256: str
    """Of the model's file, the software and every setting that enters the result."""

    @property
    def verdict(self) -> Verdict:
        """The gravest of all rows."""
        order = list(Verdict)
        return max((c.verdict for c in self.checks), key=order.index, default=Verdict.MEASURED)


def report_of(
    result: SctResult, findings: Iterable[Finding], plan: Plan, checks: Iterable[QaCheck] = ()
) -> QaReport:
    """Build the report of an sCT: what was judged, then what was found, then what was measured."""
    found = [of_finding(f) for f in findings]
    return QaReport(
        checks=(*checks, *found, *_figures(result)),
        algorithm=f"pctnode {plan.software_version}",
        model=f"{plan.model.name} {plan.model.version}",
        settings_sha256=_settings(plan),
    )


def of_finding(found: Finding) -> QaCheck:
    """The row of a finding, with value and limits where its values have them."""
    value, unit = _first(found.values, _VALUES)
    low, _ = _first(found.values, dict.fromkeys(_LOW, ""))
    high, _ = _first(found.values, dict.fromkeys(_HIGH, ""))
    return QaCheck(
        code=found.code,
        title=CODES[found.code].title if found.code in CODES else found.code,
        value=value,
        unit=unit,
        low=low,
        high=high,
        verdict=VERDICTS[found.severity],
        sentence=found.sentence,
    )


# Names that checks give to the values of their sentences; see `node.domain.codes.table`.
_VALUES = {
    "share_percent": "%", "volume_ml": "ml", "shift_mm": "mm", "height_mm": "mm",
    "median_hu": "HU", "ratio": "",
}  # fmt: skip
_LOW = ("low_percent", "low_hu", "least_mm")
_HIGH = ("limit_percent", "limit_ml", "limit_mm", "limit", "high_percent", "high_hu")
_FIGURES: tuple[tuple[str, str, float, str], ...] = (
    ("body_ml", "Volume of the body", 1.0, "ml"),
    ("brain_share", "Share from 0 to 80 HU", 100.0, "%"),
    ("bone_share", "Share above 250 HU", 100.0, "%"),
    ("air_share", "Share below -400 HU", 100.0, "%"),
    ("uncertain_p95_hu", "Half width, 95th percentile", 1.0, "HU"),
)


def _figures(result: SctResult) -> list[QaCheck]:
    figures: dict[str, Any] = measured(result)
    return [
        QaCheck(
            code=key.upper(),
            title=title,
            value=round(factor * float(figures[key]), 3),
            unit=unit,
            verdict=Verdict.MEASURED,
        )
        for key, title, factor, unit in _FIGURES
        if key in figures
    ]


def _first(values: Mapping[str, str], names: Mapping[str, str]) -> tuple[float | None, str]:
    for name, unit in names.items():
        if name in values:
            try:
                return float(values[name]), unit
            except ValueError:  # words: a list of percentages, say
                continue
    return None, ""


def _settings(plan: Plan) -> str:
    identity = {
        "model": plan.model.sha256,
        "software": plan.software_version,
        "settings": dict(plan.settings),
        "actions": dict(plan.actions),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
