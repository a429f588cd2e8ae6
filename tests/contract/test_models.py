"""Every folder of onnx/ keeps what its manifest promises."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the name its documentation uses

from node.domain.geometry import axial_grid
from node.domain.plan import SctResult
from node.domain.volume import Unit, Volume
from node.infer.generator import Generator
from node.infer.golden import golden_input, verify
from node.infer.preprocess import body_mask, resample
from node.infer.registry import ModelFolder, Registry
from node.infer.session import Session

ROOT = Path(__file__).parents[2] / "onnx"
FOLDERS = sorted(path.parent for path in ROOT.glob("*/*/manifest.json"))
SIZE_LIMIT = 20 * 2**20


@pytest.fixture(params=FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def model(request: pytest.FixtureRequest) -> ModelFolder:
    """Each model of the repository in turn."""
    path: Path = request.param
    found = [m for m in Registry.scan(ROOT).models if m.path == path]
    return found[0]


def head(spacing_mm: float, *, shift: tuple[int, int, int] = (0, 0, 0)) -> Volume:
    """A head-sized phantom in air, lying ``shift`` voxels further along each axis."""
    inner = golden_input((112, 112, 112))
    values = np.zeros((150, 150, 150), np.float32)
    s, r, c = (16 + n for n in shift)
    values[s : s + 112, r : r + 112, c : c + 112] = inner
    affine = np.fliplr(np.eye(3)) * spacing_mm
    full = np.eye(4)
    full[:3, :3] = affine
    return Volume(
        values=values * 500, affine=full, frame_of_reference_uid="1.2.3", unit=Unit.SIGNAL
    )


@cache
def generator(path: Path) -> Generator:
    """One session per model for the whole file."""
    model = next(m for m in Registry.scan(ROOT).models if m.path == path)
    return Generator(model, providers=["cpu"])


def run(model: ModelFolder, mr: Volume) -> SctResult:
    """Synthesise on the MR's own lattice."""
    return generator(model.path).synthesise(mr, mr.grid)


def test_there_is_a_model() -> None:
    """The node ships at least one."""
    assert FOLDERS


def test_hash_size_card_and_golden_case(model: ModelFolder) -> None:
    """What an installation verifies is right in the repository, and the file is not too large."""
    assert "right" in verify(model, providers=["cpu"])
    assert model.file.stat().st_size <= SIZE_LIMIT
    assert model.manifest.sha256 in (model.path / "README.md").read_text()


def test_the_file_tells_no_path_of_the_machine_it_was_made_on(model: ModelFolder) -> None:
    """An exporter notes file and line of each node's code unless it is told not to."""
    data = (model.path / "model.onnx").read_bytes()
    assert b"stack_trace" not in data
    assert b"export.py" not in data


def test_output_has_the_input_grid_and_the_promised_range(model: ModelFolder) -> None:
    """Shape, place and range are the manifest's; the half width is never negative."""
    mr = head(model.manifest.spacing_mm)

    result = run(model, mr)

    assert result.sct.grid.same_as(mr.grid)
    assert result.sct.values.dtype == np.int16
    assert result.sct.values.min() >= model.manifest.output.low
    assert result.sct.values.max() <= model.manifest.output.high
    if model.manifest.output.has_scale:
        assert result.uncertainty is not None
        assert result.uncertainty.values.min() >= 0
        assert result.uncertainty.values[result.body].max() > 0


def test_any_size_is_accepted(model: ModelFolder) -> None:
    """The graph's axes are dynamic: each multiple of the stride is one."""
    context = model.manifest.stack_context_voxels
    session = Session(model.file, providers=["cpu"], context=context)
    stride = model.manifest.stride

    for shape in ((4, 5, 6), (6, 4, 5)):
        values = np.zeros([stride * n for n in shape], np.float32)
        given = np.pad(values, ((context, context), (0, 0), (0, 0)))
        assert session.run(given)[0].shape == values.shape


def test_shifting_the_input_shifts_the_output(model: ModelFolder) -> None:
    """Whole voxels, not multiples of the stride: the answer moves with the patient."""
    shift = (3, -5, 7)
    still = run(model, head(model.manifest.spacing_mm)).sct.values
    moved = run(model, head(model.manifest.spacing_mm, shift=shift)).sct.values

    back = np.roll(moved, [-n for n in shift], axis=(0, 1, 2))

    inner = (slice(12, -12),) * 3
    difference = np.abs(back[inner].astype(int) - still[inner])
    assert difference.max() <= 1


def test_mirroring_the_input_mirrors_the_output(model: ModelFolder) -> None:
    """No laterality was learnt: left and right exchange with the patient."""
    mr = head(model.manifest.spacing_mm, shift=(0, 0, 4))
    mirrored = replace(mr, values=np.ascontiguousarray(mr.values[:, :, ::-1]))

    result, other = run(model, mr), run(model, mirrored)

    difference = np.abs(other.sct.values[:, :, ::-1].astype(int) - result.sct.values)
    assert np.median(difference[result.body]) <= 25
    assert (other.body[:, :, ::-1] == result.body).mean() > 0.9999


def test_tiles_agree_with_the_whole_volume(model: ModelFolder) -> None:
    """Cut for a small memory, the voxels stay the same."""
    mr = head(model.manifest.spacing_mm)
    budget = 112**3 * model.manifest.bytes_per_voxel

    tiled, at_once = (
        Generator(model, providers=["cpu"], memory_budget_bytes=b) for b in (budget, 2**33)
    )
    result, whole = tiled.synthesise(mr, mr.grid), at_once.synthesise(mr, mr.grid)

    difference = np.abs(result.sct.values.astype(int) - whole.sct.values)[whole.body]
    assert "tiles" in result.runtime
    assert "whole volume" in whole.runtime
    assert np.percentile(difference, 99) <= 25


def test_few_slices_at_a_time_are_the_bits_of_the_whole(model: ModelFolder) -> None:
    """Where the node gives the neighbours of a slice, how many go at a time changes nothing."""
    if not model.manifest.stack_context_voxels:
        pytest.skip("the graph finds the neighbours itself")
    mr = head(model.manifest.spacing_mm)
    at_once = Generator(model, providers=["cpu"], memory_budget_bytes=2**33)

    usual, whole = run(model, mr), at_once.synthesise(mr, mr.grid)

    assert "tiles" in usual.runtime
    assert usual.sct.values.tobytes() == whole.sct.values.tobytes()
    assert usual.uncertainty is not None
    assert whole.uncertainty is not None
    assert usual.uncertainty.values.tobytes() == whole.uncertainty.values.tobytes()


def test_the_same_input_twice_gives_the_same_bits(model: ModelFolder) -> None:
    """On the CPU nothing depends on chance."""
    mr = head(model.manifest.spacing_mm)

    first, second = run(model, mr), run(model, mr)

    assert first.sct.values.tobytes() == second.sct.values.tobytes()


def test_the_runtime_line_names_provider_and_version(model: ModelFolder) -> None:
    """What ran is written down."""
    mr = head(model.manifest.spacing_mm)
    assert "onnxruntime" in run(model, mr).runtime


@pytest.mark.realdata
@pytest.mark.parametrize("subject", ["S01", "S12"])
def test_the_outer_contours_of_mr_and_sct_agree(
    model: ModelFolder, real_data: Path, subject: str
) -> None:
    """Centres within 0.3 mm along each axis, and as a whole within 0.3 mm in depth."""
    mr = _read_lps(real_data / "synthetic-pairs" / subject / "mr_t1like.nii.gz")
    grid = axial_grid(mr.grid, spacing_mm=1.0)
    signal = resample(mr, grid)
    result = generator(model.path).synthesise(mr, grid)

    skin = 0.5 * float(np.percentile(signal[result.body], 50))
    ours = _outline(result.sct.values, -500.0)
    theirs = _outline(signal, skin)
    # Seen along an axis a surface shows the cosine of its tilt: over all of them three halves.
    surface = sum(int(np.diff(theirs, axis=axis).sum()) for axis in range(3)) / 1.5
    depth_mm = (float(ours.sum()) - float(theirs.sum())) / surface

    for axis in range(3):
        assert abs(_centre(ours, axis) - _centre(theirs, axis)) <= 0.3
    assert abs(depth_mm) <= 0.3


def _outline(values: np.ndarray, level: float) -> np.ndarray:
    return np.asarray(body_mask(np.where(values > level, 1000.0, 0.0), (1.0, 1.0, 1.0)))


def _centre(mask: np.ndarray, axis: int) -> float:
    others = tuple(a for a in range(3) if a != axis)
    profile = mask.sum(axis=others)
    return float((profile * np.arange(profile.size)).sum() / profile.sum())


def _read_lps(path: Path) -> Volume:
    image = sitk.ReadImage(path.as_posix(), sitk.sitkFloat32)
    affine = np.eye(4)
    cosines = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3] = cosines[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return Volume(
        values=sitk.GetArrayFromImage(image),
        affine=affine,
        frame_of_reference_uid="1.2.3",
        unit=Unit.SIGNAL,
    )
