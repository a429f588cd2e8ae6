"""What is exported answers as the network in torch does, and the node can load it."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.calibration import Curve  # noqa: E402
from models.export import (  # noqa: E402
    Deployed,
    errors,
    halve_weights,
    parity,
    write_card,
    write_manifest,
    write_onnx,
)
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
    deployed = Deployed(SctNet((4, 4, 4, 4, 4), 2).eval(), CURVE).eval()
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


def test_errors_of_a_shifted_truth() -> None:
    """A constant error of 10 HU is 10 HU everywhere; equal bone has Dice 1."""
    truth = np.array([[[-100.0, 50.0, 800.0, -1000.0]]])

    row = errors(truth + 10, truth, truth > -500)

    assert row["mae_body_hu"] == row["mae_bone_hu"] == row["mae_soft_hu"] == 10
    assert row["bone_dice"] == 1.0
