"""The node's runtime against MONAI's sliding window with torch, same network, same volume.

``python -m models.studies.speed models/head-t1.toml onnx/head-t1/1.3.0`` prints both tables. Each
figure is a process of its own, for each has its own peak; processor seconds stand beside wall
seconds, since on a machine with other work only those compare. Weights do not change the time:
torch runs the config's network as it is initialised.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from models.config import read_config
from node.infer.manifest import read_manifest
from node.infer.session import Session
from node.infer.sliding import lean_budget, predict_within

SHAPE = (192, 256, 256)
SHAPES = ((64, 128, 128), (96, 192, 192), (144, 224, 192), SHAPE, (256, 288, 256))
"""For the curve; a head's box with its margin is about the third."""
USUAL, WHOLE = 0.0, 8.0
"""Memory budgets of the node in GiB: its default, a few slices at a time, and one for one pass."""
Shape = tuple[int, int, int]


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Wall and processor seconds, and the process's highest memory after it in MB."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "wall_s": round(time.perf_counter() - wall, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_mb": round(peak),
    }


def ours(folder: Path, shape: Shape, budget_gib: float) -> dict[str, float]:
    """Session and tiling of the node."""
    manifest = read_manifest(folder / "manifest.json")
    context = manifest.stack_context_voxels
    session = Session(folder / manifest.file, providers=["cpu"], context=context)
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    budget = int(budget_gib * 2**30) or lean_budget(shape, manifest)
    return measured(
        lambda: predict_within(values, [session.run], manifest=manifest, budget_bytes=budget)
    )


def monai(config_path: Path, shape: Shape, tile: Shape, overlap: float) -> dict[str, float]:
    """MONAI's sliding window with Gaussian blending, torch eager."""
    # Here, so that they are no part of the node's peak.
    import torch
    from monai.inferers import sliding_window_inference

    from models.export import Deployed
    from models.networks import SctNet

    config = read_config(config_path)
    network = Deployed(SctNet(config.widths, config.fine)).eval()
    values = torch.rand(1, 1, *shape)
    with torch.no_grad():
        return measured(
            lambda: sliding_window_inference(
                values, tile, 1, lambda x: network(x)[0], overlap=overlap, mode="gaussian"
            )
        )


def _alone(arguments: list[str]) -> dict[str, float]:
    """The figures of one process."""
    command = [sys.executable, "-W", "ignore", "-m", "models.studies.speed", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    found: dict[str, float] = json.loads(done.stdout)
    return found


def tables(config: Path, model: Path) -> Iterator[str]:
    """Both tables as Markdown, line by line: beside MONAI, and against the size of the volume."""
    paths = [str(config), str(model)]
    size = ["--shape", *map(str, SHAPE)]
    rows = {
        "node": ["--ours", str(USUAL)],
        f"node, {WHOLE:g} GiB, one pass": ["--ours", str(WHOLE)],
        "MONAI, tiles of 96, overlap 0.5": ["--tile", "96", "96", "96", "0.5"],
        "MONAI, slabs of 64, overlap 0.25": ["--tile", "64", "256", "256", "0.25"],
    }
    yield f"| {'x'.join(map(str, SHAPE))} | wall, s | processor, s | peak, MB |"
    yield "|---|---|---|---|"
    for name, how in rows.items():
        yield _line(name, _alone([*paths, *size, *how]))
    yield "\n| node, by size | wall, s | processor, s | peak, MB |\n|---|---|---|---|"
    for shape in SHAPES:
        row = _alone([*paths, "--shape", *map(str, shape), "--ours", str(USUAL)])
        voxels = float(np.prod(shape)) / 1e6
        yield _line(f"{'x'.join(map(str, shape))} ({voxels:.1f} M voxels)", row)


def _line(name: str, row: dict[str, float]) -> str:
    return f"| {name} | {row['wall_s']} | {row['cpu_s']} | {row['peak_mb']} |"


def main() -> None:
    """Print the tables, or one figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--ours", type=float, help="the node with this memory budget in GiB")
    parser.add_argument("--tile", type=float, nargs=4, help="MONAI with this tile and overlap")
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE)
    given = parser.parse_args()
    shape = (given.shape[0], given.shape[1], given.shape[2])
    if given.ours is not None:
        lines = iter([json.dumps(ours(given.model, shape, given.ours))])
    elif given.tile:
        s, r, c, overlap = given.tile
        lines = iter([json.dumps(monai(given.config, shape, (int(s), int(r), int(c)), overlap))])
    else:
        lines = tables(given.config, given.model)
    for line in lines:
        print(line, flush=True)  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
