"""The node's runtime against MONAI's sliding window with torch, same network, same volume.

``python -m models.speed models/head-t1.toml onnx/head-t1/1.2.0``. Processor seconds are told beside
wall seconds: on a machine with other work only those compare.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from monai.inferers import sliding_window_inference

from models.config import read_config
from models.export import load_deployed
from node.infer.manifest import read_manifest
from node.infer.session import Session
from node.infer.sliding import predict_within

SHAPE = (192, 256, 256)


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


def ours(folder: Path, shape: tuple[int, int, int]) -> dict[str, float]:
    """Session and tiling of the node."""
    manifest = read_manifest(folder / "manifest.json")
    session = Session(folder / manifest.file, providers=["cpu"])
    values = np.random.default_rng(0).random(shape, dtype=np.float32)
    return measured(
        lambda: predict_within(values, [session.run], manifest=manifest, budget_bytes=8 * 2**30)
    )


@torch.no_grad()
def monai(config_path: Path, shape: tuple[int, int, int]) -> dict[str, float]:
    """MONAI's sliding window, its usual tiles of 96 that overlap by half, torch eager."""
    network = load_deployed(read_config(config_path))
    values = torch.rand(1, 1, *shape)
    return measured(
        lambda: sliding_window_inference(
            values, (96, 96, 96), 1, lambda x: network(x)[0], overlap=0.5, mode="gaussian"
        )
    )


def main() -> None:
    """Run one of them from the command line, for each has its own peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--which", choices=["ours", "monai"], required=True)
    parser.add_argument("--shape", type=int, nargs=3, default=SHAPE)
    given = parser.parse_args()
    shape = (given.shape[0], given.shape[1], given.shape[2])
    found = ours(given.model, shape) if given.which == "ours" else monai(given.config, shape)
    print(json.dumps({"which": given.which, "shape": shape} | found))  # noqa: T201


if __name__ == "__main__":
    main()
