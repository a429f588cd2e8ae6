"""What the system page and the worker say of this machine: disk, GPUs, versions, logs, backup."""

import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from node import __version__
from node.archive.evidence import conflicts, damage
from node.archive.files import Folder
from node.archive.ingest import recovery
from node.archive.query import system_queries
from node.archive.work.leases import Leases
from node.config.settings import Settings
from node.log import FOLDER

BACKUP_FILE = "backup.json"
_PACKAGES = (
    "onnxruntime-gpu",
    "pydicom",
    "pynetdicom",
    "SimpleITK",
    "dbos",
    "SQLAlchemy",
    "fastapi",
)
_TAIL_BYTES = 2**21
_MOST_LINES = 500
_SMI = (
    "name",
    "memory.used",
    "memory.total",
    "utilization.gpu",
    "temperature.gpu",
    "driver_version",
)
_SMI_S = 5.0


def system(settings: Settings, engine: sa.Engine) -> dict[str, Any]:
    """Everything the system page shows but health, logs and certificates."""
    data = settings.node.data_dir
    usage = shutil.disk_usage(data)
    keep = settings.retention
    return {
        "version": __version__,
        "disk": {
            "folder": str(data),
            "total_bytes": usage.total,
            "free_bytes": usage.free,
            "min_free_bytes": keep.min_free_bytes,
            "stored": system_queries.stored(engine),
        },
        "retention": {"days": keep.days, "max_bytes": int(keep.max_gb * 1e9)},
        "queues": system_queries.queues(engine),
        "deliveries": system_queries.deliveries(engine),
        "workers": Leases(engine).told(),
        "providers_wanted": list(settings.inference.providers),
        "versions": versions() | {"database": system_queries.database_version(engine)},
        "backup": last_backup(data),
        "unfiled": unfiled(Folder(data), engine),
        "damaged": damage.damaged(engine),
    }


def unfiled(folder: Folder, engine: sa.Engine) -> list[str]:
    """Files of what was acknowledged and is among the images of no series, while they are there."""
    aside = (path for path in conflicts.unfiled(engine) if (folder.root / path).exists())
    return [*aside, *recovery.refused(folder)]


def worker_facts(settings: Settings) -> dict[str, Any]:
    """What a worker says of its machine."""
    from node.infer.session import providers_here

    return {
        "machine": settings.node.machine,
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "providers": list(providers_here()),
        "gpus": gpus(),
        "version": __version__,
        "runtime": _version("onnxruntime-gpu"),
    }


def gpus() -> list[dict[str, Any]]:
    """What NVIDIA's driver says of each GPU; empty where there is none."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own tool
            [command, f"--query-gpu={','.join(_SMI)}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SMI_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [_gpu(line) for line in done.stdout.splitlines() if line.count(",") == len(_SMI) - 1]


def _gpu(line: str) -> dict[str, Any]:
    name, used, total, busy, celsius, driver = (part.strip() for part in line.split(","))
    return {
        "name": name,
        "used_mib": _number(used),
        "total_mib": _number(total),
        "busy_percent": _number(busy),
        "celsius": _number(celsius),
        "driver": driver,
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # [N/A] on some cards
        return None


def versions() -> dict[str, str]:
    """Versions of what the node stands on."""
    found = {"pctnode": __version__, "Python": platform.python_version()}
    return found | {name: _version(name) for name in _PACKAGES}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def note_backup(data: Path, target: Path, files: int) -> None:
    """Remember that a backup ended well."""
    beside = data / f"{BACKUP_FILE}.part"
    told = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "target": str(target)}
    beside.write_text(json.dumps(told | {"files": files}))
    beside.replace(data / BACKUP_FILE)


def last_backup(data: Path) -> dict[str, Any] | None:
    """When the last backup ended well, and how long ago; None where there was none."""
    try:
        told = dict(json.loads((data / BACKUP_FILE).read_text()))
        age = datetime.now(UTC) - datetime.fromisoformat(told["at"])
    except (OSError, ValueError, KeyError):
        return None
    return told | {"age_s": max(0.0, age.total_seconds())}


def log_lines(data: Path, within_s: float) -> list[dict[str, Any]]:
    """What the processes logged in the last ``within_s`` seconds, newest first."""
    since = (datetime.now(UTC) - timedelta(seconds=within_s)).isoformat(timespec="milliseconds")
    young = time.time() - within_s
    files = sorted((data / FOLDER).glob("*.jsonl*"))
    lines = [
        line
        for file in files
        if file.exists() and file.stat().st_mtime >= young
        for line in _parsed(_tail(file))
        if str(line.get("at", "")) >= since
    ]
    return sorted(lines, key=lambda line: str(line["at"]), reverse=True)[:_MOST_LINES]


def _tail(file: Path) -> Iterable[bytes]:
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _TAIL_BYTES))
            return stream.read().splitlines()
    except OSError:  # rotated away meanwhile
        return ()


def _parsed(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:  # cut by the tail
            continue
        if isinstance(told, dict):
            yield told
