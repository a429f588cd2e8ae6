"""A real node in its own processes, between a real storescu and a real storescp."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from node.archive.schema.tables import open_engine, sqlite_url
from node.crashpoints import ENVIRONMENT, MARK
from tests.crash.watched import Watched
from tests.peers import processes
from tests.peers.dcmtk import Storescp
from tests.peers.waiting import free_port, is_listening, wait_until
from tests.phantoms.tiny_onnx import write_affine_model


class Listener(Protocol):
    """Something to deliver to."""

    @property
    def ae_title(self) -> str:
        """Its AE title."""

    @property
    def port(self) -> int:
        """Where it listens."""


REPOSITORY = Path(__file__).resolve().parents[2]
MODEL_SPACING_MM = 4.0


@dataclass(slots=True, kw_only=True)
class Node(Watched):
    """One node's folder, and the supervisor that serves it while it runs."""

    folder: Path
    config: Path
    dicom_port: int
    web_port: int
    process: "subprocess.Popen[bytes] | None" = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Set on top of ours at every start."""

    @property
    def log(self) -> Path:
        """What its processes say."""
        return self.folder / "node.log"

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "var"

    @property
    def mark(self) -> Path:
        """The file that appears when a crash point has fired."""
        return self.folder / "crashed"

    @property
    def doors(self) -> list[tuple[str, int]]:
        """Host and port of its DICOM door."""
        return [("127.0.0.1", self.dicom_port)]

    def start(self, *, crash_at: str = "") -> None:
        """Start the whole tree and wait until the port is open."""
        environment = dict(os.environ) | dict(self.environment)
        environment |= {MARK: str(self.mark), "PYTHONUNBUFFERED": "1"}
        if crash_at:
            environment[ENVIRONMENT] = crash_at
        command = [sys.executable, "-m", "node", "serve", "--config", str(self.config)]
        self.process = processes.start(command, self.log, env=environment)
        wait_until(
            lambda: self.ended() or is_listening(self.dicom_port), "the DICOM port", timeout_s=120
        )
        assert not self.ended(), self.log.read_text()

    def ended(self) -> bool:
        """Whether the supervisor is gone."""
        return self.process is None or self.process.poll() is not None

    def stop(self) -> int:
        """Ask it to end; return its exit status."""
        assert self.process is not None
        status = processes.stop(self.process, timeout_s=60)
        self.process = None
        return status

    def kill_supervisor(self) -> None:
        """Kill -9 the supervisor; the kernel kills its children with it."""
        assert self.process is not None
        children = self.children()
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self.process = None
        wait_until(
            lambda: not any(map(_alive, children.values())), "the children to go", timeout_s=60
        )

    def children(self) -> dict[str, int]:
        """Process ids of the living children, by role and slot."""
        assert self.process is not None
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = {}
        for pid in map(int, task.read_text().split()):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            if "--role" in words:
                role = words[words.index("--role") + 1]
                found[f"{role}-{words[words.index('--slot') + 1]}"] = pid
        return found

    def engine(self) -> sa.Engine:
        """Open its database."""
        self.data.mkdir(exist_ok=True)
        return open_engine(sqlite_url(self.data / "node.sqlite"))

    def healthy(self) -> bool:
        """Whether its web process answers."""
        try:
            url = f"http://127.0.0.1:{self.web_port}/healthz"
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def make_node(
    folder: Path,
    tps: Storescp | int,
    *,
    more_tps: Sequence[Listener] = (),
    **settings: Any,
) -> Node:
    """Write a node's settings and a model of known arithmetic; ``tps`` gets its sCT.

    So do ``more_tps``, which are called tps2, tps3 and so on; ``settings`` go to `node_toml`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_affine_model(folder / "models", slope=0.2, intercept=-200.0, spacing_mm=MODEL_SPACING_MM)
    node = Node(
        folder=folder,
        config=folder / "node.toml",
        dicom_port=free_port(),
        web_port=free_port(),
    )
    first = ("tps", "TPS", tps if isinstance(tps, int) else tps.port)
    others = [(f"tps{n}", scp.ae_title, scp.port) for n, scp in enumerate(more_tps, start=2)]
    text = node_toml((first, *others), node.dicom_port, node.web_port, **settings)
    node.config.write_text(text)
    return node


def node_toml(
    destinations: Sequence[tuple[str, str, int]],
    dicom_port: int,
    web_port: int,
    *,
    acceptors: int = 1,
    journal_mb: int = 8,
    release: str = "auto",
    quiet_s: float = 0.5,
    database_url: str = "",
    takeover_s: float = 60.0,
    min_free_gb: float = 0,
    retention: str = "",
    pacs_port: int = 1,
    intake: str = "",
    dicom: str = "",
    more: str = "",
) -> str:
    """A node.toml: who may send, and a route to ``destinations`` (name, AE title, port)."""
    return f"""
[node]
data_dir = "var"
takeover_s = {takeover_s}
[dicom]
port = {dicom_port}
acceptors = {acceptors}
journal_mb = {journal_mb}
{dicom}
[web]
port = {web_port}
[database]
url = "{database_url}"
[intake]
quiet_s = {quiet_s}
{intake}
[inference]
models_dir = "models"
providers = ["cpu"]
[retention]
min_free_gb = {min_free_gb}
{retention}
[[peers]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs_port}
may = ["send"]
{"".join(map(_peer, *zip(*destinations, strict=True)))}
[[routes]]
name = "head"
when = {{ from = ["pacs"] }}
model = "tiny"
deliver_to = {json.dumps([name for name, _, _ in destinations])}
release = {json.dumps(release)}
{more}
"""


def _peer(name: str, ae_title: str, port: int) -> str:
    return f"""
[[peers]]
name = "{name}"
ae_title = "{ae_title}"
host = "127.0.0.1"
port = {port}
"""


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
