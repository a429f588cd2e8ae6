"""The end of a certificate is there for whoever watches the node."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from node.archive.query.queries import Queries
from node.archive.schema import tables
from node.net.tls import Validity
from node.web.health.metrics import exposition


def test_days_left_are_a_gauge(tmp_path: Path) -> None:
    """By subject and file; negative once it has ended."""
    engine = tables.open_engine(tables.sqlite_url(tmp_path / "node.sqlite"))
    tables.metadata.create_all(engine)
    now = datetime.now(UTC)
    certificates = [
        Validity(file=Path("/pki/node.pem"), subject="CN=node", ends_at=now + timedelta(days=10)),
        Validity(file=Path("/pki/ca.pem"), subject="CN=ca", ends_at=now - timedelta(days=2)),
    ]

    text = exposition(Queries(engine), certificates).decode()

    engine.dispose()
    (days,) = [f for f in text_string_to_metric_families(text) if "days_left" in f.name]
    found = {s.labels["file"]: (s.labels["subject"], round(s.value)) for s in days.samples}
    assert found == {"node.pem": ("CN=node", 10), "ca.pem": ("CN=ca", -2)}
