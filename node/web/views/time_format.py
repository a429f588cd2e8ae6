"""Times for people, on the node's own clock (24 hours)."""

from datetime import UTC, datetime

from node.domain.wording import Language

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400


def iso(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def clock_time(iso: str | None) -> str:
    """Hours, minutes and seconds of an ISO 8601 text; empty for None."""
    return "" if iso is None else _local(iso).strftime("%H:%M:%S")


def day_time(iso: str | None) -> str:
    """The time of a moment of today, else its date and time; empty for None."""
    if iso is None:
        return ""
    return _local(iso).strftime("%H:%M" if _is_today(iso) else "%Y-%m-%d %H:%M")


def day_clock(iso: str | None) -> str:
    """The time of a moment of today to the second, else its date and time; empty for None."""
    return clock_time(iso) if iso and _is_today(iso) else day_time(iso)


def ago(iso: str | None, now: datetime, language: str = Language.EN) -> str:
    """How long ago a moment was, in its two largest units; empty for None."""
    if iso is None:
        return ""
    return lasted((now - datetime.fromisoformat(iso)).total_seconds(), language)


def lasted(seconds: float, language: str = Language.EN) -> str:
    """A time in its one or two largest units."""
    total = max(0, int(seconds))
    day = "j" if language == Language.FR else "d"
    if total < _MINUTE_S:
        return f"{total} s"
    if total < _HOUR_S:
        return f"{total // _MINUTE_S} min"
    if total < _DAY_S:
        hours, minutes = total // _HOUR_S, total % _HOUR_S // _MINUTE_S
        return f"{hours} h {minutes} min" if hours < 10 and minutes else f"{hours} h"
    return f"{total // _DAY_S} {day}"


def _is_today(iso: str) -> bool:
    return _local(iso).date() == datetime.now(UTC).astimezone().date()


def _local(iso: str) -> datetime:
    return datetime.fromisoformat(iso).astimezone()
