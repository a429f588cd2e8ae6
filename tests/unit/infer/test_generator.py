"""The generator with an ONNX of known arithmetic: places, values, the same bits twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.domain.geometry import affine_from_dicom, axial_grid
from node.domain.volume import Unit, Volume
from node.infer.generator import Generator
from node.infer.registry import Registry
from node.infer.session import OutOfMemory
from tests.phantoms.tiny_onnx import (
    write_affine_model,
    write_greedy_model,
    write_neighbours_model,
)


def ball(centre_mm: tuple[float, float, float], *, radius_mm: float = 30.0) -> Volume:
    """A sagittal stack of a smooth bright ball about an LPS point."""
    affine = affine_from_dicom(
        position_mm=(-60, -70, 75),
        orientation=(0, 1, 0, 0, 0, -1),
        pixel_spacing_mm=(1.5, 1.25),
        slice_step_mm=(2.0, 0, 0),
    )
    index = np.stack(np.meshgrid(*map(np.arange, (60, 100, 110)), indexing="ij"), axis=-1)
    lps = index @ affine[:3, :3].T + affine[:3, 3]
    distance = np.linalg.norm(lps - np.array(centre_mm), axis=-1)
    values = (1000 / (1 + np.exp((distance - radius_mm) / 1.5))).astype(np.float32)
    return Volume(values=values, affine=affine, frame_of_reference_uid="1.2.3", unit=Unit.SIGNAL)


def centroid_mm(volume: Volume, floor: float) -> np.ndarray:
    """Centre of mass of what stands above ``floor``, in LPS mm."""
    weight = volume.values.astype(np.float64) - floor
    index = np.stack(np.meshgrid(*map(np.arange, volume.values.shape), indexing="ij"), axis=-1)
    middle = (index * weight[..., None]).sum(axis=(0, 1, 2)) / weight.sum()
    return np.asarray(volume.affine[:3, :3] @ middle + volume.affine[:3, 3])


def generator(folder: Path, **changes: Any) -> Generator:
    """A generator of HU = signal - 500; ``changes`` go into its manifest."""
    write_affine_model(folder, slope=1.0, intercept=-500.0, spacing_mm=1.0, **changes)
    return Generator(Registry.scan(folder).find("tiny"), providers=["cpu"])


@pytest.mark.long
@pytest.mark.parametrize("spacing_mm", [1.0, 1.4])
def test_a_landmark_stays_within_a_tenth_of_a_millimetre(tmp_path: Path, spacing_mm: float) -> None:
    """Sagittal in, axial out, at the model's spacing or another: the ball does not move."""
    mr = ball((5.3, -11.7, 3.9))
    grid = axial_grid(mr.grid, spacing_mm=spacing_mm)

    result = generator(tmp_path).synthesise(mr, grid)

    assert result.sct.grid.same_as(grid)
    assert result.sct.frame_of_reference_uid == "1.2.3"
    assert np.abs(centroid_mm(result.sct, -500) - [5.3, -11.7, 3.9]).max() < 0.1


@pytest.mark.long
def test_values_are_whole_hu_within_the_stored_range(tmp_path: Path) -> None:
    """What the graph gives beyond 12 bits is clipped; the type is int16."""
    write_affine_model(tmp_path, slope=10.0, intercept=-3000.0)
    mr = ball((0, 0, 0))

    made = Generator(Registry.scan(tmp_path).find("tiny"), providers=["cpu"])
    result = made.synthesise(mr, axial_grid(mr.grid, spacing_mm=2.0))

    assert result.sct.values.dtype == np.int16
    assert result.sct.values.min() == -1024
    assert result.sct.values.max() == 3071
    assert result.uncertainty is None
    assert [f.code for f in result.findings] == ["QUALITY_UNCHECKED"]


@pytest.mark.long
def test_the_same_input_twice_gives_the_same_bits(tmp_path: Path) -> None:
    """Nothing random and nothing left over from the first run."""
    mr = ball((1, 2, 3))
    grid = axial_grid(mr.grid, spacing_mm=1.5)
    made = generator(tmp_path)

    first, second = made.synthesise(mr, grid), made.synthesise(mr, grid)

    assert first.sct.values.tobytes() == second.sct.values.tobytes()
    assert first.body.tobytes() == second.body.tobytes()


@pytest.mark.long
def test_outside_the_body_is_air_when_the_manifest_asks(tmp_path: Path) -> None:
    """With body_mask everything but the body is -1000."""
    mr = ball((0, 0, 0))
    grid = axial_grid(mr.grid, spacing_mm=1.0)

    result = generator(tmp_path, body_mask=True).synthesise(mr, grid)

    corner = result.sct.values[:10, :10, :10]
    assert (corner == -1000).all()
    assert result.body.any()
    assert result.sct.values[result.body].mean() > 0


def test_no_body_is_refused_and_nothing_but_air(tmp_path: Path) -> None:
    """An empty field of view gives a finding, not a head."""
    mr = ball((0, 0, 0))
    mr.values[...] = 0

    result = generator(tmp_path, body_mask=True).synthesise(mr, axial_grid(mr.grid, spacing_mm=2.0))

    assert [f.code for f in result.findings] == ["BODY_NOT_FOUND"]
    assert (result.sct.values == -1000).all()


@pytest.mark.long
def test_progress_ends_at_one_and_never_goes_back(tmp_path: Path) -> None:
    """Whoever watches sees steps in order."""
    mr = ball((0, 0, 0))
    seen: list[float] = []

    generator(tmp_path).synthesise(
        mr, axial_grid(mr.grid, spacing_mm=2.0), report=lambda _step, share: seen.append(share)
    )

    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.long
def test_tiles_and_whole_volume_agree_for_arithmetic(tmp_path: Path) -> None:
    """A small budget cuts tiles; the voxels do not change."""
    mr = ball((0, 0, 0))
    grid = axial_grid(mr.grid, spacing_mm=1.0)
    write_affine_model(tmp_path, stride=16, reach_voxels=8)
    model = Registry.scan(tmp_path).find("tiny")

    whole = Generator(model, providers=["cpu"]).synthesise(mr, grid)
    tiled = Generator(model, providers=["cpu"], memory_budget_bytes=64**3 * 16).synthesise(mr, grid)

    assert "tiles" in tiled.runtime
    assert np.abs(whole.sct.values.astype(int) - tiled.sct.values).max() <= 1


@pytest.mark.long
def test_a_processor_takes_few_slices_at_a_time_unless_told_how_much(tmp_path: Path) -> None:
    """Where a cut costs nothing; a budget that holds everything is one pass, with equal voxels."""
    mr = ball((0, 0, 0))
    grid = axial_grid(mr.grid, spacing_mm=0.5)
    write_neighbours_model(tmp_path, context=2, spacing_mm=0.5)
    model = Registry.scan(tmp_path).find("tiny")

    usual = Generator(model, providers=["cpu"]).synthesise(mr, grid)
    at_once = Generator(model, providers=["cpu"], memory_budget_bytes=2**32).synthesise(mr, grid)

    assert "tiles" in usual.runtime
    assert "whole volume" in at_once.runtime
    np.testing.assert_array_equal(usual.sct.values, at_once.sct.values)


@pytest.mark.long
def test_out_of_memory_falls_back_to_smaller_tiles_and_says_so(tmp_path: Path) -> None:
    """The allocation really fails; the voxels are those of the whole volume."""
    mr = ball((0, 0, 0))
    grid = axial_grid(mr.grid, spacing_mm=1.0)
    write_affine_model(tmp_path / "plain", stride=16, reach_voxels=8)
    write_greedy_model(tmp_path / "greedy", most_voxels=70**3, stride=16, reach_voxels=8)

    whole, tiled = (
        Generator(Registry.scan(tmp_path / name).find("tiny"), providers=["cpu"])
        for name in ("plain", "greedy")
    )
    expected, result = whole.synthesise(mr, grid), tiled.synthesise(mr, grid)

    assert "tiles after running out of memory with whole volume" in result.runtime
    assert np.abs(expected.sct.values.astype(int) - result.sct.values).max() <= 1


@pytest.mark.long
def test_memory_for_no_tile_at_all_may_succeed_later(tmp_path: Path) -> None:
    """The last resort failed: the worker tries again later, for memory comes and goes."""
    mr = ball((0, 0, 0))
    write_greedy_model(tmp_path, most_voxels=10, stride=16, reach_voxels=8)
    made = Generator(Registry.scan(tmp_path).find("tiny"), providers=["cpu"])

    with pytest.raises(OutOfMemory, match="does not fit"):
        made.synthesise(mr, axial_grid(mr.grid, spacing_mm=2.0))


@pytest.mark.long
def test_flips_average_with_the_mirror_image(tmp_path: Path) -> None:
    """For arithmetic on single voxels that changes nothing, and the runtime says so."""
    mr = ball((4, 0, 0))
    grid = axial_grid(mr.grid, spacing_mm=2.0)
    write_affine_model(tmp_path)
    model = Registry.scan(tmp_path).find("tiny")

    made = Generator(model, providers=["cpu"])
    a, b = (made.synthesise(mr, grid, flips=f) for f in (False, True))

    assert "mirror image" in b.runtime
    assert "mirror" not in a.runtime
    np.testing.assert_array_equal(a.sct.values, b.sct.values)
