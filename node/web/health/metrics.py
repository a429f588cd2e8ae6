"""Counts for Prometheus, read from the database at each scrape."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from node.domain.states import DeliveryState, State
from node.net.tls import Validity

# Deliveries are counted over this many series, so that a scrape stays cheap.
_NEWEST = 500


class Counts(Protocol):
    """What the metrics read."""

    def counts(self) -> dict[str, int]:
        """How many series stand in each state."""

    def totals(self) -> dict[str, int]:
        """Rows of the counting tables."""

    def series_items(self, *, limit: int) -> list[dict[str, Any]]:
        """The series that changed last."""


class _Collector:
    def __init__(self, queries: Counts) -> None:
        self._queries = queries

    def collect(self) -> Iterator[Metric]:
        """Read everything anew; called by the registry."""
        states = self._queries.counts()
        series = GaugeMetricFamily("pctnode_series", "Series by state.", labels=["state"])
        for state in State:
            series.add_metric([state.value], states.get(state.value, 0))
        yield series
        totals = self._queries.totals()
        for name in ("instances", "associations"):
            text = f"{name.capitalize()} received."
            yield CounterMetricFamily(f"pctnode_{name}_received", text, value=totals[name])
        deliveries = GaugeMetricFamily(
            "pctnode_deliveries",
            f"Deliveries by state, of the {_NEWEST} series that changed last.",
            labels=["state"],
        )
        items = self._queries.series_items(limit=_NEWEST)
        found = Counter(d["state"] for item in items for d in item["deliveries"])
        for delivery in DeliveryState:
            deliveries.add_metric([delivery.value], found[delivery.value])
        yield deliveries


class _Certificates:
    def __init__(self, found: Sequence[Validity], now: datetime) -> None:
        self._found = found
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """How long each is good for; called by the registry."""
        days = GaugeMetricFamily(
            "pctnode_certificate_days_left",
            "Days until a certificate of TLS ends; negative once it has.",
            labels=["subject", "file"],
        )
        for one in self._found:
            days.add_metric([one.subject, one.file.name], one.days_left(self._now))
        yield days


def exposition(queries: Counts, certificates: Sequence[Validity] = ()) -> bytes:
    """Give the metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(queries))
    registry.register(_Certificates(certificates, datetime.now(UTC)))
    return generate_latest(registry)
