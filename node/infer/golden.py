"""A case computed by code, so that an installation can be verified without any patient's data."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Misconfigured
from node.infer.registry import ModelFolder
from node.infer.session import Session
from node.infer.sliding import predict_volume

Floats = NDArray[np.float32]


def golden_input(shape: tuple[int, int, int]) -> Floats:
    """A bright ellipsoid in a dark shell in a bright rim, rippled; (slices, rows, columns)."""
    axes = [np.linspace(-1.1, 1.1, n, dtype=np.float64) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2)
    rippled = 0.8 + 0.15 * np.sin(9 * x) * np.cos(7 * y + 3 * z)
    values = np.where(radius < 0.7, rippled, 0.0)
    values = np.where((radius >= 0.8) & (radius < 0.95), 1.4, values)
    return np.asarray(values, np.float32)


def golden_answer(
    model: ModelFolder, shape: tuple[int, int, int], providers: Sequence[str]
) -> tuple[float, float]:
    """Mean and standard deviation in HU of the model's answer to `golden_input`."""
    context = model.manifest.stack_context_voxels
    session = Session(model.read(), providers=providers, context=context)
    answers, _ = predict_volume(golden_input(shape), model.manifest, session.run, budget_bytes=0)
    hu = answers[0]
    return float(hu.mean(dtype=np.float64)), float(hu.std(dtype=np.float64))


def verify(model: ModelFolder, *, providers: Sequence[str]) -> str:
    """Check hash and golden case; a sentence when right, `Misconfigured` when wrong."""
    model.verify()
    golden = model.manifest.golden
    if golden is None:
        return "hash right; the model has no golden case"
    mean, sd = golden_answer(model, golden.shape, providers)
    off = max(abs(mean - golden.mean_hu), abs(sd - golden.sd_hu))
    if off > golden.tolerance_hu:
        raise Misconfigured(
            f"Model {model.manifest.name} {model.manifest.version} answers its golden case "
            f"{off:.2f} HU off (at most {golden.tolerance_hu:g}).",
            remedy="Use another provider, or install the versions this release was tested with.",
        )
    return f"hash and golden case right, {off:.3f} HU off"
