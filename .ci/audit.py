"""Ask for known vulnerabilities of everything the lock files name, and say when nobody answered.

``pip-audit`` ends with 0 and "No known vulnerabilities" where the advisory service knows none of
the packages, which is also what a mirror or a wall before it makes of it. Here that is said.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", ".ci/requirements-dev.lock")


def main() -> int:
    """Exit status 1 when something is known, 0 when nothing is or nobody could be asked."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps"]
        command += ["--progress-spinner", "off", "--format", "json", "--output", str(answer)]
        for lock in LOCKS:
            command += ["--requirement", str(_ROOT / lock)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if not answer.exists():
            reason = ran.stderr.strip().splitlines()[-1:] or ["no answer"]
            return _unasked(f"pip-audit gave no answer ({reason[0]})")
        return _judge(json.loads(answer.read_text())["dependencies"])


def _judge(found: list[dict[str, object]]) -> int:
    skipped = [one for one in found if "skip_reason" in one]
    bad = [one for one in found if one.get("vulns")]
    for one in bad:
        for vulnerability in one["vulns"]:  # type: ignore[attr-defined]
            fixed = ", ".join(vulnerability["fix_versions"]) or "no version yet"
            _say(f"{one['name']} {one['version']}: {vulnerability['id']}, fixed in {fixed}")
    if len(skipped) == len(found):
        return _unasked(f"it knows none of the {len(found)} packages")
    _say(
        f"{len(found) - len(skipped)} packages audited, {len(skipped)} not, {len(bad)} with faults."
    )
    return 1 if bad else 0


def _unasked(why: str) -> int:
    _say(f"NOT AUDITED: the advisory service could not be asked: {why}.")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
