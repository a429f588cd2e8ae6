"""Fixtures of the tests with several machines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.distributed.cluster import Cluster, make_cluster
from tests.peers.dcmtk import Storescp

MakeCluster = Callable[..., Cluster]


@pytest.fixture
def new_cluster(tmp_path: Path, database_url: str) -> Iterator[MakeCluster]:
    """Make clusters on one PostgreSQL database that end with the test."""
    made: list[Cluster] = []

    def begin(*destinations: Storescp, quiet_s: float = 0.5) -> Cluster:
        folder = tmp_path / "cluster"
        cluster = make_cluster(folder, database_url, destinations, quiet_s=quiet_s)
        made.append(cluster)
        return cluster

    yield begin
    for cluster in made:
        cluster.stop()
