"""A real PostgreSQL server with a cluster, a port and a folder of its own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.processes import start
from tests.peers.tools import need_tool
from tests.peers.waiting import free_port, wait_until

_SUPERUSER = "pctnode"


@dataclass(slots=True, kw_only=True)
class Postgres:
    """One server; it refuses to run as root, so root starts it as the user postgres."""

    folder: Path
    """Cluster, socket and log; outside pytest's folder, which others cannot enter."""
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def create_database(self) -> str:
        """A new, empty database; what goes into ``[database] url``."""
        name = f"node_{secrets.token_hex(4)}"
        self.run("createdb", name)
        return f"postgresql://{_SUPERUSER}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        command = [need_tool("postgres"), "-D", str(self.folder / "data"), "-p", str(self.port)]
        command += ["-h", "127.0.0.1", "-k", str(self.folder), "-c", "max_connections=200"]
        log = self.folder / "server.log"
        self.process = start(as_postgres(command), log)
        ready = [need_tool("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        wait_until(
            lambda: subprocess.run(ready, check=False).returncode == 0,
            "PostgreSQL to answer",
            timeout_s=60,
        )

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT breaks connections off, SIGQUIT leaves recovery to the next start."""
        if self.process is None:
            return
        os.kill(self._server(), how)
        self.process.wait(60)
        self.process = None

    def remove(self) -> None:
        """End it and remove its cluster."""
        self.stop(how=signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str) -> str:
        """Run a client program of PostgreSQL against it; what it prints."""
        words = [need_tool(command[0]), "-h", "127.0.0.1", "-p", str(self.port), "-U", _SUPERUSER]
        done = subprocess.run([*words, *command[1:]], capture_output=True, text=True, check=True)
        return done.stdout

    def _server(self) -> int:
        return int((self.folder / "data" / "postmaster.pid").read_text().splitlines()[0])


def start_postgres() -> Postgres:
    """Make a cluster and start a server on it."""
    initdb = need_tool("initdb")
    folder = Path(tempfile.mkdtemp(prefix="pctnode-postgres-"))
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
    command = [initdb, "-D", str(folder / "data"), "-U", _SUPERUSER, "-A", "trust", "-E", "UTF8"]
    command += ["--locale=C.UTF-8", "--no-sync"]
    subprocess.run(as_postgres(command), check=True, capture_output=True)
    server = Postgres(folder=folder, port=free_port())
    server.start()
    return server


def as_postgres(command: Sequence[str]) -> list[str]:
    """``command`` as the user postgres where we are root."""
    if os.geteuid() != 0:
        return list(command)
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return [need_tool("setpriv"), *user, *command]
