"""A node on several hosts: two acceptors, two workers, one folder, PostgreSQL with a follower."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from node.config.settings import load
from tests.crash.harness import MODEL_SPACING_MM, node_toml
from tests.crash.watched import Watched
from tests.peers import processes
from tests.peers.dcmtk import Storescp
from tests.peers.waiting import is_listening, wait_until
from tests.phantoms.tiny_onnx import write_affine_model
from tests.proving.disk import failing_disk
from tests.proving.network import Host, Network
from tests.proving.replicated import Replicated, start_replicated

TAKEOVER_S = 6.0
_PORT = 11112
_ACCEPTORS, _WORKERS = 2, 2


@dataclass(slots=True, kw_only=True)
class Machine:
    """One host and what runs of the node on it."""

    host: Host
    role: str
    process: "subprocess.Popen[bytes] | None" = None

    def tell(self, what: signal.Signals) -> None:
        """Send a signal to all of it."""
        if self.process is not None:
            os.killpg(self.process.pid, what)

    def kill(self) -> None:
        """The machine is gone, all of it at once."""
        self.tell(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(30)
        self.process = None


@dataclass(slots=True, kw_only=True)
class Site(Watched):
    """All of it; what the proving ground harms and looks at."""

    folder: Path
    config: Path
    network: Network
    database: Replicated
    environment: Mapping[str, str]
    machines: list[Machine] = field(default_factory=list)

    @property
    def data(self) -> Path:
        """The shared folder."""
        return self.folder / "var"

    @property
    def log(self) -> Path:
        """What every machine says."""
        return self.folder / "site.log"

    @property
    def doors(self) -> list[tuple[str, int]]:
        """Where senders may go."""
        return [(m.host.address, _PORT) for m in self.machines if m.role == "scp"]

    def engine(self) -> sa.Engine:
        """Open the shared database."""
        return sa.create_engine(load(self.config, {}).database.url, poolclass=sa.NullPool)

    def start(self) -> None:
        """Start what does not run, and wait until the doors are open."""
        for machine in self.machines:
            if machine.process is None or machine.process.poll() is not None:
                self.start_machine(machine)
        for machine in self.machines:
            self._wait_for(machine)

    def start_machine(self, machine: Machine) -> None:
        """Start what runs on a machine."""
        environment = {**os.environ, **self.environment}
        environment |= {"PCTNODE_NODE__MACHINE": f'"{machine.host.name}"', "PYTHONUNBUFFERED": "1"}
        words = [sys.executable, "-m", "node", "serve", "--role", machine.role]
        command = machine.host.command([*words, "--config", str(self.config)])
        with self.log.open("ab") as out:
            machine.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def ended(self) -> bool:
        """Whether something of it does not run."""
        return any(m.process is None or m.process.poll() is not None for m in self.machines)

    def stop(self) -> None:
        """End everything, and remove the hosts."""
        for machine in self.machines:
            if machine.process is not None:
                processes.stop(machine.process, timeout_s=30)
        self.database.close()
        self.network.close()

    def _wait_for(self, machine: Machine) -> None:
        if machine.role == "scp":
            here = machine.host.address
            wait_until(lambda: is_listening(_PORT, here), f"{here} to listen", timeout_s=120)


def make_site(
    folder: Path, destinations: Sequence[Storescp], *, quiet_s: float, intake: str
) -> tuple[Site, Path]:
    """Make network, database and settings; the site, and the switch of its failing disk."""
    folder.mkdir(parents=True, exist_ok=True)
    write_affine_model(folder / "models", slope=0.2, intercept=-200.0, spacing_mm=MODEL_SPACING_MM)
    network = Network()
    network.open()
    try:
        database = start_replicated(network, folder)
    except BaseException:
        network.close()
        raise
    named = [(f"tps{n}", scp.ae_title, scp.port) for n, scp in enumerate(destinations)]
    text = node_toml(
        named,
        _PORT,
        0,
        quiet_s=quiet_s,
        database_url=database.url,
        takeover_s=TAKEOVER_S,
        intake=intake,
        dicom='host = "0.0.0.0"',
    )
    text = text.replace('may = ["send"]', 'may = ["send", "query"]')
    config = folder / "node.toml"
    config.write_text(text.replace('host = "127.0.0.1"', f'host = "{network.own}"'))
    (folder / "var").mkdir()
    environment, switch = failing_disk(folder, folder / "var")
    site = Site(
        folder=folder, config=config, network=network, database=database, environment=environment
    )
    roles = ["scp"] * _ACCEPTORS + ["worker"] * _WORKERS
    site.machines = [Machine(host=network.add(), role=role) for role in roles]
    return site, switch
