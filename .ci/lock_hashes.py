"""Put beside every pin of a lock file the hashes of what pip would install, on each platform.

Usage: python .ci/lock_hashes.py requirements.lock [.ci/requirements-dev.lock ...]

pip itself says what it would take from the index, and its digest. From then on it refuses anything
else under that name and version (``--require-hashes`` is implied by the first hash in a file).
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# CPython and platform tags a node is run on; a lock serves no others.
TARGETS = (
    ("3.11", ("manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")),
    ("3.12", ("manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")),
    ("3.13", ("manylinux2014_x86_64", "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")),
    ("3.11", ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")),
    ("3.11", ("macosx_11_0_arm64", "macosx_13_0_arm64", "macosx_14_0_arm64")),
)
_PIN = re.compile(r"([A-Za-z0-9._-]+)(\[[^]]*\])?==([^\s;\\]+)([^\\]*)")


def hashes(pins: list[str], python: str, platforms: tuple[str, ...]) -> dict[str, set[str]]:
    """Digests by normal name; a pin without a wheel there is told and left out."""
    found: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        lock, report = Path(folder, "lock"), Path(folder, "report.json")
        lock.write_text("\n".join(pins))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed"]
        command += ["--no-deps", "--quiet", "--only-binary=:all:", "--target", folder]
        command += ["--python-version", python, "--report", str(report), "-r", str(lock)]
        command += [word for platform in platforms for word in ("--platform", platform)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            missing = re.findall(
                r"No matching distribution found for ([A-Za-z0-9._-]+)", done.stderr
            )
            if not missing:
                raise SystemExit(done.stderr)
            sys.stderr.write(f"{python} {platforms[0]}: no wheel of {missing[0]}\n")
            rest = [pin for pin in pins if normal(pin.split("==")[0]) != normal(missing[0])]
            return hashes(rest, python, platforms)
        for item in json.loads(report.read_text())["install"]:
            digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
            found.setdefault(normal(item["metadata"]["name"]), set()).add(digest)
    return found


def normal(name: str) -> str:
    """A project's name as the index compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.split("[")[0]).lower()


def with_hashes(text: str) -> str:
    """The lock file anew."""
    pins = [m.group(0).strip() for line in text.splitlines() if (m := _PIN.match(line))]
    digests: dict[str, set[str]] = {}
    for python, platforms in TARGETS:
        for name, found in hashes(pins, python, platforms).items():
            digests.setdefault(name, set()).update(found)
    lines = [line for line in text.splitlines() if line.startswith("#")]
    for pin in pins:
        words = [f"--hash=sha256:{d}" for d in sorted(digests[normal(pin.split("==")[0])])]
        lines.append(" \\\n    ".join([pin, *words]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(with_hashes(Path(name).read_text()))
