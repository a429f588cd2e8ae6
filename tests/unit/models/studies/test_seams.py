"""Seams, outlines and histograms by arithmetic; reading heads as they come."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from models.heads import name_of, read_head
from models.studies.seams import mirrored_off, table, tiles_budget, worst_seam
from models.studies.template import figures, overlap
from node.domain.plan import SctResult
from node.domain.volume import Unit, Volume
from node.infer.registry import Registry
from node.infer.sliding import padded_shape, plan_tiles
from tests.phantoms.mr import mr_series

ONNX = Path(__file__).parents[4] / "onnx"


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


def answer(hu: np.ndarray, told: np.ndarray) -> SctResult:
    """An answer that is body throughout."""
    affine = np.eye(4)
    sct, scale = (
        Volume(values=v, affine=affine, frame_of_reference_uid="1.2.3", unit=Unit.HU)
        for v in (hu, told)
    )
    body = np.ones(hu.shape, bool)
    return SctResult(sct=sct, uncertainty=scale, body=body, findings=(), runtime="")


def test_a_mirrored_answer_is_told_apart_where_the_model_is_sure() -> None:
    """Off by 4 HU where 8 are told, by 300 in the unsure tenth where 100 are told."""
    hu, told = np.zeros((4, 5, 10), np.int16), np.full((4, 5, 10), 8, np.float32)
    hu[:, :, 2], told[:, :, 9] = 70, 100
    turned = hu[:, :, ::-1] + 4
    turned[:, :, 0] += 296

    row = mirrored_off(answer(hu, told), answer(turned, told))

    assert row["mean, HU"] == pytest.approx(0.9 * 4 + 0.1 * 300)
    assert row["sure, % of the body"] == pytest.approx(90)
    assert row["sure: mean, HU"] == row["sure: 95th, HU"] == 4
    assert row["unsure, % of the difference"] == pytest.approx(100 * 30 / 33.6)
    assert row["beyond told, %"] == row["beyond twice told, %"] == pytest.approx(10)
    same = mirrored_off(answer(hu, told), answer(hu[:, :, ::-1], told))
    assert same["mean, HU"] == same["beyond told, %"] == 0


def test_the_tiled_answer_is_really_tiled() -> None:
    """The budget cuts a head of the shipped model at least in two."""
    model = Registry.scan(ONNX).models[-1]
    shape = (230, 230, 180)

    tiling = plan_tiles(
        padded_shape(shape, model.manifest.stride, model.manifest.stack_reach_voxels),
        stride=model.manifest.stride,
        reach=model.manifest.reach_voxels,
        stack_reach=model.manifest.stack_reach_voxels,
        stack_context=model.manifest.stack_context_voxels,
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
