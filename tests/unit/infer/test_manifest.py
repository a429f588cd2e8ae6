"""Manifests are read strictly and every error names file, key and remedy."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.domain.errors import Misconfigured
from node.infer.manifest import met_hu, read_manifest
from tests.phantoms.tiny_onnx import affine_manifest, write_affine_model

GOOD = affine_manifest("tiny", "1.0.0", 1.0, "0" * 64)
OUTPUT = {"unit": "HU", "low": -1024, "high": 3071, "has_scale": True}
QUALITY = {
    "body_ml": [1, 2],
    "solidity": 0.5,
    "brain_share": [0, 1],
    "bone_share": [0, 1],
    "air_share": [0, 1],
    "uncertain_hu": 100,
    "uncertain_share": 0.1,
}


def write(folder: Path, content: dict[str, Any]) -> Path:
    """Write a manifest as it stands."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(content))
    return path


def test_a_complete_manifest_is_read(tmp_path: Path) -> None:
    """Every key arrives in its field."""
    manifest = read_manifest(write(tmp_path, GOOD | {"quality": QUALITY}))

    assert manifest.name == "tiny"
    assert manifest.normalisation.kind == "none"
    assert manifest.quality is not None
    assert manifest.quality.body_ml == (1.0, 2.0)


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        ({"spacing_mm": 0}, "spacing_mm", "not above 0"),
        ({"spacing_mm": "1"}, "spacing_mm", "not a number"),
        ({"spacing_mm": True}, "spacing_mm", "not a number"),
        ({"orientation": "ras"}, "orientation", "axial-lps"),
        ({"sha256": "abc"}, "sha256", "hexadecimal"),
        ({"channels": ["T1", "T2"]}, "channels", "2 items"),
        ({"stride": 1.5}, "stride", "whole number"),
        ({"format": 2}, "format", "not 1"),
        ({"surprise": 1}, "surprise", "unknown"),
        ({"body_mask": 1}, "body_mask", "true or false"),
        ({"normalisation": {"kind": "none", "x": 1}}, "normalisation.x", "unknown"),
        ({"quality": QUALITY | {"body_ml": [3, 2]}}, "quality.body_ml", "down"),
        ({"output": {"unit": "g"}}, "output.unit", "not HU"),
        ({"output": OUTPUT | {"half_width_curve": [[1, 1]]}}, "output.half_width_curve", "two"),
        (
            {"output": OUTPUT | {"half_width_curve": [[1, 2], [2, 1]]}},
            "output.half_width_curve",
            "falls",
        ),
        (
            {"output": OUTPUT | {"half_width_curve": [[0, 2], [2, 3]]}},
            "output.half_width_curve",
            "above 0",
        ),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, change: dict[str, Any], key: str, words: str) -> None:
    """The message holds file, key and what is wrong; there is a remedy."""
    path = write(tmp_path, GOOD | change)

    with pytest.raises(Misconfigured) as caught:
        read_manifest(path)

    assert str(path) in caught.value.message
    assert f" {key} " in caught.value.message
    assert words in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize("key", sorted(set(GOOD) - {"quality", "golden"}))
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    """No key has a silent default."""
    path = write(tmp_path, {k: v for k, v in GOOD.items() if k != key})

    with pytest.raises(Misconfigured, match=f"{key} is missing"):
        read_manifest(path)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_what_is_not_a_json_object_is_refused(tmp_path: Path, content: str) -> None:
    """A broken file is one sentence, not a traceback."""
    path = tmp_path / "manifest.json"
    path.write_text(content)

    with pytest.raises(Misconfigured, match=r"not .*JSON"):
        read_manifest(path)


def test_context_is_read_and_needs_the_reach_along_slices(tmp_path: Path) -> None:
    """A network that wants neighbouring slices answers each slice from those alone."""
    folder = write_affine_model(tmp_path, stack_context_voxels=10, stack_reach_voxels=10)
    assert read_manifest(folder / "manifest.json").stack_context_voxels == 10

    write_affine_model(tmp_path, stack_context_voxels=10)
    with pytest.raises(Misconfigured, match="stack_context_voxels needs stack_reach_voxels"):
        read_manifest(folder / "manifest.json")


def test_half_widths_follow_the_curve_of_the_manifest(tmp_path: Path) -> None:
    """Points are met, ratios hold beyond the ends, nothing told stays nothing, order is kept."""
    output = OUTPUT | {"half_width_curve": [[4, 8], [40, 60]]}
    points = read_manifest(write(tmp_path, GOOD | {"output": output})).output.half_width_curve

    met = met_hu(np.array([0.0, 2.0, 4.0, 40.0, 80.0]), points)

    np.testing.assert_allclose(met, [0, 4, 8, 60, 120], rtol=1e-5)
    assert np.all(np.diff(met_hu(np.linspace(0.1, 500, 999), points)) > 0)
    np.testing.assert_array_equal(met_hu(met, ()), met)
