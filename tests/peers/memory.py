"""What a process has in memory, from /proc."""

from pathlib import Path

MIB = 1 << 20


def resident_bytes(pid: int) -> int:
    """What it has now."""
    return _field(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """The most it has had since `forget_peak`."""
    return _field(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Begin the peak anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _field(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)
