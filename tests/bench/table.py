"""One table of everything measured, each line beside its peer in the same run."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure."""

    part: str
    what: str
    ours: float
    unit: str
    peer: str = ""
    """What it is compared with; empty where there is nothing to compare."""
    theirs: float | None = None
    """None where the peer has no such figure, or failed."""
    rounds: int = 1

    @property
    def ratio(self) -> float | None:
        """Ours over theirs."""
        return self.ours / self.theirs if self.theirs else None


def markdown(rows: Iterable[Row]) -> str:
    """The table for the terminal and for the history."""
    lines = [
        "| part | what | node | unit | beside | theirs | ratio | rounds |",
        "|---|---|---:|---|---|---:|---:|---:|",
    ]
    for row in rows:
        theirs = "" if row.theirs is None else _number(row.theirs)
        if row.peer and row.theirs is None:
            theirs = "fails"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(
            f"| {row.part} | {row.what} | {_number(row.ours)} | {row.unit} | {row.peer} | {theirs} "
            f"| {ratio} | {row.rounds} |"
        )
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
