"""A checkpoint becomes a model folder: ``python -m models.export models/head-t1.toml onnx``."""

import argparse
import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.calibration import (
    AS_TRAINED,
    Calibrated,
    Curve,
    Shift,
    Shifted,
    deciles,
    fit,
    fit_hu,
    fit_scale,
    worst,
)
from models.config import TrainConfig, read_config
from models.data import (
    NORMALISATION,
    Sample,
    cached_tissues,
    make_sample,
    plane,
    pool_files,
    read_sample,
)
from models.graph import OPSET, halve_weights, write_onnx
from models.limits import quality
from models.networks import SctNet, with_neighbours
from models.train import prepare
from node.infer.golden import golden_answer, golden_input
from node.infer.manifest import FORMAT, read_manifest
from node.infer.registry import ModelFolder
from node.infer.session import Session

Array = NDArray[Any]

PARITY_HU = 1.0
GOLDEN_SHAPE = (64, 64, 64)
LOW, HIGH = -1024.0, 3071.0
# Pairs that calibrate, and as many that are measured; pairs that say by how much the HU are off.
HELD_OUT = 6
LEARNT = 12
# Voxels of the body of which one is looked at.
_THINNED = 5


class Deployed(nn.Module):
    """The network with its units: HU, clamped, and the calibrated half width in HU."""

    def __init__(
        self, network: SctNet, curve: Curve = AS_TRAINED, shift: Shift | None = None
    ) -> None:
        super().__init__()
        none = (0.0,) * network.classes.out_channels
        self.network = network
        self.shifted = Shifted(shift or Shift(hu=none, log_scale=none))
        self.calibrated = Calibrated(curve)

    def forward(self, mr: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised signal (1, 1, d, h, w) to HU and half width of that shape."""
        hu, half = self.slices(with_neighbours(mr))
        return hu[None, None], half[None, None]

    def slices(self, stack: Tensor) -> tuple[Tensor, Tensor]:
        """Slices with their neighbours (n, offsets, h, w) to HU and half width (n, h, w)."""
        mu, log_scale, classes = self.network.learn(stack)
        more = self.shifted(classes)
        hu = torch.clamp((mu + more[:, :1]) * 1000.0, LOW, HIGH)
        return hu[:, 0], self.calibrated(log_scale + more[:, 1:])[:, 0]


def load_deployed(config: TrainConfig) -> Deployed:
    """The averaged network of the last checkpoint, ready to answer."""
    state = torch.load(config.folder / "checkpoint.pt", weights_only=True, map_location="cpu")
    network = SctNet(config.widths, config.fine)
    network.load_state_dict(state["average"])
    return Deployed(network).eval()


@torch.no_grad()
def look(network: SctNet, samples: Iterable[Sample], every: int) -> tuple[Array, Array, Array]:
    """Both heads (n, 2), class probabilities (n, classes) and HU (n,) of some body voxels."""
    heads, likely, truths = [], [], []
    for sample in samples:
        for number in range(every // 2, sample.mr.shape[0], every):
            mr, ct, tissues = plane(sample, number)
            some = np.flatnonzero(tissues)[::_THINNED]
            mu, log_scale, classes = network.learn(torch.from_numpy(mr)[None])
            both = torch.cat([mu, log_scale], dim=1)
            heads.append(both[0].flatten(1).numpy()[:, some].T)
            likely.append(torch.softmax(classes, dim=1)[0].flatten(1).numpy()[:, some].T)
            truths.append(ct.ravel()[some])
    return np.concatenate(heads), np.concatenate(likely), np.concatenate(truths)


def calibrate(
    network: SctNet, learnt: Iterable[Sample], calibrating: Iterable[Sample]
) -> tuple[Shift, Curve]:
    """Shifts and curve; the HU by pairs the network learnt from, the widths by others."""
    heads, likely, truth = look(network, learnt, every=16)
    hu = fit_hu(1000 * heads[:, 0], truth, likely)
    heads, likely, truth = look(network, calibrating, every=3)
    error = np.abs(np.clip(1000 * heads[:, 0] + likely @ np.array(hu), LOW, HIGH) - truth)
    scale = fit_scale(heads[:, 1], error, likely)
    return Shift(hu=hu, log_scale=scale), fit(heads[:, 1] + likely @ np.array(scale), error)


def slices_of(sample: Sample, every: int) -> tuple[Array, Array, Array]:
    """Signal with neighbours, HU and tissues of every so many slices."""
    rows = [plane(sample, n) for n in range(every // 2, sample.mr.shape[0], every)]
    mr, ct, tissues = (np.stack([row[n] for row in rows]) for n in range(3))
    return mr, ct, tissues


def _cut(sample: Sample) -> tuple[slice, ...]:
    return tuple(slice(0, n // SctNet.stride * SctNet.stride) for n in sample.mr.shape)


@torch.no_grad()
def parity(deployed: Deployed, path: Path, samples: list[Sample]) -> tuple[float, float]:
    """Largest and mean difference in HU between torch and ONNX Runtime on these samples."""
    session = Session(path, providers=["cpu"], context=SctNet.stack_reach)
    inputs = [golden_input(GOLDEN_SHAPE)]
    inputs += [np.asarray(s.mr[_cut(s)][:96, :96, :96], np.float32) for s in samples]
    off: list[Array] = []
    for values in inputs:
        ours = deployed(torch.from_numpy(values)[None, None])
        ends = ((SctNet.stack_reach,) * 2, (0, 0), (0, 0))
        theirs = session.run(np.pad(values, ends, mode="edge"))
        off += [np.abs(a[0, 0].numpy() - b) for a, b in zip(ours, theirs, strict=True)]
    return max(float(d.max()) for d in off), float(np.mean([d.mean() for d in off]))


def export(config_path: Path, root: Path, *, fp16: bool = False) -> Path:
    """Write ``root/<name>/<version>/``; refuse when ONNX and torch differ."""
    config = prepare(read_config(config_path))
    with config_path.open("rb") as file:
        told: dict[str, Any] = tomllib.load(file)["export"]
    calibrating, held_out = held_out_samples(config)
    network = load_deployed(config).network
    files = pool_files(config.pool, config.train)
    learnt = (read_sample(path) for path in files[:: max(1, len(files) // LEARNT)])
    shift, curve = calibrate(network, learnt, calibrating)
    deployed = Deployed(network, curve, shift).eval()
    folder = root / str(told["name"]) / str(told["version"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    keys = ("name", "version", "licence", "training_data", "body_part")
    write_onnx(deployed, path, {k: str(told[k]) for k in keys})
    difference, _ = parity(deployed, path, held_out)
    if difference > PARITY_HU:
        path.unlink()
        raise SystemExit(f"ONNX differs from torch by {difference:.3f} HU; nothing is exported.")
    small = path.with_suffix(".fp16")
    halve_weights(path, small)
    _, mean = parity(deployed, small, held_out)
    if mean > PARITY_HU:
        raise SystemExit(f"16-bit weights differ by {mean:.3f} HU on average.")
    if fp16:
        small.replace(path)
    small.unlink(missing_ok=True)
    metrics = measure(deployed, held_out) | {
        "parity_hu": round(difference, 4),
        "parity_fp16_mean_hu": round(mean, 4),
    }
    write_manifest(folder, told, metrics, lambda model: quality(model, config))
    write_card(folder)
    return folder


def held_out_samples(config: TrainConfig) -> tuple[list[Sample], list[Sample]]:
    """Pairs that calibrate and pairs that are measured, of different subjects where there are two.

    From the maps new pairs of each subject; else those of the pool.
    """
    subjects = sorted(config.validate)
    groups = (subjects[::2], subjects[1::2] or subjects)
    if config.source == "synthetic":
        made = [
            [
                make_sample(cached_tissues(config.labels, config.pool, s), 9000 + n + 100 * group)
                for n, s in enumerate(sorted(who * HELD_OUT))
            ]
            for group, who in enumerate(groups)
        ]
    else:
        made = [[read_sample(path) for path in pool_files(config.pool, who)] for who in groups]
    return made[0], made[1]


@torch.no_grad()
def measure(deployed: Deployed, samples: list[Sample]) -> dict[str, float]:
    """Held-out errors: MAE in HU of body, bone and soft tissue, Dice of bone, calibration.

    Of every second slice.
    """
    rows, off, told = [], [], []
    for sample in samples:
        mr, truth, tissues = slices_of(sample, every=2)
        answers = [deployed.slices(torch.from_numpy(m)[None]) for m in mr]
        hu, half = (np.stack([a[n][0].numpy() for a in answers]) for n in range(2))
        body = tissues > 0
        rows.append(errors(hu, truth, body))
        off.append(np.abs(hu - truth)[body])
        told.append(half[body])
    tenths = deciles(np.concatenate(off), np.concatenate(told))
    means = {k: float(np.mean([r[k] for r in rows])) for k in rows[0]}
    return {k: round(v, 4) for k, v in (means | {"uncertainty_worst_tenth": worst(tenths)}).items()}


def errors(hu: Array, truth: Array, body: Array) -> dict[str, float]:
    """The figures of one pair."""
    error = np.abs(hu.astype(np.float64) - truth)
    bone, ours = truth > 250, hu > 250
    soft = body & (truth > -200) & (truth < 100)
    return {
        "mae_body_hu": float(error[body].mean()),
        "mae_bone_hu": float(error[bone].mean()),
        "mae_soft_hu": float(error[soft].mean()),
        "bone_dice": float(2 * (bone & ours).sum() / (bone.sum() + ours.sum())),
    }


def write_manifest(
    folder: Path,
    told: dict[str, Any],
    metrics: dict[str, float],
    limits: Callable[[ModelFolder], dict[str, Any]] | None = None,
) -> None:
    """Write the manifest, read it back, then add what the runtime itself gives.

    That is the golden case and, with ``limits``, the limits of the checks after synthesis.
    """
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    n = NORMALISATION
    manifest = {
        "format": FORMAT,
        "file": "model.onnx",
        "sha256": digest,
        "opset": OPSET,
        "channels": ["T1"],
        "spacing_mm": 1.0,
        "orientation": "axial-lps",
        "normalisation": {
            "kind": n.kind,
            "percentile": n.percentile,
            "low": n.low,
            "high": n.high,
        },
        "body_mask": True,
        "padding": 0.0,
        "stride": SctNet.stride,
        "reach_voxels": SctNet.reach,
        "stack_reach_voxels": SctNet.stack_reach,
        "stack_context_voxels": SctNet.stack_reach,
        "output": {"unit": "HU", "low": LOW, "high": HIGH, "has_scale": True},
        "metrics": metrics,
        "golden": None,
    } | told
    manifest.setdefault("quality", None)
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest, indent=2) + "\n")
    model = ModelFolder(path=folder, manifest=read_manifest(path))
    if limits is not None:
        manifest["quality"] = limits(model)
    mean, sd = golden_answer(model, GOLDEN_SHAPE, ["cpu"])
    manifest["golden"] = {
        "shape": list(GOLDEN_SHAPE),
        "mean_hu": round(mean, 3),
        "sd_hu": round(sd, 3),
        "tolerance_hu": 2.0,
    }
    path.write_text(json.dumps(manifest, indent=2) + "\n")


def write_card(folder: Path) -> None:
    """Write the model card from the manifest."""
    m = read_manifest(folder / "manifest.json")
    rows = "\n".join(f"| {key} | {value:g} |" for key, value in sorted(m.metrics.items()))
    strengths = ", ".join(f"{f:g} T" for f in m.field_strengths_t)
    text = f"""# {m.name} {m.version}

{m.description}

- **Made for**: {m.region}; {", ".join(m.sequences)}; {strengths};
  slices up to {m.slice_limit_mm:g} mm apart.
- **Input**: one channel, {m.spacing_mm:g} mm isotropic, axial LPS; signal over its
  {m.normalisation.percentile:g}th percentile in the body.
- **Output**: HU in [{m.output.low:g}, {m.output.high:g}] and the half width of the central
  68 % interval.
- **Trained on**: {m.training_data}
- **Licence**: {m.licence}. SHA-256 of `{m.file}`: `{m.sha256}`.
- **Not for clinical use.** It never saw a real CT; its HU are literature means, and what MR
  cannot show (bone density, thin sinus walls, teeth, metal, surgical defects) is a guess.

Held-out synthetic subjects (other label maps than those trained on):

| figure | value |
|---|---|
{rows}
"""
    (folder / "README.md").write_text(text)


def main() -> None:
    """Export from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("root", type=Path, nargs="?", default=Path("onnx"))
    parser.add_argument("--fp16", action="store_true", help="store the weights in 16 bits")
    given = parser.parse_args()
    folder = export(given.config, given.root, fp16=given.fp16)
    print(f"wrote {folder}")  # noqa: T201 - the command's answer


if __name__ == "__main__":
    main()
