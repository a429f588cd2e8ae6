"""plastimatch, a reader of RTSTRUCT that shares no code with ours; in tests alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from tests.peers.tools import need_tool


def read_structures(rtstruct: Path, ct_folder: Path, work: Path) -> dict[str, NDArray[np.bool_]]:
    """Rasterise every structure on the lattice of the CT: (slices, rows, columns) by name."""
    _run("convert", "--input", rtstruct, "--referenced-ct", ct_folder, "--output-prefix", work,
         "--prefix-format", "nii.gz")  # fmt: skip
    return {
        path.name.removesuffix(".nii.gz"): np.asarray(nibabel.load(path).dataobj).T > 0
        for path in sorted(work.glob("*.nii.gz"))
    }


def _run(*arguments: object) -> None:
    beside = Path(sys.executable).with_name("plastimatch")  # the wheel puts it there
    tool = str(beside) if beside.exists() else shutil.which("plastimatch")
    done = subprocess.run(
        [tool or need_tool("plastimatch"), *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
