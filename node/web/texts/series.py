"""Texts of the page of one series."""

SERIES: dict[str, tuple[str, str]] = {
    "series.title": ("Series {id}", "Série {id}"),
}
