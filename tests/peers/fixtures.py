"""Fixtures over the peers: each factory ends what it started when the test ends."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.peers import dcmtk, orthanc, postgres, tracing, waiting


class StartStorescp(Protocol):
    """Starts a storescp; see `tests.peers.dcmtk.start_storescp`."""

    def __call__(
        self,
        *,
        name: str = "received",
        ae_title: str = "TPS",
        port: int = 0,
        options: Sequence[str] = (),
        environment: Mapping[str, str] = dcmtk.ENVIRONMENT,
    ) -> dcmtk.Storescp:
        """Start a server that writes into the test's folder ``name``."""


class StartOrthanc(Protocol):
    """Starts an Orthanc; see `tests.peers.orthanc.start_orthanc`."""

    def __call__(
        self,
        modalities: Mapping[str, orthanc.Modality],
        *,
        ae_title: str = "ORTHANC",
        dicom_port: int = 0,
        settings: Mapping[str, object] | None = None,
    ) -> orthanc.Orthanc:
        """Start a server that knows ``modalities``."""


class StartTracer(Protocol):
    """Attaches strace; see `tests.peers.tracing.attach_strace`."""

    def __call__(self, pids: Sequence[int], names: Sequence[str]) -> tracing.Tracer:
        """Trace system calls ``names`` of ``pids``."""


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give ports of the loopback interface that are free."""
    return waiting.free_port


@pytest.fixture
def start_storescp(tmp_path: Path) -> Iterator[StartStorescp]:
    """Start storescp servers that end with the test."""
    servers: list[dcmtk.Storescp] = []

    def begin(
        *,
        name: str = "received",
        ae_title: str = "TPS",
        port: int = 0,
        options: Sequence[str] = (),
        environment: Mapping[str, str] = dcmtk.ENVIRONMENT,
    ) -> dcmtk.Storescp:
        server = dcmtk.start_storescp(
            tmp_path / name,
            ae_title=ae_title,
            port=port,
            options=options,
            environment=environment,
        )
        servers.append(server)
        return server

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture
def start_orthanc(tmp_path: Path) -> Iterator[StartOrthanc]:
    """Start Orthanc servers that end with the test."""
    servers: list[orthanc.Orthanc] = []

    def begin(
        modalities: Mapping[str, orthanc.Modality],
        *,
        ae_title: str = "ORTHANC",
        dicom_port: int = 0,
        settings: Mapping[str, object] | None = None,
    ) -> orthanc.Orthanc:
        server = orthanc.start_orthanc(
            tmp_path / f"orthanc{len(servers)}",
            modalities,
            ae_title=ae_title,
            dicom_port=dicom_port,
            settings=settings,
        )
        servers.append(server)
        return server

    yield begin
    for server in servers:
        server.stop()


@pytest.fixture
def start_strace(tmp_path: Path) -> Iterator[StartTracer]:
    """Attach strace to processes; it detaches with the test."""
    tracers: list[tracing.Tracer] = []

    def begin(pids: Sequence[int], names: Sequence[str]) -> tracing.Tracer:
        folder = tmp_path / f"strace{len(tracers)}"
        folder.mkdir()
        tracer = tracing.attach_strace(pids, names, folder)
        tracers.append(tracer)
        return tracer

    yield begin
    for tracer in tracers:
        tracer.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server for all tests of this process, which may stop and start it."""
    server = postgres.start_postgres()
    yield server
    server.remove()


@pytest.fixture
def database_url(postgres_server: postgres.Postgres) -> str:
    """An empty PostgreSQL database of the test's own."""
    return postgres_server.create_database()
