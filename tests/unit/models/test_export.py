"""What is exported answers as the network in torch does, and the node can load it."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.calibration import Curve, Shift  # noqa: E402
from models.data import Sample, count  # noqa: E402
from models.export import (  # noqa: E402
    Deployed,
    calibrate,
    errors,
    parity,
    write_card,
    write_manifest,
)
from models.graph import halve_weights, write_onnx  # noqa: E402
from models.networks import SctNet  # noqa: E402
from node.infer.golden import verify  # noqa: E402
from node.infer.registry import Registry  # noqa: E402

CURVE = Curve(log_scale=(-3.0, -1.0, 0.5), log_hu=(1.0, 1.0, 5.0))
CONFIG = Path(__file__).parents[3] / "models" / "head-t1.toml"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_export_round_trip(tmp_path: Path) -> None:
    """ONNX equals torch within 1 HU; manifest, card and golden case satisfy the registry."""
    torch.manual_seed(1)
    shift = Shift(hu=(5.0, 0.0, -40.0, 0.0, 9.0, 0.0, 2.0), log_scale=(0.5,) * 6 + (-0.5,))
    deployed = Deployed(SctNet((4, 4, 4, 4, 4), 2).eval(), CURVE, shift).eval()
    told = tomllib.loads(CONFIG.read_text())["export"]
    folder = tmp_path / told["name"] / told["version"]
    folder.mkdir(parents=True)

    write_onnx(deployed, folder / "model.onnx", {"name": told["name"]})
    halve_weights(folder / "model.onnx", tmp_path / "half.onnx")
    write_manifest(folder, told, {"mae_body_hu": 1.0})
    write_card(folder)

    model = Registry.scan(tmp_path).find(told["name"])
    assert parity(deployed, model.file, [])[0] < 1.0
    assert parity(deployed, tmp_path / "half.onnx", [])[1] < 1.0
    assert "right" in verify(model, providers=["cpu"])
    assert json.loads((folder / "manifest.json").read_text())["metrics"] == {"mae_body_hu": 1.0}


def ball(seed: int) -> Sample:
    """White matter with a core of grey, told apart by the signal; HU with noise of two sizes."""
    rng = np.random.default_rng(seed)
    axis = np.arange(64) - 31.5
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    away = np.sqrt(x**2 + y**2 + z**2)
    tissues = np.select([away < 18, away < 30], [3, 2], 0).astype(np.uint8)
    ct = np.select([away < 18, away < 30], [37, 28], -1000) + rng.laplace(0, 9, away.shape)
    return Sample(
        mr=np.select([away < 18, away < 30], [0.6, 1.0], 0.0).astype(np.float16),
        ct=np.rint(ct).astype(np.int16),
        tissues=tissues,
        counts=count(tissues),
    )


def test_calibration_lets_the_deployed_network_tell_what_was_met() -> None:
    """A network that answers 0 HU everywhere gets the HU of its classes and their half width."""
    torch.manual_seed(3)
    network = SctNet((4, 4, 4, 4, 4), 2).eval()
    for layer in (network.head, network.classes):
        torch.nn.init.zeros_(layer.weight)
        layer.bias = torch.nn.Parameter(torch.zeros(layer.out_channels))
    network.classes.bias = torch.nn.Parameter(torch.tensor([0, 0, 8.0, 0, 0, 0, 0]))

    shift, curve = calibrate(network, [ball(1)], [ball(2)])
    with torch.no_grad():
        hu, half = Deployed(network, curve, shift).eval()(torch.ones(1, 1, 3, 32, 32))

    truth = ball(3).ct[ball(3).tissues > 0]
    assert float(hu.mean()) == pytest.approx(float(np.median(truth)), abs=2.0)
    error = np.abs(truth - float(hu.mean()))
    assert float(half.mean()) == pytest.approx(float(np.percentile(error, 68)), rel=0.1)


def test_errors_of_a_shifted_truth() -> None:
    """A constant error of 10 HU is 10 HU everywhere; equal bone has Dice 1."""
    truth = np.array([[[-100.0, 50.0, 800.0, -1000.0]]])

    row = errors(truth + 10, truth, truth > -500)

    assert row["mae_body_hu"] == row["mae_bone_hu"] == row["mae_soft_hu"] == 10
    assert row["bone_dice"] == 1.0
