"""DCMTK's storage client and server, and its echo client."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.processes import start, stop
from tests.peers.tools import need_tool
from tests.peers.waiting import free_port, is_listening, wait_until

# Without it a stock storescp or storescu waits 44 ms for a delayed ACK at every instance.
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1"}
AS_INSTALLED = {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
"""Nagle's algorithm on (RFC 896): what a hospital's DCMTK does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storescp:
    """A running storescp that writes what arrives, byte for byte, into a folder."""

    ae_title: str
    port: int
    folder: Path
    """Where the received files lie."""
    log: Path
    """What storescp prints."""
    process: "subprocess.Popen[bytes]"

    def files(self) -> list[Path]:
        """Files received so far, sorted by name (storescp names them by SOP Instance UID)."""
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def stop(self) -> None:
        """End the server."""
        stop(self.process)


def start_storescp(
    folder: Path,
    *,
    ae_title: str = "TPS",
    port: int = 0,
    options: Sequence[str] = (),
    environment: Mapping[str, str] = ENVIRONMENT,
) -> Storescp:
    """Start a storescp that accepts every storage class and wait until it listens."""
    program = need_tool("storescp")
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    log = folder.parent / f"{folder.name}.log"
    command = [program, "-v", "+B", "+xa", "--fork", "-aet", ae_title, "-od", str(folder)]
    process = start([*command, *options, str(port)], log, env=environment)
    wait_until(lambda: is_listening(port) or process.poll() is not None, "storescp to listen")
    if process.poll() is not None:
        raise AssertionError(f"storescp ended at once: {log.read_text(errors='replace')}")
    return Storescp(ae_title=ae_title, port=port, folder=folder, log=log, process=process)


def run_storescu(
    port: int,
    files: Sequence[Path],
    *,
    host: str = "127.0.0.1",
    calling: str = "PACS",
    called: str = "PCTNODE",
    options: Sequence[str] = (),
    timeout_s: float = 120.0,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> "subprocess.CompletedProcess[str]":
    """Send ``files`` (or folders) in one association with storescu, whatever comes of it."""
    program = need_tool("storescu")
    command = [program, "-v", "-aet", calling, "-aec", called, *options]
    # Folders are read recursively; file arguments are not changed by these options.
    command += ["+sd", "+r", host, str(port), *map(str, files)]
    return run_tool(command, timeout_s, environment)


def run_echoscu(
    port: int,
    *,
    calling: str = "PACS",
    called: str = "PCTNODE",
    options: Sequence[str] = (),
    timeout_s: float = 30.0,
) -> "subprocess.CompletedProcess[str]":
    """Verify an association with echoscu."""
    command = [need_tool("echoscu"), "-v", "-aet", calling, "-aec", called, *options]
    return run_tool([*command, "127.0.0.1", str(port)], timeout_s)


def run_dcmsend(
    port: int,
    files: Sequence[Path],
    *,
    calling: str = "PACS",
    called: str = "PCTNODE",
    options: Sequence[str] = (),
    timeout_s: float = 120.0,
) -> "subprocess.CompletedProcess[str]":
    """Send ``files`` with dcmsend, which judges every answer."""
    command = [need_tool("dcmsend"), "-v", "-aet", calling, "-aec", called, *options]
    return run_tool([*command, "127.0.0.1", str(port), *map(str, files)], timeout_s)


def run_tool(
    command: Sequence[str], timeout_s: float, environment: Mapping[str, str] = ENVIRONMENT
) -> "subprocess.CompletedProcess[str]":
    """Run one of DCMTK's programs to its end."""
    return subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )
