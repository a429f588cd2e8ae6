"""Seams, outlines and histograms by arithmetic; reading heads as they come."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.heads import name_of, read_head
from models.seams import outline_off_mm, table, tiles_budget, worst_seam
from models.template import figures, overlap
from node.infer.registry import Registry
from node.infer.sliding import padded_shape, plan_tiles
from tests.phantoms.mr import mr_series

ONNX = Path(__file__).parents[3] / "onnx"


def test_a_seam_is_what_a_step_has_more_than_the_whole() -> None:
    """An edge of anatomy in both is none; a ramp that begins at a border is its first step."""
    whole = np.zeros((20, 10, 10), np.float32)
    whole[:, 5:] = 900.0
    tiled = whole.copy()
    tiled[12:] += 7.0
    tiled[12, 0, 0] += 30.0
    body = np.ones(whole.shape, bool)

    assert worst_seam(whole, whole, body) == (0.0, 0.0)
    assert worst_seam(whole, tiled, body) == pytest.approx((7.3, 37.0))
    assert worst_seam(whole.transpose(2, 1, 0), tiled.transpose(2, 1, 0), body.transpose(2, 1, 0))[
        0
    ] == pytest.approx(7.3)
    body[12:] = False
    assert worst_seam(whole, tiled, body) == (0.0, 0.0)


def test_outlines_are_compared_where_they_lie() -> None:
    """A ball in both, then the answer 1 mm off along one axis, then 1 mm thicker."""
    axis = np.arange(120) - 60
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    away = np.sqrt(z**2 + y**2 + x**2)
    signal, hu = (away < 45).astype(np.float32), np.where(away < 45, 40, -1000).astype(np.float32)
    thick = np.where(away < 46, 40, -1000).astype(np.float32)

    same = outline_off_mm(hu, signal, away < 45)
    moved = outline_off_mm(np.roll(hu, 1, axis=1), signal, away < 45)

    assert same == pytest.approx((0.0, 0.0), abs=1e-6)
    assert moved[0] == pytest.approx(1.0, abs=0.05)
    assert outline_off_mm(thick, signal, away < 45)[1] == pytest.approx(1.0, abs=0.3)


def test_the_tiled_answer_is_really_tiled() -> None:
    """The budget cuts a head of the shipped model at least in two."""
    model = Registry.scan(ONNX).models[-1]
    shape = (230, 230, 180)

    tiling = plan_tiles(
        padded_shape(shape, model.manifest.stride, model.manifest.stack_reach_voxels),
        stride=model.manifest.stride,
        reach=model.manifest.reach_voxels,
        stack_reach=model.manifest.stack_reach_voxels,
        bytes_per_voxel=model.manifest.bytes_per_voxel,
        budget_bytes=tiles_budget(shape, model),
    )

    assert 2 <= len(tiling.starts) <= 8


def test_histograms_overlap_by_what_they_share() -> None:
    """Equal is 1, apart is 0, half is half; a mere offset is told apart."""
    bins = np.arange(0.0, 101.0, 10.0)
    low, high = np.full(100, 5.0, np.float32), np.full(100, 95.0, np.float32)

    assert overlap(low, low, bins) == 1.0
    assert overlap(low, high, bins) == 0.0
    assert overlap(np.concatenate([low, high]), low, bins) == pytest.approx(0.5)
    rng = np.random.default_rng(1)
    soft = rng.normal(30, 5, 5000).astype(np.float32)
    bone = rng.normal(800, 100, 1000).astype(np.float32)
    row = figures(np.concatenate([soft, bone]), np.concatenate([soft + 30, bone]))
    assert row["soft p50"] == pytest.approx(30, abs=0.5)
    assert row["bone, %"] == pytest.approx(100 / 6, abs=0.1)
    assert row["soft overlap"] < 0.1 < 0.95 < row["soft overlap, same median"]
    assert row["bone overlap"] == 1.0


def test_a_head_is_read_from_a_folder_and_from_an_archive(tmp_path: Path) -> None:
    """The same voxels; the name is the first word of the file's."""
    mr_series((6, 8, 10), (3.0, 2.0, 2.0)).write(tmp_path / "a" / "mr")
    archive = tmp_path / "some-head.tar.xz"
    with tarfile.open(archive, "w:xz") as packed:
        packed.add(tmp_path / "a", "series")

    folder, packed_head = read_head(tmp_path / "a"), read_head(archive)

    assert folder.values.shape == (6, 8, 10)
    np.testing.assert_array_equal(folder.values, packed_head.values)
    assert name_of(archive) == "some-head"


def test_the_table_has_a_line_for_each_head() -> None:
    """Markdown."""
    assert table({"A": {"x": 1.0}, "B": {"x": 2.5}}).splitlines() == [
        "| head | x |",
        "|---|---|",
        "| A | 1 |",
        "| B | 2.5 |",
    ]
