"""Tiles cover the volume, start on the stride and agree with the whole."""

from pathlib import Path

import numpy as np
import pytest

from node.infer.manifest import read_manifest
from node.infer.session import OutOfMemory, Session
from node.infer.sliding import lean_budget, padded_shape, plan_tiles, predict_within, run_tiles
from tests.phantoms.tiny_onnx import write_affine_model, write_neighbours_model


def test_padding_reaches_the_next_multiple() -> None:
    """What is a multiple already stays."""
    assert padded_shape((1, 16, 17), 16) == (16, 16, 32)
    assert padded_shape((1, 16, 17), 16, stack_reach=0) == (1, 16, 32)


@pytest.mark.parametrize("budget", [0, 96 * 128 * 80 * 10])
def test_what_fits_is_one_pass(budget: int) -> None:
    """A budget of none or just enough gives the whole volume."""
    tiling = plan_tiles((96, 128, 80), stride=16, reach=16, bytes_per_voxel=10, budget_bytes=budget)

    assert tiling.whole
    assert tiling.tile == (96, 128, 80)


def test_tiles_start_on_the_stride_and_cover_everything() -> None:
    """No voxel is left out; tiles overlap by the reach."""
    tiling = plan_tiles(
        (96, 128, 80), stride=16, reach=16, bytes_per_voxel=10, budget_bytes=64**3 * 10
    )

    seen = np.zeros((96, 128, 80), int)
    for start in tiling.starts:
        assert all(n % 16 == 0 for n in start)
        seen[tuple(slice(a, a + n) for a, n in zip(start, tiling.tile, strict=True))] += 1
    assert seen.min() >= 1
    assert int(np.prod(tiling.tile)) * 10 <= 64**3 * 10
    assert max(start[1] for start in tiling.starts[:4]) <= 64 - 16


def test_blended_tiles_of_a_pointwise_function_are_exact() -> None:
    """Where tiles agree, blending changes nothing."""
    values = np.random.default_rng(1).random((96, 128, 80), dtype=np.float32)
    tiling = plan_tiles(
        values.shape, stride=16, reach=16, bytes_per_voxel=10, budget_bytes=64**3 * 10
    )

    shares: list[float] = []
    (answer,) = run_tiles(values, tiling, lambda tile: [3 * tile], shares.append)

    np.testing.assert_allclose(answer, 3 * values, rtol=1e-5)
    assert shares[-1] == 1.0


def test_slabs_of_a_network_that_sees_few_slices_are_exact() -> None:
    """Cut through slices alone, each voxel far enough from a cut is the whole volume's."""
    values = np.random.default_rng(2).random((157, 64, 32), dtype=np.float32)

    def mean_of_21_slices(tile: np.ndarray) -> list[np.ndarray]:
        padded = np.pad(tile, ((10, 10), (0, 0), (0, 0)), mode="edge")
        seen = np.stack([padded[n : n + len(tile)] for n in range(21)])
        return [seen.mean(axis=0, dtype=np.float32)]

    tiling = plan_tiles(
        values.shape,
        stride=32,
        reach=480,
        stack_reach=10,
        bytes_per_voxel=10,
        budget_bytes=64 * 64 * 32 * 10,
    )

    (answer,) = run_tiles(values, tiling, mean_of_21_slices)

    assert len(tiling.starts) > 2
    assert tiling.tile[1:] == (64, 32)
    np.testing.assert_allclose(answer, mean_of_21_slices(values)[0], atol=1e-6)


@pytest.mark.parametrize("slices", [1, 3, 8, 50])
def test_passes_of_slices_with_context_are_exact_and_do_not_overlap(
    tmp_path: Path, slices: int
) -> None:
    """Each slice is answered once, from its neighbours; beyond the ends stands the last slice."""
    folder = write_neighbours_model(tmp_path, context=2, stride=4)
    manifest = read_manifest(folder / "manifest.json")
    session = Session(folder / "model.onnx", providers=["cpu"], context=2)
    values = np.random.default_rng(3).random((23, 9, 6), dtype=np.float32)
    taken: list[int] = []

    def run(given: np.ndarray) -> list[np.ndarray]:
        taken.append(given.shape[0])
        return session.run(given)

    budget = (slices + 4) * 12 * 8 * manifest.bytes_per_voxel
    (answer,), how = predict_within(values, [run], manifest=manifest, budget_bytes=budget)

    padded = np.pad(values, ((2, 2), (0, 0), (0, 0)), mode="edge")
    np.testing.assert_array_equal(answer, (padded[:-4] + padded[4:]) * np.float32(0.5))
    assert max(taken) <= slices + 4
    assert sum(n - 4 for n in taken) == 23
    assert how == ("whole volume" if slices == 50 else f"{len(taken)} tiles")


def test_out_of_memory_goes_down_to_single_slices(tmp_path: Path) -> None:
    """With context a pass may be one slice and its neighbours; below that there is none."""
    manifest = read_manifest(write_neighbours_model(tmp_path, context=2) / "manifest.json")
    tried: list[int] = []

    def full(given: np.ndarray) -> list[np.ndarray]:
        tried.append(given.shape[0])
        raise OutOfMemory("full")

    with pytest.raises(OutOfMemory):
        predict_within(
            np.ones((40, 8, 8), np.float32), [full], manifest=manifest, budget_bytes=2**30
        )

    assert tried == [44, 14, 6, 5]


def test_few_slices_are_the_usual_pass_on_a_processor(tmp_path: Path) -> None:
    """About a quarter of a million voxels are answered at a time; others get no such cut."""
    manifest = read_manifest(write_neighbours_model(tmp_path / "a", context=2) / "manifest.json")
    other = read_manifest(write_affine_model(tmp_path / "b") / "manifest.json")

    assert lean_budget((192, 256, 256), manifest) == (4 + 4) * 256 * 256 * 16
    assert lean_budget((192, 1024, 1024), manifest) == (1 + 4) * 1024 * 1024 * 16
    assert lean_budget((192, 256, 256), other) == 0


def test_the_next_device_answers_when_the_first_is_full(tmp_path: Path) -> None:
    """Every tile size is tried on the first, then the second starts with the whole volume."""
    path = write_affine_model(tmp_path, stride=16, reach_voxels=8)
    manifest = read_manifest(path / "manifest.json")
    tried: list[tuple[int, ...]] = []

    def full(tile: np.ndarray) -> list[np.ndarray]:
        tried.append(tile.shape)
        raise OutOfMemory("full")

    answers, how = predict_within(
        np.ones((128, 128, 128), np.float32),
        [full, lambda tile: [2 * tile]],
        manifest=manifest,
        budget_bytes=0,
    )

    assert tried[0] == (128, 128, 128)
    assert tried[-1] == (64, 64, 64)
    assert how.startswith("whole volume on the CPU after running out of memory with whole volume")
    assert float(answers[0].min()) == 2.0
