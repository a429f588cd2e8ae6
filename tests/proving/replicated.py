"""PostgreSQL on two hosts: one serves, the other follows, lags behind, and takes over.

What is committed waits for the follower's disk (``synchronous_standby_names``), and the follower
applies it seconds later. Clients know one address, which goes with whoever serves.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.pki import Authority
from tests.peers.postgres import as_postgres
from tests.peers.processes import start
from tests.peers.tools import need_tool
from tests.peers.waiting import wait_until
from tests.proving.network import Host, Network

LAG_S = 2
_USER, _DATABASE, _PORT = "pctnode", "node", "5432"


@dataclass(slots=True, kw_only=True)
class Server:
    """One of both: its host, and a folder with cluster, socket and log."""

    host: Host
    folder: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it and wait until it answers on its socket."""
        words = [need_tool("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        words += ["-c", "listen_addresses=*", "-c", "max_connections=300", "-p", _PORT]
        words += ["-c", "ssl=on", "-c", f"ssl_cert_file={self.folder / 'server.pem'}"]
        words += ["-c", f"ssl_key_file={self.folder / 'server.key'}", "-c", "wal_keep_size=256MB"]
        command = self.host.command(as_postgres(words))
        home = {**os.environ, "HOME": str(self.folder)}  # where libpq looks for certificates
        self.process = start(command, self.folder / "server.log", env=home)
        wait_until(self._answers, "PostgreSQL to answer", timeout_s=60)

    def end(self, how: signal.Signals) -> None:
        """End it: SIGINT breaks connections off, SIGQUIT leaves recovery, SIGKILL all of it."""
        if self.process is None:
            return
        if how is signal.SIGKILL:
            _tell(_descendants(self.process.pid), signal.SIGKILL)
        os.kill(self.process.pid, how)
        self.process.wait(60)
        self.process = None

    def say(self, *statements: str) -> str:
        """Run statements on its socket; what they answer."""
        words = [need_tool("psql"), "-h", str(self.folder), "-p", _PORT, "-U", _USER, "-XAtq"]
        words += ["-d", "postgres", *(word for one in statements for word in ("-c", one))]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def pause(self) -> None:
        """Stop every process of it."""
        self._all(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let them run again."""
        self._all(signal.SIGCONT)

    def _all(self, what: signal.Signals) -> None:
        if self.process is not None:
            _tell((self.process.pid, *_descendants(self.process.pid)), what)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
        ready = [need_tool("pg_isready"), "-q", "-h", str(self.folder), "-p", _PORT]
        return subprocess.run(ready, check=False).returncode == 0


@dataclass(slots=True, kw_only=True)
class Replicated:
    """Both servers; ``serving`` has the address."""

    network: Network
    address: str
    authority: Authority
    serving: Server
    following: Server
    folders: list[Path] = field(default_factory=list)

    @property
    def url(self) -> str:
        """What goes into ``[database] url``."""
        tls = f"sslmode=verify-full&sslrootcert={self.authority.file}"
        return f"postgresql://{_USER}@{self.address}:{_PORT}/{_DATABASE}?{tls}"

    def fail_over(self) -> None:
        """Cut off who serves, let the other take over with the address, and make a new follower.

        Nobody is told that it is gone, as by a power cut.
        """
        old, new = self.serving, self.following
        self.network.pull(old.host)
        old.end(signal.SIGKILL)
        self.network.leave(old.host, self.address)
        new.say("SELECT pg_promote(true, 60)")
        new.say("ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
        self.network.take(new.host, self.address)
        self.serving, self.following = new, old
        self.network.plug(old.host)
        self._follow()

    def restart(self, how: signal.Signals) -> None:
        """End who serves and start it again at once."""
        self.serving.end(how)
        self.serving.start()

    def close(self) -> None:
        """End both and remove their folders."""
        for server in (self.serving, self.following):
            server.end(signal.SIGQUIT)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _follow(self) -> None:
        """Make the follower anew from who serves; from then on each commit waits for it."""
        server = self.following
        shutil.rmtree(server.folder / "data", ignore_errors=True)
        words = [need_tool("pg_basebackup"), "-h", str(self.serving.folder), "-p", _PORT]
        words += ["-U", _USER, "-D", str(server.folder / "data"), "-c", "fast", "-X", "stream"]
        subprocess.run(as_postgres(words), check=True, capture_output=True, timeout=120)
        to = f"host={self.serving.host.address} port={_PORT} user={_USER} sslmode=require"
        follows = f"primary_conninfo = '{to}'\n"
        lags = f"recovery_min_apply_delay = '{LAG_S}s'\n"
        with (server.folder / "data" / "postgresql.auto.conf").open("a") as file:
            file.write(follows + lags)
        (server.folder / "data" / "standby.signal").touch()
        server.start()
        streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        wait_until(lambda: self.serving.say(streams) == "1", "the follower", timeout_s=60)
        self.serving.say(
            "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
        )


def start_replicated(network: Network, folder: Path) -> Replicated:
    """Make a cluster on one host and its follower on another, both behind one address."""
    address = f"{network.prefix}.10"
    authority = Authority(folder / "pki")
    servers = [_server(network.add(), authority, address) for _ in range(2)]
    first = servers[0]
    words = [need_tool("initdb"), "-D", str(first.folder / "data"), "-U", _USER, "-A", "trust"]
    words += ["-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run(as_postgres(words), check=True, capture_output=True, timeout=120)
    with (first.folder / "data" / "pg_hba.conf").open("a") as file:
        file.write(f"hostssl all,replication {_USER} {network.prefix}.0/24 trust\n")
    first.start()
    first.say(f"CREATE DATABASE {_DATABASE}")
    network.take(first.host, address)
    made = Replicated(
        network=network,
        address=address,
        authority=authority,
        serving=first,
        following=servers[1],
        folders=[server.folder for server in servers],
    )
    try:
        made._follow()
    except BaseException:
        made.close()
        raise
    return made


def _server(host: Host, authority: Authority, address: str) -> Server:
    # Outside pytest's folder, which the user postgres cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="pctnode-replicated-"))
    identity = authority.issue(host.name, addresses=[address])
    user = pwd.getpwnam("postgres")
    for source, name in ((identity.certificate, "server.pem"), (identity.key, "server.key")):
        shutil.copy(source, folder / name)
        (folder / name).chmod(0o600)
        os.chown(folder / name, user.pw_uid, user.pw_gid)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return Server(host=host, folder=folder)


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        found = [int(word) for word in children.read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [each for child in found for each in (child, *_descendants(child))]


def _tell(pids: Iterable[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, what)
