"""DCMTK's archive, and its query and retrieve clients."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.peers.dcmtk import ENVIRONMENT, run_storescu, run_tool
from tests.peers.processes import start, stop
from tests.peers.tools import need_tool
from tests.peers.waiting import free_port, is_listening, wait_until

_CONFIGURATION = """NetworkTCPPort = {port}
MaxPDUSize = 65536
MaxAssociations = 16
HostTable BEGIN
{hosts}
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{title} {folder} RW (2000, 1024mb) ANY
AETable END
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dcmqrscp:
    """A running dcmqrscp."""

    ae_title: str
    port: int
    log: Path
    """What it prints."""
    process: "subprocess.Popen[bytes]"

    def fill(self, files: Sequence[Path]) -> None:
        """Store ``files`` there."""
        sent = run_storescu(self.port, files, called=self.ae_title)
        assert sent.returncode == 0, sent.stdout + sent.stderr

    def stop(self) -> None:
        """End the server."""
        stop(self.process)


def start_dcmqrscp(
    folder: Path,
    *,
    ae_title: str = "QRSCP",
    port: int = 0,
    hosts: Mapping[str, tuple[str, int]] | None = None,
) -> Dcmqrscp:
    """Start a dcmqrscp whose move destinations are ``hosts``: name to AE title and port."""
    program = need_tool("dcmqrscp")
    storage = folder / "storage"
    storage.mkdir(parents=True)
    port = port or free_port()
    known = "\n".join(f"{n} = ({t}, 127.0.0.1, {p})" for n, (t, p) in (hosts or {}).items())
    settings = folder / "dcmqrscp.cfg"
    settings.write_text(
        _CONFIGURATION.format(port=port, hosts=known, title=ae_title, folder=storage)
    )
    log = folder / "dcmqrscp.log"
    process = start([program, "-v", "-c", str(settings)], log, env=ENVIRONMENT)
    wait_until(lambda: is_listening(port) or process.poll() is not None, "dcmqrscp to listen")
    if process.poll() is not None:
        raise AssertionError(f"dcmqrscp ended at once: {log.read_text(errors='replace')}")
    return Dcmqrscp(ae_title=ae_title, port=port, log=log, process=process)


def run_findscu(
    port: int,
    keys: Sequence[str],
    folder: Path,
    *,
    calling: str = "PACS",
    called: str = "PCTNODE",
    model: str = "-S",
    timeout_s: float = 60.0,
) -> list[Dataset]:
    """Query with findscu; what it received, read from the files it wrote into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    options = [word for key in keys for word in ("-k", key)]
    command = [need_tool("findscu"), "-v", model, "-X", "-od", str(folder)]
    command += ["-aet", calling, "-aec", called, *options, "127.0.0.1", str(port)]
    done = run_tool(command, timeout_s)
    assert done.returncode == 0, done.stdout + done.stderr
    return [dcmread(path, force=True) for path in sorted(folder.iterdir())]


def run_movescu(
    port: int,
    keys: Sequence[str],
    destination: str,
    *,
    calling: str = "PACS",
    called: str = "PCTNODE",
    model: str = "-S",
    options: Sequence[str] = (),
    timeout_s: float = 20.0,
) -> "subprocess.CompletedProcess[str]":
    """Have ``destination`` sent what ``keys`` name; whatever comes of it."""
    command = [need_tool("movescu"), "-v", model, "-aet", calling, "-aec", called]
    command += ["-aem", destination, *options]
    command += [word for key in keys for word in ("-k", key)]
    return run_tool([*command, "127.0.0.1", str(port)], timeout_s)


def run_getscu(
    port: int,
    keys: Sequence[str],
    folder: Path,
    *,
    host: str = "127.0.0.1",
    calling: str = "PACS",
    called: str = "PCTNODE",
    model: str = "-S",
    options: Sequence[str] = (),
    timeout_s: float = 20.0,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> "subprocess.CompletedProcess[str]":
    """Fetch what ``keys`` name into ``folder``, byte for byte; whatever comes of it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [need_tool("getscu"), "-v", model, "-aet", calling, "-aec", called, "+B"]
    command += ["-od", str(folder), *options]
    command += [word for key in keys for word in ("-k", key)]
    return run_tool([*command, host, str(port)], timeout_s, environment)
