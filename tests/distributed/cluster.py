"""A node spread over machines: each role a process group of its own, under a machine's name."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from node.config.settings import load
from node.crashpoints import ENVIRONMENT, MARK, SIGNAL
from tests.crash.harness import MODEL_SPACING_MM, node_toml
from tests.crash.watched import Watched
from tests.peers.dcmtk import Storescp
from tests.peers.waiting import free_port, is_listening, wait_until
from tests.phantoms.tiny_onnx import write_affine_model

TAKEOVER_S = 6.0


@dataclass(slots=True, kw_only=True)
class Machine:
    """One role on one machine."""

    name: str
    role: str
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """The machine is gone for good, all of it at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def drain(self) -> int:
        """Ask it to end what it is at; its exit status."""
        self.process.terminate()
        return self.process.wait(60)


@dataclass(slots=True, kw_only=True)
class Cluster(Watched):
    """Machines that share a database and a folder."""

    folder: Path
    config: Path
    machines: list[Machine] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The shared folder."""
        return self.folder / "var"

    @property
    def log(self) -> Path:
        """What every machine says."""
        return self.folder / "cluster.log"

    @property
    def mark(self) -> Path:
        """The file that appears when a crash point has fired."""
        return self.folder / "crashed"

    def engine(self) -> sa.Engine:
        """Open the shared database."""
        return sa.create_engine(load(self.config, {}).database.url, poolclass=sa.NullPool)

    def scp(self, name: str) -> int:
        """Add a front-end; the port it listens on."""
        port = free_port()
        self._add(name, "scp", {"PCTNODE_DICOM__PORT": str(port)})
        wait_until(lambda: is_listening(port), f"{name} to listen", timeout_s=180)
        return port

    def worker(
        self,
        name: str,
        *,
        crash_at: str = "",
        by: str = "SIGKILL",
        program: Sequence[str] = ("-m", "node"),
    ) -> Machine:
        """Add a worker; with ``crash_at`` it dies there for good, or is stopped there."""
        more = {ENVIRONMENT: crash_at, MARK: str(self.mark), SIGNAL: by} if crash_at else {}
        return self._add(name, "worker", more, program)

    def wait_for_workers(self, *names: str) -> None:
        """Wait until each has given a sign of life."""
        wanted = {f"{name}-worker-0" for name in names}

        def beat() -> bool:
            try:
                with self.engine().connect() as connection:
                    query = sa.text("select executor_id from leases where beat_at > 0")
                    return wanted <= set(connection.execute(query).scalars())
            except sa.exc.ProgrammingError:  # the tables are being made
                return False

        wait_until(beat, f"workers {names}", timeout_s=180)

    def stop(self) -> None:
        """End every machine that still runs."""
        for machine in self.machines:
            if machine.process.poll() is None:
                machine.process.terminate()
        for machine in self.machines:
            try:
                machine.process.wait(60)
            except subprocess.TimeoutExpired:
                machine.kill()

    def _add(
        self,
        name: str,
        role: str,
        more: Mapping[str, str],
        program: Sequence[str] = ("-m", "node"),
    ) -> Machine:
        environment = {**os.environ, "PCTNODE_NODE__MACHINE": f'"{name}"', **more}
        command = [sys.executable, *program, "serve", "--role", role, "--config", str(self.config)]
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        machine = Machine(name=name, role=role, process=process)
        self.machines.append(machine)
        return machine


def make_cluster(
    folder: Path,
    database_url: str,
    destinations: Sequence[Storescp],
    *,
    quiet_s: float = 0.5,
    spacing_mm: float = MODEL_SPACING_MM,
) -> Cluster:
    """Write the settings every machine reads, and the model."""
    folder.mkdir(parents=True, exist_ok=True)
    write_affine_model(folder / "models", slope=0.2, intercept=-200.0, spacing_mm=spacing_mm)
    named = [(f"tps{n}", scp.ae_title, scp.port) for n, scp in enumerate(destinations)]
    config = folder / "node.toml"
    config.write_text(
        node_toml(named, 0, 0, quiet_s=quiet_s, database_url=database_url, takeover_s=TAKEOVER_S)
    )
    return Cluster(folder=folder, config=config)
